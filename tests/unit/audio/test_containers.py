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
