"""ComfyUI's folders: models, input, output; names that may come from anybody's workflow."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths

from ...stepedit_core.files.missing import pip_line
from ...stepedit_core.printable import listed, quoted, shown

if TYPE_CHECKING:
    from ...stepedit_core.registry.folders import ModelEntry
    from ...stepedit_core.registry.registry import Registry

log = logging.getLogger(__name__)

FOLDER_KEY = "step_audio_editx"
"""Key in folder_paths and extra_model_paths.yaml; bundles lie in models/step_audio_editx/."""
SAMPLES = ("walking_home.wav", "lighthouse.flac", "friday.flac")
"""Shipped recordings of the workflows."""
SAMPLE_INPUT = "stepedit_"
"""What their names begin with in ComfyUI's input folder."""
TOKENS = "stepedit"
"""Folder below input and output that is searched for token files, like the folder itself."""
NO_ADAPTER = "none"
RECOGNISERS = "recognisers"
"""Folder of models/step_audio_editx/ with a folder for each faster-whisper model."""
AUTO = "auto"
LONGEST_NAME = 200
"""Bytes of one folder or file; file systems allow 255, and ComfyUI adds a number and a suffix."""


def register_folder() -> None:
    """Make models/step_audio_editx known, also to extra_model_paths.yaml."""
    place = os.path.join(folder_paths.models_dir, FOLDER_KEY)
    folder_paths.add_model_folder_path(FOLDER_KEY, place, is_default=True)


def offer_sample() -> None:
    """Put the recordings of the workflows into ComfyUI's input folder unless they are there."""
    try:
        from ...stepedit_core.bundle.write import copy_whole
        from ...stepedit_core.registry.registry import ASSETS
    except ImportError:  # said by bundle_names
        return

    place = Path(folder_paths.get_input_directory())
    try:
        for name in SAMPLES:
            source, target = ASSETS / "samples" / name, place / f"{SAMPLE_INPUT}{name}"
            if source.is_file() and not os.path.lexists(target):
                copy_whole(source, target)
    except OSError as error:  # a read-only or missing input folder is not a reason to fail
        log.info("StepEdit: the sample clip was not copied to the input folder (%s)", shown(error))


def check_packages() -> None:
    """Raise ValueError with pip's line for a package of requirements.txt that is not here."""
    text = (Path(__file__).parents[2] / "requirements.txt").read_text("utf-8")
    for line in text.split():
        name = re.split(r"[<>=~!\[]", line)[0]
        if find_spec(name) is None:
            raise ValueError(
                f"the Python package {shown(name)} is missing; StepEdit needs it. Run: "
                f"{pip_line(line)} and restart ComfyUI."
            )


def bundle_names() -> list[str]:
    """Names of all bundles found, nano first; nano alone while a package is missing.

    A folder that cannot be used is not among them; its problem is in the log, once.
    """
    try:
        from ...stepedit_core.registry.folders import BrokenEntry
        from ...stepedit_core.registry.registry import DEFAULT_BUNDLE

        entries = registry().list()
    except ImportError as error:
        log.warning("StepEdit: %s; Load StepEdit Model says what to install", shown(error))
        return ["nano"]
    for found in entries:
        if isinstance(found, BrokenEntry):
            _warn_once(f"the model folder '{shown(found.folder)}' is left out: {found.problem}")
    names = {found.name for found in entries if not isinstance(found, BrokenEntry)}
    return [DEFAULT_BUNDLE, *sorted(names - {DEFAULT_BUNDLE})]


def find_bundle(name: str) -> ModelEntry:
    """The bundle of this name; ValueError when it is not on the list, or is damaged.

    The name may come from anybody's workflow, so it is never taken as a path.
    """
    check_packages()
    found = registry()
    if not any(name in (entry.name, entry.folder.name) for entry in found.list()):
        raise ValueError(
            f"no bundle '{shown(name)}'; installed are {listed(bundle_names())}. Put it under "
            f"models/{FOLDER_KEY}, or choose another."
        )
    return found.locate(name)


def adapter_names() -> list[str]:
    """The word none, and the files of models/step_audio_editx/, its adapters/ and run folders.

    Of folders in it, adapter.safetensors alone is meant: what `stepedit train` writes there.
    """
    return [NO_ADAPTER, *_adapters()]


