"""An edit of one part of a recording: these words, and nothing else.

The part is edited within a window of the speech around it, so that the model hears its neighbours.
Of the answer only the part is taken: its codes stand between the recording's own, the decoder moves
the recording's mel there and nowhere else (`difference.py`), and what comes out of the vocoder is
put into the recording at its own rate, channels and sample type (`signal/splice.py`). Every sample
before the first fade and after the last is the recording's. Another speed or a whisper by signal
processing needs no model: the part's own samples are changed (`signal_part.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..audio.clips import SILENCE_PEAK
from ..audio.patches import Patch, patched
from ..audio.recordings import Recording
from ..measure.alignment import guide_of
from ..measure.pieces import quietest
from ..printable import shown
from ..registry.handle import Bundle
from ..text.edits import SPEEDS
from ..text.engines import FIT, whispers
from ..types import (
    Draws,
    DualCodes,
    EditRequest,
    EditResult,
    Hooks,
    Voice,
    same_codes,
)
from ..vocab import MEL_FRAMES_PER_GROUP, SEMANTIC_PER_GROUP, joined
from .difference import KEEPS_RECORDING, difference_part
from .inside import MEL_HZ, Inside, Part, put_in
from .plan import Plan, make_plan
from .rounds import iterate
from .signal_part import changed_part, of_own_samples
from .tokenize import voice_of

WINDOW_S = 10.0
"""Length of a window: as much speech as every model does well."""
CONTEXT_S = 1.0
"""Least speech on each side of a part that is longer than a window has room for."""
LONGEST_S = 28.0
"""Longest part: with its context it must be a clip."""
SHORTEST_S = 0.12
"""Shortest part: one group of codes."""
SEARCH_S = 1.5
"""How far a window's border moves inwards to a quieter place."""
LEAST, MOST = 0.5, 2.0
"""Length of the answer's part beside the recording's: what is further off has lost its words."""
GROUP_S = 0.12
"""Seconds of a group of codes."""


@dataclass(frozen=True, kw_only=True)
class RangeResult:
    """A recording in which one part was edited."""

    recording: Recording
    first: int
    """First sample that may differ from the input's; all before it are the input's."""
    end: int
    """One past the last sample that may differ; all after it are the input's last samples."""
    number: int
    """Which round of the window the part comes from."""
    rounds: EditResult
    """All rounds of the window, whole."""
    plan: Plan
    """What was done with the window."""
    note: str = ""
    """Sentence of a part that an edit left as recorded; empty where it changed, or none holds."""


def part_of(recording: Recording, start_s: float, end_s: float) -> Part:
    """The samples of a range of seconds, with a window around it that begins and ends in pauses.

    Raises ValueError for a range outside the recording, too short, too long, or silent.
    """
    rate, length = recording.sample_rate, recording.samples.shape[1]
    if not (0 <= start_s < end_s and start_s < recording.seconds):  # also NaN
        raise ValueError(
            f"the range is {start_s:g} to {end_s:g} s; the recording has 0 to "
            f"{recording.seconds:.2f} s. Choose a start before its end, both inside of it."
        )
    if end_s > recording.seconds + 0.01:
        raise ValueError(
            f"the range ends at {end_s:g} s; the recording ends at {recording.seconds:.2f} s. "
            "Choose an earlier end."
        )
    if not SHORTEST_S <= end_s - start_s <= LONGEST_S:
        raise ValueError(
            f"the range is {end_s - start_s:.2f} s long; {SHORTEST_S} to {LONGEST_S:.0f} s can be "
            "edited at once. Choose more, or do it in parts."
        )
    start, end = round(start_s * rate), min(round(end_s * rate), length)
    room = max(CONTEXT_S, (WINDOW_S - (end - start) / rate) / 2)
    first = max(0, start - round(room * rate))
    # what one side does not have the other gets
    last = min(length, max(end + round(CONTEXT_S * rate), first + round(WINDOW_S * rate)))
    first = max(0, min(first, last - round(WINDOW_S * rate)))
    wave = recording.clip(first, last).wave
    if float(wave[start - first : end - first].abs().max()) < SILENCE_PEAK:
        raise ValueError(
            f"nothing is heard from {start_s:g} to {end_s:g} s (below {SILENCE_PEAK} of full "
            "scale); the range needs speech. Choose another."
        )
    squares = wave.double().square().numpy()
    keep, search = round(0.5 * CONTEXT_S * rate), round(SEARCH_S * rate)
    if first > 0:
        first += quietest(squares[: max(0, start - first - keep)][:search], rate)
    if last < length:
        last -= quietest(squares[::-1][: max(0, last - end - keep)][:search], rate)
    return Part(start=start, end=end, window_start=first, window_end=last)


