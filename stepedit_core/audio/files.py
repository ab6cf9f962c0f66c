"""Reading and writing sound files.

Files are read and written with soundfile (libsndfile): WAV, AIFF, AU, CAF, FLAC, OGG and MP3,
integer or float.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import soundfile
import torch

from ..files.reading import UnreadableFileError
from ..files.whole import write_whole
from ..printable import shown
from ..types import Clip
from .channels import MOST_CHANNELS
from .clips import check_rate, check_seconds, float_samples, mono_clip
from .containers import NEGLIGIBLE_S, with_known_length
from .streams import LengthError, NotReadError

READ = "WAV, AIFF, AU, CAF, FLAC, OGG and MP3"
MOST_SAMPLES = 2**31
"""Of all channels of a file that is decoded."""


@dataclass(frozen=True)
class Decoded:
    """All of a sound file."""

    samples: Any
    """numpy (N, channels) of the type that was asked for."""
    sample_rate: int
    subtype: str
    """Kind of the samples in the file, as libsndfile names it."""


def read_clip(path: str | Path) -> Clip:
    """Read a sound file as a checked mono clip at its own rate; channels are mixed.

    Raises ValueError for a file that is missing, empty, not audio or cut off, and as check_clip.
    """
    found = decoded(Path(path), lambda subtype: "float32", check_seconds)
    return mono_clip(torch.from_numpy(found.samples).T, found.sample_rate)


def decoded(
    path: Path, kind: Callable[[str], str], check: Callable[[float], None] | None = None
) -> Decoded:
    """Every sample of a sound file, to its end.

    Args:
        path: the file.
        kind: says for the kind of samples in the file which type they are read as.
        check: receives the seconds before anything is decoded: a wrong file may be hours long.

    Raises ValueError for a file that is missing, empty or not audio, that has less or more sound
    than it says, and for a rate or a number of channels that is not read.
    """
    with open_sound(path) as file:
        if check is not None:
            check(file.frames / file.samplerate)
        samples = read_frames(file, path, file.frames, kind(file.subtype))
        with damage_said(path):
            check_length(len(samples), file.frames, file.samplerate)
        return Decoded(samples, file.samplerate, file.subtype)


@contextmanager
def open_sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """A sound file for a block, with what it says of itself checked; raises as decoded."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a plain file"
        raise ValueError(f"'{shown(path)}' is {kind}; an audio file is needed. Name the file.")
    if not path.is_file():
        raise ValueError(
            f"no file at '{shown(path)}'; an audio file is needed. Check the path and its spelling."
        )
    where = f"'{shown(path.name)}'"
    if path.stat().st_size == 0:
        raise ValueError(
            f"{where} is empty (0 bytes); a WAV, FLAC, OGG or MP3 file is needed. "
            "Save the recording again."
        )
    with ExitStack() as stack:
        with damage_said(path):
            known = with_known_length(stack.enter_context(_opened(path)))
            file = stack.enter_context(soundfile.SoundFile(known.file))
            if not known.walked:
                raise NotReadError(f"is {shown(file.format_info)}")
            check_rate(file.samplerate)
            _check_size(file, where)
            check_length(file.frames, file.frames / known.share, file.samplerate)
        yield file


def read_frames(file: soundfile.SoundFile, path: Path, count: int, kind: str) -> Any:
    """The next `count` samples of each channel, (count, channels), as numpy of a kind.

    They are fewer at the end of a file. Raises ValueError where the file is damaged.
    """
    with damage_said(path):
        try:
            # the number is given, because a codec that cannot seek does not tell what is left
            return file.read(count, dtype=kind, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise LengthError(
                "cannot be decoded to its end; it is damaged or was cut off"
            ) from error


def _opened(path: Path) -> BinaryIO:
    """The file; UnreadableFileError where the disk does not give it."""
    try:
        return path.open("rb")
    except OSError as error:
        raise UnreadableFileError(path.name, error, "Check its rights and the disk.") from error


@contextmanager
def damage_said(path: Path) -> Iterator[None]:
    """Turn what libsndfile says into a sentence."""
    where = f"'{shown(path.name)}'"
    try:
        yield
    except LengthError as error:
        raise ValueError(f"{where} {shown(error)}. Copy or export the recording again.") from error
    except NotReadError as error:
        raise ValueError(
            f"{where} {shown(error)}; {READ} are read. Convert it to WAV or FLAC."
        ) from error
    except (soundfile.SoundFileError, TypeError, MemoryError, AssertionError) as error:
        raise ValueError(
            f"{where} cannot be read as audio; {READ} are read. Convert it to WAV, or export it "
            "again."
        ) from error


def check_length(samples: int, stated: float, rate: int) -> None:
    """Raise LengthError where samples are missing of those stated, and it is audible."""
    if stated - samples > NEGLIGIBLE_S * rate:
        raise LengthError(
            f"has {samples / rate:.2f} s of the {stated / rate:.2f} s that it says; it was cut off"
        )


def _check_size(file: soundfile.SoundFile, where: str) -> None:
    """Raise ValueError for more channels or samples than a recording has."""
    if file.channels > MOST_CHANNELS:
        raise ValueError(
            f"{where} has {int(file.channels)} channels; 1 to {MOST_CHANNELS} are read. "
            "Mix it down to one."
        )
    if file.frames * file.channels > MOST_SAMPLES:
        raise ValueError(
            f"{where} says that it is {file.frames / file.samplerate:.3g} s long; that much is not "
            "read. Cut it into shorter pieces."
        )


def wav_bytes(path: Path, clip: Clip) -> bytes:
    """A clip as a 16-bit mono WAV file of this name; samples beyond -1..1 are clipped.

    Raises ValueError where its folder does not exist, and for a wave that is not one channel of
    finite samples.
    """
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
    return raw.getvalue()


def write_wav(path: str | Path, clip: Clip) -> None:
    """Write a clip as wav_bytes gives it, whole or not at all; raises as that."""
    write_whole(path, wav_bytes(Path(path), clip))
