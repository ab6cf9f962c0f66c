"""Low-rank adapters for the Step-1 language model: attach, switch off, save, load, merge.

Source: arXiv:2106.09685: W x + (alpha / rank) B A x, A drawn, B zero, W frozen. Every name of the
language model stays as it is; an adapter adds lora_a and lora_b beside a weight. Switched off, the
model is its own reference, which saves RL a second copy.
Letters: D_in, D_out widths of a layer, R rank.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from ..files.reading import parse_object
from ..files.strict import Bounds, from_json
from ..files.tensors import read_metadata, read_tensors
from ..files.whole import whole_file
from ..printable import listed, shown
from .llm import Step1LM
from .packed import Linear

KIND = "stepedit-lora-1"
"""Value of the metadata key "kind" of an adapter file."""


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Size and place of the adapters."""

    BOUNDS: ClassVar[Bounds] = {"rank": (1, 4096), "alpha": (0, 1e6)}

    rank: int = 16
    """Inner width R."""
    alpha: float = 32.0
    """The product is scaled by alpha / rank."""
    targets: tuple[str, ...] = (
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    )
    """Last names of the linear layers that get one."""

    def __post_init__(self) -> None:
        """Check that some layer gets one."""
        if not self.targets or not all(name.isprintable() and name for name in self.targets):
            raise ValueError(
                f"the adapters have the targets {listed(self.targets)}; names of linear layers are "
                "expected. Correct targets."
            )


