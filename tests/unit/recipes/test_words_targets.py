"""Targets of the tokenizer that learns from Whisper: the time of a copy at another speed."""

import numpy as np
import pytest

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.train_linguistic_words import Teacher, centres, example, read_at


def test_tokens_of_a_quick_copy_lie_further_apart_in_the_recording() -> None:
    assert centres(3, 1.0).ravel() == pytest.approx([0.0125, 0.0725, 0.1325])
    assert centres(3, 1.1).ravel() == pytest.approx([0.01375, 0.07975, 0.14575])


def test_tracks_are_read_where_a_time_lies_and_their_ends_last() -> None:
    track = np.arange(5)
    found = read_at(track, np.array([-0.1, 0.0, 0.019, 0.021, 9.0]), 0.02)
    assert found.tolist() == [0, 0, 0, 1, 4]


@pytest.mark.parametrize("seed", range(6))
def test_an_example_reads_phones_and_features_at_the_same_place(
    seed: int, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ramp as the teacher's feature and as the phones: both must tell the same time."""
    seconds = 3.0
    wave = np.random.default_rng(0).normal(size=int(24_000 * seconds)).astype(np.float32) * 0.05
    folder = tmp_path / "heard"
    folder.mkdir()
    ramp = np.repeat(np.arange(0, seconds, 0.02, dtype=np.float16)[:, None], 512, axis=1)
    np.save(folder / "one.npy", ramp)
    phones = (np.arange(0, seconds, 0.0125) / seconds * 200).astype(np.uint8)
    corpus = Corpus(tmp_path)
    monkeypatch.setattr(corpus, "audio", lambda _: wave)
    monkeypatch.setattr(corpus, "phones", lambda _: phones)
    rows, frames, said = example(
        corpus, {"id": "one"}, Teacher(folder), np.random.default_rng(seed)
    )
    times = frames[:, 1, 0].float().numpy()
    assert len(rows) == len(frames) == len(said)
    assert np.abs(times - said.float().mean(1).numpy() / 200 * seconds).max() < 0.035
    assert times[-1] == pytest.approx(seconds, abs=0.13)  # the whole clip at any speed
