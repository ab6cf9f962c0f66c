"""Modules shared by the processes of a run: FSDP2 (arXiv:2304.11277), and whole weights again.

Source: torch.distributed.fsdp.fully_shard. One process alone keeps its modules as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..models.llm import Layer
from ..printable import shown
from .batches import pack
from .team import Team

M = TypeVar("M", bound=nn.Module)


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
    """Inside, sharded modules have whole weights: processes may then call them out of step.

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


def state_of(module: nn.Module, optimizer: torch.optim.Optimizer, team: Team) -> dict[str, Any]:
    """What a module has learnt, and its optimiser, whole and on the CPU of the main process."""
    if team.world == 1:
        learning = {n for n, p in module.named_parameters() if p.requires_grad}
        model = {n: t for n, t in module.state_dict().items() if n in learning}
        return {"model": model, "optimizer": optimizer.state_dict()}
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    model, optim = get_state_dict(module, optimizer, options=options)
    return {"model": model, "optimizer": optim}


def check_learned(
    module: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any], remedy: str
) -> None:
    """Raise ValueError unless a state has what `state_of` takes of these two, no more, no less."""
    model, kept = state["model"], state["optimizer"]
    learning = {n: p for n, p in module.named_parameters() if p.requires_grad}
    wrong = sorted(learning.keys() ^ model.keys()) or [
        name for name, place in learning.items() if not _alike(model[name], place)
    ]
    if wrong:
        raise ValueError(
            f"the state has other weights than the model, first {shown(wrong[0], 60)}. {remedy}"
        )
    groups = optimizer.param_groups
    found = kept.get("param_groups")
    same = isinstance(found, list) and len(found) == len(groups)
    if not same or any(
        not isinstance(mine, Mapping)
        or mine.keys() != {*group}
        or len(mine["params"]) != len(group["params"])
        for mine, group in zip(found, groups, strict=True)
    ):
        raise ValueError(f"the state has an optimiser of other settings. {remedy}")
    places = [p for group in groups for p in group["params"]]
    moments = kept.get("state")
    if not isinstance(moments, Mapping) or moments.keys() - set(range(len(places))):
        raise ValueError(f"the state has an optimiser of other weights. {remedy}")
    for number, about in moments.items():
        wrong = [n for n in ("exp_avg", "exp_avg_sq") if not _alike(about.get(n), places[number])]
        if wrong or not isinstance(about.get("step"), Tensor) or about["step"].numel() != 1:
            raise ValueError(f"the state has an optimiser of other weights. {remedy}")


def _alike(value: object, place: Tensor) -> bool:
    """Whether a value is a tensor that fits where another is."""
    fits = isinstance(value, Tensor) and value.shape == place.shape
    return fits and isinstance(value, Tensor) and value.dtype == place.dtype


def load_learned(
    module: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any], team: Team
) -> None:
    """Put back what `state_of` took."""
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