def _adapters() -> dict[str, Path]:
    """Name on the list -> file; the first folder of a name wins."""
    found: dict[str, Path] = {}
    for place in map(Path, folder_paths.get_folder_paths(FOLDER_KEY)):
        inside = _listing(place)
        paths = [path for path in inside if path.suffix == ".safetensors"]
        paths += [p for p in _listing(place / "adapters") if p.suffix == ".safetensors"]
        paths += [path / "adapter.safetensors" for path in inside]
        for path in paths:
            if _is_there(path):
                found.setdefault(path.relative_to(place).as_posix(), path)
    return found


def _listing(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing, and a line in the log, where the disk refuses."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        _warn_once(f"the folder '{shown(folder)}' is left out: {error.strerror}")
        return []


def _is_there(path: Path) -> bool:
    """Whether a plain file is there; one that the disk does not show is not."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


@cache
def _warn_once(sentence: str) -> None:
    """A line in the log, once for each sentence: lists are made again with every refresh."""
    log.warning("StepEdit: %s", sentence)


def find_adapter(name: str) -> Path | None:
    """The file of a name that adapter_names gave; other names are refused."""
    if name == NO_ADAPTER:
        return None
    found = _adapters()
    if not isinstance(name, str) or name not in found:
        raise ValueError(
            f"no adapter '{shown(name)}'; found are {listed(found)}. Put the "
            f"adapter.safetensors of `stepedit train` into models/{FOLDER_KEY}/adapters, or choose "
            "another."
        )
    return found[name]


def recogniser_names() -> list[str]:
    """The word auto, and the faster-whisper folders of models/step_audio_editx/recognisers/."""
    return [AUTO, *_recognisers()]


def find_recogniser(name: str) -> str:
    """Folder of a name that recogniser_names gave; other names are refused.

    auto is the first folder; "", which leaves the choice to the library, where there is none or
    the environment names one.
    """
    from ...stepedit_core.measure.recognisers import VARIABLE

    found = _recognisers()
    if name == AUTO:
        return "" if os.environ.get(VARIABLE) or not found else str(next(iter(found.values())))
    if not isinstance(name, str) or name not in found:
        raise ValueError(
            f"no recogniser '{shown(name)}'; found are {listed([AUTO, *found])}. Put the folder of "
            f"a faster-whisper model into models/{FOLDER_KEY}/{RECOGNISERS}, or choose another."
        )
    return str(found[name])


def hearing_folder(name: str) -> str:
    """As find_recogniser, for what hears now.

    auto passes over a folder whose package is not installed, which is said once: the model's own
    recogniser may hear, and a transcript may do without.
    """
    from ...stepedit_core.measure.whisper import is_installed, say_passed_over

    folder = find_recogniser(name)
    if name == AUTO and folder and not is_installed():
        say_passed_over(folder)
        return ""
    return folder


def _recognisers() -> dict[str, Path]:
    """Name on the list -> folder with all files of a model; the first of a name wins."""
    from ...stepedit_core.measure.whisper import FILES

    found: dict[str, Path] = {}
    for place in map(Path, folder_paths.get_folder_paths(FOLDER_KEY)):
        for path in _listing(place / RECOGNISERS):
            hidden = path.name.startswith(".")
            if path.name != AUTO and not hidden and all(_is_there(path / n) for n in FILES):
                found.setdefault(path.name, path)
    return found


def check_prefix(
    prefix: str, name: str = "filename_prefix", example: str = "stepedit/tokens"
) -> None:
    """Raise ValueError for a prefix that leads out of ComfyUI's output folder."""
    if not isinstance(prefix, str) or not prefix.isprintable():
        raise ValueError(
            f"{shown(name)} is {quoted(prefix)}; a name of printable letters is expected. Write "
            f"one like {example}."
        )
    out = Path(folder_paths.get_output_directory()).resolve()
    longest = max((len(part.encode()) for part in Path(prefix).parts), default=0)
    if longest > LONGEST_NAME:
        raise ValueError(
            f"{shown(name)} has a name of {longest} bytes; {LONGEST_NAME} are allowed. Shorten it."
        )
    inside = "\0" not in prefix and (out / prefix).resolve().is_relative_to(out)
    if not prefix.strip() or prefix.endswith(("/", "\\")) or not inside:
        raise ValueError(
            f"{shown(name)} is '{shown(prefix)}'; expected are a folder and name below the output "
            f"folder. Write one like {example}."
        )
    target = out / prefix
    if any(place.is_file() for place in (target, *target.parents)):
        raise ValueError(
            f"{shown(name)} is '{shown(prefix)}', which leads through a file; a folder is "
            f"expected. Write one like {example}."
        )


def data_folder(name: str) -> Path:
    """Path of a folder of training data below ComfyUI's output folder."""
    check_prefix(name, "folder", "stepedit/data")
    return Path(folder_paths.get_output_directory(), name)


def new_output_file(prefix: str, suffix: str) -> tuple[Path, str]:
    """Path of a new numbered file below ComfyUI's output folder, and its name for Load Tokens."""
    check_prefix(prefix)
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory()
    )
    path = Path(folder) / f"{name}_{counter:05}_{suffix}"
    return path, f"{(Path(subfolder) / path.name).as_posix()} [output]"


