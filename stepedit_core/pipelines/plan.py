"""What a run will do, decided and checked once, before any network is loaded.

A plan names the clip by its digest, the edits in order, and every setting that changes a sample. It
is the key of the graph's memory, the item of a batch and the head of the report; two runs with
equal plans and the same bundle give the same samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from ..audio.clips import check_clip
from ..files.strict import from_json, to_json
from ..measure.recognisers import can_hear
from ..printable import quoted, shown
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..signal.denoise import check_installed
from ..signal.stretch import check_tempo
from ..text.edits import check_text, text_after, validate
from ..text.engines import (
    FIT,
    WHISPER,
    check_offered,
    check_seconds,
    check_signal,
    engine_of,
    signal_makes,
    whispers,
)
from ..text.missing_words import MissingWordsError
from ..text.prompts import check_words, speaker_name
from ..types import Clip, Decoding, Draws, EditRequest, Hooks, Sampling
from .listened import Listened, listen
from .makers import check_strength, needs_words, vocabulary_of
from .settings import check_decoding, check_rounds, check_sampling, check_seed
from .transcript import check_length, check_letters, check_pace, speech_seconds

ANY_WORDS = "a"
"""In place of words that are not known yet, to check the rest of a request."""
VoiceMode = Literal["original", "previous"]
VOICE_MODES: tuple[VoiceMode, ...] = get_args(VoiceMode)
"""Whose sound prompts the decoder: the input's in every round, or the round before's."""
CLONE_ALONE = (
    "clone cannot be one of several rounds; it takes new words for a voice. Use Clone Voice or "
    "`stepedit clone`."
)


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """What a plan knows of its clip."""

    sha256: str
    """Digest of the float32 samples."""
    sample_rate: int
    """In Hz."""
    samples: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """One round to come."""

    request: EditRequest
    """The edit, with the words that the clip has by then."""
    base: int
    """Number of the round before the first round of this edit; scores compare with it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides the samples of a run, beside the bundle. Made by `make_plan`."""

    clip: ClipFacts
    requests: tuple[EditRequest, ...]
    """Edits in order; the first has the words of the clip."""
    rounds: int = 1
    """How often each edit is applied before the next one."""
    voice: VoiceMode = "original"
    """What prompts the decoder from round 2 on; round 1 hears the recording in both modes."""
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    decoding: Decoding = field(default_factory=Decoding)
    recogniser: str = ""
    """Folder of a faster-whisper model that judges the words of every round, and so decides which
    are made again; empty: the bundle's own recogniser, where it has one."""

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All rounds in order; the words after one edit are the words of the next."""
        text = self.requests[0].text
        steps: list[Step] = []
        for request in self.requests:
            base = len(steps)
            for _ in range(self.rounds):
                step = Step(request=replace(request, text=text), base=base)
                text = text_after(step.request)
                steps.append(step)
        return tuple(steps)

    def draws(self, number: int, *, again: bool = False) -> Draws:
        """Random numbers of a round, from 1, or of its second try."""
        return Draws(seed=self.seed, round=number, again=again)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON value; `plan_from_json` brings it back."""
        value: dict[str, Any] = to_json(self)
        return value


def plan_from_json(data: object) -> Plan:
    """The plan of a JSON object; ValueError for unknown keys, wrong types and numbers out of range.

    What the plan asks for is not compared with a bundle; `check_plan` does that.
    """
    plan = from_json(Plan, data, "the plan", "Correct the plan.")
    _check_settings(plan)
    return plan


def facts_of(clip: Clip) -> ClipFacts:
    """Digest, rate and length of a clip."""
    samples = clip.wave.detach().float().cpu().contiguous().numpy()
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    return ClipFacts(sha256=digest, sample_rate=clip.sample_rate, samples=samples.shape[-1])


def make_plan(bundle: Bundle, clip: Clip, requests: Sequence[EditRequest], **settings: Any) -> Plan:
    """A checked plan; `settings` are the further fields of Plan.

    Only one of the edits needs the words of the clip; where none has them and something can hear,
    they are what it hears. Else the bundle's text tokenizer is read at most, no network. Raises
    ValueError for a bad clip, an edit that the bundle does not know, missing or contradictory
    words, a clone, and numbers out of range.
    """
    if any(request.kind == "clone" for request in _listed(requests)):
        raise ValueError(CLONE_ALONE)
    return plan_of(bundle, clip, requests, **settings)


