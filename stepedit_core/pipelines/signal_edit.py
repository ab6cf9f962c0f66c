"""One round by signal processing: sound in, sound, codes and score out; no LM and no decoder.

The wave of the round before is changed and tokenized anew, so that it is measured, saved and edited
further like any other round. Later rounds by the model take it as their recording.
"""

from __future__ import annotations

from torch import Tensor

from ..measure.margin import can_score, score
from ..registry.handle import Bundle
from ..signal.denoise import denoise
from ..signal.silence import shorten_silence
from ..signal.stretch import TEMPO, fit_seconds, stretch
from ..signal.whisper import whisper
from ..text.edits import text_after
from ..text.engines import FIT, whispers
from ..types import SIGNAL_STAGE, Clip, Draws, DualCodes, EditRequest, Round
from .plan import Step
from .run import Run
from .tokenize import codes_of

STAGE = "whisper"
"""Of its draws."""
MOST_DB = 20.0
"""How far Denoise pushes noise down. Without a limit more words and more of the voice go with it
(docs/benchmarks/2026-11-28-signal.md); at this distance the noise is hardly heard."""


def signal_edit(
    bundle: Bundle, previous: Round, base: DualCodes, step: Step, *, draws: Draws, run: Run
) -> Round:
    """One finished round, not yet measured.

    Args:
        bundle: the model, whose tokenizers hear the result and whose scorer rates it.
        previous: the round whose sound is changed.
        base: codes from before the first round of this edit, as in `edit`.
        step: the request.
        draws: of the noise of a whisper.
        run: who watches, and the clock of this round.

    Raises ValueError where a package is missing, or nothing that can be heard is left.
    """
    request, hooks = step.request, run.hooks
    hooks.check()
    with run.clock.stage(SIGNAL_STAGE.name):
        hooks.progress(SIGNAL_STAGE.name, 0, 1)
        rate = previous.clip.sample_rate
        clip = Clip(wave=changed(previous.clip.wave, rate, request, draws), sample_rate=rate)
        hooks.progress(SIGNAL_STAGE.name, 1, 1)
    with run.clock.stage("tokenize"):
        codes = codes_of(bundle, clip, hooks=hooks)
    margin = None
    if can_score(bundle, request):
        with run.clock.stage("score"):
            margin = score(bundle, base, codes, request, hooks=hooks)
    return Round(
        clip=clip,
        codes=codes,
        request=request,
        score=margin,
        seconds_elapsed=run.clock.elapsed,
        text=text_after(request),
        source=previous,
        stage_seconds=dict(run.clock.seconds),
    )


def changed(wave: Tensor, rate: int, request: EditRequest, draws: Draws) -> Tensor:
    """Wave (N,) or (C, N) at `rate` Hz after an edit of `text/engines.py`; words and rate stay."""
    if whispers(request):
        return whisper(wave, rate, generator=draws.generator(STAGE))
    if request.kind == "denoise":
        return denoise(wave, rate, most_db=MOST_DB)
    if request.kind == "trim_silence":
        return shorten_silence(wave, rate)
    if request.option == FIT:
        return fit_seconds(wave, rate, request.seconds)
    return stretch(wave, rate, TEMPO[request.option])