def edit_range(
    bundle: Bundle,
    recording: Recording,
    part: Part,
    requests: Sequence[EditRequest],
    *,
    settings: Mapping[str, Any] | None = None,
    hooks: Hooks | None = None,
) -> RangeResult:
    """The recording with the best round of an edit in one part of it.

    Args:
        bundle: the model.
        recording: of any length.
        part: from `part_of` of the same recording.
        requests: edits that keep the words, with the words of the window as their text.
        settings: further fields of the plan: rounds, seed, sampling, decoding.
        hooks: progress and cancelling.

    Raises ValueError for an edit that leaves no recording to keep, and as make_plan.
    """
    for request in requests:
        check_keeps(request)
    clip = recording.clip(part.window_start, part.window_end)
    plan = make_plan(bundle, clip, requests, **(settings or {}))
    result = iterate(bundle, clip, plan, hooks=hooks)
    number = result.best_number
    patch = patch_of(bundle, recording, part, plan, result, number=number)
    made = patched(recording, [patch])
    return RangeResult(
        recording=made,
        first=patch.first,
        end=patch.end,
        number=number,
        rounds=result,
        plan=plan,
        note=unchanged_note(recording, made, plan) if number else "",
    )


def unchanged_note(before: Recording, after: Recording, plan: Plan) -> str:
    """What to say of an edited part that is as recorded, each sample of it; empty where not."""
    if not torch.equal(before.samples, after.samples):
        return ""
    if plan.decoding.strength == 0:
        return "strength 0 leaves the part as recorded. Choose a higher one to change it."
    return (
        "the edit changes nothing in the part, which is as recorded. Try another seed, or more "
        "rounds."
    )


def check_keeps(request: EditRequest) -> None:
    """Raise ValueError for an edit that leaves no recording to keep."""
    if request.kind not in KEEPS_RECORDING:
        raise ValueError(
            f"{shown(request.label)} changes the whole sound; a part can be edited by "
            f"{', '.join(KEEPS_RECORDING)}. Edit the whole clip, or choose one of these."
        )
    if request.kind == "speed" and request.option == FIT:
        raise ValueError(
            f"speed '{FIT}' is for a whole clip; a part, or each piece of a long recording, can be "
            f"{', '.join(SPEEDS)}. Edit the whole clip, or choose one of these."
        )


def patch_of(
    bundle: Bundle,
    recording: Recording,
    part: Part,
    plan: Plan,
    result: EditResult,
    *,
    number: int,
) -> Patch:
    """The part as round `number` of its window says it; round 0 is the input, an empty patch."""
    source, made = result.rounds[0], result.rounds[number]
    edits = result.rounds[1 : number + 1]
    asked = [(r.request, plan.draws(k)) for k, r in enumerate(edits, start=1) if r.request]
    if of_own_samples(edits):
        return changed_part(recording, part, asked)
    if any(whispers(request) for request, _ in asked):
        by_model = max(k for k, edit in enumerate(edits, start=1) if not edit.by_signal)
        patch = patch_of(bundle, recording, part, plan, result, number=by_model)
        return _changed_after(recording, part, patch, asked[by_model:])
    if same_codes(source.codes, made.codes):
        empty = recording.samples[:, :0]
        return Patch(start=part.start, stop=part.start, samples=empty)
    rate = recording.sample_rate
    clip = recording.clip(part.window_start, part.window_end)
    voice = voice_of(bundle, clip, source.codes, recorded=True)
    heard = [(s - part.window_start) * MEL_HZ / rate for s in part.start_end]
    inside = _moved(bundle, voice, made.codes, (heard[0], heard[1]), plan, number)
    return put_in(bundle, recording, part, voice, inside, draws=plan.draws(number))


