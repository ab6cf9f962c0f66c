"""Weights between safetensors files and modules, exactly: every tensor used, every place filled.

Files are memory-mapped and read tensor by tensor; modules are built without storage, so a part is
never in memory twice. No pickles. Source of the format: the safetensors README (8 bytes of header
length, a JSON header, then the raw tensors).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..models.llm import Step1LM
from ..models.quantized import Kind, quantized, with_quantized_layers

HEADER_LIMIT = 8 * 2**20
"""Most bytes of JSON header; the released language model needs 33 kB."""
DTYPES = ("F16", "BF16", "F32", "I64", "I32", "I8", "U8")
CODES = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int8: "I8",
    torch.uint8: "U8",
}
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


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> (dtype, shape) of every tensor of a safetensors file; ValueError when unreadable."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(HEADER_LIMIT, size - 8):
            raise ValueError(
                f"{path.name} claims a header of {length} bytes in a file of {size} bytes; "
                f"allowed are {HEADER_LIMIT} bytes and no more than the file. Copy the file again."
            )
        raw = file.read(length)
    try:
        header = json.loads(raw)
        entries = {
            str(name): (str(entry["dtype"]), tuple(int(n) for n in entry["shape"]))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path.name} has no readable safetensors header ({type(error).__name__}); a bundle "
            "has safetensors files only. Copy the file again."
        ) from error
    for name, (dtype, _) in entries.items():
        if dtype not in DTYPES:
            raise ValueError(
                f"{path.name} stores {name} as {dtype}; allowed are {', '.join(DTYPES)}. "
                "Convert the file."
            )
    return entries


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "none"


def check_fit(
    module: nn.Module, header: Mapping[str, tuple[str, tuple[int, ...]]], what: str
) -> None:
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
            f"{what} does not fit its config: only in the file: {_listed(only_file)}; only in the "
            f"model: {_listed(only_module)}; other shape in the model: {_listed(shapes)}. Use "
            "weights and bundle.json of the same bundle."
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
    try:
        tensors = ((name, _mapped(path, name)) for name in header)
        return fill(module, tensors, device=device, dtype=dtype, quantize=quantize)
    except SafetensorError as error:
        raise ValueError(
            f"{what or path.name} is damaged ({error}); Copy the file again from where the bundle "
            "came from."
        ) from error


def _mapped(path: Path, name: str) -> Tensor:
    """One tensor, in a mapping of its own.

    Tensors of one handle share a mapping, whose pages stay in memory until the last of them is
    gone; so a weight that is copied (reordered, quantised, moved) gives its pages back at once.
    """
    with safe_open(path, framework="pt", device="cpu") as file:
        tensor: Tensor = file.get_tensor(name)
        return tensor
