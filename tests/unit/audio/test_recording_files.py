"""Recordings read and written by parts are those in memory, sample for sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from stepedit_core.audio import recording_files
from stepedit_core.audio.recording_files import open_recording, parts_of, write_parts
from stepedit_core.audio.recordings import is_own_result, read_recording, write_recording
from tests.unit.conftest import voiced

KINDS = [
    ("a.wav", "PCM_16"),
    ("a.wav", "PCM_24"),
    ("a.wav", "PCM_U8"),
    ("a.wav", "FLOAT"),
    ("a.wav", "DOUBLE"),
    ("a.flac", "PCM_16"),
    ("a.ogg", "VORBIS"),
]


@pytest.mark.parametrize(("name", "subtype"), KINDS)
def test_parts_are_the_whole(
    tmp_path: Path, name: str, subtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_files, "BLOCK", 4_000)
    wave = voiced(1.5, 24_000).numpy()
    soundfile.write(tmp_path / name, np.stack([wave, -0.5 * wave], 1), 24_000, subtype=subtype)
    whole = read_recording(tmp_path / name)
    with open_recording(tmp_path / name) as source:
        assert (source.length, source.channels) == (whole.length, 2)
        assert (source.sample_rate, source.subtype) == (whole.sample_rate, whole.subtype)
        later, sooner = source.part(20_000, 99_999_999), source.part(-5, 7)
        assert torch.equal(later.samples, whole.samples[:, 20_000:])
        assert torch.equal(sooner.samples, whole.samples[:, :7])
        assert torch.equal(torch.cat(list(parts_of(source, 0, source.length)), 1), whole.samples)
        out = tmp_path / "out.wav"
        write_parts(out, source, lambda: parts_of(source, 0, source.length))
    write_recording(tmp_path / "memory.wav", whole)
    assert out.read_bytes() == (tmp_path / "memory.wav").read_bytes()
    assert is_own_result(out)


def test_an_mp3_is_the_same_every_time_and_the_whole_but_for_rounding(tmp_path: Path) -> None:
    wave = voiced(1.5, 24_000).numpy()
    soundfile.write(tmp_path / "a.mp3", np.stack([wave, -0.5 * wave], 1), 24_000)
    parts = []
    for _ in range(2):
        with open_recording(tmp_path / "a.mp3") as source:
            parts.append(source.part(0, source.length).samples)
            assert torch.equal(source.part(777, 20_001).samples, parts[0][:, 777:20_001])
    assert torch.equal(*parts)
    # libsndfile decodes MP3 a little otherwise for each number of samples that is asked for
    whole = read_recording(tmp_path / "a.mp3").samples
    assert torch.allclose(parts[0], whole, rtol=0, atol=2e-4)


def test_a_file_that_is_cut_off_is_said_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, voiced(3.0, 24_000).numpy(), 24_000)
    path.write_bytes(path.read_bytes()[:-9_000])
    with pytest.raises(ValueError, match="it was cut off"), open_recording(path):
        pass


def test_nothing_is_left_where_the_result_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, voiced(1.0, 24_000).numpy(), 24_000)

    def parts() -> object:
        yield torch.zeros(1, 100, dtype=torch.int16)
        raise ValueError("no more")

    with open_recording(path) as source, pytest.raises(ValueError, match="no more"):
        write_parts(tmp_path / "out.wav", source, parts)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
