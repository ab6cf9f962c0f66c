"""A handle on one bundle: where it lies, on which device, and its parts as they are first used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, cast

import torch
from torch import nn

from ..bundle.manifest import TOKENIZER, Manifest, sha256_of
from ..printable import shown
from ..text.tokenizer import TextTokenizer
from ..vocab import Vocabulary
from .folders import ModelEntry, ReleaseEntry
from .torch_state import own_state

if TYPE_CHECKING:
    from ..models.bigvgan import BigVGAN
    from ..models.flow import Flow
    from ..models.hift import HiFT
    from ..models.letters import Letters
    from ..models.linguistic import LinguisticTokenizer
    from ..models.llm import Step1LM
    from ..models.paraformer import Paraformer
    from ..models.scorer import MarginScorer
    from ..models.semantic import SemanticTokenizer
    from ..models.source_filter import SourceFilter
    from ..models.speaker import SpeakerEncoder
    from .registry import Registry

T = TypeVar("T")
UNCOPIED = (
    "the loaded model '{}' cannot be copied or pickled. Load it again with stepedit.load, which "
    "shares its weights."
)


class Bundle:
    """A handle on one bundle at one device and precision; parts load when they are first used.

    The handle keeps the parts it has used; `release` or dropping the handle lets them go.
    """

    def __init__(
        self,
        registry: Registry,
        entry: ModelEntry,
        device: torch.device,
        precision: str,
        adapter: Path | None = None,
    ) -> None:
        self.manifest: Manifest = entry.manifest
        self.folder = entry.folder
        self.adapter = adapter
        """LoRA file that is merged into the language model."""
        self.sha256 = entry.sha256 if adapter is None else _with_adapter(entry.sha256, adapter)
        self.device = device
        self.precision = precision
        self.threads = 0
        """Threads of a run on the CPU; 0 leaves the choice to registry/threads.py."""
        self.steps: Literal["ordinary", "static"] = "ordinary"
        """How ids are drawn: one at a time, or in blocks on the device, on CUDA by replaying a
        graph. "static" has not been seen on a GPU (decision 0041)."""
        self._registry = registry
        self.release_files = entry.release if isinstance(entry, ReleaseEntry) else None
        self._parts: dict[str, nn.Module] = {}
        self._text: TextTokenizer | None = None
        self._made: dict[str, object] = {}

    def __deepcopy__(self, _: object) -> NoReturn:
        """TypeError: parts are shared, so a handle is loaded and not copied."""
        raise TypeError(UNCOPIED.format(shown(self.name)))

    def __getstate__(self) -> NoReturn:
        """TypeError, as of a copy, for pickle."""
        raise TypeError(UNCOPIED.format(shown(self.name)))

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.manifest.name

    @property
    def vocabulary(self) -> Vocabulary:
        """The id arithmetic of this bundle."""
        return self.manifest.vocabulary

    def part(self, name: str) -> nn.Module:
        """The module of a part, shared with other handles; loaded now if nobody keeps it."""
        if name not in self.manifest.components:
            raise ValueError(
                f"bundle '{shown(self.name)}' has no {shown(name)}; it has "
                f"{shown(', '.join(self.manifest.parts))}. Choose another bundle for this."
            )
        if name not in self._parts:
            with own_state():  # a part is made of the dtype and on the device that it names
                self._parts[name] = self._registry.shared_part(self, name)
        return self._parts[name]

    def load_all(self, parts: Iterable[str] = ()) -> nn.ModuleDict:
        """The named parts in one module, for a host that moves them.

        Where none is named, all that an edit needs: the recogniser is loaded when it is first used.
        """
        names = tuple(parts) or tuple(p for p in self.manifest.parts if p != "recogniser")
        return nn.ModuleDict({name: self.part(name) for name in names})

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the parts this handle keeps."""
        return tuple(self._parts)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` computes from the parts, made when it is first asked for by this name."""
        if name not in self._made:
            self._made[name] = make()
        return cast("T", self._made[name])

    def release(self) -> None:
        """Drop all parts, and what was made from them; they load again when used."""
        self._parts.clear()
        self._made.clear()
        self._text = None

    @property
    def text(self) -> TextTokenizer:
        """The text tokenizer."""
        if self._text is None and self.release_files is not None:
            self._text = TextTokenizer(self.release_files.tokenizer)
        if self._text is None:
            self._registry.check(self, TOKENIZER)
            self._text = TextTokenizer(self.folder / TOKENIZER)
        return self._text

    @property
    def llm(self) -> Step1LM:
        """The language model."""
        return cast("Step1LM", self.part("llm"))

    @property
    def flow(self) -> Flow:
        """The flow decoder."""
        return cast("Flow", self.part("flow"))

    @property
    def vocoder(self) -> HiFT | BigVGAN | SourceFilter:
        """The vocoder; manifest.vocoder says which."""
        return cast("HiFT | BigVGAN | SourceFilter", self.part("vocoder"))

    @property
    def linguistic(self) -> LinguisticTokenizer:
        """The linguistic tokenizer."""
        return cast("LinguisticTokenizer", self.part("linguistic"))

    @property
    def semantic(self) -> SemanticTokenizer:
        """The semantic tokenizer."""
        return cast("SemanticTokenizer", self.part("semantic"))

    @property
    def speaker(self) -> SpeakerEncoder:
        """The speaker encoder."""
        return cast("SpeakerEncoder", self.part("speaker"))

    @property
    def recogniser(self) -> Paraformer | Letters:
        """The recogniser; manifest.recogniser says which. ValueError where the bundle has none."""
        return cast("Paraformer | Letters", self.part("recogniser"))

    @property
    def scorer(self) -> MarginScorer:
        """The margin scorer; ValueError where the bundle has none."""
        return cast("MarginScorer", self.part("scorer"))


def _with_adapter(sha256: str, adapter: Path) -> str:
    """Digest of a bundle with an adapter."""
    return hashlib.sha256(f"{sha256} {sha256_of(adapter)}".encode()).hexdigest()
