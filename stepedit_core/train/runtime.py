"""What the recipes share: processes, precision, schedule, one optimiser step, states, curves.

A step draws everything from (seed, step), and sums are divided by counts of the whole batch over
all processes, so that a run that was stopped and resumed, or shared by several processes, follows
the losses of one that was not. Several processes (torchrun) shard parameters, gradients and
optimiser by FSDP2 (arXiv:2304.11277; torch.distributed.fsdp.fully_shard).
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .. import __version__
from ..data.shards import write_whole
from ..files.strict import to_json
from ..models.llm import Layer
from ..registry.registry import default_device
from .answers import micro_batches, pack
from .config import OptimizerConfig, RunConfig

M = TypeVar("M", bound=nn.Module)
log = logging.getLogger(__name__)
STATE, CURVE, CONFIG = "state.pt", "curve.jsonl", "run.json"


@dataclass(frozen=True, kw_only=True)
class Team:
    """The processes of one run, and where this one computes."""

    rank: int
    world: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Values of any shape summed over the processes."""
        return self._reduced(values, "SUM")

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers."""
        return int(self._reduced(torch.tensor(number), "MAX"))

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        if self.world == 1:
            return values
        from torch import distributed

        moved = values.to(self.device).clone()
        distributed.all_reduce(moved, getattr(distributed.ReduceOp, how))
        return moved.to(values.device)

    def share(self, items: Sequence[int]) -> list[int]:
        """This process's part of a batch: every world-th item."""
        return list(items[self.rank :: self.world])

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            from torch import distributed

            distributed.barrier()


@contextmanager
def join_team(config: RunConfig) -> Iterator[Team]:
    """The processes that torchrun started, or this one alone.

    The main process alone logs: the others say only warnings.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = default_device() if config.device == "auto" else torch.device(config.device)
    if world == 1:
        yield Team(rank=0, world=1, device=device)
        return
    from torch import distributed

    if device.type != "cpu":
        device = torch.device(device.type, int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("gloo" if device.type == "cpu" else None)
    try:
        yield Team(rank=rank, world=world, device=device)
    finally:
        distributed.destroy_process_group()


def place(module: M, team: Team, *, precision: str) -> M:
    """The module on the team's device; with several processes each layer and the rest sharded."""
    module = module.to(team.device)
    if team.world > 1:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        mesh = init_device_mesh(team.device.type, (team.world,))
        policy = MixedPrecisionPolicy()
        if precision == "bf16":
            policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32)
        for part in module.modules():
            if isinstance(part, Layer):
                fully_shard(part, mesh=mesh, mp_policy=policy)
        fully_shard(module, mesh=mesh, mp_policy=policy)
    return module


