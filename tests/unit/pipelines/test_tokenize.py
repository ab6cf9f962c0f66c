"""A clip becomes codes and a voice."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stepedit_core.audio.resample import resample
from stepedit_core.pipelines.tokenize import tokenize, voice_of
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import (
    Clip,
)
from tests.edits import same


def test_pieces_of_equal_length_are_one_batch_and_give_the_codes_of_each(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepedit_core.audio.mel.SEMANTIC_PIECE", 3200)  # 0.2 s for 30 s
    batches: list[int] = []
    encode = bundle.semantic.encode

    def seen(log_mel: torch.Tensor) -> torch.Tensor:
        batches.append(log_mel.shape[0])
        return encode(log_mel)

    monkeypatch.setattr(bundle.semantic, "encode", seen)
    together = tokenize(bundle, clip)[0].semantic
    assert batches[0] > 1
    assert batches[1:] == [1]  # the rest, shorter
    monkeypatch.setattr(
        "stepedit_core.pipelines.tokenize.groupby", lambda mels, key: ((0, [mel]) for mel in mels)
    )
    assert torch.equal(tokenize(bundle, clip)[0].semantic, together)


def test_tokenizing_twice_gives_the_same_codes_and_voice(bundle: Bundle, clip: Clip):
    (first, mine), (second, yours) = tokenize(bundle, clip), tokenize(bundle, clip)
    assert same(first, second)
    assert torch.equal(mine.speaker, yours.speaker)
    assert torch.equal(mine.mel, yours.mel)


def test_codes_come_from_the_trimmed_clip_and_the_voice_from_the_untrimmed_one(
    bundle: Bundle, clip: Clip
):
    quiet = torch.zeros(24_000)
    padded = Clip(wave=torch.cat([quiet, clip.wave, quiet]), sample_rate=24_000)
    codes, voice = tokenize(bundle, padded)
    # 0.6 s of speech + 50 ms + 220 ms is 7 whole groups; the mel keeps all 2.6 s at 50 Hz
    assert 6 <= codes.groups <= 8
    assert voice.mel.shape == (80, 130)
    assert voice.speaker.shape == (192,)


def test_a_louder_recording_above_the_cap_is_the_same_to_the_model(bundle: Bundle, clip: Clip):
    peak = float(clip.wave.abs().max())
    loud, louder = (Clip(wave=clip.wave / peak * p, sample_rate=24_000) for p in (0.7, 0.95))
    first, second = tokenize(bundle, loud)[1], tokenize(bundle, louder)[1]
    # both are scaled to 0.6; float32 rounding remains, seen in the faintest bins of the logarithm
    assert torch.allclose(first.mel, second.mel, atol=1e-2)
    assert not torch.allclose(first.mel, tokenize(bundle, clip)[1].mel, atol=1e-2)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_any_sample_rate_is_tokenized(bundle: Bundle, clip: Clip, rate: int):
    other = Clip(wave=resample(clip.wave, 24_000, rate), sample_rate=rate)
    codes, voice = tokenize(bundle, other)
    assert abs(codes.groups - tokenize(bundle, clip)[0].groups) <= 1
    assert abs(voice.mel.shape[1] - 30) <= 1


@pytest.mark.parametrize(
    ("wave", "match"),
    [
        (torch.zeros(24_000), "clip is silent"),
        (torch.full((24_000,), torch.nan), "NaN"),
        (torch.ones(2_400), "clip is 0.10 s long"),
        (torch.ones(31 * 24_000), "clip is 31.00 s long"),
    ],
)
def test_a_bad_clip_is_refused(bundle: Bundle, wave: torch.Tensor, match: str):
    with pytest.raises(ValueError, match=match):
        tokenize(bundle, Clip(wave=wave, sample_rate=24_000))


def test_a_recording_gives_the_same_voice_again_with_the_silence_before_it(
    bundle: Bundle, clip: Clip
):
    late = replace(clip, wave=torch.nn.functional.pad(clip.wave, (clip.sample_rate // 2, 0)))
    codes, first = tokenize(bundle, late)
    again = voice_of(bundle, late, codes, recorded=True)
    assert again.lead == first.lead == pytest.approx(25 - 2.5, abs=3)  # 0.5 s less 50 ms
    assert torch.equal(again.speaker, first.speaker)
    assert torch.equal(again.mel, first.mel)
    assert voice_of(bundle, late, codes).lead == 0