class LoraLinear(Linear):
    """A frozen linear layer without bias and a trainable low-rank product beside it."""

    def __init__(self, base: Linear, config: LoraConfig, generator: torch.Generator) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight = nn.Parameter(base.dense(), requires_grad=False)
        self.register_parameter("bias", None)
        self.scale = config.alpha / config.rank
        self.enabled = True
        device, dtype = base.weight.device, base.weight.dtype
        bound = math.sqrt(3.0 / base.in_features)  # Kaiming's, as the paper's code draws A
        drawn = torch.rand(config.rank, base.in_features, generator=generator)
        self.lora_a = nn.Parameter(((2 * drawn - 1) * bound).to(device, dtype))
        self.lora_b = nn.Parameter(self.weight.new_zeros(base.out_features, config.rank))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D_in) -> (..., D_out)."""
        out = F.linear(x, self.weight)
        if not self.enabled:
            return out
        return out + self.scale * F.linear(F.linear(x, self.lora_a), self.lora_b)

    def dense(self) -> Tensor:
        """W + scale B A (D_out, D_in), of W alone while switched off; summed in float32."""
        if not self.enabled:
            return self.weight
        product = self.lora_b.float() @ self.lora_a.float()
        return (self.weight.float() + self.scale * product).to(self.weight.dtype)


def adapters(module: nn.Module) -> list[tuple[str, LoraLinear]]:
    """Names and layers of all adapters below a module."""
    return [(n, m) for n, m in module.named_modules() if isinstance(m, LoraLinear)]


def attach(lm: Step1LM, config: LoraConfig, generator: torch.Generator) -> Step1LM:
    """Freeze the model and give each target layer an adapter, in place; returns the model.

    Nothing changes until an adapter is trained: B starts at zero.
    """
    lm.requires_grad_(False)
    found = [
        (name, module)
        for name, module in lm.model.named_modules()
        if isinstance(module, Linear) and name.split(".")[-1] in config.targets
    ]
    missing = set(config.targets) - {name.split(".")[-1] for name, _ in found}
    if missing or any(isinstance(module, LoraLinear) for _, module in found):
        raise ValueError(
            f"adapters were asked for {listed(sorted(missing), 'layers that have one')}; "
            "allowed are linear layers of the model without one. Correct targets, or merge first."
        )
    for name, module in found:
        parent, _, last = name.rpartition(".")
        setattr(lm.model.get_submodule(parent), last, LoraLinear(module, config, generator))
    return lm


@contextmanager
def switched_off(module: nn.Module) -> Iterator[None]:
    """Inside, the model is the one the adapters were attached to."""
    layers = [layer for _, layer in adapters(module)]
    for layer in layers:
        layer.enabled = False
    try:
        yield
    finally:
        for layer in layers:
            layer.enabled = True


def merge(lm: Step1LM) -> Step1LM:
    """Put every adapter into its weight and remove it, in place; returns the plain model."""
    for name, layer in adapters(lm):
        parent, _, last = name.rpartition(".")
        with torch.device("meta"):
            plain = Linear(layer.in_features, layer.out_features, bias=False)
        plain.weight = nn.Parameter(layer.dense().detach(), requires_grad=False)
        setattr(lm.get_submodule(parent), last, plain)
    return lm


def save_adapter(lm: Step1LM, path: str | Path, config: LoraConfig, base: str = "") -> None:
    """Write the adapters alone; `base` says which weights they belong to (a bundle's sha256)."""
    state = {
        f"{name}.{part}": getattr(layer, part).detach().to("cpu").contiguous()
        for name, layer in adapters(lm)
        for part in ("lora_a", "lora_b")
    }
    about = {"kind": KIND, "config": json.dumps(asdict(config), allow_nan=False), "base": base}
    with whole_file(path, size=sum(tensor.nbytes for tensor in state.values())) as part:
        save_file(state, part, metadata=about)


def check_adapter(path: str | Path, bases: Collection[str] = ()) -> dict[str, str]:
    """What an adapter file says about itself; reads its header only.

    Raises ValueError for a file that has no adapter, and for adapters of weights that are none of
    `bases` (where both are known).
    """
    source = Path(path)
    about = read_metadata(source, "Choose an adapter file.")
    if about.get("kind") != KIND:
        raise ValueError(
            f"'{shown(source.name)}' has no adapter; expected is a file that `stepedit train` "
            "wrote with model.adapters=true. Choose another file."
        )
    base = about.get("base", "")
    if bases and base and base not in bases:
        raise ValueError(
            f"'{shown(source.name)}' belongs to the weights {shown(base[:12])}; these are "
            f"{' or '.join(sorted(map(shown, (b[:12] for b in bases))))}. Load the model it was "
            "trained on."
        )
    return about


def adapter_config(text: str, name: str) -> LoraConfig:
    """The settings of an adapter out of its file's metadata."""
    where, remedy = f"the config of '{shown(name)}'", "Train it again."
    return from_json(LoraConfig, parse_object(text, where, remedy), where, remedy)


def load_adapter(lm: Step1LM, path: str | Path, bases: Collection[str] = ()) -> Step1LM:
    """Attach the adapters of a file, in place; returns the model.

    Raises ValueError as check_adapter, and for adapters that do not fit.
    """
    source = Path(path)
    about = check_adapter(source, bases)
    remedy = "Train it again."
    config = adapter_config(about.get("config", ""), source.name)
    state = read_tensors(source, remedy=remedy).tensors
    widest = max((max(tensor.shape, default=0) for tensor in state.values()), default=0)
    if config.rank > widest:
        raise ValueError(
            f"'{shown(source.name)}' says rank {config.rank}; its tensors have no such width. "
            f"{remedy}"
        )
    attach(lm, config, torch.Generator())
    layers = dict(adapters(lm))
    places = {
        f"{n}.{p}": getattr(layer, p) for n, layer in layers.items() for p in ("lora_a", "lora_b")
    }
    wrong = sorted(
        name
        for name in places.keys() | state.keys()
        if name not in places or name not in state or places[name].shape != state[name].shape
    )
    if wrong:
        merge(lm)
        raise ValueError(
            f"'{shown(source.name)}' does not fit the model: {len(wrong)} tensors differ, first "
            f"{shown(wrong[0])}. Load the model it was trained on."
        )
    with torch.no_grad():
        for name, tensor in state.items():
            places[name].copy_(tensor)
    return lm
