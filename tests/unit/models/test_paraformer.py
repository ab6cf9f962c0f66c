"""Predictor, decoder and the encoder's whole view against FunASR, and their laws."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stepedit_core.bundle.weights import build_empty
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
from stepedit_core.models.packed import unpack
from stepedit_core.models.paraformer import Paraformer, ParaformerConfig, UnitMemory, fire
from stepedit_core.release.recogniser import COUNT
from tests.golden import paraformer_capture as capture
from tests.golden.tokenizers_capture import LINGUISTIC, seeded_state, shapes_of

# float32 sums in another order; rows are of size 4
HIDDEN = {"atol": 1e-5, "rtol": 0.0}
# a sigmoid of such sums, of size 1
WEIGHTS = {"atol": 1e-6, "rtol": 0.0}
# the reference takes differences of a float32 running sum over the clip; vectors are of size 4
VECTORS = {"atol": 2e-5, "rtol": 0.0}
# those vectors through the layers, of size 4
LOGITS = {"atol": 5e-5, "rtol": 0.0}


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    return capture.golden()


@pytest.fixture(scope="module")
def tokenizer() -> LinguisticTokenizer:
    tokenizer = LinguisticTokenizer(LinguisticConfig(**LINGUISTIC))
    tokenizer.encoder.load_state_dict(seeded_state(shapes_of(tokenizer.encoder), capture.SEED))
    return tokenizer.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model() -> Paraformer:
    model = Paraformer(ParaformerConfig(**capture.SMALL))
    decoder, predictor = capture.states(shapes_of(model.decoder), shapes_of(model.predictor))
    model.decoder.load_state_dict(decoder)
    model.predictor.load_state_dict(predictor)
    return model.eval().requires_grad_(False)


def one(rows: Tensor) -> Tensor:
    """Lengths of a batch of one clip."""
    return torch.tensor([rows.shape[1]])


@pytest.mark.parametrize("frames", capture.LENGTHS)
class TestAgainstFunasr:
    """The same weights and features."""

    def test_rows_that_see_the_whole_clip(self, frames, tokenizer, stored):
        rows = capture.features(frames, capture.LENGTHS.index(frames))
        found = tokenizer.whole(rows[None])[0]
        torch.testing.assert_close(found, stored[f"hidden_{frames}"], **HIDDEN)

    def test_predictor(self, frames, model, stored):
        hidden = stored[f"hidden_{frames}"][None]
        found = model.predictor.weights(hidden, one(hidden))
        torch.testing.assert_close(found[0], stored[f"weights_{frames}"], **WEIGHTS)

    def test_fires_and_their_vectors(self, frames, model, stored):
        hidden = stored[f"hidden_{frames}"][None]
        fires = model.predictor(hidden, one(hidden))
        assert torch.equal(fires.counts, stored[f"count_{frames}"])
        assert torch.equal(fires.frames[0], stored[f"frames_{frames}"])
        torch.testing.assert_close(fires.vectors[0], stored[f"vectors_{frames}"], **VECTORS)

    def test_decoder(self, frames, model, stored):
        hidden = stored[f"hidden_{frames}"][None]
        logits = model.logits(hidden, one(hidden))[1]
        wanted = stored.get(f"logits_{frames}", torch.zeros(0, capture.SMALL["units"]))
        torch.testing.assert_close(logits[0], wanted, **LOGITS)
        decoded = model.decode(hidden)
        assert torch.equal(decoded.ids[0], wanted.argmax(-1))
        best = wanted.softmax(-1).amax(-1)
        torch.testing.assert_close(decoded.confidence[0], best, **LOGITS)


def test_the_golden_clips_have_a_long_one_and_one_that_says_nothing(stored):
    counts = [int(stored[f"count_{frames}"]) for frames in capture.LENGTHS]
    assert counts[0] >= 8
    assert counts[-1] == 0


def test_the_golden_file_is_small_and_the_one_of_its_manifest():
    path = capture.HERE / capture.NAME
    manifest = json.loads((capture.HERE / "paraformer.manifest.json").read_text("utf-8"))
    data = path.read_bytes()
    assert len(data) <= 200_000
    assert hashlib.sha256(data).hexdigest() == manifest[capture.NAME]["sha256"]


def test_whole_view_looks_ahead_and_codes_do_not(tokenizer):
    rows = capture.features(23)
    later = rows.clone()
    later[20:] *= -1.0
    both = torch.stack([rows, later])
    whole, chunked = tokenizer.whole(both), tokenizer.hidden(both)
    assert float((whole[0, :16] - whole[1, :16]).abs().max()) > 1e-3
    torch.testing.assert_close(chunked[0, :16], chunked[1, :16], **HIDDEN)


def test_padding_and_batch_mates_change_nothing(tokenizer, model):
    lengths = torch.tensor([23, 9, 2, 0])
    batch = capture.features(23).repeat(4, 1, 1)
    batch[1:, 10:] = 1e4  # what lies in the padding must not matter
    hidden = tokenizer.whole(batch, lengths)
    decoded = model.decode(hidden, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert float(hidden[row, length:].abs().sum()) == 0.0
        count = int(decoded.counts[row])
        assert int(decoded.ids[row, count:].sum()) == 0
        if length:
            alone = tokenizer.whole(capture.features(23)[None, :length])
            torch.testing.assert_close(hidden[row, :length], alone[0], **HIDDEN)
            single = model.decode(alone)
            assert int(single.counts) == count
            assert torch.equal(single.ids[0], decoded.ids[row, :count])
            assert torch.equal(single.frames[0], decoded.frames[row, :count])
    assert int(decoded.counts[-1]) == 0


def test_a_fired_vector_is_the_weighted_sum_written_out():
    hidden = torch.tensor([[[1.0], [10.0], [100.0]]])
    weights = torch.tensor([[0.75, 0.75, 0.25, 0.5]])  # sums 0.75, 1.5, 1.75, 2.25
    fires = fire(hidden, weights)
    assert fires.counts.tolist() == [2]
    assert fires.frames.tolist() == [[1, 3]]  # the second in the empty frame after the clip
    # 0.75 of row 0 and 0.25 of row 1; 0.5 of row 1, 0.25 of row 2, 0.25 of nothing
    assert fires.vectors[0, :, 0].tolist() == [0.75 + 2.5, 5.0 + 25.0]


def test_a_frame_of_large_weight_fires_several_units():
    fires = fire(torch.tensor([[[1.0]]]), torch.tensor([[2.5, 0.0]]))
    assert fires.counts.tolist() == [2]
    assert fires.frames.tolist() == [[0, 0]]
    assert fires.vectors[0, :, 0].tolist() == [1.0, 1.0]


def test_a_unit_that_is_not_complete_has_no_vector_beside_a_clip_with_more_units():
    weights = torch.tensor([[0.75, 0.75, 0.75, 0.0], [0.75, 0.75, 0.0, 0.0]])
    fires = fire(torch.ones(2, 3, 1), weights)
    assert fires.counts.tolist() == [2, 1]
    assert fires.frames.tolist() == [[1, 2], [1, 0]]
    assert fires.vectors[..., 0].tolist() == [[1.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("weights", [[0.7, 0.2, 0.1, 0.0], [*[0.35] * 20, 0.0]])
def test_a_sum_that_is_whole_but_for_rounding_fires(weights):
    # in float64 these float32 numbers add up to 0.99999999 and 6.9999999
    fires = fire(torch.ones(1, len(weights) - 1, 1), torch.tensor([weights]))
    assert fires.counts.tolist() == [round(sum(weights))]


def test_the_memory_of_the_streaming_model_sees_no_later_unit(model):
    memory = model.decoder.decoders[0].self_attn
    x = torch.randn(1, 14, capture.SMALL["d_model"], generator=torch.Generator().manual_seed(1))
    real = torch.ones(1, 14, 1)
    changed = x.clone()
    changed[:, 9] += 1.0
    before, after = memory(x, real), memory(changed, real)
    assert torch.equal(before[:, :9], after[:, :9])
    assert float((before[:, 9:] - after[:, 9:]).abs().min()) > 0.0
    # written out for one channel: tap j weighs the unit 10 - j places earlier
    taps = memory.fsmn_block.weight[3, 0]
    padded = F.pad(x[0, :, 3], (10, 0))
    wanted = padded.unfold(0, 11, 1) @ taps + x[0, :, 3]
    torch.testing.assert_close(before[0, :, 3], wanted, **WEIGHTS)


def test_a_memory_that_sees_later_units_does_not_see_padding():
    memory = UnitMemory(ParaformerConfig(**capture.SMALL, shift=0)).requires_grad_(False)
    x = torch.randn(1, 9, capture.SMALL["d_model"], generator=torch.Generator().manual_seed(1))
    real = (torch.arange(9) < 6).float()[None, :, None]
    alone = memory(x[:, :6], real[:, :6])
    torch.testing.assert_close(memory(x, real)[:, :6], alone, **WEIGHTS)
    assert float(memory(x, real)[:, 6:].abs().sum()) == 0.0


def test_gradients_reach_every_parameter(model, stored):
    unpack(model)
    model.requires_grad_(True)
    try:
        hidden = stored["hidden_23"][None]
        model.logits(hidden, one(hidden))[1].square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 0.0, name
    finally:
        model.zero_grad()
        model.requires_grad_(False)


def test_the_default_config_has_the_tensors_of_the_release():
    model = build_empty(lambda: Paraformer(ParaformerConfig()))
    shapes = shapes_of(model)
    assert len(shapes) == COUNT == 303
    assert len(shapes_of(model.predictor)) == 4
    assert shapes["predictor.cif_conv1d.weight"] == (512, 512, 3)
    assert shapes["decoder.decoders.15.src_attn.linear_k_v.weight"] == (1024, 512)
    assert shapes["decoder.decoders.0.self_attn.fsmn_block.weight"] == (512, 1, 11)
    assert shapes["decoder.decoders3.0.feed_forward.norm.weight"] == (2048,)
    assert shapes["decoder.output_layer.weight"] == (8501, 512)
    # with the encoder (158.0 M) and the embedding (4.4 M) the 220.2 M of model.pt
    assert sum(p.numel() for p in model.parameters()) == 57_855_798


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"d_model": 30}, r"d_model is 30, heads 4; .* multiple .* Change one"),
        ({"shift": 6}, r"shift is 6; a kernel of 11 taps allows 0 to 5. Change one"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        ParaformerConfig(**wrong)
