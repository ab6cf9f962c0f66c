"""The letter recogniser's network against its formula, and its laws."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stepedit_core.bundle.weights import build_empty
from stepedit_core.models.letters import PER_ROW, Letters, LettersConfig
from stepedit_core.text.letters import CLASSES

CONFIG = LettersConfig(features=14, d_model=8, heads=2, layers=3, ffn=12, kernel=5)


@pytest.fixture(scope="module")
def model() -> Letters:
    torch.random.default_generator.manual_seed(1)
    network = Letters(CONFIG)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.3)
        network.cmvn_shift.normal_()
        network.cmvn_rescale.uniform_(0.5, 1.5)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def state(model: Letters) -> dict[str, Tensor]:
    """The weights in float64, as they are before a layer packs its own."""
    return {name: value.double() for name, value in model.state_dict().items()}


def by_formula(state: dict[str, Tensor], features: Tensor) -> Tensor:
    """Log-probabilities (3 T, CLASSES) of features (T, 14), row by row, head by head.

    SAN-M (arXiv:2006.01713): softmax attention plus a depthwise convolution of the values and the
    values themselves, before the output's residual; pre-norm; positions as in arXiv:2206.08317.
    """
    x = (features.double() + state["cmvn_shift"]) * state["cmvn_rescale"] * math.sqrt(8)
    half = 7
    for t in range(len(x)):
        for k in range(half):
            angle = (t + 1) * math.exp(-math.log(10_000) * k / (half - 1))
            x[t, k] += math.sin(angle)
            x[t, half + k] += math.cos(angle)
    for layer in range(3):
        name = "encoder.encoders0.0." if layer == 0 else f"encoder.encoders.{layer - 1}."
        one = {k.removeprefix(name): v for k, v in state.items() if k.startswith(name)}
        width = x.shape[1]
        normed = functional.layer_norm(x, (width,), one["norm1.weight"], one["norm1.bias"], 1e-12)
        joined = (
            normed @ one["self_attn.linear_q_k_v.weight"].T + one["self_attn.linear_q_k_v.bias"]
        )
        q, k_, v = joined.split(8, dim=1)
        heads = []
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            weights = (q[:, part] @ k_[:, part].T / 2.0).softmax(1)
            heads.append(weights @ v[:, part])
        memory = functional.conv1d(
            v.T[None], one["self_attn.fsmn_block.weight"], padding=2, groups=8
        )[0].T
        out = torch.cat(heads, 1) @ one["self_attn.linear_out.weight"].T
        out = out + one["self_attn.linear_out.bias"] + memory + v
        x = out if layer == 0 else x + out
        normed = functional.layer_norm(x, (8,), one["norm2.weight"], one["norm2.bias"], 1e-12)
        hidden = (normed @ one["feed_forward.w_1.weight"].T + one["feed_forward.w_1.bias"]).relu()
        x = x + hidden @ one["feed_forward.w_2.weight"].T + one["feed_forward.w_2.bias"]
    last = functional.layer_norm(
        x, (8,), state["encoder.after_norm.weight"], state["encoder.after_norm.bias"], 1e-12
    )
    logits = last @ state["head.weight"].T + state["head.bias"]
    return logits.view(-1, CLASSES).log_softmax(-1)


@pytest.mark.parametrize("rows", [1, 2, 5, 19])
def test_the_network_equals_its_formula(
    model: Letters, state: dict[str, Tensor], rows: int
) -> None:
    features = torch.randn(rows, 14, generator=torch.Generator().manual_seed(rows))
    got = model(features[None])[0]
    assert got.shape == (PER_ROW * rows, CLASSES)
    torch.testing.assert_close(got.double(), by_formula(state, features), atol=2e-5, rtol=0)


def test_padding_changes_nothing(model: Letters) -> None:
    features = torch.randn(2, 12, 14, generator=torch.Generator().manual_seed(9))
    both = model(features, torch.tensor([12, 7]))
    torch.testing.assert_close(
        both[1, : 7 * PER_ROW], model(features[1:, :7])[0], atol=1e-5, rtol=0
    )
    assert not both[0, : 7 * PER_ROW].equal(both[1, : 7 * PER_ROW])


def test_a_clip_without_rows_has_no_letters(model: Letters) -> None:
    assert model(torch.zeros(1, 0, 14)).shape == (1, 0, CLASSES)


def test_the_network_at_its_own_sizes_is_small() -> None:
    network = build_empty(lambda: Letters(LettersConfig()))
    count = sum(weight.numel() for weight in network.state_dict().values())
    assert 2_000_000 < count < 4_000_000  # under 8 MB in fp16


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"d_model is 10, heads 4; the width must be a multiple"):
        LettersConfig(d_model=10)
