"""Families of the released files: JSON, torch zips and their pickles, ONNX, Kaldi text, npy."""

from __future__ import annotations

import io
import json
import pickle
import random
import shutil
import tempfile
import zipfile
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from stepedit_core.bundle.weights import build_empty
from stepedit_core.models.flow import Flow
from stepedit_core.registry.folders import look_at_release
from stepedit_core.release.convert import describe, plans
from stepedit_core.release.layout import find_release
from stepedit_core.release.rules import assign
from stepedit_core.release.sources import OnnxFile, TorchFile, kaldi_cmvn, npy_matrix
from stepedit_core.release.tables import FLOW
from tests import fake_release
from tests.fuzz.changes import Change, json_at, named, of_bytes, of_json_file, text_of
from tests.fuzz.family import Family

MODEL, TOKENS = "Step-Audio-EditX", "Step-Audio-Tokenizer"
PARAFORMER = f"{TOKENS}/{fake_release.PARAFORMER}"
WIDTH = 560


@lru_cache(maxsize=1)
def _release() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-release-"))
    fake_release.write(folder)
    return folder


def release(folder: Path) -> None:
    """A whole release at toy sizes."""
    shutil.copytree(_release(), folder, dirs_exist_ok=True)


def read_release(folder: Path) -> object:
    """Found, described, every part planned, and the smaller ones read."""
    look_at_release(folder / MODEL)
    found = find_release(folder / MODEL, folder / TOKENS)
    about = describe(found, sizes=fake_release.TINY)
    made = plans(found, about)
    return {part: dict(plan.tensors()) for part, plan in made.items()}


def only(folder: Path, file: str) -> None:
    """One file of the release."""
    shutil.copyfile(_release() / file, folder / Path(file).name)


def read_torch(folder: Path) -> object:
    """Every tensor of a torch file."""
    network = build_empty(lambda: Flow(fake_release.TINY.flow))
    return dict(assign(network, TorchFile(folder / "flow.pt"), FLOW).tensors())


def pickled(name: str, value: object, *, protocol: int = 2) -> Change:
    """A torch file that has some other value."""

    def spoil(folder: Path) -> None:
        raw = io.BytesIO()
        torch.save(value, raw)
        (folder / "flow.pt").write_bytes(raw.getvalue())

    return named(name, spoil)


