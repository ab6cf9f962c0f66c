"""Is every sample outside of an edited range the recording's? Random ranges and kinds of files.

    python -m tools.outside --count 200

Buzzes with syllables in files of 8 to 96 kHz, one or two channels, integers and floats. The answer
is the recording's own codes, changed in a random stretch, with groups left out or said twice; the
tests' bundle of random weights makes sound of it, which is put in, written and read back. A
quarter of the ranges begin with the recording, a quarter end with it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from stepedit_core.audio.patches import patched
from stepedit_core.audio.recordings import Recording, read_recording, write_recording
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.range_edit import part_of, patch_of
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Decoding, DualCodes, EditRequest, EditResult, Round
from tests import tiny_bundle
from tests.unit.conftest import voiced

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
KINDS = {
    "PCM_16": torch.int16,
    "PCM_24": torch.int32,
    "PCM_32": torch.int32,
    "FLOAT": torch.float32,
}
HAPPY = EditRequest(kind="emotion", option="happy", text="hello there")


def main() -> None:
    """Edit and compare; print how many are equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tiny_bundle.write(folder)
        bundle = Registry([folder], {}).load("tiny", device="cpu")
        for number in range(args.count):
            found[tried(bundle, folder, np.random.default_rng(number))] += 1
    print(dict(found))


def tried(bundle: Bundle, folder: Path, draw: np.random.Generator) -> str:
    """One random case: equal, different, or why it was refused."""
    rate, kind = int(draw.choice(RATES)), str(draw.choice(list(KINDS)))
    seconds = float(draw.uniform(1.5, 8.0))
    wave = voiced(seconds, rate) * float(draw.uniform(0.3, 1.0))
    samples = torch.stack([wave, float(draw.uniform(-1, 1)) * wave][: int(draw.integers(1, 3))])
    if kind != "FLOAT":
        full = 2**15 if kind == "PCM_16" else 2**31
        samples = (samples.double() * full).round()
        samples = samples // 256 * 256 if kind == "PCM_24" else samples
    path = folder / "in.wav"
    path.unlink(missing_ok=True)
    write_recording(
        path, Recording(samples=samples.to(KINDS[kind]), sample_rate=rate, subtype=kind)
    )
    old = read_recording(path)
    length = float(draw.uniform(0.2, min(3.0, old.seconds - 0.1)))
    start = float(
        draw.choice([0.0, old.seconds - length, *draw.uniform(0, old.seconds - length, 2)])
    )
    part = part_of(old, start, start + length)
    clip = old.clip(part.window_start, part.window_end)
    source, _ = tokenize(bundle, clip)
    answer = answered(source, draw)
    settings = {"seed": int(draw.integers(999)), "decoding": Decoding(way="difference", steps=2)}
    plan = make_plan(bundle, clip, [HAPPY], **settings)
    rounds = tuple(
        Round(clip=clip, codes=codes, request=request, score=None, seconds_elapsed=0.0)
        for codes, request in ((source, None), (answer, HAPPY))
    )
    result = EditResult(rounds=rounds, best_number=1)
    try:
        patch = patch_of(bundle, old, part, plan, result, number=1)
    except ValueError as error:
        return str(error).split(";")[0].split(" has ")[0][:60]
    path.unlink()
    write_recording(path, patched(old, [patch]))
    new = read_recording(path)
    after = new.samples.shape[1] - patch.end
    same = (
        torch.equal(new.samples[:, : patch.first], old.samples[:, : patch.first])
        and torch.equal(new.samples[:, patch.end :], old.samples[:, old.samples.shape[1] - after :])
        and (new.sample_rate, new.subtype, new.channels) == (rate, kind, old.channels)
    )
    near = (
        patch.first >= part.start - 0.205 * rate and after >= old.length - part.end - 0.205 * rate
    )
    return ("equal" if same else "different") + ("" if near else ", further than 0.2 s")


def answered(source: DualCodes, draw: np.random.Generator) -> DualCodes:
    """Codes of which a stretch says something else, longer or shorter by a group or two."""
    groups = source.groups
    first = int(draw.integers(groups))
    end = int(draw.integers(first, groups)) + 1
    order = list(range(groups))
    for _ in range(int(draw.integers(3))):
        at = int(draw.integers(len(order)))
        order[at : at + 1] = [order[at]] * int(draw.choice([0, 2])) if len(order) > 1 else order
    semantic = source.semantic.reshape(groups, 3).clone()
    semantic[first:end] = (semantic[first:end] + int(draw.integers(1, 4000))) % 4096
    return DualCodes(
        linguistic=source.linguistic.reshape(groups, 2)[order].reshape(-1),
        semantic=semantic[order].reshape(-1),
        codebook=source.codebook,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
