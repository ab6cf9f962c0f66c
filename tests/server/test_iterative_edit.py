"""Iterative Edit in a running ComfyUI: what it offers, remembers, says, and refuses."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from websocket import WebSocketTimeoutException

from stepedit_core.files.tokens import save_tokens
from stepedit_core.types import Decoding, DualCodes
from tests.server.comfyui import Server, Watch, wait_for
from tests.server.graph import Graph
from tests.server.material import WORDS
from tests.server.test_graph import (
    DECODE,
    DRAW,
    SEED,
    edited,
    every_stage,
    keep,
    kept,
    loaded,
    recording,
)

pytestmark = pytest.mark.server
EDIT = "StepEdit_IterativeEdit"
BEST, FINAL, ROUNDS, SCORES, CHART, REPORT = range(6)


def reported(server: Server, graph: Graph, node: str) -> list[dict[str, Any]]:
    """Reports of a run, one for each clip."""
    shown = next(
        (name for name, entry in graph.items() if entry["inputs"].get("value") == [node, REPORT]),
        None,
    )
    shown = shown or graph.add("ProbeShow", value=(node, REPORT))
    run = server.run(graph)
    assert run.outcome == "success", run.error
    return [json.loads(text) for text in run.outputs[shown]["values"]]


def test_best_is_the_strongest_round_that_holds(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=3, seed=201)
    keep(graph, (node, BEST), "best")
    keep(graph, (node, ROUNDS), "best-rounds")
    (report,) = reported(server, graph, node)
    made = report["rounds"][1:]
    best = report["rounds"][report["best"]]
    assert all(row["holds"] for row in made)
    assert (report["holds"], report["stopped"], report["warnings"]) == (True, None, [])
    assert best["round"] > 0
    assert best["score"] == max(row["score"] for row in made)
    assert np.array_equal(kept(server, "best"), kept(server, "best-rounds", report["best"]))


def test_a_marked_round_is_the_best_and_costs_no_second_edit(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=3, seed=202)
    keep(graph, (node, BEST), "marked")
    (before,) = reported(server, graph, node)
    number = 1 + before["best"] % 3
    graph[node]["inputs"]["best_round"] = number
    (after,) = reported(server, graph, node)
    assert after == {**before, "best": number}  # times included: no round was made again
    keep(graph, (node, ROUNDS), "marked-rounds")
    reported(server, graph, node)
    assert np.array_equal(kept(server, "marked"), kept(server, "marked-rounds", number))


def test_one_more_round_costs_one_round_and_changes_none(server: Server) -> None:
    for voice in ("follow the previous round", "stay with the original"):
        graph = Graph()
        node = edited(graph, recording(graph), rounds=2, seed=203, voice=voice)
        (short,) = reported(server, graph, node)
        graph[node]["inputs"]["rounds"] = 3
        keep(graph, (node, FINAL), f"grown-{len(voice)}")
        (long,) = reported(server, graph, node)
        assert long["rounds"][:3] == short["rounds"]  # times included
        server.post("/free", {"unload_models": True, "free_memory": True})
        wait_for(lambda: not server.get("/probe")["models"])
        grown = kept(server, f"grown-{len(voice)}")
        reported(server, graph, node)
        assert np.array_equal(grown, kept(server, f"grown-{len(voice)}"))


def test_the_lines_on_the_node_count_rounds_and_name_scores(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=3, seed=204)
    keep(graph, (node, BEST), "lines")
    lines = [text for name, text in server.run(graph).lines if name == node]
    assert any(line.startswith("round 1 of 3, ") for line in lines)
    assert any(line.startswith("round 2 of 3, done, score ") for line in lines)
    assert lines[-1].startswith("done: 3 rounds, best is round ")


def test_every_round_has_a_likeness_of_the_voice_and_the_input_is_like_itself(
    server: Server,
) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=2, seed=205)
    (report,) = reported(server, graph, node)
    likeness = [row["voice_similarity"] for row in report["rounds"]]
    assert likeness[0] == 1
    assert all(-1 <= value <= 1 for value in likeness)


def test_the_panel_is_told_of_every_round_and_can_fetch_it(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph, "batch"), rounds=2, seed=206)
    keep(graph, (node, BEST), "panel")
    told = server.run(graph).outputs[node]["stepedit_rounds"]
    assert len(told) == 2
    for clip in told:
        assert [row["round"] for row in clip["rounds"]] == [0, 1, 2]
        for row in clip["rounds"]:
            assert server.view(row["file"]).startswith(b"fLaC")
            assert 0 < len(row["peaks"]) <= 160
            assert all(0 <= peak <= 100 for peak in row["peaks"])


def test_the_panel_needs_no_other_node_and_is_told_again_by_a_cached_run(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=1, seed=209)
    first, second = server.run(graph), server.run(graph)
    assert second.executed == []
    assert second.outputs[node]["stepedit_rounds"] == first.outputs[node]["stepedit_rounds"]


def test_an_edit_without_a_score_gives_zeros_and_the_last_round_as_best(server: Server) -> None:
    graph = Graph()
    # by signal the words hold; of rounds of noise the least damaged one would be best
    edit = (graph.add("StepEdit_RemoveSilence", engine="signal"), 0)
    node = graph.add(
        "StepEdit_IterativeEdit",
        model=loaded(graph),
        audio=recording(graph),
        edit=edit,
        text="",
        rounds=2,
        voice="stay with the original",
        seed=207,
        best_round=0,
    )
    scores = graph.add("ProbeShow", value=(node, SCORES))
    (report,) = reported(server, graph, node)
    assert report["best"] == 2
    assert server.run(graph).outputs[scores]["values"] == [0, 0]


def test_a_workflow_without_best_round_still_runs(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), seed=208)
    graph[node]["inputs"].pop("best_round", None)
    (report,) = reported(server, graph, node)
    assert report["best"] == 1


def decodings(server: Server, **given: Any) -> list[dict[str, Any]]:
    """How a run of one round is planned to be decoded, and what the panel is told of it."""
    graph = Graph()
    node = edited(graph, recording(graph), seed=210, **given)
    (report,) = reported(server, graph, node)
    (told,) = server.run(graph).outputs[node]["stepedit_rounds"]
    return [report["plan"], {"strength": told["strength"]}]


def test_a_prompt_without_a_strength_is_planned_as_before_there_was_one(server: Server) -> None:
    without, one = decodings(server), decodings(server, strength=1.0)
    assert without == one
    assert without[0]["decoding"] == asdict(Decoding())
    assert without[1] == {"strength": 1.0}


@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_a_strength_is_that_of_the_decoding_by_difference(server: Server, strength: float) -> None:
    plan, told = decodings(server, strength=strength)
    assert plan["decoding"] == asdict(Decoding(way="difference", strength=strength))
    assert told == {"strength": strength}


def test_at_strength_0_an_emotion_leaves_the_recording(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), seed=211, strength=0.0)
    keep(graph, (node, ROUNDS), "still")
    reported(server, graph, node)
    assert np.array_equal(kept(server, "still", 0), kept(server, "still", 1))


def answer(server: Server, graph: Graph) -> str:
    """The sentence that a bad prompt gets, before or in the run."""
    status, told = server.post("/prompt", {"prompt": graph})
    if status != 200:
        wrong = [error for entry in told["node_errors"].values() for error in entry["errors"]]
        sentences = {error["details"].partition(" - ")[2] or error["details"] for error in wrong}
        assert len(sentences) == 1, wrong  # ComfyUI repeats it for each input of validate_inputs
        return sentences.pop()
    with_id = told["prompt_id"]
    wait_for(lambda: with_id in server.get(f"/history/{with_id}"))
    messages = server.get(f"/history/{with_id}")[with_id]["status"]["messages"]
    kind, last = messages[-1]
    assert kind == "execution_error", kind
    return str(last["exception_message"]).strip()


def bad_audio(kind: str) -> Graph:
    graph = Graph()
    audio = (graph.add("ProbeNothing"), 0) if kind == "none" else recording(graph, kind)
    keep(graph, (edited(graph, audio), 0), "bad")
    return graph


def bad_audio_elsewhere(node: str, kind: str) -> Graph:
    """Odd audio at a node that hears as well."""
    graph = Graph()
    more = {"text": WORDS, "new_words": "good morning", "seed": SEED, **DRAW, **DECODE}
    more = more if node == "StepEdit_CloneVoice" else {}
    audio = recording(graph, kind)
    graph.add("ProbeShow", value=(graph.add(node, model=loaded(graph), audio=audio, **more), 0))
    return graph


def bad_link(node: str, name: str) -> Graph:
    """An input of a node fed with the wrong kind, or, with an empty node, with nothing."""
    graph = Graph()
    keep(graph, (edited(graph, recording(graph)), 0), "bad")
    (edit,) = [e for e in graph.values() if e["class_type"] == EDIT]
    if node:
        (source,) = [key for key, entry in graph.items() if entry["class_type"] == node]
        edit["inputs"][name] = [source, 0]
    else:
        del edit["inputs"][name]
    return graph


def bad_value(name: str, value: object) -> Graph:
    graph = Graph()
    keep(graph, (edited(graph, recording(graph)), 0), "bad")
    for entry in graph.values():
        if name in entry["inputs"]:
            entry["inputs"][name] = value
    if name in ("best_round", "strength", "adapter"):  # optional, so not yet there
        node = {"adapter": "StepEdit_LoadModel"}.get(name, EDIT)
        (entry,) = [e for e in graph.values() if e["class_type"] == node]
        entry["inputs"][name] = value
    return graph


def absent_with_an_adapter() -> Graph:
    """What a browser sends: the adapter as well, against which nothing may be said."""
    graph = bad_value("bundle", "absent")
    (load,) = [e for e in graph.values() if e["class_type"] == "StepEdit_LoadModel"]
    load["inputs"] |= {"adapter": "none", "keep_converted": False}
    return graph


def bad_prefix(prefix: str) -> Graph:
    graph = Graph()
    tokens = (graph.add("StepEdit_TokenizeSpeech", model=loaded(graph), audio=recording(graph)), 0)
    graph.add("StepEdit_SaveTokens", tokens=tokens, filename_prefix=prefix)
    return graph


def bad_score() -> Graph:
    """A score for an edit that no scorer knows, on tokens from a file: nothing is loaded."""
    graph = Graph()
    edit = (graph.add("StepEdit_Denoise"), 0)
    tokens = (graph.add("StepEdit_LoadTokens", file=TOKENS), 0)
    sides = {"source_tokens": tokens, "edited_tokens": tokens}
    node = graph.add("StepEdit_MarginScore", model=loaded(graph), edit=edit, **sides)
    graph.add("ProbeShow", value=(node, 0))
    return graph


def bad_file(name: str) -> Graph:
    graph = Graph()
    graph.add(
        "StepEdit_SaveTokens",
        tokens=(graph.add("StepEdit_LoadTokens", file=name), 0),
        filename_prefix="stepedit/x",
    )
    return graph


def bad_strength() -> Graph:
    """A strength of an edit that signal processing makes."""
    graph = Graph()
    keep(graph, (edited(graph, recording(graph), strength=0.5), 0), "bad")
    (old,) = [key for key, entry in graph.items() if entry["class_type"] == "StepEdit_Emotion"]
    graph[old] = {
        "class_type": "StepEdit_Speed",
        "inputs": {"speed": "faster", "engine": "signal"},
    }
    return graph


def bad_words(node: str, words: str) -> Graph:
    graph = Graph()
    name = "text_with_sounds" if node == "StepEdit_NonverbalSounds" else "new_words"
    keep(graph, (edited(graph, recording(graph)), 0), "bad")
    (old,) = [key for key, entry in graph.items() if entry["class_type"] == "StepEdit_Emotion"]
    graph[old] = {"class_type": node, "inputs": {name: words}}
    return graph


HOSTILE = "<img src=x onerror=alert(1)>\n{{7*7}} [Laughter"
TOKENS = "of_tiny.safetensors"


@pytest.fixture(scope="module", autouse=True)
def files(server: Server) -> None:
    """Tokens of the tiny bundle in the input folder, and a file where a folder could be."""
    codes = DualCodes(linguistic=torch.arange(20), semantic=torch.arange(30), codebook="tiny-1")
    save_tokens(codes, server.base / "input" / TOKENS)
    (server.base / "output" / "kept_as_a_file").write_text("")


@pytest.mark.parametrize(
    ("graph", "found", "allowed", "remedy"),
    [
        (bad_audio("none"), "no audio", "one recording", "Connect"),
        (bad_audio("no clips"), "batch of 0 clips", "1 or more", "Connect"),
        (bad_audio("empty"), "0.00 s", "0.5 to 30 s", "Use a longer"),
        (bad_audio("short"), "0.10 s", "0.5 to 30 s", "Use a longer"),
        (bad_audio("long"), "40.00 s", "0.5 to 30 s", "Cut it"),
        (bad_audio("nan"), "NaN or infinite samples", "finite", "Export"),
        (bad_audio("silence"), "silent", "must reach", "raise its volume"),
        (bad_audio("flat"), "2 dimensions", "batch, channels and samples", "Load Audio"),
        (bad_audio("rate 0"), "0 Hz", "8000", "Resample"),
        (bad_audio("one bad of two"), "number 2", "finite", "Export"),
        (bad_value("bundle", "absent"), "no bundle 'absent'", "installed are", "Put it under"),
        (absent_with_an_adapter(), "no bundle 'absent'", "installed are", "Put it under"),
        (bad_value("bundle", "../../etc"), "'../../etc'", "", ""),
        (bad_value("adapter", "../../x"), "'../../x'", "", ""),
        (
            bad_audio_elsewhere("StepEdit_TokenizeSpeech", "nan"),
            "infinite samples",
            "finite",
            "Export",
        ),
        (bad_audio_elsewhere("StepEdit_CloneVoice", "long"), "40.00 s", "0.5 to 30", "Cut it"),
        (bad_value("device", "moon"), "'moon'", "auto", ""),  # newer cores answer themselves
        (bad_value("emotion", "hungry"), "'hungry'", "allowed are happy", "Choose"),
        (bad_value("text", " \n"), "no words", "transcript", "Type"),
        (bad_value("best_round", 5), "best_round is 5", "1 to 1", "Mark"),
        (bad_strength(), "strength is 0.5", "edits of the model", "Choose strength 1"),
        (bad_value("strength", "NaN"), "strength is nan", "allowed are 0 to 2", ""),
        (bad_value("voice", HOSTILE), "voice is '<img", "stay with the original", "Choose"),
        (bad_words("StepEdit_NonverbalSounds", ""), "no new text", "needs the words", "Type"),
        (bad_words("StepEdit_NonverbalSounds", HOSTILE), "a bracket without", "[sigh]", "Close"),
        (bad_words("StepEdit_NonverbalSounds", "a\n[Yell] b"), "'Yell'", "Laughter", "Choose"),
        (bad_words("StepEdit_NewWords", "other words"), "clone", "new words", "Use Clone Voice"),
        (bad_prefix("../../evil"), "'../../evil'", "below the output folder", "Write one"),
        (bad_prefix("/etc/evil"), "'/etc/evil'", "below the output folder", "Write one"),
        (
            bad_prefix("stepedit/" + 70 * "\N{WATER WAVE}"),
            "280 bytes",
            "200 are allowed",
            "Shorten",
        ),
        (bad_prefix("kept_as_a_file/x"), "'kept_as_a_file/x'", "through a file", "Write one"),
        (bad_score(), "'denoise'", "a score was asked for", "Choose another edit"),
        (bad_prefix(""), "is ''", "below the output folder", "Write one"),
        (bad_file("../secret.safetensors"), "'../secret.safetensors'", "input or output", "Save"),
        (bad_file(HOSTILE), "'<img src=x", "input or output", "Save"),
    ],
)
def test_bad_input_is_answered_before_any_load_and_any_layer(
    server: Server, graph: Graph, found: str, allowed: str, remedy: str
) -> None:
    server.post("/free", {"unload_models": True, "free_memory": True})
    wait_for(lambda: not server.get("/probe")["networks"])
    server.post("/probe/questions", {})
    sentence = answer(server, graph)
    assert "\n" not in sentence
    assert found in sentence
    assert allowed in sentence
    assert remedy in sentence
    assert server.get("/probe")["networks"] == 0, "weights were loaded"
    assert server.get("/probe/questions")["layers"] == {}, "a network ran"
    assert server.get("/prompt")["exec_info"]["queue_remaining"] == 0


@pytest.mark.parametrize(
    ("node", "name", "details"),
    [
        ("", "model", "model"),
        ("", "audio", "audio"),
        ("", "edit", "edit"),
        ("LoadAudio", "model", "model, received_type(AUDIO) mismatch input_type(STEPEDIT_MODEL)"),
        (
            "StepEdit_Emotion",
            "audio",
            "audio, received_type(STEPEDIT_EDIT) mismatch input_type(AUDIO)",
        ),
        ("LoadAudio", "edit", "edit, received_type(AUDIO) mismatch input_type(STEPEDIT_EDIT)"),
    ],
)
def test_an_empty_or_wrong_socket_is_refused_before_the_run_by_its_name(
    server: Server, node: str, name: str, details: str
) -> None:
    """The core's own answer; an optional socket or one of any kind would reach the run."""
    status, told = server.post("/prompt", {"prompt": bad_link(node, name)})
    assert status == 400
    (entry,) = [e for e in told["node_errors"].values() if e["class_type"] == EDIT]
    assert [error["details"] for error in entry["errors"]] == [details]


