"""Released file formats as sources of tensors: safetensors, torch zips, ONNX, Kaldi text, npy.

Nothing is executed: pickles are read with weights_only=True, ONNX graphs are looked at, not run.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..files.missing import pip_line
from ..files.reading import LONGEST_NUMBER, UnreadableFileError, read_bytes, read_object, read_text
from ..files.states import read_state
from ..files.tensors import check_finite, read_header, read_tensor
from ..printable import listed, shown

INDEX = "model.safetensors.index.json"
INDEX_LIMIT = 2**23
"""Most bytes of the shard index that are read; the released one has 30 kB."""
DOWNLOAD = "Download the file again."
CMVN_LIMIT = 2**20
"""Most bytes of am.mvn; the released one has 11 kB."""
LARGEST = 1e30
"""Most that a shift or scale may be."""
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
                        f"{shown(path.name)} repeats {shown(name)} of "
                        f"{shown(self._where[name].name)}; each tensor is in one shard. Download "
                        "the folder again."
                    )
                self._where[name], self._shapes[name] = path, shape

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor."""
        return self._shapes

    def tensor(self, name: str) -> Tensor:
        """One tensor, mapped from the file."""
        return read_tensor(self._where[name], name, DOWNLOAD)


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a language model folder, by its index where it has one.

    Raises ValueError when the index is unreadable, leads out of the folder or names an absent file.
    """
    index = folder / INDEX
    if not os.path.lexists(index):
        return sorted(folder.glob("*.safetensors"))
    where = read_object(index, INDEX_LIMIT, DOWNLOAD).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise ValueError(f"{INDEX} is not a shard index: it has no weight_map. {DOWNLOAD}")
    names = list(dict.fromkeys(map(str, where.values())))
    paths = []
    for name in names:
        if Path(name).name != name or not name.isprintable() or len(name) > 200:
            raise ValueError(
                f"{INDEX} names the file '{shown(name, 60)}'; plain names are allowed. "
                "Do not use it."
            )
        paths.append(folder / name)
    absent = [p.name for p in paths if not p.is_file()]
    if absent:
        raise ValueError(
            f"'{shown(folder.name)}' lacks {listed(absent, most=3)}, which {INDEX} names. "
            "Download it."
        )
    return paths


class TorchFile:
    """A state_dict saved by torch.save, at top level or under "state_dict"; memory-mapped."""

    def __init__(self, path: Path) -> None:
        self.label = path.name
        self._tensors = _tensors_of(read_state(path, DOWNLOAD), path)

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor."""
        return {name: tuple(t.shape) for name, t in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        """One tensor; ValueError where a number in it is not finite."""
        found = self._tensors[name]
        check_finite(found, name, self.label, DOWNLOAD)
        return found


def _tensors_of(state: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    if isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not state:
        raise ValueError(f"{shown(path.name)} has no tensors. Choose the right file.")
    other = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if other:
        raise ValueError(
            f"{shown(path.name)} has '{shown(other[0], 60)}', which is not a tensor; a state_dict "
            "has tensors only. Choose the right file."
        )
    return {str(name): value for name, value in state.items()}


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
                f"{shown(path.name)} is an ONNX file, which needs the onnx package to be read "
                f"once. Run: {pip_line('onnx')}"
            ) from error
        data = read_bytes(path, GRAPH_LIMIT, DOWNLOAD)
        try:
            graph = onnx.load_from_string(data).graph
        except Exception as error:  # protobuf raises its own family of errors
            raise ValueError(
                f"{shown(path.name)} is not a readable ONNX file. {DOWNLOAD}"
            ) from error
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in graph.initializer):
            raise ValueError(
                f"{shown(path.name)} keeps its weights in another file; the released one has them "
                "itself. Download it again."
            )
        held = {t.name: t for t in graph.initializer}
        held |= {
            node.output[0]: node.attribute[0].t
            for node in graph.node
            if node.op_type == "Constant"
            and node.output
            and node.attribute
            and node.attribute[0].name == "value"
        }
        renamed = {
            node.output[0]: node.input[0]
            for node in graph.node
            if node.op_type == "Identity" and node.input and node.output
        }
        self._tensors: dict[str, Any] = {}
        self._read = numpy_helper.to_array
        seen: set[str] = set()
        for node in graph.node:
            for place, name in enumerate(node.input):
                name = self._first_name(name, renamed)
                if name not in held or not _is_weight(held[name]):
                    continue
                _check_size(held[name], name, self.label)
                label = f"{node.name}#{place}" if by_node or _is_number(name) else name
                if name not in seen or by_node:
                    self._tensors[label] = held[name]
                seen.add(name)
        if not self._tensors:
            raise ValueError(f"{shown(path.name)} has no weights in its graph. {DOWNLOAD}")

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every weight."""
        return {name: tuple(t.dims) for name, t in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        """One weight; ValueError where it is not as large as it says, or not finite."""
        try:
            found = torch.from_numpy(np.array(self._read(self._tensors[name])))
        except Exception as error:  # the library raises what it likes, by the damage
            raise ValueError(
                f"{shown(self.label)} has '{shown(name, 60)}' with other data than its shape "
                f"needs. {DOWNLOAD}"
            ) from error
        check_finite(found, name, self.label, DOWNLOAD)
        return found

    def _first_name(self, name: str, renamed: Mapping[str, str]) -> str:
        """What a value was called before Identity nodes renamed it."""
        seen = {name}
        while name in renamed:
            name = renamed[name]
            if name in seen:
                raise ValueError(
                    f"{shown(self.label)} has a ring of Identity nodes at '{shown(name, 60)}'. "
                    f"{DOWNLOAD}"
                )
            seen.add(name)
        return name


def _check_size(tensor: Any, name: str, label: str) -> None:
    """Raise ValueError for a weight whose shape is not made of sizes, or larger than its data."""
    sizes = list(tensor.dims)
    numbers = max(len(tensor.raw_data) // 2, len(tensor.float_data), len(tensor.int32_data))
    numbers = max(numbers, len(tensor.double_data))
    if min(sizes) < 0 or math.prod(sizes) > numbers:
        raise ValueError(
            f"{shown(label)} has '{shown(name, 60)}' with a shape of {shown(sizes, 60)}, which its "
            f"data does not fill. {DOWNLOAD}"
        )


def _is_weight(tensor: Any) -> bool:
    """Whether an ONNX tensor is floating point and more than one number."""
    return tensor.data_type in (1, 10, 11, 16) and math.prod(tensor.dims) not in (0, 1)


def _is_number(name: str) -> bool:
    """Whether an initialiser has only the number that the exporter gave it."""
    return re.fullmatch(r"(onnx::\w+_)?\d+|/.*", name) is not None


def kaldi_cmvn(path: Path, width: int) -> tuple[Tensor, Tensor]:
    """Shift and scale (width,) of an am.mvn text: the vectors after <AddShift> and <Rescale>."""
    text = read_text(path, CMVN_LIMIT, DOWNLOAD)
    shift, scale = (_vector(text, tag, width, path.name) for tag in ("AddShift", "Rescale"))
    return shift, scale


def _vector(text: str, tag: str, width: int, file: str) -> Tensor:
    """The numbers between the first brackets after a tag, and before the next tag."""
    _, _, after = text.partition(f"<{tag}>")
    inside = after.partition("[")[2].partition("]")[0]
    words = inside.split(maxsplit=width)
    try:
        values = [float(word) if len(word) <= LONGEST_NUMBER else math.nan for word in words]
    except ValueError:
        values = []
    if len(values) != width or any(not abs(value) < LARGEST for value in values):
        raise ValueError(
            f"{shown(file)} has {len(values)} numbers after <{shown(tag)}>; {width} finite ones "
            f"are expected. {DOWNLOAD}"
        )
    before = after.partition("[")[0]
    if any(f"<{other}>" in before for other in ("AddShift", "Rescale")):
        raise ValueError(
            f"{shown(file)} has no numbers after <{shown(tag)}>, before the next tag. {DOWNLOAD}"
        )
    if tag == "Rescale" and not all(values):
        raise ValueError(f"{shown(file)} has a scale of 0 after <{shown(tag)}>. {DOWNLOAD}")
    return torch.tensor(values)


def npy_matrix(path: Path, shape: tuple[int, int]) -> Tensor:
    """A float matrix (rows, columns) out of a .npy file; objects in it are refused."""
    most = 4096 + shape[0] * shape[1] * 8
    try:
        array = np.load(io.BytesIO(read_bytes(path, most, DOWNLOAD)), allow_pickle=False)
        found = array.shape, array.dtype.kind
    except UnreadableFileError:
        raise
    except Exception as error:  # the header is a Python literal: the parser has many errors
        raise ValueError(f"{shown(path.name)} is not a readable .npy matrix. {DOWNLOAD}") from error
    if found != (shape, "f"):
        raise ValueError(
            f"{shown(path.name)} has {shown(array.dtype, 40)} {shown(array.shape, 60)}; floats "
            f"{shape} are expected. Choose the right file."
        )
    with np.errstate(over="ignore"):
        tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    check_finite(tensor, "matrix", path.name, DOWNLOAD)
    return tensor
