"""Reading and writing clips: what is accepted, and the sentence for what is not."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from stepedit_core.audio.files import read_clip, write_wav
from stepedit_core.types import Clip


def tone(seconds: float = 1.0, rate: int = 24_000) -> np.ndarray:
    return 0.5 * np.sin(2 * math.pi * 300 * np.arange(round(seconds * rate)) / rate)


def clip(wave: np.ndarray | torch.Tensor, rate: int = 24_000) -> Clip:
    return Clip(wave=torch.as_tensor(wave, dtype=torch.float32), sample_rate=rate)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "PCM_U8"),
        ("wav", "FLOAT"),
        ("flac", "PCM_16"),
        ("ogg", "VORBIS"),
        ("mp3", "MPEG_LAYER_III"),
    ],
)
def test_every_common_format_is_read(tmp_path, suffix, subtype):
    path = tmp_path / f"in.{suffix}"
    soundfile.write(path, tone(), 24_000, subtype=subtype)
    got = read_clip(path)
    assert got.sample_rate == 24_000
    assert got.wave.dtype == torch.float32
    assert got.seconds == pytest.approx(1.0, abs=0.1)  # lossy coders pad the end
    # level and not shape, since lossy coders shift by some samples
    assert float(got.wave.std()) == pytest.approx(0.5 / math.sqrt(2), rel=0.1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 192_000])
def test_every_rate_from_8_to_192_khz_is_read(tmp_path, rate):
    soundfile.write(tmp_path / "in.wav", tone(rate=rate), rate)
    assert read_clip(tmp_path / "in.wav").sample_rate == rate


def test_channels_are_averaged(tmp_path):
    both = np.stack([tone(), 0.2 * tone()], axis=1)
    soundfile.write(tmp_path / "in.wav", both, 24_000, subtype="FLOAT")
    want = torch.from_numpy(both.mean(axis=1)).float()
    torch.testing.assert_close(read_clip(tmp_path / "in.wav").wave, want, atol=1e-7, rtol=0)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file at '.*gone\.wav'; .* Check the path"):
        read_clip(tmp_path / "gone.wav")


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "in.wav").touch()
    with pytest.raises(ValueError, match=r"'in\.wav' is empty \(0 bytes\); .* Save the recording"):
        read_clip(tmp_path / "in.wav")


def test_a_text_file_is_not_audio(tmp_path):
    (tmp_path / "in.wav").write_text("hello " * 100)
    with pytest.raises(
        ValueError, match=r"'in\.wav' cannot be read as audio; .* Convert it to WAV"
    ):
        read_clip(tmp_path / "in.wav")


def test_a_long_file_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "in.wav", tone(31.0, 8_000), 8_000)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_a, **_k: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"31\.00 s long; 0\.5 to 30 s .* Cut it"):
        read_clip(tmp_path / "in.wav")


def test_a_written_clip_reads_back_to_16_bits(tmp_path):
    write_wav(tmp_path / "out.wav", clip(tone()))
    got = read_clip(tmp_path / "out.wav")
    torch.testing.assert_close(got.wave, clip(tone()).wave, atol=1.01 / 32_768, rtol=0)
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_16"


def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap(tmp_path):
    write_wav(tmp_path / "out.wav", clip(4 * tone()))
    wave = read_clip(tmp_path / "out.wav").wave
    assert float(wave.abs().max()) == pytest.approx(1.0, abs=1e-4)
    assert float((wave * clip(tone()).wave).min()) > -1e-4  # a wrapped sample has the other sign


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")

    def fail(*_args: object, **_named: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(soundfile, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_wav(path, clip(tone()))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no folder at .*; .* Create it first"):
        write_wav(tmp_path / "gone" / "out.wav", clip(tone()))


@pytest.mark.parametrize(
    ("wave", "found"),
    [
        (torch.full((24_000,), float("nan")), "24000 NaN or infinite samples"),
        (torch.zeros(2, 24_000), r"the shape \(2, 24000\)"),
    ],
)
def test_a_wave_that_is_not_one_channel_of_numbers_is_not_written(tmp_path, wave, found):
    with pytest.raises(ValueError, match=rf"'out\.wav' has {found}; .* Make it again"):
        write_wav(tmp_path / "out.wav", clip(wave))
    assert not list(tmp_path.iterdir())


def test_a_folder_and_a_pipe_are_no_recordings_and_said_to_be_so(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a folder; an audio file is needed"):
        read_clip(tmp_path)
    with pytest.raises(ValueError, match="is not a plain file; an audio file is needed"):
        read_clip(tmp_path / "pipe")
