"""The panel of Edit Range in the real editor, in both renderers: words by pointer and by keys."""

from __future__ import annotations

import re
import shutil
import time
from typing import Any

import pytest

from tests.browser.page import READY, Page
from tests.browser.panel import HOSTILE, VALUE, open_node, shoot, until
from tests.server.comfyui import PATIENCE, Server

pytestmark = pytest.mark.browser
FILE = {"filename": "speech.wav", "subfolder": "", "type": "input"}
WORDS = [("Hello,", 0.1, 0.4), ("good", 0.5, 0.8), ("morning", 0.9, 1.3), ("world.", 1.5, 1.9)]
TELL = """
(told) => {
  const part = (one) => one.name === "part";
  app.canvas.graph.nodes.flatMap((n) => n.widgets ?? []).find(part).value = told;
}
"""
SET = """
([name, value]) => {
  const node = app.canvas.graph.nodes[0];
  const widget = node.widgets.find((w) => w.name === name);
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
}
"""

GAINS = """
async () => {
  const { rangePanelOf } = await import("/extensions/ComfyUI-StepEdit.v2/range_panel.mjs");
  const { player } = rangePanelOf(app.graph.nodes[0]);
  return player.rounds.map((round) => player.gainOf(round));
}
"""


def told(**more: Any) -> dict[str, Any]:
    """What the server says of a recording before anything is edited."""
    words = [{"text": t, "start": a, "end": b, "confidence": 0.9} for t, a, b in WORDS]
    before = {"file": FILE, "seconds": 2.0, "loudness": -20.0}
    return {"words": words, "why": "", "before": before, "after": None, **more}


def made(**more: Any) -> dict[str, Any]:
    """What it says of an edited part: good morning, 0.2 s longer than before."""
    changed = {"first": 0.45, "end": 1.55, "end_before": 1.35}
    about = {"file": FILE, "seconds": 2.0, "loudness": -26.0, "range": changed}
    return {**about, "start": 0.5, "end": 1.3, "lost": [2], "score": None, "notes": [], **more}


def open_part(page: Page, panel: dict[str, Any] | None = None, **values: Any) -> Any:
    """Edit Range alone with its panel filled; the panel."""
    open_node(page, "EditRange", **values)
    page.evaluate(TELL, [panel or told()])
    found = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: found.get_by_role("option").count() == len(WORDS))
    page.page.wait_for_timeout(300)  # for the editor to give the node its size
    return found


def word(panel: Any, text: str) -> Any:
    return panel.get_by_role("option", name=re.compile(text))


def middle(box: Any, share: float = 0.5) -> tuple[float, float]:
    """A point of an element, at a share of its width."""
    place = box.bounding_box()
    return place["x"] + share * place["width"], place["y"] + place["height"] / 2


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.page.mouse.move(*start)
    page.page.mouse.down()
    page.page.mouse.move((start[0] + end[0]) / 2, start[1], steps=3)
    page.page.mouse.move(*end, steps=3)
    page.page.mouse.up()


def chosen(page: Page) -> tuple[float, float]:
    """What the widgets of seconds have."""
    return tuple(round(page.evaluate(VALUE, name), 3) for name in ("start", "end"))


def selected(panel: Any) -> list[str]:
    options = panel.get_by_role("option").all()
    return [one.inner_text() for one in options if one.get_attribute("aria-selected") == "true"]


def named(renderer: bool) -> str:
    return "nodes2" if renderer else "canvas"


def test_before_the_first_run_the_panel_says_what_to_do(page: Page, renderer: bool) -> None:
    open_node(page, "EditRange")
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    assert panel.get_by_role("status").inner_text().startswith("Run the node once")
    assert not panel.get_by_role("button", name="Play", exact=True).is_visible()
    assert page.errors == []


