"""Writes workflows/, subgraphs/ and the pictures of the help: built, saved and shot in a browser.

    python -m tools.save_workflows              all
    python -m tools.save_workflows 05 06        workflows whose names begin so
    python -m tools.save_workflows help         pictures of ONLY_IN_HELP that are not there yet

The graphs are described in graphs.py by node, widget value and link; all else in the files is what
the ComfyUI frontend makes of them.
"""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import torch
from PIL import Image

from stepedit_core.files.tokens import save_tokens
from stepedit_core.types import DualCodes
from tests.browser.page import Page, open_page
from tests.server.comfyui import PACK, PATIENCE, Server
from tests.server.material import SETTINGS
from tools.cards import card
from tools.graphs import BLUEPRINTS, ONLY_IN_HELP, OUTSIDE, WORKFLOWS
from tools.graphs_recordings import RECORDINGS

HELP = PACK / "web" / "docs" / "images"
WINDOW = (2800, 1400)
ONLY_GRAPH = """
body * { visibility: hidden; }
#graph-canvas, .dom-widget, .dom-widget * { visibility: visible; }
"""

BUILD = """
async (spec) => {
  app.clean();
  app.graph.clear();
  const made = {};
  for (const item of spec.nodes) {
    const node = LiteGraph.createNode(item.type);
    node.pos = item.at;
    app.graph.add(node);
    for (const [name, value] of Object.entries(item.widgets ?? {})) {
      const widget = name ? node.widgets.find((w) => w.name === name) : node.widgets[0];
      widget.value = value;
      widget.callback?.(value, app.canvas, node);
    }
    for (const widget of node.widgets ?? [])
      if (widget.name === "control_after_generate") widget.value = "fixed";
    if (item.title) node.title = item.title;
    if (item.mode) node.mode = item.mode;
    node.setSize(item.size ?? node.computeSize());
    made[item.key] = node;
  }
  for (const [from, output, to, input] of spec.links) {
    const slot = made[from].outputs.findIndex((o) => (o.label ?? o.name) === output);
    const target = made[to].inputs.findIndex((i) => i.name === input);
    if (slot < 0 || target < 0) throw Error(`no link ${from}.${output} -> ${to}.${input}`);
    made[from].connect(slot, made[to], target);
  }
  await new Promise((done) => setTimeout(done, 300));
  return JSON.stringify(app.graph.serialize());
}
"""

ENCLOSE = """
async ({ title, outside, widgets }) => {
  const keep = (n) => outside.includes(n.type);
  const inner = app.graph.nodes.filter((n) => !keep(n));
  const { subgraph, node } = app.graph.convertToSubgraph(new Set(inner));
  subgraph.name = node.title = title;
  const shown = [];
  for (const [type, name] of widgets) {
    const found = subgraph.nodes.find((n) => n.type === type);
    shown.push([String(found.id), name]);
  }
  node.properties.proxyWidgets = shown;
  for (const other of app.graph.nodes.filter(keep)) app.graph.remove(other);
  node.pos = [0, 0];
  node.setSize([380, Math.max(node.computeSize()[1], 200)]);
  await new Promise((done) => setTimeout(done, 500));
  return JSON.stringify(app.graph.serialize());
}
"""

NUMBER = "(title) => app.graph.nodes.find((node) => node.title === title).id"

PLACES = """
() => app.graph.nodes.map((node) => {
  const [x, y, w, h] = node.getBounding();
  const { scale, offset } = app.canvas.ds;
  return [node.type, (x + offset[0]) * scale, (y + offset[1]) * scale, w * scale, h * scale];
})
"""

FIT = """
([width, height]) => {
  let [left, top, right, bottom] = [1e9, 1e9, -1e9, -1e9];
  for (const node of app.graph.nodes) {
    const [x, y, w, h] = node.getBounding();
    left = Math.min(left, x); top = Math.min(top, y);
    right = Math.max(right, x + w); bottom = Math.max(bottom, y + h);
  }
  const scale = Math.min(width / (right - left + 60), height / (bottom - top + 60), 1.5);
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [(width / scale - left - right) / 2, (height / scale - top - bottom) / 2];
  app.canvas.setDirty(true, true);
}
"""


def finished(name: str, saved: dict[str, Any]) -> dict[str, Any]:
    """A saved graph without what changes from one saving to the next."""
    saved["id"] = str(uuid5(NAMESPACE_URL, f"stepedit/{name}"))
    for item in saved["nodes"]:
        ours = item["type"].startswith("StepEdit_")
        source = {"cnr_id": "stepedit" if ours else "comfy-core"}
        names = {"Node name for S&R": item["type"]}
        item["properties"] = {} if item["type"] == "MarkdownNote" else {**source, **names}
        if item["type"] in PANELS_OF_TEXT:
            item["widgets_values"] = []  # what the last run said
    saved["extra"] = {"ds": {"scale": 0.8, "offset": [40, 60]}}
    return saved


