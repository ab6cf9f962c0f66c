"""A piece in a recording: the outside bit for bit, joins without a step, channels and levels."""

from __future__ import annotations

import math

import pytest
import torch

from stepedit_core.signal.splice import Piece, splice

TYPES = {
    torch.float32: 1.0,
    torch.float64: 1.0,
    torch.int16: 2**15,
    torch.int32: 2**31,
}


def speech(seconds: float, rate: int, seed: int = 0) -> torch.Tensor:
    """(N,) a voiced buzz with pauses, -0.5..0.5."""
    n = round(seconds * rate)
    t = torch.arange(n, dtype=torch.float64) / rate
    buzz = sum(torch.sin(2 * math.pi * 120 * k * t + seed * k) / k for k in range(1, 12))
    slow = (0.5 + 0.5 * torch.sin(2 * math.pi * 1.3 * t + seed)).square()
    return 0.2 * buzz * slow


def case(rate: int, channels: int, dtype: torch.dtype, seed: int) -> tuple[torch.Tensor, Piece]:
    generator = torch.Generator().manual_seed(seed)
    wave = speech(3.0, rate, seed)
    shares = 0.3 + 0.7 * torch.rand(channels, generator=generator, dtype=torch.float64)
    recording = shares[:, None] * wave
    full = TYPES[dtype]
    if full != 1.0:
        recording = (recording * full).round()
    start, end = sorted(torch.randint(0, len(wave) + 1, (2,), generator=generator).tolist())
    if seed % 5 == 0:
        start = 0
    if seed % 7 == 0:
        end = len(wave)
    end = max(end, start + 1)
    margin = round(0.3 * rate)
    head, tail = min(start, margin), min(len(wave) - end, margin)
    middle = speech(0.2 + 0.01 * (seed % 90), rate, seed + 1)
    new = torch.cat((wave[start - head : start], middle, wave[end : end + tail])).float()
    return recording.to(dtype), Piece(wave=new, start=start, end=end, head=head, tail=tail)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_the_outside_is_the_recordings_own(rate: int, dtype: torch.dtype) -> None:
    for seed in range(12):
        recording, piece = case(rate, 1 + seed % 2, dtype, seed)
        out = splice(recording, rate, piece)
        assert out.wave.dtype == recording.dtype
        assert out.first <= piece.start
        assert torch.equal(out.wave[:, : out.first], recording[:, : out.first])
        after = out.wave.shape[1] - out.end
        assert torch.equal(out.wave[:, out.end :], recording[:, recording.shape[1] - after :])
        # nothing outside moves by more than the fade's reach and the shift
        assert after >= recording.shape[1] - piece.end - round(0.085 * rate) - 1
        assert out.first >= piece.start - round(0.085 * rate) - 1


def test_the_recordings_own_piece_changes_nothing_that_is_heard() -> None:
    recording = speech(3.0, 24_000).float()[None]
    piece = Piece(
        wave=recording[0, 12_000:60_000], start=19_200, end=52_800, head=7_200, tail=7_200
    )
    out = splice(recording, 24_000, piece)
    assert out.wave.shape == recording.shape
    assert torch.allclose(out.wave, recording, atol=1e-6)


def test_a_piece_that_slipped_is_moved_back_and_gets_the_level() -> None:
    recording = speech(3.0, 24_000).float()[None]
    slipped = 0.6 * recording[0, 12_040:60_040]  # 1.7 ms late, 4.4 dB down
    out = splice(
        recording,
        24_000,
        Piece(wave=slipped, start=19_200, end=52_800, head=7_200, tail=7_200),
    )
    assert out.wave.shape[1] == recording.shape[1]
    assert float((out.wave - recording).abs().max()) < 0.02


def test_channels_keep_their_share_and_sign() -> None:
    mono = speech(3.0, 24_000).float()
    recording = torch.stack((mono, -0.5 * mono))
    piece = Piece(wave=mono[12_000:60_000], start=19_200, end=52_800, head=7_200, tail=7_200)
    out = splice(recording, 24_000, piece).wave
    # the mix is a quarter of the first channel; the piece came at the first channel's level
    left, right = out[0, 25_000:45_000], out[1, 25_000:45_000]
    assert torch.allclose(right, -0.5 * left, atol=1e-5)


def test_a_longer_answer_moves_what_follows() -> None:
    recording = speech(2.0, 16_000).float()[None]
    middle = speech(0.7, 16_000, 3).float()
    new = torch.cat((recording[0, 12_000:16_000], middle, recording[0, 20_000:24_000]))
    out = splice(
        recording, 16_000, Piece(wave=new, start=16_000, end=20_000, head=4_000, tail=4_000)
    )
    grown = len(middle) - 4_000
    assert abs(out.wave.shape[1] - recording.shape[1] - grown) <= 2 * 80
    tail = recording.shape[1] - 24_000
    assert torch.equal(out.wave[:, -tail:], recording[:, -tail:])


@pytest.mark.parametrize(
    ("start", "end", "head", "tail"),
    [(-1, 5, 0, 0), (5, 5, 0, 0), (0, 99_999, 0, 0), (5, 9, 60, 60), (5, 9, -1, 0)],
)
def test_a_range_or_margin_that_cannot_be(start: int, end: int, head: int, tail: int) -> None:
    recording = speech(0.5, 8_000).float()[None]
    piece = Piece(wave=torch.zeros(100), start=start, end=end, head=head, tail=tail)
    with pytest.raises(ValueError, match=r"Choose a range|Give shorter"):
        splice(recording, 8_000, piece)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int16])
def test_a_piece_that_is_raised_to_the_recordings_level_stays_below_full_scale(
    dtype: torch.dtype,
) -> None:
    rate = 24_000
    wave = 0.9 * speech(3.0, rate) / speech(3.0, rate).abs().max()
    new = (0.6 * wave[rate - 7200 : 2 * rate + 7200]).float()
    new[9_000:9_010] = 0.95
    piece = Piece(wave=new, start=rate, end=2 * rate, head=7200, tail=7200)
    recording = (wave * TYPES[dtype]).round() if dtype == torch.int16 else wave
    made = splice(recording[None].to(dtype), rate, piece).wave.double() / TYPES[dtype]
    assert 0.9 < float(made.abs().max()) <= 0.991
