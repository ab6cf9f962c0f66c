"""The corpus of nano: archetypes do to the sound what their table says; shards read back."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the corpus recipe needs scipy")

from recipes.nano.corpus.archetypes import EMOTIONS, STYLES, Archetype
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.corpus.shaping import apply, scaled
from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.sounds import insert
from recipes.nano.corpus.texts import Grammar
from recipes.nano.corpus.vocoder import (
    HOP,
    RATE_HZ,
    Frames,
    analyse,
    silence,
    stretch,
    synthesise,
)
from recipes.nano.export import edit_options, offered_options
from stepedit_core.bundle.manifest import read_manifest
from stepedit_core.text.edits import OWN, offered

SHIPPED = Path(__file__).parents[3] / "stepedit_core/assets/nano"


def vowel(frames: int = 80, f0_hz: float = 150.0) -> Frames:
    """A steady voiced sound with a formant at 700 Hz and little noise."""
    bins = np.arange(601) * 20.0
    shape = (-3.0 - ((bins - 700) / 900) ** 2 / 2).clip(-9).astype(np.float32)
    return Frames(
        harmonic=np.tile(shape, (frames, 1)),
        noise=np.full((frames, 601), -9.0, np.float32),
        f0=np.full(frames, f0_hz, np.float32),
        phones=np.full(frames, 7, np.uint8),
        words=np.repeat(np.arange(4), frames // 4).astype(np.int16),
    )


def pitch_hz(wave: np.ndarray) -> float:
    """F0 of the middle half second by autocorrelation, 70 to 400 Hz."""
    cut = wave[len(wave) // 2 - 6000 : len(wave) // 2 + 6000]
    power = np.abs(np.fft.rfft(cut, 2 * len(cut))) ** 2
    lags = np.fft.irfft(power)[60:343]
    return RATE_HZ / (60 + int(lags.argmax()))


def level_db(wave: np.ndarray) -> float:
    """RMS in decibels."""
    return float(10 * np.log10((wave**2).mean() + 1e-12))


def rendered(row: Archetype) -> np.ndarray:
    """The vowel in the manner of a row."""
    return synthesise(
        apply(vowel(), row, 150.0, np.random.default_rng(0)), np.random.default_rng(1)
    )


def test_synthesis_speaks_at_the_f0_it_was_given() -> None:
    wave = synthesise(vowel(f0_hz=150.0), np.random.default_rng(0))
    assert len(wave) == 80 * HOP
    assert pitch_hz(wave) == pytest.approx(150, rel=0.02)  # one lag at 150 Hz is 0.6 %


def test_analysis_and_synthesis_keep_the_level() -> None:
    frames = vowel()
    wave = synthesise(frames, np.random.default_rng(0))
    share = np.zeros((len(frames), 601), np.float32)
    again = analyse(wave, frames.f0, share, frames.phones, frames.words)
    copy = synthesise(again, np.random.default_rng(0))
    assert level_db(copy) == pytest.approx(level_db(wave), abs=1.5)  # smoothing over one F0


def test_happy_is_higher_and_sad_lower_and_softer_than_neutral() -> None:
    neutral, happy, sad = (
        rendered(row) for row in (Archetype(), EMOTIONS["happy"], EMOTIONS["sad"])
    )
    assert pitch_hz(happy) > 1.1 * pitch_hz(neutral)
    assert pitch_hz(sad) < 0.95 * pitch_hz(neutral)
    assert level_db(sad) < level_db(neutral) - 2


def test_a_third_of_happy_lies_between_neutral_and_happy() -> None:
    third = pitch_hz(rendered(scaled(EMOTIONS["happy"], 1 / 3)))
    assert 1.02 * 150 < third < 0.97 * pitch_hz(rendered(EMOTIONS["happy"]))


def test_whisper_has_no_voice() -> None:
    frames = apply(vowel(), STYLES["whisper"], 150.0, np.random.default_rng(0))
    assert not frames.f0.any()
    wave = synthesise(frames, np.random.default_rng(1))
    cut = wave[6000:18000] - wave[6000:18000].mean()
    lag = RATE_HZ // 150
    assert abs(np.corrcoef(cut[:-lag], cut[lag:])[0, 1]) < 0.4  # a voiced vowel gives above 0.9


@pytest.mark.parametrize("name", [*EMOTIONS, *STYLES])
def test_every_row_keeps_its_length_factor_and_stays_finite(name: str) -> None:
    row = (EMOTIONS | STYLES)[name]
    frames = apply(vowel(), row, 150.0, np.random.default_rng(0))
    assert len(frames) == round(80 * row.length)
    assert np.isfinite(synthesise(frames, np.random.default_rng(1))).all()


@pytest.mark.parametrize("kind", ["emotion", "style", "speed"])
def test_what_the_corpus_teaches_is_offered_and_what_is_our_own_is_taught(kind: str) -> None:
    taught = edit_options()[kind]
    assert set(taught) <= set(offered(kind)), "an option is missing in text/edits.py"
    assert set(OWN[kind]) <= set(taught), "an option of OWN is missing in archetypes.py"


def test_the_shipped_bundle_offers_what_an_export_would() -> None:
    """Decision 0038 withholds an option by the bundle's JSON; an export must not bring it back."""
    shipped = read_manifest(SHIPPED).edit_options
    assert shipped == offered_options(("emotion", "style"))
    assert "whisper" in edit_options()["style"], "it is taught all the same"
    assert "whisper" not in shipped["style"]


