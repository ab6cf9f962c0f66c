"""docs/spec.md: every citation finds its section, and its data equal the code's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from stepedit_core.audio import fbank, mel, trim
from stepedit_core.models.llm import LMConfig
from stepedit_core.text import edits, prompts
from tests.unit.text.test_prompts import CLONE_HELLO, EDIT_HAPPY_END

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "docs" / "spec.md").read_text("utf-8")
SUFFIXES = (".py", ".md", ".json", ".yaml")
LEFT_OUT = {"runs", "build", "dist", "__pycache__"}

_NUMBER = r"\d+(?:\.\d+)?"
FIRST = re.compile(rf"\b[Ss]pec(?:ification)?,? ({_NUMBER})(?:, (?:trap|point) (\d+))?")
NEXT = re.compile(rf"(?: \([^()]*\))?(, and |, | and | to )({_NUMBER})(?!\w|\.\d)")


def sections(text: str) -> dict[str, str]:
    """Number of each heading -> the text below it, up to the next heading."""
    parts = re.split(rf"^##+ ({_NUMBER})\.? .*$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def citations(text: str) -> Iterator[tuple[str, str]]:
    """Section and trap ("" where none is named) of each citation, lists and ranges included."""
    flat = re.sub(r"\s+(?:# )?", " ", text)  # a citation may be broken over two lines
    for found in FIRST.finditer(flat):
        yield found[1], found[2] or ""
        last, end = found[1], found.end()
        while more := NEXT.match(flat, end):
            main, _, part = last.partition(".")
            if more[1] == " to " and part and more[2].startswith(f"{main}."):
                for between in range(int(part) + 1, int(more[2].partition(".")[2])):
                    yield f"{main}.{between}", ""
            yield more[2], ""
            last, end = more[2], more.end()


def text_files() -> list[Path]:
    """The repository's own text files; caches, builds and training runs are left out."""
    found = list(ROOT.iterdir())
    for folder in ROOT.iterdir():
        if folder.is_dir() and folder.name not in LEFT_OUT and not folder.name.startswith("."):
            found += [p for p in folder.rglob("*") if not LEFT_OUT & set(p.parts)]
    return sorted(path for path in found if path.suffix in SUFFIXES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(spec 6.2)", [("6.2", "")]),
        ("Source: spec 5, 6.8.\n", [("5", ""), ("6.8", "")]),
        ("spec 6.1, 6.2 and 11.1.", [("6.1", ""), ("6.2", ""), ("11.1", "")]),
        ("spec 6.6 (clone) and 8.1.", [("6.6", ""), ("8.1", "")]),
        ("spec 6.4 to 6.6.", [("6.4", ""), ("6.5", ""), ("6.6", "")]),
        ("in the specification, 6.7; the", [("6.7", "")]),
        ("attention (spec 13,\n    trap 10).", [("13", "10")]),
        ("# rule of spec\n# 6.8\n", [("6.8", "")]),
        ("Spec 6.2 one head; spec 3: j <= 3", [("6.2", ""), ("3", "")]),
        ("inspect 4, spectrum 7, spec_from_file", []),
    ],
)
def test_lists_ranges_and_broken_lines_are_read(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(citations(text)) == expected


def test_every_citation_finds_its_section_and_its_trap() -> None:
    known = sections(SPEC)
    found, lost = 0, []
    for path in text_files():
        if path == Path(__file__):
            continue
        for section, trap in citations(path.read_text("utf-8")):
            found += 1
            items = re.findall(r"^(\d+)\. ", known.get(section, ""), flags=re.MULTILINE)
            if section not in known or (trap and trap not in items):
                lost.append(f"{path.relative_to(ROOT)}: spec {section} {trap}".rstrip())
    assert not lost, "docs/spec.md has no such section or trap"
    assert found > 60


def test_no_heading_is_numbered_twice_and_sections_are_in_order() -> None:
    numbers = re.findall(rf"^##+ ({_NUMBER})\.? ", SPEC, flags=re.MULTILINE)
    order = [tuple(map(int, number.split("."))) for number in numbers]
    assert order == sorted(set(order))


def test_the_prompts_are_the_ones_the_specification_prints() -> None:
    blocks = re.findall(r"^```\n(.*?)^```$", sections(SPEC)["6.6"], re.MULTILINE | re.DOTALL)
    clone, system = (block.replace("·", " ") for block in blocks)
    head = prompts.CLONE_SYSTEM_HEAD + "{prompt_wav_tokens}" + prompts.CLONE_SYSTEM_TAIL
    assert clone == head
    assert system == prompts.EDIT_SYSTEM


def test_the_sentences_are_the_ones_the_specification_prints() -> None:
    rows = re.findall(r"^\| ([^|]+) \| `([^`]+)`", sections(SPEC)["6.6"], flags=re.MULTILINE)
    printed = {name: sentence.replace("\\n", "\n") for name, sentence in rows}
    kinds = edits.KINDS
    ours = {
        "emotion, speed": kinds["emotion"].sentence,
        "emotion, speed: remove": kinds["emotion"].by_option["remove"],
        "style": kinds["style"].sentence,
        "style: remove": kinds["style"].by_option["remove"],
        "denoise": kinds["denoise"].sentence,
        "vad": kinds["trim_silence"].sentence,
        "paralinguistic": kinds["sounds"].sentence,
        "mask, empty (training of 2026 only)": kinds["rewrite"].by_option["fillers"],
        "mask, tone (training of 2026 only)": kinds["rewrite"].by_option["interjections"],
        "mask, all else (training of 2026 only)": kinds["rewrite"].by_option["text"],
    }
    assert {name: printed[name] for name in ours} == ours
    assert kinds["speed"] == kinds["emotion"]


@pytest.mark.parametrize(
    ("row", "ours"),
    [
        ("Emotion, ", edits.EMOTIONS),
        ("Style, ", edits.STYLES),
        ("Speed: ", edits.SPEEDS),
        ("Sound tags of the weights of 2025", [f"[{tag}]" for tag in edits.TAGS_2025]),
        ("Sound tags of the weights of 2026", [f"[{tag}]" for tag in edits.TAGS_2026]),
        ("Language of a clone", [f"[{tag}]" for tag in edits.DIALECTS]),
    ],
)
def test_the_options_are_the_ones_the_specification_lists(
    row: str, ours: tuple[str, ...] | list[str]
) -> None:
    items = sections(SPEC)["7"].split("\n- ")
    (item,) = [item for item in items if item.startswith(row)]
    assert re.findall(r"`([^`]+)`", item) == list(ours)


def test_the_sizes_of_the_language_model_are_the_ones_the_specification_lists() -> None:
    table = sections(SPEC)["6.1"]
    for field in fields(LMConfig):
        value = re.search(rf"\| {field.name} \| ([\d.e-]+)", table)
        assert value is not None, field.name
        assert float(value[1]) == field.default, field.name


def test_lengths_levels_and_rates_are_the_ones_the_specification_gives() -> None:
    known = sections(SPEC)
    assert f"above {trim.PEAK_CAP}" in known["2.1"]
    assert f"· {trim.NORMAL_PEAK}" in known["2.4"]
    assert f"s = a \N{MINUS SIGN} {trim.LEAD_IN}" in " ".join(known["2.4"].split())
    assert f"{trim.TRIM_UNIT} K + {trim.LEAD_IN + trim.TAIL}" in known["2.4"]
    assert f"| {mel.PROMPT_FFT} | {mel.PROMPT_HOP} |" in known["2.2"]
    assert f"n_fft {mel.SEMANTIC_FFT}, hop {mel.SEMANTIC_HOP}" in known["2.5"]
    assert f"pieces of {mel.SEMANTIC_PIECE} samples" in " ".join(known["4"].split())
    assert f"= {fbank.CHUNK_SAMPLES} samples" in known["3"]


@pytest.mark.parametrize(("block", "ids"), [(0, EDIT_HAPPY_END), (1, CLONE_HELLO)])
def test_the_golden_ids_are_the_ones_that_the_prompts_are_tested_with(
    block: int, ids: tuple[int, ...]
) -> None:
    blocks = re.findall(r"^```\n(.*?)^```$", sections(SPEC)["6.7"], re.MULTILINE | re.DOTALL)
    assert tuple(map(int, blocks[block].split())) == ids
