"""Play and Save Audio in a running ComfyUI: every clip of a list, played and written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.server.comfyui import Run, Server
from tests.server.graph import Graph
from tests.server.test_graph import edited, keep, kept, recording

pytestmark = pytest.mark.server
NODE = "StepEdit_PlayAndSave"
ROUNDS = 2


def listened(
    server: Server, graph: Graph, audio: tuple[str, int], format_: str, prefix: str = "audio/l"
) -> tuple[str, Run]:
    """The node's id, and the run of the graph with it at the end."""
    node = graph.add(NODE, audio=audio, format=format_, filename_prefix=prefix)
    run = server.run(graph)
    assert run.outcome == "success", run.error
    return node, run


def heard(server: Server, item: dict[str, str]) -> tuple[np.ndarray, int]:
    """Samples (N, C) of a file that the node showed, and its rate in Hz."""
    wave, rate = soundfile.read(io.BytesIO(server.view(item)), always_2d=True)
    return wave, rate


@pytest.mark.parametrize("format_", ["only play", "wav", "flac"])
def test_every_round_has_a_player_in_the_order_of_the_list(server: Server, format_: str) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=2, seed=71)
    keep(graph, (node, ROUNDS), f"list-{format_}")
    player, run = listened(server, graph, (node, ROUNDS), format_, f"audio/list-{format_}")
    shown = run.outputs[player]
    assert [row["file"] for row in shown["stepedit_players"]] == shown["audio"]
    assert len(shown["audio"]) == 3
    for number, row in enumerate(shown["stepedit_players"]):
        wave, rate = heard(server, row["file"])
        made = kept(server, f"list-{format_}", number)[0].T
        assert rate == 24_000
        assert np.abs(wave - made).max() <= 1 / 32_768
        assert row["seconds"] == pytest.approx(len(made) / 24_000)


def test_files_are_numbered_on_and_none_is_overwritten(server: Server) -> None:
    names = []
    for kind in ("plain", "batch"):
        graph = Graph()
        node = graph.add(
            NODE, audio=recording(graph, kind), format="wav", filename_prefix="audio/numbered"
        )
        shown = graph.add("ProbeShow", value=(node, 0))
        names += server.run(graph).outputs[shown]["values"]
    assert names == [f"audio/numbered_{number:05}_.wav" for number in (1, 2, 3)]
    first, _, third = [soundfile.read(server.base / "output" / name)[0] for name in names]
    assert np.allclose(third, -0.5 * first, atol=1 / 32_768)


def test_only_play_writes_nothing_below_output(server: Server) -> None:
    graph = Graph()
    _, run = listened(server, graph, recording(graph, "stereo"), "only play", "audio/unwritten")
    (item,) = [item for output in run.outputs.values() for item in output["audio"]]
    assert item["type"] == "temp"
    assert heard(server, item)[0].shape[1] == 2  # channels are kept
    assert not list(Path(server.base, "output").rglob("unwritten*"))


def test_a_flac_carries_the_graph_as_the_cores_own_do(server: Server) -> None:
    graph = Graph()
    node, run = listened(server, graph, recording(graph), "flac")
    saver = graph.add("SaveAudio", audio=recording(graph), filename_prefix="audio/core")
    cores = server.run(graph).outputs[saver]["audio"][0]
    ours = comments(server.view(run.outputs[node]["audio"][0]))
    assert json.loads(ours["prompt"])[node]["class_type"] == NODE
    assert set(ours) == set(comments(server.view(cores))) - {"encoder"}


def comments(flac: bytes) -> dict[str, str]:
    """Vorbis comments of a FLAC, read as RFC 9639 says."""
    at, last, found = 4, False, {}
    while not last:
        last, kind = flac[at] >= 128, flac[at] & 127
        size = int.from_bytes(flac[at + 1 : at + 4], "big")
        block, at = flac[at + 4 : at + 4 + size], at + 4 + size
        if kind == 4:
            place = 4 + int.from_bytes(block[:4], "little")
            count, place = int.from_bytes(block[place : place + 4], "little"), place + 4
            for _ in range(count):
                length = int.from_bytes(block[place : place + 4], "little")
                key, _, value = block[place + 4 : place + 4 + length].decode().partition("=")
                found[key.lower()] = value
                place += 4 + length
    return found


@pytest.mark.parametrize(
    ("kind", "words"),
    [("nan", "samples that are not numbers"), ("empty", "(1, 1, 0)"), ("flat", "(1, 36000)")],
)
def test_bad_audio_is_answered_with_one_sentence(server: Server, kind: str, words: str) -> None:
    graph = Graph()
    graph.add(NODE, audio=recording(graph, kind), format="wav", filename_prefix="audio/bad")
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error
    assert not list(Path(server.base, "output").rglob("bad_*"))


def test_no_sound_is_answered_with_one_sentence(server: Server) -> None:
    graph = Graph()
    graph.add(NODE, audio=(graph.add("ProbeNothing"), 0), format="wav", filename_prefix="audio/no")
    assert "there is no audio" in server.run(graph).error


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"format": "mp3"}, "format is 'mp3'; allowed are only play, wav, flac."),
        ({"filename_prefix": "../out"}, "filename_prefix is '../out'"),
        ({"filename_prefix": ""}, "filename_prefix is ''"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_before_the_run(
    server: Server, wrong: dict[str, Any], words: str
) -> None:
    graph = Graph()
    values = {"format": "wav", "filename_prefix": "audio/x", **wrong}
    graph.add(NODE, audio=recording(graph), **values)
    with pytest.raises(ValueError, match="node_errors") as refused:
        server.run(graph)
    assert words in str(refused.value)
