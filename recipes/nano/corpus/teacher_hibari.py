"""Fast teacher: hibari-tts 0.2.1 (one American voice, Apache-2.0), 24 kHz, with its phone durations.

Its ONNX graph computes, per 25 ms, the index of the phone token it speaks; the graph is saved once
more with that tensor as an extra output, so frame-level phone labels are exact and free.
"""

import json
from importlib import resources
from pathlib import Path

import numpy as np

from recipes.nano.corpus.vocoder import HOP, Frames, analyse, power_frames, smooth
from stepedit_core.files.whole import whole_file

PHONES = json.loads(resources.files(__package__).joinpath("phones.json").read_text("utf-8"))
"""{"symbols": [...], "ignored": "..."}; label 0 is silence."""
INDEX = {s: i for i, s in enumerate(PHONES["symbols"])}
_TOKEN_OF_FRAME = "/ReduceSum_1_output_0"


def frame_labels(
    symbols: list[str], token_of_frame: np.ndarray, level_db: np.ndarray
) -> np.ndarray:
    """(F,) uint8 labels from the token index of each frame and its level.

    Stress marks belong to the phone that follows, length marks to the one before; spaces and
    punctuation are silence where the frame lies 38 dB under the loudest, else the nearest phone.
    """
    label = np.full(len(symbols), -1)
    for i, s in enumerate(symbols):
        if s in INDEX:
            label[i] = INDEX[s]
    for i in range(len(symbols) - 1, -1, -1):
        if symbols[i] in "ˈˌ" and i + 1 < len(symbols):
            label[i] = label[i + 1]
    for i in range(1, len(symbols)):
        if symbols[i] in "ːʰ":
            label[i] = label[i - 1]
    out = label[token_of_frame]
    loud = level_db > level_db.max() - 38
    known = np.flatnonzero(out > 0)
    for k in np.flatnonzero(out < 0):
        near = known[np.abs(known - k).argmin()] if len(known) else -1
        out[k] = out[near] if near >= 0 and loud[k] and abs(near - k) <= 8 else 0
    return out.astype(np.uint8)


def save_with_durations(path: Path) -> None:
    """Write the packaged graph with the token-per-frame tensor as an extra output."""
    import hibari
    import onnx

    model = onnx.load(Path(hibari.__file__).parent / "assets" / "hibari.onnx")
    shapes = onnx.shape_inference.infer_shapes(model).graph.value_info
    model.graph.output.append(next(v for v in shapes if v.name == _TOKEN_OF_FRAME))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        onnx.save(model, part)


class Hibari:
    """phonemes -> wave and labels. One thread."""

    def __init__(self, folder: Path):
        """folder: where the extended graph is kept; created on first use."""
        import hibari
        import onnxruntime as ort
        from hibari.g2p import G2P

        path = folder / "hibari_durations.onnx"
        if not path.exists():
            save_with_durations(path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        assets = Path(hibari.__file__).parent / "assets"
        self.vocab = json.loads((assets / "vocab.json").read_text("utf-8"))
        self.g2p = {"us": G2P(british=False)}

    def phonemes(self, text: str) -> str:
        """Plain text -> misaki phoneme string."""
        return self.g2p["us"](text)

    def raw(self, phonemes: str, speed: float, rng: np.random.Generator):
        """-> wave (300 F,) float32, f0 (F,), noise share (F, 601), symbols, token index (F,)."""
        from hibari import dsp

        symbols = [c for c in phonemes if c in self.vocab]
        ids = np.array([[0, *[self.vocab[c] for c in symbols], 0]], np.int64)
        feed = {"ids": ids, "speed": np.array([speed], np.float32)}
        *parts, token = self.session.run(None, feed)
        lh, theta, ln, lr, phi, f0 = (p[0] for p in parts)
        off = np.full_like(lh, -20)
        free = dsp.synth(off, theta, off, lr, phi, np.zeros_like(f0), rng)
        tonal = dsp.synth(lh, theta, ln, off, phi, f0, rng)
        wide = np.full(len(f0), 400.0, np.float32)
        wave = free + tonal
        noise = smooth(power_frames(free, len(f0)), wide)
        total = smooth(power_frames(wave, len(f0)), wide)
        share = np.clip(noise / (total + 1e-12), 0, 1)
        return wave, f0, share, ["^", *symbols, "$"], np.repeat(token, 2)[: len(f0)]

    def frames(self, phonemes: str, speed: float, rng: np.random.Generator) -> Frames:
        """Phonemes -> Frames of the teacher's own voice, leading and trailing silence cut to 0.1 s."""
        wave, f0, share, symbols, token = self.raw(phonemes, speed, rng)
        level = 10 * np.log10((wave.reshape(-1, HOP) ** 2).mean(1) + 1e-9)
        phones = frame_labels(symbols, token, level)
        spaces = np.cumsum([c == " " for c in symbols])
        return trim_edges(analyse(wave, f0, share, phones, spaces[token]))

    def word(self, phonemes: str, rng: np.random.Generator) -> Frames:
        """The frames of the first word of a phoneme string, without its silence."""
        frames = self.frames(phonemes, 1.0, rng)
        return frames.take(np.flatnonzero((frames.words == 0) & (frames.phones > 0)))


def trim_edges(frames: Frames, keep: int = 8) -> Frames:
    """Cut edge silence to `keep` frames (12.5 ms each)."""
    spoken = np.flatnonzero(frames.phones)
    if not len(spoken):
        return frames
    return frames.take(np.arange(max(spoken[0] - keep, 0), min(spoken[-1] + keep + 1, len(frames))))
