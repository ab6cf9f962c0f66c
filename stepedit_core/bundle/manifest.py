"""The bundle: one folder is one model. bundle.json, six to eight weight files, tokenizer.model.

bundle.json has the format version, name, licence, model card, one config per component, the
edit vocabulary, the prompt layout, where the audio ids sit, and size and sha256 of every file.
Nothing in a bundle is executed: weights are safetensors, the rest is JSON and SentencePiece.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from ..files.reading import parse_object, read_text
from ..files.strict import Bounds, from_json
from ..files.tensors import read_header
from ..models.bigvgan import BigVGAN, BigVGANConfig
from ..models.flow import Flow, FlowConfig
from ..models.hift import HiFT, HiFTConfig
from ..models.letters import Letters, LettersConfig
from ..models.linguistic import LinguisticConfig, LinguisticTokenizer
from ..models.llm import LMConfig, Step1LM
from ..models.paraformer import Paraformer, ParaformerConfig
from ..models.scorer import MarginScorer, ScorerConfig
from ..models.semantic import SemanticConfig, SemanticTokenizer
from ..models.source_filter import SourceFilter, SourceFilterConfig
from ..models.speaker import SpeakerConfig, SpeakerEncoder
from ..printable import shown
from ..text.edits import edit_vocabulary
from ..vocab import AUDIO_CODES, Vocabulary
from .bounds import bounds_of, check_lists
from .precision import Stored

FORMAT = 1
MANIFEST = "bundle.json"
MANIFEST_LIMIT = 2**20
"""Most bytes of bundle.json that are read."""
CORRECT = "Correct bundle.json."
NAME_LIMIT = 100
"""Most characters of the name of a bundle, a codebook or an option."""
COPY_AGAIN = "Copy the bundle again from where it came from."
TOKENIZER = "tokenizer.model"
OPTIONAL_PARTS = ("scorer", "recogniser")
PARTS = ("llm", "flow", "vocoder", "linguistic", "semantic", "speaker", *OPTIONAL_PARTS)

_KINDS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "llm": (LMConfig, Step1LM),
    "flow": (FlowConfig, Flow),
    "hift": (HiFTConfig, HiFT),
    "bigvgan": (BigVGANConfig, BigVGAN),
    "source_filter": (SourceFilterConfig, SourceFilter),
    "linguistic": (LinguisticConfig, LinguisticTokenizer),
    "semantic": (SemanticConfig, SemanticTokenizer),
    "speaker": (SpeakerConfig, SpeakerEncoder),
    "scorer": (ScorerConfig, MarginScorer),
    "paraformer": (ParaformerConfig, Paraformer),
    "letters": (LettersConfig, Letters),
}


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """What one file of the bundle must be."""

    BOUNDS: ClassVar[Bounds] = {"size": (0, 2**50)}

    size: int
    """Bytes."""
    sha256: str
    """Lower-case hex digest of the whole file."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """bundle.json."""

    BOUNDS: ClassVar[Bounds] = {
        "candidates": (1, 64),
        "audio_offset": (0, 2**20),
        "end_id": (0, 2**20),
    }
    name: str
    """Short name the bundle is asked for by."""
    licence: str
    """SPDX expression or the name of the licence."""
    codebook: str
    """Name of the tokenizer pair; tokens carry it and other bundles refuse them."""
    edit_vocabulary: Literal["2025", "2026", "nano"]
    """Which table of edits the LM was trained on."""
    prompt_layout: Literal["2025", "2025-no-bos", "2026", "nano"]
    """How prompts are laid out."""
    components: dict[str, Any]
    """Part -> config; in JSON the plain object, here the frozen dataclass."""
    files: dict[str, FileEntry] = field(default_factory=dict)
    """File name -> size and digest."""
    format: int = FORMAT
    """Version of this layout."""
    description: str = ""
    """One sentence for lists."""
    card: dict[str, str] = field(default_factory=dict)
    """Model card: heading -> text (data, hours, figures, limits, attributions)."""
    edit_options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind -> options, where the bundle's own lists replace the table's (vocabulary nano)."""
    decoder_way: Literal["exact", "difference"] = "exact"
    """How edits that keep the words are decoded unless the user says otherwise."""
    candidates: int = 1
    """Answers drawn at once for an edit that keeps the words; the nearest to the source is kept."""
    vocoder: Literal["hift", "bigvgan", "source_filter"] = "hift"
    """Which vocoder class the file has."""
    recogniser: Literal["paraformer", "letters"] = "paraformer"
    """Which recogniser class the file has, where there is one."""
    llm_weights: Stored = "float"
    """How the file of the language model has its layers: plain numbers, int8 or int4."""
    audio_offset: int = 65536
    """LM id of the first audio code."""
    end_id: int = 3
    """LM id that ends a turn."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The id arithmetic of this bundle."""
        return Vocabulary(
            audio_offset=self.audio_offset, end_id=self.end_id, codebook=self.codebook
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """Components in the order of the flow; scorer and recogniser only where there is one."""
        return tuple(part for part in PARTS if part in self.components)

    @property
    def size(self) -> int:
        """Bytes of all files but bundle.json."""
        return sum(entry.size for entry in self.files.values())


def file_of(part: str) -> str:
    """Name of a part's weight file."""
    return f"{part}.safetensors"


def network_of(part: str, manifest: Manifest) -> str:
    """The kind of network of a part, as in `bounds.TABLE`."""
    return {"vocoder": manifest.vocoder, "recogniser": manifest.recogniser}.get(part, part)


def kind_of(part: str, manifest: Manifest) -> tuple[type[Any], type[nn.Module]]:
    """Config and network of a part."""
    return _KINDS[network_of(part, manifest)]


def parse_manifest(text: str) -> Manifest:
    """Manifest from the text of bundle.json; ValueError names the key that is wrong."""
    data = parse_object(text, MANIFEST, COPY_AGAIN)
    if data.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"{MANIFEST} has format {shown(data['format'], 40)}; this version reads {FORMAT}. "
            "Update StepEdit or choose another bundle."
        )
    raw = from_json(Manifest, data, MANIFEST)
    unknown = sorted(set(raw.components) - set(PARTS))
    missing = [p for p in PARTS if p not in raw.components and p not in OPTIONAL_PARTS]
    if unknown or missing:
        raise ValueError(
            f"{MANIFEST} {'has the unknown' if unknown else 'lacks the'} component "
            f"'{shown((unknown or missing)[0])}'; a bundle is {', '.join(PARTS)}, of "
            f"which {' and '.join(OPTIONAL_PARTS)} are optional."
        )
    configs = {part: _config(raw, part) for part in raw.components}
    manifest = replace(raw, components=configs)
    check_files(manifest)
    _check_values(manifest)
    return manifest


