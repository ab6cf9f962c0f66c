"""The flow decoder in bfloat16 beside float32, and beside what the vocoder does. Prints JSON.

python -m tools.flow_precision [--bundle nano] CLIP [CLIP ...]

Root mean square differences of natural-log mels, in nats, over the frames of each clip:
bf16     the mel of bfloat16 weights against that of float32, same codes, voice and noise
seed     the mel of another seed against that of the first, float32
vocoder  the mel of the wave that the vocoder makes of the float32 mel, against that mel
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

import stepedit_core as stepedit
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.types import Draws


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean square difference of two mels (80, F) over the frames that both have."""
    frames = min(a.shape[-1], b.shape[-1])
    return round(float((a[:, :frames] - b[:, :frames]).square().mean().sqrt()), 4)


def main() -> None:
    """One line a clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--bundle", default="nano")
    args = parser.parse_args()
    torch.set_num_threads(1)
    plain = stepedit.load(args.bundle, precision="fp32")
    low = stepedit.load(args.bundle, precision="bf16")
    for path in args.clips:
        codes, voice = tokenize(plain, read_clip(path))
        first = flow_decode(plain, codes, voice, draws=Draws(seed=1))
        wave = vocode(plain, first, draws=Draws(seed=1)).wave
        line = {
            "clip": path.name,
            "bf16": difference(flow_decode(low, codes, voice, draws=Draws(seed=1)), first),
            "seed": difference(flow_decode(plain, codes, voice, draws=Draws(seed=2)), first),
            "vocoder": difference(prompt_mel(wave), first),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
