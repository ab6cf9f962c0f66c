"""JSON objects to frozen dataclasses and back: unknown keys and wrong types are errors.

A dataclass may have a class variable BOUNDS: field -> least and largest number, of a tuple those of
its elements. Floats are finite everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..printable import shown
from .reading import has_half_letter, kind_of_value

T = TypeVar("T")
Bounds = Mapping[str, tuple[float, float]]
"""Field -> least and largest value."""
MOST_ITEMS = 100_000
"""Most elements of a tuple."""


def from_json(
    cls: type[T],
    data: object,
    where: str,
    remedy: str = "Correct bundle.json.",
    bounds: Bounds | None = None,
) -> T:
    """An instance of dataclass `cls` from a JSON object; missing keys take their defaults.

    `where` names the object in messages, `remedy` ends them; `bounds` replace those of the class.
    Raises ValueError for unknown or
    missing keys, for values of another type and numbers out of bounds; an int is accepted for a
    float, a list for a tuple.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} is {kind_of_value(data)}; an object is expected. {remedy}")
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    unknown = [key for key in data if key not in known]
    if unknown:
        raise ValueError(
            f"{where} has the unknown key '{shown(unknown[0], 40)}'; known are "
            f"{shown(', '.join(known))}. " + remedy
        )
    hints = get_type_hints(cls)
    if bounds is None:
        bounds = getattr(cls, "BOUNDS", {})
    assert bounds is not None
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in data:
            place = f"{where}.{name}"
            values[name] = _value(hints[name], data[name], place, remedy)
            if name in bounds:
                _check_bounds(values[name], bounds[name], place, remedy)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{where} lacks the key '{shown(name)}'. {remedy}")
    return cls(**values)


def to_json(value: object) -> Any:
    """Plain JSON value of a dataclass; from_json brings it back."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not a dataclass")


def _check_bounds(value: Any, bounds: tuple[float, float], where: str, remedy: str) -> None:
    """Raise ValueError for a number, or one in a tuple or mapping, that is out of bounds."""
    low, high = bounds
    if isinstance(value, Mapping):
        value = tuple(value.values())
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, tuple):
            _check_bounds(number, bounds, where, remedy)
        elif number is not None and not low <= number <= high:
            raise ValueError(
                f"{where} is {shown(number, 40)}; allowed are {shown(_bound(low))} to "
                f"{shown(_bound(high))}. {remedy}"
            )


def _bound(number: float) -> str:
    """A bound in full where it is a whole number."""
    return str(number) if isinstance(number, int) else f"{number:g}"


def without_nan(value: Any) -> Any:
    """A JSON value with null for every NaN and infinity, which JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    return value


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
        return _tuple(args, value, where, remedy)
    if origin is dict and isinstance(value, Mapping):
        return {
            key: _value(args[1], v, f"{where}.{shown(key, 40)}", remedy)
            for key, v in _texts(value, where, remedy)
        }
    if _fits(hint, value):
        return float(value) if hint is float else value
    if hint is str and isinstance(value, str):
        raise ValueError(
            f"{where} is '{shown(value, 40)}', which has half of a letter; no file can store it. "
            f"{remedy}"
        )
    raise ValueError(
        f"{where} is {kind_of_value(value)}; {shown(_called(hint))} is expected. {remedy}"
    )


def _called(hint: Any) -> str:
    """What people call the values of a type hint."""
    names = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
    if get_origin(hint) is tuple:
        return "a list"
    if get_origin(hint) is Literal:
        return " or ".join(shown(value) for value in get_args(hint))
    return names.get(hint, "an object")


def _tuple(args: tuple[Any, ...], value: Any, where: str, remedy: str) -> tuple[Any, ...]:
    """A tuple from a list of as many values as it may have."""
    many = args[-1] is Ellipsis
    if len(value) > MOST_ITEMS or not (many or len(args) == len(value)):
        most = f"at most {MOST_ITEMS}" if many else str(len(args))
        raise ValueError(f"{where} has {len(value)} values; {most} are expected. {remedy}")
    hints = args[:1] * len(value) if many else args
    pairs = zip(hints, value, strict=True)
    return tuple(_value(h, v, f"{where}[{i}]", remedy) for i, (h, v) in enumerate(pairs))


def _texts(value: Mapping[Any, Any], where: str, remedy: str) -> list[tuple[str, Any]]:
    """The pairs of a mapping whose keys must be texts: YAML allows others."""
    other = next((key for key in value if not isinstance(key, str)), None)
    if other is not None:
        raise ValueError(f"{where} has the key {shown(other, 40)}; text is expected. {remedy}")
    return list(value.items())


def _fits(hint: Any, value: Any) -> bool:
    """Whether a plain JSON value has the hinted plain type."""
    if get_origin(hint) is Literal:
        return any(type(value) is type(a) and value == a for a in get_args(hint))
    if hint is float:
        whole = type(value) is int and abs(value) < 1e300
        return whole or (type(value) is float and math.isfinite(value))
    if hint is int:
        return type(value) is int and abs(value) < 2**64
    if hint is str:
        return type(value) is str and not has_half_letter(value)
    return hint is bool and type(value) is bool
