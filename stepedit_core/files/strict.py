"""JSON objects to frozen dataclasses and back: unknown keys and wrong types are errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_json(cls: type[T], data: object, where: str, remedy: str = "Correct bundle.json.") -> T:
    """An instance of dataclass `cls` from a JSON object; missing keys take their defaults.

    `where` names the object in messages, `remedy` ends them. Raises ValueError for unknown or
    missing keys and for values of another type; an int is accepted for a float, a list for a tuple.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} is {_kind(data)}; an object is expected. {remedy}")
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ValueError(
            f"{where} has the unknown key '{unknown[0]}'; known are {', '.join(known)}. " + remedy
        )
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in data:
            values[name] = _value(hints[name], data[name], f"{where}.{name}", remedy)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{where} lacks the key '{name}'. {remedy}")
    return cls(**values)


def to_json(value: object) -> Any:
    """Plain JSON value of a dataclass; from_json brings it back."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not a dataclass")


def without_nan(value: Any) -> Any:
    """A JSON value with null for every NaN and infinity, which JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    return value


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "text", type(None): "null"}.get(
        type(value), f"the value {value!r}"
    )


def _value(hint: Any, value: Any, where: str, remedy: str) -> Any:
    """`value` checked against one type hint; tuples are rebuilt from lists."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (UnionType, Union) and NoneType in args:
        inner = next(arg for arg in args if arg is not NoneType)
        return None if value is None else _value(inner, value, where, remedy)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value, where, remedy)
    if origin is tuple and isinstance(value, (list, tuple)):
        hints = args[:1] * len(value) if args[-1] is Ellipsis else args
        if len(hints) == len(value):
            pairs = zip(hints, value, strict=True)
            return tuple(_value(h, v, f"{where}[{i}]", remedy) for i, (h, v) in enumerate(pairs))
    if origin is dict and isinstance(value, Mapping):
        return {str(k): _value(args[1], v, f"{where}.{k}", remedy) for k, v in value.items()}
    if _fits(hint, value):
        return float(value) if hint is float else value
    name = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    raise ValueError(f"{where} is {_kind(value)}; {name} is expected. {remedy}")


def _fits(hint: Any, value: Any) -> bool:
    """Whether a plain JSON value has the hinted plain type."""
    if get_origin(hint) is Literal:
        return any(value == a and type(value) is type(a) for a in get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    return hint in (int, str, bool) and type(value) is hint
