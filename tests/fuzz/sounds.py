"""Families of sound files, and of the report of an older run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch

from stepedit_core.audio.files import read_clip
from stepedit_core.output.folder import RunFolder
from tests.fuzz.changes import Change, json_at, named, of_bytes, of_json_file, text_of
from tests.fuzz.family import Family

RATE, SECONDS = 16_000, 1.0
FORMATS = ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "rf64")

CHUNKED = ("wav", "aiff", "au", "caf", "w64", "rf64")
"""Those that end where their header says; decoders find the end of the others."""
RARE = ("VOC", "NIST", "SVX", "PAF", "IRCAM", "MAT4", "MAT5", "AVR", "SDS", "PVF")


def tone() -> np.ndarray:
    """One second of a tone that changes, so that a part cannot be taken for the whole."""
    time = np.arange(int(RATE * SECONDS)) / RATE
    return (0.3 * np.sin(2 * np.pi * (150 + 80 * time) * time)).astype(np.float32)


def encoded(kind: str) -> bytes:
    """The tone as a file."""
    raw = io.BytesIO()
    soundfile.write(raw, tone(), RATE, format=kind.upper())
    return raw.getvalue()


def make_sounds(folder: Path) -> None:
    """One file of each format, and which of them is read: the one that a change spoils."""
    for kind in FORMATS:
        (folder / f"a.{kind}").write_bytes(encoded(kind))


def read_sounds(folder: Path) -> object:
    """All of them; the good ones must keep their length."""
    for path in sorted(folder.iterdir()):
        clip = read_clip(path)
        if not abs(clip.seconds - SECONDS) < 0.15:
            raise Shorter(f"{path.name} was read as {clip.seconds:.2f} s")
    return None


class Shorter(Exception):
    """A part was taken for the whole without a word."""


def spoilt(rng: random.Random) -> Change:
    """Bytes of one of the formats."""
    return of_bytes(f"a.{rng.choice(FORMATS)}", rng)


def patched(name: str, kind: str, at: int, data: bytes, *, wrong: bool = True) -> Change:
    """A file with other bytes at one place."""

    def spoil(folder: Path) -> None:
        path = folder / f"a.{kind}"
        raw = bytearray(path.read_bytes())
        raw[at : at + len(data)] = data
        path.write_bytes(raw)

    return named(name, spoil, wrong=wrong)


def cut(kind: str, share: float) -> Change:
    """A file that ends early: it must be said, whatever its header says."""

    def spoil(folder: Path) -> None:
        path = folder / f"a.{kind}"
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return named(f"{kind} cut to {share:.0%}", spoil)


def followed(kind: str, by: bytes = b"") -> Change:
    """A file with another of its kind after it, or with foreign bytes."""

    def spoil(folder: Path) -> None:
        path = folder / f"a.{kind}"
        data = path.read_bytes()
        path.write_bytes(data + (by or data))

    return named(f"{kind} with {'foreign bytes' if by else 'another'} after it", spoil)


def rare(kind: str) -> Change:
    """A container whose length is not checked."""

    def spoil(folder: Path) -> None:
        with (folder / f"b.{kind}").open("wb") as file:
            soundfile.write(file, tone(), RATE, format=kind, subtype="PCM_16")
        data = (folder / f"b.{kind}").read_bytes()
        (folder / f"b.{kind}").write_bytes(data[: len(data) * 6 // 10])

    return named(f"{kind} cut to 60%", spoil)


def unknown_flac(folder: Path) -> None:
    """A FLAC as a pipe gets it: 0 samples in its header, which is allowed and means unknown."""
    path = folder / "a.flac"
    raw = bytearray(path.read_bytes())
    raw[21] &= 0xF0
    raw[22:26] = bytes(4)
    path.write_bytes(raw)


def sizes(folder: Path, value: int, at: tuple[int, ...] = (4, 40)) -> None:
    """A WAV whose RIFF and data sizes say this."""
    path = folder / "a.wav"
    raw = bytearray(path.read_bytes())
    for place in at:
        raw[place : place + 4] = value.to_bytes(4, "little")
    path.write_bytes(raw)


def written(name: str, wave: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> Change:
    """Another WAV."""

    def spoil(folder: Path) -> None:
        soundfile.write(folder / "a.wav", wave, rate, subtype=subtype, format="WAV")

    return named(name, spoil)


def spike(value: float) -> np.ndarray:
    """The tone with one sample of another size."""
    wave = tone()
    wave[500] = value
    return wave


def fifo(folder: Path) -> None:
    """A pipe without a writer."""
    (folder / "a.wav").unlink()
    os.mkfifo(folder / "a.wav")


def named_as(suffix: str, data: bytes) -> Change:
    """Data under a suffix that decides how it is read."""

    def spoil(folder: Path) -> None:
        (folder / f"b{suffix}").write_bytes(data)

    return named(f"a file called {suffix}", spoil)


def make_report(folder: Path) -> None:
    """A report of a finished run."""
    soundfile.write(folder / "in.wav", tone(), RATE)
    out = folder / "out"
    out.mkdir()
    rows = [{"round": 0, "file": "round_0.wav", "tokens_file": "tokens_0.safetensors"}]
    (out / "round_0.wav").write_bytes(b"x")
    files = {"round_0.wav": hashlib.sha256(b"x").hexdigest()}
    report = {"stepedit": "0.1.0", "rounds": rows, "finished": True, "files": files}
    (out / "report.json").write_text(json.dumps(report), "utf-8")


def read_report(folder: Path) -> object:
    """As the next run into the folder looks at it."""
    bundle = SimpleNamespace(name="tiny", sha256="0", device=torch.device("cpu"), precision="fp32")
    with RunFolder(folder / "out", folder / "in.wav", bundle, None, "edit") as run:  # type: ignore[arg-type]
        return run.kept


SOUNDS = (
    Family(
        name="audio",
        make=make_sounds,
        read=read_sounds,
        drawn=(spoilt,),
        named=(
            named("FLAC of unknown length", unknown_flac, wrong=False),
            named("WAV with sizes 0", lambda f: sizes(f, 0), wrong=False),
            named("WAV with sizes 2^32 - 1", lambda f: sizes(f, 2**32 - 1), wrong=False),
            named("WAV whose data is said to be half", lambda f: sizes(f, 16_000, (40,))),
            named("WAV whose data is said to be 10 bytes", lambda f: sizes(f, 10, (40,))),
            *(cut(kind, share) for kind in FORMATS for share in (0.3, 0.6)),
            *(followed(kind) for kind in FORMATS),
            *(followed(kind, b"\xff\xfb\x90\0junk" * 500) for kind in CHUNKED),
            *(rare(kind) for kind in RARE),
            written("a click in silence", np.eye(1, RATE, 900, dtype=np.float32)[0]),
            written("an offset alone", np.full(RATE, 0.7, np.float32)),
            patched("WAV of 0 channels", "wav", 22, b"\0\0"),
            patched("WAV of 255 channels", "wav", 22, b"\xff\0"),
            patched("WAV of 1024 channels", "wav", 22, b"\0\4"),
            patched("WAV of 0 Hz", "wav", 24, bytes(4)),
            patched("WAV of 4 GHz", "wav", 24, b"\xff" * 4),
            patched("WAV of 1 bit", "wav", 34, b"\1\0"),
            patched("WAV of format 99", "wav", 20, b"\x63\0"),
            patched("FLAC of 1 Hz", "flac", 18, b"\0\0\x10"),
            written("a sample of nan", spike(float("nan"))),
            written("a sample of inf", spike(float("inf"))),
            written("a sample of 1e30", spike(1e30)),
            written("silence", np.zeros(RATE, np.float32)),
            written("0 samples", np.zeros(0, np.float32)),
            written("31 s", np.tile(tone(), 31)),
            written("4 kHz", tone()[:8000], 4000),
            written("1024 channels", np.tile(tone()[:, None], (1, 1024)), subtype="PCM_16"),
            named("a pipe", fifo),
            named_as(".raw", bytes(32_000)),
            named_as(".raw", np.random.default_rng(0).bytes(32_000)),
            named_as(".mp4", bytes(1000)),
            named_as(".wav", b"RIFF" + bytes(40)),
            named_as(".mp3", b"\xff\xfb" * 5000),
            named_as("\x1b[31m.wav", b"x" * 100),
        ),
    ),
    Family(
        name="reports",
        make=make_report,
        read=read_report,
        drawn=(partial(of_json_file, "out/report.json", free=("rounds", "finished")),),
        named=(
            json_at("out/report.json", ("rounds", 0, "file"), "../in.wav", wrong=False),
            text_of("out/report.json", "[" * 100_000, wrong=False),
            text_of("out/report.json", "1" * 10_000, wrong=False),
        ),
    ),
)
