"""What a sound file says of its own length, and whether it has as much.

A file that was cut off, or that a program wrote to a pipe, has a header that says more than there
is, less, or nothing. libsndfile believes it or stops. Here the container is walked first: a length
that is not stated is filled in, one that is wrong is said. A container that is not walked here is
not read.

Sources: RIFF and RF64 (EBU Tech 3306), AIFF-C (Apple 1991), Wave64 (Sonic Foundry), AU (Sun), CAF
(Apple), FLAC (RFC 9639), Ogg (RFC 3533), MPEG audio (ISO 11172-3) with the Xing header, ID3.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Literal, NamedTuple

from . import streams
from .streams import WINDOW, LengthError, read_at

MOST_PATCHED = 2**29
"""Most bytes of a file whose header is filled in, which happens in memory."""
MOST_CHUNKS = 10_000
FILES = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"riff", b"caff", b".snd", b"dns.")
"""How files begin that have chunks or a size: after the sound of another they are a second part."""
NEGLIGIBLE_S = 0.01
"""A difference of length below this is not audible, and not said."""


class Known(NamedTuple):
    """A file whose header says how long it is."""

    file: BinaryIO | _Nameless
    share: float = 1.0
    """Of the sound that the header said, 0..1: what is there."""
    walked: bool = True
    """Whether the container is one of those here."""


class _Layout(NamedTuple):
    """How the chunks of a container begin: a name, then a size."""

    name: int
    width: int
    """Bytes of the name, and of the size."""
    order: Literal["little", "big"]
    pad: int
    """Chunks begin at a multiple of so many bytes."""
    whole: bool = False
    """Whether the size counts the name and itself."""


RIFF, RIFX, AIFF = _Layout(4, 4, "little", 2), _Layout(4, 4, "big", 2), _Layout(4, 4, "big", 2)
WAVE64, CAF = _Layout(16, 8, "little", 8, True), _Layout(4, 8, "big", 1)
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


class _Chunk(NamedTuple):
    """One chunk, or the only one of a container that has none."""

    name: bytes
    start: int
    """Of what follows its size."""
    size: int
    """What it says, from `start` on."""
    field: tuple[int, int, Literal["little", "big"], int]
    """Where it says so: place, bytes, their order, and how much it counts before `start`."""

    def unknown(self, there: int) -> bool:
        """Whether the size is one that a writer to a pipe leaves."""
        width = self.field[1]
        most = 0x7FFF0000 if width == 4 else 2**40
        return self.size <= 0 or self.size == 2**32 - 1 or most <= self.size > there


def with_known_length(file: BinaryIO) -> Known:
    """The file, or a copy in memory whose header says how long it is.

    Raises LengthError, in words that follow the name of the file, where it has more than it says,
    and NotReadError for a kind of file that is not read.
    """
    start = streams.id3_bytes(file)
    head = read_at(file, start, 64)
    if start and (head[:4] in FILES or head[:4] == b"fLaC"):
        file = io.BytesIO(_in_memory(file)[start:])  # the tag of an MP3 before something else
    size = file.seek(0, os.SEEK_END)
    known = Known(file)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        known = _riff(file, size, head[:4])
    elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        known = _chunked(file, size, AIFF, 12, b"SSND")
    elif head[:4] in (b".snd", b"dns."):
        known = _au(file, size, "big" if head[:1] == b"." else "little")
    elif head[:4] == b"riff":
        known = _chunked(file, size, WAVE64, 40, W64_DATA)
    elif head[:4] == b"caff":
        known = _chunked(file, size, CAF, 8, b"data")
    elif head[:4] == b"fLaC":
        known = _flac(file, size)
    elif head[:4] == b"OggS":
        streams.check_ogg(file, size)
    elif start or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        streams.check_mpeg(file, size, start)
    else:
        known = Known(file, walked=False)
    known.file.seek(0)
    return known if known.file is not file else known._replace(file=_Nameless(file))


class _Nameless:
    """A file whose name is not there to decide how it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _chunk_at(file: BinaryIO, at: int, layout: _Layout) -> _Chunk:
    """The chunk that begins there."""
    head = read_at(file, at, layout.name + layout.width)
    counted = len(head) if layout.whole else 0
    size = int.from_bytes(head[layout.name :], layout.order)
    if layout is CAF and size >= 2**63:
        size = -1  # signed there, and -1 means up to the end
    field = (at + layout.name, layout.width, layout.order, counted)
    return _Chunk(head[: layout.name], at + len(head), size - counted, field)


def _end(chunk: _Chunk, layout: _Layout) -> int:
    """Where the next chunk begins."""
    size = max(0, chunk.size)
    return chunk.start + size + -size % layout.pad


def _find(file: BinaryIO, size: int, layout: _Layout, at: int, name: bytes) -> _Chunk | None:
    """The first chunk of a name."""
    for _ in range(MOST_CHUNKS):
        if at + layout.name + layout.width > size:
            return None
        chunk = _chunk_at(file, at, layout)
        if chunk.name == name:
            return chunk
        at = _end(chunk, layout)
    return None


def _chunked(file: BinaryIO, size: int, layout: _Layout, at: int, name: bytes) -> Known:
    """The chunk with the samples reaches as far as it says, and what follows are chunks."""
    chunk = _find(file, size, layout, at, name)
    if chunk is None:
        return Known(file)  # no sound at all: the decoder says it
    known = _filled(file, size, chunk)
    if known.file is file:
        _check_rest(file, _end(chunk, layout), size, layout)
    if layout is WAVE64 and known.file is file and _end(chunk, layout) < size:
        # libsndfile takes the chunks that follow for samples
        return Known(io.BytesIO(_in_memory(file)[: chunk.start + chunk.size]))
    return known


