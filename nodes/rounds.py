"""Rounds as Iterative Edit runs, remembers and shows them: best round, chart, report, panel."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..stepedit_core.measure.pitch import median_pitch_hz
from .picture import rounds_chart

if TYPE_CHECKING:
    from ..stepedit_core.registry.registry import Bundle
    from ..stepedit_core.types import Clip, EditRequest, Round
    from .host import GraphHooks

KEPT_SECONDS = 600
"""Most sound that a model remembers of earlier rounds: 58 MB of float32 at 24 kHz."""
PEAKS = 160
"""Bars of a waveform in the panel."""
NO_SCORE = 0.0
"""In the list of scores, for a round that the bundle cannot score; scores are 1 to 10."""

Key = tuple[str, int, str, int]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A finished round and what was measured on it."""

    round: Round
    pitch_hz: float | None
    """Median pitch in Hz; None where nothing is voiced."""
    speaker: Tensor
    """Speaker vector (192,)."""
    similarity: float
    """Of the voice to the input's, cosine: 1 is the same."""


class RoundMemory:
    """Rounds of earlier runs on one model, so that one more round costs one round.

    Round k depends on the clip, the edits up to k, prompt and seed. Oldest runs are dropped first.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[list[tuple[EditRequest, int]], list[Heard]]] = (
            OrderedDict()
        )

    def recall(self, key: Key, plan: list[tuple[EditRequest, int]]) -> list[Heard]:
        """Rounds made for the beginning of this plan, the input first; empty where none are."""
        if key not in self._kept:
            return []
        self._kept.move_to_end(key)
        old, heard = self._kept[key]
        if plan[0][0].text != old[0][0].text:
            return []
        same = 0
        while same < min(len(old), len(plan)) and old[same] == plan[same]:
            same += 1
        return heard[: same + 1]

    def keep(self, key: Key, plan: list[tuple[EditRequest, int]], heard: list[Heard]) -> None:
        """Remember a run, finished or cancelled."""
        self._kept[key] = (plan, list(heard))
        self._kept.move_to_end(key)
        while self.seconds > KEPT_SECONDS and len(self._kept) > 1:
            self._kept.popitem(last=False)

    @property
    def seconds(self) -> float:
        """Seconds of sound that are remembered."""
        runs = (heard for _, heard in self._kept.values())
        return sum(one.round.clip.seconds for heard in runs for one in heard)


def check(bundle: Bundle, edits: Sequence[EditRequest], rounds: int, prompt: str, best: int) -> int:
    """Number of rounds that a run will have; ValueError for whatever is wrong with it."""
    from ..stepedit_core.pipelines.rounds import plan_rounds

    count = len(plan_rounds(bundle, edits, rounds, prompt))
    if not 0 <= best <= count:
        raise ValueError(
            f"best_round is {best}; this run has rounds 1 to {count}, and 0 chooses by score. "
            "Mark one of these."
        )
    return count


def run(
    memory: RoundMemory,
    bundle: Bundle,
    clip: Clip,
    edits: Sequence[EditRequest],
    *,
    rounds: int,
    prompt: str,
    seed: int,
    hooks: GraphHooks,
) -> list[Heard]:
    """All rounds of one clip, the input first; those that are remembered are not made again."""
    from ..stepedit_core.pipelines.rounds import iterate_rounds, plan_rounds

    requests = plan_rounds(bundle, edits, rounds, prompt)
    # a round is scored against what its edit began with, so that is part of the plan
    plan = [(request, k // rounds * rounds) for k, request in enumerate(requests)]
    digest = hashlib.sha256(clip.wave.contiguous().numpy().tobytes()).hexdigest()
    key = (digest, clip.sample_rate, prompt, seed)
    heard = memory.recall(key, plan)
    known = len(heard)
    how: dict[str, Any] = {"rounds": rounds, "prompt": prompt, "seed": seed, "hooks": hooks}
    made = [one.round for one in heard]
    try:
        for number, finished in enumerate(iterate_rounds(bundle, clip, edits, made=made, **how)):
            if number >= known:
                heard.append(_measured(bundle, finished, heard, hooks))
            hooks.round_finished(number, finished.score)
    finally:  # a cancelled run goes on where it was
        if len(heard) > known:
            memory.keep(key, plan, heard)
    return heard


def _measured(bundle: Bundle, finished: Round, before: Sequence[Heard], hooks: GraphHooks) -> Heard:
    from ..stepedit_core.measure.voice import speaker_vector, voice_similarity

    speaker = speaker_vector(bundle, finished.clip, hooks=hooks)
    original = before[0].speaker if before else speaker
    return Heard(
        round=finished,
        pitch_hz=median_pitch_hz(finished.clip),
        speaker=speaker,
        similarity=voice_similarity(speaker, original),
    )


def best_number(heard: Sequence[Heard], marked: int) -> int:
    """The marked round, else the one after the last edit with the highest score, else the last."""
    if marked:
        return marked
    last = heard[-1].round.request
    scores = [
        (one.round.score, -number)
        for number, one in enumerate(heard)
        if one.round.request == last and one.round.score is not None
    ]
    return -max(scores)[1] if scores else len(heard) - 1


def requests_with(text: str, edits: Sequence[EditRequest]) -> list[EditRequest]:
    """The edits, the first of them with the words of the clip."""
    return [replace(wanted, text=text) for wanted in edits[:1]] + list(edits[1:])


def scores(heard: Sequence[Heard]) -> list[float]:
    """Margin score of each round without the input; 0 where the bundle has none."""
    found = [one.round.score for one in heard[1:]]
    return [NO_SCORE if score is None else score for score in found]


def chart(heard: Sequence[Heard]) -> Tensor:
    """Picture (1, H, W, 3) of score and pitch by round."""
    return rounds_chart([one.round.score for one in heard], [one.pitch_hz for one in heard])


def report(bundle: Bundle, seed: int, heard: Sequence[Heard], best: int) -> dict[str, Any]:
    """Bundle, seed, best round and the figures of every round, ready for JSON."""
    return {
        "bundle": bundle.name,
        "bundle_sha256": bundle.sha256,
        "seed": seed,
        "best": best,
        "rounds": [_figures(number, one) for number, one in enumerate(heard)],
    }


def peaks(clip: Clip) -> list[int]:
    """Loudest sample of each of PEAKS equal parts, 0 to 100."""
    size = -(-clip.wave.shape[0] // PEAKS)
    parts = clip.wave.abs().split(size)
    return [min(100, round(100 * float(part.max()))) for part in parts]


def _figures(number: int, one: Heard) -> dict[str, Any]:
    finished = one.round
    request = finished.request
    return {
        "round": number,
        "edit": f"{request.kind} {request.option}".strip() if request else "input",
        "seconds": round(finished.clip.seconds, 3),
        "ids": 5 * finished.codes.groups,
        "score": None if finished.score is None else round(finished.score, 3),
        "voice_similarity": round(one.similarity, 3),
        "median_pitch_hz": None if one.pitch_hz is None else round(one.pitch_hz, 1),
        "seconds_elapsed": round(finished.seconds_elapsed, 3),
    }


def panel(heard: Sequence[Heard], best: int, files: Sequence[dict[str, str]]) -> dict[str, Any]:
    """What the listening panel in the browser is told about one clip."""
    rows = [
        {**_figures(number, one), "file": file, "peaks": peaks(one.round.clip)}
        for number, (one, file) in enumerate(zip(heard, files, strict=True))
    ]
    return {"best": best, "rounds": rows}
