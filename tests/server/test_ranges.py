"""Edit Range in a running ComfyUI: these words, and every other sample as it was."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.conftest import REPOSITORY
from tests.server.comfyui import Run, Server
from tests.server.graph import Graph
from tests.server.material import HEARD, WORDS
from tests.server.test_graph import BUNDLE, keep, kept, recording

pytestmark = pytest.mark.server
AUDIO, REPORT = range(2)
SAMPLES = REPOSITORY / "stepedit_core" / "assets" / "samples"
SAID = (SAMPLES / "walking_home.txt").read_text("utf-8").strip()
STEREO = "stereo_44100.wav"
RATE = 44_100


@pytest.fixture(scope="module")
def stereo(server: Server) -> np.ndarray:
    """int16 samples (N, 2) of the sample clip at 44.1 kHz, written into the input folder."""
    wave, rate = soundfile.read(SAMPLES / "walking_home.wav")
    length = len(wave) * RATE // rate
    left = np.interp(np.arange(length) * rate / RATE, np.arange(len(wave)), wave)
    hiss = np.random.default_rng(1).normal(0, 0.001, (length, 2))
    samples = np.stack((left, -0.6 * left), 1) + hiss
    written = (samples * 32_767).round().astype(np.int16)
    soundfile.write(server.base / "input" / STEREO, written, RATE, subtype="PCM_16")
    return written


def ranged(graph: Graph, audio: tuple[str, int], *, kind: str = "", **values: Any) -> str:
    """Edit Range to happy; the node's id."""
    bundle = values.pop("bundle", BUNDLE)  # nano where the answer has to say the clip's words
    model = (graph.add("StepEdit_LoadModel", bundle=bundle, device="auto", precision="auto"), 0)
    edit = graph.add(kind or "StepEdit_Emotion", **({} if kind else {"emotion": "happy"}))
    given = {"text": "", "phrase": "", "start": 0.0, "end": 0.0, "rounds": 1, "strength": 1.0}
    given |= {"seed": 7, "recogniser": "auto", **values}
    return graph.add("StepEdit_EditRange", model=model, audio=audio, edit=(edit, 0), **given)


def done(server: Server, graph: Graph, node: str) -> tuple[Run, dict[str, Any], dict[str, Any]]:
    """A run, the report of a node, and what its panel shows."""
    shown = graph.add("ProbeShow", value=(node, REPORT))
    run = server.run(graph)
    assert run.outcome == "success", run.error
    (panel,) = run.outputs[node]["stepedit_range"]
    return run, json.loads(run.outputs[shown]["values"][0]), panel


def test_every_sample_outside_of_the_part_is_the_inputs_in_the_saved_file(
    server: Server, stereo: np.ndarray
) -> None:
    graph = Graph()
    audio = (graph.add("LoadAudio", audio=STEREO), 0)
    node = ranged(graph, audio, bundle="nano", text=SAID, start=1.0, end=1.8)
    graph.add(
        "StepEdit_PlayAndSave", audio=(node, AUDIO), format="wav", filename_prefix="audio/part"
    )
    keep(graph, (node, AUDIO), "part")
    _, report, panel = done(server, graph, node)
    saved, rate = soundfile.read(server.base / "output/audio/part_00001_.wav", dtype="int16")
    assert rate == RATE
    changed = report["range"]["changed"]
    first, end = changed["first_sample"], changed["end_sample"]
    after = len(saved) - end
    assert 0 < first <= 1.08 * RATE
    assert np.array_equal(saved[:first], stereo[:first])
    assert np.array_equal(saved[end:], stereo[len(stereo) - after :])
    assert not np.array_equal(saved[first:end], stereo[first : first + end - first])
    assert report["range"]["samples_kept"] == first + after
    assert kept(server, "part").shape == (1, 2, len(saved))
    assert (report["range"]["start"], report["range"]["end"]) == (1.0, 1.8)
    assert panel["after"]["range"] == changed
    assert panel["after"]["file"] != panel["before"]["file"]


def test_nothing_chosen_gives_the_recording_back_and_shows_its_words(server: Server) -> None:
    graph = Graph()
    audio = recording(graph)
    node = ranged(graph, audio)
    keep(graph, (node, AUDIO), "listened")
    keep(graph, audio, "as-it-came")
    run, report, panel = done(server, graph, node)
    assert np.array_equal(kept(server, "listened"), kept(server, "as-it-came"))
    assert report == {"range": None, "words": [word for word, *_ in HEARD]}
    assert [word["text"] for word in panel["words"]] == [word for word, *_ in HEARD]
    assert panel["after"] is None
    assert panel["before"]["seconds"] == 2.0
    assert server.view(panel["before"]["file"])[:4] == b"fLaC"
    assert (node, "choose words or seconds in the panel, then run again") in run.lines