@in_own_state
def plan_of(bundle: Bundle, clip: Clip, requests: Sequence[EditRequest], **settings: Any) -> Plan:
    """A checked plan as of make_plan, or of one clone; `pipelines/clone.py` makes those."""
    check_clip(clip)
    check_names(settings)
    asked = _listed(requests)
    plan = Plan(clip=facts_of(clip), requests=asked, **settings)
    _check_settings(plan)
    text = _words(asked)
    if not text and (found := listened(bundle, clip, asked, plan.recogniser)) is not None:
        text = found.text
    first = replace(asked[0], text=text)
    if first.kind == "clone" and bundle.manifest.prompt_layout.startswith("2025"):
        first = replace(first, speaker=speaker_name(text, clip.wave))
    plan = decided(bundle, replace(plan, requests=(first, *asked[1:])))
    check_plan(bundle, plan)
    if text.strip() and any(request.engine != "signal" for request in plan.requests):
        check_pace(text, speech_seconds(clip))
    return plan


def listened(
    bundle: Bundle,
    clip: Clip,
    requests: Sequence[EditRequest],
    folder: str | Path = "",
    *,
    hooks: Hooks | None = None,
) -> Listened | None:
    """What is heard in the clip, for edits that need its words; None where nothing listens.

    Raises ValueError for a bad clip, an edit that the bundle does not know, and where no words are
    given and none are heard. Nothing listens where nothing can hear.
    """
    if not needs_words(bundle, requests) or not can_hear(bundle, folder):
        return None
    check_clip(clip)  # what is wrong is said before anything is heard
    text = _words(requests)
    for request in requests:
        check_request(bundle, replace(request, text=text or ANY_WORDS))
    found = listen(bundle, clip, text, folder, hooks=hooks)
    if not found.given:
        try:
            check_letters(bundle, found.text)
        except ValueError as error:
            raise MissingWordsError(
                f"no transcript was given; '{shown(found.text, 80)}' was heard, and "
                f"{shown(error, 400)} If it was heard wrongly, give the words (--text)."
            ) from error
    return found


def _words(requests: Sequence[EditRequest]) -> str:
    """The words of the clip that edits name; empty where none does."""
    return next((request.text for request in requests if request.text.strip()), "")


def decided(bundle: Bundle, plan: Plan) -> Plan:
    """The plan whose requests name the engine that makes them, where there is a choice."""
    known = vocabulary_of(bundle)
    return replace(
        plan,
        requests=tuple(
            replace(request, engine=engine_of(request, known)) if signal_makes(request) else request
            for request in plan.requests
        ),
    )


def check_names(settings: Iterable[str], also: Sequence[str] = ()) -> None:
    """Raise ValueError for a name that is not a setting of a plan, nor one of `also`."""
    plan = [f.name for f in fields(Plan) if f.name not in ("clip", "requests")]
    for name in settings:
        for kind in (Decoding, Sampling):
            if name not in (*also, *plan) and name in [f.name for f in fields(kind)]:
                own = kind.__name__
                raise ValueError(
                    f"{shown(name)} is not a setting of its own; it belongs to "
                    f"{shown(own.lower())}. Pass {shown(own.lower())}=stepedit.{shown(own)}("
                    f"{shown(name)}=...)."
                )
    check_known(settings, [*also, *plan])


def check_known(settings: Iterable[str], known: Sequence[str]) -> None:
    """Raise ValueError for a name that is not one of `known`."""
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            remedy = f"Did you mean {near[0]}?" if near else "Leave it out."
            raise ValueError(
                f"the setting {quoted(name)} is unknown; allowed are {shown(', '.join(known))}. "
                f"{remedy}"
            )


def _listed(requests: object) -> tuple[EditRequest, ...]:
    """The requests as a tuple; ValueError for what is not a list of EditRequests."""
    listed = tuple(requests) if isinstance(requests, (list, tuple)) else (requests,)
    for request in listed:
        if not isinstance(request, EditRequest):
            raise ValueError(
                f"the edit is {quoted(request)} ({type(request).__name__}); an EditRequest is "
                "needed. Pass stepedit.EditRequest(kind=..., option=..., text=...)."
            )
    return listed


