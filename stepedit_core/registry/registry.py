"""Finding bundles and sharing their loaded parts.

Bundles lie in the package's assets, in $STEPEDIT_HOME and in folders the caller names (ComfyUI's
models/step_audio_editx). A Registry is owned by its caller. It remembers loaded parts by weak
reference: the same file, device and precision is in memory once, and freed when all dropped it.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast
from weakref import WeakValueDictionary

import torch
from torch import nn

from ..bundle.manifest import (
    MANIFEST,
    TOKENIZER,
    FileEntry,
    Manifest,
    check_file,
    dtype_of,
    file_of,
    load_part,
    manifest_sha256,
    part_precision,
    read_manifest,
    sha256_of,
)
from ..bundle.memory import check_memory
from ..bundle.precision import Precision
from ..bundle.weights import fill, read_header
from ..models.bigvgan import BigVGAN
from ..models.flow import Flow
from ..models.hift import HiFT
from ..models.linguistic import LinguisticTokenizer
from ..models.llm import Step1LM
from ..models.lora import check_adapter, load_adapter, merge
from ..models.quantized import Kind, is_matrix
from ..models.scorer import MarginScorer
from ..models.semantic import SemanticTokenizer
from ..models.source_filter import SourceFilter
from ..models.speaker import SpeakerEncoder
from ..release.convert import describe, load_released
from ..release.layout import Release, find_release, looks_like_release
from ..text.tokenizer import TextTokenizer
from ..vocab import Vocabulary

HOME_VARIABLE = "STEPEDIT_HOME"
ASSETS = Path(__file__).parents[1] / "assets"
DEFAULT_BUNDLE = "nano"
VERIFIED_SIZE = 100_000_000
"""Bundles up to this many bytes have the sha256 of each file checked when a part is loaded: 0.3 s
at most, measured at 330 MB/s on one core. Others are verified by `stepedit bundles --verify`."""

_Key = tuple[str, int, int, str, str, str]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A bundle on the disk."""

    name: str
    folder: Path
    manifest: Manifest | None
    """None where bundle.json cannot be read."""
    sha256: str
    """Of bundle.json, hence of everything it lists; empty where unreadable."""
    problem: str = ""
    """Why the manifest cannot be read; else empty."""
    release: Release | None = None
    """The published files, where the folder is a release as downloaded and no bundle."""


def default_device() -> torch.device:
    """The accelerator torch sees, else the CPU."""
    accelerator = getattr(torch, "accelerator", None)  # torch 2.6 and newer
    if accelerator is not None and accelerator.is_available():
        return torch.device(accelerator.current_accelerator())
    return torch.device(0) if torch.cuda.is_available() else torch.device("cpu")


