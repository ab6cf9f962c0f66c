"""Trained parts to the shipped bundle.

    python -m recipes.nano.export --models runs/nano --out stepedit_core/assets/nano \
        --offer emotion style

`--offer` names the kinds of edit that do more good than harm to people's speech; signal processing
or the release makes the others (docs/benchmarks/2026-11-28-signal.md). Left out, the bundle offers
all that it was taught: for the trainings and judges that need it.

The other way round, `--unpack` writes each part's final.pt from a bundle, so that a training can
continue from weights that were shipped:

    python -m recipes.nano.export --models runs/nano --unpack stepedit_core/assets/nano
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from recipes.nano.corpus.archetypes import EMOTIONS, SPEEDS, STYLES
from recipes.nano.corpus.sounds import SOUNDS
from recipes.nano.training import log, saved_state, setup
from stepedit_core.bundle.manifest import OPTIONAL_PARTS, TOKENIZER, Manifest, read_manifest
from stepedit_core.bundle.parts import build_part, load_part
from stepedit_core.bundle.write import write_bundle
from stepedit_core.models.flow import FlowConfig
from stepedit_core.models.letters import LettersConfig
from stepedit_core.models.linguistic import LinguisticConfig
from stepedit_core.models.llm import LMConfig
from stepedit_core.models.scorer import ScorerConfig
from stepedit_core.models.semantic import SemanticConfig
from stepedit_core.models.source_filter import SourceFilterConfig
from stepedit_core.models.speaker import SpeakerConfig
from stepedit_core.registry.handle import Bundle
from stepedit_core.text.tokenizer import TextTokenizer
from stepedit_core.train.run_folder import write_state
from stepedit_core.vocab import AUDIO_CODES

CODEBOOK = "nano-1"
"""Name of the codes; tokens of another are refused."""
CALIBRATION = "calibration.json"
"""What `stepedit evaluate scorer` wrote, put beside the scorer's checkpoint."""
LIMITS = "limits.json"
"""What judge_letters wrote, put beside the recogniser's checkpoint."""
SOURCES = {
    "linguistic": ("linguistic", LinguisticConfig),
    "semantic": ("semantic", SemanticConfig),
    "speaker": ("speaker", SpeakerConfig),
    "flow": ("flow", FlowConfig),
    "vocoder": ("vocoder", SourceFilterConfig),
    "llm": ("lm", LMConfig),
    "scorer": ("scorer", ScorerConfig),
    "recogniser": ("letters", LettersConfig),
}


def as_taught(bundle: Bundle) -> Bundle:
    """The bundle, asked for every edit of the corpus, offered or not: for those that judge it."""
    bundle.manifest = replace(bundle.manifest, edit_options=edit_options())
    return bundle


WITHHELD: dict[str, tuple[str, ...]] = {"style": ("whisper",)}
"""Taught options that do not do what they say (docs/decisions/0038): not offered."""


def offered_options(kinds: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What the shipped bundle offers of these kinds."""
    return {
        kind: tuple(option for option in options if option not in WITHHELD.get(kind, ()))
        for kind, options in edit_options().items()
        if kind in kinds
    }


def edit_options() -> dict[str, tuple[str, ...]]:
    """What the corpus teaches, by kind."""
    return {
        "emotion": (*EMOTIONS, "remove"),
        "style": (*STYLES, "remove"),
        "speed": tuple(SPEEDS),
        "sounds": tuple(SOUNDS),
        "denoise": (),
        "trim_silence": (),
        "clone": (),
    }


def trained(models: Path, folder: str) -> dict[str, Any] | None:
    """The newest checkpoint of a part: its final one, or one of a training that still runs."""
    paths = [models / folder / name for name in ("final.pt", "last.pt")]
    paths = [path for path in paths if path.exists()]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        state = saved_state(path)
        if state is not None and "config" in state:
            log.info("%s: %s of step %s", folder, path.name, state.get("step", "end"))
            return state
    return None


def unpack(bundle: Path, models: Path) -> None:
    """Write final.pt of every part of a bundle, and the language model's tokenizer."""
    about = read_manifest(bundle)
    for part in about.parts:
        module = load_part(bundle, about, part, device=torch.device("cpu"), dtype=torch.float32)
        folder = models / SOURCES[part][0]
        config = dataclasses.asdict(about.components[part])
        write_state(folder / "final.pt", {"model": module.state_dict(), "config": config})
    shutil.copyfile(bundle / TOKENIZER, models / "lm" / TOKENIZER)


def main() -> None:
    """Write the bundle; parts that are not trained stop it, scorer and recogniser may be missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="bundle to write")
    what.add_argument("--unpack", type=Path, metavar="BUNDLE", help="bundle to read instead")
    parser.add_argument(
        "--llm", type=Path, metavar="FILE", help="llm.safetensors of a later run, such as PPO"
    )
    every = list(edit_options())
    parser.add_argument("--offer", nargs="+", choices=every, default=every, metavar="KIND")
    parser.add_argument("--card", type=Path, default=Path(__file__).parent / "card.json")
    args = parser.parse_args()
    setup(2)
    if args.unpack:
        unpack(args.unpack, args.models)
        return
    tokenizer = args.models / "lm/tokenizer.model"
    pieces = TextTokenizer(tokenizer).size
    components: dict[str, Any] = {}
    states: dict[str, dict[str, torch.Tensor]] = {}
    for part, (folder, kind) in SOURCES.items():
        state = trained(args.models, folder)
        if state is None:
            if part in OPTIONAL_PARTS:
                continue
            raise SystemExit(f"no checkpoint of {folder} under {args.models}")
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in state["config"].items()}
        if part == "llm":
            sizes["vocab_size"] = pieces + AUDIO_CODES
        knots = args.models / folder / CALIBRATION
        if part == "scorer" and knots.exists():
            sizes["calibration"] = tuple(map(tuple, json.loads(knots.read_text("utf-8"))))
        limits = args.models / folder / LIMITS
        if part == "recogniser" and limits.exists():
            sizes |= json.loads(limits.read_text("utf-8"))
        components[part] = kind(**sizes)
        states[part] = state["model"]
        if part == "llm" and args.llm:
            states[part] = load_file(args.llm)
    about = Manifest(
        name="nano",
        licence="Apache-2.0",
        description="Small self-trained model: English, runs on a CPU, emotions are acoustic archetypes.",
        card=json.loads(args.card.read_text("utf-8")),
        codebook=CODEBOOK,
        edit_vocabulary="nano",
        edit_options=offered_options(args.offer),
        prompt_layout="nano",
        vocoder="source_filter",
        recogniser="letters",
        decoder_way="difference",  # docs/decisions/0018
        candidates=4,
        audio_offset=pieces,
        components=components,
    )
    parts: dict[str, nn.Module] = {}
    for part, weights in states.items():
        parts[part] = build_part(about, part, empty=False)
        parts[part].load_state_dict(weights)
    written = write_bundle(args.out, about, parts, tokenizer)
    for name, entry in written.files.items():
        log.info("%-24s %8.2f MB", name, entry.size / 1e6)
    log.info("%-24s %8.2f MB", "total", written.size / 1e6)


if __name__ == "__main__":
    main()
