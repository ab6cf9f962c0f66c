"""Tables from released tensor names to ours, and the one function that applies them exactly.

Every released tensor is used once or dropped for a stated reason, and every place of the module is
filled with its own shape; anything else is an error that names the first keys on each side.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..printable import shown

SHOWN = 5
"""Names listed of each kind when a file and a network do not fit."""


class Source(Protocol):
    """Tensors of released files by name, read one at a time."""

    label: str
    """What messages call it."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor; reads no data."""

    def tensor(self, name: str) -> Tensor:
        """One tensor on the CPU."""


Made = dict[str, tuple[tuple[int, ...], Callable[[], Tensor]]]
"""Name of ours -> its shape and how it is read."""


@dataclass(frozen=True)
class Rule(ABC):
    """What becomes of the released tensors whose name matches a pattern.

    In patterns `{x}` stands for one part of a name and `{*}` for any rest.
    """

    released: str

    def claim(self, name: str) -> dict[str, str] | None:
        """Fields of a name that this rule takes, None for any other name."""
        return match(self.released, name)

    @abstractmethod
    def make(
        self, name: str, fields: Mapping[str, str], source: Source, eps: Mapping[str, float]
    ) -> Made:
        """Tensors of ours that a claimed name fills; eps has the module's batch norms."""


@dataclass(frozen=True)
class Key(Rule):
    """A released tensor under our name."""

    ours: str
    transpose: bool = False
    """Whether the two dimensions are swapped: ONNX stores a matrix as (in, out)."""

    def make(
        self, name: str, fields: Mapping[str, str], source: Source, eps: Mapping[str, float]
    ) -> Made:
        """One tensor, as it is or transposed."""
        shape = source.shapes()[name]
        if self.transpose:
            return {fill(self.ours, fields): (shape[::-1], lambda: source.tensor(name).T)}
        return {fill(self.ours, fields): (shape, lambda: source.tensor(name))}


@dataclass(frozen=True)
class WeightNorm(Rule):
    """Direction v and magnitude g of a weight-normed layer, folded to g v / |v| (spec 11.3)."""

    magnitude: str
    ours: str

    def claim(self, name: str) -> dict[str, str] | None:
        """Both names; the magnitude is read together with its direction."""
        return match(self.released, name) or match(self.magnitude, name)

    def make(
        self, name: str, fields: Mapping[str, str], source: Source, eps: Mapping[str, float]
    ) -> Made:
        """One tensor for the pair; nothing for the magnitude alone."""
        g, v = fill(self.magnitude, fields), fill(self.released, fields)
        shapes = source.shapes()
        lost = next((n for n in (g, v) if n not in shapes), None)
        if lost is not None:
            raise ValueError(
                f"{shown(source.label)} has {shown(name)} without {shown(lost)}; both are needed. "
                "Download the file again."
            )
        if name == g:
            return {}
        folded = lambda: fold_weight_norm(source.tensor(g), source.tensor(v))  # noqa: E731
        return {fill(self.ours, fields): (shapes[v], folded)}


@dataclass(frozen=True)
class FoldedNorm(Rule):
    """A bias that has a batch norm folded into the convolution before it (spec 11.7).

    Ours has the batch norm: weight 1, this bias, mean 0, variance 1 - eps, so it adds the bias.
    """

    ours: str

    def make(
        self, name: str, fields: Mapping[str, str], source: Source, eps: Mapping[str, float]
    ) -> Made:
        """The four tensors of the batch norm."""
        norm, shape = fill(self.ours, fields), source.shapes()[name]
        variance = 1.0 - eps.get(norm, 0.0)
        return {
            f"{norm}.weight": (shape, lambda: torch.ones(shape)),
            f"{norm}.bias": (shape, lambda: source.tensor(name)),
            f"{norm}.running_mean": (shape, lambda: torch.zeros(shape)),
            f"{norm}.running_var": (shape, lambda: torch.full(shape, variance)),
        }


@dataclass(frozen=True)
class Drop(Rule):
    """Released tensors that are not used, and why; where `value` is given they must equal it."""

    why: str
    value: float | None = None

    def make(
        self, name: str, fields: Mapping[str, str], source: Source, eps: Mapping[str, float]
    ) -> Made:
        """Nothing; ValueError where a tensor has another value than the one it may have."""
        if self.value is not None:
            tensor = source.tensor(name).float()
            if not torch.allclose(tensor, torch.full_like(tensor, self.value), atol=1e-6):
                raise ValueError(
                    f"{shown(source.label)} has {shown(name)} with other values than "
                    f"{self.value:g}; this network has no place for them ({self.why}). Use the "
                    "file as it was released."
                )
        return {}


