"""Samples from anywhere to one checked mono clip; files, nodes, command and library share it."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..printable import shown
from ..types import Clip
from .channels import Mixed, mix, say, without_offset

SHORTEST_S = 0.5
LONGEST_S = 30.0
LOWEST_HZ = 8_000
HIGHEST_HZ = 192_000
SILENCE_PEAK = 1e-3
"""-60 dB of full scale; below it, speech cannot be distinguished from recording noise."""
HIGHEST_PEAK = 64.0
"""36 dB above full scale: what is louder are integers in a float's clothes, or a broken file."""
SHORTEST_SOUND_S = 0.1
"""Least time above the silence that can be speech; a click is over sooner."""
INTEGERS = {
    torch.int8: (0, 2**7),
    torch.uint8: (2**7, 2**7),
    torch.int16: (0, 2**15),
    torch.int32: (0, 2**31),
}
"""Samples as integers -> what is zero, and what is full scale."""


def mono_clip(wave: Tensor | np.ndarray, sample_rate: int) -> Clip:
    """Mix wave (N,) or (channels, N) down to a checked clip, float32 on the CPU.

    Floats are -1 to 1; signed integers of 8, 16 and 32 bits and unsigned ones of 8 are scaled to
    that. Channels are averaged, or the best is taken (`mix`); an offset louder than the sound is
    taken away. Either is a note of the clip. Raises ValueError where the clip cannot be edited, see
    check_clip.
    """
    samples = float_samples(wave)
    if samples.ndim not in (1, 2):
        raise ValueError(
            f"audio has {samples.ndim} dimensions; a clip has one or two (channels, samples). "
            "Pass one recording of the batch at a time."
        )
    rate = whole_rate(sample_rate)
    check_rate(rate)
    one = mix(samples, rate) if samples.ndim == 2 else Mixed(samples)
    centred = without_offset(one.wave)
    clip = Clip(wave=centred.wave, sample_rate=rate, notes=one.notes + centred.notes)
    check_clip(clip)
    say(clip.notes)
    return clip


def float_samples(wave: object) -> Tensor:
    """A wave of any shape as float32 on the CPU, integers scaled to -1..1.

    Raises ValueError for what has no samples, or samples of a type that has no full scale.
    """
    if isinstance(wave, np.ndarray) and wave.dtype.kind in "iuf":
        native = np.ascontiguousarray(wave, wave.dtype.newbyteorder("="))
        if native.dtype.itemsize <= 8:  # torch has no longer floats
            wave = torch.from_numpy(native)
    if not isinstance(wave, Tensor):
        kind = f"an array of {wave.dtype}" if isinstance(wave, np.ndarray) else _kind(wave)
        raise ValueError(
            f"the wave is {kind}; a torch tensor or a numpy array of samples is needed. Pass the "
            "samples, for example of soundfile.read."
        )
    wave = wave.detach().to("cpu")
    if wave.dtype in INTEGERS:
        zero, full = INTEGERS[wave.dtype]
        return ((wave.double() - zero) / full).float()
    if not wave.is_floating_point():
        raise ValueError(
            f"the wave has samples of {shown(str(wave.dtype).removeprefix('torch.'))}; floats from "
            "-1 to 1, or int8, uint8, int16 or int32, are read. Convert them."
        )
    return wave.float()


def samples_as(wave: Tensor, dtype: torch.dtype) -> Tensor:
    """A wave of floats -1..1 as samples of a type that float_samples reads, none past its range."""
    if dtype.is_floating_point:
        return wave.to(dtype)
    zero, full = INTEGERS[dtype]
    limits = torch.iinfo(dtype)
    return (wave * full + zero).round().clamp(limits.min, limits.max).to(dtype)


