"""The table of edits: kinds, their options in each vocabulary, and the sentences they become.

Source: spec 6.6 (instruction sentences) and 7 (option lists). The release's names for two kinds
differ: `sounds` is "paralinguistic" there and `trim_silence` is "vad". The lists of the release are
fixed; an option of our own goes into OWN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from unicodedata import category

from ..printable import listed, quoted, shown
from ..types import EditRequest
from .missing_words import MissingWordsError

REMOVE = "remove"
LONGEST_TEXT = 1_000_000
"""Most letters of one text: more than a day of speech."""
LONGEST_FACT = 1000
"""Most letters of what is said about a recording: its speaker, its licence."""

EMOTIONS = (
    *("happy", "angry", "sad", "humour", "confusion", "disgusted", "empathy", "embarrass"),
    *("fear", "surprised", "excited", "depressed", "coldness", "admiration", REMOVE),
)
STYLES = (
    *("serious", "arrogant", "child", "older", "girl", "pure", "sister", "sweet", "ethereal"),
    *("whisper", "gentle", "recite", "generous", "act_coy", "warm", "shy", "comfort"),
    *("authority", "chat", "radio", "soulful", "story", "vivid", "program", "news"),
    *("advertising", "roar", "murmur", "shout", "deeply", "loudly", "exaggerated", REMOVE),
)
SPEEDS = ("faster", "slower", "more faster", "more slower")
TAGS_2025 = (
    *("Breathing", "Laughter", "Surprise-oh", "Confirmation-en", "Uhm"),
    *("Surprise-ah", "Surprise-wa", "Sigh", "Question-ei", "Dissatisfaction-hnn"),
)
TAGS_2026 = (
    *("sigh", "inhale", "laugh", "chuckle", "exhale", "clears throat", "snort", "giggle"),
    *("cough", "breath", "uhm", "Confirmation-en", "Surprise-oh", "Surprise-ah"),
    *("Surprise-wa", "Surprise-yo", "Dissatisfaction-hnn", "Question-ei", "Question-ah"),
    *("Question-en", "Question-yi", "Question-oh"),
)
REWRITES = ("fillers", "interjections", "text")
DIALECTS = ("Sichuanese", "Cantonese", "Japanese", "Korean")

OWN: Mapping[str, tuple[str, ...]] = {"emotion": (), "style": (), "speed": ()}
"""Options that no release has and that models of our own are taught. Whether a model knows one
says its bundle.json."""


def offered(kind: str) -> tuple[str, ...]:
    """The options of emotion, style or speed that the nodes show: the release's, then OWN.

    `remove` stays last.
    """
    released = {"emotion": EMOTIONS, "style": STYLES, "speed": SPEEDS}[kind]
    last = released[-1:] if released[-1] == REMOVE else ()
    return (*released[: len(released) - len(last)], *OWN[kind], *last)


@dataclass(frozen=True, kw_only=True)
class EditKind:
    """One row of the table: what a kind of edit needs, and the sentence that asks for it."""

    needs_text: bool = True
    """Whether the words of the clip must be given."""
    needs_new_text: bool = False
    """Whether the words after the edit must be given."""
    sentence: str
    """Instruction with {option}, {text} and {new_text}; empty for clone, which has none."""
    by_option: Mapping[str, str] = field(default_factory=dict)
    """Options that have an instruction of their own."""
    experimental: bool = False
    """Whether no release offers it, though one was trained on it: only `--rewrite` asks for it."""


_WORDS = "The text corresponding to the audio is: {text}\n"
_KEEP = (
    " from the given audio while preserving the voice content clearly. Ensure that the speech "
    "quality remains intact with minimal distortion, and eliminate all "
)
_NEW_WORDS = ", the new text is : {new_text}\n " + _WORDS
_REFERENCE = " in the following audio and the reference text is: {text}\n"

KINDS: Mapping[str, EditKind] = {
    "emotion": EditKind(
        sentence="Make the following audio more {option}. " + _WORDS,
        by_option={REMOVE: "Remove any emotion" + _REFERENCE},
    ),
    "style": EditKind(
        sentence="Make the following audio more {option} style. " + _WORDS,
        by_option={REMOVE: "Remove any speaking styles" + _REFERENCE},
    ),
    "speed": EditKind(
        sentence="Make the following audio more {option}. " + _WORDS,
        by_option={REMOVE: "Remove any emotion" + _REFERENCE},
    ),
    "sounds": EditKind(
        needs_new_text=True,
        # two spaces before the second sentence and one before the colon, as released
        sentence="Add some non-verbal sounds to make the audio more natural, the new text is : "
        "{new_text}\n  " + _WORDS,
    ),
    "denoise": EditKind(
        needs_text=False, sentence="Remove any noise" + _KEEP + "noise from the audio.\n"
    ),
    "trim_silence": EditKind(
        needs_text=False,
        sentence="Remove any silent portions" + _KEEP + "silence from the audio.\n",
    ),
    "rewrite": EditKind(
        needs_new_text=True,
        experimental=True,
        sentence="",
        by_option={
            # one space before the second sentence, as in the training data of 2026
            "fillers": "Remove filler words and hesitation sounds" + _NEW_WORDS,
            "interjections": "Remove all interjections and emotional particles" + _NEW_WORDS,
            "text": "Edit the audio based on text: {text}\n",
        },
    ),
    "clone": EditKind(needs_new_text=True, sentence=""),
}


EDITS = tuple(kind for kind in KINDS if kind != "clone" and not KINDS[kind].experimental)
"""Kinds that change a recording and are offered; a clone says something new."""


@dataclass(frozen=True, kw_only=True)
class EditVocabulary:
    """What one bundle's model can be asked for."""

    name: str
    """2025, 2026 or nano; bundles name it in bundle.json."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options of each kind it knows; an empty tuple where the kind takes none."""
    tags: tuple[str, ...] = ()
    """Sounds that new text may have in brackets."""
    dialects: tuple[str, ...] = ()
    """Languages that cloned text may have in brackets at its start."""


