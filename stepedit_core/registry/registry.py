"""Finding bundles and sharing their loaded parts.

Bundles lie in the package's assets, in $STEPEDIT_HOME and in folders the caller names (ComfyUI's
models/step_audio_editx). A Registry is owned by its caller. It remembers loaded parts by weak
reference: the same file, device and precision is in memory once, and freed when all dropped it.
"""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast
from weakref import WeakValueDictionary

import torch
from torch import nn

from ..bundle.manifest import MANIFEST, check_file, file_of
from ..bundle.memory import check_memory
from ..bundle.parts import dtype_of, load_part, part_precision
from ..bundle.precision import Precision
from ..bundle.weights import fill
from ..files.whole import restore
from ..models.llm import Step1LM
from ..models.lora import load_adapter, merge
from ..models.quantized import Kind
from ..printable import listed as listed_names
from ..printable import shown
from ..release.convert import load_released
from ..release.layout import Release, looks_like_release
from .folders import (
    CONFIG,
    BrokenEntry,
    BundleEntry,
    Entry,
    ModelEntry,
    ReleaseEntry,
    Stamp,
    check_fits,
    entries_in,
    expanded,
    has_file,
    look_at_bundle,
    look_at_release,
    named_apart,
    part_bytes,
    stamp_of,
    unreadable,
)
from .handle import Bundle

HOME_VARIABLE = "STEPEDIT_HOME"
ASSETS = Path(__file__).parents[1] / "assets"
DEFAULT_BUNDLE = "nano"
VERIFIED_SIZE = 100_000_000
"""Bundles up to this many bytes have the sha256 of each file checked when a part is loaded: 0.3 s
at most, measured at 330 MB/s on one core. Others are verified by `stepedit bundles --verify`."""

_Key = tuple[str, int, int, str, str, str]


