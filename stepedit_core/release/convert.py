"""A release to a bundle: checked before anything is written, streamed, resumable, atomic.

At most one released tensor is in memory beside what the ONNX files need. The language model is
stored as bf16 or fp16 and the recogniser's decoder as fp16; everything else stays float32, so that
codes are the released ones.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ..bundle.bounds import bounds_of, check_header, check_lists
from ..bundle.manifest import (
    MANIFEST,
    TOKENIZER,
    FileEntry,
    Manifest,
    file_of,
    read_manifest,
    sha256_of,
)
from ..bundle.memory import check_memory
from ..bundle.parts import build_part
from ..bundle.saving import stream_module
from ..bundle.weights import fill
from ..bundle.write import copy_whole
from ..files.lock import locked
from ..files.strict import from_json, to_json
from ..files.tensors import read_header
from ..files.whole import full_disk_said, write_whole
from ..models.flow import FlowConfig
from ..models.hift import HiFTConfig
from ..models.linguistic import LinguisticConfig
from ..models.llm import LMConfig
from ..models.paraformer import UNIT_TEXT, ParaformerConfig
from ..models.quantized import Kind
from ..models.semantic import SemanticConfig
from ..models.speaker import SpeakerConfig
from ..printable import shown
from ..text.tokenizer import TextTokenizer
from ..text.units import read_units, units_text
from ..vocab import AUDIO_CODES
from .entries import entries, stored_dtype
from .four_bits import FourBitFiles
from .layout import Release, find_release
from .recogniser import RECOGNISER
from .rules import Plan, Source, assign
from .sources import OnnxFile, SafetensorsFiles, TorchFile, kaldi_cmvn, npy_matrix
from .tables import FLOW, HIFT, LANGUAGE_MODEL, LINGUISTIC, SEMANTIC, SPEAKER

Version = Literal["auto", "2025", "2026"]
LM_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
LICENCE = "Apache-2.0"
SOURCE = "source.sha256"
"""File in the growing folder: which release it is made of."""
SAMPLES, SAMPLE_BYTES = 16, 2**16
"""Places of a source file that are read to know it again, and how much of each."""
SPARE = 2**28
"""Free bytes needed on the disk beside the bundle itself."""
LM_BOUNDS = bounds_of("llm", LMConfig)
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
    recogniser: ParaformerConfig = field(default_factory=ParaformerConfig)


def lm_config(config: Mapping[str, Any]) -> LMConfig:
    """Sizes of the language model from its config.json.

    Keys that this reader does not know are left alone: newer files have more. ValueError where a
    size is missing or no number, or the head is tied to the embedding, which the released is not.
    """
    missing = sorted(_LM_KEYS - set(config))
    if missing:
        raise ValueError(
            f"config.json lacks {shown(', '.join(missing))}; the release names "
            f"{', '.join(sorted(_LM_KEYS))}. Download it again."
        )
    if config.get("tie_word_embeddings", False) is not False:
        raise ValueError(
            "config.json says tie_word_embeddings; the released head has weights of its own. "
            "Remove the key or set it to false."
        )
    values = {key: config[key] for key in sorted(_LM_KEYS)}
    found = from_json(LMConfig, values, "config.json", "Download it again.", LM_BOUNDS)
    check_lists("llm", found, "config.json", "Download it again.")
    return found


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


def plan_part(
    release: Release, manifest: Manifest, part: str, module: nn.Module | None = None
) -> Plan:
    """What a part is made of; every name and shape is checked, no language model weight is read.

    `module` is the empty part where the caller has one.
    """
    if part == "llm":
        stored = SafetensorsFiles(release.llm)
        files: Source = FourBitFiles(stored) if release.llm_weights == "int4" else stored
        header = {name: ("", shape) for name, shape in files.shapes().items()}
        check_header(part, manifest.components[part], header, files.label)
        module = build_part(manifest, part) if module is None else module
        return assign(module, files, LANGUAGE_MODEL)
    module = build_part(manifest, part) if module is None else module
    if part == "flow":
        return assign(module, TorchFile(release.flow), FLOW)
    if part == "vocoder":
        return assign(module, TorchFile(release.vocoder), HIFT)
    if part == "semantic":
        return assign(module, OnnxFile(release.semantic), SEMANTIC)
    if part == "speaker":
        return assign(module, OnnxFile(release.speaker, by_node=True), SPEAKER)
    if part == "recogniser":
        text = bytearray(_unit_list(release, manifest.components[part]))
        units = {UNIT_TEXT: torch.frombuffer(text, dtype=torch.uint8)}
        return assign(module, TorchFile(release.paraformer), RECOGNISER, units)
    config: LinguisticConfig = manifest.components["linguistic"]
    shift, rescale = kaldi_cmvn(release.cmvn, config.features)
    codebook = npy_matrix(release.codebook, (config.codebook_size, config.d_model))
    beside = {"codebook": codebook, "cmvn_shift": shift, "cmvn_rescale": rescale}
    return assign(module, TorchFile(release.paraformer), LINGUISTIC, beside)


def _unit_list(release: Release, recogniser: ParaformerConfig) -> bytes:
    """The text of the released list of units, as the recogniser's file keeps it."""
    if release.units is None:
        raise ValueError(
            f"{shown(release.paraformer.parent.name)} lacks tokens.json, the list of the "
            "recogniser's units. Download it beside model.pt."
        )
    return units_text(read_units(release.units, recogniser.units))


def plans(release: Release, manifest: Manifest) -> dict[str, Plan]:
    """The plan of every part, in the order of the flow."""
    return {part: plan_part(release, manifest, part) for part in manifest.parts}


