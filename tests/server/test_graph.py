"""The nodes inside a running ComfyUI: results, errors, caching, cancelling, memory."""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from stepedit_core.audio.files import write_wav
from stepedit_core.bundle.manifest import file_of
from stepedit_core.bundle.write import write_bundle
from stepedit_core.data.shards import Dataset
from stepedit_core.files.tokens import load_tokens
from stepedit_core.models.lora import LoraConfig, adapters, attach, merge, save_adapter
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Clip
from tests.conftest import REPOSITORY
from tests.server.comfyui import ENVIRONMENT, PACK_NAME, PATIENCE, Run, Server, wait_for
from tests.server.graph import Graph
from tests.server.material import WORDS

pytestmark = pytest.mark.server
BUNDLE = "tiny"
SEED = 7
DRAW = {"temperature": 0.7, "top_k": 0, "top_p": 1.0}
DECODE = {"steps": 10, "guidance": 0.7}
LORA = LoraConfig(rank=2, alpha=4.0)


def loaded(graph: Graph) -> tuple[str, int]:
    """Link to the tiny bundle."""
    node = graph.add("StepEdit_LoadModel", bundle=BUNDLE, device="auto", precision="auto")
    return node, 0


def recording(graph: Graph, kind: str = "") -> tuple[str, int]:
    """Link to the 2 s clip of the input folder, or to odd audio."""
    if kind:
        return graph.add("ProbeAudio", kind=kind), 0
    return graph.add("LoadAudio", audio="speech.wav"), 0


def edited(
    graph: Graph, audio: tuple[str, int], *, rounds: int = 1, seed: int = SEED, **how: Any
) -> str:
    """Iterative Edit to happy; the node's id."""
    edit = (graph.add("StepEdit_Emotion", emotion=how.pop("emotion", "happy")), 0)
    values = {
        "text": WORDS,
        "voice": "follow the previous round",
        "rounds": rounds,
        "seed": seed,
        **how,
    }
    return graph.add(
        "StepEdit_IterativeEdit", model=loaded(graph), audio=audio, edit=edit, **values
    )


def every_stage(graph: Graph, *, seed: int = SEED, **how: Any) -> dict[str, str]:
    """Tokenize, generate, flow decode, vocode, score, node by node; name -> node id."""
    model = loaded(graph)
    tokens = graph.add("StepEdit_TokenizeSpeech", model=model, audio=how.pop("audio", None))
    edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
    one = {"seed": seed, "round": 1}
    made = graph.add(
        "StepEdit_GenerateTokens",
        model=model,
        tokens=(tokens, 0),
        edit=edit,
        text=WORDS,
        **one,
        **DRAW,
    )
    steps = {**DECODE, **how}
    mel = graph.add(
        "StepEdit_FlowDecode", model=model, tokens=(made, 0), voice=(tokens, 1), **one, **steps
    )
    audio = graph.add("StepEdit_Vocode", model=model, mel=(mel, 0), **one)
    sides = {"source_tokens": (tokens, 0), "edited_tokens": (made, 0)}
    score = graph.add("StepEdit_MarginScore", model=model, edit=edit, **sides)
    return {"tokens": tokens, "generate": made, "mel": mel, "audio": audio, "score": score}


def keep(graph: Graph, link: tuple[str, int], name: str) -> str:
    """Save the exact samples of a link."""
    return graph.add("ProbeKeep", audio=link, name=name)


def kept(server: Server, name: str, number: int = 0) -> np.ndarray:
    """Samples that a ProbeKeep saved: (B, C, N) float32."""
    return np.load(server.base / "output" / f"{name}_{number}.npy")


@pytest.fixture(scope="module")
def command_rounds(server: Server, tmp_path_factory: Any) -> Path:
    """Folder that `stepedit edit --emotion happy --rounds 2` wrote for the same clip and seed."""
    out = tmp_path_factory.mktemp("command") / "out"
    clip = server.base / "input" / "speech.wav"
    words = ["edit", str(clip), "--text", WORDS, "--emotion", "happy", "--rounds", "2"]
    words += ["--voice", "previous"]
    words += ["--bundle", BUNDLE, "--seed", str(SEED), "--device", "cpu", "--out", str(out)]
    home = str(server.base / "models" / "step_audio_editx")
    subprocess.run(
        [sys.executable, "-m", "stepedit_core", *words],
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, **ENVIRONMENT, "STEPEDIT_HOME": home},
        capture_output=True,
    )
    return out


