"""Reading and writing sound files.

Files are read and written with soundfile (libsndfile): WAV, FLAC, OGG and MP3, integer or float.
"""

from __future__ import annotations

import io
from pathlib import Path

import soundfile
import torch

from ..files.whole import write_whole
from ..printable import shown
from ..types import Clip
from .clips import check_rate, check_seconds, float_samples, mono_clip


def read_clip(path: str | Path) -> Clip:
    """Read a sound file as a checked mono clip at its own rate; channels are averaged.

    Raises ValueError for a file that is missing, empty or not audio, and as check_clip.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"no file at '{shown(path)}'; an audio file is needed. Check the path and its spelling."
        )
    if path.stat().st_size == 0:
        raise ValueError(
            f"'{shown(path.name)}' is empty (0 bytes); a WAV, FLAC, OGG or MP3 file is needed. "
            "Save the recording again."
        )
    try:
        with soundfile.SoundFile(path) as file:
            # checked before decoding: a wrong file may be hours long
            check_rate(file.samplerate)
            check_seconds(file.frames / file.samplerate)
            samples = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except soundfile.SoundFileError as error:
        raise ValueError(
            f"'{shown(path.name)}' cannot be read as audio ({shown(error)}); WAV, FLAC, OGG and "
            "MP3 are read. Convert it to WAV."
        ) from error
    return mono_clip(torch.from_numpy(samples).T, rate)


def write_wav(path: str | Path, clip: Clip) -> None:
    """Write a clip as 16-bit mono WAV; samples beyond -1..1 are clipped.

    The file appears whole or not at all. Raises ValueError where the folder does not exist, and for
    a wave that is not one channel of finite samples.
    """
    path = Path(path)
    wave = float_samples(clip.wave)
    if wave.ndim != 1 or not bool(torch.isfinite(wave).all()):
        bad = f"{int((~torch.isfinite(wave)).sum())} NaN or infinite samples"
        found = bad if wave.ndim == 1 else f"the shape {tuple(wave.shape)}"
        raise ValueError(
            f"the wave for '{shown(path.name)}' has {shown(found)}; one channel of finite samples "
            "can be written. Make it again, or write its channels one by one."
        )
    if not path.parent.is_dir():
        raise ValueError(
            f"no folder at '{shown(path.parent)}'; the WAV needs an existing one. Create it first."
        )
    samples = wave.clamp(-1.0, 1.0).numpy()
    raw = io.BytesIO()  # in memory first: a full disk is then said by the system, not by a codec
    soundfile.write(raw, samples, clip.sample_rate, format="WAV", subtype="PCM_16")
    write_whole(path, raw.getvalue())
