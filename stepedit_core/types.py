"""The objects that travel between stages: a clip, its codes, a voice, an edit, a result.

All are frozen; tensors inside are never changed in place. Letters used everywhere in the project:
B batch, N samples, G groups of 120 ms, F mel frames at 50 Hz (F = 6G), D width, H heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from typing import Literal, Protocol

import torch
from torch import Tensor

SAMPLE_RATE = 24_000
"""Rate in Hz of every wave the project returns."""
Engine = Literal["auto", "model", "signal"]
"""Who makes an edit: the language model, or signal processing; `text/engines.py` decides auto."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One mono recording: wave (N,) float32 on the CPU, nominally -1..1, at sample_rate Hz."""

    wave: Tensor
    sample_rate: int
    notes: tuple[str, ...] = ()
    """What was wrong with the recording that it was made of, a sentence each."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.wave.shape[-1] / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class DualCodes:
    """The two token streams of G groups of 120 ms, int64 on the CPU.

    linguistic (2G,) in 0..1023 at 16.67 Hz, semantic (3G,) in 0..4095 at 25 Hz (spec 5).
    codebook names the tokenizer pair that made them; other bundles refuse them.
    """

    linguistic: Tensor
    semantic: Tensor
    codebook: str

    def __post_init__(self) -> None:
        """Check that both streams describe the same number of groups."""
        if self.linguistic.shape[0] * 3 != self.semantic.shape[0] * 2:
            raise ValueError(
                f"codes hold {self.linguistic.shape[0]} linguistic and {self.semantic.shape[0]} "
                "semantic ids; a group is 2 linguistic and 3 semantic. Tokenize the clip again."
            )

    @property
    def groups(self) -> int:
        """Number of 120 ms groups G."""
        return self.linguistic.shape[0] // 2

    @property
    def seconds(self) -> float:
        """Length of the speech the codes stand for, in seconds."""
        return self.groups * 0.12


def same_codes(one: DualCodes, other: DualCodes) -> bool:
    """Whether two clips have the same codes of the same tokenizers."""
    return (
        one.codebook == other.codebook
        and torch.equal(one.linguistic, other.linguistic)
        and torch.equal(one.semantic, other.semantic)
    )


@dataclass(frozen=True, kw_only=True)
class Voice:
    """What the decoder is prompted with: who speaks and how the recording sounds.

    speaker (192,) float32, mel (80, F) float32 natural log at 50 Hz, codes of the same clip.
    """

    speaker: Tensor
    mel: Tensor
    codes: DualCodes
    lead: float = 0.0
    """Mel frames before the first code: the silence that was cut; negative where some was added."""
    wave: Tensor | None = None
    """(N,) float32 at 24 kHz, the sound that the mel is of, at its own level; None where only the
    mel is known."""
    saved: float = 0.0
    """Seconds of quiet speech at the ends that the release's trim would have cut from the codes."""


@dataclass(frozen=True, kw_only=True)
class EditRequest:
    """One edit. Which kinds, options and tags exist is the table in text/edits.py."""

    kind: str
    """emotion, style, speed, sounds, denoise, trim_silence, clone or (experimental) rewrite."""
    option: str = ""
    """Option of the kind, for example happy, whisper, faster, remove; empty where none applies."""
    engine: Engine = "auto"
    """Who makes it; a choice only for speed, denoise, trim_silence and style whisper."""
    seconds: float = 0.0
    """Length that the speed "fit to seconds" gives the clip; else 0."""
    text: str = ""
    """Words of the clip that is edited."""
    new_text: str = ""
    """Words after the edit, for sounds (with [Tags] inside), rewrite and clone; else empty."""
    speaker: str = ""
    """Name in a clone prompt; empty takes the one the 2026 release sends (spec 6.6)."""

    @property
    def label(self) -> str:
        """Kind and option as people read them, for example "emotion happy"."""
        return f"{self.kind} {self.option}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the language model draws ids; the defaults are the release's (spec 6.8)."""

    temperature: float = 0.7
    """Softmax temperature; 0 takes the most likely id."""
    top_k: int = 0
    """Keep only the k most likely ids; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of ids whose probability reaches p."""
    forbid_repeats: bool | None = None
    """The 2025 rule: the newest id may not repeat when it fills two or more of the last ten places
    (spec 6.8); None follows the bundle: on for prompt layouts of 2025, off for all others."""
    max_ids: int = 0
    """Most ids drawn; 0 takes the limit that fits the edit (spec 6.8, community limits)."""


DecodingWay = Literal["exact", "difference"]


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the flow decoder draws a mel; the defaults are the release's (spec 8.4)."""

    steps: int = 10
    """Euler steps; time grows in proportion."""
    guidance: float = 0.7
    """Weight of classifier-free guidance; 0 is off."""
    contrast: float | None = None
    """Weight of the guidance away from the prompt's own codes (decision 0014); None takes what the
    bundle was trained for, in proportion to `guidance`."""
    way: DecodingWay | None = None
    """Edits are decoded from noise as released, "exact", or by "difference", which keeps the
    recording (decision 0018); None takes the bundle's way."""
    strength: float = 1.0
    """Factor 0 to 2 on what decoding by difference changes. 0 is the recording, with all of its
    length, for emotion and style; for speed and sounds it is the recording in the edit's time."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Where the random numbers of one round come from."""

    seed: int
    round: int = 1
    """Number of the round, from 1; each round has its own draws from the same seed."""
    again: bool = False
    """Whether these are the draws of a second try."""

    def generator(self, stage: str) -> torch.Generator:
        """CPU generator of one stage of this round."""
        return stage_generator(self.seed, f"{stage}/again" if self.again else stage, self.round)


