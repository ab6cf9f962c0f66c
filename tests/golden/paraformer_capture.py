"""Capture tests/golden/paraformer.safetensors from FunASR (`pip install funasr`).

    python tests/golden/paraformer_capture.py          # writes the golden file and its manifest
    python tests/golden/paraformer_capture.py --full   # compares once at the released sizes

Own code; the reference is imported. Weights and inputs are not stored: tests rebuild them from the
seed. FunASR's own inference passes the predictor's weights and peaks to its time stamps in the
wrong order in some versions; here they are passed by name.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.golden.tokenizers_capture import LINGUISTIC, seeded_state, shapes_of  # noqa: E402

SEED = 20261128
SMALL = {"d_model": LINGUISTIC["d_model"], "heads": 2, "layers": 3, "ffn": 48, "units": 40}
FULL = {"d_model": 512, "heads": 4, "layers": 16, "ffn": 2048, "units": 8501}
ENCODER = {"d_model": 512, "heads": 4, "layers": 50, "ffn": 2048}
LENGTHS = (23, 3, 1)
"""Frames of the clips; the two short ones are below one chunk of the tokenizer."""
TIMES = 4
"""Rows of predictor weights whose time stamps are captured."""
NAME = "paraformer.safetensors"
TOLERANCE = (
    "hidden 1e-5 and vectors 2e-5 (size 4): float32 sums in another order, for vectors differences "
    "of a float32 running sum over the clip; weights 1e-6 (size 1); logits 5e-5 (size 4), vectors "
    "through the layers; counts, frames and ids exact; times 1 ms, the reference cuts to whole ones"
)


def features(frames: int, seed: int = 0) -> Tensor:
    """(frames, 560) float32 noise, as after CMVN."""
    draw = np.random.RandomState(SEED + seed).standard_normal((frames, 560))
    return torch.tensor(draw, dtype=torch.float32)


def uneven_weights(row: int) -> Tensor:
    """(61,) float32 predictor weights with pauses, the tail's 0.45 last."""
    draw = np.random.RandomState(SEED + 100 + row).random_sample(60) ** 2
    draw[20 : 22 + 8 * row] *= 0.01  # a pause that grows from row to row
    return torch.tensor([*draw, 0.45], dtype=torch.float32)


def states(decoder: Mapping[str, tuple[int, ...]], predictor: Mapping[str, tuple[int, ...]]) -> Any:
    """Seeded weights of both; the embedding of units, which only training reads, is left out."""
    used = {name: shape for name, shape in decoder.items() if not name.startswith("embed.")}
    return seeded_state(used, SEED), seeded_state(predictor, SEED + 1)


def golden() -> dict[str, Tensor]:
    """Tensors of the golden file."""
    return load_file(HERE / NAME)


def reference(sizes: Mapping[str, int], encoder_sizes: Mapping[str, int]) -> Any:
    """FunASR's encoder with the whole clip in view, its predictor and its decoder, seeded."""
    from funasr.models.paraformer.cif_predictor import CifPredictorV2
    from funasr.models.paraformer.decoder import ParaformerSANMDecoder
    from funasr.models.sanm.encoder import SANMEncoder

    encoder = SANMEncoder(
        input_size=560,
        output_size=encoder_sizes["d_model"],
        attention_heads=encoder_sizes["heads"],
        linear_units=encoder_sizes["ffn"],
        num_blocks=encoder_sizes["layers"],
        input_layer="pe",
        kernel_size=11,
        sanm_shfit=0,
    ).eval()
    encoder.load_state_dict(seeded_state(shapes_of(encoder), SEED))
    decoder = ParaformerSANMDecoder(
        vocab_size=sizes["units"],
        encoder_output_size=sizes["d_model"],
        attention_heads=sizes["heads"],
        linear_units=sizes["ffn"],
        num_blocks=sizes["layers"],
        att_layer_num=sizes["layers"],
        kernel_size=11,
        sanm_shfit=5,
    ).eval()
    predictor = CifPredictorV2(idim=sizes["d_model"], l_order=1, r_order=1, tail_threshold=0.45)
    predictor.eval()
    weights = states(shapes_of(decoder), shapes_of(predictor))
    missing = decoder.load_state_dict(weights[0], strict=False).missing_keys
    assert missing == ["embed.0.weight"], missing
    predictor.load_state_dict(weights[1])
    return encoder, predictor, decoder