class Danger:
    """What must not be loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        """Code that would be run."""
        return (print, ("run",))


def plain_pickle(folder: Path) -> None:
    """Not a zip: a pickle by itself."""
    (folder / "flow.pt").write_bytes(pickle.dumps(Danger()))


def dangerous(folder: Path) -> None:
    """A torch file that runs code."""
    torch.save({"a": Danger()}, folder / "flow.pt")


def inflating(folder: Path) -> None:
    """A member of 4 GB of zeros that is 4 MB in the file."""
    source = zipfile.ZipFile(folder / "flow.pt")
    with zipfile.ZipFile(folder / "new.pt", "w") as made:
        for item in source.infolist():
            if item.filename.endswith("data.pkl"):
                with made.open(zipfile.ZipInfo(item.filename), "w", force_zip64=True) as member:
                    member.write(source.read(item))
                continue
            made.writestr(item.filename, source.read(item))
    source.close()
    with (
        zipfile.ZipFile(folder / "big.pt", "w") as made,
        zipfile.ZipFile(folder / "new.pt") as source,
    ):
        for item in source.infolist():
            if not item.filename.endswith("data.pkl"):
                made.writestr(item.filename, source.read(item), zipfile.ZIP_STORED)
                continue
            with made.open(zipfile.ZipInfo(item.filename), "w", force_zip64=True) as member:
                member._zinfo.compress_type = zipfile.ZIP_DEFLATED
                member._compressor = zipfile._get_compressor(zipfile.ZIP_DEFLATED)
                block = bytes(2**24)
                for _ in range(256):
                    member.write(block)
    (folder / "big.pt").replace(folder / "flow.pt")
    (folder / "new.pt").unlink()


def many_members(folder: Path) -> None:
    """A zip of 100,000 empty members."""
    with zipfile.ZipFile(folder / "flow.pt", "w") as made:
        for k in range(100_000):
            made.writestr(f"flow/{k}", b"")


def not_finite(folder: Path) -> None:
    """A weight that is not a number."""
    state = torch.load(folder / "flow.pt", weights_only=True)
    next(t for t in state.values() if t.is_floating_point()).view(-1)[0] = float("nan")
    torch.save(state, folder / "flow.pt")


def other_kind(folder: Path, kind: torch.dtype) -> None:
    """Weights of another dtype."""
    state = torch.load(folder / "flow.pt", weights_only=True)
    torch.save({n: t.to(kind) for n, t in state.items()}, folder / "flow.pt")


def memo_bomb(folder: Path) -> None:
    """A pickle whose lists double 40 times."""
    code = (
        b"\x80\x02]q\x00"
        + b"".join(
            b"(h" + bytes([k]) + b"h" + bytes([k]) + b"lq" + bytes([k + 1]) for k in range(40)
        )
        + b"."
    )
    with zipfile.ZipFile(folder / "flow.pt", "w") as made:
        made.writestr("flow/data.pkl", code)
        made.writestr("flow/version", b"3\n")


def deep_pickle(folder: Path) -> None:
    """A pickle of 100,000 nested lists."""
    code = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    with zipfile.ZipFile(folder / "flow.pt", "w") as made:
        made.writestr("flow/data.pkl", code)
        made.writestr("flow/version", b"3\n")


def read_onnx(folder: Path) -> object:
    """Every weight of a graph, both ways of naming."""
    found = []
    for by_node in (False, True):
        file = OnnxFile(folder / "campplus.onnx", by_node=by_node)
        found += [file.tensor(name).sum() for name in file.shapes()]
    return found


def graph(name: str, *nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = ()) -> Change:
    """Another graph."""

    def spoil(folder: Path) -> None:
        made = helper.make_graph(list(nodes), "g", [], [], list(weights))
        (folder / "campplus.onnx").write_bytes(helper.make_model(made).SerializeToString())

    return named(name, spoil)


def onnx_tensor(dims: list[int], data: bytes, kind: int = TensorProto.FLOAT) -> onnx.TensorProto:
    """A weight that says what it likes."""
    return TensorProto(name="1", dims=dims, raw_data=data, data_type=kind)


def uses() -> onnx.NodeProto:
    """A node that reads weight 1."""
    return helper.make_node("MatMul", ["x", "1"], ["y"], name="/n/MatMul")


def read_npy(folder: Path) -> object:
    """The codebook."""
    return npy_matrix(folder / "linguistic_tokenizer.npy", (1024, 32))


def npy(name: str, array: np.ndarray) -> Change:
    """Another array."""
    return named(name, lambda f: np.save(f / "linguistic_tokenizer.npy", array))


def npy_head(name: str, head: str) -> Change:
    """An npy file with this header."""
    raw = head.encode("latin-1")
    data = b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + bytes(64)
    return named(name, lambda f: (f / "linguistic_tokenizer.npy").write_bytes(data))


def mvn(name: str, text: str) -> Change:
    """Another am.mvn."""
    return text_of("am.mvn", text, name=name)


def spoilt_release(rng: random.Random) -> Change:
    """The bytes of any of its files."""
    files = (
        f"{MODEL}/model-00001.safetensors",
        f"{MODEL}/tokenizer.model",
        f"{MODEL}/CosyVoice-300M-25Hz/hift.pt",
        f"{TOKENS}/speech_tokenizer_v1.onnx",
        f"{PARAFORMER}/model.pt",
        f"{PARAFORMER}/tokens.json",
    )
    return of_bytes(rng.choice(files), rng)


CONFIG = f"{MODEL}/config.json"
INDEX = f"{MODEL}/model.safetensors.index.json"
NUMBERS = " ".join(["1.0"] * WIDTH)
RELEASES = (
    Family(
        name="release",
        make=release,
        read=read_release,
        drawn=(
            partial(
                of_json_file,
                CONFIG,
                free=(
                    "architectures",
                    "torch_dtype",
                    "bos_token_id",
                    "pad_token_id",
                    "eos_token_id",
                    "model_type",
                ),
            ),
            partial(of_json_file, INDEX),
            partial(of_json_file, f"{PARAFORMER}/tokens.json"),
            spoilt_release,
        ),
        named=(
            *(
                json_at(CONFIG, (key,), 10**6)
                for key in ("num_hidden_layers", "hidden_size", "vocab_size")
            ),
            json_at(CONFIG, ("num_attention_heads",), 0),
            json_at(CONFIG, ("num_attention_heads",), -1),
            json_at(CONFIG, ("num_hidden_layers",), 2.5),
            json_at(CONFIG, ("rms_norm_eps",), float("nan")),
            json_at(CONFIG, ("max_seq_len",), 2**30),
            json_at(CONFIG, ("model_type",), "\x1b[31m"),
            text_of(INDEX, json.dumps({"weight_map": {"a": "../../x"}})),
            text_of(INDEX, json.dumps({"weight_map": {"a": ["x"]}})),
            text_of(INDEX, json.dumps({"weight_map": {}})),
            text_of(INDEX, json.dumps({"weight_map": {"a": "\x1b[31m"}})),
            text_of(f"{MODEL}/tokenizer_config.json", "[]"),
            text_of(f"{MODEL}/tokenizer_config.json", "[" * 100_000),
            text_of(f"{MODEL}/tokenizer_config.json", "1" * 100_000),
        ),
    ),
    Family(
        name="torch files",
        make=lambda folder: only(folder, f"{MODEL}/CosyVoice-300M-25Hz/flow.pt"),
        read=read_torch,
        drawn=(partial(of_bytes, "flow.pt"),),
        named=(
            named("a pickle alone", plain_pickle),
            named("a pickle that runs code", dangerous),
            named("a member of 4 GB", inflating),
            named("100,000 members", many_members),
            named("lists that double", memo_bomb),
            named("100,000 nested lists", deep_pickle),
            *(
                pickled(f"torch.save of {value!a:.30}", value)
                for value in (1, None, [], "x", {}, {1: 2}, {"a": 1})
            ),
            pickled("keys that are not text", {("a", 1): torch.zeros(2), 5: torch.zeros(2)}),
            pickled("a meta tensor", {"a": torch.zeros(10**9, device="meta")}),
            pickled("a sparse tensor", {"a": torch.eye(3).to_sparse()}),
            pickled("an expanded tensor", {"a": torch.zeros(1).expand(10**6, 10**6)}),
            pickled("a complex tensor", {"a": torch.zeros(2, dtype=torch.complex64)}),
            named("a weight of nan", not_finite),
            named("complex weights", lambda f: other_kind(f, torch.complex64)),
            named("weights of bool", lambda f: other_kind(f, torch.bool)),
        ),
    ),
    Family(
        name="onnx",
        make=lambda folder: only(folder, f"{MODEL}/CosyVoice-300M-25Hz/campplus.onnx"),
        read=read_onnx,
        drawn=(partial(of_bytes, "campplus.onnx"),),
        named=(
            graph(
                "Identity onto itself",
                helper.make_node("Identity", ["p"], ["p"]),
                helper.make_node("MatMul", ["x", "p"], ["y"], name="n"),
            ),
            graph(
                "two Identities in a ring",
                helper.make_node("Identity", ["p"], ["q"]),
                helper.make_node("Identity", ["q"], ["p"]),
                helper.make_node("MatMul", ["x", "p"], ["y"], name="n"),
            ),
            graph("Identity without input", helper.make_node("Identity", [], ["q"]), uses()),
            graph("Identity without output", helper.make_node("Identity", ["q"], []), uses()),
            graph(
                "Constant without output",
                helper.make_node("Constant", [], [], value=onnx_tensor([2], bytes(8))),
                uses(),
            ),
            graph(
                "a shape that is not there",
                uses(),
                weights=(onnx_tensor([10**5, 10**5], bytes(8)),),
            ),
            graph("a negative shape", uses(), weights=(onnx_tensor([-1, 2], bytes(8)),)),
            graph("a product beyond 64 bits", uses(), weights=(onnx_tensor([2**62, 8], bytes(8)),)),
            graph("a tensor without data", uses(), weights=(onnx_tensor([2, 2], b""),)),
            graph(
                "a tensor of texts",
                uses(),
                weights=(onnx_tensor([2, 2], b"xx", TensorProto.STRING),),
            ),
            graph("weights of nan", uses(), weights=(onnx_tensor([2], b"\xff\xff\xff\x7f" * 2),)),
        ),
    ),
    Family(
        name="am.mvn",
        make=lambda folder: only(folder, f"{PARAFORMER}/am.mvn"),
        read=lambda folder: kaldi_cmvn(folder / "am.mvn", WIDTH),
        drawn=(partial(of_bytes, "am.mvn"),),
        named=(
            mvn("a million <AddShift>", "<AddShift>" * 10**5),
            mvn("a million letters", "<AddShift>" + "x" * 10**6),
            mvn("a million brackets", "<AddShift>" + "[" * 10**6),
            mvn("no numbers", "<AddShift> [ ] <Rescale> [ ]"),
            mvn("nan", f"<AddShift> [ {NUMBERS} ] <Rescale> [ {NUMBERS[:-3]}nan ]"),
            mvn("inf", f"<AddShift> [ {NUMBERS[:-3]}1e999 ] <Rescale> [ {NUMBERS} ]"),
            mvn("one vector twice", f"<AddShift> <Rescale> [ {NUMBERS} ]"),
            mvn("a long number", f"<AddShift> [ {'1' * 10**6} ]"),
            mvn(
                "a scale of 0",
                f"<AddShift> [ {NUMBERS} ] <Rescale> [ {NUMBERS.replace('1', '0')} ]",
            ),
            named("100 MB of zeros", lambda f: (f / "am.mvn").write_bytes(bytes(10**8))),
        ),
    ),
    Family(
        name="npy",
        make=lambda folder: only(folder, f"{TOKENS}/linguistic_tokenizer.npy"),
        read=read_npy,
        drawn=(partial(of_bytes, "linguistic_tokenizer.npy"),),
        named=(
            npy("integers", np.zeros((1024, 32), np.int64)),
            npy("another shape", np.zeros((3, 3), np.float32)),
            npy("one dimension", np.zeros(3, np.float32)),
            npy("objects", np.array([{}], dtype=object)),
            npy("nan", np.full((1024, 32), np.nan, np.float32)),
            npy("doubles too large", np.full((1024, 32), 1e300)),
            npy_head(
                "a huge shape",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }\n",
            ),
            npy_head(
                "a negative shape", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }\n"
            ),
            npy_head("code", "__import__('os').getcwd()\n"),
            npy_head("deep", "(" * 30_000),
        ),
    ),
)