def edit_vocabulary(
    name: str, options: Mapping[str, Sequence[str]] | None = None
) -> EditVocabulary:
    """The vocabulary "2025" or "2026" of the release, or "nano" with the bundle's own lists.

    `options` (nano only) maps each kind the bundle knows to its options, `sounds` to its tags.
    Raises ValueError for an unknown name or kind, or lists given where the name fixes them.
    """
    if name in ("2025", "2026"):
        if options:
            raise ValueError(
                f"edit vocabulary '{shown(name)}' came with its own option lists; only 'nano' "
                "takes them. Remove edit_options from bundle.json, or name the vocabulary nano."
            )
        fixed = {"emotion": EMOTIONS, "style": STYLES, "speed": SPEEDS, "rewrite": REWRITES}
        known = [kind for kind in KINDS if name == "2026" or not KINDS[kind].experimental]
        return EditVocabulary(
            name=name,
            options={kind: fixed.get(kind, ()) for kind in known},
            tags=TAGS_2025 if name == "2025" else TAGS_2026,
            dialects=DIALECTS,
        )
    if name != "nano":
        raise ValueError(
            f"edit vocabulary '{shown(name)}' is unknown; allowed are 2025, 2026 and nano. "
            "Correct edit_vocabulary in bundle.json."
        )
    given = dict(options or {})
    for kind in given:
        if kind not in KINDS:
            raise ValueError(choice("kind of edit", kind, tuple(KINDS), "in bundle.json"))
    tags = tuple(given.get("sounds", ()))
    kinds = {k: tuple(v) for k, v in given.items() if k != "sounds" or tags}
    if tags:
        kinds["sounds"] = ()
    return EditVocabulary(name=name, options=kinds, tags=tags)


def validate(request: EditRequest, vocabulary: EditVocabulary) -> None:
    """Raise ValueError where a request asks for what the vocabulary does not have."""
    kind = KINDS.get(request.kind)
    if kind is None or request.kind not in vocabulary.options:
        raise ValueError(choice("kind of edit", request.kind, tuple(vocabulary.options)))
    options = vocabulary.options[request.kind]
    if options and request.option not in options:
        raise ValueError(choice(f"{request.kind} option", request.option, options))
    if not options and request.option:
        raise ValueError(
            f"{request.kind} received the option '{shown(request.option)}'; it takes none. "
            "Leave the option empty."
        )
    if kind.needs_text and not request.text.strip():
        raise MissingWordsError(
            f"{request.kind} received no words; it needs the transcript of the clip. Type the "
            "words that are spoken, or name the folder of a faster-whisper model, which hears them "
            "($STEPEDIT_RECOGNISER, or --recogniser of the command)."
        )
    if kind.needs_new_text:
        _check_new_text(request, vocabulary)