def new_sound_files(prefix: str, suffix: str, count: int) -> list[tuple[Path, str]]:
    """New numbered paths below ComfyUI's output folder, each with its folder as seen from there."""
    check_prefix(prefix, example="audio/stepedit")
    folder, name, first, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory()
    )
    place = Path(subfolder).as_posix() if subfolder else ""
    numbers = range(first, first + count)
    return [(Path(folder) / f"{name}_{number:05}_{suffix}", place) for number in numbers]


def token_files() -> list[str]:
    """Token files of input/ and input/stepedit/, and with " [output]" added those of output/."""
    found = []
    for folder, note in (
        (folder_paths.get_input_directory(), ""),
        (folder_paths.get_output_directory(), " [output]"),
    ):
        paths = sorted([*_listing(Path(folder)), *_listing(Path(folder, TOKENS))])
        found += [
            path.relative_to(folder).as_posix() + note
            for path in paths
            if path.suffix == ".safetensors" and _is_there(path)
        ]
    return found


def annotated_path(name: str) -> Path:
    """Path of a name that token_files gave; other names are refused."""
    if name not in token_files():
        raise ValueError(
            f"no tokens file '{shown(name)}' in the input or output folder. Save tokens first, or "
            "press R to refresh the list."
        )
    return Path(folder_paths.get_annotated_filepath(name))


def input_folder() -> Path:
    """ComfyUI's input folder."""
    return Path(folder_paths.get_input_directory())


def in_input_folder(name: str) -> bool:
    """Whether a name of anybody's means a file inside of the input folder."""
    inside = input_folder().resolve()
    try:
        return (inside / name).resolve().is_relative_to(inside)
    except (OSError, ValueError):
        return False


def results_folder(name: str) -> Path:
    """Path of a folder for the results of a script below ComfyUI's output folder."""
    check_prefix(name, "folder", "stepedit/script")
    return Path(folder_paths.get_output_directory(), name)


def recordings_folder(name: str) -> Path:
    """Path of a folder of recordings below ComfyUI's input folder."""
    good = isinstance(name, str) and name.isprintable() and bool(name.strip())
    if not good or not in_input_folder(name):
        raise ValueError(
            f"recordings is {quoted(name)}; the name of a folder below the input folder is "
            "expected. Write one like stepedit/recordings."
        )
    return input_folder() / name


def folder_stamps(folder: Path) -> str:
    """What changes when a file of a folder does; empty where there is none."""
    stamps = []
    for path in _listing(folder):
        with suppress(OSError):
            about = path.stat()
            stamps.append(f"{path.name} {about.st_size} {about.st_mtime_ns}")
    return "\n".join(stamps)


def file_stamps(names: Iterable[str]) -> str:
    """What changes when a file of the input folder does; names of other places are left out."""
    stamps = []
    for name in sorted(set(names)):
        if in_input_folder(name) and _is_there(path := input_folder() / name):
            about = path.stat()
            stamps.append(f"{name} {about.st_size} {about.st_mtime_ns}")
    return "\n".join(stamps)


def pieces_folder() -> Path:
    """Folder below temp for finished pieces of long recordings: a stopped run resumes."""
    from ...stepedit_core.files.whole import ready_folder

    folder = Path(folder_paths.get_temp_directory(), "stepedit", "pieces")
    ready_folder(folder)
    return folder


def registry() -> Registry:
    """A registry that also looks into ComfyUI's folders; the models themselves are kept above."""
    from ...stepedit_core.registry.registry import Registry

    return Registry(folder_paths.get_folder_paths(FOLDER_KEY))