def _config(raw: Manifest, part: str) -> Any:
    """The config of a part, each number within its bounds."""
    network = network_of(part, raw)
    cls, where = kind_of(part, raw)[0], f"{MANIFEST} {part}"
    config = from_json(cls, raw.components[part], where, bounds=bounds_of(network, cls))
    check_lists(network, config, where, CORRECT)
    return config


def _check_values(manifest: Manifest) -> None:
    """Raise ValueError for names that are none, digests that are none, and ids beyond the model."""
    for key in ("name", "codebook"):
        text = getattr(manifest, key)
        if not 0 < len(text) <= NAME_LIMIT or not text.isprintable() or set(text) & set("/\\"):
            raise ValueError(
                f"{MANIFEST} has {shown(key)} '{shown(text, 40)}'; 1 to {NAME_LIMIT} printable "
                f"characters without slashes are expected. {CORRECT}"
            )
    for name, entry in manifest.files.items():
        if len(entry.sha256) != 64 or set(entry.sha256) - set("0123456789abcdef"):
            raise ValueError(
                f"{MANIFEST} has '{shown(entry.sha256, 70)}' as sha256 of {shown(name)}; 64 hex "
                f"digits are expected. {CORRECT}"
            )
    rows = manifest.components["llm"].vocab_size
    if manifest.audio_offset + AUDIO_CODES > rows or manifest.end_id >= rows:
        raise ValueError(
            f"{MANIFEST} has audio_offset {manifest.audio_offset} and end_id {manifest.end_id}; "
            f"the language model has {rows} ids, and {AUDIO_CODES} of them are audio. {CORRECT}"
        )
    for kind, options in manifest.edit_options.items():
        wrong = [o for o in options if not 0 < len(o) <= NAME_LIMIT or not o.isprintable()]
        if wrong or len(set(options)) < len(options):
            raise ValueError(
                f"{MANIFEST} has an option of {shown(kind, 40)} that has no name or comes twice. "
                f"{CORRECT}"
            )
    edit_vocabulary(manifest.edit_vocabulary, manifest.edit_options)


def check_files(manifest: Manifest) -> None:
    """Refuse a file list that is not exactly what the components need."""
    for name in manifest.files:
        if Path(name).name != name or "\\" in name or name in ("", ".", ".."):
            raise ValueError(
                f"{MANIFEST} names the file '{shown(name)}', which leads out of the bundle; "
                "allowed are plain names. Do not use this bundle."
            )
    expected = {file_of(part) for part in manifest.parts} | {TOKENIZER}
    wrong = sorted(set(manifest.files) ^ expected)
    if wrong:
        raise ValueError(
            f"{MANIFEST} {'lists the unknown' if wrong[0] in manifest.files else 'lacks the'} file "
            f"'{shown(wrong[0])}'; expected are {shown(', '.join(sorted(expected)))}. Correct "
            "bundle.json."
        )


def read_manifest(folder: str | Path) -> Manifest:
    """Manifest of a bundle folder; ValueError when there is none or it is not understood."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"'{shown(Path(folder).name)}' has no {MANIFEST}; a bundle is a folder with {MANIFEST} "
            "and its weights. Choose another folder, or see `stepedit bundles`."
        )
    return parse_manifest(read_text(path, MANIFEST_LIMIT, COPY_AGAIN))


def manifest_sha256(folder: str | Path) -> str:
    """Digest of bundle.json, which names the digests of all files: the bundle's identity."""
    return sha256_of(Path(folder) / MANIFEST)


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def check_file(folder: Path, manifest: Manifest, name: str, *, full: bool) -> None:
    """Raise ValueError unless a file is there, has its size and, if `full`, its sha256."""
    path, entry = folder / name, manifest.files[name]
    if not path.is_file():
        raise ValueError(
            f"bundle '{shown(manifest.name)}' lacks {shown(name)}. Copy the file from where the "
            "bundle came from."
        )
    size = path.stat().st_size
    if size != entry.size:
        raise ValueError(
            f"{shown(name)} of bundle '{shown(manifest.name)}' has {size} bytes; {entry.size} are "
            "expected. Copy the file again from where the bundle came from."
        )
    if full and sha256_of(path) != entry.sha256:
        raise ValueError(
            f"{shown(name)} of bundle '{shown(manifest.name)}' has another sha256 than {MANIFEST} "
            "says; the file is damaged or was changed. Copy it again from where the bundle came "
            "from."
        )


def verify(folder: str | Path) -> Manifest:
    """Read and check everything: manifest, sizes, sha256, headers. Reads every byte once."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    for name in manifest.files:
        check_file(folder, manifest, name, full=True)
    for part in manifest.parts:
        read_header(folder / file_of(part))
    return manifest
