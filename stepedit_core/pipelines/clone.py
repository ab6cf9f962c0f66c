"""New words in the voice of a clip. Source: spec 6.6 (clone) and 8.1."""

from __future__ import annotations

from typing import Any

from ..registry.handle import Bundle
from ..types import Clip, EditRequest, Hooks, Round
from .plan import Plan, plan_of
from .rounds import iterate


def clone_plan(bundle: Bundle, clip: Clip, text: str, new_text: str, **settings: Any) -> Plan:
    """The plan of one round that says new_text in the voice of a clip that says text.

    `settings` as in make_plan. Raises ValueError for a bad clip, missing words, or tags the bundle
    does not know.
    """
    request = EditRequest(kind="clone", text=text, new_text=new_text)
    return plan_of(bundle, clip, [request], **settings)


def clone(bundle: Bundle, clip: Clip, plan: Plan, *, hooks: Hooks | None = None) -> Round:
    """The round that a clone plan asks for."""
    return iterate(bundle, clip, plan, hooks=hooks).final
