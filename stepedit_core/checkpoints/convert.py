"""A release to a bundle: checked before anything is written, streamed, resumable, atomic.

At most one released tensor is in memory beside what the ONNX files need. The language model is
stored as bf16 or fp16; everything else stays float32, so that codes are the released ones.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ..bundle import (
    MANIFEST,
    TOKENIZER,
    FileEntry,
    Manifest,
    build_part,
    file_of,
    read_manifest,
    sha256_of,
    verify,
)
from ..models.flow import FlowConfig
from ..models.hift import HiFTConfig
from ..models.linguistic import LinguisticConfig
from ..models.llm import LMConfig
from ..models.semantic import SemanticConfig
from ..models.speaker import SpeakerConfig
from ..strict import to_json
from ..text.tokenizer import TextTokenizer
from ..vocab import AUDIO_CODES
from ..weights import Entry, read_header, stream_module
from .layout import Release, find_release
from .rules import Plan, assign
from .sources import OnnxFile, SafetensorsFiles, TorchFile, kaldi_cmvn, npy_matrix
from .tables import FLOW, HIFT, LANGUAGE_MODEL, LINGUISTIC, SEMANTIC, SPEAKER

Version = Literal["auto", "2025", "2026"]
LM_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
LICENCE = "Apache-2.0"
SPARE = 2**28
"""Free bytes wanted on the disk beside the bundle itself."""
_LM_KEYS = {
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_attention_groups",
    "max_seq_len",
    "rms_norm_eps",
}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Configs of the parts that no released file describes; the defaults are the release."""

    flow: FlowConfig = field(default_factory=FlowConfig)
    vocoder: HiFTConfig = field(default_factory=HiFTConfig)
    linguistic: LinguisticConfig = field(default_factory=LinguisticConfig)
    semantic: SemanticConfig = field(default_factory=SemanticConfig)
    speaker: SpeakerConfig = field(default_factory=SpeakerConfig)


def lm_config(config: Mapping[str, Any]) -> LMConfig:
    """Sizes of the language model from its config.json.

    Keys that this reader does not know are left alone: newer files have more. ValueError where a
    size is missing or no number, or the head is tied to the embedding, which the released is not.
    """
    missing = sorted(_LM_KEYS - set(config))
    if missing:
        raise ValueError(
            f"config.json lacks {', '.join(missing)}; the release names "
            f"{', '.join(sorted(_LM_KEYS))}. Download it again."
        )
    if config.get("tie_word_embeddings", False) is not False:
        raise ValueError(
            "config.json says tie_word_embeddings; the released head has weights of its own. "
            "Remove the key or set it to false."
        )
    values = {key: config[key] for key in sorted(_LM_KEYS)}
    wrong = [k for k, v in values.items() if type(v) not in (int, float) or not 0 < v < 2**31]
    if wrong:
        raise ValueError(
            f"config.json has {wrong[0]} {values[wrong[0]]!r}; a number above 0 is wanted."
        )
    numbers = {k: float(v) if k == "rms_norm_eps" else int(v) for k, v in values.items()}
    return LMConfig(**numbers)  # type: ignore[arg-type]


def version_of(release: Release, asked: Version = "auto") -> Literal["2025", "2026"]:
    """Which weights these are: the caller's word, else 2026 where a chat template came along.

    The weights of January 2026 were trained and are run with the tokenizer's chat template; the
    files of 2025 have none (spec 6.4, 6.5).
    """
    if asked != "auto":
        return asked
    has_template = "chat_template" in release.tokenizer_config or any(
        release.folder.rglob("chat_template.jinja")
    )
    return "2026" if has_template else "2025"


def plan_part(release: Release, manifest: Manifest, part: str) -> Plan:
    """What a part is made of; every name and shape is checked, no language model weight is read."""
    module = build_part(manifest, part)
    if part == "llm":
        return assign(module, SafetensorsFiles(release.llm), LANGUAGE_MODEL)
    if part == "flow":
        return assign(module, TorchFile(release.flow), FLOW)
    if part == "vocoder":
        return assign(module, TorchFile(release.vocoder), HIFT)
    if part == "semantic":
        return assign(module, OnnxFile(release.semantic), SEMANTIC)
    if part == "speaker":
        return assign(module, OnnxFile(release.speaker, by_node=True), SPEAKER)
    config: LinguisticConfig = manifest.components["linguistic"]
    shift, rescale = kaldi_cmvn(release.cmvn, config.features)
    codebook = npy_matrix(release.codebook, (config.codebook_size, config.d_model))
    beside = {"codebook": codebook, "cmvn_shift": shift, "cmvn_rescale": rescale}
    return assign(module, TorchFile(release.paraformer), LINGUISTIC, beside)


def plans(release: Release, manifest: Manifest) -> dict[str, Plan]:
    """The plan of every part, in the order of the flow."""
    return {part: plan_part(release, manifest, part) for part in manifest.parts}


