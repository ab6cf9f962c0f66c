"""The line on a node without a panel, in both renderers: why its run failed or did not begin."""

from __future__ import annotations

import pytest

from tests.browser.page import Page
from tests.browser.panel import shoot, until

pytestmark = pytest.mark.browser
GRAPH = """
(text) => {
  app.graph.clear();
  app.graph.id = crypto.randomUUID();
  const add = (type, values) => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    for (const [name, value] of Object.entries(values))
      node.widgets.find((w) => w.name === name).value = value;
    return node;
  };
  const edit = add("StepEdit_EditLong", { text });
  edit.pos = [100, 120];
  const link = (from, input) =>
    from.connect(0, edit, edit.inputs.findIndex((one) => one.name === input));
  link(add("StepEdit_LoadModel", { bundle: "nano" }), "model");
  link(add("LoadAudio", { audio: "speech.wav" }), "audio");
  link(add("StepEdit_Emotion", { emotion: "happy" }), "edit");
  edit.connect(0, add("StepEdit_PlayAndSave", {}), 0);
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [40, 40];
  for (const [place, node] of app.graph.nodes.entries())
    if (node !== edit) node.pos = [700 + 400 * (place % 2), 300 * Math.floor(place / 2)];
}
"""
SET = """
([type, name, value]) => {
  const node = app.graph.nodes.find((one) => one.type === type);
  node.widgets.find((one) => one.name === name).value = value;
}
"""


def alerts(page: Page) -> list[str]:
    """What the lines of all nodes say went wrong."""
    return [one.inner_text() for one in page.page.locator(".stepedit.line [role=alert]").all()]


def test_words_that_nano_cannot_read_are_said_on_edit_long(page: Page) -> None:
    page.evaluate(
        "async () => await app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)"
    )
    page.errors.clear()
    page.evaluate(GRAPH, "昨晚我走路回家")
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    said = "were never learnt by 'nano'"
    until(page, lambda: said in " ".join(alerts(page)), 60)
    shoot(page, "line_canvas")
    page.close_dialogs()
    page.evaluate(SET, ["StepEdit_LoadModel", "bundle", "no such model"])
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: "no such model" in " ".join(alerts(page)), 60)
    assert said not in " ".join(alerts(page))  # that run is past
    assert page.errors == []


def test_what_is_refused_is_said_on_the_node(page: Page, renderer: bool) -> None:
    page.evaluate(GRAPH, "")
    page.evaluate(SET, ["StepEdit_LoadModel", "bundle", "no such model"])
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: "no bundle 'no such model'" in " ".join(alerts(page)), 60)
    assert page.errors == []
