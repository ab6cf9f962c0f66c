"""Hooks hear every step of every stage, and a cancelled run stops there."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.measure.margin import score
from stepedit_core.measure.voice import speaker_vector
from stepedit_core.pipelines.edit import RoundInput, edit
from stepedit_core.pipelines.generate import generate
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.pipelines.run import Run
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import (
    Clip,
    Decoding,
    Draws,
    DualCodes,
    Round,
    Sampling,
    SilentHooks,
    Voice,
)
from tests.edits import HAPPY, SHORT


class Recorder:
    """Hooks that write everything down and can cancel at one moment."""

    def __init__(self, cancel_at: tuple[str, int] | None = None) -> None:
        self.seen: list[tuple[str, int, int]] = []
        self._cancel_at = cancel_at

    def progress(self, stage: str, done: int, total: int) -> None:
        self.seen.append((stage, done, total))

    def check(self) -> None:
        if self._cancel_at and self.seen and self.seen[-1][:2] == self._cancel_at:
            raise StopIteration("cancelled")

    def count(self, stage: str) -> int:
        return sum(1 for seen in self.seen if seen[0] == stage)


def test_the_hooks_hear_every_id_and_every_ode_step(
    bundle: Bundle, clip: Clip, codes: DualCodes, voice: Voice
):
    hooks = Recorder()
    plan = make_plan(bundle, clip, [HAPPY], seed=1, sampling=SHORT, decoding=Decoding(steps=4))
    given = RoundInput(codes=codes, voice=voice, base=codes)
    edit(bundle, given, plan.steps[0], plan, run=Run(hooks=hooks))
    assert [s for s in hooks.seen if s[0] == "generate"][:2] == [
        ("generate", 0, 15),
        ("generate", 1, 15),
    ]
    assert hooks.count("generate") >= 15
    assert [s for s in hooks.seen if s[0] == "flow"] == [("flow", n, 4) for n in range(1, 5)]


@pytest.mark.parametrize("moment", [("generate", 3), ("flow", 2), ("tokenize", 1), ("vocode", 1)])
def test_a_cancelled_run_stops_at_once_and_keeps_finished_rounds(
    bundle: Bundle, clip: Clip, moment: tuple[str, int]
):
    hooks = Recorder(cancel_at=moment)
    done: list[Round] = []
    plan = make_plan(bundle, clip, [HAPPY], seed=1, rounds=2, sampling=SHORT)
    rounds = iterate_rounds(bundle, clip, plan, hooks=hooks)
    with pytest.raises((StopIteration, RuntimeError)):
        done.extend(rounds)
    assert hooks.seen[-1][:2] == moment
    assert len(done) == (0 if moment[0] == "tokenize" else 1)


class CancelledError(Exception):
    """Raised by hooks."""


class CancelAt:
    """Hooks that cancel the moment they are asked for the n-th time."""

    def __init__(self, at: int = 0) -> None:
        self.asked = 0
        self._at = at

    def progress(self, stage: str, done: int, total: int) -> None: ...

    def check(self) -> None:
        self.asked += 1
        if self.asked == self._at:
            raise CancelledError


@pytest.mark.parametrize("stage", ["tokenize", "prefill", "vocode", "score", "voice"])
def test_a_network_can_be_cancelled_before_every_layer_and_runs_as_before_afterwards(
    bundle: Bundle, clip: Clip, codes: DualCodes, stage: str
):
    one_id = Sampling(max_ids=5)
    networks, run = {
        "tokenize": (
            [bundle.linguistic, bundle.semantic, bundle.speaker],
            lambda hooks: tokenize(bundle, clip, hooks=hooks)[1].speaker,
        ),
        "prefill": (
            [bundle.llm],
            lambda hooks: (
                generate(
                    bundle,
                    codes,
                    HAPPY,
                    draws=Draws(seed=1),
                    sampling=one_id,
                    run=Run(hooks=hooks or SilentHooks()),
                ).codes.semantic
            ),
        ),
        "vocode": (
            [bundle.vocoder],
            lambda hooks: vocode(bundle, torch.zeros(80, 6), draws=Draws(seed=1), hooks=hooks).wave,
        ),
        "score": (
            [bundle.scorer],
            lambda hooks: torch.tensor(score(bundle, codes, codes, HAPPY, hooks=hooks)),
        ),
        "voice": ([bundle.speaker], lambda hooks: speaker_vector(bundle, clip, hooks=hooks)),
    }[stage]
    counted = CancelAt()
    made = run(counted)
    layers = [layer for network in networks for layer in network.modules()]
    called: set[torch.nn.Module] = set()
    counters = [
        layer.register_forward_pre_hook(lambda layer, _: called.add(layer)) for layer in layers
    ]
    run(None)
    for counter in counters:
        counter.remove()
    assert counted.asked > len(called) > 4
    with pytest.raises(CancelledError):
        run(CancelAt(counted.asked // 2))
    assert not any(layer._forward_pre_hooks for layer in layers)
    assert torch.equal(run(None), made)
