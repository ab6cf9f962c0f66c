"""The linguistic tokenizer against the official chunk loop, and its laws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stepedit_core.audio.fbank import linguistic_features
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
from stepedit_core.models.packed import unpack
from tests.golden.tokenizers_capture import (
    HIDDEN_RESTS,
    LINGUISTIC,
    PIECE,
    REST,
    SEED,
    WHOLE,
    golden,
    seeded_state,
    shapes_of,
)

# float32 sums in another order after filter banks that differ by 3e-5; hidden rows are of size 4
CLOSE = {"atol": 5e-5, "rtol": 0.0}
# the same features in another batch: only the order of sums differs
SAME = {"atol": 1e-5, "rtol": 0.0}


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    return golden("linguistic")


@pytest.fixture(scope="module")
def model(stored: dict[str, Tensor]) -> LinguisticTokenizer:
    tokenizer = LinguisticTokenizer(LinguisticConfig(**LINGUISTIC))
    tokenizer.encoder.load_state_dict(seeded_state(shapes_of(tokenizer.encoder), SEED))
    tokenizer.codebook.copy_(stored["codebook"])
    tokenizer.cmvn_shift.copy_(stored["cmvn"][0])
    tokenizer.cmvn_rescale.copy_(stored["cmvn"][1])
    return tokenizer.eval().requires_grad_(False)  # as loaded: layers reorder their weights


@pytest.fixture(scope="module")
def features(stored: dict[str, Tensor]) -> Tensor:
    return linguistic_features(stored["wave"])


@pytest.mark.parametrize("rest", HIDDEN_RESTS)
def test_hidden_rows_equal_the_official_chunk_loop(rest, model, stored):
    wave = stored["wave"][: PIECE * WHOLE + REST * rest]
    got = model.hidden(linguistic_features(wave)[None])[0]
    torch.testing.assert_close(got, stored[f"hidden_{rest}"], **CLOSE)


def test_a_clip_shorter_than_one_chunk_equals_the_official_loop(model, stored):
    got = model.hidden(linguistic_features(stored["wave"][: REST * 9])[None])[0]
    assert got.shape[0] < 4
    torch.testing.assert_close(got, stored["hidden_short"], **CLOSE)


def test_codes_equal_the_official_ones(model, stored, features):
    assert torch.equal(model.encode(features[None])[0], stored["codes"])


def test_padding_and_batch_mates_change_nothing(model, features):
    lengths = torch.tensor([features.shape[0], 13, 4, 1, 0])
    batch = features.repeat(5, 1, 1)
    batch[1:, 20:] = 1e4  # what lies in the padding must not matter
    hidden = model.hidden(batch, lengths)
    codes = model.encode(batch, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert float(hidden[row, length:].abs().sum()) == 0.0
        assert int(codes[row, length:].sum()) == 0
        if length:
            alone = features[None, :length]
            torch.testing.assert_close(hidden[row, :length], model.hidden(alone)[0], **SAME)
            assert torch.equal(codes[row, :length], model.encode(alone)[0])


def test_a_row_sees_its_chunk_and_nothing_later(model, features):
    changed = features.clone()
    changed[12:] += 1.0  # chunks of 4: rows 12 to 15 are the fourth
    before, after = model.hidden(features[None])[0], model.hidden(changed[None])[0]
    torch.testing.assert_close(after[:12], before[:12], **SAME)
    assert float((after[12] - before[12]).abs().max()) > 1e-2
    inside = features.clone()
    inside[15] += 1.0
    assert float((model.hidden(inside[None])[0][12] - before[12]).abs().max()) > 1e-4


def test_gradients_reach_every_parameter_and_are_finite_beside_an_empty_clip(model, features):
    unpack(model)
    model.requires_grad_(True)
    try:
        model.hidden(features.repeat(2, 1, 1), torch.tensor([20, 0])).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert bool(torch.isfinite(parameter.grad).all()), name
            assert float(parameter.grad.abs().max()) > 0.0, name
    finally:
        model.zero_grad()
        model.requires_grad_(False)


def test_the_default_config_has_the_652_tensors_of_the_release():
    with torch.device("meta"):
        encoder = LinguisticTokenizer(LinguisticConfig()).encoder
    shapes = shapes_of(encoder)
    assert len(shapes) == 652  # spec 11.5
    assert shapes["encoders0.0.self_attn.linear_q_k_v.weight"] == (1536, 560)
    assert shapes["encoders.48.self_attn.fsmn_block.weight"] == (512, 1, 11)
    assert shapes["encoders.0.feed_forward.w_2.weight"] == (512, 2048)
    assert shapes["after_norm.bias"] == (512,)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"d_model is 30, heads 4; .* multiple .* Change one"):
        LinguisticConfig(d_model=30)
