"""Adapters: silent until trained, equal to the formula, saved, loaded, merged, generating."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.lora import (
    LoraConfig,
    LoraLinear,
    adapters,
    attach,
    load_adapter,
    merge,
    save_adapter,
    switched_off,
)
from tests.decoding import prefill, step

CONFIG = LMConfig(
    vocab_size=40,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_attention_groups=2,
    max_seq_len=64,
)
LORA = LoraConfig(rank=3, alpha=6.0)
IDS = torch.tensor([[1, 5, 9, 30, 2, 2, 17]])
# float32 sums in another order
CLOSE = {"atol": 1e-5, "rtol": 0.0}


def model(seed: int = 0) -> Step1LM:
    lm = Step1LM(CONFIG)
    lm.initialise(torch.Generator().manual_seed(seed), std=0.2)
    return lm


def trained(lm: Step1LM, seed: int = 1) -> Step1LM:
    """With adapters that do something."""
    attach(lm, LORA, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for _, layer in adapters(lm):
            layer.lora_b.normal_(0, 0.2, generator=generator)
    return lm


@torch.no_grad()
def said(lm: Step1LM) -> Tensor:
    return lm.logits(lm(IDS))


def test_a_new_adapter_changes_nothing_and_only_it_learns():
    before = said(model())
    lm = attach(model(), LORA, torch.Generator().manual_seed(1))
    assert torch.equal(said(lm), before)
    learning = {name for name, p in lm.named_parameters() if p.requires_grad}
    assert len(learning) == 2 * 7 * 2
    assert all(name.rpartition(".")[2] in ("lora_a", "lora_b") for name in learning)


def test_an_adapter_adds_the_scaled_product():
    lm = trained(model())
    layer = lm.model.layers[1].mlp.down_proj
    assert isinstance(layer, LoraLinear)
    x = torch.randn(5, 24, generator=torch.Generator().manual_seed(3))
    expected = x @ layer.weight.T + 2.0 * (x @ layer.lora_a.T) @ layer.lora_b.T
    torch.testing.assert_close(layer(x), expected, **CLOSE)
    assert not torch.allclose(layer(x), x @ layer.weight.T, atol=0.05)


def test_switched_off_it_is_the_model_it_was_attached_to():
    before = said(model())
    lm = trained(model())
    assert not torch.allclose(said(lm), before, atol=0.05)
    with switched_off(lm):
        assert torch.equal(said(lm), before)
    assert not torch.allclose(said(lm), before, atol=0.05)


def test_merged_it_is_a_plain_model_that_says_the_same():
    lm = trained(model())
    before = said(lm)
    merge(lm)
    assert not adapters(lm)
    assert {n: p.shape for n, p in lm.named_parameters()} == {
        n: p.shape for n, p in model().named_parameters()
    }
    torch.testing.assert_close(said(lm), before, **CLOSE)


def test_generating_uses_the_adapters():
    lm = trained(model()).requires_grad_(False)
    prompt, rest = IDS[0, :4].tolist(), IDS[0, 4:]
    cache = lm.new_cache(1, 7)
    found = [prefill(lm, [prompt], cache)]
    found += [step(lm, rest[k : k + 1], cache) for k in range(3)]
    torch.testing.assert_close(torch.cat(found), said(lm)[0, 3:], **CLOSE)


def test_a_saved_adapter_brings_a_fresh_model_to_the_same(tmp_path: Path):
    lm = trained(model())
    save_adapter(lm, tmp_path / "a.safetensors", LORA, base="abc")
    again = load_adapter(model(), tmp_path / "a.safetensors", ["abc", "def"])
    assert torch.equal(said(again), said(lm))
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_adapters_of_other_weights_or_sizes_are_refused(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_adapter(trained(model()), path, LORA, base="a" * 64)
    with pytest.raises(
        ValueError, match="belongs to the weights aaaaaaaaaaaa; these are bbbbbbbbbbbb"
    ):
        load_adapter(model(), path, ["b" * 64])
    deeper = Step1LM(LMConfig(**{**CONFIG.__dict__, "num_hidden_layers": 3}))
    with pytest.raises(ValueError, match="does not fit the model: 14 tensors differ"):
        load_adapter(deeper, path)
    assert not adapters(deeper)
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="not a readable safetensors"):
        load_adapter(model(), path)


def test_layers_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="asked for nothing_proj; allowed are linear layers"):
        attach(model(), LoraConfig(targets=("q_proj", "nothing_proj")), torch.Generator())
    with pytest.raises(ValueError, match="layers that have one"):
        attach(trained(model()), LORA, torch.Generator())
