"""Tasks on a real Ray of this machine; left out, and said so, where Ray is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from stepedit_core.engines.on_ray import gpu_share, plain
from stepedit_core.engines.tasks import DEATHS, run_tasks
from tests.conftest import REPOSITORY, not_tested
from tests.unit.engines.workers import Count, broken, lost, start

PROGRAM = """
from stepedit_core.engines.tasks import run_tasks
from tests.unit.engines.workers import Count, lost, start
import sys
if __name__ == "__main__":
    tasks = [Count(0, "hang", sys.argv[1]), Count(1)]
    try:
        list(run_tasks(tasks, start, lost, workers=2, engine="ray"))
    except KeyboardInterrupt:
        print("stopped")
"""


@pytest.fixture
def _ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("ray") is None:
        why = "the extra batch is not installed"  # 300 MB; the job `ray` of tests.yml has it
        not_tested(request.config, "Ray", why)
        pytest.skip(why)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


@pytest.mark.parametrize(
    ("gpus", "workers", "share"),
    [(0, 4, None), (8, 4, 1), (8, 8, 1), (2, 3, 0.5), (1, 4, 0.25)],
)
def test_a_worker_has_a_gpu_or_a_share_of_one(gpus: int, workers: int, share: float | None) -> None:
    assert gpu_share({"CPU": 16.0, **({"GPU": float(gpus)} if gpus else {})}, workers) == share


def test_values_of_a_batch_are_plain_again() -> None:
    numpy = pytest.importorskip("numpy")
    assert type(plain(numpy.int64(3))) is int
    assert plain("three") == "three"


@pytest.mark.usefixtures("_ray")
@pytest.mark.filterwarnings("ignore")
def test_ray_makes_every_task_and_survives_killed_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what = {2: "once", 5: "kill"}
    tasks = [Count(n, what.get(n, ""), str(tmp_path)) for n in range(12)]
    made = list(run_tasks(tasks, start, lost, workers=2, engine="ray"))
    assert [one.number for one in made] == list(range(12))
    assert [n for n, one in enumerate(made) if one.by == -1] == [5]
    assert len(list(tmp_path.glob("5.*"))) == DEATHS
    assert len(list(tmp_path.glob("2.*"))) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("_ray")
@pytest.mark.filterwarnings("ignore")
def test_the_error_of_a_start_on_ray_is_raised_in_words() -> None:
    with pytest.raises(ValueError, match="no bundle 'é'"):
        list(run_tasks([Count(0), Count(1)], broken, lost, workers=2, engine="ray"))


@pytest.mark.usefixtures("_ray")
@pytest.mark.filterwarnings("ignore")
def test_no_cluster_at_an_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ValueError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
        list(run_tasks([Count(0)], start, lost, engine="ray"))


def theirs(session: int) -> set[int]:
    """Processes whose environment has the mark of a run."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"STEPEDIT_TEST_RUN={session}\0".encode() in (place / "environ").read_bytes():
                found.add(int(place.name))
        except OSError:
            continue
    return found


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run on Ray that hangs in its first task."""
    environment = {**os.environ, "STEPEDIT_TEST_RUN": str(os.getpid()), "PYTHONPATH": "."}
    run = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
    )
    while not (tmp_path / "0.0").is_file() and run.poll() is None:
        time.sleep(0.1)
    yield run
    run.kill()
    run.wait()


@pytest.mark.usefixtures("_ray")
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_or_killed_run_leaves_no_process(
    stopped: subprocess.Popen[str], how: signal.Signals
) -> None:
    assert theirs(os.getpid()) - {stopped.pid}
    stopped.send_signal(how)
    out, _ = stopped.communicate()
    assert out == ("stopped\n" if how == signal.SIGINT else "")
    while left := theirs(os.getpid()):  # a killed one cannot wait for its workers
        assert how == signal.SIGKILL, left
        time.sleep(0.1)