def _filled(file: BinaryIO, size: int, chunk: _Chunk, places: tuple[int, ...] = ()) -> Known:
    """The file with the size that the samples have, where their chunk does not say it.

    `places` are of the size of the whole file, which the outermost chunk of a RIFF says.
    """
    there = max(0, size - chunk.start)
    unknown = chunk.unknown(there)
    if not there or (chunk.size <= there and not unknown):
        return Known(file)
    at, width, order, counted = chunk.field
    data = bytearray(_in_memory(file))
    for place, value in ((at, there + counted), *((p, size - 8) for p in places)):
        data[place : place + width] = (value % 2 ** (8 * width)).to_bytes(width, order)
    return Known(io.BytesIO(bytes(data)), 1.0 if unknown else there / chunk.size)


def _riff(file: BinaryIO, size: int, kind: bytes) -> Known:
    """WAV, with sizes of 8 bytes in a chunk of their own where it is longer than 4 GB."""
    layout = RIFX if kind == b"RIFX" else RIFF
    shape = _find(file, size, layout, 12, b"fmt ")
    if shape is not None:
        _check_widths(read_at(file, shape.start, 16), layout.order)
    chunk = _find(file, size, layout, 12, b"data")
    if chunk is None:
        return Known(file)
    long = _find(file, size, layout, 12, b"ds64") if kind in (b"RF64", b"BW64") else None
    if long is not None and chunk.size == 2**32 - 1:
        stated = int.from_bytes(read_at(file, long.start + 8, 8), "little")
        chunk = chunk._replace(size=stated, field=(long.start + 8, 8, "little", 0))
    known = _filled(file, size, chunk, () if long else (4,))
    if known.file is file:
        _check_rest(file, _end(chunk, layout), size, layout)
    return known


def _check_widths(head: bytes, order: Literal["little", "big"]) -> None:
    """Raise LengthError for a WAV whose samples have one width by their bits, another by bytes."""
    kind, channels, _, _, align, bits = (
        int.from_bytes(head[a:b], order)
        for a, b in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))
    )
    plain = kind in (1, 3, 0xFFFE)
    if plain and channels and not 0 <= align // channels * 8 - bits < 8:
        raise LengthError(
            f"has samples of {int(bits)} bits in {int(align // channels)} bytes; it is damaged"
        )


def _au(file: BinaryIO, size: int, order: Literal["little", "big"]) -> Known:
    """AU: a head that says its own size and that of the samples, which are all that follows."""
    start, length = (int.from_bytes(read_at(file, at, 4), order) for at in (4, 8))
    chunk = _Chunk(b"", start, length, (8, 4, order, 0))
    known = _filled(file, size, chunk)
    if known.file is file and not _padding(file, start + length, size):
        raise LengthError(_more(size - start - length))
    return known


def _flac(file: BinaryIO, size: int) -> Known:
    """FLAC: 0 samples mean that their number was not known when the header was written."""
    head = read_at(file, 8, 34)
    if len(head) < 34:
        return Known(file)
    streams.check_one_flac(file)
    stated = int.from_bytes(head[13:18], "big") & (2**36 - 1)
    counted = streams.flac_samples(file, size, stated)
    if not stated and not counted:
        raise LengthError("does not say how long it is, and ends within a frame; it was cut off")
    if not counted or counted == stated:
        return Known(file)
    rate = max(1, int.from_bytes(head[10:13], "big") >> 4)
    has, says = float(counted / rate), float(stated / rate)
    if has < says - NEGLIGIBLE_S:
        raise LengthError(
            f"has {has:.2f} s of sound and its header says {says:.2f} s; it was cut off"
        )
    if stated and has > says + NEGLIGIBLE_S:
        raise LengthError(
            f"has more than its header says, {has:.2f} s of sound and not {says:.2f} s; the header "
            "is wrong"
        )
    data = bytearray(_in_memory(file))
    data[21:26] = (int.from_bytes(head[13:18], "big") - stated + counted).to_bytes(5, "big")
    return Known(io.BytesIO(bytes(data)))


def _check_rest(file: BinaryIO, at: int, size: int, layout: _Layout) -> None:
    """Raise LengthError for what follows the samples and is not chunks: samples, most likely."""
    first = at
    for _ in range(MOST_CHUNKS):
        if at + layout.name + layout.width > size or _padding(file, at, size):
            return
        chunk = _chunk_at(file, at, layout)
        name = chunk.name[:4]
        named = all(32 <= letter < 127 for letter in name) and name not in FILES
        if not named or chunk.size < 0 or chunk.start + chunk.size > size + 1:
            raise LengthError(_more(size - first))
        at = _end(chunk, layout)


def _padding(file: BinaryIO, at: int, size: int) -> bool:
    """Whether nothing but zeros follows."""
    if read_at(file, at, 16).strip(b"\0"):
        return False
    return not any(read_at(file, k, WINDOW).strip(b"\0") for k in range(at, size, WINDOW))


def _more(count: int) -> str:
    return f"has more than its header says ({count} bytes after its sound); the header is wrong"


def _in_memory(file: BinaryIO) -> bytes:
    """All bytes of a file whose header is filled in."""
    if file.seek(0, os.SEEK_END) > MOST_PATCHED:
        raise LengthError("does not say rightly how long it is, and is too large to be counted")
    file.seek(0)
    return file.read()