def as_file(samples: np.ndarray, path: Path) -> bytes:
    """The bytes that the command writes for these samples (1, 1, N)."""
    write_wav(path, Clip(wave=torch.from_numpy(samples[0, 0]), sample_rate=24_000))
    return path.read_bytes()


def test_iterative_edit_gives_the_commands_samples(
    server: Server, command_rounds: Path, tmp_path: Path
) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=2)
    keep(graph, (node, 1), "final")
    keep(graph, (node, 2), "rounds")
    assert server.run(graph).outcome == "success"
    for number in range(3):
        wanted = (command_rounds / f"round_{number}.wav").read_bytes()
        assert as_file(kept(server, "rounds", number), tmp_path / "a.wav") == wanted
    assert np.array_equal(kept(server, "final"), kept(server, "rounds", 2))


def test_the_stages_wired_by_hand_give_the_commands_first_round(
    server: Server, command_rounds: Path, tmp_path: Path
) -> None:
    graph = Graph()
    nodes = every_stage(graph, audio=recording(graph))
    keep(graph, (nodes["audio"], 0), "stages")
    graph.add("StepEdit_SaveTokens", tokens=(nodes["generate"], 0), filename_prefix="stepedit/same")
    assert server.run(graph).outcome == "success"
    wanted = (command_rounds / "round_1.wav").read_bytes()
    assert as_file(kept(server, "stages"), tmp_path / "a.wav") == wanted
    saved = load_tokens(server.base / "output" / "stepedit" / "same_00001_.safetensors")
    from_command = load_tokens(command_rounds / "tokens_1.safetensors")
    assert torch.equal(saved.semantic, from_command.semantic)
    assert torch.equal(saved.linguistic, from_command.linguistic)


def test_clone_voice_gives_the_commands_samples(server: Server, tmp_path: Path) -> None:
    graph = Graph()
    audio = recording(graph)
    node = graph.add(
        "StepEdit_CloneVoice",
        model=loaded(graph),
        audio=audio,
        text=WORDS,
        new_words="good morning",
        seed=SEED,
        **DRAW,
        **DECODE,
    )
    keep(graph, (node, 0), "clone")
    assert server.run(graph).outcome == "success"
    clip = server.base / "input" / "speech.wav"
    words = ["clone", str(clip), "--text", WORDS, "--say", "good morning", "--device", "cpu"]
    words += ["--bundle", BUNDLE, "--seed", str(SEED), "--out", str(tmp_path / "out")]
    home = str(server.base / "models" / "step_audio_editx")
    environment = {**os.environ, **ENVIRONMENT, "STEPEDIT_HOME": home}
    command = [sys.executable, "-m", "stepedit_core", *words]
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, capture_output=True)
    wanted = (tmp_path / "out" / "clone.wav").read_bytes()
    assert as_file(kept(server, "clone"), tmp_path / "a.wav") == wanted


def test_clone_voice_of_a_batch_ends_its_line_and_fills_one_bar(server: Server) -> None:
    graph = Graph()
    more = {"text": WORDS, "new_words": "good morning", "seed": SEED, **DRAW, **DECODE}
    audio = recording(graph, "batch")
    node = graph.add("StepEdit_CloneVoice", model=loaded(graph), audio=audio, **more)
    keep(graph, (node, 0), "cloned-batch")
    run = server.run(graph)
    assert run.outcome == "success", run.error
    lines = [text for name, text in run.lines if name == node]
    assert lines[-1] == "clip 2 of 2, round 1 of 1, done"
    values = [value for name, value, _ in run.progress if name == node]
    assert values == sorted(values)


def test_scores_chart_and_report_describe_every_round(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=2, seed=8)
    shown = {slot: graph.add("ProbeShow", value=(node, slot)) for slot in (3, 4, 5)}
    run = server.run(graph)
    scores = run.outputs[shown[3]]["values"]
    assert len(scores) == 2
    assert all(1 <= score <= 10 for score in scores)
    (chart,) = run.outputs[shown[4]]["values"]
    assert chart[0] == 1
    assert chart[3] == 3
    report = json.loads(run.outputs[shown[5]]["values"][0])
    assert [row["edit"] for row in report["rounds"]] == ["input"] + ["emotion happy"] * 2
    assert report["plan"]["seed"] == 8
    assert report["bundle"]["name"] == BUNDLE


