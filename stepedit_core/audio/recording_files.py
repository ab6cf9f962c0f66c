"""Recordings in files, read and written by parts: an hour needs the memory of a minute."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor

from ..files.whole import full_disk_said, whole_file
from ..printable import shown
from .files import check_length, damage_said, open_sound, read_frames
from .recordings import LOSSY, MARK, READ_AS, Recording, Source, as_stored, check_name, clear_date

BLOCK = 2**18
"""Samples of one channel that are read or written at once."""


@dataclass(frozen=True, kw_only=True)
class RecordingFile:
    """A recording that lies in a file; from `open_recording`."""

    sample_rate: int
    """In Hz."""
    subtype: str
    length: int
    """Samples of one channel."""
    channels: int
    read: Callable[[int, int], Tensor]
    """Samples first to end (C, n), in the type that the file has them in."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.length / self.sample_rate

    def part(self, first: int, end: int) -> Recording:
        """Samples first to end."""
        first, end = max(0, first), min(end, self.length)
        return Recording(
            samples=self.read(first, end), sample_rate=self.sample_rate, subtype=self.subtype
        )


@contextmanager
def open_recording(path: str | Path) -> Iterator[RecordingFile]:
    """A recording of any length for a block, its samples as they are in the file.

    What is lossy (MP3, OGG) is decoded once into a file of floats without a name, since places in
    it cannot be found exactly. Raises ValueError as read_recording, also while it is read.
    """
    path = Path(path)
    with ExitStack() as stack:
        file = stack.enter_context(open_sound(path))
        kind = READ_AS.get(file.subtype, "float32")
        if not file.frames:
            raise ValueError(
                f"'{shown(path.name)}' has no samples; a recording is needed. Save it again."
            )

        def frames(first: int, end: int) -> Tensor:
            file.seek(first)
            samples = read_frames(file, path, end - first, kind)
            if len(samples) < end - first:
                raise ValueError(
                    f"'{shown(path.name)}' cannot be decoded to its end; it is damaged or was cut "
                    "off. Copy or export the recording again."
                )
            return torch.from_numpy(samples.T)

        read: Callable[[int, int], Tensor] = frames
        length, subtype = file.frames, file.subtype
        if subtype not in READ_AS:
            spool = stack.enter_context(tempfile.TemporaryFile())
            length, read = _spooled(file, path, spool)
            subtype = LOSSY
        yield RecordingFile(
            sample_rate=file.samplerate,
            subtype=subtype,
            length=length,
            channels=file.channels,
            read=read,
        )


def _spooled(
    file: soundfile.SoundFile, path: Path, spool: BinaryIO
) -> tuple[int, Callable[[int, int], Tensor]]:
    """Length and reader of a file of floats with all samples of a lossy one."""
    channels, length = file.channels, 0
    with full_disk_said(Path(tempfile.gettempdir()) / path.name):
        while length < file.frames:
            samples = read_frames(file, path, min(BLOCK, file.frames - length), "float32")
            if not len(samples):
                break
            spool.write(np.ascontiguousarray(samples).tobytes())
            length += len(samples)
        spool.flush()
    with damage_said(path):
        check_length(length, file.frames, file.samplerate)

    def read(first: int, end: int) -> Tensor:
        spool.seek(4 * channels * first)
        data = spool.read(4 * channels * (end - first))
        return torch.from_numpy(np.frombuffer(data, np.float32).reshape(-1, channels).T.copy())

    return length, read


def parts_of(source: Source, first: int, end: int) -> Iterator[Tensor]:
    """Samples first to end of a recording (C, n), in blocks."""
    for at in range(first, end, BLOCK):
        yield source.part(at, min(at + BLOCK, end)).samples


def write_parts(path: Path, like: Source, parts: Callable[[], Iterable[Tensor]]) -> None:
    """Write a recording whole or not at all, part by part, as write_recording does.

    Args:
        path: as of check_name.
        like: has the rate, the channels and the kind of samples of the result.
        parts: gives its samples (C, n) in order; it is called twice, since the head of the file
            names the digest of them all.
    """
    container, subtype = check_name(path, like)
    digest = hashlib.sha256()
    for part in parts():
        digest.update(as_stored(part, subtype).T.contiguous().numpy().tobytes())
    with whole_file(path) as place, full_disk_said(path):
        with soundfile.SoundFile(
            place, "w", like.sample_rate, like.channels, subtype, format=container
        ) as file:
            file.comment = f"{MARK} {digest.hexdigest()}"
            for part in parts():
                for at in range(0, part.shape[1], BLOCK):
                    file.write(part[:, at : at + BLOCK].T.contiguous().numpy())
        with place.open("r+b") as raw:
            clear_date(raw)
