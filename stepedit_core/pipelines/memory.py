"""Rounds of earlier runs on one model, so that one more round costs one round."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ..types import Decoding, Round, Sampling
from .plan import ClipFacts, Plan

MOST_SECONDS = 600
"""Most sound that is remembered: 58 MB of float32 at 24 kHz."""
Key = tuple[ClipFacts, str, int, Sampling, Decoding, str]


class RoundMemory:
    """Finished rounds by plan. Round k depends on the plan's settings and its steps up to k.

    The runs that were asked for longest ago are dropped first.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[Plan, list[Round]]] = OrderedDict()

    def recall(self, plan: Plan) -> list[Round]:
        """Rounds made for the beginning of this plan, the input first; empty where none are."""
        key = _key(plan)
        if key not in self._kept:
            return []
        self._kept.move_to_end(key)
        old, rounds = self._kept[key]
        if plan.requests[0].text != old.requests[0].text:
            return []
        same = 0
        for mine, theirs in zip(plan.steps, old.steps, strict=False):
            if mine != theirs:
                break
            same += 1
        return rounds[: same + 1]

    def keep(self, plan: Plan, rounds: Sequence[Round]) -> None:
        """Remember a run, finished or cancelled."""
        key = _key(plan)
        self._kept[key] = (plan, list(rounds))
        self._kept.move_to_end(key)
        while self.seconds > MOST_SECONDS and len(self._kept) > 1:
            self._kept.popitem(last=False)

    @property
    def seconds(self) -> float:
        """Seconds of sound that are remembered."""
        return sum(made.clip.seconds for _, rounds in self._kept.values() for made in rounds)


def _key(plan: Plan) -> Key:
    """The settings that all rounds of a plan share."""
    return plan.clip, plan.voice, plan.seed, plan.sampling, plan.decoding, plan.recogniser