def load_released(
    release: Release, manifest: Manifest, part: str, *, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    """A part straight from the released files; a language model in its own dtype stays mapped."""
    state = {
        name: tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in plan_part(release, manifest, part).tensors()
    }
    module = build_part(manifest, part)
    module.load_state_dict(state, strict=True, assign=True)
    return module.requires_grad_(False).to(device)


def describe(
    release: Release, *, version: Version = "auto", sizes: Sizes | None = None
) -> Manifest:
    """The manifest of the bundle that this release becomes; `files` is empty."""
    sizes = sizes or Sizes()
    told = version_of(release, version)
    llm = lm_config(release.config)
    first = TextTokenizer(release.tokenizer).encode_inside("<audio_0>")
    if len(first) != 1 or first[0] + AUDIO_CODES > llm.vocab_size:
        raise ValueError(
            f"{release.tokenizer.name} has no audio ids that fit the {llm.vocab_size} rows of the "
            "language model. Take both files from the same release."
        )
    return Manifest(
        name=f"editx-{told}",
        licence=LICENCE,
        description=f"Step-Audio-EditX, the weights of {told}: Chinese, English, Japanese, Korean.",
        card={"source": "stepfun-ai/Step-Audio-EditX and stepfun-ai/Step-Audio-Tokenizer"},
        codebook="step-audio-1",
        edit_vocabulary=told,
        prompt_layout=told,
        audio_offset=first[0],
        components={
            "llm": llm,
            "flow": sizes.flow,
            "vocoder": sizes.vocoder,
            "linguistic": sizes.linguistic,
            "semantic": sizes.semantic,
            "speaker": sizes.speaker,
        },
    )


def convert(
    model: str | Path,
    tokenizer: str | Path | None,
    out: str | Path,
    *,
    version: Version = "auto",
    dtype: str = "bf16",
    sizes: Sizes | None = None,
    on_bytes: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Write the bundle of a release; returns its manifest.

    The bundle grows in a hidden folder beside `out` and is renamed when it is whole. A run that
    was stopped goes on where it was. on_bytes(done, total) may raise to stop.

    Raises ValueError, with nothing written, when a file is missing, damaged or of another network,
    when `out` exists, or when the disk has too little room.
    """
    target = Path(out)
    if dtype not in LM_DTYPES:
        raise ValueError(f"dtype '{dtype}' is unknown; allowed are {', '.join(LM_DTYPES)}.")
    if target.exists():
        raise ValueError(f"'{target}' exists already. Remove it or name another folder.")
    release = find_release(model, tokenizer)
    manifest = describe(release, version=version, sizes=sizes)
    checked = plans(release, manifest)
    files = {part: entries(plan, part, LM_DTYPES[dtype]) for part, plan in checked.items()}
    total = sum(e.size for part in files.values() for e in part)
    work = target.with_name(f".{target.name}.converting")
    _check_room(target, work, total)
    work.mkdir(parents=True, exist_ok=True)
    done = 0

    def wrote(count: int) -> None:
        nonlocal done
        done += count
        if on_bytes is not None:
            on_bytes(done, total)

    for part, rows in files.items():
        path = work / file_of(part)
        # a run that was stopped may have been asked for another dtype
        if path.exists() and read_header(path) == {e.name: e.header for e in rows}:
            wrote(sum(e.size for e in rows))
        else:
            stream_module(path, rows, wrote)
    shutil.copyfile(release.tokenizer, work / TOKENIZER)
    names = [*map(file_of, manifest.parts), TOKENIZER]
    listed = {
        n: FileEntry(size=(work / n).stat().st_size, sha256=sha256_of(work / n)) for n in names
    }
    text = json.dumps(to_json(replace(manifest, files=listed)), indent=1, ensure_ascii=False)
    (work / MANIFEST).write_text(text + "\n", encoding="utf-8")
    os.replace(work, target)
    return read_manifest(target)


def entries(plan: Plan, part: str, lm_dtype: torch.dtype) -> list[Entry]:
    """The file of a part: each tensor with the dtype it is stored in."""
    out = []
    for place in plan.places:
        floats = lm_dtype if part == "llm" else torch.float32
        stored = torch.int64 if place.name.endswith("num_batches_tracked") else floats
        out.append(Entry(name=place.name, shape=place.shape, dtype=stored, make=place.make))
    return out


def _check_room(target: Path, work: Path, total: int) -> None:
    """Refuse before the first byte when the disk cannot hold the bundle."""
    place = target.parent
    while not place.exists():
        place = place.parent
    there = sum(f.stat().st_size for f in work.glob("*")) if work.is_dir() else 0
    free = shutil.disk_usage(place).free
    if free + there < total + SPARE:
        raise ValueError(
            f"the bundle needs {(total + SPARE) / 1e9:.1f} GB and the disk of '{place}' has "
            f"{free / 1e9:.1f} GB free. Make room or name a folder on another disk."
        )


def verify_conversion(
    model: str | Path,
    tokenizer: str | Path | None,
    out: str | Path,
    *,
    sizes: Sizes | None = None,
) -> list[tuple[str, int, int, int]]:
    """Check a converted bundle against its release, tensor by tensor, and every sha256.

    Returns rows (part, tensors, released tensors used, released tensors dropped); raises
    ValueError for the first tensor that is not the released one at the stored precision.
    """
    manifest = verify(out)
    release = find_release(model, tokenizer)
    rows = []
    for part, plan in plans(release, replace(manifest, files={})).items():
        path = Path(out) / file_of(part)
        stored = SafetensorsFiles([path])
        for name, tensor in plan.tensors():
            ours = stored.tensor(name)
            if not torch.equal(ours, tensor.to(ours.dtype)):
                raise ValueError(
                    f"{name} in {path.name} is not the released tensor. Convert the release again."
                )
        rows.append((part, len(plan.places), plan.used, sum(plan.dropped.values())))
    return rows
