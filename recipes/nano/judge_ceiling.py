"""How much of an emotion or style codec, decoder and vocoder let through: the most an edit can get.

The judges' held-out clips (recipes/nano/exam.py) are heard four times against the plain clip of the
same words: as they are; their mel through the vocoder; their codes in their own voice; and their
codes in the voice of the plain clip, which is what a language model without a fault would get.

    python -m recipes.nano.judge_ceiling --exam runs/exam --bundle nano
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch

from recipes.nano.exam import CLASSES
from recipes.nano.training import RATE, setup
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.audio.resample import resample
from stepedit_core.evaluate.functionals import load_judge
from stepedit_core.files.terminal import table
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Clip, Draws

WAYS = ("clip", "mel", "own voice", "plain voice")


def held_out(exam: Path, kind: str, speakers: int) -> Iterator[tuple[Clip, Clip, str]]:
    """(plain clip, the same words in a manner, label) of the first held-out speakers."""
    seen: list[str] = []
    for line in filter(None, (exam / f"judge-{kind}.jsonl").read_text("utf-8").split("\n")):
        row = json.loads(line)
        words = row["audio"].rpartition("-")[0]
        if (
            row["split"] != "dev"
            or row["label"] == "neutral"
            or not row["source"].startswith(words)
        ):
            continue
        speaker = words.partition("-")[0]
        if speaker not in seen:
            seen.append(speaker)
        if len(seen) > speakers:
            return
        yield read_clip(exam / row["source"]), read_clip(exam / row["audio"]), row["label"]


def ways(bundle: Bundle, plain: Clip, clip: Clip) -> dict[str, Clip]:
    """The clip as it passes more and more of the bundle."""
    _, plain_voice = tokenize(bundle, plain)
    codes, voice = tokenize(bundle, clip)
    mel = prompt_mel(resample(clip.wave, clip.sample_rate, RATE))
    mels = [
        mel,
        *(flow_decode(bundle, codes, who, draws=Draws(seed=0)) for who in (voice, plain_voice)),
    ]
    return dict(
        zip(WAYS, [clip, *(vocode(bundle, m, draws=Draws(seed=0)) for m in mels)], strict=True)
    )


def main() -> None:
    """Decode, judge, print a table a kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exam", type=Path, required=True)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--speakers", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    setup(args.threads)
    torch.set_grad_enabled(False)
    bundle = Registry().load(args.bundle)
    for kind, options in CLASSES.items():
        judge = load_judge(args.exam / f"{kind}.safetensors")
        right: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for plain, clip, label in held_out(args.exam, kind, args.speakers):
            for way, heard in ways(bundle, plain, clip).items():
                right[label][way].append(judge.score(plain, heard, label))
                right["all"][way].append(right[label][way][-1])
        share = lambda hits: f"{sum(hits) / len(hits):.0%}"  # noqa: E731
        rows = [(name, *(share(right[name][way]) for way in WAYS)) for name in (*options, "all")]
        print(table((kind, *WAYS), rows) + "\n", flush=True)


if __name__ == "__main__":
    main()
