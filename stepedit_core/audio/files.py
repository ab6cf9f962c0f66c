"""Reading and writing sound files, and the check of a clip that nodes, command and library share.

Files are read and written with soundfile (libsndfile): WAV, FLAC, OGG and MP3, integer or float.
"""

from __future__ import annotations

import io
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from ..files.whole import write_whole
from ..types import Clip

SHORTEST_S = 0.5
LONGEST_S = 30.0
LOWEST_HZ = 8_000
HIGHEST_HZ = 192_000
SILENCE_PEAK = 1e-3
"""-60 dB of full scale; below it, speech cannot be distinguished from recording noise."""


def mono_clip(wave: Tensor, sample_rate: int) -> Clip:
    """Mix wave (N,) or (channels, N) down to a checked clip, float32 on the CPU.

    Raises ValueError where the clip cannot be edited, see check_clip.
    """
    if wave.ndim > 2:
        raise ValueError(
            f"audio has {wave.ndim} dimensions; a clip has one or two (channels, samples). "
            "Pass one recording of the batch at a time."
        )
    mono = wave.detach().to("cpu", torch.float32)
    clip = Clip(wave=mono.mean(0) if mono.ndim == 2 else mono, sample_rate=int(sample_rate))
    check_clip(clip)
    return clip


def check_clip(clip: Clip) -> None:
    """Raise ValueError where a clip cannot be edited.

    Allowed are 0.5 to 30 s at 8 to 192 kHz, finite, louder than -60 dB. The released tokenizer
    refuses a clip below 16 kHz; here it is resampled later and the band above stays empty.
    """
    _check_rate(clip.sample_rate)
    _check_seconds(clip.seconds)
    if not bool(torch.isfinite(clip.wave).all()):
        bad = int((~torch.isfinite(clip.wave)).sum())
        raise ValueError(
            f"clip has NaN or infinite samples ({bad} of {clip.wave.numel()}); all must be finite "
            "numbers. Export the recording again."
        )
    peak = float(clip.wave.abs().max())
    if peak < SILENCE_PEAK:
        raise ValueError(
            f"clip is silent (its peak is {peak:.5f} of full scale); speech must reach "
            f"{SILENCE_PEAK}. Check the recording, or raise its volume."
        )


def read_clip(path: str | Path) -> Clip:
    """Read a sound file as a checked mono clip at its own rate; channels are averaged.

    Raises ValueError for a file that is missing, empty or not audio, and as check_clip.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"no file at '{path}'; an audio file is needed. Check the path and its spelling."
        )
    if path.stat().st_size == 0:
        raise ValueError(
            f"'{path.name}' is empty (0 bytes); a WAV, FLAC, OGG or MP3 file is needed. "
            "Save the recording again."
        )
    try:
        with soundfile.SoundFile(path) as file:
            # checked before decoding: a wrong file may be hours long
            _check_rate(file.samplerate)
            _check_seconds(file.frames / file.samplerate)
            samples = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except soundfile.SoundFileError as error:
        raise ValueError(
            f"'{path.name}' cannot be read as audio ({error}); WAV, FLAC, OGG and MP3 are read. "
            "Convert it to WAV."
        ) from error
    return mono_clip(torch.from_numpy(samples).T, rate)


def write_wav(path: str | Path, clip: Clip) -> None:
    """Write a clip as 16-bit mono WAV; samples beyond -1..1 are clipped.

    The file appears whole or not at all. Raises ValueError where the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(
            f"no folder at '{path.parent}'; the WAV needs an existing one. Create it first."
        )
    samples = clip.wave.clamp(-1.0, 1.0).numpy()
    raw = io.BytesIO()  # in memory first: a full disk is then said by the system, not by a codec
    soundfile.write(raw, samples, clip.sample_rate, format="WAV", subtype="PCM_16")
    write_whole(path, raw.getvalue())


def _check_rate(rate: int) -> None:
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise ValueError(
            f"clip has {rate} Hz; {LOWEST_HZ} to {HIGHEST_HZ} Hz are read. "
            "Resample it, for example to 24000 Hz."
        )


def _check_seconds(seconds: float) -> None:
    if seconds < SHORTEST_S:
        raise ValueError(
            f"clip is {seconds:.2f} s long; {SHORTEST_S} to {LONGEST_S:.0f} s can be edited. "
            "Use a longer recording."
        )
    if seconds > LONGEST_S:
        raise ValueError(
            f"clip is {seconds:.2f} s long; {SHORTEST_S} to {LONGEST_S:.0f} s can be edited. "
            "Cut it into shorter pieces."
        )
