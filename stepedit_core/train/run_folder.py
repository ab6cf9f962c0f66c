"""A run folder: run.json, curve.jsonl, and state.pt to resume from."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from .. import __version__
from ..data.shards import ABOUT
from ..files.reading import kind_of_value, parse_object, read_lines, read_object
from ..files.states import check_numbers, read_state
from ..files.strict import to_json, without_nan
from ..files.whole import append, whole_file, write_whole
from ..printable import listed, shown
from .config import RunConfig
from .sharding import check_learned, load_learned, state_of
from .team import Team

log = logging.getLogger(__name__)


LARGEST_STEP = 10**8
REMEDY = "Take the run folder again from where it came from, or begin in another folder."
STATE, CURVE, CONFIG = "state.pt", "curve.jsonl", "run.json"


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, size=_bytes_of(state)) as part:
        torch.save(dict(state), part)


def _bytes_of(value: object) -> int:
    """Bytes of all tensors in nested mappings and lists."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(_bytes_of, value.values()))
    return sum(map(_bytes_of, value)) if isinstance(value, (list, tuple)) else 0


def check_foreign(folder: Path) -> None:
    """Raise ValueError for a folder with files of these names and no run that wrote them."""
    found = [name for name in (STATE, CURVE) if os.path.lexists(folder / name)]
    if found and not os.path.lexists(folder / CONFIG):
        raise ValueError(
            f"'{shown(folder)}' has {listed(found)} and no {CONFIG}, so no training wrote "
            "them, and this one would replace them. Move them away, or name another --out."
        )


def agree(folder: Path, about: Mapping[str, Any], **further: Any) -> None:
    """Write run.json, or refuse to mix two runs in one folder.

    `about` must be what the run began with; `further` is written and not compared.
    """
    path = folder / CONFIG
    if (folder / ABOUT).exists():
        raise ValueError(
            f"'{shown(folder.name)}' is a folder of data; a run needs a folder of its own. Name "
            "another one."
        )
    text = json.dumps(about, allow_nan=False)
    about = parse_object(text, CONFIG)
    if path.exists():
        before = read_object(path, remedy=REMEDY)
        changed = [k for k in about if before.get(k) != about[k]]
        if changed:
            raise ValueError(
                f"'{shown(folder.name)}' has a run with another {shown(changed[0])}; a run resumes "
                "only with the settings and data it began with. Name another folder."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    versions = {"stepedit": __version__, "torch": torch.__version__}
    write_whole(
        path, json.dumps({**about, **versions, **further}, indent=1, allow_nan=False) + "\n"
    )


def append_curve(folder: Path, step: int, values: Mapping[str, float], seconds: float) -> None:
    """One line of curve.jsonl; null for a number that is not finite."""
    row = without_nan({"step": step, **values, "seconds": round(seconds, 1)})
    line = json.dumps(row, allow_nan=False)
    append(folder / CURVE, line + "\n")


def cut_curve(folder: Path, step: int) -> None:
    """Drop the lines from `step` on, and a torn one: they are made again."""
    path = folder / CURVE
    lines = read_lines(path, REMEDY) if path.exists() else []
    if lines and not lines[-1].text.endswith("}"):
        lines.pop()
    kept = []
    for number, line in lines:
        where = f"line {number} of {CURVE}"
        values = parse_object(line, where, REMEDY)
        odd = [
            name for name, value in values.items() if type(value) not in (int, float, type(None))
        ]
        odd += [] if type(values.get("seconds", 0.0)) in (int, float) else ["seconds"]
        if odd or type(values.get("step")) is not int:
            raise ValueError(
                f"{where} has {kind_of_value(values.get(odd[0] if odd else 'step'))} as "
                f"{shown(odd[0] if odd else 'step', 40)}; a number is expected. {REMEDY}"
            )
        kept += [line] if values["step"] < step else []
    write_whole(path, "".join(x + "\n" for x in kept))


def whole_number(state: Mapping[str, Any], name: str, least: int, most: int) -> int:
    """A whole number of a state; ValueError where it is absent or anything else."""
    found = state.get(name)
    if type(found) is not int or not least <= found <= most:
        raise ValueError(
            f"{STATE} has {kind_of_value(found)} as {shown(name)}; {least} to {most} are allowed. "
            f"{REMEDY}"
        )
    return found


class Settings(Protocol):
    """A recipe's dataclass."""

    @property
    def run(self) -> RunConfig:
        """Seed, stopping and saving."""


class Run:
    """A run folder: run.json, curve.jsonl, and state.pt to resume from.

    Args:
        folder: made when absent; a stopped run with the same settings resumes.
        recipe: its name.
        config: the recipe's dataclass.
        facts: data and weights the run depends on, by digest.
        team: the processes.
        learned: name -> module and its optimiser, everything that a state has.
    """

    def __init__(
        self,
        folder: Path,
        recipe: str,
        config: Settings,
        facts: Mapping[str, str],
        team: Team,
        learned: Mapping[str, tuple[nn.Module, torch.optim.Optimizer]],
    ) -> None:
        self.folder, self.team, self.learned = folder, team, learned
        self._every = config.run.save_every
        self._started = time.monotonic()
        about = {"recipe": recipe, "config": to_json(config), **facts}
        if team.main:
            agree(folder, about, processes=team.world)
        team.wait()
        self.first = self._resume()

    def _resume(self) -> int:
        """Load state.pt where there is one; the next step."""
        path = self.folder / STATE
        if not path.exists():
            step = 0
        else:
            state = read_state(path, REMEDY)
            step = whole_number(state, "step", 0, LARGEST_STEP)
            world = whole_number(state, "processes", 1, 10**6)
            if world != self.team.world:
                raise ValueError(
                    f"'{shown(self.folder.name)}' was saved by {world} processes; "
                    f"{self.team.world} are running. Start as many as before."
                )
            self._load(state)
            log.info("resumes at step %d", step)
        if self.team.main:
            cut_curve(self.folder, step)
        self.team.wait()
        return step

    def _load(self, state: Mapping[str, Any]) -> None:
        """Put back what every module and optimiser had; ValueError before anything is changed."""
        for name, (module, optimizer) in self.learned.items():
            found = state.get(name)
            parts = found if isinstance(found, Mapping) else {}
            if not all(isinstance(parts.get(part), Mapping) for part in ("model", "optimizer")):
                raise ValueError(
                    f"{STATE} has no weights or no optimiser of {shown(name)}. {REMEDY}"
                )
            if self.team.world == 1:
                check_learned(module, optimizer, parts, REMEDY)
            check_numbers(parts, STATE, REMEDY)
        for name, (module, optimizer) in self.learned.items():
            load_learned(module, optimizer, state[name], self.team)

    def end_step(self, step: int, steps: int, **values: float) -> None:
        """One line of the curve; state.pt every `save_every` steps and after the last one."""
        self._log(step, **values)
        if (step + 1) % self._every == 0 or step + 1 == steps:
            self._save(step + 1)

    def _log(self, step: int, **values: float) -> None:
        """One line of the curve; numbers are kept as they are."""
        if self.team.main:
            append_curve(self.folder, step, values, time.monotonic() - self._started)
            if step % 10 == 0:
                figures = " ".join(f"{k} {v:.4g}" for k, v in values.items())
                log.info("step %d %s", step, shown(figures))

    def _save(self, step: int) -> None:
        """Write state.pt: after `step` steps."""
        state: dict[str, Any] = {"step": step, "processes": self.team.world}
        for name, (module, optimizer) in self.learned.items():
            state[name] = state_of(module, optimizer, self.team)
        if self.team.main:
            write_state(self.folder / STATE, state)
        self.team.wait()
