"""The only file with ComfyUI inside: folders, models and memory, progress, cancelling, AUDIO.

Source: the ModelPatcher protocol as in ComfyUI 0.3.75 to 0.33.0. AUDIO is
{"waveform": (B, C, N) float32 on the CPU, "sample_rate": Hz}.
"""

from __future__ import annotations

import hashlib
import html
import logging
import os
import re
import shutil
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import folder_paths
import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..stepedit_core.files.missing import pip_line
from ..stepedit_core.types import Clip, stage_named

if TYPE_CHECKING:
    from ..stepedit_core.registry.folders import ModelEntry
    from ..stepedit_core.registry.handle import Bundle
    from ..stepedit_core.registry.registry import Registry
    from ..stepedit_core.types import DualCodes, EditRequest

log = logging.getLogger(__name__)

FOLDER_KEY = "step_audio_editx"
"""Key in folder_paths and extra_model_paths.yaml; bundles lie in models/step_audio_editx/."""
SAMPLE = "walking_home.wav"
SAMPLE_INPUT = f"stepedit_{SAMPLE}"
"""Name that the shipped sample clip gets in ComfyUI's input folder."""
TOKENS = "stepedit"
"""Folder below input and output that is searched for token files, like the folder itself."""
PREVIEWS = "stepedit"
"""Folder below temp with the clips of the listening panel."""
PANEL = "stepedit_rounds"
"""Key under which Iterative Edit tells the listening panel of its rounds."""
NO_ADAPTER = "none"
DEVICES = ("auto", "cpu")
LONGEST_NAME = 200
"""Bytes of one folder or file; file systems allow 255, and ComfyUI adds a number and a suffix."""
BAR_UNITS = 1000
BAR_SECONDS = 0.1
"""Least time between two messages to the browser."""
DECODER_BYTES_PER_SECOND = 8 * 64 * 4 * 24_000
"""Eight live tensors of the vocoder's last stage: 64 channels of float32 at 24 kHz."""


class LoadedModel:
    """What STEPEDIT_MODEL holds: a bundle whose parts sit in one ModelPatcher from first use on.

    Until a node has found its inputs good, nothing but bundle.json is read.
    """

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        from ..stepedit_core.pipelines.memory import RoundMemory

        self.bundle = bundle
        self.memory = RoundMemory()
        self._device = device
        self._patcher: ModelPatcher | None = None

    def check(self, requests: Sequence[EditRequest]) -> None:
        """Raise ValueError for a request that the bundle does not know; loads no network."""
        from ..stepedit_core.pipelines.plan import check_request

        for request in requests:
            check_request(self.bundle, request)

    def check_tokens(self, *tokens: DualCodes) -> None:
        """Raise ValueError for tokens of another bundle, or none; loads no network."""
        for codes in tokens:
            self.bundle.vocabulary.check_codebook(codes)

    def check_scorer(self, requests: Sequence[EditRequest]) -> None:
        """Raise ValueError for an edit that the bundle cannot score; loads no network."""
        from ..stepedit_core.measure.margin import can_score

        for request in requests:
            if not can_score(self.bundle, request):
                what = f"{request.kind} {request.option}".strip()
                raise ValueError(
                    f"the scorer of bundle '{self.bundle.name}' does not know the edit '{what}', "
                    "and a score is wanted. Choose another edit, or a bundle that scores it."
                )

    def ready(self, seconds: float) -> Bundle:
        """The bundle with all parts on the load device and room for a clip of so many seconds."""
        if self._patcher is None:
            say(f"loading {self.bundle.name}")
            place = self._device
            offload = torch.device("cpu") if place.type == "cpu" else _offload_device()
            parts = self.bundle.load_all()
            self._patcher = ModelPatcher(parts, load_device=place, offload_device=offload)
        patcher = self._patcher
        need = _bytes_needed(self.bundle, seconds)
        model_management.load_models_gpu([patcher], memory_required=need, force_full_load=True)
        if patcher.loaded_size() < patcher.model_size():  # --novram, or once loaded in part
            patcher.load(patcher.load_device, full_load=True)
        return self.bundle


_loaded: WeakValueDictionary[tuple[str, ...], LoadedModel] = WeakValueDictionary()
"""Models that some node still holds; two Load Model nodes with equal settings share one."""


