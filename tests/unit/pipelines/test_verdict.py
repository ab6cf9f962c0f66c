"""What a run says of itself: when its rounds end early, and that none of them holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stepedit_core.measure import holding
from stepedit_core.measure.holding import faults_of
from stepedit_core.output.report import report_of
from stepedit_core.pipelines import rounds as rounds_module
from stepedit_core.pipelines.best import best_round
from stepedit_core.pipelines.edit import RoundInput, edit
from stepedit_core.pipelines.limits import longest_answer
from stepedit_core.pipelines.memory import RoundMemory
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate, iterate_rounds
from stepedit_core.pipelines.verdict import NONE_HOLDS, OTHER_WORDS, warnings_of
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, EditRequest, Round, WordLimits
from tests.edits import HAPPY
from tests.rounds import finished
from tests.unit.pipelines.test_limits import codes


class Answers:
    """Stands in for `edit`: what is made of each round, and the longest answer it was allowed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, change: Callable[[int, Round], Round]):
        self.numbers: list[int] = []
        self._change = change
        monkeypatch.setattr(rounds_module, "edit", self)
        monkeypatch.setattr(holding, "WORDS_HOLD", 2.0)  # the tiny model keeps no word
        monkeypatch.setattr(holding, "VOICE_HOLDS", -1.0)
        monkeypatch.setattr("stepedit_core.pipelines.verdict.VOICE_LOST", -1.0)
        monkeypatch.setattr("stepedit_core.pipelines.generate.longest_answer", lambda *_: 15)

    def __call__(self, bundle: Bundle, given: RoundInput, *more: object, **named: object) -> Round:
        number = int(named["number"])  # type: ignore[call-overload]
        self.numbers.append(number)
        return self._change(number, edit(bundle, given, *more, **named))  # type: ignore[arg-type]


def ends_but(*never: int) -> Callable[[int, Round], Round]:
    return lambda number, made: replace(made, ended=number not in never)