def _changed_after(
    recording: Recording, part: Part, patch: Patch, requests: Sequence[tuple[EditRequest, Draws]]
) -> Patch:
    """A patch of the model whose part signal processing has then changed."""
    first, end = min(patch.start, part.start), max(patch.stop, part.end)
    edited = patched(recording, [patch])
    longer = edited.samples.shape[1] - recording.samples.shape[1]
    own = changed_part(edited, replace(part, end=part.end + longer), requests)
    last = patched(edited, [own]).samples
    stop = last.shape[1] - (recording.samples.shape[1] - end)
    return Patch(start=first, stop=end, samples=last[:, first:stop])


def composed(
    bundle: Bundle, source: DualCodes, answer: DualCodes, groups: tuple[int, int]
) -> tuple[DualCodes, int]:
    """Source codes whose groups first to end are the answer's, and how many those are.

    The place in the answer is found by the warping path of the codes. Raises ValueError where the
    answer says something else altogether, or its part has quite another length.
    """
    first, end = groups
    match = guide_of(bundle).match(source, answer)
    if match is None:
        raise ValueError(
            "the answer of the model does not say the words of the clip, so the part cannot be "
            "found in it. Try another seed, or fewer rounds."
        )
    # where the answer stands still at a border, in a pause that it made longer, that stays outside
    begin = round((np.searchsorted(match.places, 3 * first, "right") - 1) / SEMANTIC_PER_GROUP)
    stop = round((np.searchsorted(match.places, 3 * end - 1) + 1) / SEMANTIC_PER_GROUP)
    begin = min(max(begin, 0), answer.groups - 1)
    stop = min(max(stop, begin + 1), answer.groups)
    if not LEAST * (end - first) - 2 <= stop - begin <= MOST * (end - first) + 2:
        raise ValueError(
            f"the answer of the model has {(stop - begin) * GROUP_S:.2f} s for the "
            f"{(end - first) * GROUP_S:.2f} s of the part; {LEAST} to {MOST:g} times its length is "
            "put in. Try another seed, or fewer rounds."
        )
    codes = joined(((source, 0, first), (answer, begin, stop), (source, end, source.groups)))
    return codes, stop - begin


def _moved(
    bundle: Bundle,
    voice: Voice,
    answer: DualCodes,
    heard: tuple[float, float],
    plan: Plan,
    number: int,
) -> Inside:
    """The window's mel within the part, moved by what the answer changed there.

    `heard` are the part's first and last place in frames of the voice's mel.
    """
    lead, codes = round(voice.lead), voice.codes
    first = min(max(0, int((heard[0] - lead) // MEL_FRAMES_PER_GROUP)), codes.groups - 1)
    end = max(first + 1, min(codes.groups, -int((lead - heard[1]) // MEL_FRAMES_PER_GROUP)))
    whole, count = composed(bundle, codes, answer, (first, end))
    here = first, first + count
    how: dict[str, Any] = {"draws": plan.draws(number), "decoding": plan.decoding}
    mel, along, more = difference_part(bundle, whole, voice, here, **how)
    if along is not None:
        # groups are 120 ms: beside the part's exact borders they stay as recorded
        places = torch.from_numpy(along.frames)
        moves = (places >= heard[0]) & (places < heard[1]) | ~along.known
        mel = torch.where(moves, mel, along.source)
    begin = MEL_FRAMES_PER_GROUP * first
    before = max(0, -(lead + begin))  # frames that lie before the clip's first
    here = begin + before, begin + MEL_FRAMES_PER_GROUP * count
    start, stop = lead + here[0], min(lead + MEL_FRAMES_PER_GROUP * end, voice.mel.shape[1])
    kept = None if along is None else along.cut(*here)
    return Inside(mel[:, here[0] : here[1]], start, stop, kept, more)