def test_margin_score_gives_a_number_for_each_edit(server: Server) -> None:
    graph = Graph()
    node = every_stage(graph, audio=recording(graph))["score"]
    values = graph.add("ProbeShow", value=(node, 0))
    words = graph.add("ProbeShow", value=(node, 1))
    run = server.run(graph)
    (score,) = run.outputs[values]["values"]
    assert 1 <= score <= 10
    assert run.outputs[words]["values"] == [f"emotion happy: {score:.1f} of 10"]


@pytest.mark.parametrize("kind", ["stereo", "8k", "96k"])
def test_any_rate_and_channels_come_back_as_24_khz_mono(server: Server, kind: str) -> None:
    graph = Graph()
    node = edited(graph, recording(graph, kind))
    seen = keep(graph, (node, 0), f"kind-{kind}")
    (item,) = server.run(graph).outputs[seen]["items"]
    assert item["rate"] == 24_000
    assert item["shape"][:2] == [1, 1]
    assert item["dtype"] == "torch.float32"
    assert np.isfinite(kept(server, f"kind-{kind}")).all()


def test_a_batch_comes_back_as_a_list_of_single_clips(server: Server) -> None:
    graph = Graph()
    seed = 8  # of the tries of a round that says noise the first is kept, as the stages make it
    node = edited(graph, recording(graph, "batch"), seed=seed)
    seen = keep(graph, (node, 0), "batch")
    stages = every_stage(graph, seed=seed, audio=recording(graph, "batch"))
    by_stage = keep(graph, (stages["audio"], 0), "batch-stages")
    run = server.run(graph)
    assert [item["shape"][:2] for item in run.outputs[seen]["items"]] == [[1, 1]] * 2
    assert len(run.outputs[by_stage]["items"]) == 2
    for number in range(2):
        single = kept(server, "batch", number)
        assert np.array_equal(single, kept(server, "batch-stages", number))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nan", "clip has NaN or infinite samples (1 of"),
        ("silence", "clip is silent"),
        ("empty", "0.00 s"),
        ("short", "0.10 s"),
        ("long", "40.00 s"),
    ],
)
def test_bad_audio_is_answered_with_one_sentence(server: Server, kind: str, words: str) -> None:
    graph = Graph()
    keep(graph, (edited(graph, recording(graph, kind)), 0), "bad")
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error
    assert "\n" not in run.error


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"text": " "}, "transcript"),
        ({"emotion": "angry"}, "allowed are happy, sad, remove"),
    ],
)
def test_wrong_requests_are_answered_with_one_sentence(
    server: Server, how: dict[str, str], words: str
) -> None:
    graph = Graph()
    keep(graph, (edited(graph, recording(graph), **how), 0), "bad")
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error
    assert "\n" not in run.error


def test_a_video_without_sound_is_answered_with_one_sentence(server: Server) -> None:
    graph = Graph()
    keep(graph, (edited(graph, (graph.add("ProbeNothing"), 0)), 0), "bad")
    run = server.run(graph)
    assert run.outcome == "error"
    assert "there is no audio" in run.error


@pytest.mark.parametrize(
    ("name", "value"),
    [("rounds", 0), ("rounds", 11), ("rounds", "many"), ("seed", -1), ("model", None)],
)
def test_values_outside_the_widgets_are_refused_with_status_400(
    server: Server, name: str, value: Any
) -> None:
    graph = Graph()
    node = edited(graph, recording(graph))
    keep(graph, (node, 0), "refused")
    for entry in graph.values():
        if name in entry["inputs"]:
            entry["inputs"][name] = value
        if value is None:
            entry["inputs"].pop(name, None)
    status, answer = server.post("/prompt", {"prompt": graph})
    assert status == 400
    assert name in json.dumps(answer["node_errors"])


