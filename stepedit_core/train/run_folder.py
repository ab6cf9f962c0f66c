"""A run folder: run.json, curve.jsonl, and state.pt to resume from."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from .. import __version__
from ..files.strict import to_json, without_nan
from ..files.whole import append, whole_file, write_whole
from .config import RunConfig
from .sharding import load_learned, state_of
from .team import Team

log = logging.getLogger(__name__)


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


def read_state(path: Path) -> dict[str, Any] | None:
    """A checkpoint on the CPU; None where there is none yet."""
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def agree(folder: Path, about: Mapping[str, Any], **further: Any) -> None:
    """Write run.json, or refuse to mix two runs in one folder.

    `about` must be what the run began with; `further` is written and not compared.
    """
    path = folder / CONFIG
    about = json.loads(json.dumps(about, allow_nan=False))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [k for k in about if before.get(k) != about[k]]
        if changed:
            raise ValueError(
                f"'{folder.name}' has a run with another {changed[0]}; a run resumes only with "
                "the settings and data it began with. Name another folder."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    versions = {"stepedit": __version__, "torch": torch.__version__}
    write_whole(
        path, json.dumps({**about, **versions, **further}, indent=1, allow_nan=False) + "\n"
    )


def append_curve(folder: Path, step: int, values: Mapping[str, float], seconds: float) -> None:
    """One line of curve.jsonl; numbers are kept as they are."""
    row = without_nan({"step": step, **values, "seconds": round(seconds, 1)})
    line = json.dumps(row, allow_nan=False)
    append(folder / CURVE, line + "\n")


def cut_curve(folder: Path, step: int) -> None:
    """Drop the lines from `step` on, and a torn one: they are made again."""
    path = folder / CURVE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = [x for x in lines if x.endswith("}") and json.loads(x)["step"] < step]
    write_whole(path, "".join(x + "\n" for x in kept))


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
        state = read_state(self.folder / STATE)
        if state is None:
            step = 0
        else:
            step = int(state["step"])
            if state["processes"] != self.team.world:
                raise ValueError(
                    f"'{self.folder.name}' was saved by {state['processes']} processes; "
                    f"{self.team.world} are running. Start as many as before."
                )
            for name, (module, optimizer) in self.learned.items():
                load_learned(module, optimizer, state[name], self.team)
            log.info("resumes at step %d", step)
        if self.team.main:
            cut_curve(self.folder, step)
        self.team.wait()
        return step

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
                shown = " ".join(f"{k} {v:.4g}" for k, v in values.items())
                log.info("step %d %s", step, shown)

    def _save(self, step: int) -> None:
        """Write state.pt: after `step` steps."""
        state: dict[str, Any] = {"step": step, "processes": self.team.world}
        for name, (module, optimizer) in self.learned.items():
            state[name] = state_of(module, optimizer, self.team)
        if self.team.main:
            write_state(self.folder / STATE, state)
        self.team.wait()
