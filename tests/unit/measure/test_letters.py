"""The letter recogniser: words, their times and whether a transcript fits, from known letters."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.audio.recordings import Recording, read_recording
from stepedit_core.bundle.manifest import Manifest, read_manifest
from stepedit_core.bundle.parts import build_part
from stepedit_core.bundle.write import write_bundle
from stepedit_core.measure import letters as hearing
from stepedit_core.measure.hearing import hear, hear_surely
from stepedit_core.measure.holding import (
    MISFIT_MOST,
    damage,
    faults_of,
    recording_notes,
    with_heard,
)
from stepedit_core.measure.letters import LettersRecogniser
from stepedit_core.measure.recognisers import recogniser_for, recogniser_of
from stepedit_core.models.letters import FRAME_SECONDS, PER_ROW, Letters, LettersConfig
from stepedit_core.pipelines.listened import compared
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.text.letters import BLANK, CLASSES, letter_ids
from stepedit_core.types import Clip, DualCodes, Round, SilentHooks, Voice
from tests.rounds import finished

TINY = LettersConfig(d_model=8, heads=2, layers=2, ffn=12, misfit_holds=0.5, other_words=0.8)
RATE = 16_000


class Scripted(Letters):
    """Hears a script: one character a frame, `_` for the blank, then spaces for ever.

    Every clip has the whole script; in `pieces` the next one continues it.
    """

    def __init__(self, script: str, *, pieces: bool = False) -> None:
        super().__init__(TINY)
        self.script, self.pieces = script, pieces
        self.at = 0

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        frames = PER_ROW * features.shape[1]
        part = self.script[self.at : self.at + frames].ljust(frames)
        self.at += frames * self.pieces
        rows = torch.full((1, frames, CLASSES), -8.0)
        for t, letter in enumerate(part):
            rows[0, t, BLANK if letter == "_" else letter_ids(letter)[0]] = -0.01
        return rows


def clip_of(seconds: float) -> Clip:
    """A tone."""
    time = torch.arange(round(seconds * RATE)) / RATE
    return Clip(wave=0.3 * torch.sin(2 * torch.pi * 200 * time), sample_rate=RATE)


SCRIPT = "     the__ c_a_t___     s_at   "
"""Words at frames 5, 11 to 19 and 24 to 28; the first two meet in frame 10."""


def at(frame: float) -> float:
    return hearing.FIRST_SECONDS + frame * FRAME_SECONDS


@pytest.fixture
def recogniser() -> LettersRecogniser:
    return LettersRecogniser(Scripted(SCRIPT))


def test_words_are_heard_where_their_letters_are(recogniser: LettersRecogniser) -> None:
    words = recogniser.transcribe(clip_of(0.62))
    assert [word.text for word in words] == ["the", "cat", "sat"]
    times = [time for word in words for time in (word.start, word.end)]
    expected = [at(5), at(10.5), at(10.5), at(19), at(24), at(28)]
    assert times == pytest.approx(expected, abs=1e-9)
    assert all(word.confidence == pytest.approx(math.exp(-0.01)) for word in words)


def test_given_words_keep_their_writing_and_get_those_times(recogniser: LettersRecogniser) -> None:
    fit = recogniser.fit(clip_of(0.62), "The — cat, Sat!")
    assert [word.text for word in fit.words] == ["The", "—", "cat,", "Sat!"]
    assert fit.words[2].start == pytest.approx(at(10.5))
    assert (fit.words[1].start, fit.words[1].confidence) == (fit.words[0].end, 0.0)
    assert fit.misfit == pytest.approx(0.0, abs=1e-6)
    assert recogniser.align(clip_of(0.62), "The — cat, Sat!") == fit.words


def test_a_word_that_is_not_said_does_not_fit_and_is_found(recogniser: LettersRecogniser) -> None:
    fit = recogniser.fit(clip_of(0.62), "the dog sat")
    assert fit.misfit > 1.0
    assert fit.misfits.index(max(fit.misfits)) == 1
    assert fit.misfits[0] < 0.2
    assert fit.words[1].confidence < fit.words[0].confidence


def test_words_that_do_not_fit_are_named(recogniser: LettersRecogniser) -> None:
    assert recogniser.unfit_words(recogniser.fit(clip_of(0.62), "the Dog, sat")) == ("Dog,",)
    assert recogniser.unfit_words(recogniser.fit(clip_of(0.62), "the cat sat")) == ()
    assert recogniser.unfit_words(recogniser.fit(clip_of(0.62), "")) == ()


def test_a_draft_is_shown_and_never_taken_for_a_transcript(recogniser: LettersRecogniser) -> None:
    with pytest.raises(ValueError, match=r"spells by ear: it hears 'the cat sat'\. Correct these"):
        compared(recogniser, clip_of(0.62), " ")
    found = compared(recogniser, clip_of(0.62), "the dog sat")
    assert (found.text, found.given, found.heard) == ("the dog sat", True, "the cat sat")
    assert found.unfit == ("dog",)


def test_words_that_a_run_relies_on_are_no_draft(recogniser: LettersRecogniser) -> None:
    wave = clip_of(0.62).wave[None]
    source = Recording(samples=wave, sample_rate=RATE)
    assert [word.text for word in hear(recogniser, source)] == ["the", "cat", "sat"]
    assert hear_surely(recogniser, source, "The cat sat")[0].text == "The"
    with pytest.raises(ValueError, match=r"spells by ear: it hears 'the cat sat'"):
        hear_surely(recogniser, source)


@pytest.mark.parametrize("text", ["", "The cat sat", "0.0 0.5 hello"])
def test_no_words_are_looked_for_among_samples_that_are_not_numbers(
    recogniser: LettersRecogniser, text: str
) -> None:
    wave = clip_of(0.62).wave[None].clone()
    wave[0, 8000] = float("nan")
    with pytest.raises(ValueError, match=r"NaN or infinite samples .* the first at 0\.50 s"):
        hear(recogniser, Recording(samples=wave, sample_rate=RATE), text)


def test_a_number_has_the_time_of_all_its_words() -> None:
    script = "    twe_n_ty  f_i_ve____          "
    fit = LettersRecogniser(Scripted(script)).fit(clip_of(0.66), "25")
    (word,) = fit.words
    assert word.text == "25"
    assert fit.misfit < 0.1
    assert word.end - word.start > 0.2


@pytest.mark.parametrize("text", ["你好", "the cat sat " * 40])
def test_words_that_cannot_be_said_there_do_not_fit_at_all(
    recogniser: LettersRecogniser, text: str
) -> None:
    fit = recogniser.fit(clip_of(0.62), text)
    assert fit.misfit == math.inf
    assert fit.words
    assert len(fit.misfits) == len(fit.words)


def test_no_words_fit_any_clip_and_silence_has_none(recogniser: LettersRecogniser) -> None:
    assert recogniser.fit(clip_of(0.62), "").words == ()
    assert recogniser.transcribe(clip_of(0.01)) == ()
    assert LettersRecogniser(Scripted("")).transcribe(clip_of(1.0)) == ()


def test_a_long_clip_is_heard_in_pieces_at_its_own_times() -> None:
    far = " " * 1200 + " wo_rd_ "
    (word,) = LettersRecogniser(Scripted(far, pieces=True)).transcribe(clip_of(30.0))
    assert word.text == "word"
    assert word.start == pytest.approx(at(1201), abs=0.1)


def test_the_wave_may_have_any_rate() -> None:
    clip = Clip(wave=clip_of(0.62).wave.repeat_interleave(3), sample_rate=3 * RATE)
    words = LettersRecogniser(Scripted(SCRIPT)).transcribe(clip)
    assert [word.text for word in words] == ["the", "cat", "sat"]


@pytest.fixture(scope="module")
def folder(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with a letter recogniser."""
    tiny = bundles / "tiny"
    about = read_manifest(tiny)
    components = {**about.components, "recogniser": TINY}
    made: Manifest = replace(about, components=components, recogniser="letters", files={})
    out = tmp_path_factory.mktemp("letters") / "tiny"
    parts = {part: tiny / f"{part}.safetensors" for part in about.parts}
    network = {"recogniser": build_part(made, "recogniser", empty=False)}
    write_bundle(out, made, parts | network, tiny / "tokenizer.model")
    return out


