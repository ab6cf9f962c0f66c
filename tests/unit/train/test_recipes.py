"""The recipes at toy sizes: they learn, they resume to the same losses, they leave what loads."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from stepedit_core import cli
from stepedit_core.bundle.saving import save_module
from stepedit_core.data.records import Example
from stepedit_core.data.select import by_prompt
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.files.strict import to_json
from stepedit_core.measure.words import word_distance
from stepedit_core.models.llm import Step1LM
from stepedit_core.models.lora import load_adapter
from stepedit_core.pipelines.sampling import Answer
from stepedit_core.registry.registry import Registry
from stepedit_core.train import dpo, grpo, ppo, reward_model, sft
from stepedit_core.train.attempts import Attempt, RolloutConfig
from stepedit_core.train.batches import Sampler, parts_of
from stepedit_core.train.compare import compare, rewards_table
from stepedit_core.train.config import ModelConfig, OptimizerConfig, RunConfig, read_config
from stepedit_core.train.items import LLM, Examples
from stepedit_core.train.optimise import cosine_rate
from stepedit_core.train.reward_terms import RewardWeights, reward_of
from stepedit_core.train.team import Team
from stepedit_core.types import DualCodes, EditRequest

RECIPES: dict[str, Any] = {
    "sft": sft.SFTConfig,
    "reward": reward_model.RewardConfig,
    "ppo": ppo.PPOConfig,
    "dpo": dpo.DPOConfig,
    "grpo": grpo.GRPOConfig,
}
ROOT = Path(__file__).parents[3]
FAVOURITES = (7, 11, 500, 900)
"""Linguistic codes that the toy policy likes from the start."""


def codes(seed: int, groups: int = 2) -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
        semantic=torch.randint(0, 4096, (3 * groups,), generator=generator),
        codebook="tiny-1",
    )


def triplet(number: int) -> Example:
    return Example(
        kind="triplet",
        request=EditRequest(kind="emotion", option="happy", text="hello world"),
        source=replace(codes(number), linguistic=torch.tensor(FAVOURITES)),
        target=replace(codes(100 + number), linguistic=torch.tensor(FAVOURITES)),
        margin=7.0,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Ten triplets, and ten pairs of which two are held out."""
    root = tmp_path_factory.mktemp("data")
    with Writer(root / "triplets", "tiny-1") as writer:
        writer.add_all(triplet(n) for n in range(10))
    with Writer(root / "pairs", "tiny-1") as writer:
        writer.add_all(
            replace(
                triplet(n),
                kind="pair",
                rejected=codes(200 + n),
                split="dev" if n > 7 else "train",
            )
            for n in range(10)
        )
    return {name: str(root / name) for name in ("triplets", "pairs")}


@pytest.fixture(scope="module")
def model(bundles: Path) -> ModelConfig:
    return ModelConfig(
        bundle=str(bundles / "tiny"), precision="fp32", checkpointing=False, micro_ids=200
    )


