"""Every command that writes: never over what it reads, nor over a file of somebody else."""

from __future__ import annotations

import argparse
import errno
import json
import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import soundfile

from stepedit_core import cli
from stepedit_core.commands import edit
from stepedit_core.data.shards import Writer
from stepedit_core.evaluate.bench import is_bench, voiced
from stepedit_core.evaluate.functionals import is_judge
from stepedit_core.files.chart import is_chart
from stepedit_core.files.outputs import locked_file
from tests.unit.commands.test_options import parsers
from tests.unit.data.examples import example
from tests.unit.evaluate.material import cases_file

MINE = b"mine, and no end of a line"

FILES = {
    "stepedit bench": ["bench", "--clip", "in.wav", "--out"],
    "stepedit transcribe": ["transcribe", "in.wav", "--out"],
    "stepedit edit-range": ["edit-range", "in.wav", "--range", "0:1", "--emotion", "sad", "--out"],
    "stepedit edit-long": ["edit-long", "in.wav", "--emotion", "sad", "--out"],
    "stepedit replace-words": ["replace-words", "--replace", "a=b", "in.wav"],
    "stepedit remove-words": ["remove-words", "in.wav", "--fillers"],
    "stepedit data stats": ["data", "stats", "D", "--picture"],
    "stepedit evaluate judge": ["evaluate", "judge", "clips.jsonl", "--out"],
}
"""Command that writes one file -> its words up to the file."""
ENDINGS = {
    "stepedit data stats": ".png",
    "stepedit evaluate judge": ".safetensors",
    "stepedit bench": ".json",
    "stepedit transcribe": ".json",
}
DIRS = {
    "stepedit edit": ("edit in.wav --trim-silence --engine signal --out F", "round_0.wav"),
    "stepedit clone": ("clone in.wav --bundle tiny --text hello --say there --out F", "clone.wav"),
    "stepedit resynthesize": ("resynthesize in.wav --out F", "resynthesized.wav"),
    "stepedit data build": ("data build plan.jsonl --out F", "failed.jsonl"),
    "stepedit data sample": ("data sample D --out F", "dataset.json"),
    "stepedit data select": ("data select D --out F", "dataset.json"),
    "stepedit data pairs": ("data pairs D --out F", "dataset.json"),
    "stepedit data hardest": ("data hardest D --count 1 --out F", "dataset.json"),
    "stepedit train sft": ("train sft --config nano --set data=[D] --out F", "curve.jsonl"),
    "stepedit evaluate run": ("evaluate run emotion.jsonl --out F", "clips.jsonl"),
    "stepedit evaluate scorer": ("evaluate scorer D --out F", "table.txt"),
}
"""Command that writes a folder -> its line, and a file that it would replace there."""
OTHERS = {
    "stepedit convert",
    "stepedit script",
    "stepedit batch",
    *(f"stepedit train {r}" for r in ("reward", "ppo", "dpo", "grpo")),
}
"""A new folder only; lines each with an error of its own; and what does as `train sft`."""


