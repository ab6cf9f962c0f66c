"""Building: a plan becomes examples, in any number of processes, through any kill."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from stepedit_core.data import build as building
from stepedit_core.data.build import Task, parse_order, tasks_of
from stepedit_core.data.records import Example
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.engines.setting import WorkerSetting
from stepedit_core.registry.handle import Bundle

from .examples import codes, plan


def build(tasks: list[Task], out: Path, *, shard_examples: int = 256, **how: Any) -> dict[str, int]:
    """Examples of the tasks in a folder, as the command makes them."""
    with Writer(out, "tiny-1", None, shard_examples) as writer:
        return building.build(tasks, writer, **how)


def hanging(orders: int) -> Callable[[Bundle, Task], Example]:
    """Make so many examples, then never another."""
    left = iter(range(orders))

    def make(bundle: Bundle, task: Task) -> Example:
        if next(left, None) is None:
            time.sleep(600)
        return building.make_example(bundle, task)

    return make


def setting(bundles: Path) -> WorkerSetting:
    return WorkerSetting(bundle="tiny", folders=(str(bundles),))


def in_child(work: Callable[[], object]) -> int:
    """Fork a process that does the work and ends; its id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads are not used in the child
        child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_killed_build_that_goes_on_loses_and_doubles_nothing(bundles: Path, tmp_path: Path):
    tasks = tasks_of(plan(tmp_path / "plan", 40), "sha")
    out = tmp_path / "out"

    def work(make: Callable[[Bundle, Task], Example] = building.make_example) -> None:
        build(tasks, out, setting=setting(bundles), make=make, shard_examples=4)

    # each run makes that many, has whole shards of four written, and is killed in the next one
    for orders, shards in ((6, 1), (13, 4), (3, 4), (4, 5)):
        child = in_child(lambda orders=orders: work(hanging(orders)))  # type: ignore[misc]
        deadline = time.monotonic() + 300
        while len(list(out.glob("data-*.jsonl"))) < shards and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert len(list(out.glob("data-*.jsonl"))) == shards
    (out / ".data-00099.safetensors.part").write_bytes(b"torn")
    (out / "data-00099.safetensors").write_bytes(b"a shard whose lines were never written")
    work()
    lines = Dataset(out).lines
    assert len(lines) == len({line["id"] for line in lines}) == 40
    assert {line["key"] for line in lines} == {task.key for task in tasks}
    unbroken = tmp_path / "unbroken"
    build(tasks, unbroken, setting=setting(bundles))
    strip = ("source", "target")
    assert [{k: v for k, v in line.items() if k not in strip} for line in lines] == [
        {k: v for k, v in line.items() if k not in strip} for line in Dataset(unbroken).lines
    ]


def test_several_processes_build_what_one_builds(bundles: Path, tmp_path: Path):
    tasks = tasks_of(plan(tmp_path / "plan", 6), "sha")
    for workers in (1, 2):
        counts = build(
            tasks,
            tmp_path / str(workers),
            setting=setting(bundles),
            workers=workers,
        )
        assert counts == {"orders": 6, "new": 6, "known": 0, "equal": 0, "failed": 0}
    one, two = (Dataset(tmp_path / str(workers)) for workers in (1, 2))
    assert one.lines == two.lines
    assert one.sha256 == two.sha256


def test_margins_come_from_the_plan_or_from_the_scorer(
    bundles: Path, tmp_path: Path, bundle: Bundle
):
    from stepedit_core.measure.margin import score

    tasks = tasks_of(plan(tmp_path / "plan", 2), "sha")
    build(tasks, tmp_path / "out", setting=setting(bundles))
    first, second = Dataset(tmp_path / "out")
    assert first.margin == 9.0
    expected = score(bundle, codes(3, 1000), codes(4, 1), second.request)
    assert second.margin == pytest.approx(expected, abs=1e-4)
    assert first.kind == "triplet"


def test_a_bad_order_is_named_and_the_others_are_made(bundles: Path, tmp_path: Path):
    path = plan(tmp_path / "plan", 2)
    bad = json.loads(path.read_text().splitlines()[0])
    bad["target"] = {"tokens": "absent.safetensors"}
    path.write_text(path.read_text() + json.dumps(bad) + "\n")
    counts = build(tasks_of(path, "s"), tmp_path / "o", setting=setting(bundles))
    assert (counts["new"], counts["failed"]) == (2, 1)
    problem = json.loads((tmp_path / "o" / "failed.jsonl").read_text())
    assert problem["line"] == 5
    assert "absent.safetensors" in problem["problem"]