@pytest.mark.parametrize("text", ["\ud800", "\x1b[31m", "\u202e"], ids=ascii)
@pytest.mark.parametrize("name", ["bundle", "device", "precision", "adapter", "voice", "emotion"])
def test_a_text_that_no_log_takes_is_refused_and_the_next_prompt_runs(
    server: Server, name: str, text: str
) -> None:
    """Half a surrogate pair, echoed raw, ended ComfyUI's worker for good."""
    graph = Graph()
    node = edited(graph, recording(graph))
    keep(graph, (node, 0), "refused")
    for entry in graph.values():
        if name in entry["inputs"] or (name, entry["class_type"]) == (
            "adapter",
            "StepEdit_LoadModel",
        ):
            entry["inputs"][name] = text
    refused = server.post("/prompt", {"prompt": graph})[0] == 400
    assert refused or server.run(graph, seconds=60 * PATIENCE).outcome == "error"
    graph = Graph()
    keep(graph, recording(graph), "after")
    assert server.run(graph).outcome == "success"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("voice", "none", "voice is 'none'; allowed are stay with the original, follow"),
        ("bundle", "absent", "no bundle 'absent'; installed are"),
        ("device", "moon", "device 'moon' is unknown; allowed are auto, cpu"),
        ("precision", "int3", "precision 'int3' is unknown; allowed are auto"),
        ("emotion", "hungry", "allowed are happy, sad, remove"),
    ],
)
def test_values_outside_a_list_never_run(
    server: Server, name: str, value: str, sentence: str
) -> None:
    """Core 0.3.75 lets any value of a V3 combo through; the nodes refuse it. Newer ones do both."""
    graph = Graph()
    node = edited(graph, recording(graph))
    keep(graph, (node, 0), "refused")
    for entry in graph.values():
        if name in entry["inputs"]:
            entry["inputs"][name] = value
    status, answer = server.post("/prompt", {"prompt": graph})
    if status == 400:
        assert name in json.dumps(answer["node_errors"])
    else:
        run = server.run(graph)
        assert run.outcome == "error"
        assert sentence in run.error


def test_tokens_are_saved_listed_and_loaded(server: Server) -> None:
    graph = Graph()
    nodes = every_stage(graph, audio=recording(graph))
    graph.add("StepEdit_SaveTokens", tokens=(nodes["generate"], 0), filename_prefix="stepedit/kept")
    run = server.run(graph)
    assert "stepedit/kept_00001_.safetensors [output]" in json.dumps(run.outputs)
    offered = server.get("/object_info/StepEdit_LoadTokens")["StepEdit_LoadTokens"]
    (name,) = [n for n in offered["input"]["required"]["file"][1]["options"] if "kept" in n]
    again = Graph()
    model = loaded(again)
    voice = (again.add("StepEdit_TokenizeSpeech", model=model, audio=recording(again)), 1)
    tokens = (again.add("StepEdit_LoadTokens", file=name), 0)
    one = {"seed": SEED, "round": 1}
    mel = again.add("StepEdit_FlowDecode", model=model, tokens=tokens, voice=voice, **one, **DECODE)
    keep(again, (again.add("StepEdit_Vocode", model=model, mel=(mel, 0), **one), 0), "again")
    keep(graph, (nodes["audio"], 0), "direct")
    assert server.run(again).outcome == "success"
    assert server.run(graph).outcome == "success"
    assert np.array_equal(kept(server, "again"), kept(server, "direct"))


def test_tokens_of_another_bundle_are_refused(server: Server) -> None:
    source = server.base / "output" / "stepedit"
    source.mkdir(exist_ok=True)
    from stepedit_core.files.tokens import save_tokens
    from stepedit_core.types import DualCodes

    zeros = torch.zeros(6, dtype=torch.int64)
    codes = DualCodes(linguistic=zeros[:4], semantic=zeros, codebook="another")
    save_tokens(codes, source / "foreign.safetensors")
    graph = Graph()
    model = loaded(graph)
    voice = (graph.add("StepEdit_TokenizeSpeech", model=model, audio=recording(graph)), 1)
    tokens = (graph.add("StepEdit_LoadTokens", file="stepedit/foreign.safetensors [output]"), 0)
    one = {"seed": SEED, "round": 1}
    mel = graph.add("StepEdit_FlowDecode", model=model, tokens=tokens, voice=voice, **one, **DECODE)
    audio = graph.add("StepEdit_Vocode", model=model, mel=(mel, 0), **one)
    keep(graph, (audio, 0), "foreign")
    run = server.run(graph)
    assert run.outcome == "error"
    assert "made with codebook 'another'" in run.error