def register_folder() -> None:
    """Make models/step_audio_editx known, also to extra_model_paths.yaml."""
    place = os.path.join(folder_paths.models_dir, FOLDER_KEY)
    folder_paths.add_model_folder_path(FOLDER_KEY, place, is_default=True)


def offer_sample() -> None:
    """Put the sample clip of the workflows into ComfyUI's input folder unless it is there."""
    try:
        from ..stepedit_core.registry.registry import ASSETS
    except ImportError:  # said by bundle_names
        return

    source = ASSETS / "samples" / SAMPLE
    target = Path(folder_paths.get_input_directory()) / SAMPLE_INPUT
    if not source.is_file() or target.exists():
        return
    try:
        shutil.copyfile(source, target)
    except OSError as error:  # a read-only input folder is no reason to fail
        log.info("StepEdit: the sample clip was not copied to the input folder (%s)", error)


def check_packages() -> None:
    """Raise ValueError with pip's line for a package of requirements.txt that is not here."""
    text = (Path(__file__).parents[1] / "requirements.txt").read_text("utf-8")
    for line in text.split():
        name = re.split(r"[<>=~!\[]", line)[0]
        if find_spec(name) is None:
            raise ValueError(
                f"the Python package {name} is missing; StepEdit needs it. Run: {pip_line(line)} "
                "and restart ComfyUI."
            )


def bundle_names() -> list[str]:
    """Names of all bundles found, nano first; nano alone while a package is missing."""
    try:
        from ..stepedit_core.registry.registry import DEFAULT_BUNDLE

        names = {found.name for found in _registry().list()}
    except ImportError as error:
        log.warning("StepEdit: %s; Load StepEdit Model says what to install", error)
        return ["nano"]
    return [DEFAULT_BUNDLE, *sorted(names - {DEFAULT_BUNDLE})]


def find_bundle(name: str) -> ModelEntry:
    """The bundle of this name; ValueError when it is not on the list, or is damaged.

    The name may come from anybody's workflow, so it is never taken as a path.
    """
    check_packages()
    registry = _registry()
    if not any(name in (found.name, found.folder.name) for found in registry.list()):
        raise ValueError(
            f"no bundle '{_shown(name)}'; installed are {', '.join(bundle_names())}. Put it under "
            f"models/{FOLDER_KEY}, or choose another."
        )
    return registry.locate(name)


def adapter_names() -> list[str]:
    """The word none, and the files of models/step_audio_editx/, its adapters/ and run folders.

    Of folders in it, adapter.safetensors alone is meant: what `stepedit train` writes there.
    """
    return [NO_ADAPTER, *_adapters()]


def _adapters() -> dict[str, Path]:
    """Name on the list -> file; the first folder of a name wins."""
    found: dict[str, Path] = {}
    for place in map(Path, folder_paths.get_folder_paths(FOLDER_KEY)):
        for pattern in ("*.safetensors", "adapters/*.safetensors", "*/adapter.safetensors"):
            for path in sorted(place.glob(pattern)):
                found.setdefault(path.relative_to(place).as_posix(), path)
    return found


def find_adapter(name: str) -> Path | None:
    """The file of a name that adapter_names gave; other names are refused."""
    if name == NO_ADAPTER:
        return None
    found = _adapters()
    if name not in found:
        raise ValueError(
            f"no adapter '{_shown(name)}'; found are {', '.join(found) or 'none'}. Put the "
            f"adapter.safetensors of `stepedit train` into models/{FOLDER_KEY}/adapters, or choose "
            "another."
        )
    return found[name]


def check_adapter(bundle: str, adapter: str) -> str:
    """Digest of a bundle and an adapter; ValueError where one is not here or they do not fit."""
    from ..stepedit_core.registry.folders import check_fits

    found, path = find_bundle(bundle), find_adapter(adapter)
    if path is None:
        return found.sha256
    check_fits(found, path)
    stat = path.stat()
    return f"{found.sha256} {path} {stat.st_size} {stat.st_mtime_ns}"


def load_model(name: str, device: str, precision: str, adapter: str = NO_ADAPTER) -> LoadedModel:
    """The model of a bundle, shared with every node that loaded the same one."""
    if device not in DEVICES:  # ComfyUI 0.3.75 does not check the values of V3 combos
        raise ValueError(f"device '{device}' is unknown; allowed are auto, cpu. Choose one.")
    found, path = find_bundle(name), find_adapter(adapter)
    place = torch.device("cpu") if device == "cpu" else model_management.get_torch_device()
    key = (str(found.folder), check_adapter(name, adapter), str(place), precision)
    model = _loaded.get(key)
    if model is None:
        # parts start on the CPU and ComfyUI moves them
        bundle = _registry().load(found.folder, device="cpu", precision=precision, adapter=path)
        model = _loaded[key] = LoadedModel(bundle, place)
    return model