def test_a_phrase_and_its_seconds_are_the_same_part_and_lost_words_are_named(
    server: Server, stereo: np.ndarray
) -> None:
    graph = Graph()
    audio = (graph.add("LoadAudio", audio=STEREO), 0)
    heard = (graph.add("StepEdit_Transcribe", audio=audio, recogniser="auto", text=SAID), 1)
    how = {"bundle": "nano", "text": SAID}
    by_phrase = ranged(graph, audio, phrase="When i heard", words=heard, **how)
    keep(graph, (by_phrase, AUDIO), "by-phrase")
    _, report, panel = done(server, graph, by_phrase)
    start, end = report["range"]["start"], report["range"]["end"]
    assert report["range"]["words"] == "when I heard"
    assert [word["text"] for word in panel["words"]] == SAID.split()
    assert report["plan"]["requests"][0]["text"] == SAID
    assert report["range"]["words_lost"] == ["when", "I", "heard"]  # the ears always hear HEARD
    assert [panel["words"][k]["text"] for k in panel["after"]["lost"]] == ["when", "I", "heard"]
    graph = Graph()
    by_seconds = ranged(
        graph, (graph.add("LoadAudio", audio=STEREO), 0), start=start, end=end, **how
    )
    keep(graph, (by_seconds, AUDIO), "by-seconds")
    run = server.run(graph)
    assert run.outcome == "success", run.error
    assert np.array_equal(kept(server, "by-phrase"), kept(server, "by-seconds"))


def test_a_transcript_corrects_the_words_that_are_heard(server: Server) -> None:
    graph = Graph()
    node = ranged(graph, recording(graph), text=WORDS)
    _, report, _ = done(server, graph, node)
    assert report["words"] == WORDS.split()


def test_strength_0_changes_nothing_and_says_so(server: Server) -> None:
    graph = Graph()
    node = ranged(graph, recording(graph), start=0.5, end=1.0, strength=0.0)
    _, report, panel = done(server, graph, node)
    assert report["range"]["samples_kept"] == 48_000
    note = "strength 0 leaves the part as recorded. Choose a higher one to change it."
    assert report["range"]["note"] == note
    assert panel["after"]["notes"][-1] == note


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"start": 2.0, "end": 1.0}, "the range starts at 2 s and ends at 1 s"),
        ({"start": -1.0}, "start is -1.0; seconds from 0 on are allowed."),
        ({"end": float("inf")}, "end is inf"),
        ({"recogniser": "../ears"}, "no recogniser '../ears'"),
        ({"rounds": 11}, "rounds"),
        ({"strength": 2.1}, "strength"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_before_the_run(
    server: Server, wrong: dict[str, Any], words: str
) -> None:
    graph = Graph()
    ranged(graph, recording(graph), **wrong)
    with pytest.raises(ValueError, match="node_errors") as refused:
        server.run(graph)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("", {"phrase": "good"}, "'good' is said 2 times"),
        ("", {"phrase": "evening"}, "'evening' is not said in the clip"),
        ("", {"start": 1.5, "end": 2.5}, "the recording ends at 2.00 s"),
        ("", {"start": 1.0, "end": 1.05}, "0.05 s long"),
        ("StepEdit_Denoise", {"start": 0.5, "end": 1.0}, "denoise changes the whole sound"),
    ],
)
def test_a_part_that_cannot_be_edited_is_answered_with_one_sentence(
    server: Server, kind: str, values: dict[str, Any], words: str
) -> None:
    graph = Graph()
    ranged(graph, recording(graph), kind=kind, **values)
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error


def test_words_of_another_recording_are_refused(server: Server) -> None:
    graph = Graph()
    pasted = "0.50 0.82 hello\n2.40 2.90 world"
    longer = recording(graph, "long")
    heard = graph.add("StepEdit_Transcribe", audio=longer, recogniser="auto", text=pasted)
    ranged(graph, recording(graph), words=(heard, 1), start=0.5, end=1.0)
    run = server.run(graph)
    assert run.outcome == "error"
    assert "the recording ends at 2.00 s" in run.error


@pytest.mark.parametrize(
    ("odd", "words"), [("batch", "a batch of 2 recordings"), ("nan", "NaN"), ("empty", "samples")]
)
def test_bad_audio_is_answered_with_one_sentence(server: Server, odd: str, words: str) -> None:
    graph = Graph()
    ranged(graph, recording(graph, odd))
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error