def test_a_second_equal_run_takes_everything_from_the_cache(server: Server) -> None:
    graph = Graph()
    keep(graph, (edited(graph, recording(graph), seed=21), 0), "cached")
    first, second = server.run(graph), server.run(graph)
    assert first.executed
    assert not second.executed
    assert set(second.cached) == set(graph)


def test_another_seed_runs_the_edit_alone_again(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), seed=31)
    saver = keep(graph, (node, 0), "seeds")
    server.run(graph)
    first = kept(server, "seeds")
    graph[node]["inputs"]["seed"] = 32
    assert set(server.run(graph).executed) == {node, saver}
    assert not np.array_equal(first, kept(server, "seeds"))


def test_an_edit_shows_progress_that_never_falls(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=2, seed=41)
    keep(graph, (node, 0), "bar")
    bar = [value for name, value, _ in server.run(graph).progress if name == node]
    assert len(bar) > 3
    assert bar == sorted(bar)


def test_previews_and_saved_files_hold_the_clip(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), rounds=2, seed=51)
    player = graph.add("PreviewAudio", audio=(node, 2))
    saver = graph.add("SaveAudio", audio=(node, 0), filename_prefix="audio/stepedit")
    picture = graph.add("PreviewImage", images=(node, 4))
    run = server.run(graph)
    assert len(run.outputs[player]["audio"]) == 3
    (item,) = run.outputs[saver]["audio"]
    wave, rate = soundfile.read(io.BytesIO(server.view(item)))
    assert rate == 24_000
    assert wave.ndim == 1 or wave.shape[1] == 1
    assert server.view(run.outputs[picture]["images"][0]).startswith(b"\x89PNG")


def test_free_unloads_the_model_and_drops_every_network(server: Server) -> None:
    graph = Graph()
    keep(graph, (edited(graph, recording(graph), seed=71), 0), "freed")
    server.run(graph)
    before = server.get("/probe")
    assert before["models"] == 1
    assert before["networks"] == 3
    assert before["loaded"] >= 1
    server.post("/free", {"unload_models": True, "free_memory": True})
    wait_for(lambda: server.get("/probe") == {"loaded": 0, "models": 0, "networks": 0})


def test_two_loaders_with_equal_settings_share_one_model(server: Server) -> None:
    graph = Graph()
    for number in range(2):
        keep(graph, (edited(graph, recording(graph), seed=81 + number), 0), f"shared{number}")
    assert len([n for n in graph.values() if n["class_type"] == "StepEdit_LoadModel"]) == 2
    server.run(graph)
    assert server.get("/probe")["models"] == 1


def test_unloaded_models_come_back_without_another_load_node_run(server: Server) -> None:
    graph = Graph()
    node = edited(graph, recording(graph), seed=91)
    keep(graph, (node, 0), "back")
    server.run(graph)
    server.post("/free", {"unload_models": True})
    wait_for(lambda: server.get("/probe")["loaded"] == 0)
    graph[node]["inputs"]["seed"] = 92
    assert server.run(graph).outcome == "success"


def about(folder: str) -> dict[str, str]:
    """Inputs of the data nodes about the recording."""
    return {
        **{"folder": folder, "speaker": "v1", "language": "en", "split": "train"},
        **{"provenance": "made up", "licence": "CC0-1.0"},
    }


def sides_of(graph: Graph) -> dict[str, Any]:
    """A model, and a clip as source and target of an edit."""
    nodes = every_stage(graph, audio=recording(graph), seed=95)
    ends = {"source_tokens": (nodes["tokens"], 0), "target_tokens": (nodes["generate"], 0)}
    return {"model": graph[nodes["tokens"]]["inputs"]["model"], **ends}


def test_a_triplet_is_written_as_the_command_reads_it(server: Server) -> None:
    graph = Graph()
    edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
    more = {"text": WORDS, "least_margin": 1.0, **about("stepedit/data/triplets")}
    graph.add("StepEdit_TripletBuilder", edit=edit, **sides_of(graph), **more)
    run = server.run(graph)
    assert run.outcome == "success", run.error
    (example,) = Dataset(server.base / "output" / "stepedit" / "data" / "triplets")
    assert (example.kind, example.label) == ("triplet", "emotion happy")
    assert (example.request.text, example.speaker) == (WORDS, "v1")
    assert example.licence == "CC0-1.0"
    assert 1 <= float(example.margin or 0) <= 10


