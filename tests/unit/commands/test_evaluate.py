"""`stepedit evaluate`: judges, tables, charts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
import soundfile

from stepedit_core import cli
from stepedit_core.evaluate.functionals import load_judge
from stepedit_core.pipelines import generate as generate_module
from tests.unit.evaluate.material import cases_file, hears, tone, with_sound


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers cut short, so that a case takes no time."""
    monkeypatch.setattr(generate_module, "longest_answer", lambda request, source: 15)


def test_the_command_trains_a_judge_of_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = []
    soundfile.write(tmp_path / "plain.wav", with_sound(150, None).wave.numpy() * 0.3, 16_000)
    for k in range(12):
        label, hz = (("high", 420.0), ("low", 70.0))[k % 2]
        at = 0.1 + 0.08 * k
        clip = with_sound(140 + 5 * k, at, hz)
        soundfile.write(tmp_path / f"{k}.wav", clip.wave.numpy() * 0.3, 16_000)
        files = {"source": "plain.wav", "audio": f"{k}.wav"}
        split = "dev" if k >= 8 else "train"
        lines.append({**files, "label": label, "split": split, "start": at, "end": at + 0.5})
    # the last held-out sound is called by the other's name: three scores of 3 and one of 2
    lines[-1]["label"] = "high"
    (tmp_path / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "judge.safetensors"
    quiet = tmp_path / "quiet.jsonl"  # nothing was inserted
    quiet.write_text(json.dumps({"source": "plain.wav", "audio": "plain.wav", "label": "low"}))
    command = ["evaluate", "judge", str(tmp_path / "clips.jsonl"), "--sounds", "--out", str(out)]
    assert cli.main([*command, "--also", f"quiet={quiet}"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["quiet"] == 1.0
    assert (said["clips"], said["held_out"], said["score"]) == (12, 4, 2.75)
    assert said["labels"] == ["high", "low", "speech"]
    assert load_judge(out).labels == ("high", "low", "speech")


@pytest.mark.usefixtures("_short")
def test_the_command_leaves_tables_and_charts(
    bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    pytest.importorskip("PIL", reason="charts need Pillow")
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    module = ModuleType("plugged")
    module.hear = hears  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plugged", module)
    path = cases_file(tmp_path, {}, {"task_sub": "sad"})
    options = ("--bundle", "tiny", "--device", "cpu", "--rounds", "1", "--voice", "previous")
    judge = ("--judge", "emotion=plugged:hear")
    out = tmp_path / "out"
    code = cli.main(["evaluate", "run", str(path), *options, *judge, "--out", str(out)])
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "emotion: plugged:hear"
    assert "0.5 [0.5, 0.5]" in said.out
    assert sorted(p.name for p in out.iterdir()) == [
        ".stepedit.json",
        "accuracy_by_iteration.png",
        "clips.jsonl",
        "summary.json",
        "table.txt",
    ]
    assert (
        cli.main(["evaluate", "run", str(path), *options, "--judge", "x=y", "--out", str(out)]) == 2
    )
    assert "--judge 'x=y' is not understood" in capsys.readouterr().err


def test_the_command_trains_a_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines: list[dict[str, str]] = []
    heights: Sequence[tuple[str, float]] = [("low", 90), ("low", 100), ("low", 110)]
    heights = [*heights, ("high", 300), ("high", 320), ("high", 340)]
    for number, (label, hz) in enumerate(heights):
        clip = tone(hz, 0.6)
        soundfile.write(tmp_path / f"{number}.wav", clip.wave.numpy() * 0.5, 16_000)
        split = "dev" if number % 3 == 2 else "train"
        line = {"source": "plain.wav", "audio": f"{number}.wav", "label": label, "split": split}
        lines.append(line)
    soundfile.write(tmp_path / "plain.wav", tone(170, 0.6).wave.numpy() * 0.5, 16_000)
    (tmp_path / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    # three of four other clips are heard right: the mean over the classes is (1 + 1/2) / 2
    others = [("high", 310), ("high", 330), ("low", 95), ("low", 335)]
    for label, hz in others:
        clip = tone(hz, 0.6)
        soundfile.write(tmp_path / f"{label}{hz}.wav", clip.wave.numpy() * 0.5, 16_000)
    rows = [{"source": "plain.wav", "audio": f"{n}{hz}.wav", "label": n} for n, hz in others]
    (tmp_path / "others.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "judge.safetensors"
    also = f"others={tmp_path / 'others.jsonl'}"
    command = ["evaluate", "judge", str(tmp_path / "clips.jsonl"), "--also", also]
    assert cli.main([*command, "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    about = {"labels": ["high", "low"], "clips": 6, "held_out": 2, "accuracy": 1.0}
    assert said == {**about, "others": 0.75}
    assert load_judge(out).elsewhere == {"others": 0.75}
    assert load_judge(out).labels == ("high", "low")
