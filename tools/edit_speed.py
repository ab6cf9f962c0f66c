"""Measure one edit round on the shipped clip: import, load, stages, peak memory. Prints JSON.

python -m tools.edit_speed [--bundle nano] [--runs 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

IMPORT = (
    "import time; t = time.perf_counter(); import stepedit_core; print(time.perf_counter() - t)"
)


def main() -> None:
    """Warm up once, then report the median of the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    imports = [
        float(
            subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True).stdout
        )
        for _ in range(5)
    ]
    import torch

    torch.set_num_threads(args.threads)
    import stepedit_core as stepedit
    from stepedit_core.audio.files import read_clip
    from stepedit_core.registry.registry import ASSETS

    began = time.perf_counter()
    bundle = stepedit.load(args.bundle)
    bundle.load_all()
    load_seconds = time.perf_counter() - began
    sample = ASSETS / "samples/walking_home.wav"
    clip = read_clip(sample)
    words = sample.with_suffix(".txt").read_text("utf-8").strip()
    rounds = []
    for run in range(args.runs + 1):
        done = stepedit.edit(bundle, clip, text=words, emotion="happy", seed=1).final
        if run:
            rounds.append(done)
    stages = sorted({name for r in rounds for name in r.stage_seconds})
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "threads": args.threads,
                "runs": args.runs,
                "import_seconds": round(statistics.median(imports), 4),
                "load_seconds": round(load_seconds, 3),
                "clip_seconds": round(clip.seconds, 2),
                "out_seconds": round(rounds[0].clip.seconds, 2),
                "ids": rounds[0].codes.groups * 5,
                "round_seconds": [round(r.seconds_elapsed, 2) for r in rounds],
                "median_stage_seconds": {
                    name: round(statistics.median(r.stage_seconds.get(name, 0) for r in rounds), 3)
                    for name in stages
                },
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