@pytest.fixture
def heard(folder: Path) -> Bundle:
    return Registry().load(folder, device="cpu")


class TestBundle:
    """A bundle that says it has letters gets this recogniser, with its own limits."""

    def test_it_is_found_and_its_limits_are_those_of_the_bundle(self, heard: Bundle) -> None:
        found = recogniser_for(heard)
        assert isinstance(found, LettersRecogniser)
        assert type(found) is type(recogniser_of(heard))
        assert (found.limits.misfit, found.limits.other_misfit) == (0.5, 0.8)
        found.transcribe(clip_of(1.0))

    def test_an_edit_does_not_load_it_before_it_is_used(self, heard: Bundle) -> None:
        heard.load_all()
        assert "recogniser" not in heard.loaded

    def test_a_limit_beyond_reason_is_refused(self, folder: Path, tmp_path: Path) -> None:
        text = (folder / "bundle.json").read_text("utf-8")
        assert '"misfit_holds": 0.5' in text
        (tmp_path / "bundle.json").write_text(
            text.replace('"misfit_holds": 0.5', '"misfit_holds": 0'), "utf-8"
        )
        with pytest.raises(ValueError, match=r"misfit_holds is 0.*0\.01 to 100"):
            read_manifest(tmp_path)

    def test_another_kind_of_recogniser_is_refused(self, folder: Path, tmp_path: Path) -> None:
        text = (folder / "bundle.json").read_text("utf-8")
        (tmp_path / "bundle.json").write_text(
            text.replace('"recogniser": "letters"', '"recogniser": "ears"'), "utf-8"
        )
        with pytest.raises(ValueError, match="recogniser is text; paraformer or letters is"):
            read_manifest(tmp_path)

    def test_a_round_is_measured_by_the_fit(self, heard: Bundle, clip: Clip) -> None:
        plain = finished("happy", 1.0).measures
        assert plain is not None
        got = with_heard(heard, plain, clip, "Hello, [Sigh] world", hooks=SilentHooks())
        assert got.misfit is not None
        long = with_heard(heard, plain, clip, "Hello world " * 50, hooks=SilentHooks())
        assert long.misfit == MISFIT_MOST  # it goes into a report as JSON
        assert got.heard is not None
        assert got.limits.other_heard == math.inf
        assert with_heard(heard, plain, clip, "", hooks=SilentHooks()).misfit is None
        other = with_heard(heard, plain, clip, "我昨天 1", hooks=SilentHooks())
        assert other.misfit is not None  # "one" can be heard
        other = with_heard(heard, plain, clip, "我昨天", hooks=SilentHooks())
        assert (other.misfit, other.misheard) == (None, None)  # it knows no letter of that


