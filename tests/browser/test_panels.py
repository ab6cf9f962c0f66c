"""The panels of web/ in the real editor, in both renderers: pointer, keys, hostile words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from stepedit_core.text import edits
from tests.browser.page import Page
from tests.browser.panel import HOSTILE, TELL, VALUE, open_node, panel, shoot, tell, told, until
from tests.conftest import REPOSITORY
from tests.server.comfyui import PATIENCE, Server

pytestmark = pytest.mark.browser


def test_rounds_are_listed_with_score_and_voice(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    assert panel(page).get_by_text("Run the node").is_visible()
    tell(page, told())
    rows = panel(page).get_by_role("radio")
    assert rows.count() == 4
    assert (
        rows.nth(0).get_attribute("aria-label") == "0 · Input, 2.0 s, Score -, Words -, Voice 1.00"
    )
    words = "2 · Happy, 2.0 s, Score 5.5, Words 0.20, Voice 0.80"
    assert rows.nth(2).get_attribute("aria-label") == words
    assert [rows.nth(k).get_attribute("aria-checked") for k in range(4)] == [
        *("true", "false", "false", "false"),
    ]
    assert rows.nth(3).is_visible()
    shoot(page, f"panel_{'nodes2' if renderer else 'canvas'}")
    assert page.errors == []


def test_keys_switch_rounds_and_mark_the_best(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told())
    panel(page).focus()
    page.page.keyboard.press("3")
    rows = panel(page).get_by_role("radio")
    assert rows.nth(3).get_attribute("aria-checked") == "true"
    page.page.keyboard.press("b")
    assert page.evaluate(VALUE, "best_round") == 3
    assert panel(page).get_by_role("status").inner_text().startswith("Marked.")
    page.page.keyboard.press("b")
    assert page.evaluate(VALUE, "best_round") == 0
    page.page.keyboard.press("0")
    page.page.keyboard.press("b")  # the input is no round to keep
    assert page.evaluate(VALUE, "best_round") == 0
    page.page.keyboard.press("9")  # there is no round 9
    assert rows.nth(0).get_attribute("aria-checked") == "true"
    assert page.evaluate("() => app.graph.nodes.length") == 1
    assert page.errors == []


def test_a_click_on_the_star_marks_and_the_prompt_carries_it(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told())
    star = panel(page).get_by_role("button", name=re.compile("best: 1$"))
    star.click()
    assert star.get_attribute("aria-pressed") == "true"
    (sent,) = page.prompt().values()
    assert sent["inputs"]["best_round"] == 1
    assert "listen" not in sent["inputs"]
    (saved,) = page.saved()["nodes"]
    assert saved["widgets_values"][-3:] == [1, "auto", 1]  # the panel itself is not saved
    assert page.errors == []


SET = """
([name, value]) => {
  const widget = app.graph.nodes[0].widgets.find((one) => one.name === name);
  widget.value = value;
  widget.callback?.(value, app.canvas, app.graph.nodes[0]);
}
"""


@pytest.mark.parametrize("made_with", [1.5, 1.15, None], ids=["1.5", "1.15", "an older take"])
def test_a_star_sets_the_strength_that_made_the_round(
    page: Page, renderer: bool, made_with: float | None
) -> None:
    open_node(page, "IterativeEdit", strength=0.5)
    made = {"seed": 7, "asked": 3, "voice": "original"}
    made |= {} if made_with is None else {"strength": made_with}
    tell(page, {**told(), **made})
    star = panel(page).get_by_role("button", name=re.compile("best: 1$"))
    star.click()
    assert page.evaluate(VALUE, "strength") == (made_with or 1)
    assert page.evaluate(VALUE, "seed") == 7
    assert star.get_attribute("aria-pressed") == "true"
    (sent,) = page.prompt().values()
    assert sent["inputs"]["strength"] == (made_with or 1)
    page.evaluate(SET, ["strength", 2])  # another strength makes other rounds
    until(page, lambda: star.get_attribute("aria-pressed") == "false")
    assert page.errors == []


def test_a_wrong_transcript_is_said_at_the_top_and_no_word_is_green(
    page: Page, renderer: bool
) -> None:
    said = "the transcript does not fit the recording."
    open_node(page, "IterativeEdit")
    clip = told(3, word_distance=0.1, words_hold=None)
    tell(page, {**clip, "warnings": [said]})
    warning = panel(page).locator(".warning[role=status]")
    assert warning.inner_text() == said
    first = panel(page).get_by_role("radio").first
    assert warning.bounding_box()["y"] < first.bounding_box()["y"]
    figures = panel(page).locator(".listen .figure").all()
    names = [one.get_attribute("class").split() for one in figures[1::3]]
    assert names == [["figure"]] * 3
    tell(page, {**told(3, word_distance=0.1, words_hold=True), "warnings": []})
    until(page, lambda: not warning.is_visible())
    figures = panel(page).locator(".listen .figure.good")
    assert figures.count() >= 2
    assert page.errors == []


def test_before_the_end_of_a_run_the_notes_on_the_recording_are_seen(
    page: Page, renderer: bool
) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told(2, notes=["the transcript does not fit it."]))
    assert panel(page).locator(".warning").inner_text() == "the transcript does not fit it."
    assert page.errors == []


def test_a_round_that_does_not_hold_has_no_gold_star(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told(4, holds=False))  # an older result, whose best is round 2
    stars = panel(page).get_by_role("button", name=re.compile("Make this round the best"))
    pressed = [star.get_attribute("aria-pressed") for star in stars.all()]
    assert pressed == ["false"] * 3
    stars.nth(2).click()  # the user's own choice is seen, and is not gold
    assert stars.nth(2).get_attribute("aria-pressed") == "true"
    colour = stars.nth(2).evaluate("(one) => getComputedStyle(one).backgroundColor")
    assert colour == "rgb(122, 47, 47)"
    tell(page, {**told(3, holds=False), "best": 0, "warnings": ["no round keeps the words."]})
    assert panel(page).locator(".warning").inner_text() == "no round keeps the words."
    assert page.errors == []


def test_playing_goes_on_at_the_same_moment_in_another_round(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told())
    slider = panel(page).get_by_role("slider")
    slider.fill("0.25")
    panel(page).get_by_role("button", name="Play").click()
    panel(page).get_by_role("button", name="Pause").wait_for(timeout=20_000 * PATIENCE)
    panel(page).focus()
    page.page.keyboard.press("2")
    page.page.keyboard.press(" ")
    panel(page).get_by_role("button", name="Play").wait_for(timeout=20_000 * PATIENCE)
    share = float(slider.input_value())
    assert 0.25 <= share <= 1
    page.page.keyboard.press("1")
    assert float(slider.input_value()) == pytest.approx(share, abs=0.002)
    assert page.errors == []


def test_a_batch_has_a_choice_of_clips(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told(2), told(3))
    choice = panel(page).get_by_role("combobox", name="Clip")
    assert panel(page).get_by_role("radio").count() == 2
    choice.select_option("1")
    assert panel(page).get_by_role("radio").count() == 3
    assert page.errors == []


def test_hostile_words_are_shown_as_words(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told(2, edit=HOSTILE, kind=HOSTILE, option=HOSTILE))
    row = panel(page).get_by_role("radio").nth(1)
    assert HOSTILE in row.get_attribute("aria-label")
    assert row.inner_text().startswith("1 · <img src=x onerror")
    assert panel(page).locator("img").count() == 0
    assert page.page.title() != "hacked"
    open_node(page, "NonverbalSounds", text_with_sounds=HOSTILE)
    page.page.get_by_role("button", name=re.compile(": Laughter, ")).click()
    assert page.evaluate(VALUE, "text_with_sounds") == f"{HOSTILE} [Laughter]"
    assert page.page.title() != "hacked"
    assert page.errors == []


CARET = """
async (element) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  element.focus();
  element.setSelectionRange(3, 3);
  await frame();
  await frame();
  return element.isConnected && document.activeElement === element && element.selectionEnd === 3;
}
"""
"""Whether the caret stands after the third letter and the editor has left it there."""
SIGH = re.compile("Sigh, a long breath out")


def words_area(page: Page, words: str) -> Any:
    """The text area with these words, once the editor has drawn it and put the caret in."""
    areas = page.page.locator("textarea")
    found: list[Any] = []

    def ready() -> bool:
        found[:] = [item for item in areas.all() if item.evaluate("(one) => one.value") == words]
        return len(found) == 1 and bool(found[0].evaluate(CARET))

    until(page, ready)
    return found[0]


def test_a_sound_goes_where_the_caret_is(page: Page, renderer: bool) -> None:
    open_node(page, "NonverbalSounds", text_with_sounds="one two")
    words_area(page, "one two")
    page.page.get_by_role("button", name=SIGH).first.click()
    assert page.evaluate(VALUE, "text_with_sounds") == "one [Sigh] two"
    shoot(page, f"sounds_{'nodes2' if renderer else 'canvas'}")
    assert page.errors == []


def test_a_sound_goes_where_the_caret_was_before_the_words_lost_the_focus(
    page: Page, renderer: bool
) -> None:
    open_node(page, "NonverbalSounds", text_with_sounds="one two")
    words_area(page, "one two").evaluate("(element) => element.blur()")
    page.page.get_by_role("button", name=SIGH).first.click()
    assert page.evaluate(VALUE, "text_with_sounds") == "one [Sigh] two"
    page.evaluate("() => { app.graph.nodes[0].widgets[0].value = 'other words'; }")
    page.page.get_by_role("button", name=SIGH).first.click()
    assert page.evaluate(VALUE, "text_with_sounds") == "other words [Sigh]"
    assert page.errors == []


@pytest.mark.parametrize(
    ("kind", "name", "press", "key"),
    [
        ("Emotion", "emotion", "Sad: low, slow and heavy [sad]", "sad"),
        ("SpeakingStyle", "style", "Coy: playfully spoilt [act_coy]", "act_coy"),
        ("Speed", "speed", "Much faster: goes further than faster [more faster]", "more faster"),
    ],
)
def test_options_have_readable_names_and_keep_their_keys(
    page: Page, renderer: bool, kind: str, name: str, press: str, key: str
) -> None:
    open_node(page, kind)
    button = page.page.get_by_role("button", name=press, exact=True)
    assert button.get_attribute("title") == press
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.evaluate(VALUE, name) == key
    (sent,) = page.prompt().values()
    assert sent["inputs"][name] == key
    shoot(page, f"{name}_{'nodes2' if renderer else 'canvas'}")
    assert page.errors == []


def test_the_list_of_nodes_2_0_shows_readable_names_and_keeps_the_keys(page: Page) -> None:
    page.evaluate(
        "async () => await app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)"
    )
    page.errors.clear()
    open_node(page, "SpeakingStyle")
    list_ = page.page.locator(".lg-node").get_by_role("combobox").first
    until(page, lambda: list_.inner_text() == "Older person")  # the key is older
    list_.click()
    page.page.get_by_role("option", name=re.compile("coy", re.IGNORECASE)).click()
    assert page.evaluate(VALUE, "style") == "act_coy"
    assert page.errors == []


def test_the_panel_works_inside_a_subgraph_and_beside_many_nodes(
    page: Page, renderer: bool
) -> None:
    open_node(page, "IterativeEdit")
    count = page.evaluate(
        """
        async () => {
          for (let k = 0; k < 30; k++) {
            const more = LiteGraph.createNode("StepEdit_IterativeEdit");
            more.pos = [500 + 400 * (k % 6), 600 * Math.floor(k / 6)];
            app.graph.add(more);
          }
          const { subgraph, node } = app.graph.convertToSubgraph(new Set([app.graph.nodes[0]]));
          app.canvas.setGraph(subgraph);
          await new Promise((done) => setTimeout(done, 800));
          return subgraph.nodes.length;
        }
        """
    )
    assert count == 1
    page.evaluate(TELL, [told()])
    until(page, lambda: panel(page).get_by_role("radio").count() == 4)
    assert panel(page).get_by_role("radio").first.is_visible()
    page.evaluate("() => app.canvas.setGraph(app.rootGraph ?? app.graph)")
    assert page.errors == []


def test_a_run_fills_the_panel_and_the_stored_result_comes_back(
    page: Page, server: Server, renderer: bool
) -> None:
    path = next((REPOSITORY / "workflows").glob("06*.json"))
    workflow = json.loads(path.read_text("utf-8"))
    values = {n["type"]: n["widgets_values"] for n in workflow["nodes"] if "widgets_values" in n}
    values["StepEdit_LoadModel"][0] = "tiny"
    values["LoadAudio"][0] = "speech.wav"
    page.load(workflow)
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    for _ in range(int(300 * PATIENCE)):
        if len(server.get("/history")) > count:
            break
        page.page.wait_for_timeout(200)
    until(page, lambda: panel(page).get_by_role("radio").count() == 5)
    shoot(page, f"workflow_06_{'nodes2' if renderer else 'canvas'}")
    page.evaluate(
        """
        () => {
          const node = app.graph.nodes.find((n) => n.type === "StepEdit_IterativeEdit");
          node.widgets.find((w) => w.name === "listen").value = [];
          app.nodeOutputs = app.nodeOutputs;
        }
        """
    )
    until(page, lambda: panel(page).get_by_role("radio").count() == 5)
    assert page.errors == []


def test_the_palette_offers_the_tags_of_both_releases() -> None:
    text = (REPOSITORY / "web" / "palette.mjs").read_text("utf-8")
    for name, tags in (("2025", edits.TAGS_2025), ("2026", edits.TAGS_2026)):
        inside = re.search(rf"RELEASE_{name} = \[(.*?)\]", text, re.S)
        assert re.findall(r'"([^"]+)"', inside[1]) == list(tags)
