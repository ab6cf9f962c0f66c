"""The recipes at toy sizes: they learn, they resume to the same losses, they leave what loads."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stepedit_core import cli
from stepedit_core.data.select import by_prompt
from stepedit_core.data.shards import Dataset
from stepedit_core.measure.words import word_distance
from stepedit_core.models.lora import load_adapter
from stepedit_core.pipelines.sampling import Answer
from stepedit_core.registry.registry import Registry
from stepedit_core.train import dpo, grpo, ppo, reward_model, sft
from stepedit_core.train.attempts import Attempt, RolloutConfig
from stepedit_core.train.batches import Sampler
from stepedit_core.train.config import ModelConfig, OptimizerConfig, RunConfig
from stepedit_core.train.items import LLM, Examples
from stepedit_core.train.optimise import cosine_rate
from stepedit_core.train.reward_terms import RewardWeights, reward_of
from stepedit_core.train.team import Team
from tests.trainings import (
    RUN,
    codes,
    curve,
    fast,
    ppo_config,
    triplet,
)

# learning


def test_sft_overfits_ten_items_to_near_zero_loss(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    config = sft.SFTConfig(
        data=(data["triplets"],),
        epochs=60,
        batch=10,
        inverses=False,
        optimizer=OptimizerConfig(lr=2e-2, last_lr=2e-3, warmup=0.05),
        model=model,
        run=replace(RUN, save_every=100),
    )
    sft.train(config, tmp_path)
    losses = [line["loss"] for line in curve(tmp_path)]
    # chance among the legal ids: (2 log 1025 + 3 log 4097 + ...) / 11, near 7.7
    assert losses[0] > 7.0
    assert losses[-1] < 0.1


def test_the_reward_model_puts_pairs_in_order(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    config = reward_model.RewardConfig(
        data=(data["pairs"],), epochs=20, batch=8, optimizer=fast(3e-3), model=model, run=RUN
    )
    figures = reward_model.train(config, tmp_path)
    lines = curve(tmp_path)
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert lines[-1]["loss"] < 0.1
    assert lines[-1]["right"] == 1.0
    assert 0.0 <= figures["dev_accuracy"] <= 1.0
    weights = load_file(tmp_path / "reward.safetensors")
    assert weights["head.weight"].abs().sum() > 0


def test_dpo_starts_at_log_2_and_comes_to_prefer_the_preferred(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    config = dpo.DPOConfig(
        data=(data["pairs"],), epochs=8, batch=8, optimizer=fast(3e-3), model=model, run=RUN
    )
    dpo.train(config, tmp_path)
    lines = curve(tmp_path)
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert lines[-1]["loss"] < 0.4
    assert lines[-1]["right"] == 1.0


def test_ppo_learns_to_prefer_one_legal_code(
    data: dict[str, str], model: ModelConfig, start: str, judge: str, tmp_path: Path, sevens: Any
):
    config = ppo_config(data, model, start, judge)
    ppo.train(config, tmp_path, total=sevens)
    scores = [line["score"] for line in curve(tmp_path)]
    first, last = sum(scores[:3]) / 3, sum(scores[-3:]) / 3
    assert 0.08 < first < 0.35
    assert last > first + 0.2


def test_the_critic_warms_up_before_the_actor_moves(
    data: dict[str, str], model: ModelConfig, start: str, judge: str, tmp_path: Path, sevens: Any
):
    config = replace(ppo_config(data, model, start, judge), steps=2, critic_warmup=2)
    ppo.train(config, tmp_path, total=sevens)
    before, after = load_file(Path(start) / LLM), load_file(tmp_path / LLM)
    assert all(torch.equal(before[name], after[name]) for name in before)
    old, new = (
        load_file(Path(judge) / "reward.safetensors"),
        load_file(tmp_path / "reward.safetensors"),
    )
    assert not torch.equal(old["head.weight"], new["head.weight"])
    assert all("policy_loss" not in line for line in curve(tmp_path))
    assert all(abs(line["kl"]) < 1e-5 for line in curve(tmp_path))


def test_grpo_learns_to_prefer_one_legal_code(
    data: dict[str, str], model: ModelConfig, start: str, tmp_path: Path, sevens: Any
):
    config = grpo.GRPOConfig(
        data=(data["triplets"],),
        steps=14,
        batch=3,
        answers=6,
        beta=0.01,
        rollout=RolloutConfig(max_ids=10),
        optimizer=fast(1e-2),
        model=replace(model, start=start, micro_ids=1000),
        run=RUN,
    )
    grpo.train(config, tmp_path, total=sevens)
    scores = [line["score"] for line in curve(tmp_path)]
    assert sum(scores[-3:]) / 3 > sum(scores[:3]) / 3 + 0.2


def test_the_rewards_of_the_config_add_up_in_the_curve(
    data: dict[str, str], model: ModelConfig, start: str, judge: str, tmp_path: Path
):
    config = replace(
        ppo_config(data, model, start, judge),
        steps=1,
        rewards=RewardWeights(model=2.0, words=0.5, length=1.0, legality=3.0),
    )
    ppo.train(config, tmp_path)
    (line,) = curve(tmp_path)
    expected = 2 * line["model"] + 0.5 * line["words"] + line["length"] + 3 * line["legality"]
    assert line["score"] == pytest.approx(expected, abs=1e-5)
    assert -1 < line["words"] < 1


def test_the_words_reward_reads_the_bundles_own_codebook(bundles: Path):
    bundle = Registry([bundles], {}).load("tiny", device="cpu")
    team = Team(rank=0, world=1, device=torch.device("cpu"))
    total = reward_of(RewardWeights(model=0.0, words=2.0), bundle, None, ModelConfig(), team)
    source, made = codes(1), codes(2)
    answer = Answer(tuple(bundle.vocabulary.interleave(made)), True)
    attempt = Attempt(request=triplet(1).request, source=source, row=([], []), answer=answer)
    expected = 2 * (1 - word_distance(bundle.linguistic.codebook, source, made))
    assert float(total([attempt])[0]) == pytest.approx(expected, abs=1e-6)


def test_a_reward_of_weight_0_loads_no_tokenizer(bundles: Path):
    bundle = Registry([bundles], {}).load("tiny", device="cpu")
    team = Team(rank=0, world=1, device=torch.device("cpu"))
    reward_of(RewardWeights(model=0.0, length=1.0), bundle, None, ModelConfig(), team)
    assert bundle.loaded == ()


# stopping


def resumed_equals_unbroken(
    train: Callable[..., Any], config: Any, folder: Path, **extra: Any
) -> None:
    train(config, folder / "unbroken", **extra)
    train(config, folder / "stopped", stop_at=3, **extra)
    assert len(curve(folder / "stopped")) == 3
    train(config, folder / "stopped", **extra)
    assert curve(folder / "stopped") == curve(folder / "unbroken")
    for path in (folder / "unbroken").glob("*.safetensors"):
        again = load_file(folder / "stopped" / path.name)
        assert all(torch.equal(again[name], tensor) for name, tensor in load_file(path).items())


def test_stopped_and_resumed_sft_has_the_losses_of_one_never_stopped(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    config = sft.SFTConfig(
        data=(data["triplets"],), epochs=1.5, batch=3, optimizer=fast(1e-2), model=model, run=RUN
    )
    resumed_equals_unbroken(sft.train, config, tmp_path)


def test_stopped_and_resumed_ppo_has_the_losses_of_one_never_stopped(
    data: dict[str, str], model: ModelConfig, start: str, judge: str, tmp_path: Path, sevens: Any
):
    config = replace(ppo_config(data, model, start, judge), steps=5, critic_warmup=1)
    resumed_equals_unbroken(ppo.train, config, tmp_path, total=sevens)


def test_a_run_with_other_settings_is_not_gone_on_with(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    config = sft.SFTConfig(data=(data["triplets"],), batch=5, model=model, run=RUN)
    sft.train(config, tmp_path / "run", stop_at=1)
    with pytest.raises(ValueError, match="has a run with another config; a run resumes only"):
        sft.train(replace(config, batch=4), tmp_path / "run")


def test_a_run_says_what_it_was_made_of(data: dict[str, str], model: ModelConfig, tmp_path: Path):
    config = sft.SFTConfig(data=(data["triplets"],), batch=5, model=model, run=RUN)
    sft.train(config, tmp_path, stop_at=1)
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["recipe"] == "sft"
    assert about["config"]["run"]["seed"] == 0
    assert about["config"]["batch"] == 5
    assert len(about["data triplets"]) == len(about["bundle"]) == 64


# sharing


def test_products_in_bf16_begin_at_nearly_the_loss_of_float32(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    losses = []
    for precision in ("fp32", "bf16"):
        config = sft.SFTConfig(
            data=(data["triplets"],),
            epochs=2,
            batch=10,
            optimizer=fast(1e-3),
            model=replace(model, precision=precision, checkpointing=True),
            run=RUN,
        )
        sft.train(config, tmp_path / precision)
        losses.append([line["loss"] for line in curve(tmp_path / precision)])
    # bf16 keeps 8 bits: about 0.4 % of a logit
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1] != losses[0]


def test_the_pairs_least_told_apart_become_prompts_of_ppo(
    data: dict[str, str],
    model: ModelConfig,
    start: str,
    judge: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sevens: Any,
):
    out = tmp_path / "hard"
    options = ("--reward", judge, "--count", "3", "--out", str(out))
    assert cli.main(["data", "hardest", data["pairs"], *options]) == 0
    assert json.loads(capsys.readouterr().out)["new"] == 3
    margins = reward_model.pair_margins(Path(judge), by_prompt(Dataset(data["pairs"])))
    lowest = sorted(margins, key=lambda p: margins[p][0])[:3]
    assert {example.prompt_id for example in Dataset(out)} == set(lowest)
    config = replace(ppo_config({"triplets": str(out)}, model, start, judge), steps=1, batch=2)
    ppo.train(config, tmp_path / "run", total=sevens)
    assert len(curve(tmp_path / "run")) == 1


# what is left behind


def test_the_exported_bundle_loads_with_the_trained_weights(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    config = sft.SFTConfig(
        data=(data["triplets"],),
        batch=10,
        optimizer=fast(1e-2),
        model=model,
        run=RunConfig(device="cpu"),
    )
    sft.train(config, tmp_path / "mine")
    made = Registry().load(str(tmp_path / "mine" / "bundle"), device="cpu")
    assert made.name == "tiny-mine"
    trained = load_file(tmp_path / "mine" / LLM)
    for name, weight in made.llm.state_dict().items():
        # a bundle stores half precision
        torch.testing.assert_close(weight, trained[name], atol=2e-3, rtol=1e-3)


def test_adapters_train_alone_and_fit_the_base_again(
    data: dict[str, str], model: ModelConfig, start: str, tmp_path: Path, bundles: Path
):
    config = sft.SFTConfig(
        data=(data["triplets"],),
        epochs=4,
        batch=10,
        optimizer=fast(1e-2),
        model=replace(model, adapters=True),
        run=RUN,
    )
    sft.train(config, tmp_path)
    losses = [line["loss"] for line in curve(tmp_path)]
    assert losses[-1] < losses[0]
    base = Registry([bundles], {}).load("tiny", device="cpu", precision="fp32").llm
    merged = load_file(tmp_path / LLM)
    assert torch.equal(merged["lm_head.weight"], base.lm_head.weight)
    name = "model.layers.0.mlp.up_proj"
    again = load_adapter(base, tmp_path / "adapter.safetensors")
    weight = again.get_submodule(name).dense()  # type: ignore[operator]
    torch.testing.assert_close(weight, merged[f"{name}.weight"])
    assert not torch.equal(weight, again.get_submodule(name).weight)


def test_each_emotion_is_also_learnt_backwards(data: dict[str, str], model: ModelConfig):
    bundle = Registry().load(model.bundle, device="cpu")
    items = Examples((data["triplets"],), bundle, ("triplet",), longest=200, inverses=True)
    assert len(items) == 20
    forth, back = items[0], items[1]
    assert (forth.request.option, back.request.option) == ("happy", "remove")
    assert torch.equal(back.source.linguistic, forth.target.linguistic)
    assert torch.equal(back.target.semantic, forth.source.semantic)


def test_items_that_are_too_long_are_left_out(data: dict[str, str], model: ModelConfig):
    bundle = Registry().load(model.bundle, device="cpu")
    items = Examples((data["triplets"],), bundle, ("triplet",), longest=200)
    rows = [sft.rows_of(bundle, items[i])[0] for i in range(10)]
    longest = max(len(p) + len(a) for p, a in rows)
    kept = Examples((data["triplets"],), bundle, ("triplet",), longest=longest)
    assert len(kept) == 10
    assert len(Examples((data["triplets"],), bundle, ("triplet",), longest=longest - 1)) < 10


# schedule, order, settings


def test_the_rate_climbs_then_falls_by_half_a_cosine_to_its_end():
    config = OptimizerConfig(lr=1e-6, last_lr=2e-7, warmup=0.2)
    rates = [cosine_rate(step, 10, config) for step in range(10)]
    assert rates[:3] == pytest.approx([5e-7, 1e-6, 1e-6])
    assert rates[-1] == pytest.approx(2e-7)
    # a quarter of the way from step 2 to step 9 would be 3.75: step 5 is at 3/7
    assert rates[5] == pytest.approx(2e-7 + 8e-7 * (1 + math.cos(math.pi * 3 / 7)) / 2)
    assert cosine_rate(0, 1, OptimizerConfig()) == 1e-5


def test_every_epoch_holds_every_item_once_in_another_order():
    draw = Sampler(7, 3, seed=1)
    seen = [i for step in range(7) for i in draw(step)]
    epochs = [seen[k : k + 7] for k in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert Sampler(7, 3, seed=1)(4) == draw(4)
    assert Sampler(7, 7, seed=1)(0) != Sampler(7, 7, seed=2)(0)


def test_no_items_are_an_error():
    with pytest.raises(ValueError, match="has nothing to train on"):
        Sampler(0, 3, seed=1)


def test_the_command_trains_and_prints_where(
    data: dict[str, str], bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    changes = (f"data=[{data['triplets']}]", f"model.bundle={bundles / 'tiny'}", "run.device=cpu")
    options = [part for change in changes for part in ("--set", change)]
    out = tmp_path / "run"
    arguments = ["train", "sft", "--config", "nano", *options, "--out", str(out)]
    assert cli.main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["out"] == str(out)
    assert said["steps"] == len(curve(out))
    assert (out / "bundle" / "bundle.json").is_file()


def test_training_without_data_says_what_to_add(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["train", "dpo", "--config", "nano", "--out", str(tmp_path / "o")]) == 2
    assert "names no data; one data folder or more is needed" in capsys.readouterr().err


def test_a_start_that_is_no_finished_run_is_named(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    config = sft.SFTConfig(
        data=(data["triplets"],), model=replace(model, start=str(tmp_path / "nowhere")), run=RUN
    )
    with pytest.raises(
        ValueError, match=r"'nowhere' has no llm.safetensors; expected is the folder of a"
    ):
        sft.train(config, tmp_path / "o")