def check_clip(clip: Clip) -> None:
    """Raise ValueError where a clip cannot be edited.

    Allowed are 0.5 to 30 s at 8 to 192 kHz, finite, louder than -60 dB. The released tokenizer
    refuses a clip below 16 kHz; here it is resampled later and the band above stays empty.
    """
    if not isinstance(clip, Clip):
        raise ValueError(
            f"the clip is {shown(_kind(clip))}; a Clip is needed. Pass stepedit.Clip(...)."
        )
    wave = clip.wave
    if not isinstance(wave, Tensor) or wave.dtype != torch.float32 or wave.ndim != 1:
        found = _kind(wave)
        if isinstance(wave, Tensor):
            found = f"{str(wave.dtype).removeprefix('torch.')} of shape {tuple(wave.shape)}"
        raise ValueError(
            f"the wave of the clip is {shown(found)}; float32 of shape (samples,) is needed. Make "
            "the clip with audio.clips.mono_clip."
        )
    check_rate(whole_rate(clip.sample_rate))
    check_seconds(clip.seconds)
    wave = wave.detach()
    if not bool(torch.isfinite(wave).all()):
        bad = int((~torch.isfinite(wave)).sum())
        raise ValueError(
            f"clip has NaN or infinite samples ({bad} of {wave.numel()}); all must be finite "
            "numbers. Export the recording again."
        )
    peak = float(wave.abs().max())
    if peak < SILENCE_PEAK:
        raise ValueError(
            f"clip is silent (its peak is {peak:.5f} of full scale); speech must reach "
            f"{SILENCE_PEAK}. Check the recording, or raise its volume."
        )
    heard = _seconds_above(wave, clip.sample_rate)
    if heard < SHORTEST_SOUND_S:
        raise ValueError(
            f"clip is silent but for {heard:.2f} s of its {clip.seconds:.2f} s; speech lasts "
            f"{SHORTEST_SOUND_S} s or longer. Check the recording, or raise its volume."
        )
    if peak > HIGHEST_PEAK:
        loud = int((wave.abs() > HIGHEST_PEAK).sum())
        raise ValueError(
            f"clip has a peak of {peak:.5g} times full scale ({loud} of {wave.numel()} samples are "
            f"above {HIGHEST_PEAK:.0f}); floats are -1 to 1. Divide integer samples by their full "
            "scale, or export the recording again."
        )


def _seconds_above(wave: Tensor, rate: int) -> float:
    """Seconds of a wave, in steps of 10 ms, that reach the level of speech."""
    step = rate // 100
    peaks = torch.nn.functional.pad(wave.abs(), (0, -len(wave) % step)).view(-1, step).amax(1)
    return int((peaks >= SILENCE_PEAK).sum()) / 100


def check_rate(rate: int) -> None:
    """Raise ValueError for a rate outside 8 to 192 kHz."""
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise ValueError(
            f"clip has {rate} Hz; {LOWEST_HZ} to {HIGHEST_HZ} Hz are read. "
            "Resample it, for example to 24000 Hz."
        )


def check_seconds(seconds: float) -> None:
    """Raise ValueError for a length outside 0.5 to 30 s."""
    if seconds < SHORTEST_S:
        raise ValueError(
            f"clip is {seconds:.2f} s long; {SHORTEST_S} to {LONGEST_S:.0f} s can be edited. "
            "Use a longer recording."
        )
    if seconds > LONGEST_S:
        raise ValueError(
            f"clip is {max(seconds, LONGEST_S + 0.01):.2f} s long; {SHORTEST_S} to "
            f"{LONGEST_S:.0f} s can be edited. Cut it into shorter pieces, or take `stepedit "
            "edit-long` or the node Edit Long."
        )


def whole_rate(rate: Any) -> int:
    """A sample rate as an int; ValueError for what is not a whole number."""
    if isinstance(rate, (float, np.floating)) and float(rate).is_integer():
        return int(rate)
    if not isinstance(rate, (bool, np.bool_, Tensor)) and hasattr(rate, "__index__"):
        return operator.index(rate)
    raise ValueError(
        f"the sample rate is {rate!r:.40} ({type(rate).__name__}); a whole number of Hz is needed. "
        "Pass it as an int, for example 24000."
    )


def _kind(value: object) -> str:
    """What a value is, for an error sentence."""
    return "None" if value is None else f"of the type {type(value).__name__}"
