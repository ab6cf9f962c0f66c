"""Tasks in processes: order, workers that are killed, errors, and what Ctrl-C leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from stepedit_core.engines.tasks import DEATHS, finished_tasks, run_tasks
from tests.unit.engines.workers import Count, broken, lost, start


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_as_they_are_made_or_in_order(workers: int) -> None:
    tasks = [Count(0, "slow"), *(Count(n) for n in range(1, 5))]
    found = dict(finished_tasks(tasks, start, lost, workers=workers))
    assert {number: made.number for number, made in found.items()} == {n: n for n in range(5)}
    made = list(run_tasks(tasks, start, lost, workers=workers))
    assert [one.number for one in made] == [0, 1, 2, 3, 4]
    assert len({one.by for one in made}) == workers


def test_a_task_whose_worker_is_killed_is_tried_again(tmp_path: Path) -> None:
    tasks = [Count(n, "once" if n == 2 else "", str(tmp_path)) for n in range(5)]
    made = list(run_tasks(tasks, start, lost, workers=2))
    assert [one.number for one in made] == [0, 1, 2, 3, 4]
    assert all(one.by > 0 for one in made)
    assert len(list(tmp_path.glob("2.*"))) == 2
    assert len(list(tmp_path.glob("3.*"))) == 1


def test_a_task_that_kills_every_worker_is_lost_and_the_others_are_made(tmp_path: Path) -> None:
    tasks = [Count(n, "kill" if n in (0, 4) else "", str(tmp_path)) for n in range(6)]
    made = list(run_tasks(tasks, start, lost, workers=2))
    assert [one.number for one in made] == list(range(6))
    assert [one.by == -1 for one in made] == [True, False, False, False, True, False]
    assert len(list(tmp_path.glob("0.*"))) == len(list(tmp_path.glob("4.*"))) == DEATHS


def test_the_error_of_a_start_is_raised_in_words() -> None:
    with pytest.raises(ValueError, match="no bundle 'é'"):
        list(run_tasks([Count(0), Count(1)], broken, lost, workers=2))


def test_a_fault_of_a_worker_is_raised_and_its_trace_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'x'"):
        list(run_tasks([Count(0, "bug"), Count(1)], start, lost, workers=2))
    assert "in work" in caplog.text


def test_a_run_that_is_dropped_ends_its_workers(tmp_path: Path) -> None:
    tasks = [Count(0), Count(1, "hang", str(tmp_path)), Count(2), Count(3)]
    made = finished_tasks(tasks, start, lost, workers=2)
    next(made)
    while not (tmp_path / "1.0").is_file():
        time.sleep(0.02)
    made.close()
    assert gone(int((tmp_path / "1.0").read_text("utf-8")))


def test_an_unknown_engine_is_said() -> None:
    with pytest.raises(ValueError, match="engine 'spark' is unknown; allowed are local, ray"):
        list(run_tasks([Count(0)], start, lost, engine="spark"))
