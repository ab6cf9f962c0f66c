"""Help pages and translations against the snapshot of the nodes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from stepedit_core.text import edits
from tests.conftest import REPOSITORY
from tests.server.catalogue import ENGLISH, SNAPSHOT, texts

INFOS: dict[str, Any] = json.loads(SNAPSHOT.read_text("utf-8"))
LANGUAGES = sorted(folder.name for folder in (REPOSITORY / "locales").iterdir())


def keys(value: Any, path: str = "") -> set[str]:
    """All paths to a text."""
    if not isinstance(value, dict):
        return {path}
    return {found for key, item in value.items() for found in keys(item, f"{path}/{key}")}


def language(name: str) -> dict[str, Any]:
    path = REPOSITORY / "locales" / name / "nodeDefs.json"
    return dict(json.loads(path.read_text("utf-8")))


def test_the_english_texts_are_those_of_the_nodes() -> None:
    assert json.loads(ENGLISH.read_text("utf-8")) == texts(INFOS)


def test_english_and_chinese_are_there() -> None:
    assert LANGUAGES == ["en", "zh"]


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_language_has_the_same_texts_none_empty(name: str) -> None:
    assert keys(language(name)) == keys(language("en"))
    assert all(text.strip() for text in all_texts(language(name)))


def test_chinese_texts_are_chinese() -> None:
    for node in language("zh").values():
        assert re.search(r"[\u4e00-\u9fff]", node["description"])


def all_texts(value: Any) -> list[str]:
    """Every text inside."""
    if not isinstance(value, dict):
        return [value]
    return [text for item in value.values() for text in all_texts(item)]


@pytest.mark.parametrize("name", LANGUAGES)
def test_no_text_holds_a_sign_that_the_browser_would_interpret(name: str) -> None:
    assert not [text for text in all_texts(language(name)) if re.search(r"[{}@|]", text)]


@pytest.mark.parametrize("name", INFOS)
def test_every_node_has_a_help_page_that_names_all_inputs_and_outputs(name: str) -> None:
    page = (REPOSITORY / "web" / "docs" / f"{name}.md").read_text("utf-8")
    info = INFOS[name]
    assert page.startswith(f"# {info['display_name']}\n")
    for group in info["input"].values():
        for key, spec in group.items():
            line = next((row for row in page.splitlines() if row.startswith(f"- `{key}`")), "")
            assert spec[1]["tooltip"] in line
            if "min" in spec[1]:
                assert f"{spec[1]['min']} to {spec[1]['max']}; default {spec[1]['default']}" in line
    for title in info["output_name"]:
        assert f"- `{title}`" in page
    assert "## Example" in page


def test_no_help_page_is_left_over() -> None:
    pages = {path.stem for path in (REPOSITORY / "web" / "docs").glob("*.md")}
    assert pages == set(INFOS)


@pytest.mark.parametrize("name", INFOS)
def test_every_input_and_output_has_a_tooltip(name: str) -> None:
    for group in INFOS[name]["input"].values():
        for key, spec in group.items():
            assert spec[1].get("tooltip"), key
    assert all(INFOS[name]["output_tooltips"])
    assert INFOS[name]["description"]


@pytest.mark.parametrize(
    ("node", "widget", "options"),
    [
        ("StepEdit_Emotion", "emotion", edits.EMOTIONS),
        ("StepEdit_SpeakingStyle", "style", edits.STYLES),
        ("StepEdit_Speed", "speed", edits.SPEEDS),
    ],
)
def test_the_combos_offer_all_options_of_the_release(
    node: str, widget: str, options: tuple[str, ...]
) -> None:
    assert INFOS[node]["input"]["required"][widget][1]["options"] == list(options)


def test_all_ids_and_the_category_carry_the_name_of_the_pack() -> None:
    assert len(INFOS) == 18
    assert all(name.startswith("StepEdit_") for name in INFOS)
    assert {info["category"] for info in INFOS.values()} == {"audio/stepedit"}
