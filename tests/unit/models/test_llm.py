"""The language model against written-out formulas and against the official trainable copy."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.models.llm import LMConfig, RMSNorm, Step1LM, sqrt_alibi_bias, sqrt_alibi_slopes
from stepedit_core.models.llm_cache import KVCache
from stepedit_core.models.llm_step import FusedLayer, Norm
from stepedit_core.models.packed import can_pack, unpack
from tests.decoding import prefill, step

GOLDEN = Path(__file__).parents[2] / "golden"
# float32 sums in another order; logits are of size 4
CLOSE = {"atol": 2e-5, "rtol": 0.0}


def capture_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "capture_language", GOLDEN / "capture_language.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def capture() -> ModuleType:
    return capture_module()


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    data = np.load(GOLDEN / "language_lm.npz")
    return {name: torch.from_numpy(data[name]) for name in data.files}


@pytest.fixture(scope="module")
def model(capture: ModuleType) -> Step1LM:
    lm = Step1LM(LMConfig(**capture.CONFIG)).eval()
    shapes = {name: tuple(value.shape) for name, value in lm.state_dict().items()}
    weights = capture.seeded_weights(shapes, capture.SEED)
    lm.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return lm


@pytest.fixture(scope="module")
def ids(capture: ModuleType) -> Tensor:
    return torch.from_numpy(capture.seeded_ids(capture.SEED))


def prompts_of(capture: ModuleType, ids: Tensor) -> list[list[int]]:
    return [ids[row, :length].tolist() for row, length in enumerate(capture.PROMPT_LENGTHS)]


def naive_hidden(lm: Step1LM, ids: list[int]) -> Tensor:
    """Spec 6.2 one head and one query at a time: (L, D) in float64."""
    config = lm.config
    weights = {name: value.double() for name, value in lm.state_dict().items()}
    dim, heads = config.head_dim, config.num_attention_heads
    share = heads // config.num_attention_groups

    def norm(x: Tensor, name: str) -> Tensor:
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + config.rms_norm_eps) * weights[name]

    x = weights["model.embed_tokens.weight"][ids]
    n = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * m / n) for m in range(1, n + 1)]
    slopes += [2 ** (-4 * m / n) for m in range(1, 2 * (heads - n), 2)]
    for i in range(config.num_hidden_layers):
        base = f"model.layers.{i}."
        h = norm(x, base + "input_layernorm.weight")
        q, k, v = (h @ weights[f"{base}self_attn.{p}_proj.weight"].T for p in "qkv")
        out = torch.zeros_like(x)
        for head in range(heads):
            mine = slice(head * dim, head * dim + dim)
            group = slice(head // share * dim, head // share * dim + dim)
            for at in range(len(ids)):
                scores = k[: at + 1, group] @ q[at, mine] / math.sqrt(dim)
                far = torch.tensor([math.sqrt(at - j) for j in range(at + 1)])
                attention = torch.softmax(scores - slopes[head] * far, 0)
                out[at, mine] = attention @ v[: at + 1, group]
        x = x + out @ weights[base + "self_attn.o_proj.weight"].T
        h = norm(x, base + "post_attention_layernorm.weight")
        gate = h @ weights[base + "mlp.gate_proj.weight"].T
        up = h @ weights[base + "mlp.up_proj.weight"].T
        x = x + (gate * torch.sigmoid(gate) * up) @ weights[base + "mlp.down_proj.weight"].T
    return norm(x, "model.norm.weight")


def test_default_config_has_the_291_released_tensors() -> None:
    with torch.device("meta"):
        lm = Step1LM(LMConfig())
    shapes = {name: tuple(value.shape) for name, value in lm.state_dict().items()}
    assert len(shapes) == 291
    assert shapes["model.embed_tokens.weight"] == shapes["lm_head.weight"] == (74752, 3072)
    assert shapes["model.norm.weight"] == (3072,)
    last = "model.layers.31."
    assert shapes[last + "self_attn.q_proj.weight"] == (3072, 3072)
    assert shapes[last + "self_attn.k_proj.weight"] == (256, 3072)
    assert shapes[last + "self_attn.v_proj.weight"] == (256, 3072)
    assert shapes[last + "self_attn.o_proj.weight"] == (3072, 3072)
    assert shapes[last + "mlp.gate_proj.weight"] == (8192, 3072)
    assert shapes[last + "mlp.up_proj.weight"] == (8192, 3072)
    assert shapes[last + "mlp.down_proj.weight"] == (3072, 8192)
    assert shapes[last + "input_layernorm.weight"] == (3072,)
    assert shapes[last + "post_attention_layernorm.weight"] == (3072,)
    assert sum(math.prod(shape) for shape in shapes.values()) == 3_529_706_496


def test_golden_file_is_the_one_in_the_manifest() -> None:
    manifest = json.loads((GOLDEN / "language.manifest.json").read_text())
    for name, entry in manifest.items():
        data = (GOLDEN / name).read_bytes()
        assert len(data) <= 200_000
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]


def test_slopes_of_48_heads_are_the_listed_ones() -> None:
    slopes = sqrt_alibi_slopes(48)
    assert slopes.dtype == torch.float32
    expected = [2 ** (-m / 4) for m in range(1, 33)] + [2 ** (-k / 8) for k in range(1, 32, 2)]
    # float32 powers of a rounded base: up to 32 roundings of 6e-8
    torch.testing.assert_close(slopes, torch.tensor(expected), rtol=4e-6, atol=0.0)
    assert slopes[31] == pytest.approx(0.00390625, rel=4e-6)
    assert slopes[47] == pytest.approx(0.06815, abs=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 6, 8, 12, 20, 48, 96])
def test_slopes_fit_every_head_count(heads: int) -> None:
    slopes = sqrt_alibi_slopes(heads)
    assert slopes.shape == (heads,)
    assert len(set(slopes.tolist())) == heads
    assert ((slopes > 0) & (slopes < 1)).all()


def test_bias_equals_the_official_bias(golden: dict[str, Tensor]) -> None:
    # same operations, so the same bits on one processor; its power function rounds the last bit of
    # a slope, and with it of the bias, another way than the processor of the golden file
    ulp = {"rtol": 2 * torch.finfo(torch.float32).eps, "atol": 0.0}
    bias = sqrt_alibi_bias(24, 24, sqrt_alibi_slopes(6))
    torch.testing.assert_close(bias, golden["bias_6_heads"], **ulp)
    last = sqrt_alibi_bias(1, 24, sqrt_alibi_slopes(48))[:, 0]
    torch.testing.assert_close(last, golden["bias_48_heads_last_query"], **ulp)


def test_norm_casts_its_factor_before_it_multiplies() -> None:
    norm = RMSNorm(64, 1e-5).bfloat16()
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(1)).bfloat16()
    factor = (1 / torch.sqrt((x.float() ** 2).mean(-1, keepdim=True) + 1e-5)).bfloat16()
    assert torch.equal(norm(x), x * factor)


def test_forward_equals_the_formula_one_head_and_query_at_a_time(
    model: Step1LM, ids: Tensor
) -> None:
    with torch.no_grad():
        hidden = model(ids[:1, :12])[0]
    # float32 against float64
    torch.testing.assert_close(hidden.double(), naive_hidden(model, ids[0, :12].tolist()), **CLOSE)


def test_prefill_and_training_logits_equal_the_official_model(
    model: Step1LM, capture: ModuleType, ids: Tensor, golden: dict[str, Tensor]
) -> None:
    for row, prompt in enumerate(prompts_of(capture, ids)):
        with torch.no_grad():
            logits = model.logits(model(torch.tensor([prompt])))[0]
        torch.testing.assert_close(logits, golden[f"prefill_{row}"], **CLOSE)
        cached = prefill(model, [prompt], model.new_cache(1, len(prompt)))[0]
        torch.testing.assert_close(cached, golden[f"prefill_{row}"][-1], **CLOSE)


@pytest.mark.parametrize("rows", [(0,), (3,), (0, 1, 2, 3), (3, 1)])
@pytest.mark.parametrize("fused", [True, False])
def test_cached_decode_equals_the_official_model(
    model: Step1LM,
    capture: ModuleType,
    ids: Tensor,
    golden: dict[str, Tensor],
    rows: tuple[int, ...],
    fused: bool,
) -> None:
    prompts = [prompts_of(capture, ids)[row] for row in rows]
    cache = model.new_cache(len(rows), 60)
    prefill(model, prompts, cache)
    assert cache.fused is not None
    if not fused:
        cache.fused = None
    for at in range(capture.STEPS):
        newest = torch.stack([ids[row, capture.PROMPT_LENGTHS[row] + at] for row in rows])
        logits = step(model, newest, cache)
        expected = torch.stack([golden[f"decode_{row}"][at] for row in rows])
        torch.testing.assert_close(logits, expected, **CLOSE)


@pytest.mark.parametrize("fused", [True, False])
def test_a_frozen_model_whose_layers_are_reordered_equals_the_official_one(
    model: Step1LM, capture: ModuleType, ids: Tensor, golden: dict[str, Tensor], fused: bool
) -> None:
    frozen = copy.deepcopy(model).requires_grad_(False)
    prompt = prompts_of(capture, ids)[0]
    for _ in range(2):  # the second time with what the first has reordered
        cache = frozen.new_cache(1, 60)
        logits = prefill(frozen, [prompt], cache)[0]
        torch.testing.assert_close(logits, golden["prefill_0"][-1], **CLOSE)
        if not fused:
            cache.fused = None
        for at in range(capture.STEPS):
            newest = ids[:1, len(prompt) + at]
            logits = step(frozen, newest, cache)[0]
            torch.testing.assert_close(logits, golden["decode_0"][at], **CLOSE)
    layer = frozen.model.layers[0].mlp.up_proj
    assert layer.is_packed == can_pack(torch.float32)


def test_prefill_of_a_batch_equals_batch_1_exactly(
    model: Step1LM, capture: ModuleType, ids: Tensor
) -> None:
    prompts = prompts_of(capture, ids)
    cache = model.new_cache(5, 50)
    together = model.prefill_hidden([*prompts, prompts[1]], cache)
    for row, prompt in enumerate([*prompts, prompts[1]]):
        single = model.new_cache(1, 50)
        assert torch.equal(together[row], model.prefill_hidden([prompt], single)[0])
        filled = cache.kv[:, row, ..., 40 - len(prompt) : 40, :]
        assert torch.equal(filled, single.kv[:, 0, ..., : len(prompt), :])


def test_long_prompts_are_attended_in_blocks_with_equal_result(
    model: Step1LM, ids: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = ids[0, :40].tolist()
    whole = prefill(model, [prompt], model.new_cache(1, 40))
    monkeypatch.setattr("stepedit_core.models.llm.PREFILL_BLOCK", 16)
    torch.testing.assert_close(prefill(model, [prompt], model.new_cache(1, 40)), whole, **CLOSE)


def test_right_padding_changes_nothing_before_it(model: Step1LM, ids: Tensor) -> None:
    padded = torch.cat([ids[:, :9], torch.zeros(4, 7, dtype=torch.int64)], 1)
    with torch.no_grad():
        torch.testing.assert_close(model(padded)[:, :9], model(ids[:, :9]), **CLOSE)


def test_rows_left_after_others_ended_continue_as_alone(
    model: Step1LM, capture: ModuleType, ids: Tensor, golden: dict[str, Tensor]
) -> None:
    cache = model.new_cache(4, 60)
    prefill(model, prompts_of(capture, ids), cache)
    keep = [1, 3]
    for at in range(capture.STEPS):
        if at == 2:
            cache.select(torch.tensor(keep))
        rows = keep if at >= 2 else [0, 1, 2, 3]
        newest = torch.stack([ids[row, capture.PROMPT_LENGTHS[row] + at] for row in rows])
        logits = step(model, newest, cache)
        expected = torch.stack([golden[f"decode_{row}"][at] for row in rows])
        torch.testing.assert_close(logits, expected, **CLOSE)


def test_a_head_range_gives_the_same_logits_as_the_whole_head(model: Step1LM) -> None:
    hidden = torch.randn(3, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        # another matrix shape takes another sum order
        torch.testing.assert_close(
            model.logits(hidden, 40, 90), model.logits(hidden)[:, 40:90], **CLOSE
        )


def test_gradients_reach_every_tensor(model: Step1LM, capture: ModuleType) -> None:
    lm = Step1LM(LMConfig(**capture.CONFIG))
    lm.initialise(torch.Generator().manual_seed(3))
    logits = lm.logits(lm(torch.arange(12).view(2, 6)))
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.arange(12)).backward()
    for name, weight in lm.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_initialise_depends_on_its_generator_alone(capture: ModuleType) -> None:
    first, second = (Step1LM(LMConfig(**capture.CONFIG)) for _ in range(2))
    first.initialise(torch.Generator().manual_seed(4))
    second.initialise(torch.Generator().manual_seed(4))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert float(first.model.embed_tokens.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_bad_configs_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match="hidden_size 100 is not a multiple of num_attention_heads"
    ):
        LMConfig(hidden_size=100, num_attention_heads=48)
    with pytest.raises(ValueError, match="not a multiple of num_attention_groups 5"):
        LMConfig(num_attention_groups=5)


def test_caches_that_do_not_fit_are_refused_with_the_remedy(model: Step1LM) -> None:
    with pytest.raises(ValueError, match="2 prompts of 3 to 5 ids do not fit a cache of 2 rows"):
        prefill(model, [[1, 2, 3], [1, 2, 3, 4, 5]], model.new_cache(2, 4))
    with pytest.raises(ValueError, match="do not fit a cache of 1 rows"):
        prefill(model, [[1], [2]], model.new_cache(1, 4))
    with pytest.raises(ValueError, match="prompts must hold 1 id or more"):
        prefill(model, [[]], model.new_cache(1, 4))
    with pytest.raises(ValueError, match="Call prefill_hidden first"):
        step(model, torch.tensor([1]), model.new_cache(1, 4))
    full = model.new_cache(1, 2)
    prefill(model, [[1, 2]], full)
    with pytest.raises(ValueError, match="2 of 2 ids filled"):
        step(model, torch.tensor([1]), full)
    with pytest.raises(ValueError, match="takes up to 32768"):
        model.new_cache(1, 40_000)


def test_the_cache_is_the_callers_and_two_runs_do_not_meet(model: Step1LM, ids: Tensor) -> None:
    first, second = model.new_cache(1, 20), model.new_cache(1, 20)
    assert isinstance(first, KVCache)
    prefill(model, [ids[0, :5].tolist()], first)
    expected = step(model, ids[0, 5:6], first)
    prefill(model, [ids[0, :5].tolist()], first)
    prefill(model, [ids[1, :9].tolist()], second)
    step(model, ids[1, 9:10], second)
    assert torch.equal(step(model, ids[0, 5:6], first), expected)


def test_the_norm_of_the_decode_path_is_the_layers_own() -> None:
    """Float32 differs by the rounding of another order of sums, bfloat16 not at all."""
    generator = torch.Generator().manual_seed(5)
    for dtype, apart in ((torch.float32, 2e-6), (torch.bfloat16, 0)):
        norm = RMSNorm(320, 1e-5).to(dtype)
        with torch.no_grad():
            norm.weight.normal_(1.0, 0.1, generator=generator)
            for size in (3.0, 1e-3, 0.0):  # the last two are where eps counts
                x = (size * torch.randn(20, 320, generator=generator)).to(dtype)
                torch.testing.assert_close(Norm(norm)(x), norm(x), rtol=apart, atol=0)


@pytest.mark.parametrize("limit", [0, 10**9], ids=["large", "small"])
def test_the_head_of_a_slot_has_its_rows_and_the_end(
    model: Step1LM, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("stepedit_core.models.llm.FUSE_LIMIT", limit)
    hidden = torch.randn(3, model.config.hidden_size)
    with torch.no_grad():
        made = model.slot_head(40, 90, 3)(hidden)
        want = model.logits(hidden)
    torch.testing.assert_close(made, torch.cat([want[:, 40:90], want[:, 3:4]], 1), **CLOSE)


@pytest.mark.parametrize("reorder", [True, False])
def test_joined_weights_are_made_once_and_anew_when_the_weights_change(
    model: Step1LM, ids: Tensor, reorder: bool
) -> None:
    own = copy.deepcopy(model)
    own.requires_grad_(not reorder)
    prompt = ids[0, :9].tolist()

    def fused() -> tuple[list[FusedLayer], Tensor]:
        cache = own.new_cache(1, 12)
        own.prefill_hidden([prompt], cache)
        assert cache.fused is not None
        return cache.fused, own.step_hidden(ids[:1, 9], cache)

    fused()
    (first, before), (second, again) = fused(), fused()
    assert first is second
    assert torch.equal(before, again)
    unpack(own)
    with torch.no_grad():
        own.model.layers[1].mlp.down_proj.weight.mul_(1.5)
    third, after = fused()
    assert third is not second
    with torch.no_grad():
        want = own(ids[:1, :10])[:, -1]
    torch.testing.assert_close(after, want, **CLOSE)
    assert copy.deepcopy(own)._fused is not own._fused
