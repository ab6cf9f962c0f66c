"""What an accelerator makes of this project: stages beside the CPU, then an edit at full size.

    python -m tools.gpu_check                                    on a machine with a GPU
    python -m tools.gpu_check --device cpu --size tiny           rehearsal, a minute

First every stage of one edit of the shipped model on both devices, from the same inputs: codes must
be equal but for near ties, floats must be close. Then a release of random weights is written,
converted, loaded and measured in each precision, with one whole edit. Prints one JSON line for each
part, and ends with 1 where a stage is too far off.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from stepedit_core.audio.files import read_clip
from stepedit_core.evaluate.bench import BenchSettings, bench
from stepedit_core.models.llm import LMConfig
from stepedit_core.models.static_step import StaticCache, static_hidden
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.generate import generate, prompt_ids
from stepedit_core.pipelines.sampling import Answer, sample_answers
from stepedit_core.pipelines.static_sampling import sample_static
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import ASSETS, Registry
from stepedit_core.release.convert import Conversion, Sizes, convert
from stepedit_core.types import Draws, EditRequest, Sampling, same_codes
from stepedit_core.vocab import GROUP
from tests import fake_release

SAME_CODES = 0.99
"""Least share of equal codes: a near tie may fall the other way."""
WORDS = "I was walking home when it began to rain."
CLOSE = 0.01
"""Most difference of floats, as a share of the values' own spread; bfloat16 keeps 8 bits."""


def away(found: Tensor, expected: Tensor) -> float:
    """Root of the mean squared difference over the deviation of what is expected."""
    gap = found.detach().float().cpu() - expected.detach().float().cpu()
    return float(gap.square().mean().sqrt() / expected.float().std().clamp(min=1e-9))


@torch.inference_mode()
def stages_beside_cpu(device: str, name: str) -> dict[str, float]:
    """Differences of each stage on `device` from the CPU, each stage fed with the CPU's inputs."""
    slow, fast = (Registry().load(name, device=d, precision="fp32") for d in ("cpu", device))
    clip = read_clip(ASSETS / "samples/walking_home.wav")
    codes, voice = tokenize(slow, clip)
    other, other_voice = tokenize(fast, clip)
    ids = torch.tensor([slow.vocabulary.interleave(codes)])

    def hidden(bundle: Bundle) -> Tensor:
        rows: Tensor = bundle.llm(ids.to(bundle.device))
        return bundle.llm.logits(rows[0]).float()

    mel = flow_decode(slow, codes, voice, draws=Draws(seed=1))
    return {
        "linguistic codes equal": float(
            (other.linguistic.cpu() == codes.linguistic).float().mean()
        ),
        "semantic codes equal": float((other.semantic.cpu() == codes.semantic).float().mean()),
        "speaker vector": away(other_voice.speaker, voice.speaker),
        "language model": away(hidden(fast), hidden(slow)),
        "flow": away(flow_decode(fast, codes, voice, draws=Draws(seed=1)), mel),
        "vocoder": away(
            vocode(fast, mel, draws=Draws(seed=1)).wave, vocode(slow, mel, draws=Draws(seed=1)).wave
        ),
    }


@torch.inference_mode()
def blocks_beside_cpu(device: str, name: str) -> dict[str, float]:
    """How near drawing in blocks on `device` is to drawing one id at a time on the CPU."""
    slow, fast = (Registry().load(name, device=d, precision="fp32") for d in ("cpu", device))
    fast.steps = "static"
    codes, _ = tokenize(slow, read_clip(ASSETS / "samples/walking_home.wav"))
    request = EditRequest(text=WORDS, kind="emotion", option="happy")
    sampling = Sampling(max_ids=200)
    made = [
        generate(b, codes, request, draws=Draws(seed=1), sampling=sampling) for b in (slow, fast)
    ]
    prompt = prompt_ids(slow, codes, request)
    hidden = []
    for place in ("cpu", device):
        lm = Registry().load(name, device=place, precision="bf16").llm
        cache = lm.new_cache(1, len(prompt) + 1)
        lm.prefill_hidden([prompt], cache)
        ids = torch.tensor(prompt[-1:], device=cache.kv.device)
        static = place == device
        hidden.append(
            static_hidden(lm, ids, StaticCache(cache)) if static else lm.step_hidden(ids, cache)
        )
    return {
        "ids in blocks equal": float(same_codes(made[0].codes, made[1].codes)),
        "hidden state in bf16": away(hidden[1], hidden[0]),
    }


