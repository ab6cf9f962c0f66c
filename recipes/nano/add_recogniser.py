"""The letter recogniser into a bundle that has the other parts: their files stay as they are.

    python -m recipes.nano.add_recogniser --letters runs/nano/letters --bundle stepedit_core/assets/nano

`--letters` is a training folder with final.pt and limits.json (judge_letters figures). The bundle
gets the model card of `--card`, too.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from recipes.nano.export import LIMITS
from recipes.nano.training import FINAL, log, saved_state, setup
from stepedit_core.bundle.manifest import TOKENIZER, file_of, read_manifest
from stepedit_core.bundle.parts import build_part
from stepedit_core.bundle.write import write_bundle
from stepedit_core.models.letters import LettersConfig

PART = "recogniser"


def add_recogniser(letters: Path, bundle: Path, card: Path) -> None:
    """Write the bundle again with this recogniser; the folder changes whole or not at all."""
    state = saved_state(letters / FINAL)
    if state is None:
        raise SystemExit(f"{letters} has no {FINAL}. Finish the training first.")
    limits = json.loads((letters / LIMITS).read_text("utf-8"))
    about = read_manifest(bundle)
    config = LettersConfig(**state["config"], **limits)
    made = replace(
        about,
        recogniser="letters",
        components={**about.components, PART: config},
        card=json.loads(card.read_text("utf-8")),
        files={},
    )
    network = build_part(made, PART, empty=False)
    network.load_state_dict(state["model"])
    kept = {part: bundle / file_of(part) for part in about.parts if part != PART}
    written = write_bundle(bundle, made, {**kept, PART: network}, bundle / TOKENIZER)
    log.info("%s: %.2f MB", file_of(PART), written.files[file_of(PART)].size / 1e6)


def main() -> None:
    """Read the folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--card", type=Path, default=Path(__file__).parent / "card.json")
    args = parser.parse_args()
    setup(1)
    add_recogniser(args.letters, args.bundle, args.card)


if __name__ == "__main__":
    main()
