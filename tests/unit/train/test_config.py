"""The settings of the recipes: the defaults, the shipped files, overrides, errors."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

import pytest

from stepedit_core.files.strict import to_json
from stepedit_core.train import ppo, reward_model, sft
from stepedit_core.train.config import read_config
from tests.trainings import (
    RECIPES,
    ROOT,
)


def test_the_defaults_are_the_papers():
    assert (sft.SFTConfig().optimizer.lr, sft.SFTConfig().optimizer.last_lr) == (1e-5, 1e-6)
    assert sft.SFTConfig().epochs == reward_model.RewardConfig().epochs == 1.0
    found = reward_model.RewardConfig().optimizer
    assert (found.lr, found.last_lr) == (2e-5, 1e-5)
    paper = ppo.PPOConfig()
    assert (paper.optimizer.lr, paper.optimizer.last_lr) == (1e-6, 2e-7)
    assert (paper.critic_warmup, paper.clip, paper.beta) == (80, 0.2, 0.05)
    weights = dataclasses.asdict(paper.rewards)
    assert {name: w for name, w in weights.items() if w} == {"model": 1.0}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["nano", "editx"])
def test_every_recipe_ships_a_config_for_both_models(recipe: str, name: str):
    config = read_config(RECIPES[recipe], recipe, name)
    assert config.model.bundle == {"nano": "nano", "editx": "step-audio-editx"}[name]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_config_of_the_large_model_departs_from_the_paper_in_the_words_reward_alone(
    recipe: str,
):
    found, default = to_json(read_config(RECIPES[recipe], recipe, "editx")), RECIPES[recipe]()
    if recipe in ("ppo", "grpo"):
        assert found["rewards"]["words"] == 1.0
        found["rewards"]["words"] = default.rewards.words
    assert found == to_json(default)


def test_overrides_reach_inner_keys():
    config = read_config(
        sft.SFTConfig, "sft", "nano", ["optimizer.lr=1.0e-2", "data=[a, b]", "model.lora.rank=4"]
    )
    assert (config.optimizer.lr, config.data, config.model.lora.rank) == (0.01, ("a", "b"), 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimiser.lr=1.0e-2", "unknown key 'optimiser'; known are data, epochs"),
        (
            "optimizer.lr=1e-2",
            "lr is text; a number is expected. Correct the config; YAML reads 1e-5",
        ),
        ("model.precision=fp16", "precision is text; bf16 or fp32 is expected"),
        ("batch", "--set 'batch' is not understood; KEY=VALUE is expected"),
        ("epochs=0", "epochs is 0.0; allowed are 0.001 to 1000"),
        ("batch.size=3", "--set reaches into 'batch', which has no keys"),
        ("epochs: 1=[", "is not plain YAML"),
    ],
)
def test_a_wrong_setting_ends_with_a_sentence(change: str, words: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        read_config(sft.SFTConfig, "sft", "nano", [change])
    assert words in str(error.value)


def test_an_unknown_config_names_the_shipped_ones():
    with pytest.raises(ValueError, match=r"no config 'big' of ppo; shipped are editx, nano, and"):
        read_config(ppo.PPOConfig, "ppo", "big")


def inner_dataclasses(cls: Any) -> set[Any]:
    found = {cls}
    for field in dataclasses.fields(cls):
        value = getattr(cls(), field.name)
        if dataclasses.is_dataclass(value):
            found |= inner_dataclasses(type(value))
    return found


def test_every_setting_has_a_reader():
    files = [
        *(ROOT / "stepedit_core" / "train").glob("*.py"),
        ROOT / "stepedit_core/models/lora.py",
    ]
    read = {
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    kinds = set().union(*map(inner_dataclasses, RECIPES.values()))
    assert len(kinds) == 5 + 6
    for kind in kinds:
        unread = {field.name for field in dataclasses.fields(kind)} - read
        assert not unread, f"{kind.__name__}: {unread}"
