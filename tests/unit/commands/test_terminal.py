"""What a terminal gets to see: odd names, endless numbers, a reader that ends, Ctrl-C any time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from stepedit_core import cli
from tests.unit.conftest import voiced

ROOT = Path(__file__).parents[3]
ODD = "a\x1b[31m\u202e\u2066\x85\u200b\ufeff"
SIGNAL = ("--trim-silence", "--engine", "signal", "--device", "cpu")
PYTHON = (sys.executable, "-m", "stepedit_core")
HAPPY = ["edit", "in.wav", "--emotion", "happy", "--text", "a", "--out", "o", "--bundle", "tiny"]
EDIT = ("edit", "in.wav", *SIGNAL, "--out", "o")


@pytest.fixture(autouse=True)
def recording(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / "in.wav"
    soundfile.write(path, voiced(0.8, 24_000).numpy(), 24_000)
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.main(words)
    found = "".join(capsys.readouterr())
    assert all(letter.isprintable() or letter == "\n" for letter in found), ascii(found)
    return code, found


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        ((*EDIT, f"--{ODD}"), 2, "unrecognized arguments: --a\\x1b[31m\\u202e"),
        ((f"x{ODD}",), 2, "invalid choice: 'xa\\x1b"),
        (
            (*HAPPY, "--adapter", ODD),
            1,
            "no file is at 'a\\x1b[31m\\u202e\\u2066 \\u200b\\ufeff'. Check the path",
        ),
        ((*EDIT, "--bundle", "~nosuchuser"), 1, "no bundle '~nosuchuser'"),
        ((*EDIT, "--bundle", "~nosuchuser/x"), 1, "~nosuchuser/x' cannot be used"),
        ((*EDIT, "--adapter", "~nosuchuser"), 1, "no file is at '~nosuchuser'"),
        ((*EDIT, "--seed", "1" + "0" * 400), 2, "is not allowed; a whole number"),
        ((*EDIT, "--seed", "1" + "0" * 5000), 2, "is not allowed; a whole number"),
        ((*EDIT, "--seed", "-1"), 2, "from 0 to 18446744073709551615"),
        (("bench", "--runs", "x" * 5000), 2, "…"),
    ],
    ids=lambda words: ascii(words)[-40:],
)
def test_a_wrong_word_is_shown_printable_and_not_whole(
    words: tuple[str, ...], code: int, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, text = said(capsys, *words)
    assert (got, found in text) == (code, True), text
    assert max(map(len, text.splitlines())) < 1100


def test_a_home_of_no_user_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPEDIT_HOME", "~nosuchuser/models")
    code, text = said(capsys, "bundles")
    assert code == 1
    assert "which is not there" in text


def test_lines_of_success_are_printable(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    home = tmp_path / f"home{ODD}"
    shutil.copytree(bundles, home)
    monkeypatch.setenv("STEPEDIT_HOME", str(home))
    assert said(capsys, "bundles")[0] == 0
    code, text = said(capsys, *EDIT[:-1], f"o{ODD}")
    assert (code, "round_1.wav" in text) == (0, True)


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_name_in_latin_1_is_read_and_kept_in_the_report(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    recording.rename(name)
    assert said(capsys, "edit", name, *EDIT[2:])[0] == 0
    assert json.loads(Path("o/report.json").read_text())["input"]["file"] == "caf\\udce9.wav"


def test_a_run_that_could_not_write_leaves_no_empty_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr("stepedit_core.output.folder.write_wav", refuse)
    assert said(capsys, *EDIT)[0] == 1
    assert not Path("o").exists()


@pytest.mark.parametrize(("words", "codes"), [("bundles", "141"), ("--help", "0 141")])
def test_a_reader_that_ends_ends_the_command_quietly(words: str, codes: str) -> None:
    line = f"{' '.join(PYTHON)} {words} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in codes.split()  # argparse passes over it
    assert done.stderr == ""


def test_an_output_that_is_full_is_an_error() -> None:
    line = f"{' '.join(PYTHON)} bundles > /dev/full; echo $?"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("stepedit: No space left on device")
    assert done.stdout == "1\n"


STOPS = """
import runpy, signal, sys
asked = sys.argv.pop(1)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == asked:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("stepedit_core", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "module",
    [
        *("stepedit_core.cli", "argparse", "stepedit_core.commands.options"),
        *("stepedit_core.commands.models", "stepedit_core.registry.registry", "torch"),
    ],
)
def test_ctrl_c_while_the_command_starts_is_one_line(module: str) -> None:
    """Ctrl-C comes just when a module is looked for."""
    words = [sys.executable, "-c", STOPS, module, "bundles"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "stepedit: stopped.\n")


def test_ctrl_c_says_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stepedit_core.registry.registry.Registry.list", stop)
    monkeypatch.setattr("stepedit_core.registry.registry.Registry.load", stop)
    assert said(capsys, "bundles", "--verify") == (130, "stepedit: stopped.\n")
    code, text = said(capsys, "data", "build", "in.wav", "--out", "o")
    assert (code, text) == (130, "stepedit: stopped; the same command resumes.\n")