@contextmanager
def gathered(*modules: nn.Module, end_id: int) -> Iterator[None]:
    """Inside, sharded modules hold whole weights: processes may then call them out of step.

    The modules are policies and critics; `end_id` is any id they may be asked about. Each is called
    once first: sharding settles at the first call which module is the root of which, and sampling
    calls layers on their own.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        yield
        return
    from torch.distributed.fsdp import FSDPModule

    for module in modules:
        with torch.no_grad():
            module(pack([([end_id], [end_id])], end_id, next(module.parameters()).device))
    parts = [p for module in modules for p in module.modules() if isinstance(p, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        roots = set(map(id, modules))
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(id(part) not in roots, recurse=False)


@dataclass(frozen=True, kw_only=True)
class Math:
    """How forward and backward passes are computed."""

    precision: str
    team: Team

    @property
    def _own_bf16(self) -> bool:
        """Several processes have bf16 from their sharding, see place."""
        return self.precision == "bf16" and self.team.world == 1

    def products(self) -> AbstractContextManager[Any]:
        """Context of forward passes: matrix products in bf16 where asked for."""
        kind = self.team.device.type
        return torch.autocast(kind, torch.bfloat16) if self._own_bf16 else nullcontext()

    def attention(self) -> AbstractContextManager[Any]:
        """Context of forward and backward pass together.

        On a CPU the plain attention is used with bf16: the fused one's backward pass is slower than
        float32. Layers that are computed again in the backward pass must take the same one.
        """
        plain = self._own_bf16 and self.team.device.type == "cpu"
        return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()


def cosine_rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Rate of a step: linear up to lr over the warm-up, then half a cosine down to last_lr.

    The first step behind the warm-up has lr, the last step last_lr.
    """
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - 1 - warmup)
    low = config.last_lr
    return low + (config.lr - low) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def make_optimizer(module: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW over what learns in a module."""
    learning = [p for p in module.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
    )


class Sampler:
    """Items of each step: one permutation an epoch, drawn from the seed."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        if not count:
            raise ValueError("the data holds nothing to train on (0 items). Check data and split.")
        self.count, self.batch, self.seed = count, batch, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> list[int]:
        """Indices of a step's batch, of any step in any order."""
        found = []
        for at in range(step * self.batch, (step + 1) * self.batch):
            epoch, index = divmod(at, self.count)
            if epoch != self._epoch:
                generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator)
            found.append(int(self._order[index]))
        return found

    def steps(self, epochs: float) -> int:
        """Steps that see every item so many times; one at least."""
        return max(1, round(epochs * self.count / self.batch))


def parts_of(lengths: Sequence[int], most: int, team: Team) -> list[tuple[list[int], float]]:
    """Micro-batches of this process's rows with the weight 1, filled up to the team's most.

    Sharded modules are called equally often by all: a process with fewer parts repeats its first
    one with the weight 0.
    """
    parts = [(part, 1.0) for part in micro_batches(lengths, most)]
    return parts + [(parts[0][0], 0.0)] * (team.largest(len(parts)) - len(parts))


def backward(
    parts: Sequence[tuple[list[int], float]],
    loss_of: Callable[[list[int]], Tensor],
    math_: Math,
) -> float:
    """Add up the gradients of all parts; the loss () of the whole batch over all processes.

    loss_of(rows) is the part's share of that loss. Sharding averages gradients over the processes,
    so each is scaled by their number.
    """
    sum_, team = 0.0, math_.team
    for rows, weight in parts:
        with math_.attention():
            with math_.products():
                loss = loss_of(rows) * weight
            (loss * team.world).backward()  # type: ignore[no-untyped-call]
        sum_ += float(loss.detach())
    return float(team.total(torch.tensor(sum_, dtype=torch.float64)))


def step_optimizer(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: OptimizerConfig,
    step: int,
    steps: int,
) -> dict[str, float]:
    """One step at the schedule's rate with the gradients at hand, which are dropped.

    Returns the rate as `lr` and the gradients' norm as `norm`.
    """
    rate = cosine_rate(step, steps, config)
    weights = [p for p in module.parameters() if p.requires_grad]
    norm = nn.utils.clip_grad_norm_(weights, config.clip_norm)
    full = getattr(norm, "full_tensor", None)
    value = float(norm if full is None else full())
    for group in optimizer.param_groups:
        group["lr"] = rate
    if math.isfinite(value):
        optimizer.step()
    else:
        log.warning("a step was left out: the gradient's norm is %s", value)
    optimizer.zero_grad(set_to_none=True)
    return {"lr": rate, "norm": value}


class Settings(Protocol):
    """A recipe's dataclass."""

    @property
    def run(self) -> RunConfig:
        """Seed, stopping and saving."""


