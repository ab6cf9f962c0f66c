"""How long Cancel takes inside each stage on a running server.

`python -m tools.cancel_times` prints the table of docs/benchmarks for the bundle nano and
for networks that keep each stage busy for seconds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepedit_core.models.flow import FlowConfig
from stepedit_core.models.scorer import ScorerConfig
from tests import tiny_bundle
from tests.server.comfyui import PATIENCE, Server, Watch
from tests.server.graph import Graph
from tests.server.material import PROBE, WORDS, write_speech

SLOW = "slow"
SECONDS = 29.0
"""Of the clip: nearly the longest allowed."""
VARIANTS = ("happy", "sad")
"""Of a graph: the second finds nothing of its stage in the cache."""
EDITS = 40
"""Edits that Margin Score works through; one takes a few hundredths of a second."""
STAGES = ("tokenize", "generate", "flow decode", "vocode", "margin score", "iterative edit")


def write_slow(folder: Path) -> None:
    """A bundle with random weights, 29 s of speech keep each of whose networks busy for seconds."""
    tiny: Mapping[str, Any] = tiny_bundle.manifest().components
    sizes: dict[str, dict[str, Any]] = {
        "linguistic": {"d_model": 256, "heads": 4, "layers": 30, "ffn": 1024},
        "semantic": {"d_model": 512, "heads": 8, "layers": 6, "ffn": 2048},
        "llm": {
            "hidden_size": 384,
            "intermediate_size": 1024,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "max_seq_len": 8192,
        },
        "flow": {
            "dit_dim": 128,
            "dit_depth": 8,
            "dit_head_dim": 64,
            "dit_mlp_ratio": FlowConfig().dit_mlp_ratio,
        },
        "vocoder": {"base_channels": 256, "f0_channels": 64},
        "scorer": {
            "edits": ("emotion happy", "emotion sad"),
            "code_dim": ScorerConfig(edits=()).code_dim,
            "hidden_size": 256,
            "layers": 6,
            "heads": 4,
            "ffn": 1024,
        },
    }
    larger = {part: replace(tiny[part], **changed) for part, changed in sizes.items()}
    tiny_bundle.write(folder, SLOW, larger=larger)


def write_clips(folder: Path, seconds: float = SECONDS) -> None:
    """The clips of the graphs."""
    for emotion in VARIANTS:
        write_speech(folder / f"long_{emotion}.wav", seconds)


def stage_graph(
    bundle: str, stage: str, emotion: str = VARIANTS[0], seed: int = 0
) -> tuple[Graph, str]:
    """A graph that ends at a stage, and the node of that stage.

    Another emotion or seed makes that node run anew, those before it are cached.
    """
    graph = Graph()
    variant = VARIANTS.index(emotion) + seed
    clip = emotion if stage == "tokenize" else VARIANTS[0]
    model = (graph.add("StepEdit_LoadModel", bundle=bundle, device="auto", precision="auto"), 0)
    audio = (graph.add("LoadAudio", audio=f"long_{clip}.wav"), 0)
    edit = (graph.add("StepEdit_Emotion", emotion=emotion), 0)
    if stage == "iterative edit":
        how = {"text": WORDS, "rounds": 1, "voice": "stay with the original", "seed": variant}
        node = graph.add(
            "StepEdit_IterativeEdit", model=model, audio=audio, edit=edit, **how, best_round=0
        )
        return graph, node
    node = tokens = graph.add("StepEdit_TokenizeSpeech", model=model, audio=audio)
    one = {"seed": variant, "round": 1}
    if stage == "generate":
        draw = {"temperature": 0.7, "top_k": 0, "top_p": 1.0, "text": WORDS}
        node = graph.add(
            "StepEdit_GenerateTokens", model=model, tokens=(tokens, 0), edit=edit, **one, **draw
        )
    if stage in ("flow decode", "vocode"):
        how = {"steps": 10, "guidance": 0.7, **one}
        if stage == "vocode":
            how |= {"steps": 1, "seed": 0}
        node = graph.add(
            "StepEdit_FlowDecode", model=model, tokens=(tokens, 0), voice=(tokens, 1), **how
        )
    if stage == "vocode":
        node = graph.add("StepEdit_Vocode", model=model, mel=(node, 0), **one)
    if stage == "margin score":
        for _ in range(EDITS - 1):
            edit = (graph.add("StepEdit_Emotion", emotion=emotion, edit=edit), 0)
        sides = {"source_tokens": (tokens, 0), "edited_tokens": (tokens, 0)}
        node = graph.add("StepEdit_MarginScore", model=model, edit=edit, **sides)
    graph.add("ProbeShow", value=(node, 0))
    return graph, node


class TooLate(AssertionError):
    """The stage was over before Cancel came."""


def pressed(server: Server, bundle: str, stage: str, after: float, seed: int = 0) -> float:
    """Seconds from Cancel, so long after a stage began, until the queue is idle.

    TooLate where the run was not stopped, AssertionError where it was in another stage.
    """
    graph, node = stage_graph(bundle, stage, VARIANTS[1], seed)
    with Watch(server) as watch:
        prompt_id = watch.queue(graph)
        kind, data = watch.message()
        while not (kind == "executing" and data["node"] == node):
            assert kind not in ("execution_success", "execution_error"), data
            kind, data = watch.message()
        time.sleep(after)
        started = time.monotonic()
        server.post("/interrupt", {})
        while kind != "execution_interrupted":
            if kind == "execution_success":
                raise TooLate(f"{stage} was over before Cancel")
            kind, data = watch.message()
        while server.get("/prompt")["exec_info"]["queue_remaining"]:
            assert time.monotonic() - started < 60 * PATIENCE, "the queue is not idle"
            time.sleep(0.05)  # each question takes time from the run that is to end
        elapsed = time.monotonic() - started
    messages = server.get(f"/history/{prompt_id}")[prompt_id]["status"]["messages"]
    kind, data = messages[-1]
    assert kind == "execution_interrupted"
    assert data["node_id"] == node, f"Cancel came in node {data['node_type']}"
    return elapsed


def lasted(server: Server, bundle: str, stage: str) -> float:
    """Seconds that the stage's node takes when nobody presses Cancel, the weights being read."""
    graph, node = stage_graph(bundle, stage)
    started = 0.0
    with Watch(server) as watch:
        prompt_id = watch.queue(graph)
        while True:
            kind, data = watch.message()
            assert kind != "execution_error", data
            if started and kind in ("executing", "executed", "execution_success"):
                elapsed = time.monotonic() - started
                break
            if kind == "executing" and data["node"] == node:
                started = time.monotonic()
        watch.follow(prompt_id)
    return elapsed


def presses(server: Server, bundle: str, stage: str, whole: float) -> list[float]:
    """Three presses, early, in the middle and late; earlier where the run was over by then.

    Each has draws of its own, and with them a length.
    """
    times = []
    for seed, part in enumerate((0.1, 0.3, 0.6), start=10):
        for again in range(4):
            try:
                wait = whole * part / 2**again
                times.append(pressed(server, bundle, stage, wait, seed + 100 * again))
                break
            except TooLate:
                continue
    return times


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_slow(base / "models" / "step_audio_editx")
        write_clips(base / "input")
        server = Server(base, extra_packs=(PROBE,)).start()
        rows = ["| stage | bundle | takes | three times from Cancel to an idle queue |"]
        rows.append("|---|---|---|---|")
        try:
            for bundle in ("nano", SLOW):
                server.run(stage_graph(bundle, "tokenize", VARIANTS[1])[0])  # reads the weights
                for stage in STAGES:
                    whole = lasted(server, bundle, stage)
                    shown = ", ".join(f"{t:.2f}" for t in presses(server, bundle, stage, whole))
                    rows.append(f"| {stage} | {bundle} | {whole:.2f} s | {shown} s |")
        finally:
            server.stop()
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