class Bundle:
    """A handle on one bundle at one device and precision; parts load when they are first used.

    The handle keeps the parts it has used; `release` or dropping the handle lets them go.
    """

    def __init__(
        self,
        registry: Registry,
        found: Found,
        device: torch.device,
        precision: str,
        adapter: Path | None = None,
    ) -> None:
        assert found.manifest is not None
        self.manifest: Manifest = found.manifest
        self.folder = found.folder
        self.adapter = adapter
        """LoRA file that is merged into the language model."""
        self.sha256 = found.sha256 if adapter is None else _with_adapter(found.sha256, adapter)
        self.device = device
        self.precision = precision
        self._registry = registry
        self.release_files = found.release
        self._parts: dict[str, nn.Module] = {}
        self._text: TextTokenizer | None = None

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.manifest.name

    @property
    def vocabulary(self) -> Vocabulary:
        """The id arithmetic of this bundle."""
        return self.manifest.vocabulary

    def part(self, name: str) -> nn.Module:
        """The module of a part, shared with other handles; loaded now if nobody holds it."""
        if name not in self.manifest.components:
            raise ValueError(
                f"bundle '{self.name}' has no {name}; it holds {', '.join(self.manifest.parts)}. "
                "Choose another bundle for this."
            )
        if name not in self._parts:
            self._parts[name] = self._registry.shared_part(self, name)
        return self._parts[name]

    def load_all(self, parts: Iterable[str] = ()) -> nn.ModuleDict:
        """The named parts (all when none is named) in one module, for a host that moves them."""
        wanted = tuple(parts) or self.manifest.parts
        return nn.ModuleDict({name: self.part(name) for name in wanted})

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the parts this handle holds."""
        return tuple(self._parts)

    def release(self) -> None:
        """Drop all parts; they load again when used."""
        self._parts.clear()
        self._text = None

    @property
    def text(self) -> TextTokenizer:
        """The text tokenizer."""
        if self._text is None and self.release_files is not None:
            self._text = TextTokenizer(self.release_files.tokenizer)
        if self._text is None:
            self._registry.check(self, TOKENIZER)
            self._text = TextTokenizer(self.folder / TOKENIZER)
        return self._text

    @property
    def llm(self) -> Step1LM:
        """The language model."""
        return cast(Step1LM, self.part("llm"))

    @property
    def flow(self) -> Flow:
        """The flow decoder."""
        return cast(Flow, self.part("flow"))

    @property
    def vocoder(self) -> HiFT | BigVGAN | SourceFilter:
        """The vocoder; manifest.vocoder says which."""
        return cast("HiFT | BigVGAN | SourceFilter", self.part("vocoder"))

    @property
    def linguistic(self) -> LinguisticTokenizer:
        """The linguistic tokenizer."""
        return cast(LinguisticTokenizer, self.part("linguistic"))

    @property
    def semantic(self) -> SemanticTokenizer:
        """The semantic tokenizer."""
        return cast(SemanticTokenizer, self.part("semantic"))

    @property
    def speaker(self) -> SpeakerEncoder:
        """The speaker encoder."""
        return cast(SpeakerEncoder, self.part("speaker"))

    @property
    def scorer(self) -> MarginScorer:
        """The margin scorer; ValueError where the bundle has none."""
        return cast(MarginScorer, self.part("scorer"))


class Registry:
    """Lists bundles and hands out handles whose parts are shared.

    Args:
        folders: further folders that hold bundle folders, searched first.
        environment: where $STEPEDIT_HOME is looked up; None takes the process's.
    """

    def __init__(
        self, folders: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self._folders = tuple(Path(f) for f in folders)
        self._environment = os.environ if environment is None else environment
        self._shared: WeakValueDictionary[_Key, nn.Module] = WeakValueDictionary()
        self._verified: set[tuple[str, int, int]] = set()
        self._releases: dict[tuple[str, int, int], Found] = {}
        self._lock = threading.RLock()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where bundles are looked for, in order."""
        home = self._environment.get(HOME_VARIABLE, "")
        return (*self._folders, *([Path(home)] if home else []), ASSETS)

    def list(self) -> list[Found]:
        """All bundles found, in search order; the first of a name wins when asked by name."""
        found: list[Found] = []
        for folder in self.folders:
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if (path / MANIFEST).is_file():
                    found.append(_look(path))
                elif looks_like_release(path):
                    found.append(self._look_at_release(path))
        return found

    def _look_at_release(self, folder: Path) -> Found:
        """A release as downloaded; once it is whole, read again only when config.json changed."""
        key = _stamp(folder / "config.json")
        found = self._releases.get(key) or _release(folder)
        if found.manifest is not None:
            self._releases[key] = found
        return found

    def locate(self, name_or_dir: str | Path = DEFAULT_BUNDLE) -> Found:
        """The bundle of this name, or in this folder.

        Raises ValueError when there is none, or its bundle.json is not understood.
        """
        wanted = str(name_or_dir)
        listed = self.list()
        for found in listed:
            if wanted in (found.name, found.folder.name):
                return _usable(found)
        folder = Path(wanted).expanduser()
        if looks_like_release(folder):
            return _usable(self._look_at_release(folder))
        if (folder / MANIFEST).is_file() or os.sep in wanted or folder.is_dir():
            read_manifest(folder)  # says what is wrong
            return _usable(_look(folder))
        names = sorted({found.name for found in listed})
        near = difflib.get_close_matches(wanted, names, n=1)
        raise ValueError(
            f"no bundle '{wanted}'; installed are {', '.join(names) or 'none'}. "
            + (f"Did you mean '{near[0]}'?" if near else f"Put it under ${HOME_VARIABLE}.")
        )

    def load(
        self,
        name_or_dir: str | Path = DEFAULT_BUNDLE,
        *,
        device: str | torch.device | None = None,
        precision: str = "auto",
        adapter: str | Path | None = None,
    ) -> Bundle:
        """A handle on a bundle. Nothing but bundle.json, file sizes and headers is read yet.

        Args:
            name_or_dir: name of a listed bundle, or a folder.
            device: None takes the accelerator, else the CPU.
            precision: of the language model and the flow decoder; see precision.TABLE.
            adapter: LoRA file of `stepedit train`, merged into the language model.

        Raises ValueError for an unknown or damaged bundle, device or precision, and when the
        device has too little free memory for it.
        """
        found = self.locate(name_or_dir)
        assert found.manifest is not None
        place = _device(device)
        part_precision("llm", precision, found.manifest)
        for name in found.manifest.files if found.release is None else ():
            check_file(found.folder, found.manifest, name, full=False)
        path = None if adapter is None else Path(adapter).expanduser()
        if path is not None:
            check_fits(found, path)
        self._check_memory(found, place, precision)
        return Bundle(self, found, place, precision, path)

    def _check_memory(self, found: Found, place: torch.device, precision: str) -> None:
        """ValueError when the parts of a large bundle that nobody holds yet do not fit."""
        about = found.manifest
        assert about is not None
        if about.size <= VERIFIED_SIZE:
            return
        need = 0
        for part in about.parts:
            row = part_precision(part, precision, about)
            if _key(found.folder, found.release, part, place, row) not in self._shared:
                need += part_bytes(found, part, row)
        check_memory(need, place, f"bundle '{about.name}'")

    def shared_part(self, bundle: Bundle, part: str) -> nn.Module:
        """The loaded part, taken from whoever holds it or read from the disk."""
        release, place, about = bundle.release_files, bundle.device, bundle.manifest
        path = bundle.folder / file_of(part)
        row = part_precision(part, bundle.precision, about)
        with self._lock:
            if release is None:
                self.check(bundle, path.name)
            key = _key(bundle.folder, release, part, place, row)
            adapter = bundle.adapter if part == "llm" else None
            if adapter is not None:
                key = (*key[:-1], "/".join((row.name, *map(str, _stamp(adapter)))))
            module = self._shared.get(key)
            if module is None:
                dtype = dtype_of(row)
                kind: Kind | Literal[""] = "" if adapter is not None else row.quantize
                module = (
                    load_part(bundle.folder, about, part, device=place, dtype=dtype, quantize=kind)
                    if release is None
                    else load_released(
                        release, about, part, device=place, dtype=dtype, quantize=kind
                    )
                )
                if adapter is not None:
                    merge(load_adapter(cast(Step1LM, module), adapter))
                    if row.quantize:
                        weights = module.state_dict().items()
                        fill(module, weights, device=place, dtype=dtype, quantize=row.quantize)
                self._shared[key] = module
            return module

    def check(self, bundle: Bundle, name: str) -> None:
        """Size always; sha256 once per file for small bundles. ValueError when it differs."""
        path = bundle.folder / name
        full = bundle.manifest.size <= VERIFIED_SIZE
        check_file(bundle.folder, bundle.manifest, name, full=False)
        if full and _stamp(path) not in self._verified:
            check_file(bundle.folder, bundle.manifest, name, full=True)
            self._verified.add(_stamp(path))