def test_the_queue_goes_on_after_a_bad_input(server: Server) -> None:
    answer(server, bad_audio("silence"))
    graph = Graph()
    keep(graph, (every_stage(graph, audio=recording(graph))["audio"], 0), "after")
    assert server.run(graph).outcome == "success"


def told_later(watch: Watch, own: str) -> list[str]:
    """Kinds of the messages that still come within half a second, but those about its own run."""
    kinds = []
    with suppress(WebSocketTimeoutException):
        while True:
            kind, data = watch.message(0.5)
            if kind == "line" or data.get("prompt_id", own) != own:
                kinds.append(kind)
    return kinds


def test_two_tabs_with_the_same_workflow_are_told_of_their_own_run_alone(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=2, seed=210)
    with Watch(server) as first, Watch(server) as second:
        prompts = [first.queue(graph)]
        graph[node]["inputs"]["seed"] = 211  # as the widget does after a run
        prompts.append(second.queue(graph))
        one = first.follow(prompts[0])
        two = second.follow(prompts[1])
        late = told_later(first, prompts[0])
    for run in (one, two):
        assert run.outcome == "success", run.error
        assert any(text.startswith("round 1 of 2, ") for _, text in run.lines)
        assert len([text for _, text in run.lines if text.startswith("done: 2 rounds")]) == 1
    assert one.outputs[node]["stepedit_rounds"] != two.outputs[node]["stepedit_rounds"]
    assert late == []
