"""Decoding by difference: keep the recording, add only what the edit changed.

Source: FlowEdit (Kulikov et al. 2024, arXiv:2412.08629, editing without inversion by a frozen flow
model), carried over to a speech decoder. The decoder runs on two conditions, the answer's codes and
the recording's own codes laid in the answer's time. The difference of the two velocities moves the
recording's own mel; what both say alike, with every error that both make, cancels:

    z = src                                the recording's mel in the answer's time
    for each Euler step at time t:
        z_s = (1 - t) noise + t src        the recording's point on the way from noise to data
        z_e = z_s + (z - src)
        z  += dt * strength * (v(z_e | answer) - v(z_s | own))

Where the model's config asks for order 2, the velocity changes once more by half of what
it changed since the step before (Adams-Bashforth with the weights 3/2 and -1/2), and half the steps
are as near to the exact integral (decision 0040).

Where all of the answer lies on a recording whose wave is known, the network runs at strength 1
and the change is multiplied afterwards (`own_sound.py`): less voice is lost for the same effect.

Places that the recording does not have (a laugh) are decoded from noise as `flow_decode` does. The
network sees two rows, three where there are such places and guidance is not zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..measure.alignment import guide_of
from ..measure.finite import check_finite, check_weights
from ..measure.time_path import TimePath, time_path
from ..models.cancel import cancellable
from ..models.flow import step_times
from ..models.hift import HiFT
from ..models.source_filter import SourceFilter
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import Decoding, Draws, DualCodes, EditRequest, Hooks, SilentHooks, Voice, same_codes
from ..vocab import MEL_FRAMES_PER_GROUP, joined, pairs
from .flow_decode import STAGE, flow_decode, prompt_and_answer_noise, resized_prompt
from .settings import check_decoding

KEEPS_RECORDING = ("emotion", "style", "speed", "sounds")
"""Kinds of edit that leave most of the recording as it is; noise and pauses should not stay."""
KEEPS_TIME = ("emotion", "style")
"""Kinds of which nothing is left at strength 0: no sound and no time of their own."""
MOST_IN_NETWORK = 1.5
"""Strength above which the velocities lose words."""
AROUND_GROUPS = 8
"""Groups of 120 ms of the answer that the decoder sees on each side of a part: about a second."""
PROMPT_GROUPS = 16
"""The same of the recording that prompts it: about two seconds."""


class Along(NamedTuple):
    """The recording under each of F frames of an edit."""

    source: Tensor
    """(80, F): its mel."""
    frames: np.ndarray
    """(F,) float64: frame of its mel, in fractions."""
    known: Tensor
    """(F,) bool: False where the recording has nothing like the edit, for example a laugh."""

    def cut(self, first: int, end: int) -> Along:
        """Frames first to end alone."""
        return Along(self.source[:, first:end], self.frames[first:end], self.known[first:end])


class Difference(NamedTuple):
    """What an edit has become. It is sound by `own_sound.sound_of`."""

    mel: Tensor
    """(80, F) natural log."""
    along: Along | None
    """None where the edit says something else altogether."""
    more: float = 1.0
    """Factor by which the change from the recording is still to be multiplied."""


def can_move(bundle: Bundle, along: Along | None, voice: Voice) -> bool:
    """Whether an edit can be made of the recording's own wave.

    So it is where no part of it is new, and the vocoder's pitch predictor says how its pitch moves.
    """
    if along is None or voice.wave is None or not bool(along.known.all()):
        return False
    return isinstance(bundle.vocoder, SourceFilter | HiFT)


def by_difference(bundle: Bundle, request: EditRequest, decoding: Decoding) -> bool:
    """Whether an edit is decoded by difference: asked for, or the bundle's way, and words stay."""
    way = decoding.way or bundle.manifest.decoder_way
    return way == "difference" and request.kind in KEEPS_RECORDING


def stands_still(bundle: Bundle, request: EditRequest, decoding: Decoding) -> bool:
    """Whether an edit changes nothing at all: strength 0, and its time is not what is asked for."""
    still = decoding.strength == 0 and request.kind in KEEPS_TIME
    return still and by_difference(bundle, request, decoding)