def test_a_margin_below_the_least_is_left_out(server: Server) -> None:
    graph = Graph()
    edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
    more = {"text": WORDS, "least_margin": 10.0, **about("stepedit/data/none")}
    node = graph.add("StepEdit_TripletBuilder", edit=edit, **sides_of(graph), **more)
    run = server.run(graph)
    assert "0 new of 1, 1 below the least margin" in json.dumps(run.outputs[node])


def test_a_quadruplet_holds_the_words_with_tags(server: Server) -> None:
    graph = Graph()
    edit = (graph.add("StepEdit_NonverbalSounds", text_with_sounds=f"{WORDS} [Laughter]"), 0)
    more = {"text": WORDS, **about("stepedit/data/quadruplets")}
    graph.add("StepEdit_QuadrupletBuilder", edit=edit, **sides_of(graph), **more)
    run = server.run(graph)
    assert run.outcome == "success", run.error
    (example,) = Dataset(server.base / "output" / "stepedit" / "data" / "quadruplets")
    assert example.kind == "quadruplet"
    assert example.request.new_text == f"{WORDS} [Laughter]"


def test_an_edit_that_keeps_the_words_makes_no_quadruplet(server: Server) -> None:
    graph = Graph()
    edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
    more = {"text": WORDS, **about("stepedit/data/refused")}
    graph.add("StepEdit_QuadrupletBuilder", edit=edit, **sides_of(graph), **more)
    run = server.run(graph)
    assert "keeps the words; a quadruplet has new ones. Use Triplet Builder." in run.error


def pairs_drawn(server: Server, folder: str, *, answers: int, margin: float) -> tuple[Run, str]:
    """A run that drew answers and paired them, and its node."""
    graph = Graph()
    edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
    sides = sides_of(graph)
    sides.pop("target_tokens")
    more = {"answers": answers, "margin": margin, "most": 4, "seed": 3, "temperature": 1.0}
    more |= {"text": WORDS, **about(folder)}
    node = graph.add("StepEdit_PreferencePairs", edit=edit, **sides, **more)
    run = server.run(graph)
    assert run.outcome == "success", run.error
    return run, node


def test_pairs_are_drawn_scored_and_written(server: Server) -> None:
    run, node = pairs_drawn(server, "stepedit/data/pairs", answers=4, margin=0.5)
    pairs = list(Dataset(server.base / "output" / "stepedit" / "data" / "pairs"))
    assert f"{len(pairs)} new of {len(pairs)} pairs from" in json.dumps(run.outputs[node])
    assert all(p.kind == "pair" and float(p.margin or 0) >= 0.5 for p in pairs)


def test_where_no_pair_is_kept_the_node_tells_the_widest_margin_and_what_to_set(
    server: Server,
) -> None:
    run, node = pairs_drawn(server, "stepedit/data/nopairs", answers=3, margin=9.0)
    (text,) = run.outputs[node]["text"]
    assert text.startswith("no pair is kept: two answers to one prompt differ by ")
    assert "the margin is 9. " in text
    assert "0 new of 0 pairs from 3 answers" in text
    assert [line for name, line in run.lines if name == node][-1] == text.split("\n")[0]
    assert len(Dataset(server.base / "output" / "stepedit" / "data" / "nopairs")) == 0


def test_a_data_folder_outside_the_output_folder_is_refused(server: Server) -> None:
    graph = Graph()
    edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
    more = {"text": WORDS, "least_margin": 1.0, **about("../outside")}
    graph.add("StepEdit_TripletBuilder", edit=edit, **sides_of(graph), **more)
    status, answer = server.post("/prompt", {"prompt": graph})
    assert status == 400
    assert "folder is '../outside'" in json.dumps(answer)


def test_an_adapter_that_is_none_is_refused(server: Server) -> None:
    folder = server.base / "models" / "step_audio_editx" / "adapters"
    folder.mkdir(exist_ok=True)
    (folder / "odd.safetensors").write_bytes(b"no")
    graph = Graph()
    node = edited(graph, recording(graph))
    keep(graph, (node, 0), "refused")
    (load,) = [n for n in graph.values() if n["class_type"] == "StepEdit_LoadModel"]
    for name, words in (
        ("absent", "no adapter 'absent'; found are adapters/"),
        ("adapters/odd.safetensors", "'odd.safetensors' is not a readable safetensors file"),
    ):
        load["inputs"]["adapter"] = name
        status, answer = server.post("/prompt", {"prompt": graph})
        if status == 400:  # newer cores know the list themselves
            assert name == "absent"
            assert "adapter" in json.dumps(answer)
            continue
        run = server.run(graph)
        assert run.outcome == "error"
        assert words in run.error


