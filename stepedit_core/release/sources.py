"""Released file formats as sources of tensors: safetensors, torch zips, ONNX, Kaldi text, npy.

Nothing is executed: pickles are read with weights_only=True, ONNX graphs are looked at, not run.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..bundle.weights import read_header
from ..files.missing import pip_line

INDEX = "model.safetensors.index.json"
INDEX_LIMIT = 2**23
"""Most bytes of the shard index that are read; the released one has 30 kB."""
GRAPH_LIMIT = 2**31
"""Most bytes of an ONNX file: the format's own limit."""


class SafetensorsFiles:
    """One or more safetensors files, memory-mapped; a name may stand in one of them only."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.label = (
            paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
        )
        self._where: dict[str, Path] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for path in paths:
            for name, (_, shape) in read_header(path).items():
                if name in self._where:
                    raise ValueError(
                        f"{path.name} repeats {name} of {self._where[name].name}; each tensor is "
                        "in one shard. Download the folder again."
                    )
                self._where[name], self._shapes[name] = path, shape

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor."""
        return self._shapes

    def tensor(self, name: str) -> Tensor:
        """One tensor, mapped from the file."""
        path = self._where[name]
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                out: Tensor = file.get_tensor(name)
                return out
        except SafetensorError as error:
            raise ValueError(
                f"{path.name} is damaged ({error}). Download the file again."
            ) from error


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a language model folder, by its index where it has one.

    Raises ValueError when the index is unreadable, leads out of the folder or names an absent file.
    """
    index = folder / INDEX
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    if index.stat().st_size > INDEX_LIMIT:
        raise ValueError(f"{INDEX} has {index.stat().st_size} bytes; allowed are {INDEX_LIMIT}.")
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{INDEX} is not a shard index ({error}). Download it again.") from error
    paths = []
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(
                f"{INDEX} names the file {name!r}; plain names are allowed. Do not use it."
            )
        paths.append(folder / name)
    absent = [p.name for p in paths if not p.is_file()]
    if absent:
        raise ValueError(
            f"{folder.name} lacks {', '.join(absent[:3])}, which {INDEX} names. Download it."
        )
    return paths


class TorchFile:
    """A state_dict saved by torch.save, at top level or under "state_dict"; memory-mapped."""

    def __init__(self, path: Path) -> None:
        self.label = path.name
        self._tensors = _tensors_of(_unpickled(path), path)

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor."""
        return {name: tuple(t.shape) for name, t in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        """One tensor."""
        return self._tensors[name]


def _unpickled(path: Path) -> Any:
    """What a torch file has; code in it is refused, never run."""
    for mapped in (True, False):  # files older than torch 1.6 cannot be mapped
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # old pickle protocols are fine
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as error:
            raise ValueError(
                f"{path.name} has more than tensors and was not opened: loading it would run "
                "code. Take the file from the original release."
            ) from error
        except (RuntimeError, ValueError, EOFError, OSError, KeyError, AttributeError) as error:
            if not mapped:
                raise ValueError(
                    f"{path.name} is not a readable torch file ({_first(error)}). Download "
                    "it again."
                ) from error
    raise AssertionError("unreachable")


def _first(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _tensors_of(state: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not state:
        raise ValueError(
            f"{path.name} has {type(state).__name__}, not a state_dict. Choose the right file."
        )
    tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)}
    if len(tensors) != len(state):
        other = next(str(k) for k, v in state.items() if not isinstance(v, Tensor))
        raise ValueError(
            f"{path.name} has '{other}', which is not a tensor; a state_dict has tensors only. "
            "Choose the right file."
        )
    return tensors


class OnnxFile:
    """Weights inside an ONNX graph, without running it.

    An initialiser goes by its own name, or, where the exporter gave it a number only (and always
    with `by_node`), by the node that reads it: "/blocks.0/attn/query/MatMul#1" is input 1 of that
    node. Integers and single numbers are parts of the graph, not weights, and left out.
    """

    def __init__(self, path: Path, *, by_node: bool = False) -> None:
        self.label = path.name
        try:
            import onnx
            from onnx import numpy_helper
        except ImportError as error:
            raise ValueError(
                f"{path.name} is an ONNX file, which needs the onnx package to be read once. "
                f"Run: {pip_line('onnx')}"
            ) from error
        if path.stat().st_size > GRAPH_LIMIT:
            raise ValueError(
                f"{path.name} has {path.stat().st_size} bytes; an ONNX file has at most 2 GB."
            )
        try:
            graph = onnx.load(str(path), load_external_data=False).graph
        except Exception as error:  # protobuf raises its own family of errors
            raise ValueError(
                f"{path.name} is not a readable ONNX file ({_first(error)}). Download it again."
            ) from error
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in graph.initializer):
            raise ValueError(
                f"{path.name} keeps its weights in another file; the released one has them "
                "itself. Download it again."
            )
        held = {t.name: t for t in graph.initializer}
        held |= {
            node.output[0]: node.attribute[0].t
            for node in graph.node
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value"
        }
        renamed = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Identity"}
        self._tensors: dict[str, Any] = {}
        self._read = numpy_helper.to_array
        seen: set[str] = set()
        for node in graph.node:
            for place, name in enumerate(node.input):
                while name in renamed:
                    name = renamed[name]
                if name not in held or not _is_weight(held[name]):
                    continue
                label = f"{node.name}#{place}" if by_node or _is_number(name) else name
                if name not in seen or by_node:
                    self._tensors[label] = held[name]
                seen.add(name)

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every weight."""
        return {name: tuple(t.dims) for name, t in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        """One weight."""
        return torch.from_numpy(np.array(self._read(self._tensors[name])))


def _is_weight(tensor: Any) -> bool:
    """Whether an ONNX tensor is floating point and more than one number."""
    return tensor.data_type in (1, 10, 11, 16) and int(np.prod(tensor.dims)) > 1


def _is_number(name: str) -> bool:
    """Whether an initialiser has only the number that the exporter gave it."""
    return re.fullmatch(r"(onnx::\w+_)?\d+|/.*", name) is not None


def kaldi_cmvn(path: Path, width: int) -> tuple[Tensor, Tensor]:
    """Shift and scale (width,) of an am.mvn text: the vectors after <AddShift> and <Rescale>."""
    text = path.read_text("utf-8", errors="replace")
    vectors = []
    for tag in ("AddShift", "Rescale"):
        found = re.search(rf"<{tag}>.*?\[([^\]]*)\]", text, re.DOTALL)
        try:
            values = [float(v) for v in found[1].split()] if found else []
        except ValueError:
            values = []
        if len(values) != width:
            raise ValueError(
                f"{path.name} has {len(values)} numbers after <{tag}>; {width} are expected. "
                "Download the file again."
            )
        vectors.append(torch.tensor(values))
    return vectors[0], vectors[1]


def npy_matrix(path: Path, shape: tuple[int, int]) -> Tensor:
    """A float matrix (rows, columns) out of a .npy file; objects in it are refused."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"{path.name} is not a readable .npy matrix ({_first(error)}). Download it again."
        ) from error
    if array.shape != shape or array.dtype.kind != "f":
        raise ValueError(
            f"{path.name} has {array.dtype} {array.shape}; floats {shape} are expected. "
            "Choose the right file."
        )
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
