"""`stepedit bench` on the tiny bundle: every stage has a figure, the same work in every run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core import cli
from stepedit_core.evaluate.bench import BenchSettings, Stopwatch, bench, voiced, write_ids
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry

STAGES = [
    "load",
    "signal processing",
    "linguistic tokenizer",
    "semantic tokenizer",
    "speaker encoder",
    "LM, first id",
    "LM, first id of a second round",
    "LM, further ids",
    "flow",
    "vocoder",
    "whole edit",
]


def test_every_stage_is_measured_as_often_as_asked(bundles: Path) -> None:
    seen: list[str] = []
    how = BenchSettings(device="cpu", precision="int8", clip=voiced(0.7), ids=12, runs=2)
    done = bench(Registry([bundles], {}), "tiny", how, on_stage=seen.append)
    assert [row.stage for row in done.rows] == STAGES
    assert {row.runs for row in done.rows[1:]} == {2}
    assert all(0 < row.least <= row.median <= row.most for row in done.rows)
    assert [row.stage for row in done.rows if row.unit == "ids/s"] == ["LM, further ids"]
    assert done.facts["new_ids"] == 10  # whole groups
    assert done.facts["peak_bytes"]["process"] > 50_000_000
    assert done.quality is None
    assert seen[0] == "load"


def test_the_parameters_are_counted_as_they_are(bundles: Path) -> None:
    few = BenchSettings(device="cpu", precision="int4", clip=voiced(0.7), ids=5, runs=1)
    registry = Registry([bundles], {})
    done = bench(registry, "tiny", replace(few, against="bf16"))
    lm = registry.load("tiny", device="cpu").llm
    assert done.facts["lm_parameters"] == sum(p.numel() for p in lm.parameters())
    assert done.quality is not None
    assert 0 < done.quality.kl < 1
    assert done.quality.positions == done.facts["prompt_ids"]


def test_the_ids_are_legal_never_end_and_are_the_same_every_time(bundle: Bundle) -> None:
    prompt, count = [1, 4, *range(20, 60)], 20
    first, until = write_ids(bundle.llm, prompt, bundle.vocabulary, count)
    second, _ = write_ids(bundle.llm, prompt, bundle.vocabulary, count)
    assert first == second
    assert bundle.vocabulary.split(first).groups == count // 5
    assert until > 0


def test_a_stage_that_waits_is_as_slow_as_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("stepedit_core.evaluate.bench.perf_counter", lambda: now[0])
    watch = Stopwatch(torch.device("cpu"), 3, lambda stage: None)
    waits = iter([9.0, 1.0, 4.0, 2.0])  # the first call is not counted

    def work() -> None:
        now[0] += next(waits)

    watch.measure("stage", work, ids=8)
    row = watch.rows[0]
    assert (row.median, row.least, row.most, row.runs) == (4.0, 2.0, 8.0, 3)


@pytest.mark.parametrize(("ids", "runs"), [(4, 1), (10, 0)])
def test_too_little_to_measure_is_said(bundles: Path, ids: int, runs: int) -> None:
    with pytest.raises(ValueError, match="5 ids and 1 run are the least"):
        bench(Registry([bundles], {}), "tiny", BenchSettings(device="cpu", ids=ids, runs=runs))


def test_the_command_prints_a_table_and_writes_json(
    bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    tiny = ["--bundle", str(bundles / "tiny"), "--device", "cpu"]
    few = ["--ids", "5", "--runs", "1", "--precision", "int8", "--against", "fp32"]
    assert cli.main(["bench", *tiny, *few, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "LM, further ids" in printed
    assert "peak memory, process" in printed
    assert "against fp32: KL" in printed
    written = json.loads(out.read_text())
    assert [row["stage"] for row in written["rows"]] == STAGES
    assert written["quality"]["top1"] <= 1
