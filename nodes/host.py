"""The only file with ComfyUI inside: folders, models and memory, progress, cancelling, AUDIO.

Source: the ModelPatcher protocol as in ComfyUI 0.3.75 to 0.33.0. AUDIO is
{"waveform": (B, C, N) float32 on the CPU, "sample_rate": Hz}.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import folder_paths
import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar

from ..stepedit_core.types import Clip

if TYPE_CHECKING:
    from ..stepedit_core.registry import Bundle, Found, Registry

log = logging.getLogger(__name__)

FOLDER_KEY = "step_audio_editx"
"""Key in folder_paths and extra_model_paths.yaml; bundles lie in models/step_audio_editx/."""
SAMPLE = "walking_home.wav"
SAMPLE_INPUT = f"stepedit_{SAMPLE}"
"""Name that the shipped sample clip gets in ComfyUI's input folder."""
TOKENS = "stepedit"
"""Folder below input and output that is searched for token files, like the folder itself."""
DEVICES = ("auto", "cpu")
BAR_UNITS = 1000
BAR_SECONDS = 0.1
"""Least time between two messages to the browser."""
SHARES = {
    "tokenize": (0.0, 0.05),
    "generate": (0.05, 0.6),
    "flow": (0.65, 0.3),
    "vocode": (0.95, 0.04),
    "score": (0.99, 0.01),
}
"""Where a stage begins within the bar of a round, and how much of it it fills."""
DECODER_BYTES_PER_SECOND = 8 * 64 * 4 * 24_000
"""Eight live tensors of the vocoder's last stage: 64 channels of float32 at 24 kHz."""


class LoadedModel:
    """What STEPEDIT_MODEL holds: a bundle whose parts sit in one ModelPatcher."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self._bundle = bundle
        offload = torch.device("cpu") if device.type == "cpu" else _offload_device()
        self.patcher = ModelPatcher(bundle.load_all(), load_device=device, offload_device=offload)

    def ready(self, seconds: float) -> Bundle:
        """The bundle with all parts on the load device and room for a clip of so many seconds."""
        patcher = self.patcher
        need = _bytes_needed(self._bundle, seconds)
        model_management.load_models_gpu([patcher], memory_required=need, force_full_load=True)
        if patcher.loaded_size() < patcher.model_size():  # --novram, or once loaded in part
            patcher.load(patcher.load_device, full_load=True)
        return self._bundle


_loaded: WeakValueDictionary[tuple[str, str, str, str], LoadedModel] = WeakValueDictionary()
"""Models that some node still holds; two Load Model nodes with equal settings share one."""


def register_folder() -> None:
    """Make models/step_audio_editx known, also to extra_model_paths.yaml."""
    place = os.path.join(folder_paths.models_dir, FOLDER_KEY)
    folder_paths.add_model_folder_path(FOLDER_KEY, place, is_default=True)


def offer_sample() -> None:
    """Put the sample clip of the workflows into ComfyUI's input folder unless it is there."""
    from ..stepedit_core.registry import ASSETS

    source = ASSETS / "samples" / SAMPLE
    target = Path(folder_paths.get_input_directory()) / SAMPLE_INPUT
    if not source.is_file() or target.exists():
        return
    try:
        shutil.copyfile(source, target)
    except OSError as error:  # a read-only input folder is no reason to fail
        log.info("StepEdit: the sample clip was not copied to the input folder (%s)", error)


def bundle_names() -> list[str]:
    """Names of all bundles found, nano first."""
    from ..stepedit_core.registry import DEFAULT_BUNDLE

    names = {found.name for found in _registry().list()}
    return [DEFAULT_BUNDLE, *sorted(names - {DEFAULT_BUNDLE})]


def find_bundle(name: str) -> Found:
    """The bundle of this name; ValueError when there is none or it is damaged."""
    return _registry().locate(name)


def load_model(name: str, device: str, precision: str) -> LoadedModel:
    """The model of a bundle, shared with every node that loaded the same one."""
    if device not in DEVICES:  # ComfyUI 0.3.75 does not check the values of V3 combos
        raise ValueError(f"device '{device}' is unknown; allowed are auto, cpu. Choose one.")
    found = find_bundle(name)
    place = torch.device("cpu") if device == "cpu" else model_management.get_torch_device()
    key = (str(found.folder), found.sha256, str(place), precision)
    model = _loaded.get(key)
    if model is None:
        # parts start on the CPU and ComfyUI moves them
        bundle = _registry().load(found.folder, device="cpu", precision=precision)
        model = _loaded[key] = LoadedModel(bundle, place)
    return model


def keep_converted(name: str, precision: str) -> str:
    """The bundle to load for a name: a release as downloaded is converted once and kept.

    The bundle lies in models/step_audio_editx/, in 16 bits, or in int8 or int4 where the precision
    says so. Other bundles are as they are.
    """
    from ..stepedit_core.checkpoints.convert import convert

    found = find_bundle(name)
    if found.release is None or found.manifest is None:
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
    return str(target)


def clips(audio: dict[str, Any] | None) -> list[Clip]:
    """One mono clip per batch item of an AUDIO, at its own rate; channels are averaged."""
    if audio is None:
        raise ValueError("there is no audio; one recording is wanted. Connect a clip with sound.")
    waveform = audio["waveform"].detach().to("cpu", torch.float32)
    return [Clip(wave=item.mean(dim=0), sample_rate=int(audio["sample_rate"])) for item in waveform]


def audio(clip: Clip) -> dict[str, Any]:
    """AUDIO of one clip: waveform (1, 1, N) float32 on the CPU."""
    return {"waveform": clip.wave.float().cpu()[None, None], "sample_rate": clip.sample_rate}


class GraphHooks:
    """Progress bar of the running node, and ComfyUI's Cancel.

    With `rounds` the bar covers so many whole rounds; without, the one stage the node runs.
    """

    def __init__(self, rounds: int = 0) -> None:
        self._rounds = rounds
        self._finished = 0
        self._bar = ProgressBar(BAR_UNITS)
        self._sent = 0.0

    def progress(self, stage: str, done: int, total: int) -> None:
        """Move the bar, at most ten times a second."""
        now = time.monotonic()
        part = done / max(total, 1)
        if now - self._sent < BAR_SECONDS and part < 1:
            return
        self._sent = now
        if self._rounds:
            start, share = SHARES[stage]
            part = (self._finished + start + share * part) / self._rounds
        self._bar.update_absolute(round(part * BAR_UNITS), BAR_UNITS)

    def check(self) -> None:
        """Raise ComfyUI's own exception when the user pressed Cancel."""
        model_management.throw_exception_if_processing_interrupted()

    def round_finished(self, round_: object) -> None:
        """Count a finished round; the input, round 0, fills no part of the bar."""
        if getattr(round_, "request", None) is not None:
            self._finished = min(self._finished + 1, self._rounds - 1)


def new_output_file(prefix: str, suffix: str) -> tuple[Path, str]:
    """Path of a new numbered file below ComfyUI's output folder, and its name for Load Tokens."""
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
            f"no tokens file '{name}' in the input or output folder. Save tokens first, or press R "
            "to refresh the list."
        )
    return Path(folder_paths.get_annotated_filepath(name))


def _registry() -> Registry:
    """A registry that also looks into ComfyUI's folders; the models themselves are kept above."""
    from ..stepedit_core.registry import Registry

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
