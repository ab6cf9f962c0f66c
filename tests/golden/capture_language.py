"""Capture tests/golden/language_lm.npz from the official trainable copy of the language model.

    EDITX_TRAIN_REPO=<checkout of Step-Audio-EditX, 2026-04> python tests/golden/capture_language.py

Own code; the official module is imported from the path in the variable. It has no cache: every
row of decode logits is the last row of a whole forward. Weights are not stored: tests rebuild
them with `seeded_weights`, whose legacy NumPy generator is frozen by NumPy's own policy.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

CONFIG = {
    "vocab_size": 200,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_attention_groups": 2,
}
SEED = 20261122
PROMPT_LENGTHS = (40, 17, 29, 3)
STEPS = 6


def seeded_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """float32 weights of the named shapes; matrices N(0, 1 / columns), vectors 1 + N(0, 0.01)."""
    state = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        draw = state.standard_normal(shapes[name])
        scaled = draw / np.sqrt(shapes[name][-1]) if draw.ndim == 2 else 1 + 0.1 * draw
        weights[name] = scaled.astype(np.float32)
    return weights


def seeded_ids(seed: int) -> np.ndarray:
    """Ids (4, 46) int64; row b uses the first PROMPT_LENGTHS[b] as prompt, the next STEPS after."""
    state = np.random.RandomState(seed + 1)
    shape = (len(PROMPT_LENGTHS), max(PROMPT_LENGTHS) + STEPS)
    return state.randint(0, CONFIG["vocab_size"], shape).astype(np.int64)


def main() -> None:
    """Write the golden file."""
    import torch

    source = Path(os.environ["EDITX_TRAIN_REPO"]) / "src" / "model" / "step_audio.py"
    spec = importlib.util.spec_from_file_location("official_step_audio", source)
    official = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = official
    spec.loader.exec_module(official)

    model = official.Step1Model(official.Step1Config(**CONFIG)).eval()
    head = torch.nn.Linear(CONFIG["hidden_size"], CONFIG["vocab_size"], bias=False)
    both = torch.nn.ModuleDict({"model": model, "lm_head": head})
    shapes = {name: tuple(value.shape) for name, value in both.state_dict().items()}
    weights = seeded_weights(shapes, SEED)
    both.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})

    ids = seeded_ids(SEED)
    arrays = {}
    with torch.inference_mode():
        for row, length in enumerate(PROMPT_LENGTHS):
            whole = torch.from_numpy(ids[row : row + 1, : length + STEPS])
            # one whole forward per decoded id, as a model without a cache must do
            rows = [
                head(model(model.embed_tokens(whole[:, : length + step])))[0]
                for step in range(STEPS + 1)
            ]
            arrays[f"prefill_{row}"] = rows[0].numpy()
            arrays[f"decode_{row}"] = torch.stack([r[-1] for r in rows[1:]]).numpy()
        bias = official.build_alibi_cache(24, 6, torch.float32, "cpu")
        arrays["bias_6_heads"] = bias.reshape(6, 24, 24).numpy()
        rows = official.build_alibi_cache(24, 48, torch.float32, "cpu").reshape(48, 24, 24)
        arrays["bias_48_heads_last_query"] = rows[:, -1].numpy()
    np.savez_compressed(Path(__file__).with_name("language_lm.npz"), **arrays)


if __name__ == "__main__":
    main()
