"""A round with a fault is drawn once more; a number that is NaN ends the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core.measure import holding
from stepedit_core.output.report import round_entry
from stepedit_core.pipelines import rounds as rounds_module
from stepedit_core.pipelines.edit import RoundInput, edit
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import (
    Clip,
    Draws,
    Round,
    stage_generator,
)
from tests.edits import HAPPY, SHORT, run_of


class Faulty:
    """Stands in for `edit`: the tries of a round in turn, with what is wrong with them."""

    def __init__(self, *ended: bool) -> None:
        self.ended, self.again = list(ended), []
        self.real = edit

    def __call__(self, bundle: Bundle, given: RoundInput, *more: object, **named: object) -> Round:
        self.again.append(given.again)
        return replace(self.real(bundle, given, *more, **named), ended=self.ended.pop(0))


@pytest.mark.parametrize(
    ("ended", "tries", "kept"),
    [
        ((True,), [False], True),
        ((False, True), [False, True], True),
        ((False,) * 2, [False, True], False),
    ],
    ids=["fine at once", "fine at the second try", "never fine"],
)
def test_a_round_with_a_fault_is_made_once_more_and_both_are_shown(
    bundle: Bundle,
    clip: Clip,
    monkeypatch: pytest.MonkeyPatch,
    ended: tuple[bool, ...],
    tries: list[bool],
    kept: bool,
) -> None:
    monkeypatch.setattr(holding, "WORDS_HOLD", 2.0)  # the tiny model keeps no word
    monkeypatch.setattr(holding, "VOICE_HOLDS", -1.0)
    faulty = Faulty(*ended)
    monkeypatch.setattr(rounds_module, "edit", faulty)
    run = run_of(bundle, clip, [HAPPY])
    made = run.final
    assert faulty.again == tries
    assert made.ended is kept
    entry = round_entry(1, made)
    assert entry["holds"] is kept
    assert (made.rejected is None) is (len(tries) == 1)
    if made.rejected is not None:
        assert "did not end" in made.rejected.faults[0]
        assert entry["rejected"]["faults"] == list(made.rejected.faults)
        assert entry["rejected"]["word_distance"] is not None
    assert bool(made.notes) is not kept
    assert ("did not end its answer" in "".join(run.warnings)) is not kept


def test_a_second_try_draws_anew_and_a_limit_of_the_caller_is_no_fault(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run_of(bundle, clip, [HAPPY], sampling=SHORT).final
    assert made.rejected is None
    assert not made.ended
    first, second = (Draws(seed=3, round=2, again=again) for again in (False, True))
    drawn = [torch.rand(4, generator=d.generator("flow")) for d in (first, second)]
    assert not torch.equal(*drawn)
    assert torch.equal(drawn[0], torch.rand(4, generator=stage_generator(3, "flow", 2)))


@pytest.mark.parametrize(
    ("part", "parameter"),
    [
        ("flow", "encoder_proj.weight"),
        ("vocoder", ""),
        ("scorer", "head.weight"),
        ("speaker", ""),
        ("linguistic", ""),
        ("semantic", ""),
        ("llm", ""),
    ],
)
def test_a_weight_that_is_nan_stops_the_run_with_the_name_of_its_part(
    bundles: Path, clip: Clip, part: str, parameter: str
) -> None:
    handle = Registry([bundles], {}).load("tiny", device="cpu")
    weights = dict(handle.part(part).named_parameters())
    name = parameter or next(n for n, w in weights.items() if w.ndim > 1)
    weights[name].data.view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match=r"NaN .*(Check|check)") as error:
        run_of(handle, clip, [HAPPY], sampling=SHORT)
    assert f"of the {part} of 'tiny'" in str(error.value)


def test_scores_that_are_nan_stop_a_model_that_is_too_large_to_read_through(
    bundles: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepedit_core.measure.finite.MOST_NUMBERS", 0)
    handle = Registry([bundles], {}).load("tiny", device="cpu")
    for weight in handle.llm.parameters():
        weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match="the language model made NaN at id 0"):
        run_of(handle, clip, [HAPPY], sampling=SHORT)
    for part, said in (("flow", "flow decoder"), ("speaker", "speaker encoder")):
        handle = Registry([bundles], {}).load("tiny", device="cpu")
        for weight in handle.part(part).parameters():
            weight.data.fill_(torch.nan)
        with pytest.raises(ValueError, match=f"the {said} of 'tiny' made [0-9]+ NaN"):
            run_of(handle, clip, [HAPPY], sampling=SHORT)