def test_a_name_that_no_disk_takes_is_a_short_sentence(bundles: Path):
    line = json.dumps({**json.loads("{" + GOOD + "}"), "source": {"tokens": "x" * 5000}})
    task = Task(line=line, key="", folder="", number=1)
    found = building.Worker(setting(bundles))(task)
    assert "File name too long" in found.problem
    assert "Errno" not in found.problem
    assert len(found.problem) < 500


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("text", "word " * 2000, "letters; the clip has"),
        ("new_text", "word " * 2000, "letters; the clip has"),
        ("text", "a\x1b[31m", "text has the control character"),
        ("licence", "x" * 2000, "licence has 2000 letters; 1000 are allowed"),
    ],
)
def test_words_and_facts_that_no_recording_has_make_no_example(
    bundles: Path, tmp_path: Path, field: str, value: str, words: str
):
    path = plan(tmp_path / "plan", 1)
    order = {**json.loads(path.read_text().splitlines()[0]), field: value}
    task = Task(line=json.dumps(order), key="", folder=str(path.parent), number=1)
    found = building.Worker(setting(bundles))(task)
    assert words in found.problem


GOOD = '"source": {"audio": "a.wav"}, "target": {"audio": "b.wav"}, "edit": {"kind": "denoise"}'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{oops", "line 7 of the plan is not JSON"),
        ("[]", "line 7 of the plan is a list; an object is expected. Correct the plan."),
        ("{" + GOOD + ', "marign": 3}', "unknown key 'marign'; known are source, target"),
        (
            "{" + GOOD.replace('"a.wav"', '"a.wav", "clone": "c.wav"') + "}",
            "gives audio and clone for",
        ),
        ("{" + GOOD.replace('{"audio": "b.wav"}', "{}") + "}", "gives nothing for its target"),
        ("{" + GOOD + ', "margin": "high"}', "margin is text; a number is expected"),
        (
            "{" + GOOD.replace('"a.wav"', f'"a.wav", "seed": {2**63}') + "}",
            "source.seed is 9223372036854775808; allowed are 0 to 9223372036854775807.",
        ),
    ],
)
def test_a_wrong_plan_says_which_line_and_why(line: str, words: str):
    with pytest.raises(ValueError, match=r"^line 7 of the plan") as error:
        parse_order(Task(line=line, key="", folder="", number=7))
    assert words in str(error.value)


def test_ray_that_is_not_there_names_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, bundles: Path, tmp_path: Path
):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    tasks = tasks_of(plan(tmp_path / "plan", 1), "sha")
    with pytest.raises(ValueError, match=r'pip install "ray\[data\]"'):
        build(tasks, tmp_path / "o", setting=setting(bundles), engine="ray")


class RayData:
    """As much of Ray as is called: rows of plain values through a pool of workers, any order.

    A real one is in tests/unit/engines/test_on_ray.py.
    """

    def __init__(self) -> None:
        self.execution_options = SimpleNamespace(preserve_order=True)
        self.rows: list[dict[str, Any]] = []

    def get_current(self) -> RayData:
        return self

    def from_items(self, rows: list[dict[str, Any]], *, override_num_blocks: int) -> RayData:
        assert all(type(v) in (str, int) for row in rows for v in row.values())
        assert override_num_blocks == len(rows)
        self.rows = rows
        return self

    def map_batches(
        self, worker: Any, *, fn_constructor_args: tuple[Any, ...], compute: Any, **how: Any
    ) -> RayData:
        assert compute == {"size": 2, "max_tasks_in_flight_per_actor": 1}
        assert how == {"batch_size": 1, "num_cpus": 1, "num_gpus": None}
        pool = [worker(*fn_constructor_args) for _ in range(2)]
        batches = ({name: [value] for name, value in row.items()} for row in self.rows)
        made = [pool[n % 2](batch) for n, batch in enumerate(batches)]
        self.rows = [{name: values[0] for name, values in batch.items()} for batch in made]
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows if self.execution_options.preserve_order else self.rows[::-1])


def local_actor(kind: type[Any]) -> Any:
    """An actor in this process."""

    def made(*arguments: Any) -> Any:
        inner = kind(*arguments)
        return SimpleNamespace(begin=SimpleNamespace(remote=inner.begin))

    return SimpleNamespace(remote=made)


def test_ray_is_given_plain_rows_and_makes_what_local_processes_make(
    monkeypatch: pytest.MonkeyPatch, bundles: Path, tmp_path: Path
):
    data = RayData()
    module = ModuleType("ray.data")
    vars(module).update(from_items=data.from_items, DataContext=data)
    vars(module).update(ActorPoolStrategy=lambda **how: how)
    parent = ModuleType("ray")
    vars(parent).update(data=module, is_initialized=lambda: True, get=lambda value: value)
    vars(parent).update(remote=lambda **_: local_actor, cluster_resources=lambda: {"CPU": 2.0})
    for name, found in (("ray", parent), ("ray.data", module)):
        monkeypatch.setitem(sys.modules, name, found)
    tasks = tasks_of(plan(tmp_path / "plan", 9), "sha")
    digests = []
    for engine in ("local", "ray"):
        how: dict[str, Any] = {"setting": setting(bundles), "engine": engine}
        workers = 2 if engine == "ray" else 1
        out = tmp_path / engine
        counts = build(tasks, out, workers=workers, shard_examples=4, **how)
        assert counts["new"] == 9
        digests.append(Dataset(out).sha256)
    assert digests[0] == digests[1]
