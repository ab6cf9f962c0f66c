"""A script into a folder: one changed line leaves every other file, errors stay with their line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import stepedit_core as stepedit
from stepedit_core.bundle.manifest import sha256_of
from stepedit_core.cli import main
from stepedit_core.measure import recognisers, whisper
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines import generate
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, SilentHooks
from tests.unit.conftest import voiced

RATE = 16_000
HAPPY = "emotion:happy"


class Ears:
    """Hears a word a second, its number."""

    def __init__(self) -> None:
        self.calls = 0

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        self.calls += 1
        return tuple(
            Word(f"word{n}", n + 0.1, n + 0.9, 0.9) for n in range(max(1, int(clip.seconds)))
        )

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return self.transcribe(clip)


@pytest.fixture(autouse=True)
def _short(every_round_holds: None, monkeypatch: pytest.MonkeyPatch, bundles: Path) -> None:
    monkeypatch.delenv(recognisers.VARIABLE, raising=False)
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.setattr(generate, "longest_answer", lambda request, source: 25)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.wav"
    wave = voiced(6.0, RATE).numpy()
    soundfile.write(path, np.stack([wave, 0.5 * wave], 1), RATE, subtype="PCM_16")
    return path


def lines(*more: dict[str, Any]) -> list[dict[str, Any]]:
    base = {"file": "in.wav", "text": "hello world", "edits": HAPPY}
    return [
        {**base, "id": f"line {n}", "start": n * 0.7, "end": n * 0.7 + 0.7, **extra}
        for n, extra in enumerate(more)
    ]


def made(
    bundle: Bundle, source: Path, rows: list[dict[str, Any]], **more: Any
) -> list[dict[str, Any]]:
    script = source.parent / "script.jsonl"
    script.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return stepedit.script(bundle, script, source.parent / "out", **more)


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {p.name: (sha256_of(p), p.stat().st_mtime_ns) for p in folder.glob("*.wav")}


def test_one_changed_line_leaves_every_other_file(bundle: Bundle, source: Path) -> None:
    entries = made(bundle, source, lines({}, {}, {}))
    out = source.parent / "out"
    assert [e["error"] for e in entries] == [None] * 3
    assert [e["file"] for e in entries] == ["line 0.wav", "line 1.wav", "line 2.wav"]
    before = state(out)
    assert len(before) == 3
    info = soundfile.info(out / "line 0.wav")
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 2, "PCM_16")
    again = made(bundle, source, lines({}, {"edits": "emotion:sad"}, {}))
    after = state(out)
    assert [bool(e.get("kept")) for e in again] == [True, False, True]
    assert after["line 1.wav"][0] != before["line 1.wav"][0]
    assert {k: v for k, v in after.items() if k != "line 1.wav"} == {
        k: v for k, v in before.items() if k != "line 1.wav"
    }
    manifest = json.loads((out / "script.json").read_text("utf-8"))
    assert manifest["finished"] is True
    assert [row["sha256"] for row in manifest["lines"]] == [
        after[row["file"]][0] for row in manifest["lines"]
    ]
    plan = manifest["lines"][1]["steps"][0]["plan"]
    assert plan["requests"][0]["option"] == "sad"
    assert "kept" not in manifest["lines"][0]
    assert not list(out.glob(".*"))
    # as it was: the same bytes as in the first run
    made(bundle, source, lines({}, {}, {}))
    assert {k: v[0] for k, v in state(out).items()} == {k: v[0] for k, v in before.items()}


def test_a_line_of_the_whole_clip_sounds_as_stepedit_edit(bundle: Bundle, tmp_path: Path) -> None:
    wave = voiced(0.7, 24_000)
    soundfile.write(tmp_path / "in.wav", wave.numpy(), 24_000, subtype="FLOAT")
    rows = [{"id": "a", "file": "in.wav", "text": "hello", "edits": f"{HAPPY} rounds=2", "seed": 5}]
    made(bundle, tmp_path / "in.wav", rows)
    best = stepedit.edit(
        bundle, tmp_path / "in.wav", text="hello", emotion="happy", rounds=2, seed=5
    ).best
    found, rate = soundfile.read(tmp_path / "out" / "a.wav", dtype="float32")
    assert rate == 24_000
    assert np.array_equal(found, best.clip.wave.numpy())


def test_broken_lines_are_their_own_errors(bundle: Bundle, source: Path) -> None:
    rows = lines(
        {},
        {"edits": "emotion:hapy"},
        {"file": "nowhere.wav"},
        {"start": 5.0, "end": 9.0},
        {"fit": 99},
        {"text": ""},
        {"id": "line 0"},
        {},
    )
    entries = made(bundle, source, rows)
    errors = [entry["error"] for entry in entries]
    assert errors[0] is None
    assert errors[7] is None
    for error, found in zip(
        errors[1:7],
        ("hapy", "no file at", "ends at 9.00 s", "99.00 s", "no words", "used twice"),
        strict=True,
    ):
        assert found in error
    out = source.parent / "out"
    assert sorted(p.name for p in out.iterdir()) == ["line 0.wav", "line 7.wav", "script.json"]


def test_a_line_that_fails_leaves_its_older_result(bundle: Bundle, source: Path) -> None:
    made(bundle, source, lines({}))
    before = state(source.parent / "out")
    assert made(bundle, source, lines({"edits": "emotion:hapy"}))[0]["error"]
    assert state(source.parent / "out") == before
    assert made(bundle, source, lines({"edits": "emotion:sad"}))[0]["error"] is None


def test_a_file_that_no_run_wrote_is_never_replaced(bundle: Bundle, source: Path) -> None:
    out = source.parent / "out"
    out.mkdir()
    (out / "line 0.wav").write_bytes(b"mine")
    entries = made(bundle, source, lines({}, {}))
    assert "is not as a run of StepEdit wrote it" in entries[0]["error"]
    assert entries[1]["error"] is None
    assert (out / "line 0.wav").read_bytes() == b"mine"
    (out / "script.json").write_text('{"mine": 1}', "utf-8")
    with pytest.raises(ValueError, match="is not a manifest of StepEdit"):
        made(bundle, source, lines({}))


def test_an_input_of_the_run_is_never_replaced(bundle: Bundle, source: Path) -> None:
    fast = {"edits": "", "fit": 0.9}
    made(bundle, source, lines({**fast, "id": "x"}))
    before = state(source.parent / "out")
    again = {"file": "out/x.wav", "start": None, "end": None, "edits": "", "fit": 1.2}
    kept = made(bundle, source, lines({**fast, "id": "x"}, {**again, "id": "y"}))
    assert [entry["error"] for entry in kept] == [None, None]  # nothing of x changes
    entries = made(bundle, source, lines({**again, "id": "x"}, {**again, "id": "y"}))
    assert "'x.wav' in 'out' is an input of this run, and this line would" in entries[0]["error"]
    assert entries[1]["error"] is None
    assert state(source.parent / "out")["x.wav"] == before["x.wav"]


@pytest.mark.parametrize("seconds", [0.66, 0.7, 0.9, 1.203])
def test_a_line_fits_its_slot_to_the_sample(bundle: Bundle, source: Path, seconds: float) -> None:
    (entry,) = made(bundle, source, lines({"edits": "", "fit": seconds}))
    info = soundfile.info(source.parent / "out" / entry["file"])
    assert info.frames == round(seconds * RATE)
    assert entry["tempo"] == pytest.approx(0.7 / seconds, abs=1e-3)
    assert bool(entry["notes"]) == (abs(0.7 / seconds - 1) > 0.08)


def test_edits_are_made_in_the_order_that_hurts_least(bundle: Bundle, source: Path) -> None:
    edits = "denoise engine=model; emotion:happy; style:whisper; speed:faster rounds=2"
    (entry,) = made(bundle, source, lines({"edits": edits}))
    done = [[edit["kind"] for edit in step["edits"]] for step in entry["steps"]]
    assert done == [["style", "emotion"], ["speed"], ["denoise"]]
    assert [len(step["rounds"]) for step in entry["steps"]] == [3, 3, 2]


def test_a_whisper_by_signal_comes_after_emotion(bundle: Bundle, source: Path) -> None:
    edits = "style:whisper engine=signal; speed:faster engine=signal; emotion:happy"
    (entry,) = made(bundle, source, lines({"edits": edits}))
    assert entry["error"] is None
    done = [[edit["kind"] for edit in step["edits"]] for step in entry["steps"]]
    assert done == [["emotion", "style", "speed"]]


def test_ranges_of_words_leave_the_rest_of_the_line(
    bundle: Bundle, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper, "open_whisper", lambda folder, **how: Ears())
    edits = f"{HAPPY} words=word1 strength=0; emotion:sad words=word4 strength=0"
    rows = [{"id": "a", "file": "in.wav", "edits": edits}]
    (entry,) = made(bundle, source, rows, recogniser="ears")
    assert entry["error"] is None
    assert entry["text"] == "word0 word1 word2 word3 word4 word5"
    assert [step["edits"][0]["words"] for step in entry["steps"]] == ["word1", "word4"]
    found = soundfile.read(source.parent / "out" / "a.wav", dtype="int16")[0]
    assert np.array_equal(found, soundfile.read(source, dtype="int16")[0])  # strength 0
    rows[0]["edits"] = f'{HAPPY} words="word1 word2"; emotion:sad words=word2'
    assert "overlap" in made(bundle, source, rows, recogniser="ears")[0]["error"]
    rows[0] |= {"edits": f"{HAPPY} words=brown", "text": "word0 brown word2 word3 word4 word5"}
    error = made(bundle, source, rows, recogniser="ears")[0]["error"]
    assert "other words are heard where the transcript has 'brown'" in error
    rows[0] |= {"edits": f"{HAPPY} words=word4 strength=0"}
    assert made(bundle, source, rows, recogniser="ears")[0]["error"] is None


def test_a_clip_of_words_is_cut_where_they_are_said(
    bundle: Bundle, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper, "open_whisper", lambda folder, **how: Ears())
    rows = [{"id": "a", "file": "in.wav", "words": "word2", "fit": 0.8}]
    made(bundle, source, rows, recogniser="ears")
    found = soundfile.read(source.parent / "out" / "a.wav", dtype="int16")[0]
    whole = soundfile.read(source, dtype="int16")[0]
    assert np.array_equal(found, whole[round(2.1 * RATE) : round(2.9 * RATE)])
    rows[0]["words"] = "word9"
    assert "is not said" in made(bundle, source, rows, recogniser="ears")[0]["error"]


def test_a_cancelled_run_resumes(bundle: Bundle, source: Path) -> None:
    class Stop(Exception):
        pass

    class Hooks(SilentHooks):
        done = -1

        def progress(self, stage: str, done: int, total: int) -> None:
            assert (stage, total) == ("line", 3)
            self.done = done

        def check(self) -> None:
            if self.done == 1:
                raise Stop

    with pytest.raises(Stop):
        made(bundle, source, lines({}, {}, {}), hooks=Hooks())
    before = state(source.parent / "out")
    assert list(before) == ["line 0.wav"]
    entries = made(bundle, source, lines({}, {}, {}))
    assert [bool(e.get("kept")) for e in entries] == [True, False, False]
    assert state(source.parent / "out")["line 0.wav"] == before["line 0.wav"]


def test_a_killed_command_resumes_and_a_second_one_waits_outside(
    source: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = source.parent / "script.csv"
    rows = [f"{n},in.wav,{n * 0.5},{n * 0.5 + 0.6},hello,{HAPPY}" for n in range(8)]
    script.write_text("\n".join(["id,file,start,end,text,edits", *rows]) + "\n", "utf-8")
    out = source.parent / "out"
    command = ["script", str(script), "--bundle", str(bundles / "tiny"), "--out", str(out)]
    running = subprocess.Popen([sys.executable, "-m", "stepedit_core", *command])
    while not (out / "0.wav").exists():
        assert running.poll() is None
        time.sleep(0.05)
    assert main(command) == 1
    assert "another run" in capsys.readouterr().err
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = state(out)
    assert len(before) < 8
    assert main(command) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[-1] == "kept"
    assert table[-1].split()[-1] == "made"
    after = state(out)
    assert len(after) == 8
    assert {name: after[name] for name in before} == before
    manifest = json.loads((out / "script.json").read_text("utf-8"))
    assert [row["id"] for row in manifest["lines"]] == [str(n) for n in range(8)]


def test_the_command_says_how_many_lines_failed(
    source: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = source.parent / "script.srt"
    script.write_text(
        "1\n00:00:00,000 --> 00:00:00,700\nhello world\n\n2\nbroken\n\n", encoding="utf-8"
    )
    command = ["script", str(script), "--bundle", str(bundles / "tiny"), "--out"]
    out = str(source.parent / "out")
    more = ["--edits", HAPPY, "--recording", str(source), "--fit", "slot"]
    assert main([*command, out, *more]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[1].split()[-1] == "made"
    assert "times of a subtitle" in said[2]
    assert soundfile.info(source.parent / "out" / "0001.wav").frames == round(0.7 * RATE)
    assert main([*command, out, "--edits", "emotion:happy rounds=99"]) == 2
