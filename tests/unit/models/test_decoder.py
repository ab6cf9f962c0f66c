"""Codes to a wave through the flow decoder and HiFT, against the official two in a row."""

import numpy as np
import torch
from torch import Tensor

from stepedit_core.models.flow import Euler, Flow, FlowConfig
from stepedit_core.models.hift import HiFT, HiFTConfig
from tests.golden import capture_decoder as capture

SEED = capture.SEED + 60


def seeded(module: torch.nn.Module) -> None:
    """The weights the official module had."""
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    weights = capture.seeded_state(shapes, capture.SEED)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    module.eval().requires_grad_(False)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(capture.normal(seed, *shape))


def test_codes_prompt_and_speaker_become_the_official_wave() -> None:
    data = np.load(capture.HERE / "decoder_whole.npz")
    flow = Flow(FlowConfig(**capture.WHOLE))
    hift = HiFT(HiFTConfig(**capture.HIFT))
    seeded(flow)
    seeded(hift)
    mel = flow.sample(
        torch.from_numpy(capture.pairs(SEED + 1, capture.PAIRS)),
        normal(SEED + 2, 1, 80, 2 * capture.PROMPT_PAIRS),
        normal(SEED + 3, 1, capture.WHOLE["speaker_dim"]),
        noise=normal(SEED, 1, 80, 2 * capture.PAIRS),
        euler=Euler(steps=capture.STEPS),
    )
    noise = normal(SEED + 4, 1, 9, 480 * mel.shape[-1])
    wave = hift.decode(mel, hift.source(hift.f0_predictor(mel), noise))
    torch.testing.assert_close(mel, torch.from_numpy(data["mel"]), atol=5e-6, rtol=0)
    # the official phase is a float32 sum, and the mel's rounding goes through HiFT as well
    torch.testing.assert_close(wave, torch.from_numpy(data["wave"]), atol=3e-5, rtol=0)