@in_own_state
def difference_decode(
    bundle: Bundle,
    codes: DualCodes,
    voice: Voice,
    *,
    draws: Draws,
    decoding: Decoding | None = None,
    hooks: Hooks | None = None,
) -> Difference:
    """Natural-log mel (80, 6G) float32 on the CPU for codes of G groups that edit `voice`.

    Args:
        bundle: the model; any flow decoder will do.
        codes: the answer.
        voice: the recording that was edited: its mel is what is kept, its codes are what the
            answer is compared with, and both prompt the decoder as in `flow_decode`.
        draws: of the noise, from the stage "flow": the same draw as in `flow_decode`.
        decoding: Euler steps; the weight of guidance in places that the recording does not have
            (there is no contrast, the difference is one); and the strength, a factor 0 to 2 on
            the difference. Strength 0 gives the recording's own mel in the answer's time, bit for
            bit; unknown places are decoded all the same. Where the answer is the voice's own codes
            it gives all of the mel (80, F), also what lies before and after the codes.
        hooks: progress and cancelling.

    An answer that says something else altogether than the voice's codes has nothing to keep; it is
    decoded by `flow_decode`. Raises ValueError when codes or voice were made by another bundle's
    tokenizers, or have no group, and for decoding out of range.
    """
    hooks, decoding = hooks or SilentHooks(), decoding or Decoding()
    check_decoding(decoding)
    bundle.vocabulary.check_codebook(codes)
    bundle.vocabulary.check_codebook(voice.codes)
    hooks.check()
    if decoding.strength == 0 and same_codes(codes, voice.codes):
        hooks.progress(STAGE, decoding.steps, decoding.steps)
        return Difference(voice.mel.clone(), whole_recording(voice))
    guide = guide_of(bundle)
    path = time_path(guide, voice.codes, codes, voice.mel, voice.lead)
    if path is None:
        how: dict[str, Any] = {"draws": draws, "decoding": decoding, "hooks": hooks}
        return Difference(flow_decode(bundle, codes, voice, **how), None)
    placed = _placed(path, codes, voice)
    along = _along(path, placed, voice)
    if decoding.strength == 0 and bool(placed.known.all()):
        hooks.progress(STAGE, decoding.steps, decoding.steps)
        return Difference(placed.source, along)
    noise = prompt_and_answer_noise(codes, voice, draws)
    decoding, more = _split(decoding, can_move(bundle, along, voice))
    mel = _moved(bundle, placed, _prompt(voice), noise=noise, decoding=decoding, hooks=hooks)
    return Difference(mel, along, more)


def _split(decoding: Decoding, movable: bool) -> tuple[Decoding, float]:
    """The strength that the network runs at, and the factor that is left for afterwards."""
    if movable:
        return replace(decoding, strength=1.0), decoding.strength
    return replace(decoding, strength=min(decoding.strength, MOST_IN_NETWORK)), 1.0


def whole_recording(voice: Voice) -> Along:
    """A recording along itself."""
    count = voice.mel.shape[1]
    known = torch.ones(count, dtype=torch.bool)
    return Along(voice.mel, np.arange(count, dtype=np.float64), known)


def _along(path: TimePath, placed: _Placed, voice: Voice) -> Along:
    """The recording under an answer."""
    return Along(placed.source, path.frames(voice.lead), placed.known)


@in_own_state
def difference_part(
    bundle: Bundle,
    codes: DualCodes,
    voice: Voice,
    groups: tuple[int, int],
    *,
    draws: Draws,
    decoding: Decoding,
) -> Difference:
    """Mel (80, 6G) of codes that differ from the voice's only in groups first to end.

    As `difference_decode`, with the same noise, but the decoder sees of the answer only what is
    near the part, and is prompted only by what is near it in the recording: what both conditions
    have alike further away moves the part by hardly more than nothing, and costs most of the time.
    Further out is the recording's mel along the path. Where there is no path, all is decoded.
    """
    path = time_path(guide_of(bundle), voice.codes, codes, voice.mel, voice.lead)
    if path is None:
        mel = flow_decode(bundle, codes, voice, draws=draws, decoding=decoding)
        return Difference(mel, None)
    placed, prompt = _placed(path, codes, voice), _prompt(voice)
    first, end = _around(groups, AROUND_GROUPS, codes.groups)
    mel, near = placed.source.clone(), placed.cut(first, end)
    if decoding.strength == 0 and bool(near.known.all()):
        return Difference(mel, _along(path, placed, voice))
    frames = slice(MEL_FRAMES_PER_GROUP * first, MEL_FRAMES_PER_GROUP * end)
    noise = prompt_and_answer_noise(codes, voice, draws)
    before, after = noise[..., : prompt.mel.shape[2]], noise[..., prompt.mel.shape[2] :]
    a, b = _around(groups, PROMPT_GROUPS, voice.codes.groups)
    heard = slice(MEL_FRAMES_PER_GROUP * a, MEL_FRAMES_PER_GROUP * b)
    noise = torch.cat((before[..., heard], after[..., frames]), dim=2)
    along = _along(path, placed, voice)
    decoding, more = _split(decoding, can_move(bundle, along, voice))
    how: dict[str, Any] = {"noise": noise, "decoding": decoding, "hooks": SilentHooks()}
    mel[:, frames] = _moved(bundle, near, prompt.cut(a, b), **how)
    return Difference(mel, along, more)


def _around(groups: tuple[int, int], more: int, count: int) -> tuple[int, int]:
    """Groups first to end with so many more on each side, of `count` groups; one at least."""
    first = min(max(0, groups[0] - more), count - 1)
    return first, max(first + 1, min(count, groups[1] + more))