def test_strength_0_is_the_neutral_row() -> None:
    row = scaled(STYLES["shout"], 0.0)
    assert {k: v for k, v in vars(row).items() if k != "source"} == {
        k: v for k, v in vars(Archetype()).items() if k != "source"
    }


def test_stretch_changes_the_frame_count_and_keeps_the_pitch() -> None:
    longer = stretch(vowel(), 120)
    assert len(longer) == 120
    assert pitch_hz(synthesise(longer, np.random.default_rng(0))) == pytest.approx(150, rel=0.02)


def test_an_inserted_sound_adds_a_tag_and_keeps_every_word() -> None:
    text = "we won the game."
    frames, new_text = insert(vowel(), text, [("Uhm", silence(20))], np.random.default_rng(3))
    assert "[Uhm]" in new_text.split()
    assert [w for w in new_text.split() if w != "[Uhm]"] == text.split()
    assert len(frames) > 100


def test_a_shard_reads_back_what_was_added(tmp_path) -> None:
    wave = np.linspace(-0.5, 0.5, 3 * HOP, dtype=np.float32)
    shard = Shard(tmp_path / "plain" / "plain-00000")
    f0, phones = np.array([0, 100, 120.0]), np.array([0, 3, 4])
    shard.add({"id": "a", "text": "one"}, wave, f0, phones)
    shard.add({"id": "b", "text": "two"}, -wave, f0, None)
    corpus = Corpus(tmp_path)
    assert corpus.records == []  # nothing until the manifest is written
    shard.write()
    assert corpus.refresh() == 2
    first, second = corpus.records
    assert np.abs(corpus.audio(second) + wave).max() < 1 / 32768  # 16-bit steps
    assert corpus.phones(first).tolist() == [0, 3, 4]
    assert corpus.phones(second) is None
    assert corpus.f0(first).tolist() == [0, 100, 120]


def test_sentences_are_plain_words_and_repeat_with_the_generator() -> None:
    grammar = Grammar()
    texts = [grammar.text(np.random.default_rng(k)) for k in range(200)]
    assert texts == [grammar.text(np.random.default_rng(k)) for k in range(200)]
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.?!'")
    assert not set("".join(texts)) - allowed
    assert all(2 <= len(t.split()) <= 40 for t in texts)
