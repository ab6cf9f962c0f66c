"""`stepedit data`: from a plan to pairs, and what it says on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepedit_core import cli
from stepedit_core.data import sample as sampling
from stepedit_core.data.shards import Dataset, Writer
from tests.unit.data.examples import example, plan, run, samples


def test_the_command_goes_from_a_plan_to_pairs(
    bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):

    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.setattr(sampling, "longest_answer", lambda request, source: 10)
    path = plan(tmp_path / "plan", 3)
    model = ("--bundle", "tiny", "--device", "cpu")
    code, said = run(capsys, "build", path, "--out", tmp_path / "all", *model)
    assert (code, json.loads(said)["new"]) == (0, 3)
    code, said = run(capsys, "build", path, "--out", tmp_path / "all", *model)
    assert json.loads(said) == {"orders": 3, "new": 0, "known": 3, "equal": 0, "failed": 0}
    code, said = run(
        capsys,
        "select",
        tmp_path / "all",
        "--out",
        tmp_path / "kept",
        "--class",
        "emotion happy=8.5",
    )
    assert json.loads(said) == {"of": 3, "new": 2, "all": 2}
    sample = ("sample", tmp_path / "all", "--out", tmp_path / "drawn", *model, "--answers", 4)
    code, said = run(capsys, *sample)
    # three examples, one prompt
    assert json.loads(said) == {"new": 4}
    assert json.loads(run(capsys, *sample)[1]) == {"new": 0}
    drawn = Dataset(tmp_path / "drawn")
    assert {e.kind for e in drawn} == {"sample"}
    assert all(1 <= float(e.margin or 0) <= 10 for e in drawn)
    code, said = run(
        capsys, "pairs", tmp_path / "drawn", "--out", tmp_path / "pairs", "--margin", 0, "--most", 3
    )
    assert json.loads(said) == {"of": 1, "new": 3, "all": 3}
    code, said = run(
        capsys, "hardest", tmp_path / "drawn", "--out", tmp_path / "hard", "--count", 1
    )
    best = max(drawn, key=lambda e: float(e.margin or 0))
    assert Dataset(tmp_path / "hard")[0].margin == best.margin
    code, said = run(capsys, "stats", tmp_path / "pairs")
    assert said.splitlines()[0].split()[:3] == ["class", "kind", "examples"]
    assert said.splitlines()[1].split()[:4] == ["emotion", "happy", "pair", "3"]


def test_the_command_says_why_no_pair_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    with Writer(tmp_path / "drawn", "tiny-1") as writer:
        writer.add_all(samples([5.0, 6.5], 10))
    code, said = run(capsys, "pairs", tmp_path / "drawn", "--out", tmp_path / "pairs")
    assert code == 0
    assert json.loads(said) == {"of": 1, "new": 0, "all": 0}
    assert "1.50 points at most, and the margin is 8. Set the margin to 1.5 " in caplog.text


def test_statistics_are_drawn_as_a_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pil = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    with Writer(tmp_path / "d", "tiny-1") as writer:
        for n, margin in enumerate((2.0, 2.5, 7.0)):
            writer.add(example(n, margin=margin))
    code, _ = run(capsys, "stats", tmp_path / "d", "--picture", tmp_path / "p.png")
    assert code == 0
    with pil.open(tmp_path / "p.png") as picture:
        pixels = picture.convert("RGB").load()
        # rows: happy 3, margin 2: 2, margin 7: 1; the second bar is 2/3 of the first, the third 1/3
        blue = [
            sum(pixels[x, 40 + 22 * k + 11] == (0, 98, 155) for x in range(700)) for k in range(3)
        ]
    assert blue[1] / blue[0] == pytest.approx(2 / 3, abs=0.01)
    assert blue[2] / blue[0] == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("select", "d", "--out", "o", "--class", "happy"), 2, "--class 'happy' is not understood"),
        (("select", "d", "--out", "d"), 1, "--out is the folder that is read"),
        (("select", "d", "--out", "o", "--class", "emotion hapy=7"), 2, "mean 'emotion happy'?"),
        (("pairs", "d", "--out", "o"), 1, "has no answers of a model"),
        (("build", "absent.jsonl", "--out", "o", "--bundle", "tiny"), 1, "there is no plan"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(
    arguments: tuple[str, ...],
    code: int,
    words: str,
    tmp_path: Path,
    bundles: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.chdir(tmp_path)
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0))
    assert cli.main(["data", *arguments]) == code
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