def _stamp(path: Path) -> tuple[str, int, int]:
    """What changes when a file does: path, size, time."""
    stat = path.stat()
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns


def _key(
    folder: Path, release: Release | None, part: str, place: torch.device, row: Precision
) -> _Key:
    """What two handles must agree on to share a part."""
    path = folder / (file_of(part) if release is None else "config.json")
    return (*_stamp(path), part, str(place), row.name)


def check_fits(found: Found, adapter: Path) -> None:
    """ValueError for a file that is no adapter, or one of other weights than this bundle's.

    A release as downloaded has no digests to compare; the sizes are, when it is loaded.
    """
    about = found.manifest
    assert about is not None
    known = [] if found.release is not None else [found.sha256, about.files[file_of("llm")].sha256]
    check_adapter(adapter, known)
    if about.llm_weights != "float":
        raise ValueError(
            f"bundle '{about.name}' holds {about.llm_weights} weights; an adapter is added to "
            "float ones. Choose the bundle in 16 bits, with the precision you want."
        )


def _with_adapter(sha256: str, adapter: Path) -> str:
    """Digest of a bundle with an adapter."""
    return hashlib.sha256(f"{sha256} {sha256_of(adapter)}".encode()).hexdigest()


def part_bytes(found: Found, part: str, row: Precision) -> int:
    """Bytes a part takes when it is loaded in a row of the precision table; reads headers only."""
    about, release = found.manifest, found.release
    assert about is not None
    if release is not None and part != "llm":
        released = about.files[file_of(part)].size  # in float32
        return released * dtype_of(row).itemsize // 4
    paths = (found.folder / file_of(part),) if release is None else release.llm
    bits = 0.0
    for path in paths:
        for name, (code, shape) in read_header(path).items():
            quantised = part == "llm" and row.quantize and is_matrix(name)
            kept = code in ("I8", "U8")
            width = 8 if kept else row.bits if quantised else 8 * dtype_of(row).itemsize
            bits += width * math.prod(shape)
    return int(bits / 8)


