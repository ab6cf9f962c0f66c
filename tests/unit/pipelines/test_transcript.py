"""Words that cannot be those of a clip are found before a network runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stepedit_core.pipelines.clone import clone_plan
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.pipelines.transcript import (
    check_letters,
    check_pace,
    speech_seconds,
    transcript_notes,
)
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Clip, EditRequest
from tests.unit.conftest import voiced

HAPPY = EditRequest(kind="emotion", option="happy", text="hello world")


@pytest.fixture(scope="module")
def nano() -> Bundle:
    return Registry().load("nano", device="cpu")


@pytest.mark.parametrize("text", ["我昨天走回家", "مرحبا بالعالم", "Привет, мир", "안녕하세요"])
def test_a_script_that_the_model_never_learnt_is_refused(
    nano: Bundle, clip: Clip, text: str
) -> None:
    with pytest.raises(ValueError, match=r"letters of the words were never learnt by 'nano'"):
        make_plan(nano, clip, [replace(HAPPY, text=text)])
    assert nano.loaded == ()


def test_a_borrowed_word_and_a_number_pass_and_are_said(nano: Bundle) -> None:
    text = "We met at the café at 5 o'clock"
    check_letters(nano, text)
    (note,) = transcript_notes(nano, text, 2.0)
    assert "never learnt 'é', '5'" in note
    assert transcript_notes(nano, "We met at the cafe at five", 2.0) == ()


def test_more_words_than_anybody_says_are_refused(bundle: Bundle, clip: Clip) -> None:
    many = replace(HAPPY, text=" ".join(["hello"] * 6000))
    with pytest.raises(ValueError, match=r"30000 letters; the clip has 0\.\d s of speech"):
        make_plan(bundle, clip, [many])


def test_words_are_compared_with_the_speech_and_not_with_the_silence(bundle: Bundle) -> None:
    silence = torch.zeros(24_000 * 5)
    padded = Clip(wave=torch.cat([silence, voiced(1.0, 24_000), silence]), sample_rate=24_000)
    assert speech_seconds(padded) == pytest.approx(1.0, abs=0.1)
    many = replace(HAPPY, text=" ".join(["hello"] * 12))
    with pytest.raises(ValueError, match="60 letters"):
        make_plan(bundle, padded, [many])


def test_the_fastest_speaker_passes() -> None:
    check_pace("x" * 40, 1.0)
    check_pace("我" * 14, 1.0)
    with pytest.raises(ValueError, match="the fastest speaker needs"):
        check_pace("x" * 60, 1.0)


def test_a_transcript_that_is_far_too_short_is_said(bundle: Bundle) -> None:
    (note,) = transcript_notes(bundle, "hello", 20.0)
    assert "check that the transcript is whole" in note
    assert transcript_notes(bundle, "", 20.0) == ()


def test_new_words_that_take_a_minute_are_refused(bundle: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match=r"2500 letters, which take 179 s to say; at most 60 s"):
        clone_plan(bundle, clip, "hello world", " ".join(["hello"] * 500))
    clone_plan(bundle, clip, "hello world", " ".join(["hello"] * 100))


def test_what_is_odd_stands_at_round_0_and_in_the_log(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    wave = voiced(2.4, 24_000)
    wave[:12_000] *= 10**-1.5
    quiet = Clip(wave=torch.cat([torch.zeros(12_000), wave]), sample_rate=24_000)
    plan = make_plan(bundle, quiet, [HAPPY])
    first = next(iter(iterate_rounds(bundle, quiet, plan)))
    assert any("at the ends are far quieter" in note for note in first.notes)
    assert "the recording: 0." in caplog.text