@dataclass(frozen=True, kw_only=True)
class WordLimits:
    """Up to where a recogniser's measures say that words hold; each recogniser has its own."""

    heard: float = 0.34
    """Share of words heard wrongly in a round: one of three."""
    other_heard: float = 0.6
    """The same share in a recording, above which the transcript is another clip's."""
    misfit: float = math.inf
    """Nats per letter by which the words of a round do not fit its sound."""
    other_misfit: float = math.inf
    """The same in a recording, above which the transcript is not its."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What was measured on the sound of a round. `measure/sound.py` makes them."""

    speaker: Tensor
    """Speaker vector (192,) float32."""
    similarity: float
    """Cosine of the speaker vector to the original recording's: 1 is the same voice."""
    pitch_hz: float | None
    """Median F0 in Hz; None where nothing is voiced."""
    words: float | None
    """Distance 0..2 of the linguistic codes to those that said these words before; 0 is the same.
    For sounds it counts only what is lost beside them. None for the input and for a clone."""
    heard: str | None = None
    """Words that the bundle's recogniser hears; None where it has none."""
    misheard: float | None = None
    """Share of the expected words that are wrong in `heard`: those of the round, or, where no words
    were given, those heard in the input. None without a recogniser or expected words."""
    misfit: float | None = None
    """Nats per letter by which the expected words fit the sound worse than the best letters; None
    without a recogniser that can tell, or without expected words."""
    limits: WordLimits = WordLimits()
    """Those of the recogniser that heard."""
    peak: float
    """Largest absolute sample; above 1 the sound clips when it is saved."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """The try of a round that was not kept, of two: the first had a fault, so it was made again."""

    score: float | None
    measures: Measures
    ended: bool
    faults: tuple[str, ...]
    """What is wrong with it, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One finished round: its wave, the codes it was decoded from and what was measured."""

    clip: Clip
    codes: DualCodes
    request: EditRequest | None
    """The edit applied in this round; None for round 0, the input."""
    score: float | None
    """Margin score 1-10 against the source of the edit; None where the bundle has no scorer."""
    seconds_elapsed: float
    tokens: str = "tokenized"
    """Where the LM's input came from: "tokenized" from a wave, or "reused": the ids that the round
    before generated, which are the same speech without a second loss. A round by signal
    processing has no LM; its codes are "tokenized" from its wave."""
    text: str = ""
    """Words of this round's clip, as far as known."""
    ended: bool = True
    """Whether the language model ended its answer itself, before the longest answer allowed."""
    measures: Measures | None = None
    """None only before the loop has measured the round."""
    rejected: Rejected | None = None
    """The other try, where this round was made twice."""
    notes: tuple[str, ...] = ()
    """What a listener should know of this round, a sentence each; empty where all is well."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Stage -> seconds of wall time."""
    source: Round | None = None
    """The round that signal processing made this one of; it has the same words."""

    @property
    def by_signal(self) -> bool:
        """Whether signal processing made its wave; the codes were then taken from the wave."""
        return self.request is not None and self.request.engine == "signal"


@dataclass(frozen=True, kw_only=True)
class EditResult:
    """All rounds in order, round 0 (the input at 24 kHz) first."""

    rounds: tuple[Round, ...]
    best_number: int
    """Number of the round that `pipelines/best.py` chose; 0, the input, where none holds."""
    warnings: tuple[str, ...] = ()
    """What a user must know of the run as a whole, a sentence each (`pipelines/verdict.py`)."""

    @property
    def final(self) -> Round:
        """The last round."""
        return self.rounds[-1]

    @property
    def best(self) -> Round:
        """The chosen round."""
        return self.rounds[self.best_number]


@dataclass(frozen=True)
class Stage:
    """One stage of a round, as a progress bar shows it."""

    name: str
    start: float
    """Where it begins within the bar of a round, 0..1."""
    share: float
    """How much of that bar it fills, 0..1."""
    doing: str
    """What the line beside the bar says meanwhile."""


def stages_of(*rows: tuple[str, float, str]) -> tuple[Stage, ...]:
    """Stages in order from rows of name, weight beside the others, and the line's words."""
    whole = sum(weight for _, weight, _ in rows)
    ends = list(accumulate((weight / whole for _, weight, _ in rows), initial=0.0))
    return tuple(
        Stage(name, start, weight / whole, doing)
        for (name, weight, doing), start in zip(rows, ends, strict=False)
    )


STAGES = stages_of(
    ("tokenize", 5, "listening"),
    ("generate", 60, "writing tokens"),
    ("flow", 30, "decoding"),
    ("vocode", 3, "vocoding"),
    ("score", 1, "scoring"),
    ("measure", 1, "measuring"),
)
"""Stages of a round by the model, in order: name, time beside the others, words of the line."""
SIGNAL_STAGE = Stage("signal", 0.0, 0.0, "changing the sound")
"""What a round by signal processing has in place of the LM and the decoder; then it is measured."""


def stage_named(name: str) -> Stage:
    """The stage of this name; one that is not in the table fills the bar under its own name."""
    known = {stage.name: stage for stage in (*STAGES, SIGNAL_STAGE)}
    return known.get(name, Stage(name, 0.0, 1.0, name))


class Hooks(Protocol):
    """How a caller watches and stops a run; called at every LM id and every ODE step."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of about `total` units of `stage` are finished."""

    def check(self) -> None:
        """Raise the caller's own exception when the run has been cancelled."""


class SilentHooks:
    """Hooks that do nothing."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Ignore the report."""

    def check(self) -> None:
        """Never cancel."""


def stage_generator(seed: int, stage: str, round_: int = 0) -> torch.Generator:
    """CPU generator for one stage of one round; a draw in one stage never shifts another."""
    digest = blake2b(f"{seed}/{stage}/{round_}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
