"""An edit as the recording's own wave: when, and by which factor on the pitch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.models.bigvgan import BigVGAN
from stepedit_core.pipelines import own_sound
from stepedit_core.pipelines.difference import Along, Difference, can_move, whole_recording
from stepedit_core.pipelines.own_sound import pitch_factor, sound_of
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, Draws, Voice

DRAWS = Draws(seed=3)


def test_a_mel_that_nothing_has_changed_is_the_recording(
    bundle: Bundle, voice: Voice, clip: Clip
) -> None:
    made = Difference(voice.mel, whole_recording(voice))
    got = sound_of(bundle, made, voice, draws=DRAWS)
    assert got.sample_rate == 24_000
    assert voice.wave is not None
    assert torch.equal(got.wave, voice.wave[: len(got.wave)])
    assert len(got.wave) == 480 * voice.mel.shape[1]


def test_another_mel_moves_the_recording_and_draws_nothing(bundle: Bundle, voice: Voice) -> None:
    louder = voice.mel + 0.5
    made = Difference(louder, whole_recording(voice))
    one, two = (sound_of(bundle, made, voice, draws=Draws(seed=s)).wave for s in (1, 2))
    assert torch.equal(one, two)
    assert voice.wave is not None
    assert float(one.square().mean()) > 1.5 * float(voice.wave.square().mean())


def test_the_strength_multiplies_what_the_network_changes(
    bundle: Bundle, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = torch.linspace(-0.5, 0.5, 80)[:, None].expand_as(voice.mel)
    monkeypatch.setattr(own_sound, "pitch_factor", lambda *_: np.full(voice.mel.shape[1], 1.2))
    made = Difference(voice.mel + change, whole_recording(voice), 1.5)
    move = own_sound.move_of(bundle, made, 480)
    torch.testing.assert_close(move.change, 1.5 * change, atol=1e-5, rtol=0)
    np.testing.assert_allclose(move.pitch, 1.2**1.5)
    none = own_sound.move_of(bundle, made._replace(more=0.0), 480)
    assert none.still == 0


def test_what_the_recording_does_not_have_is_vocoded(bundle: Bundle, voice: Voice) -> None:
    want = vocode(bundle, voice.mel, draws=DRAWS).wave
    whole = whole_recording(voice)
    new = whole.known.clone()
    new[5:9] = False
    laugh = Along(whole.source, whole.frames, new)
    for made, of in (
        (Difference(voice.mel, None), voice),
        (Difference(voice.mel, laugh), voice),
        (Difference(voice.mel, whole), replace(voice, wave=None)),
    ):
        assert torch.equal(sound_of(bundle, made, of, draws=DRAWS).wave, want)


def test_a_vocoder_without_a_pitch_predictor_cannot_say_how_the_pitch_moves(
    bundle: Bundle, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    along = whole_recording(voice)
    assert can_move(bundle, along, voice)
    monkeypatch.setattr(bundle.vocoder, "__class__", BigVGAN)
    assert not can_move(bundle, along, voice)


def heard_as(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, before: list[float], after: list[float]
) -> np.ndarray:
    def predict(mel: Tensor) -> Tensor:
        assert mel.shape == (2, 80, len(before))
        return torch.tensor([before, after])

    monkeypatch.setattr(bundle.vocoder.f0_predictor, "forward", predict)
    mel = torch.zeros(80, len(before))
    return pitch_factor(bundle, mel, mel)


def test_the_factor_is_that_of_both_pitches(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = heard_as(bundle, monkeypatch, [100.0] * 20, [125.0] * 20)
    np.testing.assert_allclose(found, 1.25, rtol=1e-6)


def test_where_one_has_no_voice_it_is_as_between_its_neighbours(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [100.0] * 40 + [0.0] * 10 + [100.0] * 40
    found = heard_as(bundle, monkeypatch, before, [200.0] * 45 + [100.0] * 45)
    np.testing.assert_allclose(found[:30], 2.0, rtol=1e-6)
    np.testing.assert_allclose(found[-30:], 1.0, rtol=1e-6)
    line = np.interp(np.arange(90), [39, 50], [2.0, 1.0])
    np.testing.assert_allclose(found, line, atol=0.2)  # the average rounds its ends
    np.testing.assert_allclose(heard_as(bundle, monkeypatch, [0.0] * 9, [90.0] * 9), 1.0)


def test_an_octave_is_the_most(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    found = heard_as(bundle, monkeypatch, [400.0] * 9, [60.0] * 9)
    np.testing.assert_allclose(found, 0.5, rtol=1e-6)
