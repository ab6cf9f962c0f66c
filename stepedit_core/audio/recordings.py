"""A recording as it is in its file: its own rate, channels and samples, of any length.

Clips are what networks hear: one channel of floats. A recording is what an edit of a part must give
back unchanged everywhere else, so its samples are kept in the type that the file has them in.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

import soundfile
import torch
from torch import Tensor

from ..files.outputs import check_output
from ..files.whole import write_whole
from ..printable import shown
from ..types import Clip
from .channels import MOST_CHANNELS, mixed
from .clips import check_rate, float_samples, whole_rate
from .files import decoded, wav_bytes

WHOLE_TYPES = {"PCM_S8": "int16", "PCM_U8": "int16", "PCM_16": "int16"}
"""Kinds of samples that are read as 16-bit integers without a loss."""
LONG_TYPES = {"PCM_24": "int32", "PCM_32": "int32"}
FLOAT_TYPES = {"FLOAT": "float32", "DOUBLE": "float64"}
READ_AS = WHOLE_TYPES | LONG_TYPES | FLOAT_TYPES
"""Kinds of samples in a file -> the type that has each of them exactly."""
LOSSY = "FLOAT"
"""How a recording from a lossy file (MP3, OGG) is written: what was decoded, exactly."""
NO_LOWEST_BYTE = ("PCM_S8", "PCM_U8", "PCM_24")
"""Kinds that are read as integers of one byte more than they have."""
WRITTEN = (".wav", ".flac")
HEAD_BYTES = 512
"""Where the chunks before the samples lie."""
CHECKED = 2**20
"""Samples of a channel that are looked at together."""
MARK = "made by StepEdit, samples"
"""Begins the comment of a result; the sha256 of its samples follows."""


class Source(Protocol):
    """A recording of any length, in memory or in a file."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def subtype(self) -> str:
        """Kind of the samples, as libsndfile names it."""

    @property
    def length(self) -> int:
        """Samples of one channel."""

    @property
    def channels(self) -> int:
        """How many there are."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""

    def part(self, first: int, end: int) -> Recording:
        """Samples first to end."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Samples (C, N) on the CPU: int16, int32, float32 or float64, full scale as of their type."""

    samples: Tensor
    sample_rate: int
    """In Hz."""
    subtype: str = "FLOAT"
    """Kind of the samples in the file, as libsndfile names it."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.sample_rate

    @property
    def length(self) -> int:
        """Samples of one channel."""
        return self.samples.shape[1]

    @property
    def channels(self) -> int:
        """How many there are."""
        return self.samples.shape[0]

    def part(self, first: int, end: int) -> Recording:
        """Samples first to end, a view."""
        return replace(self, samples=self.samples[:, first:end])

    def clip(self, first: int = 0, end: int | None = None) -> Clip:
        """One channel of the samples first to end as float32; channels are mixed."""
        part = self.samples[:, first : self.samples.shape[1] if end is None else end]
        return Clip(wave=mixed(float_samples(part), self.sample_rate), sample_rate=self.sample_rate)


def recording_of(samples: Tensor, sample_rate: object) -> Recording:
    """A recording of samples (C, N) that lie in memory as floats, as a graph has them.

    Raises ValueError for no samples, too many channels, samples that are not numbers, and a rate
    out of range.
    """
    rate = whole_rate(sample_rate)
    check_rate(rate)
    count, length = samples.shape
    if not length or not 1 <= count <= MOST_CHANNELS:
        raise ValueError(
            f"the recording has {count} channels of {length} samples; 1 to {MOST_CHANNELS} "
            "channels of 1 sample or more are needed. Pass another."
        )
    recording = Recording(samples=samples.detach().cpu(), sample_rate=rate)
    check_finite(recording)
    return recording


def check_finite(source: Source) -> None:
    """Raise ValueError, with the place, where samples are not numbers; looked at in blocks."""
    bad, first = 0, 0
    for at in range(0, source.length, CHECKED):
        part = source.part(at, min(at + CHECKED, source.length)).samples
        if not part.dtype.is_floating_point:
            return
        wrong = ~torch.isfinite(part)
        count = int(wrong.sum())
        if count and not bad:
            first = at + int(wrong.any(0).to(torch.uint8).argmax())
        bad += count
    if bad:
        count, second = source.length * source.channels, first / source.sample_rate
        raise ValueError(
            f"the recording has NaN or infinite samples ({bad} of {count}), the first at "
            f"{second:.2f} s; all must be finite numbers. Export it again."
        )


def read_recording(path: str | Path) -> Recording:
    """Every sample of a sound file as it is there.

    Raises ValueError for a file that is missing, empty or not audio, samples that are not numbers,
    and a rate out of range.
    """
    path = Path(path)
    found = decoded(path, lambda subtype: READ_AS.get(subtype, "float32"))
    samples, rate = found.samples, found.sample_rate
    subtype = found.subtype if found.subtype in READ_AS else LOSSY
    if not len(samples):
        raise ValueError(
            f"'{shown(path.name)}' has no samples; a recording is needed. Save it again."
        )
    recording = Recording(samples=torch.from_numpy(samples.T), sample_rate=rate, subtype=subtype)
    check_finite(recording)
    return recording


def write_recording(path: str | Path, recording: Recording) -> None:
    """Write a recording whole or not at all, its samples as they are; raises as check_name.

    A comment in the file says that it is a result of StepEdit, and the digest of its samples.
    """
    path = Path(path)
    container, subtype = check_name(path, recording)
    raw = io.BytesIO()  # in memory first: a full disk is then said by the system, not by a codec
    samples = recording.samples.T.contiguous().numpy()
    with soundfile.SoundFile(
        raw, "w", recording.sample_rate, samples.shape[1], subtype, format=container
    ) as file:
        file.comment = _mark(recording)
        file.write(samples)
    clear_date(raw)
    write_whole(path, raw.getvalue())


def save_clip(path: Path, clip: Clip, *, replace_any: bool = False) -> None:
    """Write a clip as a result: the samples of write_wav, with the comment of write_recording.

    Raises ValueError where write_wav does, and where a file is there that is not such a result,
    unless `replace_any`.
    """
    raw = wav_bytes(path, clip)
    check_output(path, ours=is_own_result, overwrite=replace_any, allowing="pass replace=True")
    samples, rate = soundfile.read(io.BytesIO(raw), dtype="int16", always_2d=True)
    recording = Recording(samples=torch.from_numpy(samples.T), sample_rate=rate, subtype="PCM_16")
    write_recording(path, recording)


def clear_date(file: BinaryIO) -> None:
    """Take the time of writing out of a WAV file: equal samples are equal files.

    libsndfile puts it into the chunk PEAK of files of floats, after its name, size and version.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    place = head.find(b"PEAK")
    if head[:4] == b"RIFF" and place >= 0:
        file.seek(place + 12)
        file.write(bytes(4))


