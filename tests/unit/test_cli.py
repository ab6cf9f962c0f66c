"""The command: files, table, report, exit codes, and one sentence for every bad input."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stepedit_core import cli
from stepedit_core.audio.files import read_clip
from stepedit_core.bundle.manifest import sha256_of
from stepedit_core.files.tokens import load_tokens
from stepedit_core.pipelines import generate as generate_module
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import EditRequest

from .conftest import voiced

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _home(every_round_holds: None, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the tiny bundle, and a round is three groups long."""
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.setattr(generate_module, "longest_answer", lambda request, source: 15)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "in.wav"
    soundfile.write(path, voiced(0.6, 24_000).numpy(), 24_000)
    return path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stepedit(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        common = () if arguments[0] == "bundles" else ("--device", "cpu")
        code = cli.main([*map(str, arguments), *common])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


TINY = ("--bundle", "tiny")
HAPPY = ("--text", "hello world", "--emotion", "happy", *TINY)


def failed(result: tuple[int, str, str], code: int, *words: str) -> None:
    """The run printed one sentence on stderr, nothing on stdout, and this exit code."""
    assert result[0] == code
    assert result[1] == ""
    lines = result[2].splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("stepedit: ")
    for word in words:
        assert word in lines[0]


def test_edit_writes_rounds_tokens_and_a_report(stepedit: Run, recording: Path, tmp_path: Path):
    out = tmp_path / "out"
    code, table, errors = stepedit(
        "edit", recording, *HAPPY, "--rounds", 2, "--seed", 7, "--out", out
    )
    assert (code, errors) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [
        "report.json",
        *(f"round_{k}.wav" for k in range(3)),
        *(f"tokens_{k}.safetensors" for k in range(3)),
    ]
    report = json.loads((out / "report.json").read_text())
    assert report["finished"] is True
    assert report["plan"]["seed"] == 7
    assert report["bundle"]["name"] == "tiny"
    assert len(report["bundle"]["sha256"]) == 64
    assert report["input"] == {"file": "in.wav", "sha256": sha256_of(recording)}
    assert [row["tokens"] for row in report["rounds"]] == ["tokenized", "tokenized", "reused"]
    for number, row in enumerate(report["rounds"]):
        samples, rate = soundfile.read(out / row["file"])
        assert rate == 24_000
        assert samples.ndim == 1
        assert row["seconds"] == pytest.approx(len(samples) / rate, abs=1e-3)
        assert row["ids"] == 5 * load_tokens(out / f"tokens_{number}.safetensors").groups
        assert row["elapsed_seconds"] > 0
    assert report["rounds"][0]["score"] is None
    assert 1 <= report["rounds"][1]["score"] <= 10
    lines = table.splitlines()
    assert lines[0].split() == ["round", "file", "seconds", "score", "voice", "elapsed"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [str(k), f"round_{k}.wav"] for k in range(3)
    ]


def test_the_command_and_the_library_make_the_same_samples(
    stepedit: Run, recording: Path, tmp_path: Path, bundle: Bundle
):
    stepedit("edit", recording, *HAPPY, "--rounds", 2, "--seed", 7, "--out", tmp_path / "out")
    request = EditRequest(kind="emotion", option="happy", text="hello world")
    clip = read_clip(recording)
    made = iterate(bundle, clip, make_plan(bundle, clip, [request], seed=7, rounds=2))
    for number, round_ in enumerate(made.rounds):
        written, _ = soundfile.read(tmp_path / "out" / f"round_{number}.wav", dtype="int16")
        # 16-bit files: libsndfile scales by 32767 or 32768 and rounds; one step is its business
        wave = np.round(round_.clip.wave.clamp(-1, 1).numpy() * 32767.5)
        assert np.abs(written - wave).max() <= 2


def test_signal_processing_takes_no_words_and_fits_the_length(
    stepedit: Run, recording: Path, tmp_path: Path
):
    fit = ("--speed", "fit to seconds", "--seconds", "1.37", *TINY)
    code, _, said = stepedit("edit", recording, *fit, "--out", tmp_path / "out")
    assert code == 0, said
    assert soundfile.info(tmp_path / "out/round_1.wav").frames == round(1.37 * 24_000)
    quiet = ("--trim-silence", "--engine", "signal", *TINY)
    code, _, said = stepedit("edit", recording, *quiet, "--out", tmp_path / "out")
    assert code == 0, said
    report = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    assert report["rounds"][1]["engine"] == "signal"


@pytest.mark.parametrize(
    "kind",
    [
        ("--emotion", "sad"),
        ("--style", "whisper"),
        ("--speed", "faster"),
        ("--sounds", "hello [Sigh] world"),
        ("--denoise",),
        ("--trim-silence",),
    ],
    ids=lambda kind: kind[0],
)
def test_every_kind_of_edit_runs(
    stepedit: Run, recording: Path, tmp_path: Path, kind: tuple[str, ...]
):
    text = () if kind[0] in ("--denoise", "--trim-silence") else ("--text", "hello world")
    code, _, errors = stepedit("edit", recording, *text, *kind, *TINY, "--out", tmp_path / "out")
    assert (code, errors) == (0, "")
    assert (tmp_path / "out" / "round_1.wav").is_file()


def test_a_rewrite_runs_only_where_the_model_knows_it(
    stepedit: Run, recording: Path, bundles: Path, tmp_path: Path
):
    asked = ("--text", "um hello", "--rewrite", "fillers", "--say", "hello")
    code, _, errors = stepedit("edit", recording, *asked, *TINY, "--out", tmp_path / "out")
    assert code == 2
    assert "does not make rewrite" in errors
    assert not (tmp_path / "out").exists()
    taught = shutil.copytree(bundles / "tiny", tmp_path / "taught")
    about = json.loads((taught / "bundle.json").read_text("utf-8"))
    about["edit_options"]["rewrite"] = ["fillers"]
    (taught / "bundle.json").write_text(json.dumps(about), "utf-8")
    code, _, errors = stepedit(
        "edit", recording, *asked, "--bundle", taught, "--out", tmp_path / "out"
    )
    assert code == 0, errors
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["rounds"][1]["text"] == "hello"


def test_the_voice_of_the_original_gives_another_second_round(
    stepedit: Run, recording: Path, tmp_path: Path
):
    for voice in ("previous", "original"):
        out = tmp_path / voice
        stepedit("edit", recording, *HAPPY, "--rounds", 2, "--voice", voice, "--out", out)
    waves = [
        [(tmp_path / v / f"round_{k}.wav").read_bytes() for v in ("previous", "original")]
        for k in (1, 2)
    ]
    assert waves[0][0] == waves[0][1]
    assert waves[1][0] != waves[1][1]


def test_clone_writes_one_clip(stepedit: Run, recording: Path, tmp_path: Path):
    code, table, errors = stepedit(
        "clone", recording, "--text", "hello", "--say", "good morning", *TINY, "--out", tmp_path
    )
    assert (code, errors) == (0, "")
    assert "clone.wav" in table
    assert {path.name for path in tmp_path.iterdir()} == {
        "clone.wav",
        "report.json",
        "tokens.safetensors",
    }


def test_resynthesize_writes_the_clip_through_the_codec(
    stepedit: Run, recording: Path, tmp_path: Path
):
    code, table, errors = stepedit("resynthesize", recording, *TINY, "--out", tmp_path)
    assert (code, errors) == (0, "")
    assert "resynthesized.wav" in table
    assert json.loads((tmp_path / "report.json").read_text())["command"] == "resynthesize"


def test_bundles_lists_size_licence_vocabulary_and_digest(stepedit: Run, bundles: Path):
    code, table, errors = stepedit("bundles")
    assert (code, errors) == (0, "")
    row = next(line for line in table.splitlines() if line.startswith("tiny "))
    for cell in ("MB", "Apache-2.0", "nano", sha256_of(bundles / "tiny" / "bundle.json")[:12]):
        assert cell in row


def test_bundles_verify_finds_a_changed_byte(
    stepedit: Run, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(bundles / "tiny", tmp_path / "bad")
    path = tmp_path / "bad" / "flow.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    monkeypatch.setenv("STEPEDIT_HOME", str(tmp_path))
    assert stepedit("bundles")[0] == 0
    code, table, errors = stepedit("bundles", "--verify")
    assert code == 1
    assert "damaged" in table
    assert "flow.safetensors of bundle 'tiny' has another sha256" in errors


def test_bundles_shows_the_names_to_type_and_keeps_codes_off_the_terminal(
    stepedit: Run, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("one", "two"):
        shutil.copytree(bundles / "tiny", tmp_path / name)
    path = tmp_path / "two" / "bundle.json"
    path.write_text(path.read_text().replace('"Apache-2.0"', '"\\u001b[31mApache\\u202e"'))
    (tmp_path / "bad\x1b[2J").mkdir()
    (tmp_path / "bad\x1b[2J" / "bundle.json").write_text("{")
    monkeypatch.setenv("STEPEDIT_HOME", str(tmp_path))
    code, table, errors = stepedit("bundles")
    assert code == 1
    assert [line.split()[0] for line in table.splitlines()] == ["name", "tiny", "two", "nano"]
    assert "\\x1b[31mApache\\u202e" in table
    assert f"'{tmp_path}/bad\\x1b[2J' is not listed: bundle.json is not JSON" in errors
    assert (table + errors).replace("\n", "").isprintable()


def test_a_bad_home_is_said(stepedit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STEPEDIT_HOME", str(tmp_path / "typo"))
    code, table, errors = stepedit("bundles")
    assert code == 1
    assert "nano" in table
    assert "$STEPEDIT_HOME is" in errors


def test_a_strength_that_the_way_does_not_have_is_a_usage_error(
    stepedit: Run, recording: Path, tmp_path: Path
):
    out = tmp_path / "out"
    arguments = ("--decode", "exact", "--strength", "0.5", "--out", out)
    failed(stepedit("edit", recording, *HAPPY, *arguments), 2, "strength is 0.5")
    assert not out.exists()


@pytest.mark.parametrize("way", ["exact", "difference"])
def test_a_way_of_decoding_that_no_edit_uses_is_a_usage_error(
    stepedit: Run, recording: Path, tmp_path: Path, way: str
):
    whisper = ("--style", "whisper", "--engine", "signal", *TINY)
    arguments = ("edit", recording, *whisper, "--decode", way, "--out", tmp_path / "out")
    failed(
        stepedit(*arguments), 2, f"way is {way}, and style whisper is made by signal", "--decode"
    )
    assert not (tmp_path / "out").exists()
    assert stepedit("edit", recording, *HAPPY, "--decode", way, "--out", tmp_path / "out")[0] == 0


def test_an_older_result_survives_a_damaged_bundle_and_a_part_that_is_found_late(
    stepedit: Run, recording: Path, tmp_path: Path, bundles: Path
):
    out = tmp_path / "out"
    stepedit("edit", recording, *HAPPY, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    folder = Path(shutil.copytree(bundles / "tiny", tmp_path / "bad"))
    path = folder / "llm.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    rest = ("--text", "hello world", "--emotion", "happy", "--bundle", folder)
    failed(stepedit("edit", recording, *rest, "--out", out), 1, "another sha256")
    failed(stepedit("edit", recording, *rest, "--out", tmp_path / "new"), 1, "another sha256")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_a_second_run_replaces_the_first_and_leaves_other_files(
    stepedit: Run, recording: Path, tmp_path: Path
):
    (tmp_path / "notes.txt").write_text("mine")
    stepedit("edit", recording, *HAPPY, "--rounds", 2, "--out", tmp_path)
    stepedit("edit", recording, *HAPPY, "--rounds", 1, "--out", tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "round_2.wav" not in names
    assert {"notes.txt", "round_1.wav"} <= names


def test_an_input_that_the_run_would_replace_is_refused_and_kept(
    stepedit: Run, recording: Path, tmp_path: Path
):
    out = tmp_path / "out"
    stepedit("edit", recording, *HAPPY, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    result = stepedit("edit", out / "round_0.wav", *HAPPY, "--out", out)
    failed(result, 1, "lies in --out out", "Name another --out")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_foreign_report_names_no_file_for_removal(stepedit: Run, recording: Path, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    rows = [{"file": "thesis.txt", "tokens_file": "thesis.txt"}]
    (tmp_path / "report.json").write_text(json.dumps({"rounds": rows}))
    stepedit("edit", recording, *HAPPY, "--out", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


# ---- bad recordings: exit 1, one sentence, no folder -----------------------------------------


def write_empty(path: Path) -> None:
    path.write_bytes(b"")


def write_no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0, dtype=np.float32), 24_000)


def write_silence(path: Path) -> None:
    soundfile.write(path, np.zeros(24_000, dtype=np.float32), 24_000)


def write_short(path: Path) -> None:
    soundfile.write(path, voiced(0.1, 24_000).numpy(), 24_000)


def write_long(path: Path) -> None:
    soundfile.write(path, np.full(31 * 8_000, 0.1, dtype=np.float32), 8_000)


def write_nan(path: Path) -> None:
    wave = voiced(0.6, 24_000).numpy()
    wave[100] = np.nan
    soundfile.write(path, wave, 24_000, subtype="FLOAT")


def write_text(path: Path) -> None:
    path.write_text("this is no audio")


def write_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (write_empty, ("is empty (0 bytes)", "Save the recording again")),
        (write_no_samples, ("0.00 s long", "0.5 to 30 s")),
        (write_silence, ("clip is silent", "raise its volume")),
        (write_short, ("0.10 s long", "Use a longer recording")),
        (write_long, ("31.00 s long", "Cut it")),
        (write_nan, ("NaN or infinite", "Export the recording again")),
        (write_text, ("cannot be read as audio", "Convert it to WAV")),
        (write_folder, ("is a folder", "Name the file")),
        (lambda path: None, ("no file at", "Check the path")),
    ],
    ids=["empty", "no samples", "silence", "0.1 s", "31 s", "NaN", "text", "folder", "missing"],
)
@pytest.mark.parametrize("command", ["edit", "clone", "resynthesize"])
def test_a_bad_recording_is_refused_and_nothing_is_written(
    stepedit: Run,
    tmp_path: Path,
    command: str,
    make: Callable[[Path], None],
    words: tuple[str, ...],
):
    make(tmp_path / "bad.wav")
    rest = {
        "edit": HAPPY,
        "clone": ("--text", "hello", "--say", "good morning", *TINY),
        "resynthesize": TINY,
    }[command]
    out = tmp_path / "out"
    failed(stepedit(command, tmp_path / "bad.wav", *rest, "--out", out), 1, *words)
    assert not out.exists()


# ---- recordings that are fine ----------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_any_rate_is_read(stepedit: Run, tmp_path: Path, rate: int):
    soundfile.write(tmp_path / "in.wav", voiced(0.6, rate).numpy(), rate)
    code, _, errors = stepedit("resynthesize", tmp_path / "in.wav", *TINY, "--out", tmp_path / "o")
    assert (code, errors) == (0, "")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("in.wav", {"subtype": "PCM_16"}),
        ("in.wav", {"subtype": "PCM_24"}),
        ("in.wav", {"subtype": "PCM_U8"}),
        ("in.wav", {"subtype": "FLOAT"}),
        ("in.flac", {}),
        ("in.ogg", {}),
        ("in.mp3", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("subtype", "-"),
)
def test_integer_float_and_compressed_files_are_read(
    stepedit: Run, tmp_path: Path, name: str, settings: dict[str, str]
):
    soundfile.write(tmp_path / name, voiced(0.7, 24_000).numpy(), 24_000, **settings)
    code, _, errors = stepedit("resynthesize", tmp_path / name, *TINY, "--out", tmp_path / "o")
    assert (code, errors) == (0, "")


def test_a_stereo_recording_is_mixed_down(stepedit: Run, tmp_path: Path):
    wave = voiced(0.6, 24_000).numpy()
    soundfile.write(tmp_path / "in.wav", np.stack([wave, 0.5 * wave], axis=1), 24_000)
    code, _, errors = stepedit("edit", tmp_path / "in.wav", *HAPPY, "--out", tmp_path / "o")
    assert (code, errors) == (0, "")
    mixed, _ = soundfile.read(tmp_path / "o" / "round_0.wav")
    # two 16-bit files lie between
    assert np.abs(mixed - 0.75 * wave).max() < 3 / 32768


# ---- bad requests: exit 2 --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--text", "hello", "--emotion", "hapy"), ("'hapy'", "Did you mean 'happy'?")),
        (("--text", "hello", "--style", "opera"), ("'opera'", "whisper, remove")),
        (("--text", "hello", "--speed", "fast"), ("'fast'", "Did you mean 'faster'?")),
        (("--text", "  ", "--emotion", "happy"), ("no words", "Type the words")),
        (("--emotion", "happy"), ("no words", "Type the words")),
        (("--text", "hello", "--sounds", "hello"), ("no sound tag", "[Laughter], [Sigh]")),
        (("--text", "hello", "--sounds", "hello [Sgh]"), ("Did you mean 'Sigh'?",)),
        (("--text", "hello", "--sounds", ""), ("no new text",)),
        (("--text", "hello <|EOT|> you", "--emotion", "happy"), ("<|EOT|>",)),
        (("--text", "hello", "--emotion", "happy", "--say", "hi"), ("Leave --say out",)),
    ],
)
def test_an_edit_the_bundle_does_not_know_is_a_usage_error(
    stepedit: Run,
    recording: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
):
    out = tmp_path / "out"
    failed(stepedit("edit", recording, *arguments, *TINY, "--out", out), 2, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("edit", "in.wav", "--out", "o"),
        ("edit", "in.wav", "--out", "o", "--denoise", "--emotion", "happy"),
        ("edit", "in.wav", "--denoise"),
        ("edit", "in.wav", "--out", "o", "--denoise", "--rounds", "0"),
        ("edit", "in.wav", "--out", "o", "--denoise", "--rounds", "11"),
        ("edit", "in.wav", "--out", "o", "--denoise", "--rounds", "two"),
        ("edit", "in.wav", "--out", "o", "--denoise", "--voice", "mixed"),
        ("edit", "in.wav", "--out", "o", "--denoise", "--precision", "int3"),
        ("edit", "in.wav", "--out", "o", "--denoise", "--seed", "x"),
        ("clone", "in.wav", "--text", "a", "--out", "o"),
        ("sing",),
        (),
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_a_wrong_command_line_exits_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert cli.main(arguments) == 2
    assert "usage: stepedit" in capsys.readouterr().err


def test_an_empty_clone_text_is_a_usage_error(stepedit: Run, recording: Path, tmp_path: Path):
    out = tmp_path / "out"
    result = stepedit("clone", recording, "--text", "a", "--say", " ", *TINY, "--out", out)
    failed(result, 2, "no new text")


def test_the_table_of_commands_has_every_command_in_the_order_of_the_help(
    capsys: pytest.CaptureFixture[str],
):
    assert cli.main(["no-command"]) == 2
    listed = capsys.readouterr().err.split("choose from ")[1]
    assert re.findall(r"[a-z-]+", listed) == list(cli.COMMANDS)


def test_help_exits_with_0(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["edit", "--help"]) == 0
    assert "--trim-silence" in capsys.readouterr().out


# ---- bad bundles and places: exit 1 ----------------------------------------------------------


def test_an_unknown_bundle_is_refused(stepedit: Run, recording: Path, tmp_path: Path):
    arguments = ("resynthesize", recording, "--bundle", "tinny", "--out", tmp_path / "o")
    failed(stepedit(*arguments), 1, "no bundle 'tinny'", "Did you mean 'tiny'?")


@pytest.mark.parametrize("how", ["cut", "changed", "missing", "manifest"])
def test_a_damaged_bundle_is_refused(
    stepedit: Run, recording: Path, tmp_path: Path, bundles: Path, how: str
):
    folder = Path(shutil.copytree(bundles / "tiny", tmp_path / "bad"))
    path = folder / "semantic.safetensors"
    raw = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(raw[:-7])
    elif how == "changed":
        raw[-1] ^= 1
        path.write_bytes(raw)
    elif how == "missing":
        path.unlink()
    else:
        (folder / "bundle.json").write_text("{}")
    out = tmp_path / "o"
    result = stepedit("resynthesize", recording, "--bundle", folder, "--out", out)
    failed(result, 1, "bundle")
    assert not out.exists()


def test_an_unknown_device_is_refused(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["resynthesize", str(recording), *TINY, "--out", str(tmp_path / "o")]
    code = cli.main([*arguments, "--device", "warp"])
    said = capsys.readouterr()
    failed((code, said.out, said.err), 1, "device 'warp' cannot be used here")


def test_a_full_disk_is_one_sentence(
    stepedit: Run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise soundfile.LibsndfileError(2, "disk: ")

    monkeypatch.setattr(soundfile, "write", full)
    result = stepedit("resynthesize", recording, *TINY, "--out", tmp_path / "o")
    failed(result, 1, "could not be written", "free space")
    assert not (tmp_path / "o").exists()


def test_a_full_device_is_one_sentence(
    stepedit: Run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stepedit_core.models.flow import Flow

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(Flow, "sample", full)
    result = stepedit("resynthesize", recording, *TINY, "--out", tmp_path / "o")
    failed(result, 1, "too little free memory", "--precision bf16")


def test_an_error_of_our_own_making_is_not_hidden(
    stepedit: Run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stepedit_core.models.flow import Flow

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Flow, "sample", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        stepedit("resynthesize", recording, *TINY, "--out", tmp_path / "o")


def test_an_out_that_is_a_file_is_refused(stepedit: Run, recording: Path, tmp_path: Path):
    (tmp_path / "o").write_text("")
    result = stepedit("resynthesize", recording, *TINY, "--out", tmp_path / "o")
    failed(result, 1, "is a file; expected is a folder")


# ---- stopping --------------------------------------------------------------------------------


def test_ctrl_c_keeps_the_finished_rounds(
    stepedit: Run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stepedit_core.files.terminal import Bar

    def stop_in_round_2(bar: Bar) -> None:
        bar._round += 1
        if bar._round == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Bar, "finished", stop_in_round_2)
    result = stepedit("edit", recording, *HAPPY, "--rounds", 3, "--out", tmp_path)
    failed(result, 130, "stopped; finished rounds are kept")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["finished"] is False
    assert [row["file"] for row in report["rounds"]] == ["round_0.wav", "round_1.wav"]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.json"} | {f"round_{k}.wav" for k in (0, 1)} | {
        f"tokens_{k}.safetensors" for k in (0, 1)
    }


@pytest.mark.parametrize("error", [TypeError, ValueError, RuntimeError])
def test_ctrl_c_that_a_library_turned_into_its_own_error_is_still_a_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[Exception]
):
    def interrupted(_: object) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error("could not determine the shape of object type") from None
        return 0

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr("stepedit_core.commands.models._bundles", interrupted)
        assert cli.main(["bundles"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "stepedit: stopped.\n"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process to look at its files")
def test_a_signal_ends_the_run_within_a_round(bundles: Path, recording: Path, tmp_path: Path):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "stepedit_core", "edit", str(recording), *HAPPY),
            *("--rounds", "10", "--device", "cpu", "--out", str(tmp_path)),
        ],
        cwd=ROOT,
        env={**os.environ, "STEPEDIT_HOME": str(bundles), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # a shell that runs the suite in the background has it ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (tmp_path / "report.json").exists():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)  # so that nothing is made while this test looks
    finished = len(json.loads((tmp_path / "report.json").read_text())["rounds"])
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    out, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.splitlines() == ["stepedit: stopped; finished rounds are kept."]
    assert out == ""
    made = len(json.loads((tmp_path / "report.json").read_text())["rounds"])
    assert made <= finished + 1 < 11  # a round that was being written down, and none begun
    files = [path.name for path in tmp_path.iterdir()]
    assert not [name for name in files if name.endswith(".part")]
    for row in json.loads((tmp_path / "report.json").read_text())["rounds"]:
        assert soundfile.info(tmp_path / row["file"]).frames > 0