def test_a_round_that_never_ended_is_the_last(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = Answers(monkeypatch, ends_but(2))
    plan = make_plan(bundle, clip, [HAPPY], rounds=4)
    memory = RoundMemory()
    rounds = list(iterate_rounds(bundle, clip, plan, memory=memory))
    assert answers.numbers == [1, 2, 2]  # round 2 was made again, round 3 never
    assert len(rounds) == 3
    sentence = "the rounds stop after round 2 of 4: its answer did not end within"
    assert caplog.text.count(sentence) == 1
    report = report_of(bundle, plan, rounds, best=1)
    assert report["stopped"].startswith(sentence)
    (fault,) = rounds[2].notes
    assert report["warnings"] == [report["stopped"], f"round 2: {fault}"]
    assert report["holds"] is True
    again = list(iterate_rounds(bundle, clip, plan, memory=memory))
    assert answers.numbers == [1, 2, 2]  # remembered, and still not continued
    assert again == rounds


def test_a_lost_voice_ends_the_rounds(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(monkeypatch, ends_but())
    monkeypatch.setattr("stepedit_core.pipelines.verdict.VOICE_LOST", 2.0)
    made = iterate(bundle, clip, make_plan(bundle, clip, [HAPPY], rounds=3))
    assert answers.numbers == [1]
    assert made.warnings[0].startswith("the rounds stop after round 1 of 3: its voice is lost")


def test_the_last_round_asked_for_stops_nothing(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    Answers(monkeypatch, ends_but(1))
    made = iterate(bundle, clip, make_plan(bundle, clip, [HAPPY]))
    (fault,) = made.rounds[1].notes
    assert made.warnings == (f"round 1: {fault}", NONE_HOLDS)
    assert made.best_number == 0
    assert made.best.request is None


def test_the_limit_of_a_round_follows_the_first_codes_of_its_edit_not_a_longer_round() -> None:
    happy, slower = HAPPY, EditRequest(kind="speed", option="slower", text="hello")
    assert longest_answer(happy, codes(100), codes(50)) == longest_answer(happy, codes(50))
    assert longest_answer(happy, codes(40), codes(50)) == longest_answer(happy, codes(40))
    assert longest_answer(slower, codes(100), codes(50)) == longest_answer(slower, codes(100))


def test_a_transcript_of_another_clip_leaves_the_words_unknown(bundle: Bundle) -> None:
    first, made = finished("", None), finished("happy", 5.0)
    assert first.measures is not None
    limits = WordLimits(misfit=2.0, other_misfit=2.0)
    other = replace(first, measures=replace(first.measures, misfit=5.0, limits=limits))
    report = report_of(bundle, None, [other, made], best=1)
    assert report["warnings"] == [OTHER_WORDS]
    assert [entry["words_hold"] for entry in report["rounds"]] == [None, None]
    fitting = report_of(bundle, None, [first, made], best=1)
    assert fitting["warnings"] == []
    assert [entry["words_hold"] for entry in fitting["rounds"]] == [True, True]


@pytest.mark.parametrize("broken", [{"words": 0.9}, {"misheard": 0.9}, {"misfit": 9.0}])
def test_words_hold_only_where_nothing_speaks_against_them(
    bundle: Bundle, broken: dict[str, float]
) -> None:
    first, made = finished("", None), finished("happy", 5.0)
    assert made.measures is not None
    measures = replace(made.measures, **broken, limits=WordLimits(misfit=2.0))  # type: ignore[arg-type]
    lost = replace(made, measures=measures)
    report = report_of(bundle, None, [first, lost], best=0)
    assert report["rounds"][1]["words_hold"] is False
    assert report["holds"] is False
    (fault,) = faults_of(lost)
    assert report["warnings"] == [f"round 1: {fault}", NONE_HOLDS]
    assert warnings_of(None, [first, lost], None) == ()


def by_signal(source: Round, option: str = "faster", **measures: float) -> Round:
    """A round at another speed, or a whisper, made of `source`."""
    made = finished(option, 9.0)
    assert made.measures is not None
    assert made.request is not None
    return replace(
        made,
        request=replace(made.request, engine="signal"),
        measures=replace(made.measures, **measures),  # type: ignore[arg-type]
        source=source,
    )


def test_signal_processing_loses_no_words_whatever_is_heard(bundle: Bundle) -> None:
    first = finished("", None)
    made = by_signal(first, words=0.9, misheard=3.0, misfit=9.0, similarity=0.99)
    assert best_round([first, made]) == 1
    report = report_of(bundle, None, [first, made], best=1)
    assert report["holds"] is True
    assert report["rounds"][1]["words_hold"] is True
    assert report["warnings"] == []


def test_signal_processing_brings_no_lost_word_back() -> None:
    first, happy = finished("", None), finished("happy", 5.0)
    assert happy.measures is not None
    lost = replace(happy, measures=replace(happy.measures, words=0.9))
    rounds = [first, lost, by_signal(lost)]
    assert best_round(rounds) == 0
    (fault,) = faults_of(rounds[2])
    assert warnings_of(None, rounds, 0) == (f"round 1: {fault}", NONE_HOLDS)


def test_a_whisper_has_the_voice_of_the_round_that_it_was_made_of() -> None:
    first, happy = finished("", None), finished("happy", 5.0)
    assert happy.measures is not None
    lost = replace(happy, measures=replace(happy.measures, similarity=0.1))
    for source, voice in ((first, True), (happy, True), (lost, False)):
        whispered = by_signal(source, "whisper", similarity=-0.6)
        twice = by_signal(whispered, "whisper", similarity=-0.5)
        faster = by_signal(twice, similarity=-0.4)
        for made in (whispered, twice, faster):
            assert (faults_of(made) == ()) is voice
    asked = replace(finished("whisper", 5.0), measures=lost.measures)  # a model whispers
    assert faults_of(asked)


def test_each_round_that_does_not_hold_is_named(bundle: Bundle) -> None:
    first = finished("", None)
    good = by_signal(first)
    bad = by_signal(good, similarity=0.3)
    worse = by_signal(bad, similarity=0.2)
    report = report_of(bundle, None, [first, good, bad, worse], best=1)
    assert [warning[:31] for warning in report["warnings"]] == [
        "round 2: the voice is another: ",
        "round 3: the voice is another: ",
    ]


def test_a_transcript_of_another_clip_is_not_said_again_of_every_round() -> None:
    first, made = finished("", None), finished("happy", 5.0)
    assert first.measures is not None
    assert made.measures is not None
    limits = WordLimits(misfit=2.0, other_misfit=2.0)
    other = replace(first, measures=replace(first.measures, misfit=5.0, limits=limits))
    lost = replace(made, measures=replace(made.measures, misfit=5.0, limits=limits))
    assert warnings_of(None, [other, lost], 0) == (OTHER_WORDS, NONE_HOLDS)