def _check_texts(request: EditRequest) -> None:
    """Raise ValueError for a request whose fields are not text that can be written as UTF-8."""
    if isinstance(request.seconds, bool) or not isinstance(request.seconds, (int, float)):
        raise ValueError(
            f"the seconds of the edit are {quoted(request.seconds)} "
            f"({type(request.seconds).__name__}); a number is needed. Give it without quotes."
        )
    for part in fields(request):
        if part.name == "seconds":
            continue
        check_text(f"the {part.name} of the edit", getattr(request, part.name))


def _check_settings(plan: Plan) -> None:
    """Raise ValueError for settings that no bundle can take."""
    if not plan.requests:
        raise ValueError("there is no edit to make; give 1 or more. Add an edit.")
    for request in plan.requests:
        _check_texts(request)
    if plan.voice not in VOICE_MODES:
        raise ValueError(
            f"voice is {quoted(plan.voice)}; allowed are {', '.join(VOICE_MODES)}. Choose one."
        )
    check_text("the recogniser", plan.recogniser)
    check_rounds(plan.rounds)
    check_seed(plan.seed)
    check_sampling(plan.sampling)
    check_decoding(plan.decoding)
    if any(r.kind == "clone" for r in plan.requests) and len(plan.requests) * plan.rounds > 1:
        raise ValueError(CLONE_ALONE)


def check_plan(bundle: Bundle, plan: Plan) -> None:
    """Raise ValueError for whatever the bundle cannot do of a plan."""
    _check_settings(plan)
    check_strength(bundle, plan.requests, plan.decoding)
    way = plan.decoding.way or bundle.manifest.decoder_way
    if way == "exact" and plan.decoding.strength != 1:
        raise ValueError(
            f"strength is {plan.decoding.strength} and the decoder's way is exact, which has none. "
            "Choose the way difference, or strength 1."
        )
    given = plan.requests[0].text
    for number, (request, step) in enumerate(
        zip(plan.requests, plan.steps[:: plan.rounds], strict=True)
    ):
        if number and request.text.strip() not in ("", given.strip(), step.request.text.strip()):
            raise ValueError(
                f"two edits name different words for the same clip: '{shown(given)}' and "
                f"'{shown(request.text)}'. Give the transcript once."
            )
    for request in dict.fromkeys(step.request for step in plan.steps):
        check_request(bundle, request)
        if request.kind == "denoise" and engine_of(request, vocabulary_of(bundle)) == "signal":
            check_installed()
    _check_order(bundle, plan.requests)
    _check_fit(plan)


def _check_order(bundle: Bundle, requests: Sequence[EditRequest]) -> None:
    """Raise ValueError for an edit of the model after a whisper by signal processing.

    By difference it stays a whisper, in the exact way the voice comes back; neither was measured.
    """
    known, whispered = vocabulary_of(bundle), False
    for request in requests:
        engine = engine_of(request, known)
        if whispered and engine == "model":
            raise ValueError(
                f"style {WHISPER} by signal processing comes before {shown(request.label)}, and "
                "the model never learnt to edit a whisper. Put the whisper after it."
            )
        whispered = whispered or whispers(replace(request, engine=engine))


def _check_fit(plan: Plan) -> None:
    """Raise ValueError for a length that the recording cannot be stretched to."""
    first, seconds = plan.requests[0], plan.clip.samples / plan.clip.sample_rate
    if first.option == FIT:
        check_tempo(seconds, first.seconds)


def check_request(bundle: Bundle, request: EditRequest) -> None:
    """Raise ValueError when neither the bundle's model nor signal processing can do this.

    The sentence names the engine or the model that can.
    """
    if engine_of(request, vocabulary_of(bundle)) == "signal":
        check_signal(request)
    else:
        check_model_request(bundle, request)


def check_model_request(bundle: Bundle, request: EditRequest) -> None:
    """Raise ValueError when the bundle's language model cannot be asked for this.

    It does not make the edit, words are missing, or the words contain control tokens.
    """
    if request.engine == "signal":
        raise ValueError(
            f"{shown(request.label)} is asked of the engine signal, which changes sound and writes "
            "no tokens. Use Iterative Edit or `stepedit edit`, or choose the engine model."
        )
    vocabulary = vocabulary_of(bundle)
    check_offered(bundle.name, request, vocabulary)
    check_seconds(request)
    validate(request, vocabulary)
    check_words(bundle.text, bundle.manifest.prompt_layout, request.text, request.new_text)
    for words in (request.text, request.new_text):
        check_letters(bundle, words)
    if request.kind == "clone":
        check_length(request.new_text)
