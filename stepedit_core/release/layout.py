"""Where the files of a release lie: two folders as published, however they were moved about.

<model>/      config.json, model*.safetensors (+ index), tokenizer.model, and a decoder folder with
              flow.pt, hift.pt, campplus.onnx; the 4-bit folder has packed matrices (four_bits.py)
<tokenizer>/  linguistic_tokenizer.npy, speech_tokenizer_v1.onnx, and a Paraformer folder with
              model.pt and am.mvn (spec 1), and tokens.json for the recogniser
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.precision import Stored
from ..files.reading import read_object
from ..printable import shown
from .four_bits import has_four_bits
from .sources import DOWNLOAD, shards

CONFIG_LIMIT = 2**20
"""Most bytes of a JSON configuration that are read."""
DEEPEST = 5
"""Folders below the given ones that are looked into."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """The files of one release."""

    folder: Path
    config: dict[str, Any]
    """config.json of the language model."""
    tokenizer_config: dict[str, Any]
    """tokenizer_config.json; empty where there is none."""
    llm: tuple[Path, ...]
    tokenizer: Path
    flow: Path
    vocoder: Path
    speaker: Path
    paraformer: Path
    cmvn: Path
    semantic: Path
    codebook: Path
    units: Path | None
    """tokens.json beside model.pt; None where it was not downloaded: no recogniser then."""

    @property
    def llm_weights(self) -> Stored:
        """How the matrices of the language model are published."""
        return "int4" if has_four_bits(self.config) else "float"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that weights are read from, in the order of the flow."""
        tokenizers = (self.paraformer, self.cmvn, self.codebook, self.semantic)
        own = (*self.llm, self.flow, self.vocoder, *tokenizers, self.speaker, self.tokenizer)
        return own if self.units is None else (*own, self.units)

    @property
    def size(self) -> int:
        """Bytes of the files that are read."""
        return sum(path.stat().st_size for path in self.files)


def looks_like_release(folder: Path) -> bool:
    """Whether a folder has the released language model, and is not a bundle of ours."""
    path = folder / "config.json"
    if not path.is_file() or (folder / "bundle.json").exists():
        return False
    try:
        return bool(read_object(path, CONFIG_LIMIT).get("model_type") == "step1")
    except ValueError:
        return False


def find_release(model: str | Path, tokenizer: str | Path | None = None) -> Release:
    """The files under the model folder and the tokenizer folder, wherever they lie in them.

    tokenizer may be inside or beside the model folder; None looks inside first, then beside.
    ValueError names every file that is missing, or says which folder is wrong.
    """
    root = Path(model)
    if not root.is_dir():
        raise ValueError(
            f"'{shown(root)}' is not a folder; the folder Step-Audio-EditX is expected. "
            "Correct the path."
        )
    folders = [root]
    if tokenizer is not None:
        if not Path(tokenizer).is_dir():
            raise ValueError(
                f"'{shown(tokenizer)}' is not a folder; the folder Step-Audio-Tokenizer is "
                "expected. Correct the path."
            )
        folders.insert(0, Path(tokenizer))
    else:
        folders += [
            p
            for p in sorted(root.parent.iterdir())
            if p != root and "tokenizer" in p.name.lower() and p.is_dir()
        ]
    files = [path for folder in folders for path in _walk(folder, DEEPEST)]

    def find(*names: str, fits: Callable[[Path], bool] = lambda path: True) -> Path | None:
        found = [p for name in names for p in files if p.name == name and fits(p)]
        return found[0] if found else None

    config = find("config.json", fits=lambda p: looks_like_release(p.parent))
    llm = () if config is None else tuple(shards(config.parent))
    cmvn = find("am.mvn")
    expected: dict[str, Path | None] = {
        "config.json with model_type step1": config,
        "model*.safetensors": llm[0] if llm else None,
        "tokenizer.model": find("tokenizer.model"),
        "flow.pt": find("flow.pt"),
        "hift.pt": find("hift.pt", "hift.pth"),
        "campplus.onnx": find("campplus.onnx"),
        # a second copy lies in the decoder's folder, where the release never opens it
        "speech_tokenizer_v1.onnx": find(
            "speech_tokenizer_v1.onnx", fits=lambda p: "cosyvoice" not in p.parent.name.lower()
        )
        or find("speech_tokenizer_v1.onnx"),
        "linguistic_tokenizer.npy": find("linguistic_tokenizer.npy"),
        "am.mvn": cmvn,
        "model.pt beside am.mvn": None
        if cmvn is None
        else find("model.pt", "model.pb", fits=lambda p: p.parent == cmvn.parent),
    }
    missing = [name for name, path in expected.items() if path is None]
    if missing:
        places = " and ".join(f"'{shown(folder.name)}'" for folder in folders)
        raise ValueError(
            f"{shown(places)} lack {shown(', '.join(missing))}; a release is the two folders "
            "Step-Audio-EditX and Step-Audio-Tokenizer as published. Name both, or download what "
            "is missing."
        )
    assert config is not None
    settings = config.parent / "tokenizer_config.json"
    paths = [path for path in expected.values() if path is not None]
    return Release(
        folder=root,
        config=read_object(config, CONFIG_LIMIT, DOWNLOAD),
        tokenizer_config=read_object(settings, CONFIG_LIMIT, DOWNLOAD)
        if settings.is_file()
        else {},
        llm=llm,
        tokenizer=paths[2],
        flow=paths[3],
        vocoder=paths[4],
        speaker=paths[5],
        semantic=paths[6],
        codebook=paths[7],
        cmvn=paths[8],
        paraformer=paths[9],
        units=find("tokens.json", fits=lambda p: p.parent == paths[9].parent),
    )


def _walk(folder: Path, depth: int) -> list[Path]:
    """Files below a folder, nearest first, hidden folders left out."""
    entries = sorted(folder.iterdir())
    out = [p for p in entries if p.is_file()]
    if depth:
        for inner in (p for p in entries if p.is_dir() and not p.name.startswith(".")):
            out += _walk(inner, depth - 1)
    return out
