"""The listening panel as a place to compare: equal loudness, aligned places, colours, files."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from tests.browser.page import Page
from tests.browser.panel import TELL, VALUE, open_node, panel, shoot, tell, told, until
from tests.server.comfyui import PATIENCE, Server

pytestmark = pytest.mark.browser
PLAYER = """
async (rounds) => {
  const { RoundPlayer } = await import("/extensions/ComfyUI-StepEdit.v2/player.mjs");
  const player = new RoundPlayer(() => {});
  player.setRounds(rounds);
  const [input, slow] = player.rounds;
  return {
    gains: player.rounds.map((one) => player.gainOf(one)),
    there: [0, 0.5, 1, 1.5, 2].map((at) => player.toRound(slow, at)),
    back: [0, 1, 2, 3, 4].map((at) => player.toInput(slow, at)),
  };
}
"""


def test_places_are_those_of_the_words_and_all_rounds_are_as_loud_as_the_quietest(
    page: Page,
) -> None:
    rounds = [
        {"address": "a", "seconds": 2, "loudness": -20},
        {"address": "b", "seconds": 4, "loudness": -14, "places": [[1, 3]]},
        {"address": "c", "seconds": 2, "loudness": None},
    ]
    found = page.evaluate(PLAYER, rounds)
    assert found["gains"] == pytest.approx([1, 10 ** (-6 / 20), 1])
    assert found["there"] == pytest.approx([0, 1.5, 3, 3.5, 4])
    assert found["back"] == pytest.approx([0, 1 / 3, 2 / 3, 1, 2])


def colours(page: Page, number: int) -> list[str]:
    figures = panel(page).get_by_role("radio").nth(number).locator(".figure")
    return [str(one.get_attribute("class")).removeprefix("figure ") for one in figures.all()]


def test_words_and_voice_have_colours_and_every_column_says_what_it_means(
    page: Page, renderer: bool
) -> None:
    open_node(page, "IterativeEdit")
    rounds = told(4)
    for number, like in enumerate((1.0, 0.9, 0.6, 0.3)):
        rounds["rounds"][number]["voice_similarity"] = like
    rounds["rounds"][2]["notes"] = ["the model did not end its answer."]
    tell(page, rounds)
    assert colours(page, 0) == ["", "", ""]
    assert [colours(page, number)[1:] for number in (1, 2, 3)] == [
        ["good", "good"],
        ["fair", "fair"],
        ["bad", "bad"],
    ]
    figures = panel(page).get_by_role("radio").nth(1).locator(".figure")
    assert all(one.get_attribute("title") for one in figures.all())
    note = panel(page).get_by_role("radio").nth(2).get_attribute("title")
    assert note.endswith("did not end its answer.")
    assert page.errors == []


def test_a_click_plays_and_the_next_one_stops(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told())
    row = panel(page).get_by_role("radio").nth(2)
    row.locator("span").first.click()
    panel(page).get_by_role("button", name="Pause").wait_for(timeout=20_000 * PATIENCE)
    assert row.get_attribute("aria-checked") == "true"
    row.locator("span").first.click()
    panel(page).get_by_role("button", name="Play").wait_for(timeout=20_000 * PATIENCE)
    box = row.locator(".wave").bounding_box()
    page.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    panel(page).get_by_role("button", name="Pause").wait_for(timeout=20_000 * PATIENCE)
    assert float(panel(page).get_by_role("slider").input_value()) >= 1.4  # of 2 s
    panel(page).get_by_role("button", name="Pause").click()
    assert page.errors == []


def test_each_round_and_all_of_them_can_be_saved_by_readable_names(
    page: Page, server: Server, renderer: bool
) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told(3))
    wave = (server.base / "input" / "speech.wav").read_bytes()
    with page.page.expect_download() as one:
        panel(page).get_by_role("link", name="2 · Happy").click()
    assert one.value.suggested_filename == "take1_round2_happy.wav"
    assert one.value.path().read_bytes() == wave
    with page.page.expect_download() as all_:
        panel(page).get_by_role("button", name="All rounds").click()
    assert all_.value.suggested_filename == "take1.zip"
    with zipfile.ZipFile(io.BytesIO(all_.value.path().read_bytes())) as archive:
        assert archive.testzip() is None
        names = ["take1_round0_input.wav", "take1_round1_happy.wav", "take1_round2_happy.wav"]
        assert archive.namelist() == names
        assert archive.read(names[2]) == wave
    assert page.errors == []


def heights(page: Page) -> list[float]:
    return [one.bounding_box()["height"] for one in panel(page).locator(".row").all()]


def test_nothing_of_the_panel_is_cut_and_rows_grow_with_the_node(page: Page) -> None:
    page.evaluate(
        "async () => await app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)"
    )
    open_node(page, "IterativeEdit")
    tell(page, told(4))
    until(page, lambda: not cut(page))
    before = heights(page)
    page.evaluate(HIGHER)
    until(page, lambda: min(heights(page)) > max(before) + 15)
    assert page.errors == []


HIGHER = """
() => {
  const [node] = app.graph.nodes;
  node.setSize([node.size[0], node.size[1] + 240]);
  app.canvas.setDirty(true, true);
}
"""
CUT = """
() => [...document.querySelectorAll(".stepedit")].flatMap((panel) => {
  const box = panel.parentElement.getBoundingClientRect();
  return [...panel.querySelectorAll("button, a.save, .note, input")]
    .filter((one) => one.getClientRects().length)
    .filter((one) => {
      const { bottom, right } = one.getBoundingClientRect();
      return bottom > box.bottom + 1 || right > box.right + 1;
    })
    .map((one) => one.textContent || one.type);
})
"""


def cut(page: Page) -> Any:
    """Texts of what lies beyond the end of its panel."""
    return page.evaluate(CUT)


@pytest.mark.parametrize("kind", ["Emotion", "SpeakingStyle", "Speed", "NonverbalSounds"])
def test_no_palette_is_cut(page: Page, renderer: bool, kind: str) -> None:
    open_node(page, kind)
    until(page, lambda: page.page.locator(".stepedit button").count() >= 4)
    until(page, lambda: not cut(page))
    assert page.errors == []


LOADER = """
(bundle) => {
  const node = LiteGraph.createNode("StepEdit_LoadModel");
  app.graph.add(node);
  node.pos = [700, 80];
  const widget = node.widgets.find((one) => one.name === "bundle");
  widget.value = bundle;
  widget.callback?.(bundle, app.canvas, node);
}
"""
UNLOAD = """
() => app.graph.remove(app.graph.nodes.find((one) => one.type === "StepEdit_LoadModel"))
"""


def test_what_the_model_cannot_do_is_grey_and_says_why(page: Page, renderer: bool) -> None:
    open_node(page, "Emotion")
    button = page.page.get_by_role("button", name="Admiring: ")
    assert button.get_attribute("aria-disabled") != "true"
    page.evaluate(LOADER, "tiny")
    until(page, lambda: button.get_attribute("aria-disabled") == "true")
    assert "The chosen model was not taught this (tiny)." in button.get_attribute("title")
    button.click(force=True)
    assert page.evaluate(VALUE, "emotion") == "happy"
    happy = page.page.get_by_role("button", name="Happy: ")
    assert happy.get_attribute("aria-disabled") == "false"
    shoot(page, f"grey_{'nodes2' if renderer else 'canvas'}")
    page.evaluate(UNLOAD)
    until(page, lambda: button.get_attribute("aria-disabled") == "false")
    assert page.errors == []


def test_a_take_whose_file_is_gone_says_so(page: Page, renderer: bool) -> None:
    open_node(page, "IterativeEdit")
    tell(page, told(2, file={"filename": "gone.wav", "subfolder": "", "type": "input"}))
    page.evaluate(TELL, [told(2, file=None)])
    panel(page).get_by_role("radio").nth(1).locator("span").first.click()
    until(page, lambda: "could not be loaded" in panel(page).get_by_role("status").inner_text())
