"""Workers as an actor pool of Ray Data: here, or on the machines of a cluster.

Without $RAY_ADDRESS Ray runs for this command alone: it listens on this machine only, has no
dashboard and tells nobody of its use; it ends with the command, however that ends. With it, the
cluster is one that somebody started, on machines that share the recordings and the folder of
results and have StepEdit and the bundle on their own disks.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any

from .. import __version__
from ..files.missing import pip_line
from ..files.whole import write_whole
from ..printable import shown
from .processes import answer_of, result_of

ADDRESS = "RAY_ADDRESS"
ALWAYS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
JOINED = {"RAY_NUM_REDIS_GET_RETRIES": "1"}
"""Ray asks a cluster that is not there twelve times, for many minutes."""
ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_raylet_start_wait_time_s": "600",
}
"""Ray's own switch for "this machine only", else its servers listen on the network; and patience:
a minute, and half of one, are too short where the machine is busy."""
NUMBER, STATE, RESULT = "stepedit_number", "stepedit_state", "stepedit_result"
"""Columns beside the fields of a task."""
MADE, FAILED, LOST = "made", "failed", "lost"
"""What STATE may be."""
OBJECTS = 128 << 20
"""Bytes of Ray's shared memory where it runs for us alone; tasks and answers are small."""
DATA_LOGGING = "RAY_DATA_LOGGING_CONFIG"
QUIET = "version: 1\ndisable_existing_loggers: false\nloggers:\n  ray.data: {level: CRITICAL}\n"
log = logging.getLogger(__name__)


def on_ray(
    tasks: Sequence[Any],
    start: Callable[[], Callable[[Any], Any]],
    workers: int,
    deaths: int,
    gpus: bool,
) -> Iterator[tuple[int, Any]]:
    """Number and result of each task as they are finished; of lost ones there is none.

    A row is a block of its own and a worker has one at a time, so a kill costs one task a worker.
    Raises ValueError for Ray where it is not installed or found, and what a worker raises.
    """
    with _started(workers) as ray:
        beginnings = ray.remote(num_cpus=0)(Beginnings).remote(deaths)
        rows = [{**asdict(task), NUMBER: number} for number, task in enumerate(tasks)]
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = False
        context.enable_progress_bars = False
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            RayWorker,
            fn_constructor_args=(start, type(tasks[0]), __version__, beginnings),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=gpu_share(ray.cluster_resources(), workers) if gpus else None,
        )
        for row in results.iter_rows():
            if row[STATE] != LOST:
                yield int(row[NUMBER]), result_of((row[STATE] == MADE, row[RESULT]))


class Beginnings:
    """Counts how often each task was begun: Ray gives a task to the next worker for ever."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[int, int] = {}

    def begin(self, number: int) -> bool:
        """Count a beginning; False where the task has taken too many workers with it."""
        self._counts[number] = self._counts.get(number, 0) + 1
        return self._counts[number] <= self._most


class RayWorker:
    """A worker in the shape that Ray Data calls: a batch of one row in, one out."""

    def __init__(
        self, start: Callable[[], Callable[[Any], Any]], kind: type[Any], version: str, counts: Any
    ) -> None:
        self._start, self._kind, self._version, self._counts = start, kind, version, counts
        self._worker: Callable[[Any], Any] | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Number and fields of a task to its number and result."""
        row = {name: plain(values[0]) for name, values in batch.items()}
        number = row.pop(NUMBER)
        if not _got(self._counts.begin.remote(number)):
            return {NUMBER: [number], STATE: [LOST], RESULT: [None]}
        good, result = answer_of(lambda: self._made()(self._kind(**row)))
        return {NUMBER: [number], STATE: [MADE if good else FAILED], RESULT: [result]}

    def _made(self) -> Callable[[Any], Any]:
        """The worker, made with the first task."""
        if self._worker is None:
            if self._version != __version__:
                raise ValueError(
                    f"a worker has StepEdit {shown(__version__)}, the command has "
                    f"{shown(self._version)}; all machines need the same. Install it there."
                )
            self._worker = self._start()
        return self._worker


def plain(value: Any) -> Any:
    """A value of a batch as the task had it: Ray Data gives numbers of numpy."""
    return value.item() if hasattr(value, "item") else value


def gpu_share(resources: Mapping[str, float], workers: int) -> float | None:
    """GPUs of one worker: one, or a share where there are more workers; None without any."""
    there = int(resources.get("GPU", 0))
    return 1 / ceil(workers / there) if there else None


def _got(reference: Any) -> Any:
    """What an actor of Ray answers."""
    import ray

    return ray.get(reference)


@contextmanager
def _started(workers: int) -> Iterator[Any]:
    """The module ray, with Ray running; what was started here is ended here.

    Ray's own messages go to the log: standard output is for results.
    """
    alone = not os.environ.get(ADDRESS)
    with tempfile.TemporaryDirectory(prefix="stepedit-", ignore_cleanup_errors=True) as place:
        settings = Path(place, "logging.yaml")
        write_whole(settings, QUIET)
        with (
            _environment({**ALWAYS, **(ALONE if alone else JOINED), DATA_LOGGING: str(settings)}),
            redirect_stdout(_Log()),
        ):
            ray = _imported()
            if ray.is_initialized():
                yield ray
                return
            how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
            if alone:
                how |= {"address": "local", "include_dashboard": False, "_temp_dir": place}
                how |= {"num_cpus": workers + 1, "object_store_memory": OBJECTS}
                how |= {"_node_ip_address": "127.0.0.1"}
            try:
                _init(ray, how)
                yield ray
            finally:
                ray.shutdown()


def _imported() -> Any:
    """The module ray with ray.data."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(
            f"the engine ray is not installed. Run `{pip_line('ray[data]')}`, or use the "
            "engine local."
        ) from error
    return ray


def _init(ray: Any, how: Mapping[str, Any]) -> None:
    """Start or join Ray; ValueError where that fails: Ray has no errors of its own for it."""
    try:
        ray.init(**how)
    except Exception as error:
        said = shown(str(error).split("\n")[0], 200)
        if address := os.environ.get(ADDRESS):
            raise ValueError(
                f"no Ray cluster answers at '{shown(address)}' (${ADDRESS}): {said} Start one, or "
                "unset the variable to use this machine alone."
            ) from error
        raise ValueError(
            f"Ray did not start here: {said} Run the command again, or use the engine local."
        ) from error


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of the environment for a block; what a user has set stays."""
    mine = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


class _Log(io.TextIOBase):
    """Standard output of Ray, into the log."""

    def write(self, text: str) -> int:
        """Note a line."""
        with suppress(ValueError):
            if text.strip():
                log.info("ray: %s", shown(text.strip(), 600))
        return len(text)
