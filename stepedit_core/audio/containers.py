"""What a sound file says of its own length, and whether it has as much.

A file that was cut off, or that a program wrote to a pipe, has a header that says more than there
is, less, or nothing. libsndfile believes it or stops. Here the container is walked first: a length
that is not stated is filled in, one that is wrong is said.

Sources: RIFF and RF64 (EBU Tech 3306), AIFF-C (Apple 1991), Wave64 (Sonic Foundry), AU (Sun), CAF
(Apple), FLAC (RFC 9639), Ogg (RFC 3533), MPEG audio (ISO 11172-3) with the Xing header.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO, NamedTuple

from . import streams
from .streams import LengthError, read_at

MOST_PATCHED = 2**29
"""Most bytes of a file whose header is filled in, which happens in memory."""
MOST_CHUNKS = 10_000
UNKNOWN_32 = (0, 0xFFFFFFFF)
"""Sizes that a writer to a pipe leaves; so does any above 0x7FFF0000 in a smaller file."""
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


class _Chunk(NamedTuple):
    """The chunk that has the samples."""

    start: int
    """Of its samples."""
    size: int
    """What it says."""
    size_at: int
    """Where it says so."""


def with_known_length(file: BinaryIO) -> BinaryIO | _Nameless:
    """The file, or a copy in memory whose header says how long it is.

    Raises LengthError, in words that follow the name of the file, where it has more or less than it
    says.
    """
    head = read_at(file, 0, 64)
    size = file.seek(0, os.SEEK_END)
    found: BinaryIO | None = None
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        found = _riff(file, size, head[:4] != b"RIFF")
    elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        found = _aiff(file, size)
    elif head[:4] == b".snd":
        _check(_Chunk(int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big"), 8), size)
    elif head[:4] == b"riff":
        _wave64(file, size)
    elif head[:4] == b"caff":
        _caf(file, size)
    elif head[:4] == b"fLaC":
        found = _flac(file, size)
    elif head[:4] == b"OggS":
        streams.check_ogg(file, size)
    elif head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        streams.check_mpeg(file, size)
    file.seek(0)
    return found or _Nameless(file)


class _Nameless:
    """A file whose name is not there to decide how it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _riff(file: BinaryIO, size: int, long: bool) -> BinaryIO | None:
    """WAV: its data chunk reaches as far as it says, and what follows are chunks."""
    at, stated = 12, 0
    for _ in range(MOST_CHUNKS):
        name, length = read_at(file, at, 4), int.from_bytes(read_at(file, at + 4, 4), "little")
        if long and name == b"ds64":
            stated = int.from_bytes(read_at(file, at + 16, 8), "little")
        if name == b"fmt ":
            _check_widths(read_at(file, at + 8, 16))
        if name == b"data":
            break
        at += 8 + length + length % 2
        if at + 8 > size:
            return None  # no sound at all: the decoder says it
    else:
        return None
    start = at + 8
    if long and length == 0xFFFFFFFF:
        length = stated
        _check(_Chunk(start, length, at + 4), size)
    elif length in UNKNOWN_32 or (length >= 0x7FFF0000 and length > size):
        if size > start:
            sizes = {4: (size - 8) % 2**32, at + 4: (size - start) % 2**32}
            return _patched(file, {k: v.to_bytes(4, "little") for k, v in sizes.items()})
    else:
        _check(_Chunk(start, length, at + 4), size)
    _check_rest(file, start + length + length % 2, size, "little")
    return None


def _check_widths(head: bytes) -> None:
    """Raise LengthError for a WAV whose samples have one width by their bits, another by bytes."""
    kind, channels, _, _, align, bits = (
        int.from_bytes(head[a:b], "little")
        for a, b in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))
    )
    plain = kind in (1, 3, 0xFFFE)
    if plain and channels and not 0 <= align // channels * 8 - bits < 8:
        raise LengthError(
            f"has samples of {int(bits)} bits in {int(align // channels)} bytes; it is damaged"
        )