class TestGuard:
    """What the fit says of a round and of a recording."""

    def round(self, misfit: float) -> Round:
        good = finished("happy", 5.0)
        limits = LettersRecogniser(Scripted("")).limits
        assert good.measures is not None
        measures = replace(good.measures, misfit=misfit, misheard=0.9, limits=limits)
        return replace(good, measures=measures)

    def test_a_round_whose_words_do_not_fit_has_a_fault(self) -> None:
        assert faults_of(self.round(0.5)) == ()
        (fault,) = faults_of(self.round(0.7))
        assert fault == (
            "the words do not fit the sound: their misfit is 0.70, up to 0.50 they hold."
        )
        assert damage(self.round(0.7)) < damage(self.round(0.9))

    def test_a_transcript_that_does_not_fit_the_recording_is_said(self) -> None:
        nothing = torch.zeros(0)
        codes = DualCodes(linguistic=nothing.long(), semantic=nothing.long(), codebook="a")
        voice = Voice(speaker=nothing, mel=nothing, codes=codes)
        assert recording_notes(self.round(0.8), voice) == ()
        (note,) = recording_notes(self.round(1.2), voice)
        assert note.startswith("the transcript does not fit it: its misfit is 1.20, up to 0.80")


@pytest.mark.parametrize(("name", "seconds"), [("friday", 1.0), ("lighthouse", 2.0)])
def test_a_word_after_digital_silence_is_where_its_sound_is(name: str, seconds: float) -> None:
    samples = Path(hearing.__file__).parents[1] / "assets/samples"
    clip = read_recording(samples / f"{name}.flac").clip()
    gap = torch.zeros(round(seconds * clip.sample_rate))
    text = (samples / f"{name}.txt").read_text().strip()
    twice = replace(clip, wave=torch.cat([clip.wave, gap, clip.wave]))
    words = nano_letters().align(twice, f"{text} {text}")
    first, last = clip.seconds, clip.seconds + seconds
    before, after = words[len(words) // 2 - 1], words[len(words) // 2]
    assert before.end <= first + 0.1
    assert last - 0.1 <= after.start < after.end - 0.3
    assert after.end <= last + 0.75  # by hand the words end 0.51 and 0.64 s after their start


def test_no_letter_is_said_in_digital_silence_and_a_short_one_tears_no_word() -> None:
    chances = np.full((60, CLASSES), -1.0, np.float32)
    wave = torch.ones(RATE * 60 // 50)
    assert hearing._silences(wave) == []
    wave[RATE * 10 // 50 : RATE * 33 // 50] = 0.0
    assert hearing._silences(wave) == []
    wave[RATE * 10 // 50 : RATE * 37 // 50] = 0.0
    ((start, end),) = silences = hearing._silences(wave)
    assert end - start in (26, 27)
    made = hearing._without_silence(chances, silences)
    quiet = slice(start + hearing.EDGE_FRAMES, end - hearing.EDGE_FRAMES)
    letters = [k for k in range(CLASSES) if k not in (BLANK, letter_ids(" ")[0])]
    assert (made[quiet][:, letters] == -20.0).all()
    assert (np.delete(made, quiet, axis=0) == -1.0).all()
    assert torch.equal(hearing._as_a_room(wave, [])[:100], wave[:100])


def nano_letters() -> LettersRecogniser:
    """The shipped recogniser."""
    found = recogniser_for(Registry().load("nano", device="cpu"), "")
    assert isinstance(found, LettersRecogniser)
    return found
