"""An evaluation over cases: resumed, summed up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stepedit_core.evaluate import evaluation
from stepedit_core.evaluate.cases import Case, read_cases
from stepedit_core.evaluate.evaluation import class_table, evaluate, read_rows, summary
from stepedit_core.evaluate.protocol import Protocol
from stepedit_core.registry.handle import Bundle

from .material import cases_file, hears


@pytest.mark.usefixtures("_short")
def test_a_stopped_evaluation_goes_on_where_it_was(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cases = read_cases(cases_file(tmp_path, {}, {"task_sub": "sad"}))
    out, ways = tmp_path / "out", {"judges": {"emotion": hears}, "figures": {}}
    protocol = Protocol(rounds=1, voices=("original",))
    rows = evaluate(bundle, cases, out, protocol, **ways)  # type: ignore[arg-type]
    path = tmp_path / "out" / "clips.jsonl"
    assert [(r["label"], r["iteration"], r["accuracy"]) for r in rows] == [
        ("happy", 0, 1.0),
        ("happy", 1, 1.0),
        ("sad", 0, 0.0),
        ("sad", 1, 0.0),
    ]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])  # torn inside the second case
    assert len(read_rows(path)) == 2
    asked: list[Case] = []
    real = evaluation.run_case

    def counted(b: Bundle, case: Case, *more: object, **others: object) -> object:
        asked.append(case)
        return real(b, case, *more, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "run_case", counted)
    again = evaluate(bundle, cases, out, protocol, **ways)  # type: ignore[arg-type]
    assert [case.label for case in asked] == ["sad"]
    strip = [{k: v for k, v in r.items() if k != "real_time"} for r in again]
    assert strip == [{k: v for k, v in r.items() if k != "real_time"} for r in rows]
    with pytest.raises(ValueError, match="has clips of another bundle, seed, start or number"):
        evaluate(bundle, cases, out, replace(protocol, seed=5), **ways)  # type: ignore[arg-type]


def row(label: str, iteration: int, accuracy: float, **more: float) -> dict[str, object]:
    base = {"kind": "emotion", "voice": "previous", "seconds": 2.0}
    return {**base, "label": label, "iteration": iteration, "accuracy": accuracy, **more}


def test_the_summary_averages_over_classes_and_figures_over_clips():
    rows = [row("happy", 1, 1.0, seconds=1.0), row("happy", 1, 0.0), row("sad", 1, 1.0)]
    first, second = summary([row("happy", 0, 0.0), *rows], ("seconds",))
    assert (first["iteration"], first["accuracy"].mean) == (0, 0.0)
    assert second["accuracy"].mean == 0.75
    assert second["seconds"].mean == pytest.approx(5 / 3)
    lines = class_table([first, second]).splitlines()
    assert lines[0].split() == ["kind", "voice", "class", "Iter0", "Iter1"]
    assert lines[2].split()[:4] == ["emotion", "previous", "sad", "-"]


@pytest.mark.parametrize("tail", ['{"speaker": "me", "mine": 1}', "notes", '\n{"x": 1}'])
def test_a_foreign_end_of_a_file_is_not_taken_for_a_torn_line(tmp_path: Path, tail: str):
    path = tmp_path / "clips.jsonl"
    path.write_text(tail)
    with pytest.raises(ValueError, match=r"clips\.jsonl.* Remove the file"):
        read_rows(path)
    assert path.read_text() == tail


def test_a_torn_line_of_ours_is_cut_off(tmp_path: Path):
    path = tmp_path / "clips.jsonl"
    for torn in ("{", '{"case": "a", "spea'):
        path.write_text(torn)
        assert read_rows(path) == []
        assert not path.exists()  # an empty one is not what a run leaves


def test_an_empty_file_of_clips_is_not_ours(tmp_path: Path):
    (tmp_path / "clips.jsonl").touch()
    with pytest.raises(ValueError, match=r"'clips\.jsonl' is empty; a clip a line is expected"):
        read_rows(tmp_path / "clips.jsonl")


ABOUT = {"bundle": "0", "seed": 0, "rounds": 1, "start": "clone"}
CLIP = {
    **dict.fromkeys(("case", "speaker", "language", "kind", "label", "voice"), "a"),
    **{"iteration": 0, "last": True, "accuracy": 1.0, "margin": 5.0},
    **{"seconds": 1.0, "real_time": 1.0, "about": ABOUT},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"about": {**ABOUT, "start": {}}},
        {"about": {**ABOUT, "rounds": [-1, 1]}},
        {"about": {**ABOUT, "rounds": -1}},
        {"about": {**ABOUT, "seed": 0.5}},
        {"about": {**ABOUT, "more": 1}},
        {"real_time": 1e308},
        {"seconds": -1e10},
        {"wer": 1e300},
    ],
)
def test_a_clip_that_no_run_wrote_is_refused(tmp_path: Path, wrong: dict[str, object]):
    path = tmp_path / "clips.jsonl"
    path.write_text(json.dumps(CLIP) + "\n")
    assert len(read_rows(path)) == 1
    path.write_text(json.dumps({**CLIP, **wrong}) + "\n")
    with pytest.raises(ValueError, match=r"^line 1 of clips\.jsonl is not a clip"):
        read_rows(path)
