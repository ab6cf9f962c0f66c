"""The semantic tokenizer against S3Tokenizer, and its laws."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from stepedit_core.models.packed import unpack
from stepedit_core.models.semantic import SemanticConfig, SemanticTokenizer
from tests.golden.tokenizers_capture import SEED, SEMANTIC, golden, seeded_state, shapes_of

# float32 sums in another order, on unit vectors
CLOSE = {"atol": 1e-6, "rtol": 0.0}


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    return golden("semantic")


@pytest.fixture(scope="module")
def model() -> SemanticTokenizer:
    tokenizer = SemanticTokenizer(SemanticConfig(**SEMANTIC))
    shapes = shapes_of(tokenizer)
    positions = shapes.pop("encoders.positional_embedding")
    assert positions == (1500, SEMANTIC["d_model"])
    state = seeded_state(shapes, SEED)
    state["codebook"] = torch.nn.functional.normalize(state["codebook"], dim=-1)
    tokenizer.load_state_dict(state, strict=False)
    return tokenizer.eval().requires_grad_(False)  # as loaded: layers reorder their weights


def test_a_padded_batch_equals_s3tokenizer(model, stored):
    mel, lengths = stored["mel"].float(), stored["lengths"]
    assert torch.equal(model.output_lengths(lengths), stored["counts"])
    hidden, codes = model.hidden(mel, lengths), model.encode(mel, lengths)
    for row, count in enumerate(stored["counts"].tolist()):
        torch.testing.assert_close(hidden[row, :count], stored["hidden"][row, :count], **CLOSE)
        assert torch.equal(codes[row, :count], stored["codes"][row, :count])
        assert float(hidden[row, count:].abs().sum()) == 0.0
        assert int(codes[row, count:].sum()) == 0


def test_padding_changes_nothing(model, stored):
    mel = stored["mel"].float()
    padded = mel.clone()
    padded[1, :, 77:] = 1e4
    alone = model.hidden(mel[1:, :, :77])[0]
    together = model.hidden(padded, torch.tensor([203, 77]))[1]
    torch.testing.assert_close(together[: alone.shape[0]], alone, **CLOSE)


def test_the_position_table_equals_whispers(model, stored):
    got = model.encoders.positional_embedding[:60]
    torch.testing.assert_close(got, stored["positions"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 160, 3000])
def test_the_number_of_codes_follows_the_two_stem_convolutions(frames, model):
    def conv(length: int) -> int:
        return (length + 2 - 3) // 2 + 1  # spec 4

    got = model.encode(torch.zeros(1, SEMANTIC["n_mels"], frames))
    assert got.shape == (1, conv(conv(frames)))


def test_codes_are_the_nearest_entries(model):
    hidden = torch.nn.functional.normalize(
        torch.randn(40, SEMANTIC["d_model"], generator=torch.Generator().manual_seed(3)), dim=-1
    )
    distance = (hidden[:, None] - model.codebook[None]).square().sum(-1)
    assert torch.equal(model.quantize(hidden), distance.argmin(-1))


@pytest.mark.parametrize("change", ["loaded", "copied in", "cast"])
def test_codes_follow_a_codebook_that_changes(change, model):
    drawn = torch.Generator().manual_seed(4)
    hidden = torch.randn(40, SEMANTIC["d_model"], generator=drawn)
    other = 2 * torch.randn(model.codebook.shape, generator=drawn)  # not unit vectors
    twin = copy.deepcopy(model)
    before = twin.quantize(hidden)
    state = {**twin.state_dict(), "codebook": other}
    if change == "cast":
        twin = twin.double()
        twin.codebook.copy_(other)
        hidden = hidden.double()
    else:
        twin.load_state_dict(state, assign=change == "loaded")
    after = twin.quantize(hidden)
    distance = (hidden[:, None] - twin.codebook[None]).square().sum(-1)
    assert torch.equal(after, distance.argmin(-1))
    assert not torch.equal(after, before)


def test_gradients_reach_every_parameter(model, stored):
    unpack(model)
    model.requires_grad_(True)
    try:
        hidden = model.hidden(stored["mel"].float(), stored["lengths"])
        (hidden * torch.arange(hidden.shape[-1])).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert bool(torch.isfinite(parameter.grad).all()), name
            assert float(parameter.grad.abs().max()) > 0.0, name
    finally:
        model.zero_grad()
        model.requires_grad_(False)


def test_the_default_config_has_the_96_tensors_of_the_release():
    with torch.device("meta"):
        shapes = shapes_of(SemanticTokenizer(SemanticConfig()))
    assert len(shapes) == 4 + 1 + 6 * 15 + 1 == 96  # stem, positions, blocks, codebook: spec 11.6
    assert shapes["encoders.positional_embedding"] == (1500, 1280)
    assert shapes["encoders.blocks.5.mlp.0.weight"] == (5120, 1280)
    assert shapes["codebook"] == (4096, 1280)
    assert "encoders.blocks.0.attn.key.bias" not in shapes


def test_a_piece_longer_than_the_position_table_is_refused(model):
    with pytest.raises(ValueError, match=r"6001 frames; one piece has at most 6000\. Cut"):
        model.encode(torch.zeros(1, SEMANTIC["n_mels"], 6001))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"d_model is 30, heads 20; .* multiple .* Change one"):
        SemanticConfig(d_model=30)
