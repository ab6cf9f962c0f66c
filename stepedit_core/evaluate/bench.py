"""Time and memory of every stage of one edit, on whatever bundle, device and precision.

The language model writes a fixed number of ids, the most likely legal one each time and never the
end, so bundles of random weights can be measured and two runs do the same work. One call of each
stage goes before the measured ones.
"""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from .. import __version__
from ..audio.fbank import RATE as CODE_RATE
from ..audio.fbank import linguistic_features, speaker_features
from ..audio.mel import prompt_mel, semantic_log_mel, semantic_pieces
from ..audio.resample import resample
from ..audio.trim import cap_peak, normalise_energy, trim_silence
from ..files.reading import read_object
from ..models.llm import Step1LM
from ..models.llm_cache import PromptMemory
from ..pipelines.flow_decode import flow_decode
from ..pipelines.generate import prompt_ids
from ..pipelines.sampling import prompt_cuts
from ..pipelines.tokenize import tokenize
from ..pipelines.vocode import vocode
from ..printable import shown
from ..registry.handle import Bundle
from ..registry.registry import Registry
from ..registry.threads import threads_of
from ..types import SAMPLE_RATE, Clip, Draws, DualCodes, EditRequest, Voice
from ..vocab import GROUP, Vocabulary
from .agreement import Agreement, agreement

WORDS = "The sun was low when we walked home, and nobody said a word."
SPOKEN = EditRequest(kind="denoise")
"""Stands in where the bundle does not know the emotion happy."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured stage."""

    stage: str
    unit: str
    """"s" for seconds a call, "ids/s" for a rate."""
    median: float
    least: float
    most: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What `stepedit bench` prints and writes."""

    rows: tuple[Row, ...]
    facts: dict[str, Any]
    quality: Agreement | None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **self.facts,
            "rows": [asdict(row) for row in self.rows],
            "quality": None if self.quality is None else asdict(self.quality),
        }


def is_bench(path: Path) -> bool:
    """Whether a file has the figures of `stepedit bench`."""
    try:
        found = read_object(path)
    except (OSError, ValueError):
        return False
    return {"stepedit", "rows", "quality", "peak_bytes"} <= found.keys()


def voiced(seconds: float, rate: int = SAMPLE_RATE) -> Clip:
    """A buzz with syllables, the same every time: no silence that trimming would take."""
    time = torch.arange(int(seconds * rate)) / rate
    phase = 2 * torch.pi * 140.0 * (time + 0.02 * torch.sin(2 * torch.pi * 2 * time))
    wave = torch.stack([torch.sin(k * phase) / k for k in range(1, 12)]).sum(0)
    return Clip(
        wave=0.2 * wave * (0.55 + 0.45 * torch.sin(2 * torch.pi * 4 * time)), sample_rate=rate
    )


def peak_bytes(device: torch.device) -> dict[str, int]:
    """Most memory so far: of the process, and of the accelerator where it is CUDA."""
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out = {"process": rss if sys.platform == "darwin" else 1024 * rss}
    if device.type == "cuda":
        out["device"] = int(torch.cuda.max_memory_allocated(device))
    return out


class Stopwatch:
    """Runs a stage once to warm up, then `runs` times, and keeps a row."""

    def __init__(self, device: torch.device, runs: int, on_stage: Callable[[str], None]) -> None:
        self._device = device
        self.runs = runs
        self._on_stage = on_stage
        self.rows: list[Row] = []

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def once(self, work: Callable[[], object]) -> float:
        """Seconds of one call, the device's queue included."""
        self._wait()
        start = perf_counter()
        work()
        self._wait()
        return perf_counter() - start

    def measure(
        self, stage: str, work: Callable[[], object], *, ids: int = 0, warm: bool = True
    ) -> None:
        """Keep the time of a stage, or its rate where it makes so many ids a call."""
        self._on_stage(stage)
        if warm:
            work()
        self.keep(stage, [self.once(work) for _ in range(self.runs)], ids=ids)

    def keep(self, stage: str, seconds: list[float], *, ids: int = 0) -> None:
        """Keep seconds that were measured elsewhere."""
        values = [ids / s for s in seconds] if ids else seconds
        self.rows.append(
            Row(
                stage=stage,
                unit="ids/s" if ids else "s",
                median=median(values),
                least=min(values),
                most=max(values),
                runs=len(values),
            )
        )