def check_text(name: str, value: object, most: int = LONGEST_TEXT) -> None:
    """Raise ValueError for what is not text of whole letters, without control characters."""
    if not isinstance(value, str):
        raise ValueError(
            f"{shown(name)} is {quoted(value)} ({type(value).__name__}); text is needed. Write it "
            "in quotes."
        )
    if len(value) > most:
        raise ValueError(f"{shown(name)} has {len(value)} letters; {most} are allowed. Shorten it.")
    for letter in value:
        if "\ud800" <= letter <= "\udfff":
            raise ValueError(
                f"{shown(name)} has half a character ({letter!r}, as an emoji cut in two); whole "
                "characters are needed. Type it again."
            )
        if category(letter) == "Cc" and not letter.isspace():
            raise ValueError(
                f"{shown(name)} has the control character {letter!r}, which nobody says. Remove it."
            )


def check_written(kind: str, text: str) -> None:
    """Raise ValueError where new words are missing or a bracket has no partner; needs no bundle."""
    check_text(f"the new text of {kind}", text)
    if not text.strip():
        raise ValueError(
            f"{kind} received no new text; it needs the words after the edit. Type them."
        )
    if "[" in _TAG.sub("", text) or "]" in _TAG.sub("", text):
        raise ValueError(
            f"the new text '{shown(text, 80)}' has a bracket without its partner; sounds are "
            "written like [sigh]. Close or remove the bracket."
        )


def _check_new_text(request: EditRequest, vocabulary: EditVocabulary) -> None:
    """Raise ValueError where new words are missing or a tag in them is unknown."""
    text = request.new_text
    check_written(request.kind, text)
    allowed = vocabulary.tags
    if request.kind == "clone":
        allowed = (*vocabulary.tags, *vocabulary.dialects)
    found = tags_in(text)
    for tag in found:
        bare = tag.strip()
        if tag != bare and bare in allowed:
            raise ValueError(
                f"the sound tag '[{shown(tag)}]' is written with spaces inside; [{shown(bare)}] is "
                "expected. Remove the spaces."
            )
        if tag not in allowed:
            raise ValueError(choice("sound tag", tag, allowed))
    if request.kind == "sounds" and not found:
        raise ValueError(
            f"the new text '{shown(text, 80)}' contains no sound tag; allowed are "
            f"{', '.join(f'[{shown(tag)}]' for tag in allowed)}. Put one where the sound belongs."
        )


_TAG = re.compile(r"\[([^\[\]]*)\]")


def request_of(kind: str, value: Any, text: str) -> EditRequest:
    """The request of one command-line option or keyword: emotion "happy", denoise True."""
    return EditRequest(
        kind=kind,
        option=value if kind in ("emotion", "style", "speed", "rewrite") else "",
        text=text,
        new_text=value if kind == "sounds" else "",
    )


def tags_in(text: str) -> list[str]:
    """Contents of all [brackets] in a text, in order."""
    return _TAG.findall(text)


def without_tags(text: str) -> str:
    """The spoken words of a text: brackets removed, spaces closed up."""
    return " ".join(_TAG.sub(" ", text).split())


def instruction(request: EditRequest) -> str:
    """The released instruction sentence of a request, ending in a newline (spec 6.6).

    The transcript is stripped, the new text is not, as released.
    """
    kind = KINDS[request.kind]
    sentence = kind.by_option.get(request.option, kind.sentence)
    # replaced in one pass, so that braces in the user's words stay as they are
    values = {
        "{option}": request.option,
        "{text}": request.text.strip(),
        "{new_text}": request.new_text,
    }
    return re.sub(r"\{\w+\}", lambda match: values[match.group()], sentence)


def text_after(request: EditRequest) -> str:
    """Words of the clip after the edit, the transcript of the next round (spec 6.9)."""
    return request.new_text if KINDS[request.kind].needs_new_text else request.text


def choice(what: str, found: str, allowed: Sequence[str], where: str = "") -> str:
    """Error sentence for a value that is not on a list, with the nearest value that is."""
    near = get_close_matches(found.lower(), [a.lower() for a in allowed], n=1, cutoff=0.6)
    best = next((a for a in allowed if near and a.lower() == near[0]), None)
    remedy = f"Did you mean '{shown(best)}'?" if best else "Choose one of these."
    given = f"'{shown(found, 80)}'" if found else "empty"
    return (
        f"the {what} {shown(where) + ' ' if where else ''}is {given}; allowed are "
        f"{listed(allowed, 'none in this bundle', most=100)}. {remedy}"
    )