class Run:
    """A run folder: run.json, curve.jsonl, and state.pt to go on from.

    Args:
        folder: made when absent; a stopped run with the same settings goes on.
        recipe: its name.
        config: the recipe's dataclass.
        facts: data and weights the run depends on, by digest.
        team: the processes.
        learned: name -> module and its optimiser, all of what a state holds.
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
            folder.mkdir(parents=True, exist_ok=True)
            self._agree(about)
        team.wait()
        self.first = self._resume()

    def _agree(self, about: dict[str, Any]) -> None:
        """Write run.json, or refuse to mix two runs in one folder."""
        path = self.folder / CONFIG
        about = json.loads(json.dumps(about))
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            changed = [k for k in about if before.get(k) != about[k]]
            if changed:
                raise ValueError(
                    f"'{self.folder.name}' holds a run with another {changed[0]}; a run goes on "
                    "only with the settings and data it began with. Name another folder."
                )
            return
        versions = {"stepedit": __version__, "torch": torch.__version__}
        text = json.dumps({**about, **versions, "processes": self.team.world}, indent=1)
        write_whole(path, text + "\n")

    def _resume(self) -> int:
        """Load state.pt where there is one; the next step."""
        path = self.folder / STATE
        if not path.is_file():
            step = 0
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            step = int(state["step"])
            if state["processes"] != self.team.world:
                raise ValueError(
                    f"'{self.folder.name}' was saved by {state['processes']} processes; "
                    f"{self.team.world} are running. Start as many as before."
                )
            for name, (module, optimizer) in self.learned.items():
                _load_state(module, optimizer, state[name], self.team)
            log.info("goes on at step %d", step)
        if self.team.main:  # lines behind the state are made again
            curve = self.folder / CURVE
            lines = curve.read_text(encoding="utf-8").splitlines() if curve.is_file() else []
            kept = [x for x in lines if x.endswith("}") and json.loads(x)["step"] < step]
            write_whole(curve, "".join(x + "\n" for x in kept))
        self.team.wait()
        return step

    def end_step(self, step: int, steps: int, **values: float) -> None:
        """One line of the curve; state.pt every `save_every` steps and behind the last of all."""
        self._log(step, **values)
        if (step + 1) % self._every == 0 or step + 1 == steps:
            self._save(step + 1)

    def _log(self, step: int, **values: float) -> None:
        """One line of the curve; numbers are kept as they are."""
        if self.team.main:
            elapsed = round(time.monotonic() - self._started, 1)
            line = json.dumps({"step": step, **values, "seconds": elapsed})
            with (self.folder / CURVE).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            if step % 10 == 0:
                shown = " ".join(f"{k} {v:.4g}" for k, v in values.items())
                log.info("step %d %s", step, shown)

    def _save(self, step: int) -> None:
        """Write state.pt: after `step` steps."""
        state: dict[str, Any] = {"step": step, "processes": self.team.world}
        for name, (module, optimizer) in self.learned.items():
            state[name] = _state(module, optimizer, self.team)
        if self.team.main:
            part = self.folder / f".{STATE}.part"
            torch.save(state, part)
            os.replace(part, self.folder / STATE)
        self.team.wait()


def _state(module: nn.Module, optimizer: torch.optim.Optimizer, team: Team) -> dict[str, Any]:
    """What a module has learnt, and its optimiser, whole and on the CPU of the main process."""
    if team.world == 1:
        learning = {n for n, p in module.named_parameters() if p.requires_grad}
        model = {n: t for n, t in module.state_dict().items() if n in learning}
        return {"model": model, "optimizer": optimizer.state_dict()}
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    model, optim = get_state_dict(module, optimizer, options=options)
    return {"model": model, "optimizer": optim}


def _load_state(
    module: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any], team: Team
) -> None:
    if team.world == 1:
        module.load_state_dict(state["model"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    options = StateDictOptions(full_state_dict=True, strict=False)
    set_state_dict(
        module,
        optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
        options=options,
    )


def whole_state(module: nn.Module, team: Team) -> dict[str, Tensor]:
    """All tensors of a module, whole and on the CPU; empty in processes that do not write."""
    if team.world == 1:
        return {n: t.detach().cpu() for n, t in module.state_dict().items()}
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found = get_model_state_dict(module, options=options)
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}
