"""The table of edits: option lists, sentences and the errors people read."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from stepedit_core.text import edits
from stepedit_core.text.edits import (
    KINDS,
    edit_vocabulary,
    instruction,
    offered,
    tags_in,
    text_after,
    validate,
    without_tags,
)
from stepedit_core.text.engines import check_offered, makes
from stepedit_core.types import EditRequest

RELEASED = edit_vocabulary("2026")
OLD = edit_vocabulary("2025")
NANO = edit_vocabulary(
    "nano",
    {
        "emotion": ["happy", "remove"],
        "speed": ["faster", "slower"],
        "sounds": ["laugh"],
        "denoise": [],
        "clone": [],
    },
)


def test_released_lists_have_the_documented_lengths() -> None:
    assert len(RELEASED.options["emotion"]) == 14 + 1
    assert len(RELEASED.options["style"]) == 32 + 1
    assert RELEASED.options["speed"] == ("faster", "slower", "more faster", "more slower")
    assert len(OLD.tags) == 10
    assert len(RELEASED.tags) == 22
    assert set(RELEASED.options) == set(KINDS)
    assert set(OLD.options) == set(KINDS) - {"rewrite"}
    for vocabulary in (OLD, RELEASED):
        for values in (*vocabulary.options.values(), vocabulary.tags):
            assert len(set(values)) == len(values)


def test_a_rewrite_is_experimental_and_of_2026_alone() -> None:
    assert "rewrite" not in edits.EDITS
    assert "rewrite" not in makes(RELEASED)
    request = EditRequest(kind="rewrite", option="fillers", text="um hi", new_text="hi [sigh]")
    validate(request, RELEASED)
    assert text_after(request) == "hi [sigh]"
    for vocabulary in (OLD, NANO):
        with pytest.raises(ValueError, match="the kind of edit is 'rewrite'"):
            validate(request, vocabulary)
    with pytest.raises(ValueError, match="allowed are fillers, interjections, text"):
        validate(replace(request, option="um"), RELEASED)
    with pytest.raises(ValueError, match="rewrite received no new text"):
        validate(replace(request, new_text=" "), RELEASED)


def test_options_of_our_own_are_offered_and_belong_to_no_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edits, "OWN", {"emotion": ("bored",), "style": (), "speed": ("frozen",)})
    assert offered("emotion") == (*edits.EMOTIONS[:-1], "bored", "remove")
    assert offered("style") == edits.STYLES
    assert offered("speed") == (*edits.SPEEDS, "frozen")
    request = EditRequest(kind="emotion", option="bored", text="a")
    for released in (edit_vocabulary("2025"), edit_vocabulary("2026")):
        with pytest.raises(ValueError, match="the emotion option is 'bored'; allowed are happy,"):
            validate(request, released)
    validate(request, edit_vocabulary("nano", {"emotion": ["happy", "bored"]}))


@pytest.mark.parametrize(
    ("kind", "option", "sentence"),
    [
        (
            "emotion",
            "happy",
            "Make the following audio more happy. "
            "The text corresponding to the audio is: Hi {x}.\n",
        ),
        (
            "emotion",
            "remove",
            "Remove any emotion in the following audio and the reference text is: Hi {x}.\n",
        ),
        (
            "style",
            "whisper",
            "Make the following audio more whisper style. "
            "The text corresponding to the audio is: Hi {x}.\n",
        ),
        (
            "style",
            "remove",
            "Remove any speaking styles in the following audio and the reference text is: "
            "Hi {x}.\n",
        ),
        (
            "speed",
            "more faster",
            "Make the following audio more more faster. "
            "The text corresponding to the audio is: Hi {x}.\n",
        ),
        (
            "sounds",
            "",
            "Add some non-verbal sounds to make the audio more natural, the new text is : "
            " Hi [sigh] \n  The text corresponding to the audio is: Hi {x}.\n",
        ),
        (
            "denoise",
            "",
            "Remove any noise from the given audio while preserving the voice content clearly. "
            "Ensure that the speech quality remains intact with minimal distortion, and "
            "eliminate all noise from the audio.\n",
        ),
        (
            "trim_silence",
            "",
            "Remove any silent portions from the given audio while preserving the voice content "
            "clearly. Ensure that the speech quality remains intact with minimal distortion, "
            "and eliminate all silence from the audio.\n",
        ),
    ],
)
def test_sentences_are_the_released_ones(kind: str, option: str, sentence: str) -> None:
    request = EditRequest(kind=kind, option=option, text=" Hi {x}. ", new_text=" Hi [sigh] ")
    assert instruction(request) == sentence


@pytest.mark.parametrize("vocabulary", [OLD, RELEASED, NANO], ids=lambda v: v.name)
def test_everything_on_the_lists_is_accepted(vocabulary: object) -> None:
    assert vocabulary in (OLD, RELEASED, NANO)
    for kind, options in vocabulary.options.items():
        new_text = f"well [{vocabulary.tags[0]}] yes" if KINDS[kind].needs_new_text else ""
        for option in options or ("",):
            validate(
                EditRequest(kind=kind, option=option, text="hello", new_text=new_text), vocabulary
            )


def test_silence_and_noise_need_no_words() -> None:
    validate(EditRequest(kind="denoise"), RELEASED)
    validate(EditRequest(kind="trim_silence"), RELEASED)


@pytest.mark.parametrize(
    ("request_", "vocabulary", "message"),
    [
        (
            EditRequest(kind="emotion", option="hapy", text="a"),
            RELEASED,
            "the emotion option is 'hapy'; allowed are happy, angry, .*Did you mean 'happy'?",
        ),
        (
            EditRequest(kind="emotion", option="zzz", text="a"),
            NANO,
            "the emotion option is 'zzz'; allowed are happy, remove. Choose one of these.",
        ),
        (
            EditRequest(kind="speed", text="a"),
            RELEASED,
            "the speed option is empty; allowed are faster, ",
        ),
        (
            EditRequest(kind="emotions", option="happy", text="a"),
            RELEASED,
            "the kind of edit is 'emotions'; allowed are .*Did you mean 'emotion'?",
        ),
        (
            EditRequest(kind="style", option="whisper", text="a"),
            NANO,
            "the kind of edit is 'style'; allowed are emotion, speed, ",
        ),
        (
            EditRequest(kind="denoise", option="more"),
            RELEASED,
            "denoise received the option 'more'; it takes none. Leave the option empty.",
        ),
        (
            EditRequest(kind="emotion", option="happy", text=" "),
            RELEASED,
            "emotion received no words; it needs the transcript of the clip. Type the words",
        ),
        (
            EditRequest(kind="sounds", text="a", new_text=""),
            RELEASED,
            "sounds received no new text; it needs the words after the edit. Type them.",
        ),
        (
            EditRequest(kind="sounds", text="a", new_text="a [Sigh]"),
            RELEASED,
            "the sound tag is 'Sigh'; allowed are sigh, .*Did you mean 'sigh'?",
        ),
        (
            EditRequest(kind="sounds", text="a", new_text="a [laugh]"),
            OLD,
            "the sound tag is 'laugh'; .*Did you mean 'Laughter'?",
        ),
        (
            EditRequest(kind="sounds", text="a", new_text="a [Cantonese]"),
            RELEASED,
            "the sound tag is 'Cantonese'; allowed are ",
        ),
        (
            EditRequest(kind="sounds", text="a", new_text="a [sigh"),
            RELEASED,
            r"the new text 'a \[sigh' has a bracket without its partner; .*Close or remove",
        ),
        (
            EditRequest(kind="sounds", text="a", new_text="a"),
            NANO,
            r"the new text 'a' contains no sound tag; allowed are \[laugh\]. Put one where",
        ),
        (
            EditRequest(kind="clone", text="a", new_text="a [moo]"),
            NANO,
            "the sound tag is 'moo'; allowed are laugh.",
        ),
    ],
)
def test_errors_say_what_was_found_what_is_allowed_and_what_to_do(
    request_: EditRequest, vocabulary: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        validate(request_, vocabulary)


def test_clones_may_start_with_a_dialect_and_carry_sounds() -> None:
    validate(EditRequest(kind="clone", text="a", new_text="[Cantonese]早晨[sigh]"), RELEASED)
    validate(EditRequest(kind="clone", text="a", new_text="plain words"), NANO)


def test_a_bundle_with_wrong_lists_is_refused() -> None:
    with pytest.raises(ValueError, match="edit vocabulary '2027' is unknown; allowed are 2025"):
        edit_vocabulary("2027")
    with pytest.raises(ValueError, match="only 'nano' takes them"):
        edit_vocabulary("2026", {"emotion": ["happy"]})
    with pytest.raises(ValueError, match=r"kind of edit in bundle\.json is 'emotoin'"):
        edit_vocabulary("nano", {"emotoin": ["happy"]})


def test_a_nano_bundle_without_tags_knows_no_sounds() -> None:
    vocabulary = edit_vocabulary("nano", {"emotion": ["happy"], "sounds": []})
    assert set(vocabulary.options) == {"emotion"}


def test_words_of_the_next_round_change_only_with_new_text() -> None:
    assert text_after(EditRequest(kind="emotion", option="happy", text="a")) == "a"
    assert text_after(EditRequest(kind="sounds", text="a", new_text="a [sigh]")) == "a [sigh]"
    assert text_after(EditRequest(kind="clone", text="a", new_text="b")) == "b"


def test_tags_are_found_and_taken_out() -> None:
    text = "So [sigh] it  is, [clears throat]yes"
    assert tags_in(text) == ["sigh", "clears throat"]
    assert without_tags(text) == "So it is, yes"
    assert not re.search(r"[\[\]]", without_tags(text))


def test_a_tag_with_spaces_inside_is_said_and_not_called_unknown():
    request = EditRequest(kind="sounds", text="hello", new_text="hello [ Laughter ]")
    vocabulary = edit_vocabulary("nano", {"sounds": ("Laughter",)})
    with pytest.raises(
        ValueError, match=r"is written with spaces inside; \[Laughter\] is expected"
    ):
        validate(request, vocabulary)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("\ud800", "half a character"),
        ("a\x00b", "the control character"),
        ("\x1b[31m", "the control character"),
        ("x" * 1_000_001, "has 1000001 letters; 1000000 are allowed"),
        ([], r"is \[\] \(list\); text is needed"),
        (None, "text is needed"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_text_is_whole_letters_without_control_characters(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        edits.check_text("the text", value)
    with pytest.raises(ValueError, match=words):
        edits.check_written("clone", value)  # type: ignore[arg-type]


def test_ends_of_lines_and_letters_of_any_script_are_text() -> None:
    for text in ("a\nb\tc\r\n", "\x85\u2028", "नमस्ते", "👩\u200d👧", "שלום"):
        edits.check_text("the text", text)


@pytest.mark.parametrize("option", ["foo", "Whisper"])
def test_the_styles_that_are_allowed_include_the_whisper_of_signal_processing(option: str) -> None:
    nano = edit_vocabulary("nano", {"style": ["older", "child"], "emotion": ["happy"]})
    asked = EditRequest(kind="style", option=option, text="hi")
    with pytest.raises(ValueError, match="allowed are older, child, whisper") as said:
        check_offered("nano", asked, nano)
    assert ("Did you mean 'whisper'?" in str(said.value)) == (option == "Whisper")
    check_offered("nano", replace(asked, engine="model"), nano)  # `validate` lists the model's own
