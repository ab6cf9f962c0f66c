"""Rounds of edits: each request as often as asked, each round building on the one before.

Source: spec 6.9 and the prompt-fixed ablation of arXiv:2511.03601.

What the release does between rounds is save the wave and tokenize it anew. Here the language
model's input in round k > 1 is the ids that round k - 1 generated: the wave was decoded from
exactly these, so they stand for the same speech, and a second trip through vocoder and
tokenizers would only add its errors. Reports say "reused" there. What differs is the voice:

follow  the decoder is prompted by the previous round's audio: its speaker vector and mel are taken
        from that wave, its codes are the reused ones; changes of voice can build up
fixed   the original clip stays the decoder's prompt in every round
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from ..audio.resample import resample
from ..models.llm import PromptMemory
from ..registry.registry import Bundle
from ..text.edits import text_after
from ..types import SAMPLE_RATE, Clip, EditRequest, EditResult, Hooks, Round, Sampling, SilentHooks
from .clock import StageClock
from .edit import edit
from .flow_decode import GUIDANCE, STEPS
from .generate import check_request
from .tokenize import tokenize, voice_of

PROMPTS = ("follow", "fixed")
MOST_ROUNDS = 10


def iterate(
    bundle: Bundle,
    clip: Clip,
    requests: Sequence[EditRequest],
    *,
    seed: int,
    rounds: int = 1,
    prompt: Literal["follow", "fixed"] = "follow",
    sampling: Sampling | None = None,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    hooks: Hooks | None = None,
    made: Sequence[Round] = (),
    on_round: Callable[[Round], None] | None = None,
) -> EditResult:
    """All rounds, round 0 (the input at 24 kHz) first; arguments as in iterate_rounds.

    `on_round` is called with each round as soon as it is finished, so a run that is cancelled
    through the hooks loses only the round it was in.
    """
    done: list[Round] = []
    for finished in iterate_rounds(
        bundle,
        clip,
        requests,
        seed=seed,
        rounds=rounds,
        prompt=prompt,
        sampling=sampling,
        steps=steps,
        guidance=guidance,
        hooks=hooks,
        made=made,
    ):
        done.append(finished)
        if on_round is not None:
            on_round(finished)
    return EditResult(rounds=tuple(done))


def iterate_rounds(
    bundle: Bundle,
    clip: Clip,
    requests: Sequence[EditRequest],
    *,
    seed: int,
    rounds: int = 1,
    prompt: Literal["follow", "fixed"] = "follow",
    sampling: Sampling | None = None,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    hooks: Hooks | None = None,
    made: Sequence[Round] = (),
) -> Iterator[Round]:
    """Yield round 0, then every finished round.

    Args:
        bundle: the model.
        clip: the recording, any rate.
        requests: edits in order. The first transcript given is the clip's; after a round of sounds
            the new text is the transcript of what follows.
        seed: of all draws; round k of equal requests gives the same samples in every run.
        rounds: how often each request is applied before the next one, 1 to 10.
        prompt: "follow" or "fixed", see the module.
        sampling: how ids are drawn.
        steps: Euler steps of the flow decoder.
        guidance: weight of its classifier-free guidance.
        hooks: progress and cancelling.
        made: rounds of an earlier run with the same clip, requests so far, prompt and seed, round 0
            first; they are yielded as they are and only the rounds behind them are worked out.

    The margin score of a round compares with the codes before the first round of its request.
    Raises ValueError before any work for wrong requests, rounds or prompt, and for a bad clip.
    """
    plan = plan_rounds(bundle, requests, rounds, prompt)
    hooks = hooks or SilentHooks()
    done = list(made[: len(plan) + 1])
    yield from done
    voice = None
    if not done:
        clock = StageClock()
        with clock.stage("tokenize"):
            codes, voice = tokenize(bundle, clip, hooks=hooks)
        wave = resample(clip.wave, clip.sample_rate, SAMPLE_RATE)
        done.append(
            Round(
                clip=Clip(wave=wave, sample_rate=SAMPLE_RATE),
                codes=codes,
                request=None,
                score=None,
                seconds_elapsed=clock.elapsed,
                text=plan[0].text,
                stage_seconds=dict(clock.seconds),
            )
        )
        yield done[0]
    memory = PromptMemory()
    for number in range(len(done), len(plan) + 1):
        clock = StageClock()
        previous = done[-1]
        if voice is None or (number > 1 and prompt == "follow"):
            heard = previous.clip if number > 1 and prompt == "follow" else clip
            with clock.stage("tokenize"):
                of = done[0].codes if heard is clip else previous.codes
                voice = voice_of(bundle, heard, of, recorded=heard is clip, hooks=hooks)
        finished = edit(
            bundle,
            previous.codes,
            voice,
            plan[number - 1],
            seed=seed,
            round_=number,
            sampling=sampling,
            steps=steps,
            guidance=guidance,
            score_against=done[(number - 1) // rounds * rounds].codes,
            hooks=hooks,
            clock=clock,
            memory=memory,
        )
        done.append(replace(finished, tokens="tokenized" if number == 1 else "reused"))
        yield done[-1]


def plan_rounds(
    bundle: Bundle, requests: Sequence[EditRequest], rounds: int, prompt: str
) -> list[EditRequest]:
    """One request per round with the transcript it will meet; ValueError for anything wrong.

    Reads the bundle's text tokenizer at most, no network.
    """
    if prompt not in PROMPTS:
        raise ValueError(f"prompt is '{prompt}'; allowed are {', '.join(PROMPTS)}. Choose one.")
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}; allowed are 1 to {MOST_ROUNDS}. Choose fewer.")
    if not requests:
        raise ValueError("there is no edit to make; 1 or more are wanted. Add an edit.")
    original = text = next((r.text for r in requests if r.text.strip()), "")
    plan: list[EditRequest] = []
    for request in requests:
        if request.kind == "clone":
            raise ValueError(
                "clone cannot be one of several rounds; it takes new words for a voice. Use Clone "
                "Voice or `stepedit clone`."
            )
        if request.text.strip() not in ("", original.strip(), text.strip()):
            raise ValueError(
                f"two edits name different words for the same clip: '{original}' and "
                f"'{request.text}'. Give the transcript once."
            )
        for _ in range(rounds):
            meets = replace(request, text=text)
            check_request(bundle, meets)
            plan.append(meets)
            text = text_after(meets)
    return plan
