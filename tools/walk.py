"""The files that one clip passes in `stepedit edit`, in the order they are entered.

    python -m tools.walk

One round of *happy* with nano. What every step uses (`LEFT_OUT`: networks, text, bundles, files) is
not printed: the list is for a reader who wants to follow the clip, not its weights.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from stepedit_core.cli import main as stepedit

CORE = Path(__file__).resolve().parents[1] / "stepedit_core"
SAMPLE = CORE / "assets/samples/walking_home.wav"
LEFT_OUT = (
    "models/",
    "text/",
    "bundle/",
    "registry/",
    "release/",
    "files/",
    "types.py",
    "vocab.py",
)


def entered(arguments: list[str]) -> list[str]:
    """Files of the core whose functions a command calls, each once; bodies of classes are none."""
    found: dict[str, None] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        ours = event == "call" and path.is_relative_to(CORE)
        if ours and "__qualname__" not in frame.f_code.co_names and frame.f_code.co_name[0] != "<":
            found.setdefault(path.relative_to(CORE).as_posix())

    sys.setprofile(watch)
    try:
        stepedit(arguments)
    finally:
        sys.setprofile(None)
    return [name for name in found if not name.startswith(LEFT_OUT)]


def main() -> int:
    """Print the walk, a file a line."""
    words = SAMPLE.with_suffix(".txt").read_text("utf-8").strip()
    with tempfile.TemporaryDirectory() as out:
        how = ["--text", words, "--emotion", "happy", "--out", out]
        names = entered(["edit", str(SAMPLE), *how])
    sys.stdout.write("\n".join(names) + f"\n{len(names)} files\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