def test_a_drag_over_words_sets_the_widgets_and_the_prompt_has_them(
    page: Page, renderer: bool
) -> None:
    panel = open_part(page, phrase="world")
    assert selected(panel) == ["world."]
    drag(page, middle(word(panel, "good"), 0.7), middle(word(panel, "morning"), 0.3))
    assert chosen(page) == (0.5, 1.3)
    assert selected(panel) == ["good", "morning"]
    assert page.evaluate(VALUE, "phrase") == ""
    said = panel.get_by_role("status").inner_text()
    assert said == "Chosen: “good morning”, 0.50 - 1.30 s. Run to edit this part."
    (sent,) = page.prompt().values()
    assert (sent["inputs"]["start"], sent["inputs"]["end"]) == pytest.approx((0.5, 1.3))
    assert "part" not in sent["inputs"]
    shoot(page, f"range_drag_{named(renderer)}")
    assert page.errors == []


def test_a_drag_over_the_sound_sets_seconds(page: Page, renderer: bool) -> None:
    panel = open_part(page)
    sound = panel.locator(".sound")
    drag(page, middle(sound, 0.75), middle(sound, 0.25))
    assert chosen(page) == pytest.approx((0.5, 1.5), abs=0.03)
    sound.click(position={"x": 10, "y": 10})  # moves the playhead and leaves the choice
    assert chosen(page) == pytest.approx((0.5, 1.5), abs=0.03)
    assert page.errors == []


def test_a_click_chooses_a_word_and_shift_extends(page: Page, renderer: bool) -> None:
    panel = open_part(page)
    word(panel, "morning").click()
    assert chosen(page) == (0.9, 1.3)
    word(panel, "Hello").click(modifiers=["Shift"])
    assert chosen(page) == (0.1, 1.3)
    word(panel, "world").click(modifiers=["Shift"])
    assert chosen(page) == (0.9, 1.9)
    assert page.errors == []


def test_keys_choose_extend_play_and_clear(page: Page, renderer: bool) -> None:
    panel = open_part(page)
    words = panel.get_by_role("listbox", name="Words of the recording")
    words.focus()
    for key in ("ArrowRight", "ArrowRight"):
        page.page.keyboard.press(key)
    assert chosen(page) == (0.5, 0.8)
    active = words.get_attribute("aria-activedescendant")
    assert panel.locator(f"#{active}").inner_text() == "good"
    page.page.keyboard.press("Shift+ArrowRight")
    assert chosen(page) == (0.5, 1.3)
    assert selected(panel) == ["good", "morning"]
    shoot(page, f"range_keys_{named(renderer)}")
    page.page.keyboard.press("Shift+ArrowLeft")
    page.page.keyboard.press("Shift+ArrowLeft")  # over the word where it began
    assert chosen(page) == (0.1, 0.8)
    page.page.keyboard.press("End")
    assert chosen(page) == (1.5, 1.9)
    page.page.keyboard.press("Enter")
    panel.get_by_role("button", name="Pause").wait_for(timeout=20_000 * PATIENCE)
    panel.get_by_role("button", name="Play", exact=True).wait_for(timeout=20_000 * PATIENCE)
    assert panel.get_by_text("1.9 / 2.0 s").is_visible()  # it stops where the part ends
    page.page.keyboard.press("Escape")
    assert chosen(page) == (0, 0)
    assert selected(panel) == []
    assert panel.get_by_role("status").inner_text().startswith("Nothing is chosen.")
    assert page.evaluate("() => app.graph.nodes.length") == 1
    assert page.errors == []


def test_typed_seconds_and_phrases_move_the_choice(page: Page, renderer: bool) -> None:
    panel = open_part(page)
    page.evaluate(SET, ["end", 0.45])
    until(page, lambda: selected(panel) == ["Hello,"])
    page.evaluate(SET, ["phrase", "MORNING world"])
    until(page, lambda: selected(panel) == ["morning", "world."])
    page.evaluate(SET, ["phrase", "evening"])
    until(page, lambda: selected(panel) == [])
    assert page.errors == []