def recognise(parts: Any, rows: Tensor) -> dict[str, Tensor]:
    """One clip (T, 560) through the reference."""
    encoder, predictor, decoder = parts
    lengths = torch.tensor([len(rows)])
    hidden = encoder(rows[None], lengths)[0]
    mask = torch.ones(1, 1, len(rows))
    vectors, counts, weights, peaks = predictor(hidden, None, mask)
    out = {
        "hidden": hidden[0],
        "weights": weights[0],
        "vectors": vectors[0],
        "count": counts.long(),
        "frames": torch.where(peaks[0] >= 1.0)[0],
    }
    if int(counts):
        out["logits"] = decoder(hidden, lengths, vectors, counts.long())[0][0]
    return out


def times(weights: Tensor) -> Tensor:
    """Start and end (units, 2) in ms by the reference, the end mark left out."""
    from funasr.models.paraformer.cif_predictor import cif_wo_hidden_v1
    from funasr.utils.timestamp_tools import ts_prediction_lfr6_standard

    peaks = cif_wo_hidden_v1(weights[None].clone(), 1.0)
    count = int(weights.double().sum())
    units = [f"u{i}" for i in range(count - 1)] + ["</s>"]
    found = ts_prediction_lfr6_standard(
        us_alphas=weights[None].clone(), us_peaks=peaks, char_list=units, upsample_rate=1
    )[1]
    return torch.tensor(found)


def capture() -> dict[str, Tensor]:
    """SANMEncoder, CifPredictorV2, ParaformerSANMDecoder, ts_prediction_lfr6_standard."""
    parts = reference(SMALL, LINGUISTIC)
    out = {}
    for place, frames in enumerate(LENGTHS):
        made = recognise(parts, features(frames, place))
        out |= {f"{name}_{frames}": value for name, value in made.items()}
    return out | {f"times_{row}": times(uneven_weights(row)) for row in range(TIMES)}


def compare_full() -> None:
    """Largest differences at the released sizes, 80 frames, 4.8 s."""
    from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
    from stepedit_core.models.paraformer import Paraformer, ParaformerConfig

    rows = features(80)
    parts = reference(FULL, ENCODER)
    theirs = recognise(parts, rows)
    names = {f"decoder.{n}" for n in shapes_of(parts[2]) if not n.startswith("embed.")}
    names |= {f"predictor.{n}" for n in shapes_of(parts[1])}
    tokenizer = LinguisticTokenizer(LinguisticConfig()).eval().requires_grad_(False)
    tokenizer.encoder.load_state_dict(parts[0].state_dict())
    ours = Paraformer(ParaformerConfig()).eval().requires_grad_(False)
    assert names == set(ours.state_dict()), names ^ set(ours.state_dict())
    ours.decoder.load_state_dict({**parts[2].state_dict(), "embed.0.weight": None}, strict=False)
    ours.predictor.load_state_dict(parts[1].state_dict())
    hidden = tokenizer.whole(rows[None])
    lengths = torch.tensor([len(rows)])
    fires, logits = ours.logits(hidden, lengths)
    found = {
        "hidden": hidden[0],
        "weights": ours.predictor.weights(hidden, lengths)[0],
        "vectors": fires.vectors[0],
        "logits": logits[0],
    }
    report: dict[str, Any] = {
        name: f"{float((value - theirs[name]).abs().max()):.1e} of "
        f"{float(theirs[name].abs().max()):.2g}, {tuple(value.shape)}"
        for name, value in found.items()
    }
    report |= {
        "tensors": len(names),
        "numbers": sum(p.numel() for p in ours.parameters()),
        "units": [int(fires.counts), int(theirs["count"])],
        "frames equal": torch.equal(fires.frames[0], theirs["frames"]),
        "ids equal": torch.equal(logits[0].argmax(-1), theirs["logits"].argmax(-1)),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def main() -> None:
    """Write the golden file and its manifest, or compare at the released sizes."""
    torch.set_num_threads(1)
    with torch.no_grad():
        if "--full" in sys.argv:
            compare_full()
            return
        tensors = {name: value.contiguous() for name, value in capture().items()}
    path = HERE / NAME
    save_file(tensors, path)
    path.chmod(0o644)
    manifest = {
        NAME: {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "seed": SEED,
            "tolerance": TOLERANCE,
            "capture": f"tests/golden/paraformer_capture.py: {capture.__doc__}",
            "oracle": {name: version(name) for name in ("torch", "numpy", "funasr")},
        }
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (HERE / "paraformer.manifest.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