@torch.inference_mode()
def rates(folder: str, device: str, precision: str, ids: int) -> dict[str, float]:
    """Ids a second, one at a time and in blocks, and what reading the layers' weights allows."""
    bundle = Registry().load(folder, device=device, precision=precision)
    vocabulary = bundle.vocabulary
    prompt = [vocabulary.legal_range(n)[0] + n for n in range(420)]
    found: dict[str, float] = {}
    for way, sample in (("one at a time", sample_answers), ("in blocks", sample_static)):

        def drawn(count: int, sample: Callable[..., list[Answer]] = sample) -> int:
            settings = Sampling(temperature=0.0, max_ids=count)
            answers = sample(
                bundle.llm,
                [prompt],
                vocabulary=vocabulary,
                sampling=settings,
                generators=[torch.Generator()],
            )
            return len(answers[0].ids)

        drawn(GROUP)  # warms up
        few, start = timed(lambda: drawn(GROUP))
        many, whole = timed(lambda: drawn(ids))
        found[f"ids a second, {way}"] = (many - few) / max(whole - start, 1e-9)
    layers = bundle.llm.model.layers
    size = sum(t.numel() * t.itemsize for t in (*layers.parameters(), *layers.buffers()))
    block = torch.ones(2**28 if device != "cpu" else 2**24, device=device)
    seconds = min(timed(lambda: block.sum().item())[1] for _ in range(5))
    found["floor, ids a second"] = block.numel() * block.itemsize / max(seconds, 1e-9) / size
    return found


def too_far(figures: dict[str, float]) -> list[str]:
    """Names of stages that are further off than is allowed."""
    return [
        name
        for name, value in figures.items()
        if (value < SAME_CODES if name.endswith("equal") else not value < CLOSE)
    ]


def random_release(folder: Path, size: str, layers: int) -> Path:
    """A bundle converted from a release of random weights; the release itself is removed."""
    lm = replace(LMConfig(), num_hidden_layers=layers) if size == "full" else None
    sizes = Sizes() if size == "full" else fake_release.TINY
    fake_release.write(folder / "release", sizes=sizes, year="2026", lm=lm)
    release = folder / "release"
    convert(
        release / "Step-Audio-EditX",
        release / "Step-Audio-Tokenizer",
        folder / "bundle",
        Conversion(sizes=sizes),
    )
    shutil.rmtree(release)
    return folder / "bundle"


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns and its seconds."""
    start = perf_counter()
    return work(), perf_counter() - start


def report(part: str, **figures: Any) -> None:
    """One line of JSON, at once: a run that is cut short keeps what it found."""
    figures = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"part": part, **figures}), flush=True)


def main() -> int:
    """Both parts; 1 where a stage is too far off."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--layers", type=int, default=32, help="of the random language model")
    parser.add_argument("--precisions", nargs="*", default=["bf16", "int4"])
    parser.add_argument("--ids", type=int, default=250)
    args = parser.parse_args()
    figures, seconds = timed(lambda: stages_beside_cpu(args.device, args.bundle))
    wrong = too_far(figures)
    report("stages", seconds=seconds, too_far=wrong, **figures)
    figures, seconds = timed(lambda: blocks_beside_cpu(args.device, args.bundle))
    wrong += too_far(figures)
    report("blocks", seconds=seconds, too_far=too_far(figures), **figures)
    with tempfile.TemporaryDirectory() as name:
        bundle, seconds = timed(lambda: random_release(Path(name), args.size, args.layers))
        report("release", seconds=seconds, size=args.size, layers=args.layers)
        for precision in args.precisions:
            if args.device.startswith("cuda"):
                torch.cuda.reset_peak_memory_stats()
            settings = BenchSettings(device=args.device, precision=precision, ids=args.ids, runs=2)
            found, seconds = timed(lambda: bench(Registry(), str(bundle), settings))  # noqa: B023
            report("edit", seconds=seconds, **found.as_json())
            report("rates", **rates(str(bundle), args.device, precision, args.ids))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