def test_before_and_after_are_switched_at_equal_loudness_and_show_what_changed(
    page: Page, renderer: bool
) -> None:
    panel = open_part(page, told(after=made()), start=0.5, end=1.3)
    before = panel.get_by_role("radio", name="Before")
    after = panel.get_by_role("radio", name="After")
    assert after.get_attribute("aria-checked") == "true"
    assert word(panel, "morning").get_attribute("aria-label") == "morning, lost"
    assert panel.get_by_text("Not heard any more: morning").is_visible()
    status = panel.get_by_role("status").inner_text()
    assert status == "Chosen: “good morning”, 0.50 - 1.30 s."
    whole = panel.locator(".sound").bounding_box()["width"]
    changed = panel.locator(".changed")
    assert changed.bounding_box()["width"] / whole == pytest.approx(1.1 / 2, abs=0.02)
    shoot(page, f"range_after_{named(renderer)}")
    before.click()
    assert before.get_attribute("aria-checked") == "true"
    assert changed.bounding_box()["width"] / whole == pytest.approx(0.9 / 2, abs=0.02)
    gains = page.evaluate(GAINS)
    assert gains == pytest.approx([10 ** (-6 / 20), 1])
    panel.get_by_role("checkbox", name="Equally loud").uncheck()
    assert page.evaluate(GAINS) == [1, 1]
    panel.get_by_role("listbox").focus()
    page.page.keyboard.press("1")
    assert after.get_attribute("aria-checked") == "true"
    assert page.errors == []


def test_where_nothing_changed_nothing_is_marked(page: Page, renderer: bool) -> None:
    same = {"first": 0.5, "end": 0.5, "end_before": 0.5}
    panel = open_part(page, told(after=made(range=same, lost=None)), start=0.5, end=1.3)
    assert not panel.locator(".changed").is_visible()
    assert panel.get_by_role("radio", name="After").is_visible()
    assert page.errors == []


def test_words_typed_in_nodes_2_0_move_the_choice(page: Page) -> None:
    page.evaluate(
        "async () => await app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)"
    )
    page.errors.clear()
    panel = open_part(page)
    page.page.locator(".lg-node input[type=text]").first.fill("good morning")
    until(page, lambda: selected(panel) == ["good", "morning"])
    assert page.evaluate(VALUE, "phrase") == "good morning"
    assert page.errors == []


def test_zoom_and_scroll_keep_words_at_their_times(page: Page, renderer: bool) -> None:
    panel = open_part(page)
    view = panel.get_by_role("listbox")
    view.focus()
    page.page.mouse.move(*middle(view, 0.9))
    for _ in range(3):
        page.page.mouse.wheel(0, -120)
    until(page, lambda: panel.get_by_role("option").count() < len(WORDS))
    word(panel, "world").click()
    assert chosen(page) == (1.5, 1.9)
    scale = page.evaluate("() => app.canvas.ds.scale")
    assert scale == 1  # the graph below has not moved
    view.focus()
    page.page.keyboard.press("Home")  # scrolls to the first word
    until(page, lambda: word(panel, "Hello").count() == 1)
    assert chosen(page) == (0.1, 0.4)
    panel.get_by_role("button", name="Show all").click()
    until(page, lambda: panel.get_by_role("option").count() == len(WORDS))
    assert page.errors == []


SONG = ["I", "was", "walking", "home", "last", "night", "when", "I"]
SONG += ["heard", "a", "song", "that", "I", "used", "to", "know."]
TIMES = [0.1, 0.58, 0.78, 0.95, 1.42, 1.7, 2.12, 2.55]
TIMES += [2.71, 2.9, 2.97, 3.37, 3.57, 3.72, 3.97, 4.05]
"""Where the words of template 07 begin, in s; they end where the next begins, the last at 4.3 s."""
SEEN = """
() => {
  const box = (one) => one.getBoundingClientRect();
  const strip = document.querySelector(".stepedit .words");
  const inner = box(strip);
  return [...strip.querySelectorAll(".word")].map((one) => {
    const { left, right, top, bottom } = box(one);
    const range = document.createRange();
    range.selectNodeContents(one);
    const text = box(range);
    const fits = text.left >= left - 1 && text.right <= right + 1;
    const cut = !fits || one.scrollWidth > one.clientWidth + 1;
    const out = left < inner.left - 1 || right > inner.right + 1 || bottom > inner.bottom + 1;
    const readable = parseFloat(getComputedStyle(one).fontSize) >= 11 && !cut && !out;
    return { text: one.textContent, left, right, top, bottom, readable };
  });
}
"""


