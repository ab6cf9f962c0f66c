"""Models in ComfyUI's memory: the ModelPatcher protocol as in 0.3.75 to 0.33.0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import folder_paths
import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher

from ...stepedit_core.printable import shown
from .folders import FOLDER_KEY, NO_ADAPTER, find_adapter, find_bundle, registry
from .progress import GraphHooks, say

if TYPE_CHECKING:
    from ...stepedit_core.registry.handle import Bundle
    from ...stepedit_core.types import DualCodes, EditRequest

DEVICES = ("auto", "cpu")
DECODER_BYTES_PER_SECOND = 8 * 64 * 4 * 24_000
"""Eight live tensors of the vocoder's last stage: 64 channels of float32 at 24 kHz."""


class LoadedModel:
    """What STEPEDIT_MODEL has: a bundle whose parts sit in one ModelPatcher from first use on.

    Until a node has found its inputs good, nothing but bundle.json is read.
    """

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        from ...stepedit_core.pipelines.memory import RoundMemory

        self.bundle = bundle
        self.memory = RoundMemory()
        self._device = device
        self._patcher: ModelPatcher | None = None

    def check(self, requests: Sequence[EditRequest]) -> None:
        """Raise ValueError for a request that the bundle does not know; loads no network."""
        from ...stepedit_core.pipelines.plan import check_model_request

        for request in requests:
            check_model_request(self.bundle, request)

    def check_tokens(self, *tokens: DualCodes) -> None:
        """Raise ValueError for tokens of another bundle, or none; loads no network."""
        for codes in tokens:
            self.bundle.vocabulary.check_codebook(codes)

    def check_scorer(self, requests: Sequence[EditRequest]) -> None:
        """Raise ValueError for an edit that the bundle cannot score; loads no network."""
        from ...stepedit_core.measure.margin import can_score

        for request in requests:
            if not can_score(self.bundle, request):
                what = f"{request.kind} {shown(request.option)}".strip()
                raise ValueError(
                    f"the scorer of bundle '{shown(self.bundle.name)}' does not know the edit "
                    f"'{what}', and a score was asked for. Choose another edit, or a bundle that "
                    "scores it."
                )

    def listening(self) -> Bundle:
        """The bundle for runs without language model and decoder, by signal processing alone.

        Tokenizers, speaker encoder and scorer are read when used. They stay on the CPU unless
        another node has the whole model loaded.
        """
        return self.bundle if self._patcher is None else self.ready(0)

    def ready(self, seconds: float) -> Bundle:
        """The bundle with all parts on the load device and room for a clip of so many seconds."""
        if self._patcher is None:
            say(f"loading {shown(self.bundle.name)}")
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
"""Models that some node still keeps; two Load Model nodes with equal settings share one."""


def check_adapter(bundle: str, adapter: str) -> str:
    """Digest of a bundle and an adapter; ValueError where one is not here or they do not fit."""
    from ...stepedit_core.registry.folders import check_fits

    found, path = find_bundle(bundle), find_adapter(adapter)
    if path is None:
        return found.sha256
    check_fits(found, path)
    stat = path.stat()
    return f"{found.sha256} {path} {stat.st_size} {stat.st_mtime_ns}"


def load_model(name: str, device: str, precision: str, adapter: str = NO_ADAPTER) -> LoadedModel:
    """The model of a bundle, shared with every node that loaded the same one."""
    if device not in DEVICES:  # ComfyUI 0.3.75 does not check the values of V3 combos
        raise ValueError(
            f"device '{shown(device)}' is unknown; allowed are {', '.join(DEVICES)}. Choose one."
        )
    found, path = find_bundle(name), find_adapter(adapter)
    place = torch.device("cpu") if device == "cpu" else model_management.get_torch_device()
    key = (str(found.folder), check_adapter(name, adapter), str(place), precision)
    model = _loaded.get(key)
    if model is None:
        # parts start on the CPU and ComfyUI moves them
        bundle = registry().load(found.folder, device="cpu", precision=precision, adapter=path)
        model = _loaded[key] = LoadedModel(bundle, place)
    return model


def keep_converted(name: str, precision: str) -> str:
    """Name of the bundle to load for a name: a release as downloaded is converted once and kept.

    The bundle lies in models/step_audio_editx/, in 16 bits, or in int8 or int4 where the precision
    says so. Other bundles are as they are.
    """
    from ...stepedit_core.registry.folders import ReleaseEntry
    from ...stepedit_core.release.convert import Conversion, convert

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

        how = Conversion(dtype=dtype, quantize=quantize)
        convert(found.release.folder, None, target, how, on_bytes=on_bytes)
    return kept


def _offload_device() -> torch.device:
    return model_management.unet_offload_device()


def _bytes_needed(bundle: Bundle, seconds: float) -> int:
    """Memory of a run beside the weights: the LM's cache and the vocoder's tensors."""
    lm = bundle.llm.config
    size = next(bundle.llm.parameters()).element_size()
    ids = seconds * 5 / 0.12 * 2.6 + 600  # source, at most 1.6 times as much answer, and the words
    cache = 2 * lm.num_hidden_layers * lm.num_attention_groups * lm.head_dim * size * ids
    return int(cache + DECODER_BYTES_PER_SECOND * seconds * 2)
