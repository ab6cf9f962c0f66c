"""Text to ids and back with a bundle's SentencePiece model. Source: spec 6.3.

Special tokens are the pieces of the form <...> that are control, user-defined or unknown. They
are cut out of the text first, and the parts between them are encoded on their own. A text gets a
leading space only where it starts the string, never after a special token. SentencePiece itself
would always add one, and would spell control tokens out as text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece

from ..files.reading import read_bytes
from ..printable import shown

_NO_DUMMY_PREFIX = b"\x1a\x02\x18\x00"
"""Protobuf bytes of ModelProto { normalizer_spec { add_dummy_prefix: false } }; appended to a
model they override that one field, because protobuf merges repeated messages."""
MODEL_LIMIT = 2**26
"""Most bytes of tokenizer.model; the released one has 1.5 MB."""
REMEDY = "Copy tokenizer.model again from where the bundle came from."
_SPECIAL = re.compile(r"<[^<>]+>")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
"""Letters, with an apostrophe between them."""
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


class TextTokenizer:
    """Text to ids and back with one tokenizer.model."""

    def __init__(self, model_path: str | Path) -> None:
        path = Path(model_path)
        if not path.is_file():
            raise ValueError(
                f"no tokenizer at {shown(path.name)}; a bundle has tokenizer.model beside "
                "bundle.json. Copy the missing file from where the bundle came from."
            )
        data = read_bytes(path, MODEL_LIMIT, REMEDY)
        self._model = model = _opened(data, path.name)
        # learned pieces have a negative score, control and user-defined ones have 0
        self._specials: dict[str, int] = {
            piece: i
            for i, piece in enumerate(model.id_to_piece(list(range(len(model)))))
            if _SPECIAL.fullmatch(piece) and model.get_score(i) == 0 and not model.is_byte(i)
        }
        self._special_pieces = {i: piece for piece, i in self._specials.items()}

    @property
    def size(self) -> int:
        """Number of pieces, specials and bytes included."""
        return len(self._model)

    def encode(self, text: str) -> list[int]:
        """Ids of a text that starts a string: the first word gets its leading space."""
        first = _SPECIAL.match(text)
        starts_special = first is not None and first.group() in self._specials
        if text and not starts_special and not text.startswith(" "):
            text = " " + text
        return self.encode_inside(text)

    def encode_inside(self, text: str) -> list[int]:
        """Ids of a text that follows a special token: no leading space is added."""
        ids: list[int] = []
        done = 0
        for match in _SPECIAL.finditer(text):
            special = self._specials.get(match.group())
            if special is None:
                continue
            ids += self._model.encode(text[done : match.start()])
            ids.append(special)
            done = match.end()
        return ids + self._model.encode(text[done:])  # type: ignore[no-any-return]

    def specials_in(self, text: str) -> list[str]:
        """The special tokens in a text, in order; ordinary words have none."""
        return [s for s in _SPECIAL.findall(text) if s in self._specials]

    def unlearnt(self, text: str) -> list[str]:
        """Characters of a text that no piece has and that would be spelled in bytes.

        Spaces and punctuation, which many transcripts have in a typographic shape, do not count.
        """
        found = dict.fromkeys(x for x in text if unicodedata.category(x)[0] not in "ZP")
        return [x for x in found if not x.isspace() and self._in_bytes(x)]

    def letters_per_piece(self, text: str) -> float:
        """Letters of the words of a text that one piece has, on average; 0 without a word.

        Pieces are whole words and endings of the language that they were made for, and pairs of
        letters elsewhere. Words with a letter that no piece has do not count.
        """
        unlearnt = set(self.unlearnt(text.casefold()))
        words = _WORD.findall(text.casefold().replace("\u2019", "'"))
        words = [word for word in words if not unlearnt & set(word)]
        pieces = self._model.encode(" " + " ".join(words)) if words else []
        return sum(map(len, words)) / len(pieces) if pieces else 0.0

    def _in_bytes(self, letter: str) -> bool:
        model = self._model
        return any(model.is_byte(i) or model.is_unknown(i) for i in model.encode(letter))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids; special tokens are written out, so encode_inside gives the ids again."""
        parts: list[str] = []
        run: list[int] = []
        for i in ids:
            if i in self._special_pieces:
                parts += [self._text(run), self._special_pieces[i]]
                run = []
            else:
                run.append(i)
        return "".join([*parts, self._text(run)])

    def _text(self, ids: Sequence[int]) -> str:
        """Pieces as one text; byte pieces become UTF-8, wrong bytes the replacement character."""
        out = bytearray()
        for i in ids:
            piece: str = self._model.id_to_piece(i)
            if _BYTE.fullmatch(piece):
                out.append(int(piece[3:5], 16))
            else:
                out += piece.replace("▁", " ").encode()
        return out.decode(errors="replace")


def _opened(data: bytes, name: str) -> Any:
    """The model in these bytes; ValueError where there is none."""
    problem = f"{shown(name)} is not a SentencePiece model with pieces. {REMEDY}"
    if not data:
        raise ValueError(problem)
    try:
        model = sentencepiece.SentencePieceProcessor(model_proto=data + _NO_DUMMY_PREFIX)
        pieces = len(model)
        model.encode("a")
    except Exception as error:  # the library raises what it likes, by the damage
        raise ValueError(problem) from error
    if not pieces:
        raise ValueError(problem)
    return model
