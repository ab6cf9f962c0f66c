"""Strict parsing: JSON to frozen dataclasses, or one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from stepedit_core.files.strict import from_json


@dataclass(frozen=True, kw_only=True)
class Inner:
    ratio: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    inner: Inner = field(default_factory=Inner)
    flag: bool = False


def test_strict_parsing_rebuilds_nested_dataclasses():
    data = {"count": 3, "sizes": [1, 2], "inner": {"ratio": 2}, "kind": "b"}
    assert from_json(Outer, data, "x") == Outer(
        count=3, sizes=(1, 2), inner=Inner(ratio=2.0), kind="b"
    )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([], "x is a list; an object"),
        ({}, "x lacks the key 'count'"),
        ({"count": True}, "x.count is the value True; a whole number"),
        ({"count": 1.0}, "x.count is the value 1.0; a whole number"),
        ({"count": 1, "flag": 1}, "x.flag is the value 1; true or false"),
        ({"count": 1, "kind": "c"}, "x.kind is text"),
        ({"count": 1, "sizes": [1, "2"]}, r"x.sizes\[1\] is text; a whole number"),
        ({"count": 1, "sizes": 4}, "x.sizes is the value 4"),
        ({"count": 1, "inner": {"ratio": "1e-5"}}, "x.inner.ratio is text; a number"),
        ({"count": 1, "inner": None}, "x.inner is null; an object"),
    ],
)
def test_strict_parsing_names_the_wrong_value(data: Any, match: str):
    with pytest.raises(ValueError, match=match):
        from_json(Outer, data, "x")
