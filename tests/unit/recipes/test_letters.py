"""The recogniser's training: its targets, its corpus, a step, and into a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.nano.add_recogniser import add_recogniser
from recipes.nano.channels import telephone
from recipes.nano.corpus.copied import make_copied
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.corpus.said import drawn_voice, word_spans
from recipes.nano.corpus.shards import Shard
from recipes.nano.judge_letters import auc, changed, limit_of, wrong_share
from recipes.nano.train_letters import (
    features,
    heard_again,
    letter_errors,
    letters_of,
    loss_of,
    masked,
    space_targets,
    usable,
)
from stepedit_core.bundle.manifest import read_manifest
from stepedit_core.models.letters import FIRST_SECONDS, FRAME_SECONDS, Letters, LettersConfig
from stepedit_core.text.letters import SPACE, text_of

TINY = {"d_model": 8, "heads": 2, "layers": 1, "ffn": 12}


def test_the_space_fills_pauses_and_one_frame_where_words_meet() -> None:
    goal = space_targets([[0.2, 0.4], [0.4, 0.6], [0.8, 1.0]], 60)
    middle = FIRST_SECONDS + FRAME_SECONDS * (np.arange(60) + 0.5)
    meets = int(np.abs(middle - 0.4).argmin())
    said = {t for t in range(60) if goal[t] == 0}
    inside = {t for t in range(60) if 0.2 <= middle[t] < 0.6 or 0.8 <= middle[t] < 1.0}
    assert said == inside - {meets}


def test_a_text_has_a_space_at_both_ends() -> None:
    assert text_of(letters_of("Hello, 2 worlds!")) == " hello two worlds "


def test_words_are_found_among_frames() -> None:
    words = np.array([-1, 0, 0, -1, 1, 1, 1, 2, -1])
    assert word_spans(words) == [[0.0125, 0.0375], [0.05, 0.0875], [0.0875, 0.1]]
    assert word_spans(np.array([0, 0, 2])) == []  # a word without a frame


def test_another_speed_moves_the_times_of_words() -> None:
    wave = np.sin(np.arange(24_000) / 5).astype(np.float32)
    lengths = set()
    for seed in range(12):
        heard, spans = heard_again(np.random.default_rng(seed), wave, [[0.25, 0.5]])
        assert spans is not None
        # the wave and the times change by the same factor
        assert len(heard) / 16_000 == pytest.approx(2 * spans[0][1], abs=0.002)
        lengths.add(len(heard))
    assert len(lengths) > 3


def test_a_telephone_has_no_bass_and_no_treble() -> None:
    rng = np.random.default_rng(1)
    wave = rng.standard_normal(16_000).astype(np.float32)
    power = np.abs(np.fft.rfft(telephone(rng, wave, 16_000))) ** 2
    assert power[1000:2000].mean() > 100 * max(power[:100].mean(), power[6000:].mean())


def test_a_step_learns_letters_and_spaces() -> None:
    torch.random.default_generator.manual_seed(0)
    model = Letters(LettersConfig(**TINY))
    rng = np.random.default_rng(0)
    loud = np.sin(np.linspace(0, 3, 16_000)) ** 2  # so that frames differ
    rows = [features((loud * rng.standard_normal(16_000)).astype(np.float32)) for _ in range(2)]
    model.cmvn_shift.fill_(-10.0)
    model.cmvn_rescale.fill_(0.2)
    rows[1] = masked(rng, rows[1])
    words = [letters_of("ab"), letters_of("c")]
    spaces = [space_targets([[0.2, 0.8]], 3 * len(rows[0])), None]
    before = [value.item() for value in loss_of(model, rows, words, spaces)[:2]]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        letters, space, chances = loss_of(model, rows, words, spaces)
        optimizer.zero_grad()
        (letters + space).backward()
        optimizer.step()
    after = [letters.item(), space.item()]
    assert all(b < 0.7 * a for a, b in zip(before, after, strict=True))
    assert chances[0, 0, SPACE].exp() > 0.5
    # nothing is asked of frames whose words have no times
    assert loss_of(model, rows[1:], words[1:], [None])[1].item() == 0.0


def test_errors_are_counted() -> None:
    assert letter_errors("kitten", "sitting") == 3
    assert wrong_share("One, two three", "1 2 tree") == pytest.approx(1 / 3)
    text = changed(np.random.default_rng(0), "a b c d e f", ["x"])
    assert text.split().count("x") == 2
    assert auc([0, 1], [1, 2]) == pytest.approx(0.875)
    assert limit_of(range(101), 0.1) == 90


def test_copies_keep_the_words_and_times_of_their_clips(tmp_path: Path) -> None:
    times = [[0.1, 0.4]]
    for stage, fields in (("said", {"words": times}), ("read", {"log_prob": -0.2})):
        shard = Shard(tmp_path / stage / f"{stage}-00000")
        for split in ("train", "dev"):
            record = {"id": f"{stage}-{split}", "text": "hi", "speaker": "a", "split": split}
            shard.add(record | fields, np.full(24_000, 0.25, np.float32), np.zeros(80), None)
        shard.write()
    shard = Shard(tmp_path / "copied/copied-00000")
    make_copied(shard, 0, tmp_path, lambda wave: wave[:-100] / 2)
    shard.write()
    corpus = Corpus(tmp_path, ("copied",))
    assert len(corpus.records) == 64
    assert {record["of"] for record in corpus.records} == {"said-train", "read-train"}
    assert corpus.records[1]["words"] == times
    assert corpus.audio(corpus.records[0]).mean() == pytest.approx(0.125, abs=1e-4)
    assert [corpus.records[i]["of"] for i in usable(corpus)[:2]] == ["read-train", "said-train"]


def test_voices_differ() -> None:
    voices = [drawn_voice(np.random.default_rng(seed)) for seed in range(200)]
    assert {voice.formants for voice in voices} == set(range(16, 26))
    assert 0 < sum(not voice.f0_hz for voice in voices) < 25  # some whisper


def test_a_trained_recogniser_goes_into_a_bundle(bundles: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(bundles / "tiny", tmp_path / "tiny")
    before = read_manifest(tmp_path / "tiny")
    with pytest.raises(SystemExit, match=r"has no final\.pt"):
        add_recogniser(tmp_path, tmp_path / "tiny", tmp_path / "card.json")
    model = Letters(LettersConfig(**TINY))
    torch.save({"model": model.state_dict(), "config": TINY}, tmp_path / "final.pt")
    limits = {"other_words": 1.5, "misfit_holds": 1.25, "heard_holds": 0.9}
    (tmp_path / "limits.json").write_text(json.dumps(limits))
    (tmp_path / "card.json").write_text('{"data": "d"}')
    for _ in range(2):  # a second time it takes the place of the first
        add_recogniser(tmp_path, tmp_path / "tiny", tmp_path / "card.json")
        after = read_manifest(tmp_path / "tiny")
        assert after.components["recogniser"] == LettersConfig(**TINY, **limits)
        assert (after.recogniser, after.card) == ("letters", {"data": "d"})
        for name, entry in before.files.items():
            assert after.files[name] == entry
