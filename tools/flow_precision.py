"""The flow decoder in bfloat16 and in fewer steps, beside what the vocoder does. Prints JSON.

python -m tools.flow_precision [--bundle nano] [--ears FOLDER] CLIP [CLIP ...]

Root mean square differences of natural-log mels, in nats, over the frames of each clip:
bf16     the mel of bfloat16 weights against that of float32, same codes, voice and noise
seed     the mel of another seed against that of the first, float32
vocoder  the mel of the wave that the vocoder makes of the float32 mel, against that mel
With --ears, a faster-whisper folder that reads the words, also for the edit "happy" by difference,
against 80 Euler steps in float32: `ten` Euler steps, `five` steps of order 2, `five_bf16`, and
`moved`, the recording itself.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import stepedit_core as stepedit
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.pipelines.difference import difference_decode
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.generate import generate
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Decoding, Draws, DualCodes, EditRequest, Voice
from tools.long_speech import ears_of

ENOUGH = 80
"""Steps that stand in for the exact integral: 40 differ from them by 0.002."""


def difference(a: Tensor, b: Tensor) -> float:
    """Root mean square difference of two mels (80, F) over the frames that both have."""
    frames = min(a.shape[-1], b.shape[-1])
    return round(float((a[:, :frames] - b[:, :frames]).square().mean().sqrt()), 4)


def edited(
    plain: Bundle, low: Bundle, codes: DualCodes, voice: Voice, text: str
) -> dict[str, float]:
    """The four figures of an edit by difference."""
    request = EditRequest(kind="emotion", option="happy", text=text)
    answer = generate(plain, codes, request, draws=Draws(seed=1)).codes

    def mel(bundle: Bundle, order: int, steps: int = 10, strength: float = 1.0) -> Tensor:
        bundle.flow.config = replace(bundle.flow.config, difference_order=order)
        how = Decoding(steps=steps, strength=strength)
        return difference_decode(bundle, answer, voice, draws=Draws(seed=1), decoding=how).mel

    exact = mel(plain, 1, ENOUGH)
    return {
        "ten": difference(mel(plain, 1), exact),
        "five": difference(mel(plain, 2), exact),
        "five_bf16": difference(mel(low, 2), exact),
        "moved": difference(mel(plain, 1, strength=0.0), exact),
    }


def main() -> None:
    """One line a clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--ears", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ears = ears_of(args.ears) if args.ears else None
    plain, low = (stepedit.load(args.bundle, precision=kind) for kind in ("fp32", "bf16"))
    for path in args.clips:
        clip = read_clip(path)
        codes, voice = tokenize(plain, clip)
        first = flow_decode(plain, codes, voice, draws=Draws(seed=1))
        wave = vocode(plain, first, draws=Draws(seed=1)).wave
        line: dict[str, object] = {
            "clip": path.name,
            "bf16": difference(flow_decode(low, codes, voice, draws=Draws(seed=1)), first),
            "seed": difference(flow_decode(plain, codes, voice, draws=Draws(seed=2)), first),
            "vocoder": difference(prompt_mel(wave), first),
        }
        if ears is not None:
            text = " ".join(word.text for word in ears.transcribe(clip))
            line |= edited(plain, low, codes, voice, text)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