@pytest.mark.parametrize("width", [460, 600, 900])
def test_the_words_of_template_07_are_never_cut_at_any_width_and_zoom(
    page: Page, renderer: bool, width: int
) -> None:
    words = [
        {"text": text, "start": start, "end": end, "confidence": 0.9}
        for text, start, end in zip(SONG, TIMES, [*TIMES[1:], 4.3], strict=True)
    ]
    open_node(page, "EditRange", phrase="heard a song")
    page.evaluate("(width) => app.graph.nodes[0].setSize([width, 900])", width)
    page.evaluate("() => { app.canvas.ds.offset = [40, -430]; }")
    before = {"file": FILE, "seconds": 5.0, "loudness": -20.0}
    page.evaluate(TELL, [told(words=words, before=before)])
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: selected(panel) == ["heard", "a", "song"])
    for zoom in (0.5, 1, 1.5):
        page.evaluate("(zoom) => { app.canvas.ds.scale = zoom; app.canvas.setDirty(true); }", zoom)
        page.page.wait_for_timeout(400)
        seen = page.evaluate(SEEN)
        assert len(seen) == len(SONG)
        assert [one["text"] for one in seen if not one["readable"]] == []
        for number, one in enumerate(seen):
            for other in seen[number + 1 :]:
                beside = one["right"] <= other["left"] + 1 or other["right"] <= one["left"] + 1
                above = one["bottom"] <= other["top"] + 1 or other["bottom"] <= one["top"] + 1
                assert beside or above, (one, other)
        shoot(page, f"words_{width}_{int(100 * zoom)}_{named(renderer)}")
    page.evaluate("() => { app.canvas.ds.scale = 0.8; app.canvas.setDirty(true); }")
    word(panel, "walking").click()
    assert chosen(page) == (0.78, 0.95)
    assert page.errors == []


def test_of_many_words_those_are_drawn_that_can_be_read(page: Page, renderer: bool) -> None:
    words = [
        {"text": f"w{k}", "start": 0.005 * k, "end": 0.005 * k + 0.004, "confidence": 0.9}
        for k in range(399)
    ]
    open_node(page, "EditRange", start=0.05, end=0.059)
    page.evaluate(TELL, [told(words=words)])
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: selected(panel) == ["w10", "w11"])
    assert panel.get_by_role("option").count() == 2
    for _ in range(2):
        panel.get_by_role("button", name="Zoom in").click()
    until(page, lambda: 100 < panel.get_by_role("option").count() < 300)
    assert page.errors == []


def test_a_saved_and_reloaded_workflow_has_the_range(page: Page, renderer: bool) -> None:
    panel = open_part(page)
    word(panel, "morning").click()
    saved = page.saved()
    page.evaluate("() => { app.graph.clear(); }")
    page.load(saved)
    assert chosen(page) == (0.9, 1.3)
    (sent,) = page.prompt().values()
    assert (sent["inputs"]["start"], sent["inputs"]["end"]) == pytest.approx((0.9, 1.3))
    page.evaluate(TELL, [told()])
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: selected(panel) == ["morning"])
    assert page.errors == []


def test_without_words_seconds_are_chosen_by_keys_and_the_reason_is_said(
    page: Page, renderer: bool
) -> None:
    open_node(page, "EditRange")
    page.evaluate(TELL, [told(words=[], why="nothing hears here.")])
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    view = panel.get_by_role("group", name="Waveform")
    until(page, view.is_visible)
    assert panel.get_by_text("choose seconds. nothing hears here.").is_visible()
    view.focus()
    for _ in range(3):
        page.page.keyboard.press("Shift+ArrowRight")
    assert chosen(page) == (0, 0.3)
    assert page.errors == []