def _aiff(file: BinaryIO, size: int) -> BinaryIO | None:
    """AIFF: the same, the other way round."""
    at = 12
    for _ in range(MOST_CHUNKS):
        name, length = read_at(file, at, 4), int.from_bytes(read_at(file, at + 4, 4), "big")
        if name == b"SSND":
            _check(_Chunk(at + 8, length, at + 4), size)
            _check_rest(file, at + 8 + length + length % 2, size, "big")
            return None
        at += 8 + length + length % 2
        if at + 8 > size:
            return None
    return None


def _wave64(file: BinaryIO, size: int) -> None:
    """Wave64: sizes of 8 bytes that count the head of the chunk too."""
    at = 40
    for _ in range(MOST_CHUNKS):
        name, length = read_at(file, at, 16), int.from_bytes(read_at(file, at + 16, 8), "little")
        if name == W64_DATA:
            _check(_Chunk(at + 24, length - 24, at + 16), size)
            return
        at += max(24, length + -length % 8)
        if at + 24 > size:
            return


def _caf(file: BinaryIO, size: int) -> None:
    """CAF: a size of -1 means up to the end."""
    at = 8
    for _ in range(MOST_CHUNKS):
        name = read_at(file, at, 4)
        length = int.from_bytes(read_at(file, at + 4, 8), "big", signed=True)
        if name == b"data":
            if length >= 0:
                _check(_Chunk(at + 12, length, at + 4), size)
            return
        at += 12 + max(0, length)
        if at + 12 > size:
            return


def _flac(file: BinaryIO, size: int) -> BinaryIO | None:
    """FLAC: 0 samples mean that their number was not known when the header was written."""
    head = read_at(file, 8, 34)
    if len(head) < 34:
        return None
    stated = int.from_bytes(head[13:18], "big") & (2**36 - 1)
    counted = streams.flac_samples(file, size, stated)
    if stated:
        if 0 < counted < stated:
            raise LengthError(_cut(counted / stated))
        if counted > stated:
            raise LengthError(_more(counted / stated))
        return None
    if not counted:
        raise LengthError("does not say how long it is, and ends within a frame; it was cut off")
    total = int.from_bytes(head[13:18], "big") | counted
    return _patched(file, {8 + 13: total.to_bytes(5, "big")})


def _check(chunk: _Chunk, size: int) -> None:
    """Raise LengthError for samples that are not there."""
    unknown = chunk.size in (0xFFFFFFFF, 0)
    if not unknown and chunk.start + chunk.size > size:
        raise LengthError(_cut(max(0, size - chunk.start) / chunk.size))


def _check_rest(file: BinaryIO, at: int, size: int, order: str) -> None:
    """Raise LengthError for what follows the samples and is not chunks: samples, most likely."""
    first = at
    for _ in range(MOST_CHUNKS):
        if at + 8 > size:
            return
        name = read_at(file, at, 4)
        length = int.from_bytes(read_at(file, at + 4, 4), "little" if order == "little" else "big")
        if not name.strip(b"\0") and not length:
            return  # padding
        if not all(32 <= letter < 127 for letter in name) or at + 8 + length > size + 1:
            raise LengthError(_more(size / max(1, first)))
        at += 8 + length + length % 2


def _cut(share: float) -> str:
    return f"has {share:.0%} of the sound that its header says; it was cut off"


def _more(times: float) -> str:
    return f"has more than its header says ({times:.1f} times as much); the header is wrong"


def _patched(file: BinaryIO, places: dict[int, bytes]) -> BinaryIO:
    """A copy in memory with other bytes at some places."""
    size = file.seek(0, os.SEEK_END)
    if size > MOST_PATCHED:
        raise LengthError("does not say how long it is, and is too large to be counted")
    file.seek(0)
    data = bytearray(file.read())
    for at, new in places.items():
        data[at : at + len(new)] = new
    return io.BytesIO(bytes(data))