def default_device() -> torch.device:
    """The accelerator torch sees, else the CPU."""
    accelerator = getattr(torch, "accelerator", None)  # torch 2.6 and newer
    if accelerator is not None and accelerator.is_available():
        return torch.device(accelerator.current_accelerator())
    return torch.device(0) if torch.cuda.is_available() else torch.device("cpu")


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
        self._verified: set[Stamp] = set()
        self._releases: dict[Stamp, ReleaseEntry] = {}
        self._lock = threading.RLock()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where bundles are looked for, in order."""
        home = self._environment.get(HOME_VARIABLE, "").strip()
        places = [*self._folders, *([expanded(home)] if home else [])]
        return (*dict.fromkeys(places), ASSETS)

    def list(self) -> list[Entry]:
        """Everything found, in search order; no two models have the same name.

        Names of shipped bundles are theirs alone. A model whose name another one has is listed
        under the name of its folder, or as a folder of its parent where that is taken too.
        """
        shipped = entries_in(ASSETS, look_at_release)
        found: list[Entry] = list(_home_problem(self._environment.get(HOME_VARIABLE)))
        for folder in self.folders[:-1]:
            found += entries_in(folder, self._look_at_release)
        return named_apart(found, shipped)

    def _look_at_release(self, folder: Path) -> ReleaseEntry | BrokenEntry:
        """A release as downloaded; once it is whole, read again only when config.json changed."""
        key = stamp_of(folder / CONFIG)
        entry = self._releases.get(key) or look_at_release(folder)
        if isinstance(entry, ReleaseEntry):
            self._releases[key] = entry
        return entry

    def locate(self, name_or_dir: str | Path = DEFAULT_BUNDLE) -> ModelEntry:
        """The bundle of this name, or in this folder.

        Raises ValueError when there is none, or its bundle.json is not understood.
        """
        asked = str(name_or_dir)
        listed = self.list()
        by_name = [entry for entry in listed if entry.name == asked]
        by_folder = [entry for entry in listed if entry.folder.name == asked]
        # a broken folder takes no model's name
        for entry in sorted((*by_name, *by_folder), key=lambda e: isinstance(e, BrokenEntry)):
            return _usable(entry)
        folder = expanded(asked)
        if os.sep in asked and not os.path.lexists(folder):
            restore(folder.parent)  # a killed export may have left the older bundle aside
        try:
            if os.path.islink(folder):
                folder.stat()  # it may lead nowhere
            if has_file(folder, CONFIG) and looks_like_release(folder):
                return _usable(self._look_at_release(folder))
            if has_file(folder, MANIFEST) or os.sep in asked or folder.is_dir():
                return _usable(look_at_bundle(folder))
        except OSError as error:
            return _usable(unreadable(folder, error))
        names = [entry.name for entry in listed if not isinstance(entry, BrokenEntry)]
        near = difflib.get_close_matches(asked, names, n=1)
        broken = [entry.problem for entry in listed if isinstance(entry, BrokenEntry)]
        raise ValueError(
            f"no bundle '{shown(asked)}'; installed are {listed_names(sorted(names))}. "
            + (f"Did you mean '{shown(near[0])}'?" if near else f"Put it under ${HOME_VARIABLE}.")
            + (f" Not usable: {shown(broken[0])}" if broken else "")
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
        place = _device(device)
        part_precision("llm", precision, found.manifest)
        for name in found.manifest.files if isinstance(found, BundleEntry) else ():
            check_file(found.folder, found.manifest, name, full=False)
        path = None if adapter is None else expanded(adapter)
        if path is not None:
            check_fits(found, path)
        self._check_memory(found, place, precision)
        return Bundle(self, found, place, precision, path)

    def _check_memory(self, found: ModelEntry, place: torch.device, precision: str) -> None:
        """ValueError when the parts of a large bundle that nobody keeps yet do not fit."""
        about = found.manifest
        release = found.release if isinstance(found, ReleaseEntry) else None
        if about.size <= VERIFIED_SIZE:
            return
        need = 0
        for part in about.parts:
            row = part_precision(part, precision, about, device=place)
            if _key(found.folder, release, part, place, row) not in self._shared:
                need += part_bytes(found, part, row)
        check_memory(need, place, f"bundle '{about.name}'")

    def shared_part(self, bundle: Bundle, part: str) -> nn.Module:
        """The loaded part, taken from whoever has it or read from the disk."""
        release, place, about = bundle.release_files, bundle.device, bundle.manifest
        path = bundle.folder / file_of(part)
        row = part_precision(part, bundle.precision, about, device=place)
        with self._lock:
            if release is None:
                self.check(bundle, path.name)
            key = _key(bundle.folder, release, part, place, row)
            adapter = bundle.adapter if part == "llm" else None
            if adapter is not None:
                key = (*key[:-1], "/".join((row.name, *map(str, stamp_of(adapter)))))
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
        if full and stamp_of(path) not in self._verified:
            check_file(bundle.folder, bundle.manifest, name, full=True)
            self._verified.add(stamp_of(path))


def _home_problem(value: str | None) -> Iterator[BrokenEntry]:
    """What is wrong with the folder that the environment names, if anything."""
    if value is None or not value.strip():
        return
    home = expanded(value.strip())
    if not home.is_dir():
        what = "is not a folder" if home.exists() else "is not there"
        yield BrokenEntry(
            name=f"${HOME_VARIABLE}",
            folder=home,
            problem=f"${HOME_VARIABLE} is '{shown(value)}', which {what}. Correct or unset it.",
        )


def _key(
    folder: Path, release: Release | None, part: str, place: torch.device, row: Precision
) -> _Key:
    """What two handles must agree on to share a part."""
    path = folder / (file_of(part) if release is None else "config.json")
    return (*stamp_of(path), part, str(place), row.name)


def _usable(entry: Entry) -> ModelEntry:
    if isinstance(entry, BrokenEntry):
        raise ValueError(f"'{shown(entry.folder)}' cannot be used: {entry.problem}")
    return entry


def _device(device: str | torch.device | None) -> torch.device:
    """A torch device that exists here; ValueError when the name is unknown or it is absent."""
    if device is None or device == "auto":
        return default_device()
    try:
        place = torch.device(device)
        torch.empty(1, device=place).item()  # which fails on "meta", a device without memory
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device '{shown(device)}' cannot be used here; cpu always can, and found is "
            f"{default_device()}. Name one of them."
        ) from error
    return place
