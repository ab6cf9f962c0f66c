"""What a run reports, in the same words and keys from the command, a node or a batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..measure.holding import faults_of, transcript_fits, words_hold
from ..pipelines.plan import Plan
from ..pipelines.verdict import holds, stopped, warnings_of
from ..registry.handle import Bundle
from ..types import Round
from ..vocab import GROUP


def report_of(
    bundle: Bundle, plan: Plan | None, rounds: Sequence[Round], *, best: int | None = None
) -> dict[str, Any]:
    """Model, plan, chosen round and one entry a round, ready for JSON.

    "holds" says whether the chosen round is an edit that keeps words and voice: false where none
    does, and the best is the recording. "stopped" says why rounds that were asked for are missing.

    Args:
        bundle: the model.
        plan: what was asked for; None for a clip that was only resynthesized.
        rounds: finished rounds, the input first.
        best: number of the chosen round; None while nothing is chosen.
    """
    return {
        "stepedit": __version__,
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "device": str(bundle.device),
        "precision": bundle.precision,
        "plan": None if plan is None else plan.as_json(),
        "best": best,
        "holds": None if best is None else holds(rounds, best),
        "stopped": (plan and stopped(plan, rounds)) or None,
        "warnings": list(warnings_of(plan, rounds, best)),
        "rounds": [
            round_entry(number, made, fits=transcript_fits(rounds[0]))
            for number, made in enumerate(rounds)
        ],
    }


def round_entry(number: int, made: Round, *, fits: bool = True) -> dict[str, Any]:
    """The figures of one round; None where something was not measured.

    "words_hold" is None too where the transcript does not fit the recording (`fits`).
    """
    measures = made.measures
    entry: dict[str, Any] = {
        "round": number,
        "edit": made.request.label if made.request else "input",
        "engine": None if made.request is None else "signal" if made.by_signal else "model",
        "text": made.text,
        "seconds": round(made.clip.seconds, 3),
        "ids": GROUP * made.codes.groups,
        "tokens": made.tokens,
        "ended": made.ended,
        "score": _rounded(made.score),
    }
    if measures is not None:
        entry |= {
            "voice_similarity": _rounded(measures.similarity),
            "word_distance": _rounded(measures.words),
            "heard": measures.heard,
            "misheard": _rounded(measures.misheard),
            "misfit": _rounded(measures.misfit),
            "median_pitch_hz": _rounded(measures.pitch_hz, 1),
            "peak": _rounded(measures.peak),
        }
    entry["words_hold"] = words_hold(made) if fits else None
    entry["holds"] = not faults_of(made)
    entry["notes"] = list(made.notes)
    entry["rejected"] = None
    if (other := made.rejected) is not None:
        entry["rejected"] = {
            "score": _rounded(other.score),
            "voice_similarity": _rounded(other.measures.similarity),
            "word_distance": _rounded(other.measures.words),
            "misheard": _rounded(other.measures.misheard),
            "misfit": _rounded(other.measures.misfit),
            "ended": other.ended,
            "faults": list(other.faults),
        }
    entry["elapsed_seconds"] = _rounded(made.seconds_elapsed)
    entry["stage_seconds"] = {stage: _rounded(s) for stage, s in made.stage_seconds.items()}
    return entry


def report_text(report: dict[str, Any]) -> str:
    """The report as JSON text; ValueError for a figure that is not finite."""
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
