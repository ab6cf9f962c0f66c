"""run.sh of nano: names, dry run, marks, a real tiny stage, a stage that was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the recipes need scipy")

from recipes.nano.corpus.shards import Shard
from recipes.nano.figure import main as print_figure
from recipes.nano.training import read_config

RUN = Path(__file__).parents[3] / "recipes/nano/run.sh"
LAST = ["exam", "judge-emotion", "judge-style", "judge-sounds", "evaluate-teacher"]


def run_sh(out: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The script with a fresh environment but the path and the interpreter."""
    given = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "OUT": str(out), "THREADS": "1"}
    return subprocess.run(
        ["bash", str(RUN), *words], env={**given, **variables}, capture_output=True, text=True
    )


def tiny_corpus(root: Path) -> None:
    """Eight clips of a buzz by two speakers, as make_corpus writes them."""
    shard = Shard(root / "plain/plain-00000")
    for k in range(8):
        f0 = 110.0 + 20 * (k % 2)
        time_ = np.arange(36_000) / 24_000
        wave = 0.2 * np.sign(np.sin(2 * np.pi * f0 * time_)).astype(np.float32)
        record = {"id": f"c{k}", "kind": "neutral", "text": "a word", "split": "train"}
        shard.add(
            {**record, "speaker": f"s{k % 2}"}, wave, np.full(120, f0), np.full(120, 3, np.uint8)
        )
    shard.write()


def test_the_list_has_every_stage_in_order(tmp_path: Path):
    done = run_sh(tmp_path, "--list")
    names = done.stdout.split("\n")[:-1]
    assert (names[0], names[-1]) == ("corpus-plain", "judged")
    order = ["linguistic", "letters", "codes", "flow-1", "lm-1", "flow-3", "lm-2", "scorer"]
    order += ["ppo", "export"]
    assert [name for name in names if name in order] == order
    assert len(names) == len(set(names)) == 45


def test_a_dry_run_prints_commands_that_exist_and_runs_none(tmp_path: Path):
    done = run_sh(tmp_path / "o", "--dry-run", REAL="r", CLIPS="c", WHISPER_BASE="w", VOICES="v")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert len(lines) == 45
    assert "steps=5000" in lines["flow-3"]
    assert f"--llm {tmp_path}/o/ppo/llm.safetensors" in lines["export"]
    modules = {line.split(" -m ")[1].split()[0] for line in lines.values()}
    root = RUN.parents[2]
    for module in modules - {"stepedit_core"}:
        assert root.joinpath(*module.split(".")).with_suffix(".py").is_file(), module
    assert not (tmp_path / "o").exists()


def test_settings_of_every_training_fit_its_config(tmp_path: Path):
    for smoke in ("", "1"):
        done = run_sh(tmp_path, "--dry-run", SMOKE=smoke)
        for line in done.stdout.splitlines():
            if " --set " in line and "recipes.nano.train_" in line:
                part = line.split("recipes.nano.train_")[1].split()[0]
                settings = line.split(" --set ")[1].split(" --")[0].split()
                read_config(RUN.parent / f"configs/{part}.json", settings)


def test_material_that_is_not_given_is_named(tmp_path: Path):
    done = run_sh(tmp_path, "--dry-run")
    assert "corpus-kokoro: left out, VOICES is not set" in done.stdout
    assert "corpus-libri: left out, CLIPS is not set" in done.stdout
    for name in LAST:
        assert f"{name}: left out, REAL is not set" in done.stdout


def test_a_wrong_name_ends_before_anything_runs(tmp_path: Path):
    done = run_sh(tmp_path, "corpus-plain", "corpus-plane")
    assert done.returncode == 2
    assert "there is no stage 'corpus-plane'; known are corpus-plain corpus-edits" in done.stderr
    assert not list(tmp_path.iterdir())
    assert run_sh(tmp_path, "--lst").returncode == 2


def test_stages_leave_marks_and_figures_and_run_once(tmp_path: Path):
    tiny_corpus(tmp_path / "corpus")
    done = run_sh(tmp_path, "speaker", "speakers", SMOKE="1")
    assert done.returncode == 0, done.stderr
    assert "speaker: 2 steps, loss " in done.stdout
    assert "speakers: 0 shards with codes, 1 with speaker vectors" in done.stdout
    assert (tmp_path / "marks/speaker.done").read_text().startswith("2 steps, loss ")
    curve = (tmp_path / "models/speaker/curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in curve] == [0, 1]
    again = run_sh(tmp_path, "speaker", SMOKE="1")
    assert again.stdout.startswith("speaker: finished before: 2 steps, loss ")
    assert "speaker  finished: 2 steps" in run_sh(tmp_path, "--list").stdout


def test_a_stage_that_fails_ends_the_run_without_a_mark(tmp_path: Path):
    done = run_sh(tmp_path, "scorer", SMOKE="1")
    assert done.returncode == 1
    assert "scorer: failed with 1" in done.stderr
    assert not list((tmp_path / "marks").glob("*.done"))


def test_a_terminated_training_saves_its_step_and_resumes_after_it(tmp_path: Path):
    tiny_corpus(tmp_path / "corpus")
    out = tmp_path / "speaker"
    command = [sys.executable, "-m", "recipes.nano.train_speaker"]
    command += ["--corpus", str(tmp_path / "corpus")]
    options = ["--out", str(out), "--set", "steps=100000", "batch=2", "pseudo_speakers=2"]
    with subprocess.Popen([*command, *options], cwd=RUN.parents[2]) as process:
        while not (out / "curve.jsonl").is_file() or not (out / "curve.jsonl").stat().st_size:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    lines = (out / "curve.jsonl").read_text().splitlines()
    import torch

    state = torch.load(out / "last.pt", weights_only=True)
    assert state["step"] == len(lines) == json.loads(lines[-1])["step"] + 1
    # other settings are another run
    changed = subprocess.run(
        [*command, "--out", str(out), "--set", "steps=5", "batch=2", "pseudo_speakers=2"],
        cwd=RUN.parents[2],
        capture_output=True,
        text=True,
    )
    assert "has a run with another config; a run resumes only" in changed.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("step=5", "configs has no key 'step'; known are model, seed, steps"),
        ("peak_lr=1e-3", "peak_lr is '1e-3'; a value such as 0.0015 is expected"),
        ("model.layers=two", "model layers is 'two'; a value such as 3 is expected"),
        ("model.depth=2", "model has no key 'depth'; known are"),
    ],
)
def test_a_wrong_setting_of_a_stage_is_named(change: str, words: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        read_config(RUN.parent / "configs/scorer.json", [change])
    assert words.replace("configs", "scorer.json") in str(error.value)


def test_whole_numbers_are_taken_for_fractions():
    config = read_config(RUN.parent / "configs/scorer.json", ["peak_lr=1", "model.dropout=0"])
    assert (config["peak_lr"], config["model"]["dropout"]) == (1.0, 0.0)


def test_a_figure_of_a_curve_is_the_mean_of_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [{"step": k, "loss": 10.0 if k < 10 else 2.0, "seconds": 1.0} for k in range(60)]
    (tmp_path / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    print_figure(["run", str(tmp_path)])
    assert capsys.readouterr().out == "60 steps, loss 2\n"