@pytest.fixture(scope="module")
def start(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run folder; its policy draws each of four linguistic codes about a fifth of the time."""
    lm = Registry([bundles], {}).load("tiny", device="cpu").llm
    folder = tmp_path_factory.mktemp("start")
    fresh = Step1LM(lm.config)
    fresh.initialise(torch.Generator().manual_seed(0))
    direction = torch.ones(lm.config.hidden_size)
    offset = lm.config.vocab_size - 5120
    with torch.no_grad():
        fresh.model.embed_tokens.weight += direction
        for code in FAVOURITES:
            fresh.lm_head.weight[offset + code] = 6.8 / len(direction)
    save_module(fresh, folder / LLM, torch.float32)
    return str(folder)


@pytest.fixture(scope="module")
def judge(data: dict[str, str], model: ModelConfig, start: str, tmp_path_factory: Any) -> str:
    """A run of the reward model, one step long."""
    out = tmp_path_factory.mktemp("judge")
    config = reward_model.RewardConfig(
        data=(data["pairs"],),
        batch=8,
        model=replace(model, start=start),
        run=RunConfig(device="cpu"),
    )
    reward_model.train(config, out)
    return str(out)


def fast(lr: float) -> OptimizerConfig:
    return OptimizerConfig(lr=lr, last_lr=lr)


def curve(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


RUN = RunConfig(device="cpu", export=False, save_every=2)


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


@pytest.fixture(scope="module")
def sevens(bundles: Path) -> Callable[[Sequence[Attempt]], tuple[Tensor, dict[str, Tensor]]]:
    """The toy reward: the share of linguistic ids that are the code 7."""
    seven = 7 + Registry([bundles], {}).load("tiny", device="cpu").manifest.audio_offset

    def total(attempts: Sequence[Attempt]) -> tuple[Tensor, dict[str, Tensor]]:
        lines = [[i for t, i in enumerate(a.answer.ids) if t % 5 < 2] for a in attempts]
        return torch.tensor([ids.count(seven) / max(1, len(ids)) for ids in lines]), {}

    return total


def ppo_config(data: dict[str, str], model: ModelConfig, start: str, judge: str) -> ppo.PPOConfig:
    return ppo.PPOConfig(
        data=(data["triplets"],),
        reward_run=judge,
        steps=16,
        critic_warmup=2,
        batch=10,
        beta=0.01,
        rollout=RolloutConfig(max_ids=10),
        optimizer=fast(1e-2),
        critic_optimizer=fast(1e-2),
        model=replace(model, start=start, micro_ids=1000),
        run=RUN,
    )


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


def test_a_run_is_compared_with_what_it_began_from_on_the_same_draws(
    data: dict[str, str], model: ModelConfig, start: str, judge: str, tmp_path: Path, sevens: Any
):
    still = replace(
        ppo_config(data, model, start, judge),
        steps=1,
        critic_warmup=1,  # the actor does not move
        rewards=RewardWeights(model=2.0, words=0.5, length=1.0),
    )
    ppo.train(still, tmp_path / "still")
    found = compare(tmp_path / "still", answers=2)
    assert sorted(found.before) == ["length", "model", "score", "words"]
    for name, values in found.before.items():
        assert values.shape == (10,)
        assert torch.equal(values, found.after[name])
    expected = 2 * found.before["model"] + 0.5 * found.before["words"] + found.before["length"]
    assert torch.allclose(found.before["score"], expected, atol=1e-5)
    ppo.train(replace(still, steps=8, critic_warmup=2), tmp_path / "moved", total=sevens)
    moved = compare(tmp_path / "moved", answers=2)
    assert torch.equal(moved.before["score"], found.before["score"])
    assert not torch.equal(moved.after["words"], moved.before["words"])
    said = rewards_table(moved).splitlines()
    gain = float((moved.after["words"] - moved.before["words"]).mean())
    (line,) = [line for line in said if line.startswith("words")]
    assert f" {gain:.3g} [" in line


def test_only_a_run_of_ppo_or_grpo_can_be_compared(judge: str, tmp_path: Path):
    for run, kind in ((Path(judge), "reward"), (tmp_path, "nothing")):
        with pytest.raises(
            ValueError, match=f"is a run of '{kind}'; one of ppo or grpo is expected"
        ):
            compare(run)


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


def test_micro_batches_give_the_gradient_of_the_whole_batch(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    curves = []
    for micro_ids in (60, 10_000):
        config = sft.SFTConfig(
            data=(data["triplets"],),
            epochs=2,
            batch=5,
            optimizer=fast(1e-2),
            model=replace(model, micro_ids=micro_ids),
            run=RUN,
        )
        sft.train(config, tmp_path / str(micro_ids))
        curves.append([line["loss"] for line in curve(tmp_path / str(micro_ids))])
    # float32 sums in another order, carried through eight steps of Adam
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)


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


def run_by(processes: int, arguments: Sequence[str], out: Path) -> list[dict[str, float]]:
    """The curve of `stepedit train` in fresh processes, more than one under torchrun."""
    runner = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = ["-m", "stepedit_core", "train", *arguments, "--out", str(out)]
    done = subprocess.run(
        [sys.executable, *(runner if processes > 1 else []), *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return curve(out)


def settings(*changes: str) -> list[str]:
    return [part for change in changes for part in ("--set", change)]


def test_two_processes_follow_the_losses_of_one(
    data: dict[str, str], bundles: Path, tmp_path: Path
):
    changes = settings(
        f"data=[{data['triplets']}]",
        *("epochs=1.5", "batch=5", "optimizer.lr=1.0e-2", "run.device=cpu", "run.save_every=2"),
        f"model.bundle={bundles / 'tiny'}",
        "model.micro_ids=100",
    )
    arguments = ["sft", "--config", "nano", *changes]
    one, two = (run_by(n, arguments, tmp_path / str(n)) for n in (1, 2))
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        # float32 sums in another order, through Adam
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
        assert a["norm"] == pytest.approx(b["norm"], rel=1e-2)
    for path in ("llm.safetensors", "state.pt", "bundle/bundle.json"):
        assert (tmp_path / "2" / path).is_file()


def test_two_processes_sample_and_learn_by_ppo_as_one_does(
    data: dict[str, str], bundles: Path, start: str, judge: str, tmp_path: Path
):
    changes = settings(
        *(f"data=[{data['triplets']}]", f"reward_run={judge}", f"model.start={start}"),
        *("steps=3", "critic_warmup=1", "batch=3", "rollout.max_ids=10", "run.device=cpu"),
        *("run.export=false", f"model.bundle={bundles / 'tiny'}"),
    )
    arguments = ["ppo", "--config", "nano", *changes]
    one, two = (run_by(n, arguments, tmp_path / str(n)) for n in (1, 2))
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for name in ("value_loss", "score", "ids", "words", "length"):
            # the same answers; float32 sums in another order
            assert a[name] == pytest.approx(b[name], rel=1e-3, abs=1e-5)


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


def test_processes_share_a_batch_without_loss_or_double():
    teams = [Team(rank=r, world=3, device=torch.device("cpu")) for r in range(3)]
    shares = [team.share(range(8)) for team in teams]
    assert sorted(i for share in shares for i in share) == list(range(8))
    alone = Team(rank=0, world=1, device=torch.device("cpu"))
    assert parts_of([5, 5, 30], 12, alone) == [([0, 1], 1.0), ([2], 1.0)]


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
        ("optimizer.lr=1e-2", "lr is text; float is expected. Correct the config; YAML reads 1e-5"),
        ("model.precision=fp16", "precision is text; Literal['bf16', 'fp32'] is expected"),
        ("batch", "--set 'batch' is not understood; KEY=VALUE is expected"),
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
    assert cli.main(["train", "dpo", "--config", "nano", "--out", str(tmp_path / "o")]) == 1
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
