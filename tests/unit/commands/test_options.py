"""Command lines: wrong values end with 2 before anything is loaded, places are tried early."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepedit_core import cli

EDIT = ("edit", "in.wav", "--denoise", "--out")
DATA = ("data", "x", "--out", "y")


@pytest.mark.parametrize(
    "arguments",
    [
        (*EDIT, ""),
        (*EDIT, "   "),
        *((*EDIT, "o", "--strength", value) for value in ("3", "-1", "nan", "inf", "much")),
        *((*EDIT, "o", "--rounds", value) for value in ("0", "11", "1.5")),
        ("clone", "in.wav", "--text", "a", "--say", "b", "--out", ""),
        ("resynthesize", "in.wav", "--out", ""),
        ("convert", "a", "b", ""),
        ("bench", "--ids", "0"),
        ("bench", "--runs", "0"),
        ("bench", "--threads", "100000"),
        ("bench", "--out", ""),
        ("data", "build", "plan", "--out", ""),
        ("data", "build", "plan", "--out", "o", "--workers", "0"),
        ("data", "build", "plan", "--out", "o", "--shard", "0"),
        ("data", "sample", "d", "--out", "o", "--answers", "0"),
        ("data", "sample", "d", "--out", "o", "--temperature", "nan"),
        ("data", "select", "d", "--out", "o", "--least", "11"),
        ("data", "pairs", "d", "--out", "o", "--margin", "inf"),
        ("data", "hardest", "d", "--out", "o", "--count", "-1"),
        ("data", "stats", ""),
        ("train", "sft", "--config", "nano", "--out", ""),
        ("evaluate", "run", "c", "--out", "o", "--rounds", "0"),
        ("evaluate", "scorer", "d", "--out", ""),
        ("evaluate", "rewards", "r", "--answers", "0"),
    ],
    ids=" ".join,
)
def test_a_value_that_cannot_be_is_a_usage_error(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "usage: stepedit" in capsys.readouterr().err


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


@pytest.mark.parametrize("parser", list(parsers(cli._parser())), ids=lambda parser: parser.prog)
def test_every_command_and_every_option_says_what_it_is(parser: argparse.ArgumentParser) -> None:
    assert (parser.description or "").endswith(".")
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help, action.dest
        for word in ("a emotion", "shall", "wanted", "holds"):
            assert word not in (action.help or "")


def test_an_out_that_cannot_be_made_or_written_is_said_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepedit_core.files.whole import ready_folder

    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"'.*file' is a file; expected is a folder"):
        ready_folder(tmp_path / "file" / "deeper" / "out")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match=r"cannot be written to .* Name a place"):
        ready_folder(tmp_path / "out")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ValueError, match=r"cannot be made \(Permission denied\). Name a place"):
        ready_folder(tmp_path / "out")


def test_what_the_system_refuses_is_a_sentence_without_its_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> int:
        raise PermissionError(13, "Permission denied", "/x/\x1b[31my")

    monkeypatch.setattr("stepedit_core.commands.models._bundles", refuse)
    assert cli.main(["bundles"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("stepedit: '/x/\\x1b[31my': Permission denied. Check the path")
    assert "Errno" not in said
