"""Help pages and translations against the snapshot of the nodes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from PIL import Image

from stepedit_core.text import edits
from stepedit_core.text.engines import FIT
from tests.conftest import REPOSITORY
from tools.catalogue import LANGUAGES, LOCALES, SNAPSHOT, node_texts, panel_texts, phrases

INFOS: dict[str, Any] = json.loads(SNAPSHOT.read_text("utf-8"))
SCRIPTS = {"zh": "[\u4e00-\u9fff]", "ko": "[\uac00-\ud7a3]", "ja": "[\u3041-\u30ff\u4e00-\u9fff]"}


def keys(value: Any, path: str = "") -> set[str]:
    """All paths to a text."""
    if not isinstance(value, dict):
        return {path}
    return {found for key, item in value.items() for found in keys(item, f"{path}/{key}")}


def read(name: str, file: str) -> dict[str, Any]:
    return dict(json.loads((LOCALES / name / file).read_text("utf-8")))


def test_the_folders_are_the_languages() -> None:
    assert {path.name for path in LOCALES.iterdir() if path.is_dir()} == set(LANGUAGES)


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_texts_are_those_of_the_nodes_and_the_phrases(name: str) -> None:
    """After a change on purpose: python -m tools.catalogue --texts."""
    assert read(name, "nodeDefs.json") == node_texts(INFOS, name)
    assert read(name, "main.json") == panel_texts(name)


@pytest.mark.parametrize("name", LANGUAGES)
@pytest.mark.parametrize("file", ["nodeDefs.json", "main.json"])
def test_every_language_has_the_same_texts_none_empty(name: str, file: str) -> None:
    assert keys(read(name, file)) == keys(read("en", file))
    assert all(text.strip() for text in all_texts(read(name, file)))


def test_no_translation_is_left_over() -> None:
    said = set(all_texts(node_texts(INFOS)))
    names = {key for info in INFOS.values() for g in info["input"].values() for key in g}
    assert set(phrases()["nodes"]) <= said | names


@pytest.mark.parametrize("name", SCRIPTS)
def test_texts_are_written_in_the_script_of_the_language(name: str) -> None:
    for node in read(name, "nodeDefs.json").values():
        assert re.search(SCRIPTS[name], node["description"])
    for text in all_texts(read(name, "main.json")):
        assert re.search(SCRIPTS[name], text), text


@pytest.mark.parametrize("kind", ["emotion", "style", "speed"])
def test_every_option_has_a_readable_name_and_a_meaning(kind: str) -> None:
    table, offered = phrases()["options"][kind], edits.offered(kind)
    if kind == "speed":
        offered = (*offered, FIT)
    assert list(table) == list(offered)
    for name in LANGUAGES:
        assert len({table[option][name]["name"] for option in offered}) == len(offered)


def test_every_sound_tag_of_the_releases_has_a_meaning() -> None:
    assert set(phrases()["sounds"]) == {*edits.TAGS_2025, *edits.TAGS_2026}


def all_texts(value: Any) -> list[str]:
    """Every text inside."""
    if not isinstance(value, dict):
        return [value]
    return [text for item in value.values() for text in all_texts(item)]


@pytest.mark.parametrize("name", LANGUAGES)
def test_no_text_holds_a_sign_that_the_browser_would_interpret(name: str) -> None:
    found = all_texts(read(name, "nodeDefs.json")) + all_texts(read(name, "main.json"))
    assert not [text for text in found if re.search(r"[{}@|<>]", text)]


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
    (picture,) = re.findall(r"!\[[^\]]+\]\((images/\S+)\)", page)
    with Image.open(REPOSITORY / "web" / "docs" / picture) as shown:
        assert shown.format == "JPEG"
        assert shown.width >= 200


def test_no_help_page_is_left_over() -> None:
    folder = REPOSITORY / "web" / "docs"
    assert {path.stem for path in folder.glob("*.md")} == set(INFOS)
    assert {path.stem for path in (folder / "images").iterdir()} == set(INFOS)


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
        ("StepEdit_Emotion", "emotion", edits.offered("emotion")),
        ("StepEdit_SpeakingStyle", "style", edits.offered("style")),
        ("StepEdit_Speed", "speed", (*edits.offered("speed"), FIT)),
    ],
)
def test_the_combos_offer_all_options(node: str, widget: str, options: tuple[str, ...]) -> None:
    assert INFOS[node]["input"]["required"][widget][1]["options"] == list(options)


def test_all_ids_and_the_category_carry_the_name_of_the_pack() -> None:
    assert len(INFOS) == 29
    assert all(name.startswith("StepEdit_") for name in INFOS)
    training = {"TripletBuilder", "QuadrupletBuilder", "PreferencePairs"}
    for name, info in INFOS.items():
        inside = name.removeprefix("StepEdit_") in training
        assert info["category"] == "audio/stepedit" + "/training" * inside


def test_a_text_that_nano_needs_does_not_promise_to_be_heard() -> None:
    for node in ("EditLong", "EditRange", "ReplaceWords"):
        kind, about = INFOS[f"StepEdit_{node}"]["input"]["required"]["text"]
        assert kind == "STRING"
        for said in (about["tooltip"], about["placeholder"]):
            assert "they are heard" not in said
            assert "nano" in said
            assert "needs them" in said