def test_hostile_words_are_shown_as_words(page: Page, renderer: bool) -> None:
    words = [{"text": HOSTILE, "start": 0.1, "end": 1.9, "confidence": 0.1}]
    open_node(page, "EditRange")
    page.evaluate(TELL, [told(words=words, why=HOSTILE)])
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: panel.get_by_role("option").count() == 1)
    assert panel.get_by_role("option").inner_text() == HOSTILE
    assert panel.locator("img").count() == 0
    assert page.page.title() != "hacked"
    assert page.errors == []


def test_the_panel_works_inside_a_subgraph(page: Page, renderer: bool) -> None:
    open_node(page, "EditRange")
    page.evaluate(
        """
        async () => {
          const { subgraph } = app.graph.convertToSubgraph(new Set([app.graph.nodes[0]]));
          app.canvas.setGraph(subgraph);
          await new Promise((done) => setTimeout(done, 800));
          const [x, y] = subgraph.nodes[0].pos; // newer editors have moved the view
          app.canvas.ds.scale = 1;
          app.canvas.ds.offset = [120 - x, 120 - y];
          app.canvas.setDirty(true, true);
        }
        """
    )
    page.evaluate(TELL, [told()])
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: panel.get_by_role("option").count() == len(WORDS))
    word(panel, "morning").click()
    inside = "() => app.canvas.graph.nodes[0].widgets.find((w) => w.name === 'end').value"
    assert page.evaluate(inside) == pytest.approx(1.3)
    page.evaluate("() => app.canvas.setGraph(app.rootGraph ?? app.graph)")
    assert page.errors == []


WORKFLOW = """
async () => {
  const add = (type, values) => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    for (const [name, value] of Object.entries(values))
      node.widgets.find((w) => w.name === name).value = value;
    return node;
  };
  const part = app.graph.nodes[0];
  const link = (type, values, output, input) =>
    add(type, values).connect(output, part, part.inputs.findIndex((i) => i.name === input));
  link("StepEdit_LoadModel", { bundle: "tiny" }, 0, "model");
  link("LoadAudio", { audio: "speech.wav" }, 0, "audio");
  link("StepEdit_Emotion", {}, 0, "edit");
}
"""


def test_a_run_fills_the_panel_and_an_error_is_said_inside(
    page: Page, server: Server, renderer: bool
) -> None:
    open_node(page, "EditRange")
    page.evaluate(WORKFLOW)
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: panel.get_by_role("option").count() == 6, 60)
    word(panel, "morning").click()
    assert chosen(page) == pytest.approx((1.3, 1.5), abs=0.07)  # at the quietest place nearby
    page.evaluate(SET, ["end", 99])
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    alert = panel.get_by_role("alert")
    until(page, lambda: "the recording ends at 2.00 s" in alert.inner_text(), 60)
    assert panel.get_by_role("option").count() == 6
    assert page.errors == []


def run(page: Page, server: Server) -> None:
    """Press Run and wait for the end."""
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: len(server.get("/history")) > count, 60)


PLAYERS = """
() => {
  const node = LiteGraph.createNode("StepEdit_PlayAndSave");
  node.pos = [700, 80];
  app.graph.add(node);
  app.graph.nodes[0].connect(0, node, 0);
}
"""


def test_a_new_page_shows_the_last_results_of_the_part_and_of_the_players(
    page: Page, server: Server, renderer: bool
) -> None:
    open_node(page, "EditRange")
    page.evaluate(WORKFLOW)
    page.evaluate(PLAYERS)
    page.load(page.saved())  # the editor keeps a graph that it has loaded
    run(page, server)
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    players = page.page.get_by_role("group", name="Clips to listen to").locator("audio")
    words = panel.get_by_role("option")
    until(page, lambda: (words.count(), players.count()) == (6, 1))
    source = players.first.get_attribute("src")
    page.page.reload()
    page.page.wait_for_function(READY, timeout=120_000 * PATIENCE)
    until(page, lambda: (words.count(), players.count()) == (6, 1))
    assert panel.get_by_role("status").inner_text().startswith("Nothing is chosen.")
    assert players.first.get_attribute("src") == source
    assert page.errors == []


