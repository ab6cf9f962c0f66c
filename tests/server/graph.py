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


def to_prompt(workflow: dict[str, Any], infos: dict[str, Any]) -> Graph:
    """What the browser would send for a saved workflow (format 0.4, no subgraphs)."""
    links = {link[0]: (str(link[1]), link[2]) for link in workflow["links"]}
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
            if socket.get("link") is not None:
                inputs[socket["name"]] = list(links[socket["link"]])
        graph[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return graph
