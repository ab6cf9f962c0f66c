"""API-format prompts for the tests: written by hand, or converted from a saved workflow."""

from __future__ import annotations

from typing import Any

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
NOTES = ("MarkdownNote", "Note")
OFF = (2, 4)
"""Modes of a muted and a bypassed node."""


class Graph(dict[str, dict[str, Any]]):
    """A prompt under construction: node id -> class and inputs."""

    def add(self, class_type: str, /, **inputs: Any) -> str:
        """Add a node and return its id; (id, slot) tuples become links."""
        name = str(len(self) + 1)
        linked = {k: list(v) if isinstance(v, tuple) else v for k, v in inputs.items()}
        self[name] = {"class_type": class_type, "inputs": linked}
        return name


def is_widget(spec: list[Any]) -> bool:
    """Whether an input of /object_info is drawn as a widget."""
    options = spec[1] if len(spec) > 1 else {}
    return (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options.get("forceInput")


def widget_names(info: dict[str, Any]) -> list[str | None]:
    """Names of a node's widgets in the order of widgets_values; None for a widget that is no input.

    The browser adds one widget after each seed ("control after generate").
    """
    names: list[str | None] = []
    for group in ("required", "optional"):
        for name, spec in info["input"].get(group, {}).items():
            if is_widget(spec):
                names.append(name)
                if len(spec) > 1 and spec[1].get("control_after_generate"):
                    names.append(None)
    return names


def sources(workflow: dict[str, Any]) -> dict[int, tuple[str, int] | None]:
    """Number of a link -> node and output that feed it; None where only a bypassed node would.

    A bypassed node hands on what comes into its first input of the same type.
    """
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}

    def follow(number: int | None) -> tuple[str, int] | None:
        if number is None:
            return None
        _, origin, slot, _, _, kind = links[number]
        if nodes[origin].get("mode", 0) != OFF[1]:
            return str(origin), slot
        same = (s.get("link") for s in nodes[origin].get("inputs", []) if s["type"] == kind)
        return follow(next(same, None))

    return {number: follow(number) for number in links}


def to_prompt(workflow: dict[str, Any], infos: dict[str, Any]) -> Graph:
    """What the browser would send for a saved workflow (format 0.4, no subgraphs)."""
    links = sources(workflow)
    graph = Graph()
    for node in workflow["nodes"]:
        if node["type"] in NOTES or node.get("mode", 0) in OFF:
            continue
        names = widget_names(infos[node["type"]])
        inputs: dict[str, Any] = {
            name: value
            for name, value in zip(names, node.get("widgets_values") or [], strict=False)
            if name is not None
        }
        for socket in node.get("inputs", []):
            if socket.get("link") is not None and (origin := links[socket["link"]]):
                inputs[socket["name"]] = list(origin)
        graph[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return graph