PANELS_OF_TEXT = ("PreviewAny",)


def blueprint(name: str, saved: dict[str, Any]) -> dict[str, Any]:
    """A graph of one subgraph node without what changes from one saving to the next."""
    (outer,) = saved["nodes"]
    (inner,) = saved["definitions"]["subgraphs"]
    shown = outer["properties"]["proxyWidgets"]
    fixed = str(uuid5(NAMESPACE_URL, f"stepedit/subgraph/{name}"))
    for number, socket in enumerate([*inner["inputs"], *inner["outputs"]]):
        socket["id"] = str(uuid5(NAMESPACE_URL, f"{fixed}/{number}"))
    finished(name, inner)
    inner.pop("extra", None)
    saved = finished(name, saved)
    inner["id"] = outer["type"] = fixed
    outer["properties"] = {"proxyWidgets": shown}
    return saved


def run_once(page: Page, server: Server, seconds: float = 120 * PATIENCE) -> dict[str, Any]:
    """Run the graph, so that players, charts and texts in the picture are real; what nodes show."""
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    for _ in range(int(5 * seconds)):
        if len(server.get("/history")) > count:
            break
        page.page.wait_for_timeout(200)
    for entry in list(server.get("/history").values())[count:]:
        if entry["status"]["status_str"] != "success":
            raise RuntimeError(json.dumps(entry["status"]["messages"][-1]))
    page.page.wait_for_timeout(1500)
    return dict(list(server.get("/history").values())[-1]["outputs"])


def shoot(page: Page, pictured: set[str]) -> None:
    """A picture of each node of the graph that was not yet seen, without the menus around it."""
    page.evaluate(FIT, [page.page.viewport_size["width"], page.page.viewport_size["height"]])
    page.page.add_style_tag(content=ONLY_GRAPH)
    page.page.wait_for_timeout(600)
    with Image.open(BytesIO(page.page.screenshot())) as shot:
        whole = shot.convert("RGB")
    for kind, x, y, wide, tall in page.evaluate(PLACES):
        if not kind.startswith("StepEdit_") or kind in pictured:
            continue
        pictured.add(kind)
        box = (max(int(x) - 8, 0), max(int(y) - 8, 0), int(x + wide) + 8, int(y + tall) + 8)
        picture = whole.crop(box)
        picture.thumbnail((520, 900))
        picture.save(HELP / f"{kind}.jpg", quality=80, optimize=True)


def write(path: Path, graph: dict[str, Any]) -> None:
    """JSON as it is kept in the repository."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(graph, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_all(page: Page, server: Server, wanted: tuple[str, ...]) -> None:
    """Build, run and shoot what is wanted; all, blueprints included, when nothing is named."""
    pictured: set[str] = set()
    for name, described in (WORKFLOWS | RECORDINGS).items():
        if wanted and not name.startswith(wanted):
            continue
        write(PACK / "workflows" / f"{name}.json", finished(name, built(page, described)))
        shown = run_once(page, server)
        player = page.evaluate(NUMBER, described["card"].removeprefix("play"))
        after = shown[str(player)]["audio"][-1]
        before = described.get("before", ("walking_home.wav", 0, 60))
        card(before, server.view(after), PACK / "workflows" / f"{name}.jpg")
        shoot(page, pictured)
    if wanted and "help" not in wanted:
        return
    built(page, ONLY_IN_HELP)
    if wanted:
        pictured |= {path.stem for path in HELP.glob("*.jpg")}
    shoot(page, pictured)
    if wanted:
        return
    for name, described in BLUEPRINTS.items():
        built(page, described)
        how = {"title": name, "outside": OUTSIDE, "widgets": described["widgets"]}
        saved = json.loads(page.evaluate(ENCLOSE, how))
        write(PACK / "subgraphs" / f"{name}.json", blueprint(name, saved))


def built(page: Page, described: dict[str, Any]) -> dict[str, Any]:
    """The graph as the frontend saves it; it stays open."""
    return dict(json.loads(page.evaluate(BUILD, described)))


def main(wanted: list[str]) -> int:
    """Write the files and their pictures."""
    HELP.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        base = Path(folder)
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS)
        tokens = DualCodes(linguistic=torch.zeros(2), semantic=torch.zeros(3), codebook="nano")
        (base / "input").mkdir()
        save_tokens(tokens, base / "input" / "walking_home.safetensors")  # for Load Tokens's list
        server = Server(base).start()
        try:
            with open_page(server.url, width=WINDOW[0], height=WINDOW[1]) as page:
                save_all(page, server, tuple(wanted))
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
