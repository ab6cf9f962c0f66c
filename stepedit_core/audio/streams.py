"""Streams of frames: how much FLAC, Ogg and MPEG audio there is, counted frame by frame.

Sources: RFC 9639 (FLAC frame header and its CRC-8), RFC 3533 (Ogg pages), ISO 11172-3 and 13818-3
(MPEG audio frame header), and the Xing header that encoders of MP3 write into the first frame.
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

WINDOW = 2**20
"""Bytes before the end in which the last frame or page is looked for."""
MOST_FRAMES = 2_000_000
"""MPEG frames that are counted: half a day."""


MOST_TAGS = 10
"""ID3 tags that are skipped, one after the other."""
TWO = "has a second recording after the first, as two files that were joined; one is read"


class LengthError(Exception):
    """What is wrong with a length, in words that follow the name of the file."""


class NotReadError(Exception):
    """What kind of file it is that is not read, in words that follow its name."""


def read_at(file: BinaryIO, at: int, count: int) -> bytes:
    """Bytes at a place; fewer at the end."""
    file.seek(at)
    return file.read(count)


def _table(polynomial: int, width: int) -> tuple[int, ...]:
    made = []
    for first in range(256):
        value = first << (width - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (width - 1) else 0)
        made.append(value & (2**width - 1))
    return tuple(made)


CRC8, CRC16 = _table(0x107, 8), _table(0x18005, 16)


def _crc(data: bytes, table: tuple[int, ...], width: int) -> int:
    """The check of bytes that have their check at the end is 0."""
    found = 0
    for byte in data:
        found = ((found << 8) & (2**width - 1)) ^ table[(found >> (width - 8)) ^ byte]
    return found


def flac_samples(file: BinaryIO, size: int, stated: int) -> int:
    """Samples up to the end of the last frame, by its number; 0 where no frame is found.

    Where the header has not `stated` them, the last frame must be whole up to the end.
    """
    block = int.from_bytes(read_at(file, 10, 2), "big")  # the largest block; all have it but one
    data = read_at(file, max(42, size - WINDOW), WINDOW)
    if data[-128:-125] == b"TAG":  # ID3, version 1
        data = data[:-128]
    at, most = len(data), 0
    while (at := data.rfind(b"\xff", 0, at)) >= 0:
        counted = _flac_frame_end(data[at : at + 17], block)
        if not counted:
            continue
        if stated == counted or (not stated and not _crc(data[at:], CRC16, 16)):
            return counted
        most = max(most, counted)
        if stated and counted < stated - 4 * block:
            break
    return most if stated else 0


def _flac_frame_end(head: bytes, block: int) -> int:
    """Number of the sample after a frame; 0 where no frame header is at the start of `head`."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return 0
    lead = head[4]
    ones = 0 if lead < 0x80 else 8 - (lead ^ 0xFF).bit_length()
    if ones == 1 or ones > 7:
        return 0
    number, at = lead & (0xFF >> (ones + 1) if ones else 0x7F), 5
    for _ in range(max(0, ones - 1)):
        if at >= len(head) or head[at] & 0xC0 != 0x80:
            return 0
        number, at = number << 6 | head[at] & 0x3F, at + 1
    code = head[2] >> 4
    length = {1: 192, **{k: 576 << (k - 2) for k in range(2, 6)}}.get(code, 0)
    if code >= 8:
        length = 256 << (code - 8)
    elif code in (6, 7):
        length = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not length or at >= len(head):
        return 0
    if _crc(head[: at + 1], CRC8, 8):
        return 0
    return (number if head[1] & 1 else number * block) + length


def check_one_flac(file: BinaryIO) -> None:
    """Raise LengthError for a FLAC file with another after it, of which a decoder says nothing."""
    at = 4
    while len(data := read_at(file, at, WINDOW + 7)) >= 8:
        place = -1
        while (place := data.find(b"fLaC", place + 1)) >= 0:
            if data[place + 4 : place + 8] in (b"\0\0\0\x22", b"\x80\0\0\x22"):
                raise LengthError(TWO)
        at += WINDOW


def check_ogg(file: BinaryIO, size: int) -> None:
    """Raise LengthError for an Ogg file without its last page, or with a second one after it."""
    at, sound, last = 0, False, False
    while at < size:
        head = read_at(file, at, 27 + 255)
        if head[:5] != b"OggS\0":
            at = _next_page(file, at + 1, size)
            continue
        length = 27 + head[26] + sum(head[27 : 27 + head[26]]) if len(head) >= 27 else size
        first, last = bool(head[5:6] and head[5] & 2), bool(head[5:6] and head[5] & 4)
        if at + length > size:
            last = False
            break
        if first and sound:
            raise LengthError(TWO)
        sound = sound or not first
        at += length
    if not last:
        raise LengthError("ends before its last page; it was cut off")


def _next_page(file: BinaryIO, at: int, size: int) -> int:
    """Where the next page of Ogg begins; the end of the file where there is none."""
    while at < size:
        found = read_at(file, at, WINDOW + 4).find(b"OggS\0")
        if found >= 0:
            return at + found
        at += WINDOW
    return size


def id3_bytes(file: BinaryIO) -> int:
    """Bytes of the ID3 tags at the beginning of a file."""
    at = 0
    for _ in range(MOST_TAGS):
        head = read_at(file, at, 10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        at += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    return at


class _Frame(NamedTuple):
    """One MPEG audio frame."""

    size: int
    side: int
    """Bytes before a Xing header."""


_RATES = (44_100, 48_000, 32_000)
_KBITS_1 = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_2 = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mpeg_frame(head: bytes) -> _Frame | None:
    """The frame whose header this is."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    kbits, rate, pad = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or kbits in (0, 15) or rate == 3:
        return None
    hertz = _RATES[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    bits = 1000 * (_KBITS_1 if version == 3 else _KBITS_2)[layer][kbits]
    if layer == 1:
        size = (12 * bits // hertz + pad) * 4
    else:
        slots = 72 if layer == 3 and version != 3 else 144
        size = slots * bits // hertz + pad
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return _Frame(size, side)


def check_mpeg(file: BinaryIO, size: int, at: int) -> None:
    """Raise LengthError for MPEG audio whose frames, from `at`, do not follow one another."""
    head = read_at(file, at, 2)
    if len(head) == 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        raise NotReadError("is AAC")
    stated, counted = -1, 0
    for number in range(MOST_FRAMES):
        head = read_at(file, at, 4 + 36 + 12)
        frame = _mpeg_frame(head)
        if frame is None or at + frame.size > size:
            break
        if not number:
            tag = head[4 + frame.side : 4 + frame.side + 12]
            if tag[:4] in (b"Xing", b"Info") and tag[7] & 1:
                stated = int.from_bytes(tag[8:12], "big")
        counted += 1
        at += frame.size
    rest = read_at(file, at, WINDOW)
    padding = len(rest) < WINDOW and not rest.strip(b"\0")
    ends = padding or rest[:3] == b"TAG" or rest[:8] == b"APETAGEX"
    cut = not ends and _mpeg_frame(rest) is not None  # the last frame is not whole
    if not counted or not (ends or cut):
        raise LengthError(f"is no longer MPEG audio from byte {at} on; it is damaged")
    if stated > counted:  # the frame with the header is not counted in it
        raise LengthError(
            f"has {counted} of the {stated} frames that its header says; it was cut off"
        )
    if 0 <= stated < counted - 2:
        raise LengthError(f"has {counted} frames and its header says {stated}; it is damaged")
