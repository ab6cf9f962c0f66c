"""What lies in the folders that are searched for models: a bundle, a release, or something broken.

A trouble of the disk with one entry is that entry's alone; listing never fails.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TypeAlias

from ..bundle.manifest import (
    MANIFEST,
    FileEntry,
    Manifest,
    file_of,
    manifest_sha256,
    read_manifest,
)
from ..bundle.parts import dtype_of
from ..bundle.precision import Precision
from ..files.tensors import read_header
from ..files.whole import restore
from ..models.lora import check_adapter
from ..models.quantized import is_matrix
from ..printable import printable, shown
from ..release.convert import describe
from ..release.layout import Release, find_release, looks_like_release


@dataclass(frozen=True, kw_only=True)
class BundleEntry:
    """A bundle."""

    name: str
    folder: Path
    manifest: Manifest
    sha256: str
    """Of bundle.json, hence of everything it lists."""


@dataclass(frozen=True, kw_only=True)
class ReleaseEntry:
    """A release as downloaded."""

    name: str
    folder: Path
    manifest: Manifest
    """What a bundle of it would say."""
    sha256: str
    """Of path, size and time of its files: there are no published digests."""
    release: Release
    """The published files."""


@dataclass(frozen=True, kw_only=True)
class BrokenEntry:
    """A folder that should be a model and cannot be read."""

    name: str
    folder: Path
    problem: str
    """Why, as a sentence."""


ModelEntry: TypeAlias = BundleEntry | ReleaseEntry
Entry: TypeAlias = BundleEntry | ReleaseEntry | BrokenEntry
CONFIG = "config.json"
Stamp: TypeAlias = tuple[str, int, int]


def entries_in(folder: Path, look_at_release: Callable[[Path], Entry]) -> list[Entry]:
    """The models in a folder, sorted by file name; folders of other things are passed over.

    So are hidden ones: a bundle that is being written lies in one until it is whole.
    """
    restore(folder)
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        return [unreadable(folder, error)]
    found: list[Entry] = []
    for path in paths:
        if path.name.startswith("."):
            continue
        try:
            path.stat()
            if has_file(path, MANIFEST):
                found.append(look_at_bundle(path))
            elif has_file(path, CONFIG) and looks_like_release(path):
                found.append(look_at_release(path))
        except OSError as error:
            removed_meanwhile = isinstance(error, FileNotFoundError) and not os.path.islink(path)
            if not removed_meanwhile:
                found.append(unreadable(path, error))
    return found


def named_apart(found: Sequence[Entry], shipped: Sequence[Entry]) -> list[Entry]:
    """All entries, each model under a name of its own that can be typed; the first of a name wins.

    A broken folder has the name of its folder, which takes no model's name.
    """
    taken = {entry.name for entry in shipped}
    given: dict[int, str] = {}
    for name_of in (_own_name, _folder_name, _path_name, _place):
        for at, entry in enumerate(found):
            name = name_of(entry)
            free = name not in taken and name == printable(name)
            if at not in given and free and not isinstance(entry, BrokenEntry):
                given[at] = name
                taken.add(name)
    for at, entry in enumerate(found):
        if at not in given and not isinstance(entry, BrokenEntry):
            given[at] = _numbered(shown(entry.folder.name, 60), taken)
            taken.add(given[at])
    named = [replace(entry, name=given.get(at, entry.name)) for at, entry in enumerate(found)]
    return [*named, *shipped]


def _numbered(name: str, taken: Collection[str]) -> str:
    """A name that is free, for a model that no name of its own tells apart or can be typed."""
    return next(free for k in count(2) if (free := f"{name}-{k}") not in taken)


def expanded(path: str | Path) -> Path:
    """A path with the folder of its user for ~; the path itself where there is no such user."""
    return Path(os.path.expanduser(path))


def _own_name(entry: Entry) -> str:
    return entry.name


def _folder_name(entry: Entry) -> str:
    return entry.folder.name


def _path_name(entry: Entry) -> str:
    return f"{entry.folder.parent.name}/{entry.folder.name}"


def _place(entry: Entry) -> str:
    return str(entry.folder)


def has_file(folder: Path, name: str) -> bool:
    """Whether a folder has a file; OSError where that cannot be found out.

    Path.is_file hides most errors, and all of them since Python 3.14.
    """
    try:
        return stat.S_ISREG((folder / name).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no possible name
        return False


def look_at_bundle(folder: Path) -> BundleEntry | BrokenEntry:
    """A folder that has a bundle.json, readable or not."""
    try:
        manifest = read_manifest(folder)
        digest = manifest_sha256(folder)
    except ValueError as error:
        return BrokenEntry(name=folder.name, folder=folder, problem=str(error))
    except OSError as error:
        return unreadable(folder, error)
    return BundleEntry(name=manifest.name, folder=folder, manifest=manifest, sha256=digest)


def look_at_release(folder: Path) -> ReleaseEntry | BrokenEntry:
    """A release as downloaded: the model folder, the tokenizer folder inside or beside it."""
    try:
        return _release_entry(folder)
    except ValueError as error:
        return BrokenEntry(name=folder.name, folder=folder, problem=str(error))
    except OSError as error:
        return unreadable(folder, error)


def _release_entry(folder: Path) -> ReleaseEntry:
    release = find_release(folder)
    about = describe(release)
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
    stamps = "\n".join(str(stamp_of(path)) for paths in read.values() for path in paths)
    return ReleaseEntry(
        name=about.name,
        folder=folder,
        manifest=replace(about, files=sizes),
        sha256=hashlib.sha256(stamps.encode()).hexdigest(),
        release=release,
    )


def unreadable(folder: Path, error: OSError) -> BrokenEntry:
    """The entry of a folder that the disk does not let us read."""
    if isinstance(error, FileNotFoundError) and os.path.islink(folder):
        problem = (
            f"'{shown(folder.name)}' is a link to something that is not there. "
            "Bring that back, or remove the link from the models."
        )
    else:
        problem = (
            f"'{shown(folder.name)}' cannot be read ({error.strerror or type(error).__name__}). "
            "Make it readable for this user, or remove it from the models."
        )
    return BrokenEntry(name=folder.name, folder=folder, problem=problem)


def stamp_of(path: Path) -> Stamp:
    """What changes when a file does: path, size, time."""
    about = path.stat()
    return str(path.resolve()), about.st_size, about.st_mtime_ns


def check_fits(found: ModelEntry, adapter: Path) -> None:
    """ValueError for a file that is not an adapter, or one of other weights than this bundle's.

    A release as downloaded has no digests to compare; the sizes are, when it is loaded.
    """
    about = found.manifest
    known = (
        []
        if isinstance(found, ReleaseEntry)
        else [found.sha256, about.files[file_of("llm")].sha256]
    )
    check_adapter(adapter, known)
    if about.llm_weights != "float":
        raise ValueError(
            f"bundle '{shown(about.name)}' has {shown(about.llm_weights)} weights; an adapter is "
            "added to float ones. Choose the bundle in 16 bits, with the precision you want."
        )


def part_bytes(found: ModelEntry, part: str, row: Precision) -> int:
    """Bytes a part takes when it is loaded in a row of the precision table; reads headers only."""
    about = found.manifest
    release = found.release if isinstance(found, ReleaseEntry) else None
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
