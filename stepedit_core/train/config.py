"""Settings of a training: a YAML file over dataclasses whose defaults are the paper's.

Unknown keys and wrong types are errors; `KEY=VALUE` overrides reach inner keys by dots. Source of
the defaults: arXiv:2511.03601 where it states them, else what each field says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from ..files.missing import pip_line
from ..files.reading import DEEPEST, kind_of_value, read_text
from ..files.strict import Bounds, from_json
from ..models.lora import LoraConfig
from ..printable import shown

C = TypeVar("C", bound="Recipe")
CONFIGS = Path(__file__).parent / "configs"
REMEDY = "Correct the config; YAML reads 1e-5 as text, write 1.0e-5."


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW with a cosine schedule."""

    BOUNDS: ClassVar[Bounds] = {
        "lr": (0, 1),
        "last_lr": (0, 1),
        "warmup": (0, 1),
        "weight_decay": (0, 10),
        "beta1": (0, 0.9999),
        "beta2": (0, 0.99999),
        "clip_norm": (1e-9, 1e9),
    }

    lr: float = 1e-5
    """Rate after the warm-up."""
    last_lr: float = 1e-6
    """Rate at the last step."""
    warmup: float = 0.0
    """Share of the steps in which the rate climbs from 0."""
    weight_decay: float = 0.0
    """On matrices; vectors have none."""
    beta1: float = 0.9
    """Of the gradient's mean."""
    beta2: float = 0.95
    """Of the square's mean; 0.95 is usual for language models."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; a step whose norm is not finite is left out."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Where the language model comes from and how it is computed."""

    BOUNDS: ClassVar[Bounds] = {"micro_ids": (1, 10**8)}

    bundle: str = "step-audio-editx"
    """Bundle: tokenizer, ids, prompt layout, and the first weights."""
    start: str = ""
    """Run folder of an earlier stage whose weights replace the bundle's; empty for none."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of matrix products; weights, sums and the optimiser are float32."""
    checkpointing: bool = True
    """Compute layers again in the backward pass and keep less."""
    micro_ids: int = 6144
    """Most padded ids computed at a time; gradients add up over as many parts as a batch needs."""
    adapters: bool = False
    """Train LoRA adapters only; the file is an adapter then."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """Size of the adapters."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Seed, stopping and saving."""

    BOUNDS: ClassVar[Bounds] = {"seed": (0, 2**63 - 1), "save_every": (1, 10**9)}

    seed: int = 0
    """Of order, rollouts and adapters."""
    save_every: int = 50
    """Steps between states to resume from."""
    device: str = "auto"
    """auto takes the accelerator, one a process, else the CPU."""
    export: bool = True
    """Write a bundle with the trained model beside the weights, ready for the Load Model node."""


class Recipe(Protocol):
    """The settings of any recipe."""

    @property
    def run(self) -> RunConfig:
        """Seed, stopping and saving."""


def read_config(cls: type[C], recipe: str, name: str, changes: Sequence[str] = ()) -> C:
    """The settings of a recipe.

    Args:
        cls: the recipe's dataclass.
        recipe: its name.
        name: a shipped config ("nano" for configs/<recipe>_nano.yaml) or a YAML file.
        changes: "key.key=value", in place of what the file says.

    Raises ValueError for files, keys and values that do not fit.
    """
    path = config_path(recipe, name)
    data = parse_yaml(read_text(path, remedy=REMEDY), f"'{shown(path.name)}'")
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ValueError(
            f"'{shown(path.name)}' is {kind_of_value(data)}; keys with values are expected. "
            f"{REMEDY}"
        )
    change(data, changes)
    config = from_json(cls, data, path.name, REMEDY)
    named = (*getattr(config, "data", ()), config.run.device)
    wrong = next((text for text in named if not text.strip() or not text.isprintable()), None)
    if wrong is not None:
        raise ValueError(
            f"{shown(path.name)} names the folder or device '{shown(wrong)}', which has no "
            f"readable name. {REMEDY}"
        )
    return config


def config_path(recipe: str, name: str) -> Path:
    """The file of a shipped config, or the file of that name; ValueError where neither is there."""
    path = CONFIGS / f"{recipe}_{name}.yaml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = sorted(p.stem.removeprefix(f"{recipe}_") for p in CONFIGS.glob(f"{recipe}_*.yaml"))
        raise ValueError(
            f"there is no config '{shown(name)}' of {shown(recipe)}; shipped are "
            f"{shown(', '.join(known))}, and a path of a YAML file is allowed. Choose one."
        )
    return path


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text; ValueError for what is not plain: links, tags, a key twice."""
    yaml = _yaml()

    class Plain(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        """Refuses what settings have no use for and what can grow without end."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.depth = getattr(self, "depth", 0) + 1
            if self.check_event(yaml.AliasEvent) or self.depth > DEEPEST:
                raise ValueError
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value if isinstance(key.value, str)]
            if len(set(names)) < len(node.value) or any(len(name) > 100 for name in names):
                raise ValueError
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Plain)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" (wrong at line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{where} is not plain YAML{place}. {REMEDY}") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{where} is not plain YAML: keys once each, without links, not deeper than "
            f"{DEEPEST}. {REMEDY}"
        ) from error


def change(data: dict[str, Any], changes: Sequence[str]) -> None:
    """Put "key.key=value" into nested mappings; values are read as YAML."""
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set '{shown(text)}' is not understood; KEY=VALUE is expected.")
        _put(data, key.split("."), parse_yaml(value, f"--set '{shown(text)}'"))


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ValueError(
            "training reads its settings with PyYAML, which is not installed. Run "
            f"`{pip_line('pyyaml')}`."
        ) from error
    return yaml


def _put(data: Any, keys: Sequence[str], value: Any) -> None:
    """Set an inner key of nested mappings, made where they are absent."""
    for key in keys[:-1]:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise ValueError(f"--set reaches into '{shown(key)}', which has no keys. {REMEDY}")
    data[keys[-1]] = value