def keep_converted(name: str, precision: str) -> str:
    """Name of the bundle to load for a name: a release as downloaded is converted once and kept.

    The bundle lies in models/step_audio_editx/, in 16 bits, or in int8 or int4 where the precision
    says so. Other bundles are as they are.
    """
    from ..stepedit_core.registry.folders import ReleaseEntry
    from ..stepedit_core.release.convert import convert

    found = find_bundle(name)
    if not isinstance(found, ReleaseEntry):
        return name
    quantize = precision if precision in ("int8", "int4") else ""
    dtype = "fp16" if precision == "fp16" else "bf16"
    kept = "-".join((found.manifest.name, quantize or dtype))
    target = Path(folder_paths.get_folder_paths(FOLDER_KEY)[0]) / kept
    if not target.exists():
        hooks = GraphHooks()

        def on_bytes(done: int, total: int) -> None:
            hooks.check()
            hooks.progress("convert", done, total)

        how = {"dtype": dtype, "quantize": quantize, "on_bytes": on_bytes}
        convert(found.release.folder, None, target, **how)
    return kept


def clips(audio: dict[str, Any] | None) -> list[Clip]:
    """One checked mono clip per batch item of an AUDIO, at its own rate; channels are averaged."""
    from ..stepedit_core.audio.files import check_clip

    if audio is None:
        raise ValueError("there is no audio; one recording is wanted. Connect a clip with sound.")
    waveform = audio["waveform"].detach().to("cpu", torch.float32)
    if waveform.ndim != 3:
        raise ValueError(
            f"the audio has {waveform.ndim} dimensions; batch, channels and samples are wanted. "
            "Take the clip from another node, for example Load Audio."
        )
    found = [
        Clip(wave=item.mean(dim=0), sample_rate=int(audio["sample_rate"])) for item in waveform
    ]
    if not found:
        raise ValueError("the audio is a batch of 0 clips; 1 or more are wanted. Connect a clip.")
    for number, clip in enumerate(found, start=1):
        try:
            check_clip(clip)
        except ValueError as error:
            if len(found) == 1:
                raise
            raise ValueError(f"of {len(found)} clips number {number} is no good: {error}") from None
    return found


def audio(clip: Clip) -> dict[str, Any]:
    """AUDIO of one clip: waveform (1, 1, N) float32 on the CPU."""
    return {"waveform": clip.wave.float().cpu()[None, None], "sample_rate": clip.sample_rate}


def say(text: str) -> None:
    """A line on the node that runs, in the browser that queued it.

    The browser draws it as HTML, and a bundle's name may come from anybody.
    """
    context = get_executing_context()
    server = PromptServer.instance
    if context is not None and server.client_id is not None:
        server.send_progress_text(html.escape(text), context.node_id, server.client_id)


def preview(clip: Clip) -> dict[str, str]:
    """A clip as a file for the browser; equal samples get one file."""
    import soundfile

    wave = clip.wave.clamp(-1, 1).float().cpu().contiguous().numpy()
    digest = hashlib.sha256(wave.tobytes()).hexdigest()[:24]
    folder = Path(folder_paths.get_temp_directory(), PREVIEWS)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest}.flac"
    if not path.exists():
        soundfile.write(path, wave, clip.sample_rate, format="FLAC", subtype="PCM_16")
    return {"filename": path.name, "subfolder": PREVIEWS, "type": "temp"}