@pytest.fixture(scope="module")
def adapters_of_tiny(server: Server) -> str:
    """An adapter that does something, by its name in the node; `merged` has it in its weights.

    `small` is as tiny, but says that it has int8 weights.
    """
    folder = server.base / "models" / "step_audio_editx"
    bundle = Registry([folder], {}).load(BUNDLE, device="cpu", precision="fp32")
    changed = attach(copy.deepcopy(bundle.llm), LORA, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for _, layer in adapters(changed):
            layer.lora_b.fill_(0.2)
    (folder / "adapters").mkdir(exist_ok=True)
    base = bundle.manifest.files[file_of("llm")].sha256
    save_adapter(changed, folder / "adapters" / "good.safetensors", LORA, base)
    parts: dict[str, Any] = {p: bundle.folder / file_of(p) for p in bundle.manifest.parts}
    write_bundle(
        folder / "merged",
        replace(bundle.manifest, name="merged"),
        parts | {"llm": merge(changed)},
        bundle.folder / "tokenizer.model",
        dtype=torch.float32,
    )
    shutil.copytree(bundle.folder, folder / "small")
    about = json.loads((folder / "small" / "bundle.json").read_text())
    text = json.dumps(about | {"name": "small", "llm_weights": "int8"})
    (folder / "small" / "bundle.json").write_text(text)
    return "adapters/good.safetensors"


def generated(server: Server, name: str, **load: str) -> list[int]:
    """Linguistic codes that Generate Tokens gives with a model loaded this way."""
    graph = Graph()
    nodes = every_stage(graph, audio=recording(graph))
    (node,) = [n for n in graph.values() if n["class_type"] == "StepEdit_LoadModel"]
    node["inputs"] |= load
    graph.add("StepEdit_SaveTokens", tokens=(nodes["generate"], 0), filename_prefix=name)
    run = server.run(graph)
    assert run.outcome == "success", run.error
    (path,) = (server.base / "output").glob(f"{name}_*.safetensors")
    return load_tokens(path).linguistic.tolist()


def test_an_adapter_in_load_model_gives_the_ids_of_the_merged_weights(
    server: Server, adapters_of_tiny: str
) -> None:
    offered = server.get("/object_info/StepEdit_LoadModel")["StepEdit_LoadModel"]
    assert adapters_of_tiny in offered["input"]["optional"]["adapter"][1]["options"]
    bare = generated(server, "bare")
    added = generated(server, "added", adapter=adapters_of_tiny)
    assert added != bare
    assert added == generated(server, "merged", bundle="merged")
    assert generated(server, "again") == bare


def test_an_adapter_on_a_quantised_bundle_is_refused(server: Server, adapters_of_tiny: str) -> None:
    graph = Graph()
    nodes = every_stage(graph, audio=recording(graph))
    keep(graph, (nodes["audio"], 0), "refused")
    (load,) = [n for n in graph.values() if n["class_type"] == "StepEdit_LoadModel"]
    load["inputs"] |= {"bundle": "small", "adapter": adapters_of_tiny}
    run = server.run(graph)
    assert "bundle 'small' has int8 weights; an adapter is added to float" in run.error
    assert "\n" not in run.error


def test_help_and_translations_are_served(server: Server) -> None:
    import urllib.request

    path = f"{server.url}/extensions/{PACK_NAME}/docs/StepEdit_IterativeEdit.md"
    with urllib.request.urlopen(path) as answer:
        assert b"Iterative Edit" in answer.read()
    assert "StepEdit_IterativeEdit" in server.get("/i18n")["zh"]["nodeDefs"]


def test_the_log_holds_no_error_of_the_pack_at_start(server: Server) -> None:
    start = server.log.read_text(errors="replace").split("To see the GUI")[0]
    assert "IMPORT FAILED" not in start
    assert "Traceback" not in start
