"""A recording keeps every sample of its file, whatever the file's kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from stepedit_core.audio import recordings
from stepedit_core.audio.recording_files import open_recording, parts_of, write_parts
from stepedit_core.audio.recordings import (
    Recording,
    is_own_result,
    read_recording,
    write_recording,
)

KINDS = [
    ("wav", "PCM_U8"),
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "PCM_32"),
    ("wav", "FLOAT"),
    ("wav", "DOUBLE"),
    ("flac", "PCM_S8"),
    ("flac", "PCM_16"),
    ("flac", "PCM_24"),
]


@pytest.mark.parametrize(("suffix", "subtype"), KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_come_back_as_they_were(
    tmp_path: Path, suffix: str, subtype: str, channels: int
) -> None:
    drawn = np.random.default_rng(3).uniform(-1.0, 1.0, (700, channels))
    first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    soundfile.write(first, drawn, 44_100, subtype=subtype)
    recording = read_recording(first)
    assert recording.samples.shape == (channels, 700)
    assert recording.subtype == subtype
    write_recording(second, recording)
    assert torch.equal(read_recording(second).samples, recording.samples)
    assert soundfile.info(second).subtype == subtype
    as_double = [soundfile.read(path, dtype="float64")[0] for path in (first, second)]
    assert np.array_equal(*as_double)


def test_a_lossy_file_is_written_as_it_was_decoded(tmp_path: Path) -> None:
    tone = np.sin(np.arange(24_000) / 9) * 0.4
    soundfile.write(tmp_path / "a.ogg", tone, 24_000)
    recording = read_recording(tmp_path / "a.ogg")
    write_recording(tmp_path / "b.wav", recording)
    assert torch.equal(read_recording(tmp_path / "b.wav").samples, recording.samples)


def test_the_mix_of_a_part_is_a_clip() -> None:
    samples = torch.tensor([[16_384, 0, 8_192], [0, 16_384, 8_192]], dtype=torch.int16)
    clip = Recording(samples=samples, sample_rate=16_000).clip(1, 3)
    assert torch.equal(clip.wave, torch.tensor([0.25, 0.25]))


def test_files_that_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 16_000)
    for name, found in (
        ("absent.wav", "no file"),
        ("text.wav", "cannot be"),
        ("none.wav", "no sa"),
    ):
        with pytest.raises(ValueError, match=found):
            read_recording(tmp_path / name)


def test_names_that_cannot_keep_the_samples(tmp_path: Path) -> None:
    floats = Recording(samples=torch.zeros(1, 9), sample_rate=16_000)
    for name, found in (("a.mp3", "does not end"), ("a.flac", "does not have")):
        with pytest.raises(ValueError, match=found):
            write_recording(tmp_path / name, floats)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_S8"])
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_result_is_known_whose_file_has_fewer_bits_than_its_samples(
    tmp_path: Path, name: str, subtype: str
) -> None:
    samples = torch.arange(-600, 600, dtype=torch.int16 if subtype == "PCM_S8" else torch.int32)
    samples = samples.reshape(2, 600) * 37  # what an edit made: the lowest byte is not zero
    recording = Recording(samples=samples, sample_rate=8_000, subtype=subtype)
    write_recording(tmp_path / name, recording)
    assert is_own_result(tmp_path / name)
    part = tmp_path / f"part-{name}"
    write_parts(part, recording, lambda: parts_of(recording, 0, 600))
    assert is_own_result(part)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_result_is_known_until_its_samples_change(tmp_path: Path, name: str) -> None:
    samples = torch.arange(-600, 600, dtype=torch.int16).reshape(2, 600)
    recording = Recording(samples=samples, sample_rate=8_000, subtype="PCM_16")
    path = tmp_path / name
    assert not is_own_result(path)
    write_recording(path, recording)
    assert is_own_result(path)
    with soundfile.SoundFile(path) as file:
        mark = file.comment
    with soundfile.SoundFile(path, "w", 8_000, 2, "PCM_16") as file:
        file.comment = mark
        file.write(samples.T.numpy() // 2)  # somebody worked on it in an editor
    assert not is_own_result(path)
    path.write_bytes(b"RIFF of nothing")
    assert not is_own_result(path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_samples_that_are_not_numbers_are_named_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    monkeypatch.setattr(recordings, "CHECKED", 1000)
    wave = np.zeros((16_000, 2), np.float32)
    wave[12_000:12_003, 1] = bad
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    said = r"NaN or infinite samples \(3 of 32000\), the first at 1\.50 s; .* Export it again"
    with pytest.raises(ValueError, match=said):
        read_recording(tmp_path / "a.wav")
    with open_recording(tmp_path / "a.wav") as source, pytest.raises(ValueError, match=said):
        recordings.check_finite(source)