class _Prompt(NamedTuple):
    """What stands before the answer: P groups of the recording."""

    codes: DualCodes
    mel: Tensor
    """(1, 80, 6P)."""
    speaker: Tensor
    """(192,)."""

    def cut(self, first: int, end: int) -> _Prompt:
        """Groups first to end alone."""
        frames = slice(MEL_FRAMES_PER_GROUP * first, MEL_FRAMES_PER_GROUP * end)
        return _Prompt(joined([(self.codes, first, end)]), self.mel[..., frames], self.speaker)


def _prompt(voice: Voice) -> _Prompt:
    """All of a voice."""
    return _Prompt(voice.codes, resized_prompt(voice), voice.speaker)


class _Placed(NamedTuple):
    """An answer of G groups, and the recording in its time."""

    codes: DualCodes
    laid: DualCodes
    """The recording's codes; the answer's own where the recording has nothing alike."""
    known: Tensor
    """(6G,) bool: False there."""
    source: Tensor
    """The recording's mel (80, 6G)."""

    def cut(self, first: int, end: int) -> _Placed:
        """Groups first to end alone."""
        codes, laid = (joined([(part, first, end)]) for part in (self.codes, self.laid))
        frames = slice(MEL_FRAMES_PER_GROUP * first, MEL_FRAMES_PER_GROUP * end)
        return _Placed(codes, laid, self.known[frames], self.source[:, frames])


def _placed(path: TimePath, codes: DualCodes, voice: Voice) -> _Placed:
    """The voice's recording along an answer."""
    laid, known = path.codes(voice.codes, codes), path.known_frames()
    return _Placed(codes, laid, known, path.mel(voice.mel, voice.lead))


@torch.no_grad()
def _moved(
    bundle: Bundle,
    placed: _Placed,
    prompt: _Prompt,
    *,
    noise: Tensor,
    decoding: Decoding,
    hooks: Hooks,
) -> Tensor:
    """The source (80, 6G) moved by the difference; noise (1, 80, 6P + 6G) standard normal."""
    check_weights(bundle, "flow")
    codes, laid, known, source = placed
    flow = bundle.flow
    estimator = flow.decoder.estimator
    weight = flow.encoder_proj.weight
    place = weight.device
    # where the recording has nothing alike, both conditions are the answer's and nothing differs
    ours, theirs, own = (pairs(c.linguistic, c.semantic) for c in (prompt.codes, codes, laid))
    mu = flow.encode(torch.stack([torch.cat((ours, theirs)), torch.cat((ours, own))]).to(place))
    lead_in = prompt.mel.to(place)
    lead = lead_in.shape[2]
    known = known.to(place)
    source = source[None].to(place)
    cond = torch.zeros_like(mu)
    cond[..., :lead] = lead_in
    if flow.config.prompt_guide:
        cond[..., lead:] = source * known
    speaker = flow.project_speaker(prompt.speaker[None].to(weight)).expand(2, -1)
    context = estimator.context(mu, speaker, cond)
    guidance = 0.0 if bool(known.all()) else decoding.guidance * flow.config.guidance_scale
    if guidance:
        nothing = estimator.in_proj.bias.expand_as(context[:1])
        context = torch.cat((context, nothing))

    # sums in float32 also where the network is in half precision
    noise = noise.to(place) * flow.config.noise_scale
    recorded = torch.cat((lead_in, source), dim=2)
    held = F.pad(known, (lead, 0), value=True)
    moving = F.pad(known, (lead, 0), value=False)
    # z where the recording is known; elsewhere the state of an ordinary run, which begins as noise
    z = torch.where(held, recorded, noise)
    # what is drawn from noise (a laugh) moves too far for fewer steps
    order = flow.config.difference_order if bool(known.all()) else 1
    steps = -(-decoding.steps // order)
    times, lengths = step_times(steps)
    modulations = estimator.modulations(times.to(place))
    last = z
    with cancellable(flow, hooks):
        for step in range(steps):
            t = float(times[step])
            before = torch.where(held, (1 - t) * noise + t * recorded, z)
            after = torch.where(held, before + (z - recorded), z)
            rows = [after, before, *([after] if guidance else [])]
            said = estimator.velocity(
                torch.cat(rows).to(weight), context, modulations.row(step)
            ).float()
            plain = (1 + guidance) * said[:1] - (guidance * said[2:] if guidance else 0.0)
            change = torch.where(moving, decoding.strength * (said[:1] - said[1:2]), 0.0)
            v = torch.where(held, change, plain)
            further = (v - last) / 2 if order > 1 and step else 0.0
            z = z + float(lengths[step]) * (v + further)
            last = v
            hooks.progress(STAGE, step + 1, steps)
            hooks.check()
    moved = z[0, :, lead:].float().cpu()
    check_finite(moved, "flow decoder", bundle)
    return moved