def test_a_page_loaded_anew_during_a_run_shows_its_result(
    page: Page, server: Server, renderer: bool
) -> None:
    open_node(page, "EditRange", start=0.5, end=1.0, rounds=8, seed=3 + renderer)
    page.evaluate(WORKFLOW)
    page.load(page.saved())
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: "round 1 of 8" in panel.inner_text(), 60)
    page.page.reload()
    page.page.wait_for_function(READY, timeout=120_000 * PATIENCE)
    until(page, lambda: len(server.get("/history")) > count, 60)
    after, alert = panel.get_by_role("radio", name="After"), panel.get_by_role("alert")
    # the tiny model of a seed may end without a sound, which is a result too
    until(page, lambda: after.is_visible() or "seed" in alert.inner_text())
    assert page.errors == []


OTHER_CLIP = """
(name) => {
  const node = app.graph.nodes.find((one) => one.type === "LoadAudio");
  const widget = node.widgets.find((one) => one.name === "audio");
  widget.value = name;
  widget.callback?.(name);
}
"""


def test_the_panel_says_that_it_shows_the_older_clip_until_the_new_result(
    page: Page, server: Server, renderer: bool
) -> None:
    open_node(page, "EditRange")
    page.evaluate(WORKFLOW)
    run(page, server)
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    until(page, lambda: panel.get_by_role("option").count() == 6)
    warning = panel.locator(".warning[role=status]")
    page.page.wait_for_timeout(1500)
    assert not warning.is_visible()
    clip = f"other-{time.monotonic_ns()}.wav"
    shutil.copy(server.base / "input" / "speech.wav", server.base / "input" / clip)
    page.evaluate(OTHER_CLIP, clip)
    until(page, warning.is_visible)
    assert warning.inner_text().startswith("This is the older clip")
    assert panel.locator(".view").evaluate("(one) => getComputedStyle(one).opacity") == "0.45"
    shoot(page, f"range_older_{named(renderer)}")
    run(page, server)
    until(page, lambda: not warning.is_visible())
    assert panel.locator(".view").evaluate("(one) => getComputedStyle(one).opacity") == "1"
    assert page.errors == []


def test_what_a_run_warns_of_stands_at_the_top(page: Page, renderer: bool) -> None:
    said = "no round keeps words and voice; the part stays as recorded."
    panel = open_part(page, told(after=made(notes=[said])), start=0.5, end=1.3)
    warning = panel.locator(".warning[role=status]")
    assert warning.inner_text() == said
    assert warning.bounding_box()["y"] < panel.locator(".below").bounding_box()["y"]
    assert page.errors == []


def test_what_is_refused_is_said_once_in_the_panel_and_by_the_editor(
    page: Page, renderer: bool
) -> None:
    open_node(page, "EditRange", start=2.0, end=1.0)
    page.evaluate(WORKFLOW)
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    panel = page.page.get_by_role("group", name="Choose a part of the recording")
    alert = panel.get_by_role("alert")
    until(page, lambda: "starts at 2 s" in alert.inner_text())
    said = alert.inner_text()
    assert said.startswith("the range starts at 2 s and ends at 1 s")
    assert said.count("the range starts at") == 1
    page.page.wait_for_timeout(1000)
    for dialog in page.page.locator(".p-dialog-mask").all():  # newer editors have none
        said = dialog.inner_text()
        assert said.count("the range starts at") <= 2  # as the answer's error and as the node's
        assert "start - the range" in said
        assert "recogniser - " not in said
    assert page.errors == []
