"""Examples to what a recipe learns: prompts and answers, inverse edits, and models in and out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ..bundle.manifest import file_of, sha256_of
from ..bundle.parts import build_part
from ..bundle.saving import save_module
from ..bundle.weights import build_empty, load_into
from ..bundle.write import write_bundle
from ..data.records import Example
from ..data.shards import Dataset
from ..files.whole import whole_file
from ..models.llm import Step1LM
from ..models.lora import attach, merge, save_adapter
from ..models.reward import RewardModel
from ..pipelines.generate import prompt_ids
from ..printable import shown
from ..registry.handle import Bundle
from ..registry.registry import Registry
from ..text.edits import REMOVE, edit_vocabulary
from ..types import DualCodes, EditRequest, stage_generator
from ..vocab import Vocabulary
from .batches import Row, parts_of
from .config import ModelConfig, RunConfig
from .sharding import whole_state
from .team import Team

log = logging.getLogger(__name__)
LLM, ADAPTER, REWARD = "llm.safetensors", "adapter.safetensors", "reward.safetensors"


class Examples:
    """The examples of several data folders that a recipe takes, in order.

    Args:
        folders: data folders of one codebook.
        bundle: whose prompts are made.
        kinds: kinds of examples that are taken.
        split: train or dev.
        longest: most ids of prompt and answer together; longer ones are left out.
        inverses: also take each emotion and style backwards, as `remove`.
    """

    def __init__(
        self,
        folders: Sequence[str],
        bundle: Bundle,
        kinds: Sequence[str],
        *,
        split: str = "train",
        longest: int,
        inverses: bool = False,
    ) -> None:
        self.bundle = bundle
        self._data = [Dataset(folder) for folder in folders]
        self._places: list[tuple[int, int, bool]] = []
        left_out = 0
        for number, data in enumerate(self._data):
            if data.codebook != bundle.manifest.codebook:
                raise ValueError(
                    f"'{shown(data.folder.name)}' has codes of codebook '{shown(data.codebook)}'; "
                    f"bundle '{shown(bundle.name)}' reads '{shown(bundle.manifest.codebook)}'. "
                    "Build the data again."
                )
            for index, line in enumerate(data.lines):
                if line["split"] != split or line["kind"] not in kinds:
                    continue
                for back in (False, True) if inverses else (False,):
                    example = self._turned(data[index], back)
                    if example is None:
                        continue
                    if max(map(row_length, rows_of(bundle, example))) > longest:
                        left_out += 1
                    else:
                        self._places.append((number, index, back))
        log.info("%d items of %s; %d over %d ids", len(self), shown(split), left_out, longest)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Example:
        number, place, back = self._places[index]
        found = self._turned(self._data[number][place], back)
        assert found is not None
        return found

    def _turned(self, example: Example, back: bool) -> Example | None:
        return inverse(example, self.bundle) if back else example

    @property
    def facts(self) -> dict[str, str]:
        """Folder name -> digest of its examples."""
        return {f"data {data.folder.name}": data.sha256 for data in self._data}


def inverse(example: Example, bundle: Bundle) -> Example | None:
    """The example backwards, as the edit `remove`; None where the bundle has no such edit."""
    request, about = example.request, bundle.manifest
    options = edit_vocabulary(about.edit_vocabulary, about.edit_options).options
    known = REMOVE in options.get(request.kind, ())
    if example.rejected is not None or not known or request.option == REMOVE:
        return None
    undone = EditRequest(kind=request.kind, option=REMOVE, text=request.text)
    return replace(example, request=undone, source=example.target, target=example.source)


def rows_of(bundle: Bundle, example: Example) -> list[Row]:
    """Prompt and answer of an example; of a pair the preferred answer, then the rejected one."""
    prompt = prompt_ids(bundle, example.source, example.request)
    sides = [example.target, *([] if example.rejected is None else [example.rejected])]
    return [(prompt, answer_ids(bundle.vocabulary, codes)) for codes in sides]


def answer_ids(vocabulary: Vocabulary, codes: DualCodes) -> list[int]:
    """Ids of codes and the end id."""
    return [*vocabulary.interleave(codes), vocabulary.end_id]


def row_length(row: Row) -> int:
    """Ids of prompt and answer."""
    return len(row[0]) + len(row[1])


def pair_parts(
    items: Examples, chosen: Sequence[int], config: ModelConfig, team: Team
) -> tuple[list[list[Row]], list[tuple[list[int], float]]]:
    """This process's pairs of a batch as rows, and its micro-batches; a pair stays in one part."""
    pairs = [rows_of(items.bundle, items[i]) for i in team.share(chosen)]
    lengths = [2 * max(map(row_length, pair)) for pair in pairs]
    return pairs, parts_of(lengths, config.micro_ids, team)