def load_released(
    release: Release,
    manifest: Manifest,
    part: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    quantize: Kind | Literal[""] = "",
) -> nn.Module:
    """A part straight from the released files; a language model in its own dtype stays mapped."""
    if part == "llm":  # checked before it is built
        plan_part(release, manifest, part)
    module = build_part(manifest, part)
    plan = plan_part(release, manifest, part, module)
    tensors = plan.tensors()
    if part == "recogniser":  # the same numbers as in a converted bundle, so the same words
        tensors = ((p.name, p.make().to(stored_dtype(part, p, dtype))) for p in plan.places)
    kind = quantize if manifest.llm_weights == "float" else ""
    return fill(module, tensors, device=device, dtype=dtype, quantize=kind)


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
            f"{shown(release.tokenizer.name)} has no audio ids that fit the {llm.vocab_size} rows "
            "of the language model. Take both files from the same release."
        )
    recogniser = {}
    if release.units is not None:
        size = len(_unit_list(release, sizes.recogniser))
        recogniser["recogniser"] = replace(sizes.recogniser, unit_bytes=size)
    stored = release.llm_weights
    return Manifest(
        name=f"editx-{told}" + ("" if stored == "float" else f"-{stored}"),
        licence=LICENCE,
        description=f"Step-Audio-EditX, the weights of {told}: Chinese, English, Japanese, Korean.",
        card={"source": "stepfun-ai/Step-Audio-EditX and stepfun-ai/Step-Audio-Tokenizer"},
        codebook="step-audio-1",
        edit_vocabulary=told,
        prompt_layout=told,
        audio_offset=first[0],
        llm_weights=stored,
        components={
            "llm": llm,
            "flow": sizes.flow,
            "vocoder": sizes.vocoder,
            "linguistic": sizes.linguistic,
            "semantic": sizes.semantic,
            "speaker": sizes.speaker,
            **recogniser,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What a release becomes."""

    version: Version = "auto"
    dtype: str = "bf16"
    """Of the language model's floats."""
    quantize: Kind | Literal[""] = ""
    """int8 or int4 for the matrices of its layers; empty leaves them as they are."""
    sizes: Sizes | None = None
    """None: the release's."""


def convert(
    model: str | Path,
    tokenizer: str | Path | None,
    out: str | Path,
    how: Conversion | None = None,
    *,
    on_bytes: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Write the bundle of a release; returns its manifest.

    The bundle grows in a hidden folder beside `out` and is renamed when it is whole. A run that
    was stopped resumes where it stopped, one of another release is thrown away.
    on_bytes(done, total) may raise to stop.

    Raises ValueError, with nothing written, when a file is missing, damaged or of another network,
    when `out` exists or is being written, or when disk or memory have too little room.
    """
    target, how = Path(out), how or Conversion()
    dtype, quantize = how.dtype, how.quantize
    if dtype not in LM_DTYPES:
        raise ValueError(f"dtype '{dtype}' is unknown; allowed are {', '.join(LM_DTYPES)}.")
    if target.exists():
        raise ValueError(f"'{shown(target)}' exists already. Remove it or name another folder.")
    release = find_release(model, tokenizer)
    manifest = describe(release, version=how.version, sizes=how.sizes)
    published = manifest.llm_weights
    if quantize and published not in ("float", quantize):
        raise ValueError(
            f"{shown(quantize)} was asked of a release whose matrices have {shown(published)} "
            f"already; {shown(published)} is what it can become. Leave it out, or take the plain "
            "release."
        )
    checked = plans(release, manifest)
    # int8 and int4 scales are rounded to bf16, and the layers run in it
    lm_dtype = torch.bfloat16 if quantize or published != "float" else LM_DTYPES[dtype]
    files = {part: entries(plan, part, lm_dtype, quantize) for part, plan in checked.items()}
    if quantize and published == "float":
        name = f"{manifest.name}-{quantize}"
        manifest = replace(manifest, llm_weights=quantize, name=name)
    total = sum(e.size for part in files.values() for e in part)
    work = target.with_name(f".{target.name}.converting")
    _check_room(target, work, total)
    largest = max(math.prod(p.shape) for plan in checked.values() for p in plan.places)
    check_memory(4 * largest + 2**30, torch.device("cpu"), "converting")
    with full_disk_said(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        _start(work, release)
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
        copy_whole(release.tokenizer, work / TOKENIZER)
        names = [*map(file_of, manifest.parts), TOKENIZER]
        listed = {
            n: FileEntry(size=(work / n).stat().st_size, sha256=sha256_of(work / n)) for n in names
        }
        text = json.dumps(
            to_json(replace(manifest, files=listed)), indent=1, ensure_ascii=False, allow_nan=False
        )
        write_whole(work / MANIFEST, text + "\n")
        (work / SOURCE).unlink()
        os.replace(work, target)
    return read_manifest(target)


def source_digest(release: Release) -> str:
    """What tells two releases apart at once: of each file its size and samples of its bytes.

    Headers lie at the beginning or, in zip files, at the end; weights of another training differ
    everywhere. Times and folders do not count, so a moved release is still the same.
    """
    digest = hashlib.sha256()
    for path in release.files:
        size = path.stat().st_size
        digest.update(f"{size}\n".encode())
        with path.open("rb") as file:
            for place in range(SAMPLES):
                file.seek(max(0, size - SAMPLE_BYTES) * place // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _start(work: Path, release: Release) -> None:
    """The folder a bundle grows in; what another release left there is removed."""
    if work.is_symlink():
        raise ValueError(
            f"'{shown(work)}' is a link; a folder of its own is needed there. Remove it."
        )
    work.mkdir(parents=True, exist_ok=True)
    note, digest = work / SOURCE, source_digest(release)
    if note.is_file() and note.read_text("utf-8").strip() == digest:
        return
    for path in work.iterdir():
        path.unlink()
    write_whole(note, digest + "\n")


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
