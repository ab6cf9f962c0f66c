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


def test_words_that_nano_cannot_read_are_said_on_edit_long(page: Page, renderer: bool) -> None:
    page.evaluate(GRAPH, "昨晚我走路回家")
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    alert = page.page.locator(".stepedit.line").get_by_role("alert")
    said = "were never learnt by 'nano'"
    until(page, lambda: any(said in one.inner_text() for one in alert.all()), 60)
    shoot(page, f"line_{'nodes2' if renderer else 'canvas'}")
    page.close_dialogs()
    page.evaluate(SET, ["StepEdit_EditLong", "text", "hello good morning world"])
    page.evaluate(SET, ["StepEdit_LoadModel", "bundle", "no such model"])
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: any("no such model" in one.inner_text() for one in alert.all()), 60)
    assert not any(said in one.inner_text() for one in alert.all())  # that run is past
    assert page.errors == []