@dataclass(frozen=True, kw_only=True)
class Base:
    """What a run starts from."""

    bundle: Bundle
    lm: Step1LM
    facts: dict[str, str]


def start_from(config: ModelConfig, run: RunConfig) -> Base:
    """The language model of the bundle, or of an earlier run, in float32 on the CPU.

    With adapters everything but them is frozen. It shares its weights with nobody.
    """
    bundle = Registry().load(config.bundle, device="cpu", precision="fp32")
    facts = {"bundle": bundle.sha256}
    if config.start:
        path = Path(config.start) / LLM
        lm = build_part(bundle.manifest, "llm")
        load_into(lm, _found(path), device=torch.device("cpu"), dtype=torch.float32)
        facts["start"] = sha256_of(path)
    else:
        lm = bundle.llm
        bundle.release()
    assert isinstance(lm, Step1LM)
    lm.requires_grad_(True)
    if config.adapters:
        attach(lm, config.lora, stage_generator(run.seed, "lora"))
    return Base(bundle=bundle, lm=lm, facts=facts)


def _found(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(
            f"'{shown(path.parent.name)}' has no {shown(path.name)}; expected is the folder of a "
            "finished run. Finish that stage first, or correct the path."
        )
    return path


def load_reward(run: str | Path, bundle: Bundle) -> RewardModel:
    """The reward model that a run of `train reward` left."""
    config = bundle.manifest.components["llm"]
    model = build_empty(lambda: RewardModel(config))
    path = _found(Path(run) / REWARD)
    loaded = load_into(model, path, device=torch.device("cpu"), dtype=torch.float32)
    return loaded.requires_grad_(True)


def save_reward(model: nn.Module, folder: Path, base: Base, team: Team, prefix: str) -> None:
    """Write reward.safetensors; `prefix` is where the reward model sits in `model`."""
    state = whole_state(model, team)
    if team.main:
        whole = build_empty(lambda: RewardModel(base.lm.config))
        whole.load_state_dict({n.removeprefix(prefix): t for n, t in state.items()}, assign=True)
        _save(whole, folder / REWARD)


def save_language_model(
    policy: nn.Module, folder: Path, base: Base, team: Team, config: ModelConfig, *, export: bool
) -> None:
    """Write llm.safetensors; with adapters adapter.safetensors too; and a bundle where asked.

    The weights are written with the adapters merged, so every later stage and the product read them
    alike.
    """
    state = whole_state(policy, team)
    if not team.main:
        return
    lm = build_empty(lambda: Step1LM(base.lm.config))
    if config.adapters:
        attach(lm, config.lora, torch.Generator())
    lm.load_state_dict({n.removeprefix("lm."): t for n, t in state.items()}, assign=True)
    if config.adapters:
        save_adapter(lm, folder / ADAPTER, config.lora, base.facts.get("start", base.bundle.sha256))
        merge(lm)
    _save(lm, folder / LLM)
    if export and base.bundle.release_files is None:
        _export(lm, folder, base.bundle)


def _save(module: nn.Module, path: Path) -> None:
    with whole_file(path) as part:
        save_module(module, part, torch.float32)


def _export(lm: Step1LM, folder: Path, bundle: Bundle) -> None:
    """The bundle with this language model, in folder / bundle."""
    about, tokenizer = bundle.manifest, bundle.folder / "tokenizer.model"
    parts: dict[str, nn.Module | Path] = {
        part: bundle.folder / file_of(part) for part in about.parts if part != "llm"
    }
    name = f"{about.name}-{folder.name}"
    dtype = torch.float16 if about.prompt_layout == "nano" else torch.bfloat16
    named = replace(about, name=name)
    write_bundle(folder / "bundle", named, {**parts, "llm": lm}, tokenizer, dtype=dtype)
