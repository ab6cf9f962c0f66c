"""Chat prompts as LM ids, in every layout a model was trained with. Source: spec 6.4 to 6.6.

2026         chat template: one <s>, a space before each role, none before the content
2025         made by hand: every piece that is encoded on its own begins with <s> and a space
2025-no-bos  the same without the extra <s>
nano         compact layout of the model that this project trains: no system text
Audio enters as ids, never as text; each prompt ends where the answer begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

from torch import Tensor

from ..printable import shown
from ..types import EditRequest
from .edits import instruction

LAYOUTS = ("2025", "2025-no-bos", "2026", "nano")
BOS, EOT, BOT = 1, 3, 4
"""Ids of <s>, <|EOT|> and <|BOT|> in every bundle's tokenizer (spec 6.3)."""
DEFAULT_SPEAKER = "debug"
"""Name of the speaker in every clone of the 2026 release."""

EDIT_SYSTEM = (
    "As a highly skilled audio editing and tuning specialist, you excel in interpreting user "
    "instructions and applying precise adjustments to meet their needs. Your expertise spans a "
    "wide range of enhancement capabilities, including but not limited to:\n"
    "# Emotional Enhancement\n"
    "# Speaking Style Transfer\n"
    "# Non-linguistic Adjustments\n"
    "# Audio Tuning & Editing\n"
    "Note: You will receive instructions in natural language and are expected to accurately "
    "interpret and execute the most suitable audio edits and enhancements.\n"
)
CLONE_SYSTEM_HEAD = (
    "Generate audio with the following timbre, prosody and speaking style\n\n"
    "[speaker_start]\n"
    "speaker name: {speaker}\n"
    "speaker prompt text: \n"
    "{prompt_text}\n"
    "speaker audio tokens: \n"
)
CLONE_SYSTEM_TAIL = "\n[speaker_end]\n"


class Encoder(Protocol):
    """What prompts need of a TextTokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text that starts a string."""

    def encode_inside(self, text: str) -> list[int]:
        """Ids of a text that follows a special token."""

    def specials_in(self, text: str) -> list[str]:
        """Special tokens inside a text."""


def edit_prompt(
    tokenizer: Encoder, layout: str, request: EditRequest, audio_ids: Sequence[int]
) -> list[int]:
    """LM ids that ask for one edit of the audio ids (5G), of any kind but clone.

    Raises ValueError for an unknown layout or control tokens in the words.
    """
    check_words(tokenizer, layout, request.text, request.new_text)
    audio = list(audio_ids)
    if layout == "nano":
        head = f"{request.kind} {request.option}".rstrip()
        ids = [BOS, BOT, *tokenizer.encode(f"{head}\n{request.text.strip()}\n")]
        if request.new_text:
            ids += tokenizer.encode(f"{request.new_text.strip()}\n")
        return [*ids, *audio, EOT, BOT]
    asked = instruction(request) + "\n"
    if layout == "2026":
        return [
            *_template_turn(tokenizer, "system", [EDIT_SYSTEM], first=True),
            *_template_turn(tokenizer, "human", [asked, audio, "\n"]),
            *_template_answer(tokenizer),
        ]
    bos = _extra_bos(layout)
    return [
        *(BOS, BOT, *bos, *tokenizer.encode("system\n" + EDIT_SYSTEM), EOT),
        *(BOT, *bos, *tokenizer.encode("human\n")),
        *(*bos, *tokenizer.encode(asked), *audio, *tokenizer.encode_inside("\n"), EOT),
        *(BOT, *bos, *tokenizer.encode("assistant\n")),
    ]


def clone_prompt(
    tokenizer: Encoder,
    layout: str,
    *,
    prompt_text: str,
    audio_ids: Sequence[int],
    new_text: str,
    speaker: str = DEFAULT_SPEAKER,
) -> list[int]:
    """LM ids that ask for new words in the voice of the audio ids (5G), which say prompt_text.

    Raises ValueError for an unknown layout or control tokens in the words.
    """
    check_words(tokenizer, layout, prompt_text, new_text)
    audio = list(audio_ids)
    if layout == "nano":
        return [
            *(BOS, BOT, *tokenizer.encode(f"clone\n{prompt_text.strip()}\n"), *audio, EOT),
            *(BOT, *tokenizer.encode(f"{new_text.strip()}\n"), EOT, BOT),
        ]
    head = CLONE_SYSTEM_HEAD.replace("{speaker}", speaker).replace("{prompt_text}", prompt_text)
    if layout == "2026":
        return [
            *_template_turn(tokenizer, "system", [head, audio, CLONE_SYSTEM_TAIL], first=True),
            *_template_turn(tokenizer, "human", [new_text]),
            *_template_answer(tokenizer),
        ]
    bos = _extra_bos(layout)
    newline = tokenizer.encode("\n")
    words = tokenizer.encode("\n" + new_text)[len(newline) :]
    tail = tokenizer.encode_inside(CLONE_SYSTEM_TAIL)
    return [
        *(BOS, BOT, *bos, *tokenizer.encode("system\n" + head), *audio, *tail, EOT),
        *(BOT, *bos, *tokenizer.encode("human\n"), *words, EOT),
        *(BOT, *bos, *tokenizer.encode("assistant\n")),
    ]


def speaker_name(prompt_text: str, wave: Tensor) -> str:
    """The 2025 release's speaker name of a clone: a hash of the words and the recording.

    wave is the loaded recording, any shape, before mixing and peak capping; the first and last
    1000 samples count, all when there are 2000 or fewer (spec 6.6).
    """
    flat = wave.detach().cpu().float().reshape(-1).numpy()
    digest = sha256(prompt_text.encode())
    if flat.size > 2000:
        digest.update(flat[:1000].tobytes())
        digest.update(flat[-1000:].tobytes())
    else:
        digest.update(flat.tobytes())
    return f"clone_{digest.hexdigest()[:16]}"


def _extra_bos(layout: str) -> list[int]:
    """What layout 2025 has before every piece that is encoded on its own."""
    return [BOS] if layout == "2025" else []


def _template_turn(
    tokenizer: Encoder, role: str, parts: Sequence[str | list[int]], *, first: bool = False
) -> list[int]:
    """One finished message of the chat template; neighbouring texts are encoded as one."""
    ids = [BOS, BOT] if first else [BOT]
    text = f" {role}\n"
    for part in parts:
        if isinstance(part, str):
            text += part
        else:
            ids += [*tokenizer.encode_inside(text), *part]
            text = ""
    return [*ids, *tokenizer.encode_inside(text), EOT]


def _template_answer(tokenizer: Encoder) -> list[int]:
    """The beginning of an answer in the chat template."""
    return [BOT, *tokenizer.encode_inside(" assistant\n")]


def check_words(tokenizer: Encoder, layout: str, *texts: str) -> None:
    """Raise ValueError for an unknown layout, or words that would end a turn or act as audio."""
    if layout not in LAYOUTS:
        raise ValueError(
            f"prompt layout '{shown(layout)}' is unknown; allowed are {', '.join(LAYOUTS)}. "
            "Correct prompt_layout in bundle.json."
        )
    for text in texts:
        specials = tokenizer.specials_in(text)
        if specials:
            raise ValueError(
                f"the text contains the control token '{shown(specials[0])}'; only words and "
                "[sound] tags are allowed. Remove it."
            )