@torch.inference_mode()
def write_ids(
    model: Step1LM,
    prompt: list[int],
    vocabulary: Vocabulary,
    count: int,
    memory: PromptMemory | None = None,
) -> tuple[list[int], float]:
    """`count` ids after a prompt, the most likely legal ones; and the seconds until the first."""
    start = perf_counter()
    cache = model.new_cache(1, len(prompt) + count)
    cuts = [prompt_cuts(prompt, vocabulary)]
    hidden = model.prefill_hidden([prompt], cache, cuts=cuts, memory=memory)
    ids: list[int] = []
    until_first = 0.0
    for position in range(count):
        first, last = vocabulary.legal_range(position)
        ids.append(first + int(model.logits(hidden, first, last).argmax()))
        if not position:
            until_first = perf_counter() - start
        if position + 1 < count:
            hidden = model.step_hidden(torch.tensor([ids[-1]], device=cache.kv.device), cache)
    return ids, until_first


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What is measured."""

    device: str | None = None
    """None takes the accelerator, else the CPU."""
    precision: str = "auto"
    """Of the language model."""
    clip: Clip | None = None
    """What is edited; None takes 5 s of a made voice."""
    ids: int = 250
    """Written by the language model in one edit; whole groups of 5 count."""
    runs: int = 3
    """Measured calls of each stage."""
    against: str = ""
    """A precision to compare the answers with; empty for none."""
    threads: int = 0
    """Of the processor; 0 leaves the choice to registry/threads.py."""


def bench(
    registry: Registry,
    name: str,
    settings: BenchSettings,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Bench:
    """Measure a bundle.

    Args:
        registry: where the bundle is found; nothing of it should be loaded yet.
        name: of the bundle, or its folder.
        settings: device, precision, clip and amounts.
        on_stage: called with the name of each stage before it runs.

    Raises ValueError for wrong names and numbers.
    """
    device, precision, against = settings.device, settings.precision, settings.against
    ids, runs = settings.ids - settings.ids % GROUP, settings.runs
    if ids < GROUP or runs < 1:
        raise ValueError(
            f"{ids} ids and {runs} runs are asked for; {GROUP} ids and 1 run are the least. "
            "Name larger numbers."
        )
    clip = settings.clip or voiced(5.0)
    on_stage("load")
    start = perf_counter()
    bundle = registry.load(name, device=device, precision=precision)
    bundle.threads = settings.threads
    bundle.load_all()
    loading = perf_counter() - start
    watch = Stopwatch(bundle.device, runs, on_stage)
    watch.keep("load", [loading])
    with torch.inference_mode():
        codes, voice = _tokenizers(watch, bundle, clip)
        prompt = _language_model(watch, bundle, codes, ids)
        _decoder(watch, bundle, codes, voice, ids)
        watch.measure("whole edit", lambda: _edit(bundle, clip, ids), warm=False)
    peak = peak_bytes(bundle.device)
    quality = None
    if against:
        on_stage(f"compare with {against}")
        other = registry.load(name, device=device, precision=against)
        quality = agreement(other.llm, bundle.llm, [prompt])
    facts = {
        "stepedit": __version__,
        "bundle": bundle.name,
        "sha256": bundle.sha256,
        "device": str(bundle.device),
        "precision": precision,
        "lm_parameters": _parameters(bundle),
        "against": against,
        "torch": torch.__version__,
        "threads": threads_of(bundle),
        "machine": f"{platform.machine()} {_processor()}",
        "clip_seconds": round(clip.seconds, 3),
        "prompt_ids": len(prompt),
        "new_ids": ids,
        "peak_bytes": peak,
    }
    return Bench(rows=tuple(watch.rows), facts=facts, quality=quality)


def _parameters(bundle: Bundle) -> int:
    """Parameters of the language model by its config."""
    lm = bundle.llm.config
    attention = 2 * lm.hidden_size**2 + 2 * lm.hidden_size * lm.num_attention_groups * lm.head_dim
    layer = attention + 3 * lm.hidden_size * lm.intermediate_size + 2 * lm.hidden_size
    return lm.num_hidden_layers * layer + (2 * lm.vocab_size + 1) * lm.hidden_size


def _processor() -> str:
    return str(torch.backends.cpu.get_cpu_capability())


def _tokenizers(watch: Stopwatch, bundle: Bundle, clip: Clip) -> tuple[DualCodes, Voice]:
    """Signal processing and the three encoders, each on its own; codes and voice of the clip."""
    wave = cap_peak(clip.wave)
    slow = resample(wave, clip.sample_rate, CODE_RATE)
    speech, _ = trim_silence(normalise_energy(slow))
    pieces = semantic_pieces(speech)
    to = bundle.linguistic.codebook
    features = linguistic_features(speech).to(to)[None]
    mels = [semantic_log_mel(piece).to(to)[None] for piece in pieces]
    fbank = speaker_features(slow).to(to)[None]

    def signal() -> None:
        at_16k = resample(wave, clip.sample_rate, CODE_RATE)
        trimmed, _ = trim_silence(normalise_energy(at_16k))
        linguistic_features(trimmed)
        for piece in semantic_pieces(trimmed):
            semantic_log_mel(piece)
        speaker_features(at_16k)
        prompt_mel(resample(wave, clip.sample_rate, SAMPLE_RATE))

    watch.measure("signal processing", signal)
    watch.measure("linguistic tokenizer", lambda: bundle.linguistic.encode(features))
    watch.measure("semantic tokenizer", lambda: [bundle.semantic.encode(mel) for mel in mels])
    watch.measure("speaker encoder", lambda: bundle.speaker(fbank))
    return tokenize(bundle, clip)


def _request(bundle: Bundle, codes: DualCodes) -> tuple[list[int], EditRequest]:
    """A prompt that the bundle can be given, and its request."""
    for request in (EditRequest(kind="emotion", option="happy", text=WORDS), SPOKEN):
        try:
            return prompt_ids(bundle, codes, request), request
        except ValueError:
            continue
    raise ValueError(
        f"bundle '{shown(bundle.name)}' can be asked for no edit that is measured here."
    )


def _language_model(watch: Stopwatch, bundle: Bundle, codes: DualCodes, ids: int) -> list[int]:
    """First id, first id of a second round, and ids a second; returns the prompt."""
    prompt, _ = _request(bundle, codes)
    model, vocabulary = bundle.llm, bundle.vocabulary
    watch.measure("LM, first id", lambda: write_ids(model, prompt, vocabulary, 1))
    memory = PromptMemory()
    made, _ = write_ids(model, prompt, vocabulary, ids, memory)
    second, _ = _request(bundle, vocabulary.split(made))
    # each call is a second round: the one before held the first round's prompt
    rounds = []
    for _ in range(watch.runs):
        memory = PromptMemory()
        write_ids(model, prompt, vocabulary, 1, memory)
        rounds.append(watch.once(lambda: write_ids(model, second, vocabulary, 1, memory)))  # noqa: B023
    watch.keep("LM, first id of a second round", rounds)
    steps = []
    for _ in range(watch.runs):
        start = perf_counter()
        _, until_first = write_ids(model, prompt, vocabulary, ids)
        steps.append(perf_counter() - start - until_first)
    watch.keep("LM, further ids", steps, ids=max(1, ids - 1))
    return prompt


def _decoder(watch: Stopwatch, bundle: Bundle, codes: DualCodes, voice: Voice, ids: int) -> None:
    """Flow and vocoder on as many groups as the language model would write."""
    groups = ids // GROUP
    long = replace(
        codes,
        linguistic=codes.linguistic.repeat(-(-2 * groups // len(codes.linguistic)))[: 2 * groups],
        semantic=codes.semantic.repeat(-(-3 * groups // len(codes.semantic)))[: 3 * groups],
    )
    watch.measure("flow", lambda: flow_decode(bundle, long, voice, draws=Draws(seed=0)))
    mel = flow_decode(bundle, long, voice, draws=Draws(seed=0))
    watch.measure("vocoder", lambda: vocode(bundle, mel, draws=Draws(seed=0)))


def _edit(bundle: Bundle, clip: Clip, ids: int) -> Clip:
    """One edit from clip to clip, with a fixed number of ids."""
    codes, voice = tokenize(bundle, clip)
    prompt, _ = _request(bundle, codes)
    made, _ = write_ids(bundle.llm, prompt, bundle.vocabulary, ids)
    mel = flow_decode(bundle, bundle.vocabulary.split(made), voice, draws=Draws(seed=0))
    return vocode(bundle, mel, draws=Draws(seed=0))
