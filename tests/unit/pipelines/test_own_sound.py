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
from stepedit_core.pipelines.tokenize import tokenize, voice_of
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
    assert torch.equal(got.wave, voice.wave)  # also what is left of a last frame


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
    assert voice.wave is not None
    move = own_sound.move_of(bundle, made, voice.wave, 24_000)
    torch.testing.assert_close(move.change, 1.5 * change, atol=1e-5, rtol=0)
    np.testing.assert_allclose(move.pitch, 1.2**1.5)
    none = own_sound.move_of(bundle, made._replace(more=0.0), voice.wave, 24_000)
    assert none.still == 0
    monkeypatch.setattr(own_sound, "pitch_factor", lambda *_: np.full(voice.mel.shape[1], 0.5))
    most = own_sound.move_of(bundle, made._replace(more=2.0), voice.wave, 24_000)
    np.testing.assert_allclose(most.pitch, 1 / own_sound.MOST_PITCH)


def test_the_whole_becomes_no_more_than_4_db_louder(bundle: Bundle, voice: Voice) -> None:
    change = torch.linspace(0.5, 1.5, 80)[:, None].expand_as(voice.mel).clone()
    change[:, :10] = 0.0
    made = Difference(voice.mel + change, whole_recording(voice))
    assert voice.wave is not None
    got = own_sound.move_of(bundle, made, voice.wave, 24_000).change
    loud = voice.mel[:, 10:].exp()
    assert float((got[:, 10:] * loud).sum() / loud.sum()) == pytest.approx(0.5, abs=1e-4)
    assert not got[:, :10].any()  # what is not changed stays
    # the colour is that of the change
    torch.testing.assert_close(
        (got - got[:1])[:, 10:], (change - change[:1])[:, 10:], atol=1e-4, rtol=0
    )


def test_a_loud_recording_is_not_turned_down(bundle: Bundle, clip: Clip) -> None:
    loud = replace(clip, wave=clip.wave / clip.wave.abs().max())
    codes, heard = tokenize(bundle, loud)
    assert heard.wave is not None
    assert float(heard.wave.abs().max()) == 1.0
    assert torch.equal(heard.mel, tokenize(bundle, replace(clip, wave=0.6 * loud.wave))[1].mel)
    again = voice_of(bundle, loud, codes, recorded=True)
    assert again.wave is not None
    assert torch.equal(again.wave, heard.wave)


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
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    before: list[float],
    after: list[float],
    own: list[float] | None = None,
) -> np.ndarray:
    def predict(mel: Tensor) -> Tensor:
        assert mel.shape == (2, 80, len(before))
        return torch.tensor([before, after])

    monkeypatch.setattr(bundle.vocoder.f0_predictor, "forward", predict)
    mel = torch.zeros(80, len(before))
    return pitch_factor(bundle, mel, mel, np.array(before if own is None else own))


def test_the_factor_is_that_of_both_pitches(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = heard_as(bundle, monkeypatch, [100.0] * 20, [125.0] * 20)
    np.testing.assert_allclose(found, 1.25, rtol=1e-6)


def test_where_one_has_no_voice_it_is_as_between_its_neighbours(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [100.0] * 40 + [0.0] * 10 + [100.0] * 40
    found = heard_as(bundle, monkeypatch, before, [150.0] * 45 + [100.0] * 45)
    np.testing.assert_allclose(found[:30], 1.5, rtol=1e-6)
    np.testing.assert_allclose(found[-30:], 1.0, rtol=1e-6)
    line = np.interp(np.arange(90), [39, 50], [1.5, 1.0])
    np.testing.assert_allclose(found, line, atol=0.1)  # the average rounds its ends
    np.testing.assert_allclose(heard_as(bundle, monkeypatch, [0.0] * 9, [90.0] * 9), 1.0)


def test_there_is_a_largest_factor(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    found = heard_as(bundle, monkeypatch, [400.0] * 9, [60.0] * 9)
    np.testing.assert_allclose(found, 1 / own_sound.MOST_PITCH, rtol=1e-6)


def test_a_predictor_that_hears_another_pitch_than_the_recordings_says_nothing(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = heard_as(bundle, monkeypatch, [180.0] * 9, [250.0] * 9, own=[350.0] * 9)
    np.testing.assert_allclose(wrong, 1.0)
    before, own = [180.0] * 9 + [200.0] * 30, [350.0] * 9 + [210.0] * 30
    some = heard_as(bundle, monkeypatch, before, [100.0] * 9 + [240.0] * 30, own=own)
    np.testing.assert_allclose(some, 1.2, rtol=1e-6)