def writing(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Commands with an option or an argument that is written to."""
    for one in parsers(parser):
        if any(action.dest in ("out", "picture") for action in one._actions):
            yield one.prog


@pytest.fixture(autouse=True)
def material(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording, data, a plan, clips and cases; loading a model ends the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    soundfile.write("in.wav", voiced(2.0).wave.numpy(), 24_000)
    with Writer("D", "tiny-1") as writer:
        writer.add(example(0))
    order = {"source": {"audio": "in.wav"}, "target": {"audio": "in.wav"}}
    line = json.dumps({**order, "edit": {"kind": "emotion", "option": "sad"}, "text": "hello"})
    Path("plan.jsonl").write_text(line + "\n")
    clip = {"source": "in.wav", "audio": "in.wav", "label": "a", "split": "train"}
    Path("clips.jsonl").write_text(json.dumps(clip) + "\n")
    cases_file(tmp_path, {})
    monkeypatch.setattr("stepedit_core.registry.handle.Bundle.part", lambda *_: 1 / 0)


def said_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(words) in (1, 2)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    return said


def test_every_command_that_writes_is_tried_here() -> None:
    assert set(writing(cli._parser())) == {*FILES, *DIRS, *OTHERS}


@pytest.mark.parametrize("prog", FILES)
@pytest.mark.parametrize("place", ["input", "foreign", "folder", "pipe", "long"])
def test_a_file_is_refused_before_the_run(
    prog: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = ENDINGS.get(prog, ".wav")
    out = Path(f"out{ending}")
    if place == "input":
        source = next(Path(word) for word in FILES[prog] if "." in word or word == "D")
        out = Path("D/data-00000.jsonl") if source.is_dir() else source
    elif place == "foreign":
        out.write_bytes(MINE)
    elif place == "folder":
        out.mkdir()
    elif place == "pipe":
        os.mkfifo(out)
    else:
        out = Path("n" * 230 + ending)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    said = said_of(capsys, *FILES[prog], str(out))
    words = {
        "input": ("is the input", "does not end in"),
        "foreign": ("add --overwrite",),
        "folder": ("is a folder",),
        "pipe": ("is a pipe",),
        "long": ("200 are allowed",),
    }
    assert any(word in said for word in words[place]), said
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("prog", FILES)
@pytest.mark.parametrize("folder", ["", "new/"])
def test_a_file_has_one_writer_at_a_time(
    prog: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = ENDINGS.get(prog, ".wav")
    out = Path(f"{folder}out{ending}")
    if folder and ending == ".wav":  # its folder must be there
        assert "no folder at" in said_of(capsys, *FILES[prog], str(out))
        return
    out.parent.mkdir(exist_ok=True)
    with locked_file(out.absolute()):
        said = said_of(capsys, *FILES[prog], str(out))
    assert f"is writing to '{out.name}'; one at a time can" in said
    assert "name another file" in said
    assert not list(out.parent.glob(f".{out.name}*"))


def test_an_edit_that_fails_leaves_no_folder_for_its_pieces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("stepedit_core.pipelines.long_edit.edit_long_file", full)
    monkeypatch.setattr("stepedit_core.commands.edit_range._heard", lambda *_: ())
    said_of(capsys, *FILES["stepedit edit-long"], "out.wav", "--text", "hello")
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("prog", DIRS)
def test_a_file_of_somebody_else_in_a_folder_stays(
    prog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line, name = DIRS[prog]
    folder = Path("F")
    folder.mkdir()
    (folder / name).write_bytes(MINE)
    said_of(capsys, *line.split())
    assert (folder / name).read_bytes() == MINE
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("prog", DIRS)
def test_a_folder_with_a_long_name_is_refused_by_its_own_name(
    prog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line, _ = DIRS[prog]
    said = said_of(capsys, *line.replace("--out F", "--out " + "n" * 254).split())
    assert f"the name '{'n' * 39}…' has 254 bytes; 200 are allowed. Shorten it." in said


@pytest.mark.parametrize(
    ("prog", "name"),
    [("stepedit data build", "failed.jsonl"), ("stepedit evaluate run", "clips.jsonl")],
)
def test_an_input_in_the_folder_stays(
    prog: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = DIRS[prog][0].split()
    Path("F").mkdir()
    source = Path(words[2]).rename(Path("F", name))
    before = source.read_bytes()
    assert "is the input" in said_of(capsys, *words[:2], str(source), *words[3:])
    assert source.read_bytes() == before


def test_older_results_are_known() -> None:
    pytest.importorskip("PIL", reason="pictures need Pillow")
    for _ in range(2):
        assert cli.main(["data", "stats", "D", "--picture", "p.png"]) == 0
    assert is_chart(Path("p.png"))
    for is_ours in (is_chart, is_bench, is_judge):
        assert not is_ours(Path("in.wav"))
        assert not is_ours(Path("plan.jsonl"))


def test_where_the_rounds_of_a_stopped_run_lie_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped(nullcontext[None]):
        kept, heard = Path("i/old-unfinished"), None

    monkeypatch.setattr("stepedit_core.output.folder.RunFolder", lambda *_: Stopped())
    given: Any = Namespace(out=Path("i/old"), clip="a.wav", command="edit")
    bundle: Any = None
    with edit._folder(given, bundle, None):
        pass
    assert "the new rounds are in 'i/old-unfinished'." in capsys.readouterr().err