def _look(folder: Path) -> Found:
    """What lies in a folder that has a bundle.json, readable or not."""
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        return Found(name=folder.name, folder=folder, manifest=None, sha256="", problem=str(error))
    return Found(
        name=manifest.name, folder=folder, manifest=manifest, sha256=manifest_sha256(folder)
    )


def _release(folder: Path) -> Found:
    """A release as downloaded: the model folder, the tokenizer folder inside or beside it."""
    try:
        release = find_release(folder)
        about = describe(release)
    except ValueError as error:
        return Found(name=folder.name, folder=folder, manifest=None, sha256="", problem=str(error))
    read = {
        "llm": release.llm,
        "flow": (release.flow,),
        "vocoder": (release.vocoder,),
        "linguistic": (release.paraformer, release.codebook),
        "semantic": (release.semantic,),
        "speaker": (release.speaker,),
    }
    sizes = {
        file_of(part): FileEntry(size=sum(p.stat().st_size for p in paths), sha256="")
        for part, paths in read.items()
    }
    # there are no published digests to go by; path, size and time of each file identify it
    stamps = "\n".join(str(_stamp(path)) for paths in read.values() for path in paths)
    return Found(
        name=about.name,
        folder=folder,
        manifest=replace(about, files=sizes),
        sha256=hashlib.sha256(stamps.encode()).hexdigest(),
        release=release,
    )


def _usable(found: Found) -> Found:
    if found.manifest is None:
        raise ValueError(found.problem)
    return found


def _device(device: str | torch.device | None) -> torch.device:
    """A torch device that exists here; ValueError when the name is unknown or it is absent."""
    if device is None or device == "auto":
        return default_device()
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device '{device}' cannot be used here ({str(error).splitlines()[0]}); 'cpu' always "
            f"can, found is '{default_device()}'. Name another device."
        ) from error
    return place
