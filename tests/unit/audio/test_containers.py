"""A sound file that says another length than it has: read right, or refused with a sentence."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stepedit_core.audio.files import read_clip
from stepedit_core.audio.recordings import read_recording

RATE = 16_000
FORMATS = ("wav", "flac", "ogg", "mp3", "aiff", "au", "w64", "rf64", "caf")


def tone(seconds: float = 1.3) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return (0.3 * np.sin(2 * np.pi * (150 + 80 * time) * time)).astype(np.float32)


def encoded(kind: str, wave: np.ndarray | None = None) -> bytearray:
    raw = io.BytesIO()
    soundfile.write(raw, tone() if wave is None else wave, RATE, format=kind.upper())
    return bytearray(raw.getvalue())


def unknown_flac(raw: bytearray) -> bytearray:
    """As a pipe gets it: 0 samples in the header, and no digest."""
    raw[21] &= 0xF0
    raw[22:26] = bytes(4)
    return raw


def sized(raw: bytearray, riff: int, data: int) -> bytearray:
    raw[4:8], raw[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    return raw


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_file_is_read_as_before(tmp_path: Path, kind: str):
    path = tmp_path / "a.x"
    path.write_bytes(encoded(kind))
    expected = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")[0]
    found = read_clip(path).wave.numpy()
    # the decoder of MP3 rounds by where its buffer lies
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= (1e-6 if kind == "mp3" else 0)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (unknown_flac(encoded("flac")), "flac"),
        (sized(encoded("wav"), 0, 0), "wav"),
        (sized(encoded("wav"), 2**32 - 1, 2**32 - 1), "wav"),
        (sized(encoded("wav"), 0x7FFFFFFF, 0x7FFFFFFF), "wav"),
    ],
)
def test_a_length_that_is_not_stated_is_counted(tmp_path: Path, raw: bytearray, kind: str):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(raw)
    expected = soundfile.read(io.BytesIO(encoded(kind)), dtype="float32")[0]
    assert np.array_equal(read_clip(path).wave.numpy(), expected)
    assert read_recording(path).samples.shape == (1, len(expected))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.45, 0.6, 0.95])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, kind: str, share: float):
    path = tmp_path / "a.x"
    raw = encoded(kind)
    path.write_bytes(raw[: int(share * len(raw))])
    for read in (read_clip, read_recording):
        with pytest.raises(ValueError, match=r"'a.x' .*(cut off|cannot be read as audio).*xport"):
            read(path)


def test_a_cut_flac_of_unknown_length_is_refused(tmp_path: Path):
    raw = unknown_flac(encoded("flac"))
    (tmp_path / "a.flac").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ValueError, match="ends within a frame; it was cut off"):
        read_clip(tmp_path / "a.flac")


@pytest.mark.parametrize("data", [10, RATE])
def test_more_sound_than_the_header_says_is_refused(tmp_path: Path, data: int):
    raw = encoded("wav")
    (tmp_path / "a.wav").write_bytes(sized(raw, len(raw) - 8, data))
    with pytest.raises(ValueError, match="has more than its header says"):
        read_clip(tmp_path / "a.wav")


@pytest.mark.parametrize("wave", [np.random.default_rng(k).normal(0, 0.2, 20_000) for k in (0, 1)])
def test_flac_of_any_length_and_of_noise_is_counted(tmp_path: Path, wave: np.ndarray):
    for length in (9_000, 12_288, 16_384, 20_000):
        (tmp_path / "a.flac").write_bytes(unknown_flac(encoded("flac", wave[:length])))
        assert read_clip(tmp_path / "a.flac").wave.shape == (length,)


def test_the_name_decides_nothing_and_is_shown_printable(tmp_path: Path):
    (tmp_path / "a.raw").write_bytes(encoded("wav"))
    assert read_clip(tmp_path / "a.raw").wave.shape == (len(tone()),)
    latin = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m.wav"))
    latin.write_bytes(encoded("wav"))
    assert read_clip(latin).wave.shape == (len(tone()),)
    latin.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="cannot be read as audio") as error:
        read_clip(latin)
    assert str(error.value).isprintable()
    str(error.value).encode()


@pytest.mark.parametrize("channels", [255, 1024])
def test_more_channels_than_a_recording_has_are_said(tmp_path: Path, channels: int):
    wave = np.zeros((RATE, channels), np.int16)
    soundfile.write(tmp_path / "a.wav", wave, RATE)
    with pytest.raises(ValueError, match=f"has {channels} channels; 1 to 64 are read"):
        read_clip(tmp_path / "a.wav")


def test_a_wav_whose_bits_and_bytes_differ_is_refused(tmp_path: Path):
    raw = encoded("wav")
    raw[34:36] = (1).to_bytes(2, "little")
    (tmp_path / "a.wav").write_bytes(raw)
    with pytest.raises(ValueError, match="has samples of 1 bits in 2 bytes; it is damaged"):
        read_clip(tmp_path / "a.wav")


def test_a_damaged_mp3_is_said_before_it_is_decoded(tmp_path: Path):
    raw = encoded("mp3")
    raw[:288] = b""  # the frame that has a header of its own
    raw[1440:1640] = bytes(200)
    (tmp_path / "a.mp3").write_bytes(raw)
    with pytest.raises(ValueError, match="is no longer MPEG audio from byte"):
        read_clip(tmp_path / "a.mp3")


def read_of(folder: Path, raw: bytes) -> np.ndarray:
    """Samples of a file with these bytes, by both readers."""
    (folder / "a.x").write_bytes(raw)
    samples = read_recording(folder / "a.x").samples
    clip = read_clip(folder / "a.x").wave.numpy()
    assert samples.shape == (1, len(clip))
    return clip


def spoken(folder: Path, raw: bytes, sentence: str) -> None:
    """Both readers refuse these bytes with this sentence."""
    (folder / "a.x").write_bytes(raw)
    for read in (read_clip, read_recording):
        with pytest.raises(ValueError, match=rf"'a\.x' {sentence}"):
            read(folder / "a.x")


def as_file(kind: str, **named: str) -> bytearray:
    raw = io.BytesIO()
    soundfile.write(raw, tone(), RATE, format=kind, **named)
    return bytearray(raw.getvalue())


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32"])
def test_a_codec_that_cannot_seek_is_read_to_its_end(tmp_path: Path, subtype: str):
    rate = 8_000 if subtype != "GSM610" else RATE
    soundfile.write(tmp_path / "a.wav", tone(), rate, subtype=subtype)
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert not file.seekable()
        expected = file.read(file.frames, dtype="float32")
    assert np.array_equal(read_of(tmp_path, (tmp_path / "a.wav").read_bytes()), expected)


@pytest.mark.parametrize(
    ("kind", "at", "data"),
    [
        ("AU", 8, bytes(4)),
        ("AU", 8, b"\xff" * 4),
        ("CAF", None, b"\xff" * 8),
        ("RF64", 28, bytes(8)),
        ("W64", None, b"\xff" * 7 + b"\x7f"),
        ("AIFF", None, bytes(4)),
    ],
)
def test_every_container_may_leave_its_length_unsaid(
    tmp_path: Path, kind: str, at: int | None, data: bytes
):
    raw = as_file(kind)
    if at is None:
        at = {"CAF": raw.find(b"data") + 4, "W64": raw.find(b"data\xf3") + 16}.get(
            kind, raw.find(b"SSND") + 4
        )
    expected = read_of(tmp_path, raw)
    raw[at : at + len(data)] = data
    assert np.array_equal(read_of(tmp_path, raw), expected)


def half_said(kind: str) -> bytearray:
    """A file whose header says half of its samples."""
    raw, half = as_file(kind), len(tone())
    if kind == "AU":
        raw[8:12] = half.to_bytes(4, "big")
    elif kind == "CAF":
        at = raw.find(b"data") + 4
        raw[at : at + 8] = (half + 4).to_bytes(8, "big")
    elif kind == "W64":
        at = raw.find(b"data\xf3") + 16
        raw[at : at + 8] = (half + 24).to_bytes(8, "little")
    return raw


@pytest.mark.parametrize("kind", ["AU", "CAF", "W64"])
def test_half_of_the_sound_in_the_header_is_said(tmp_path: Path, kind: str):
    spoken(tmp_path, half_said(kind), r"has more than its header says \(\d+ bytes after its sound")


def test_zeros_in_the_middle_of_the_sound_are_not_its_end(tmp_path: Path):
    raw, half = encoded("wav"), len(tone())
    raw[44 + half : 44 + half + 400] = bytes(400)
    spoken(tmp_path, sized(raw, len(raw) - 8, half), "has more than its header says")
    raw[44 + half :] = bytes(len(raw) - 44 - half)
    assert len(read_of(tmp_path, raw)) == half // 2  # nothing but zeros: padding


def test_a_little_endian_au_that_was_cut_off_is_said(tmp_path: Path):
    raw = as_file("AU", endian="LITTLE")
    assert len(read_of(tmp_path, raw)) == len(tone())
    spoken(tmp_path, raw[: len(raw) * 6 // 10], r"has 0\.78 s of the 1\.30 s that it says; it was")


def test_a_big_endian_wav_is_checked_too(tmp_path: Path):
    raw = as_file("WAV", endian="BIG")
    assert raw[:4] == b"RIFX"
    assert len(read_of(tmp_path, raw)) == len(tone())
    spoken(tmp_path, raw[: len(raw) * 6 // 10], r"has 0\.78 s of the 1\.30 s that it says; it was")


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "OPUS", "AU", "CAF", "W64", "AIFF", "WAV"])
def test_a_second_recording_after_the_first_is_said(tmp_path: Path, kind: str):
    raw = as_file("OGG", subtype="OPUS") if kind == "OPUS" else as_file(kind)
    spoken(tmp_path, raw + raw, "has (more than its header says|a second recording after the)")


@pytest.mark.parametrize("kind", ["W64", "AU", "CAF", "AIFF", "WAV", "RF64"])
def test_foreign_bytes_at_the_end_are_not_taken_as_sound(tmp_path: Path, kind: str):
    spoken(tmp_path, as_file(kind) + b"\xff\xfb\x90\0junk" * 500, "has more than its header says")


def test_a_chunk_after_the_sound_of_wave64_is_not_sound(tmp_path: Path):
    raw = as_file("W64")
    expected = read_of(tmp_path, raw)
    summary = b"levl\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a" + (56).to_bytes(8, "little")
    assert np.array_equal(read_of(tmp_path, raw + summary + b"\x55" * 32), expected)


RARE = ("VOC", "NIST", "SVX", "PAF", "IRCAM", "MAT4", "MAT5", "AVR", "SDS", "PVF", "HTK", "WVE")


@pytest.mark.parametrize("kind", [*RARE, "XI"])
def test_a_container_whose_length_cannot_be_checked_is_not_read(tmp_path: Path, kind: str):
    subtype = {"WVE": "ALAW", "XI": "DPCM_16"}.get(kind, "PCM_16")
    soundfile.write(tmp_path / "b", tone(), RATE, format=kind, subtype=subtype)
    raw = (tmp_path / "b").read_bytes()
    spoken(tmp_path, raw, r"is .*; WAV, .* are read\. Convert it to WAV or FLAC")


TAG = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)


@pytest.mark.parametrize("kind", ["FLAC", "WAV", "MP3", "AIFF"])
def test_a_tag_before_the_sound_is_skipped(tmp_path: Path, kind: str):
    raw = as_file(kind)
    expected = read_of(tmp_path, raw)
    for tags in (TAG, TAG + TAG):
        found = read_of(tmp_path, tags + raw)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= (1e-6 if kind == "MP3" else 0)


def test_a_flac_from_a_pipe_may_end_with_a_tag(tmp_path: Path):
    raw = unknown_flac(encoded("flac")) + b"TAG" + bytes(125)
    assert len(read_of(tmp_path, raw)) == len(tone())


@pytest.mark.parametrize("tag", [b"", TAG])
def test_aac_is_named(tmp_path: Path, tag: bytes):
    frame = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(10)
    spoken(tmp_path, tag + frame * 50, r"is AAC; WAV, .* are read\. Convert it to WAV or FLAC")


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "W64", "RF64"])
def test_a_loss_that_nobody_hears_is_not_said(tmp_path: Path, kind: str):
    raw = as_file(kind)
    assert len(read_of(tmp_path, raw[:-3])) == len(tone()) - 2


@pytest.mark.parametrize("off", [-1, 1, 3_000, -3_000])
def test_the_lengths_of_a_flac_are_said_in_seconds(tmp_path: Path, off: int):
    raw = encoded("flac")
    stated = len(tone()) + off
    raw[22:26] = stated.to_bytes(4, "big")
    if abs(off) == 1:
        assert len(read_of(tmp_path, raw)) == len(tone())
    else:
        spoken(
            tmp_path, raw, rf".*1\.30 s of sound and (its header says|not) {stated / RATE:.2f} s; "
        )