def is_own_result(path: Path) -> bool:
    """Whether a file is as write_recording wrote it; False for anything else, however broken."""
    try:
        with soundfile.SoundFile(path) as file:
            mark = file.comment
        return bool(mark == _mark(read_recording(path)))
    except (ValueError, OSError, soundfile.SoundFileError):
        return False


def as_stored(samples: Tensor, subtype: str) -> Tensor:
    """Samples as a file of this kind gives them back: 8 and 24 bits have no lowest byte."""
    if subtype in NO_LOWEST_BYTE and not samples.dtype.is_floating_point:
        return samples >> 8 << 8
    return samples


def _mark(recording: Recording) -> str:
    """What the comment of a result says."""
    samples = as_stored(recording.samples, recording.subtype).T.contiguous().numpy()
    return f"{MARK} {hashlib.sha256(samples.tobytes()).hexdigest()}"


def check_name(path: Path, recording: Source) -> tuple[str, str]:
    """Container and kind of samples, as libsndfile names them, of a file for a recording.

    The name ends in .wav or .flac; FLAC has integers of 8 to 24 bits only. Raises ValueError for
    another name, an absent folder, or samples that the container does not have.
    """
    kind = path.suffix.lower()
    if kind not in WRITTEN:
        raise ValueError(
            f"'{shown(path.name)}' does not end in {' or '.join(WRITTEN)}; these keep every "
            "sample. Rename the result."
        )
    if not path.absolute().parent.is_dir():
        raise ValueError(
            f"no folder at '{shown(path.parent)}'; the result needs an existing one. Create it "
            "first."
        )
    container = kind.removeprefix(".").upper()
    bytes_of = {"WAV": "PCM_U8", "FLAC": "PCM_S8"}  # the same values, each container its own kind
    bits_8 = recording.subtype in bytes_of.values()
    subtype = bytes_of[container] if bits_8 else recording.subtype
    if not soundfile.check_format(container, subtype):
        raise ValueError(
            f"'{shown(path.name)}' would need {shown(subtype)} samples, which "
            f"{shown(container)} does not have. Name the result .wav."
        )
    return container, subtype
