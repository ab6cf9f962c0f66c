"""The same mistake ends every command with the same code: 1 is what is there, 2 what is asked.

`docs/command.md` says what the codes mean.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import soundfile

from stepedit_core import cli
from tests.unit.commands.test_options import parsers
from tests.unit.conftest import voiced

SAD = "--emotion happy --text hi"
CLONE = "--text a --say b"
AT = "--range 0:1"
MISSING = {
    "edit": f"edit no.wav {SAD} --out o",
    "clone": f"clone no.wav {CLONE} --out o",
    "resynthesize": "resynthesize no.wav --out o",
    "edit-range": f"edit-range no.wav {AT} {SAD} --out o.wav",
    "edit-long": f"edit-long no.wav {SAD} --out o.wav",
    "script": "script no.csv --out o",
    "batch": "batch no --edits emotion:happy --out o",
    "remove-words": "remove-words no.wav o.wav --fillers",
    "replace-words": "replace-words no.wav o.wav --replace a=b",
    "transcribe": "transcribe no.wav",
    "convert": "convert no no o",
    "bench": "bench --clip no.wav",
    "data build": "data build no.jsonl --out o",
    "data sample": "data sample no --out o",
    "data select": "data select no --out o",
    "data pairs": "data pairs no --out o",
    "data hardest": "data hardest no --out o --count 1",
    "data stats": "data stats no",
    "train sft": "train sft --config no.yaml --out o",
    "evaluate run": "evaluate run no.jsonl --out o",
    "evaluate judge": "evaluate judge no.jsonl --out o.safetensors",
    "evaluate scorer": "evaluate scorer no --out o",
    "evaluate rewards": "evaluate rewards no",
}
"""Command -> a line whose input is not there."""
NO_INPUT = {"bundles", *(f"train {recipe}" for recipe in ("reward", "ppo", "dpo", "grpo"))}
"""It reads none; and what reads its settings as `train sft`."""
LINES = {
    "a file that is not a recording": (
        1,
        f"edit text.wav {SAD} --out o",
        f"clone text.wav {CLONE} --out o",
        "resynthesize text.wav --out o",
        f"edit-range text.wav {AT} {SAD} --out o.wav",
        f"edit-long text.wav {SAD} --out o.wav",
        "remove-words text.wav o.wav --fillers",
        "replace-words text.wav o.wav --replace a=b",
        "transcribe text.wav",
    ),
    "a file that is not a script": (1, "script text.wav --out o", "batch text.wav --out o"),
    "a place that cannot be written": (
        1,
        f"edit in.wav {SAD} --out text.wav",
        f"clone in.wav {CLONE} --out text.wav",
        f"edit-range in.wav {AT} {SAD} --out text.wav/o.wav",
        f"edit-long in.wav {SAD} --out text.wav/o.wav",
        "script lines.csv --out text.wav",
        "batch folder --edits emotion:happy --out text.wav",
        "remove-words in.wav text.wav/o.wav --fillers",
        "replace-words in.wav text.wav/o.wav --replace a=b",
        "transcribe in.wav --out text.wav/o.json",
        "bench --out text.wav/o.json",
    ),
    "a result in the place of its input": (
        1,
        f"edit folder/round_0.wav {SAD} --out folder",
        f"edit-range in.wav {AT} {SAD} --out in.wav",
        f"edit-long in.wav {SAD} --out in.wav",
        "batch folder --edits emotion:happy --out folder",
        "remove-words in.wav in.wav --fillers",
        "replace-words in.wav in.wav --replace a=b",
    ),
    "words that cannot be those of the recording": (
        1,
        f"edit in.wav --emotion happy --out o --text {'a' * 500}",
        f"edit-range in.wav {AT} --emotion happy --out o.wav --text {'a' * 500}",
    ),
    "a model that is not there": (
        1,
        f"edit in.wav {SAD} --out o --bundle no",
        f"edit-range in.wav {AT} {SAD} --out o.wav --bundle no",
        "script lines.csv --out o --bundle no",
        "transcribe in.wav --bundle no",
        "bench --bundle no",
    ),
    "a recogniser that is not there": (
        1,
        "edit in.wav --emotion happy --out o --recogniser no",
        f"edit-range in.wav {AT} --emotion happy --out o.wav --recogniser no",
        "edit-long in.wav --emotion happy --out o.wav --recogniser no",
        "remove-words in.wav o.wav --fillers --recogniser no",
        "transcribe in.wav --recogniser no",
    ),
    "a line that fails": (
        1,
        "script bad.csv --out o",
        "batch bad.csv --out o",
    ),
    "an option that the model does not know": (
        2,
        "edit in.wav --emotion bored --text hi --out o",
        "edit in.wav --style opera --out o",
        f"edit-range in.wav {AT} --emotion bored --text hi --out o.wav",
        f"edit-range in.wav {AT} --style opera --out o.wav",
        "edit-long in.wav --emotion bored --text hi --out o.wav",
        "edit-long in.wav --style opera --out o.wav",
        "script lines.csv --edits emotion:bored --out o",
        "batch folder --edits emotion:bored --out o",
    ),
    "a setting that there is not": (
        2,
        "script lines.csv --edits mood:bad --out o",
        "batch folder --edits mood:bad --out o",
        "script lines.csv --fit x --out o",
        "train sft --config nano --set x --out o",
        "train sft --config nano --set x=1 --out o",
        "train sft --config bored --out o",
        "evaluate judge no.jsonl --also x --out o.safetensors",
        "data select D --class x --out o",
    ),
    "a strength where signal processing edits": (
        2,
        "edit in.wav --denoise --engine signal --strength 0.5 --out o",
        f"edit-range in.wav {AT} --speed 'fit to seconds' --strength 0.5 --out o.wav",
        "script lines.csv --edits 'style:whisper engine=signal strength=0.5' --out o",
        "batch folder --edits 'style:whisper engine=signal strength=0.5' --out o",
    ),
    "what a model cannot do": (
        2,
        f"clone in.wav {CLONE} --out o --bundle nano",
        "replace-words in.wav o.wav --replace a=b --bundle nano",
    ),
    "no words, and nothing hears": (
        2,
        "edit in.wav --emotion happy --out o",
        f"edit-range in.wav {AT} --emotion happy --out o.wav",
        "edit-long in.wav --emotion happy --out o.wav",
        "remove-words in.wav o.wav --fillers",
        "replace-words in.wav o.wav --replace a=b",
        "transcribe in.wav",
    ),
    "no words, and a draft is heard": (
        2,
        "edit in.wav --emotion happy --out o --bundle nano",
        f"edit-range in.wav {AT} --emotion happy --out o.wav --bundle nano",
        "edit-long in.wav --emotion happy --out o.wav --bundle nano",
        "remove-words in.wav o.wav --fillers --bundle nano",
    ),
    "nothing that is asked for": (
        2,
        "edit in.wav --out o",
        "edit-range in.wav --emotion happy --out o.wav",
        "remove-words in.wav o.wav",
        "batch folder --out o",
        "train sft --config nano --out o",
    ),
    "a range that is none": (
        2,
        f"edit-range in.wav --range 1:0 {SAD} --out o.wav",
        f"edit-range in.wav --range nan:1 {SAD} --out o.wav",
        f"edit-range in.wav --range 1 {SAD} --out o.wav",
    ),
}
"""Mistake -> its exit code and lines that make it."""
MODEL = ("edit", "clone", "edit-range", "edit-long", "script", "batch", "remove-words")
OTHERS = ("replace-words", "transcribe", "resynthesize")
TRIED = [(line, code, what) for what, (code, *lines) in LINES.items() for line in lines]


@pytest.fixture(autouse=True)
def material(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording, a folder of one, scripts, and a file that is none of these."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.delenv("STEPEDIT_RECOGNISER", raising=False)
    Path("folder").mkdir()
    for name in ("in.wav", "folder/round_0.wav"):
        soundfile.write(name, voiced(2.0, 16_000).numpy(), 16_000)
    Path("text.wav").write_text("no sound")
    Path("lines.csv").write_text("id,file\n1,in.wav\n")
    Path("bad.csv").write_text("id,file,edits\n1,in.wav,emotion:bored\n")


def code_of(line: str) -> int:
    """The exit code; with the small model of the tests where the line names none."""
    words = shlex.split(line)
    named = "--bundle" in words or words[0] not in (*MODEL, *OTHERS)
    return cli.main([*words, *(() if named else ("--bundle", "tiny"))])


def test_every_command_that_reads_is_tried_here() -> None:
    ends = {one.prog.removeprefix("stepedit ") for one in parsers(cli._parser())}
    groups = {"stepedit", "data", "train", "evaluate"}
    assert ends - groups == {*MISSING, *NO_INPUT}


@pytest.mark.parametrize("line", MISSING.values(), ids=MISSING)
def test_an_input_that_is_not_there_ends_with_1(line: str) -> None:
    assert code_of(line) == 1


@pytest.mark.parametrize(("line", "code", "what"), TRIED, ids=[line for line, *_ in TRIED])
def test_the_same_mistake_has_the_same_code(
    line: str, code: int, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(line) == code, what
    assert "stepedit" in capsys.readouterr().err or what == "a line that fails"
