"""AUDIO as files of the browser: in temp to be played, in output to be kept."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folder_paths
import torch
from torch import Tensor

from ...stepedit_core.files.whole import ready_folder, write_whole
from ...stepedit_core.printable import shown
from .folders import new_sound_files
from .sound import PREVIEWS

PLAYERS = "stepedit_players"
"""Key under which Play and Save Audio tells its players of their clips."""
MOST_CHANNELS = {"wav": 1024, "flac": 8}
MOST_HZ = {"wav": 2**31 - 1, "flac": 655_350}
"""What the formats can store."""


def waves(audios: Sequence[dict[str, Any] | None]) -> list[tuple[Tensor, int]]:
    """Every clip of every AUDIO: samples (C, N) within -1..1, and the rate in Hz."""
    found = []
    for audio in audios:
        if audio is None:
            raise ValueError(
                "there is no audio; one clip or more is needed. Connect a clip with sound."
            )
        batch = audio["waveform"].detach().to("cpu", torch.float32)
        if batch.ndim != 3 or not batch.numel():
            raise ValueError(
                f"the audio has the shape {tuple(batch.shape)}; batch, channels and samples, none "
                "of them 0, are expected. Take the clip from another node."
            )
        if not torch.isfinite(batch).all():
            raise ValueError(
                "the audio has samples that are not numbers; numbers from -1 to 1 are expected. "
                "Take the clip from another node."
            )
        found += [(clip.clamp(-1, 1), int(audio["sample_rate"])) for clip in batch]
    return found


def play(clips: Sequence[tuple[Tensor, int]]) -> list[dict[str, str]]:
    """Files below temp for the browser's players; equal samples get one file."""
    folder = Path(folder_paths.get_temp_directory(), PREVIEWS)
    ready_folder(folder)
    shown = []
    for wave, rate in clips:
        raw = encoded(wave, rate, "wav")
        path = folder / f"{hashlib.sha256(raw).hexdigest()[:24]}.wav"
        if not path.exists():
            write_whole(path, raw)
        shown.append({"filename": path.name, "subfolder": PREVIEWS, "type": "temp"})
    return shown


def save(
    clips: Sequence[tuple[Tensor, int]], format_: str, prefix: str, graph: dict[str, Any]
) -> list[dict[str, str]]:
    """Numbered files below output, one a clip; a FLAC carries the graph that made it."""
    from comfy.cli_args import args

    notes = graph if format_ == "flac" and not args.disable_metadata else {}
    raws = [encoded(wave, rate, format_, notes) for wave, rate in clips]
    places = new_sound_files(prefix, f".{format_}", len(raws))
    for raw, (path, _) in zip(raws, places, strict=True):
        write_whole(path, raw)
    return [{"filename": p.name, "subfolder": folder, "type": "output"} for p, folder in places]


def encoded(wave: Tensor, rate: int, format_: str, notes: dict[str, Any] | None = None) -> bytes:
    """A clip (C, N) as a 16-bit file; `notes` become comments of a FLAC, as JSON."""
    import soundfile

    if wave.shape[0] > MOST_CHANNELS[format_] or not 1 <= rate <= MOST_HZ[format_]:
        raise ValueError(
            f"the audio has {wave.shape[0]} channels at {rate} Hz; a {shown(format_)} file takes "
            f"{MOST_CHANNELS[format_]} channels at most {MOST_HZ[format_]} Hz. Mix it down or "
            "resample it."
        )
    raw = io.BytesIO()
    soundfile.write(raw, wave.T.numpy(), rate, format=format_.upper(), subtype="PCM_16")
    return with_comments(raw.getvalue(), notes) if notes else raw.getvalue()


def with_comments(flac: bytes, notes: dict[str, Any]) -> bytes:
    """A FLAC with one Vorbis comment a note; ComfyUI reads the graph back from there.

    Layout: the letters fLaC, then blocks of 1 byte kind (its top bit: the last), 3 bytes size,
    and contents; kind 4 are the comments (RFC 9639).
    """
    blocks, at, last = [], 4, False
    while not last:
        head, size = flac[at], int.from_bytes(flac[at + 1 : at + 4], "big")
        last = head >= 128
        blocks.append((head & 127, flac[at + 4 : at + 4 + size]))
        at += 4 + size
    texts = [f"{key}={json.dumps(value, allow_nan=False)}".encode() for key, value in notes.items()]
    listed = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    comment = b"\0\0\0\0" + len(texts).to_bytes(4, "little") + listed
    if len(comment) < 2**24:  # a larger graph has no place in a FLAC
        blocks = [block for block in blocks if block[0] != 4]
        blocks.insert(1, (4, comment))
    made = b"fLaC"
    for number, (kind, inside) in enumerate(blocks):
        end = 128 if number == len(blocks) - 1 else 0
        made += bytes([kind | end]) + len(inside).to_bytes(3, "big") + inside
    return made + flac[at:]