@dataclass(frozen=True, kw_only=True)
class Place:
    """How one tensor of ours is made."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    """In the network as it is built: floats are stored as `stored_dtype` says."""
    make: Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked assignment; nothing but shapes has been read."""

    label: str
    places: tuple[Place, ...]
    """Every tensor of the module, in its order."""
    used: int
    """Released tensors used."""
    dropped: Mapping[str, int]
    """Reason -> released tensors dropped."""

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor one after the other."""
        for place in self.places:
            yield place.name, place.make()


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """Regular expression of a pattern; a field that stands twice is the same text twice."""
    out, seen = "", set()
    for piece in re.split(r"(\{[a-z*]+\})", text):
        if not piece.startswith("{"):
            out += re.escape(piece)
            continue
        name = "rest" if piece == "{*}" else piece[1:-1]
        inner = ".+" if name == "rest" else r"[^./#]+"
        out += f"(?P={name})" if name in seen else f"(?P<{name}>{inner})"
        seen.add(name)
    return re.compile(out)


def match(pattern: str, name: str) -> dict[str, str] | None:
    """Fields of a name under a pattern, None where it does not match."""
    found = _pattern(pattern).fullmatch(name)
    return None if found is None else found.groupdict()


def fill(pattern: str, fields: Mapping[str, str]) -> str:
    """A pattern with its fields filled in."""
    return re.sub(r"\{([a-z*]+)\}", lambda m: fields["rest" if m[1] == "*" else m[1]], pattern)


def fold_weight_norm(magnitude: Tensor, direction: Tensor) -> Tensor:
    """Weight g v / |v|, the norm over all dimensions but the first, float32."""
    v = direction.float()
    norm = v.flatten(1).norm(dim=1).view(-1, *[1] * (v.ndim - 1))
    out: Tensor = magnitude.float() * (v / norm)
    return out


def _listed(names: Iterable[str]) -> str:
    every = sorted(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more if every else "none"


def assign(
    module: nn.Module,
    source: Source,
    table: Sequence[Rule],
    extra: Mapping[str, Tensor] | None = None,
) -> Plan:
    """Plan every tensor of `module` from `source` by `table`; `extra` comes from other files.

    The first rule that claims a released name takes it. ValueError when a released name is claimed
    by none, a place stays empty or is filled twice, or a shape differs.
    """
    state = module.state_dict(keep_vars=True)
    expected = {name: tuple(t.shape) for name, t in state.items()}
    eps = {n: m.eps for n, m in module.named_modules() if isinstance(m, _BatchNorm)}
    made: Made = {}
    unknown: list[str] = []
    twice: list[str] = []
    dropped: dict[str, int] = {}
    for name in source.shapes():
        claims = ((rule, fields) for rule in table if (fields := rule.claim(name)) is not None)
        rule, fields = next(claims, (None, {}))
        if rule is None:
            unknown.append(name)
            continue
        new = rule.make(name, fields, source, eps)
        twice += new.keys() & made.keys()
        unknown += [name] if new.keys() - expected.keys() else []
        made |= new
        if isinstance(rule, Drop):
            dropped[rule.why] = dropped.get(rule.why, 0) + 1
    for name, value in (extra or {}).items():
        made[name] = tuple(value.shape), partial(_same, value)
    for name in expected:
        if name.endswith("num_batches_tracked"):  # a counter of training
            made[name] = (), partial(torch.zeros, (), dtype=torch.int64)
    shape = [
        f"{n} {made[n][0]} is {expected[n]}"
        for n in expected.keys() & made.keys()
        if made[n][0] != expected[n]
    ]
    if unknown or twice or shape or expected.keys() - made.keys():
        raise ValueError(
            f"{shown(source.label)} does not fit the network: unknown in the file: "
            f"{shown(_listed(unknown))}; missing from it: "
            f"{shown(_listed(expected.keys() - made.keys()))}; named twice: "
            f"{shown(_listed(twice))}; other shape in the network: {shown(_listed(shape))}. Use "
            "the file as it was released, or the config that belongs to it."
        )
    places = tuple(
        Place(name=n, shape=expected[n], dtype=t.dtype, make=made[n][1]) for n, t in state.items()
    )
    used = len(source.shapes()) - sum(dropped.values())
    return Plan(label=source.label, places=places, used=used, dropped=dropped)


def _same(value: Tensor) -> Tensor:
    return value