class GraphHooks:
    """Progress bar and line of the running node, and ComfyUI's Cancel.

    With `rounds` the bar covers so many whole rounds of each of `clips`; without, the one stage
    the node runs.
    """

    def __init__(self, rounds: int = 0, clips: int = 1) -> None:
        self._rounds = rounds
        self._clips = clips
        self._finished = 0
        self._bar = ProgressBar(BAR_UNITS)
        self._sent = 0.0
        self._score: float | None = None
        self._line = ""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Move the bar, at most ten times a second."""
        now = time.monotonic()
        part = done / max(total, 1)
        if now - self._sent < BAR_SECONDS and part < 1:
            return
        self._sent = now
        if self._rounds:
            where = stage_named(stage)
            self._say(f"{where.doing}{self._last_score()}")
            least = self._rounds * self._clips
            part = min(self._finished + where.start + where.share * part, least) / least
        self._bar.update_absolute(round(part * BAR_UNITS), BAR_UNITS)

    def check(self) -> None:
        """Raise ComfyUI's own exception when the user pressed Cancel."""
        model_management.throw_exception_if_processing_interrupted()

    def round_finished(self, number: int, score: float | None) -> None:
        """Count a finished round; the input, round 0, fills no part of the bar."""
        self._score = score
        if number:
            self._say(f"done{self._last_score()}")
            self._finished += 1
            self._bar.update_absolute(
                BAR_UNITS * self._finished // (self._rounds * self._clips), BAR_UNITS
            )

    def finish(self, best: int, score: float | None) -> None:
        """Leave a line that says how it ended."""
        self._score = score
        say(f"{self._rounds} of {self._rounds} rounds, best is {best}{self._last_score()}")

    def _last_score(self) -> str:
        return "" if self._score is None else f", score {self._score:.1f}"

    def _say(self, words: str) -> None:
        """Where the run is, whenever that changes."""
        clip, round_ = divmod(self._finished, self._rounds)
        which = f"clip {clip + 1} of {self._clips}, " if self._clips > 1 else ""
        line = f"{which}round {round_ + 1} of {self._rounds}, {words}"
        if line != self._line:
            self._line = line
            say(line)


def check_prefix(
    prefix: str, name: str = "filename_prefix", example: str = "stepedit/tokens"
) -> None:
    """Raise ValueError for a prefix that leads out of ComfyUI's output folder."""
    out = Path(folder_paths.get_output_directory()).resolve()
    longest = max((len(part.encode()) for part in Path(prefix).parts), default=0)
    if longest > LONGEST_NAME:
        raise ValueError(
            f"{name} holds a name of {longest} bytes; {LONGEST_NAME} are allowed. Shorten it."
        )
    inside = "\0" not in prefix and (out / prefix).resolve().is_relative_to(out)
    if not prefix.strip() or prefix.endswith(("/", "\\")) or not inside:
        raise ValueError(
            f"{name} is '{_shown(prefix)}'; a folder and name below the output folder are wanted. "
            f"Write one like {example}."
        )
    target = out / prefix
    if any(place.is_file() for place in (target, *target.parents)):
        raise ValueError(
            f"{name} is '{_shown(prefix)}', which leads through a file; a folder is wanted. Write "
            f"one like {example}."
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


def token_files() -> list[str]:
    """Token files of input/ and input/stepedit/, and with " [output]" added those of output/."""
    found = []
    for folder, note in (
        (folder_paths.get_input_directory(), ""),
        (folder_paths.get_output_directory(), " [output]"),
    ):
        paths = [*Path(folder).glob("*.safetensors"), *Path(folder, TOKENS).glob("*.safetensors")]
        found += [path.relative_to(folder).as_posix() + note for path in sorted(paths)]
    return found


def annotated_path(name: str) -> Path:
    """Path of a name that token_files gave; other names are refused."""
    if name not in token_files():
        raise ValueError(
            f"no tokens file '{_shown(name)}' in the input or output folder. Save tokens first, or "
            "press R to refresh the list."
        )
    return Path(folder_paths.get_annotated_filepath(name))


def _shown(name: str) -> str:
    """A name that may come from anybody, on one short line."""
    return " ".join(name.replace("\0", " ").split())[:60]


def _registry() -> Registry:
    """A registry that also looks into ComfyUI's folders; the models themselves are kept above."""
    from ..stepedit_core.registry.registry import Registry

    return Registry(folder_paths.get_folder_paths(FOLDER_KEY))


def _offload_device() -> torch.device:
    return model_management.unet_offload_device()


def _bytes_needed(bundle: Bundle, seconds: float) -> int:
    """Memory of a run beside the weights: the LM's cache and the vocoder's tensors."""
    lm = bundle.llm.config
    size = next(bundle.llm.parameters()).element_size()
    ids = seconds * 5 / 0.12 * 2.6 + 600  # source, at most 1.6 times as much answer, and the words
    cache = 2 * lm.num_hidden_layers * lm.num_attention_groups * lm.head_dim * size * ids
    return int(cache + DECODER_BYTES_PER_SECOND * seconds * 2)
