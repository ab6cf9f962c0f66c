"""The speaker encoder against the official CAM++, and its laws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stepedit_core.models.speaker import ContextGate, SpeakerConfig, SpeakerEncoder
from tests.golden.tokenizers_capture import SEED, golden, seeded_state, shapes_of

SMALL = SpeakerConfig(embedding=24, head_channels=8, channels=16, growth=8, bottleneck=16)


def filled(config: SpeakerConfig) -> SpeakerEncoder:
    model = SpeakerEncoder(config)
    model.load_state_dict(seeded_state(shapes_of(model), SEED))
    return model


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    return golden("speaker")


def test_the_release_sized_network_equals_the_official_one(stored):
    with torch.no_grad():
        got = filled(SpeakerConfig()).eval()(stored["features"].float())
    # float32 sums in another order through 55 layers, values up to 0.4
    torch.testing.assert_close(got, stored["embedding"], atol=1e-5, rtol=0)


def test_training_mode_uses_and_updates_batch_statistics_like_the_official_one(stored):
    model = filled(SMALL).train()
    with torch.no_grad():
        got = model(stored["features"].float())
    # three clips: the last batch norm divides by deviations that may be small
    torch.testing.assert_close(got, stored["training_embedding"], atol=1e-4, rtol=0)
    mean = model.xvector.out_nonlinear.batchnorm.running_mean
    torch.testing.assert_close(mean, stored["running_mean"], atol=1e-5, rtol=0)


def test_the_context_is_the_mean_of_the_clip_plus_that_of_each_segment():
    gate = ContextGate(8, 4, 1)
    x = torch.randn(2, 8, 250, generator=torch.Generator().manual_seed(1))
    segments = torch.cat(
        [part.mean(-1, keepdim=True).expand_as(part) for part in x.split(100, dim=-1)], dim=-1
    )
    context = x.mean(-1, keepdim=True) + segments
    hidden = torch.einsum("oi,bit->bot", gate.linear1.weight[..., 0], context)
    hidden = (hidden + gate.linear1.bias[:, None]).clamp(min=0)
    level = torch.einsum("oi,bit->bot", gate.linear2.weight[..., 0], hidden)
    want = F.conv1d(x, gate.linear_local.weight, padding=1) * torch.sigmoid(
        level + gate.linear2.bias[:, None]
    )
    # float32 sums in another order
    torch.testing.assert_close(gate(x), want, atol=1e-6, rtol=0)


def test_one_clip_in_a_batch_does_not_depend_on_the_others(stored):
    model = filled(SMALL).eval()
    features = stored["features"].float()
    with torch.no_grad():
        torch.testing.assert_close(model(features[1:2]), model(features)[1:2], atol=2e-5, rtol=0)


def test_a_folded_release_convolution_fits_into_the_norm_behind_it(stored):
    model = filled(SMALL).eval()
    features = stored["features"].float()
    with torch.no_grad():
        want = model(features)
        tdnn, layer = model.xvector.tdnn, model.xvector.block1.tdnnd2
        pairs = [
            (model.head.conv1, model.head.bn1),
            (tdnn.linear, tdnn.nonlinear.batchnorm),
            (layer.linear1, layer.nonlinear2.batchnorm),
        ]
        for conv, norm in pairs:
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            conv.weight.mul_(scale.reshape(-1, *[1] * (conv.weight.ndim - 1)))
            norm.bias.sub_(norm.running_mean * scale)
            norm.weight.fill_(1.0)
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0 - norm.eps)
        torch.testing.assert_close(model(features), want, atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter(stored):
    model = filled(SMALL).train()
    model(stored["features"].float()).pow(3).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().max()) > 0.0, name


def test_the_nano_sizes_build_and_give_192_numbers():
    config = SpeakerConfig(
        head_channels=16, channels=64, growth=16, bottleneck=64, blocks=(6, 12, 8)
    )
    out = SpeakerEncoder(config).eval()(torch.zeros(1, 50, 80))
    assert out.shape == (1, 192)


def test_parameter_names_are_those_of_the_public_checkpoint():
    with torch.device("meta"):
        shapes = shapes_of(SpeakerEncoder(SpeakerConfig()))
    assert len(shapes) == 937  # the official class counts the same, batch counters included
    assert shapes["head.layer1.0.shortcut.0.weight"] == (32, 32, 1, 1)
    assert shapes["xvector.tdnn.linear.weight"] == (128, 320, 5)
    assert shapes["xvector.block2.tdnnd24.cam_layer.linear_local.weight"] == (32, 128, 3)
    assert shapes["xvector.transit3.linear.weight"] == (512, 1024, 1)
    assert shapes["xvector.dense.linear.weight"] == (192, 1024, 1)
    assert "xvector.dense.nonlinear.batchnorm.weight" not in shapes
