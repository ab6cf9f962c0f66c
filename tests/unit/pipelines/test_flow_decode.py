"""Codes become a mel in a voice."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import (
    Clip,
    Decoding,
    Draws,
    DualCodes,
    Voice,
)
from stepedit_core.vocab import pairs


def test_flow_decoding_depends_on_seed_and_round_alone(
    bundle: Bundle, codes: DualCodes, voice: Voice
):
    def mel(seed: int, round_: int = 1) -> torch.Tensor:
        draws = Draws(seed=seed, round=round_)
        return flow_decode(bundle, codes, voice, draws=draws, decoding=Decoding(steps=2))

    assert mel(1).shape == (80, 6 * codes.groups)
    assert torch.equal(mel(1), mel(1))
    assert not torch.equal(mel(1), mel(2))
    assert not torch.equal(mel(1), mel(1, 2))


def test_the_prompt_mel_is_resized_to_the_prompt_codes(
    bundle: Bundle, codes: DualCodes, voice: Voice
):
    frames = 6 * codes.groups
    index = (torch.arange(frames) * voice.mel.shape[1] / frames).floor().long()
    resized = replace(voice, mel=voice.mel[:, index])
    how = {"draws": Draws(seed=1), "decoding": Decoding(steps=1)}
    first = flow_decode(bundle, codes, voice, **how)
    assert torch.equal(first, flow_decode(bundle, codes, resized, **how))


def test_another_voice_changes_the_mel(bundle: Bundle, codes: DualCodes, voice: Voice):
    other = replace(voice, speaker=voice.speaker.flip(0))
    how = {"draws": Draws(seed=1), "decoding": Decoding(steps=1)}
    first = flow_decode(bundle, codes, voice, **how)
    assert not torch.equal(first, flow_decode(bundle, codes, other, **how))


def test_a_guided_flow_is_given_the_prompts_mel_along_the_codes(
    exact_bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
):
    bundle = exact_bundle
    codes, voice = tokenize(bundle, clip)
    flow = bundle.flow
    plain = flow_decode(bundle, codes, voice, draws=Draws(seed=1))
    monkeypatch.setattr(flow, "config", replace(flow.config, prompt_guide=True))
    guided = flow_decode(bundle, codes, voice, draws=Draws(seed=1))
    assert guided.shape == plain.shape
    assert not torch.allclose(guided, plain)
    seen = []
    monkeypatch.setattr(flow, "sample", lambda *a, guide, **k: seen.append(guide) or guided[None])
    flow_decode(bundle, codes, voice, draws=Draws(seed=1))
    guide = seen[0]
    assert guide.known.all()
    assert torch.equal(guide.pairs[0], pairs(codes.linguistic, codes.semantic))
    frames = voice.mel.shape[1]
    first = max(0, round(voice.lead))
    # the codes are the prompt's own, so its mel stands where they begin
    length = min(guide.mel.shape[-1], frames - first) - 8
    torch.testing.assert_close(
        guide.mel[0, :, 4:length],
        voice.mel[:, first + 4 : first + length],
        atol=1.5 * float(voice.mel.diff().abs().max()),
        rtol=0,
    )
