"""Weights between safetensors files and modules, exactly: every tensor used, every place filled.

Files are memory-mapped and read tensor by tensor; modules are built without storage, so a part is
never in memory twice. No pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..files.tensors import Header, check_finite, read_header, read_tensor
from ..models.llm import Step1LM
from ..models.quantized import Kind, QuantizedLinear, quantized, with_quantized_layers
from ..printable import shown

CODES = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int8: "I8",
    torch.uint8: "U8",
}
FINITE_LIMIT = 2**27
"""Files up to so many bytes are looked through for NaN; larger ones stay mapped, unread."""
SMALL_BUFFER = 2**14
"""Buffers of fewer numbers are stored in the precision they have."""
SHOWN = 10
"""Names listed of each kind when a file does not fit its module."""

M = TypeVar("M", bound=nn.Module)


class _EmptyOnMeta(TorchFunctionMode):
    """Inside, torch.empty reserves no memory and what fills such a tensor is skipped.

    All layers of torch.nn make their parameters with torch.empty. A plain "meta" device would also
    take the contents of windows and tables that modules compute and no file has; and a random
    fill of a meta tensor imports torch._dynamo, four to eight seconds on two cores.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        target = args[0] if args else kwargs.get("tensor")
        in_place = func.__name__.endswith("_") and not func.__name__.endswith("__")
        if in_place and isinstance(target, Tensor) and target.is_meta:
            return target
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def build_empty(make: Callable[[], M]) -> M:
    """The module that `make` builds, in eval mode, its parameters without storage or gradients.

    torch's global random state is as before.
    """
    with torch.random.fork_rng(devices=()), _EmptyOnMeta():
        module = make()
    return module.eval().requires_grad_(False)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "none"


def check_fit(module: nn.Module, header: Header, what: str) -> None:
    """Raise ValueError unless names and shapes of file and module are the same, both ways."""
    expected = {name: tuple(t.shape) for name, t in module.state_dict(keep_vars=True).items()}
    only_file = sorted(header.keys() - expected.keys())
    only_module = sorted(expected.keys() - header.keys())
    shapes = [
        f"{name} {header[name][1]} is {expected[name]}"
        for name in sorted(expected.keys() & header.keys())
        if header[name][1] != expected[name]
    ]
    if only_file or only_module or shapes:
        raise ValueError(
            f"{what} does not fit its config: only in the file: {shown(_listed(only_file))}; only "
            f"in the model: {shown(_listed(only_module))}; other shape in the model: "
            f"{shown(_listed(shapes))}. Use weights and bundle.json of the same bundle."
        )


def fill(
    module: M,
    tensors: Iterable[tuple[str, Tensor]],
    *,
    device: torch.device,
    dtype: torch.dtype,
    quantize: Kind | Literal[""] = "",
) -> M:
    """Give an empty module its tensors, read one at a time; floats become dtype, the rest stays.

    With `quantize` the matrices of a language model's layers become int8 or int4 on the way.
    """
    state: dict[str, Tensor] = {}
    for name, tensor in tensors:
        for leaf, value in quantized(name, tensor, quantize).items():
            expected = dtype if value.is_floating_point() else value.dtype
            state[leaf] = value.to(device, expected)
    if quantize:
        assert isinstance(module, Step1LM)
        build_empty(partial(with_quantized_layers, module, quantize))
    module.load_state_dict(state, strict=True, assign=True)
    return module.requires_grad_(False).to(device)


def load_into(
    module: M,
    path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    what: str = "",
    quantize: Kind | Literal[""] = "",
) -> M:
    """Fill a module from a file and return it on `device`; arguments as in fill.

    A file that has the expected dtype stays mapped on a CPU and is paged in as it is used.
    Raises ValueError when file and module differ in any name or shape, or the file is damaged.
    """
    header = read_header(path)
    check_fit(module, header, what or path.name)
    tensors = ((name, read_tensor(path, name)) for name in header)
    if path.stat().st_size <= FINITE_LIMIT:
        tensors = (_finite(name, tensor, path.name) for name, tensor in tensors)
    module = fill(module, tensors, device=device, dtype=dtype, quantize=quantize)
    for name, layer in module.named_modules():
        weight = f"{name}.weight"
        if isinstance(layer, QuantizedLinear) and header.get(weight, ("",))[0] == "I8":
            layer.source = partial(_read_again, path, weight, _stamp(path))
    return module


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read_again(path: Path, name: str, stamp: tuple[int, int, int]) -> Tensor | None:
    """A tensor of a file in a new mapping; None where the file is no longer what it was."""
    try:
        return read_tensor(path, name) if _stamp(path) == stamp else None
    except (OSError, ValueError):
        return None


def _finite(name: str, tensor: Tensor, file: str) -> tuple[str, Tensor]:
    check_finite(tensor, name, file)
    return name, tensor
