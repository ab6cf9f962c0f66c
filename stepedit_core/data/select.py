"""What is kept for training: large margins, preference pairs, the hardest prompts.

Source of the thresholds: arXiv:2511.03601. Triplets are kept from a margin of 6 on, more for some
classes; pairs of one prompt's answers from a difference of 3 points of 5, or 8 points of 10; PPO
trains on the prompts that are hardest for the reward model. Quadruplets are not scored there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..models.scorer import edit_name
from .records import Example, digest

LEAST_MARGIN = 6.0
PAIR_MARGIN = {5: 3.0, 10: 8.0}
"""Points of the scale -> least difference of a preference pair."""


def label_of(line: Mapping[str, Any]) -> str:
    """Class of a line: kind and option of its edit."""
    return edit_name(line["edit"]["kind"], line["edit"]["option"])


def classes_of(lines: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The kinds of edit in some lines, and their classes, in alphabetical order."""
    return tuple(
        sorted({name for line in lines for name in (line["edit"]["kind"], label_of(line))})
    )


def keeps(
    line: Mapping[str, Any],
    *,
    least: float = LEAST_MARGIN,
    classes: Mapping[str, float] | None = None,
) -> bool:
    """Whether an example's margin is large enough.

    `classes` maps "emotion happy", or "emotion" for all its options, to another threshold. A
    quadruplet without a margin is kept, anything else without one is not.
    """
    if line["margin"] is None:
        return bool(line["kind"] == "quadruplet")
    classes = classes or {}
    wanted = classes.get(label_of(line), classes.get(line["edit"]["kind"], least))
    return bool(line["margin"] >= wanted)


def is_hold(example: Example) -> bool:
    """Whether source and target are the same codes: the order to keep what is there.

    Its margin is 1 by nature, however strong the attribute is; a model that never saw one keeps
    changing a clip that already has what is asked for, so later rounds drift.
    """
    return example.kind == "triplet" and digest(example.source) == digest(example.target)


def as_prompt(example: Example) -> Example:
    """An example that reinforcement learning takes its prompt from: a pair becomes a sample.

    The sample has the preferred answer, without a score: a difference of scores is not a score.
    """
    if example.kind != "pair":
        return example
    return replace(example, kind="sample", rejected=None, margin=None)


def by_prompt(samples: Iterable[Example]) -> dict[str, list[Example]]:
    """Samples by the prompt they answer, in order of first appearance."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for sample in samples:
        groups[sample.prompt_id].append(sample)
    return dict(groups)


def preference_pairs(
    samples: Sequence[Example], *, margin: float | None = None, most: int = 4
) -> list[Example]:
    """Pairs of one prompt's scored answers that differ by `margin` points or more.

    Args:
        samples: answers to one prompt.
        margin: None takes that of the samples' scale.
        most: pairs kept, the widest first; ties go by content, so order of the samples is nothing.
    """
    scored = sorted(
        (s for s in samples if s.margin is not None), key=lambda s: (-float(s.margin or 0), s.id)
    )
    found: list[Example] = []
    for at, chosen in enumerate(scored):
        for rejected in scored[at + 1 :]:
            if chosen.scale != rejected.scale:
                continue
            wanted = PAIR_MARGIN.get(chosen.scale) if margin is None else margin
            if wanted is None:
                raise ValueError(
                    f"scores are on a scale of {chosen.scale}; pair margins are known for "
                    f"{', '.join(map(str, PAIR_MARGIN))}. Give --margin."
                )
            gap = float(chosen.margin or 0) - float(rejected.margin or 0)
            if gap >= wanted:
                key = digest("pair", chosen.id, rejected.id)
                found.append(
                    replace(
                        chosen, kind="pair", rejected=rejected.target, margin=round(gap, 4), key=key
                    )
                )
    found.sort(key=lambda pair: (-float(pair.margin or 0), pair.id))
    return found[:most]


def why_no_pairs(groups: Iterable[Sequence[Example]], margin: float | None = None) -> str:
    """The sentence for answers of which preference_pairs kept none.

    Args:
        groups: the answers to each prompt.
        margin: as for preference_pairs.
    """
    widest, wanted = 0.0, margin
    for group in groups:
        scores: dict[int, list[float]] = defaultdict(list)
        for one in group:
            if one.margin is not None:
                scores[one.scale].append(float(one.margin))
        for scale, found in scores.items():
            wanted = PAIR_MARGIN.get(scale) if wanted is None else wanted
            widest = max(widest, max(found) - min(found))
    least = int(2 * widest) / 2
    lower = f"Set the margin to {least:g} or less, or draw" if least else "Draw"
    return (
        f"no pair is kept: two answers to one prompt differ by {widest:.2f} points at most, and "
        f"the margin is {wanted or 0:g}. {lower} more answers at a higher temperature."
    )


def hardest(
    difficulty: Mapping[str, Sequence[float]], count: int, labels: Mapping[str, str] | None = None
) -> list[str]:
    """The prompts whose mean is lowest, hardest first.

    Args:
        difficulty: prompt -> what the reward model makes of it: differences between preferred and
            rejected answers, or scores of its answers.
        count: prompts to choose.
        labels: prompt -> class; with it the classes take turns, so that one hard class does not
            take all places.
    """
    means = {p: sum(v) / len(v) for p, v in difficulty.items() if v}
    order = sorted(means, key=lambda p: (means[p], p))
    if labels is not None:
        turn: dict[str, int] = defaultdict(int)
        places = {}
        for prompt in order:
            places[prompt] = turn[labels[prompt]]
            turn[labels[prompt]] += 1
        order.sort(key=lambda p: (places[p], means[p], p))
    return order[:count]
