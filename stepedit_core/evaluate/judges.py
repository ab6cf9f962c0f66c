"""Local judges beside accuracy: words, speaker, quality; and the plug for any other judge.

Each is loaded when first asked and names its pip line when it is absent (extra `recipes`). None is
part of the product.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from ..audio.resample import resample
from ..files.missing import pip_line
from ..types import Clip
from .protocol import Outcome

Judge = Callable[[Clip, Clip, str], float]
"""(source, result, label) -> 1.0 for a label that is heard and 0.0 for another, or 1 to 3 for
sounds: what an external judge is."""
Figure = Callable[[Outcome], float]
RATE = 16_000
WHISPER_VARIABLE = "WHISPER_BASE"
"""Environment variable: folder of a CTranslate2 Whisper model."""


def load_judge_function(name: str) -> Judge:
    """The function "package.module:function". ValueError where it cannot be had."""
    module, colon, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if colon else None
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"the judge '{name}' cannot be loaded ({error}); PACKAGE.MODULE:FUNCTION is wanted. "
            "Check the name and the Python path."
        ) from error
    if not callable(found):
        raise ValueError(
            f"the judge '{name}' is no function; PACKAGE.MODULE:FUNCTION is wanted. Correct it."
        )
    judge: Judge = found
    return judge


def _absent(package: str, error: ImportError) -> ValueError:
    return ValueError(
        f"{package} is not installed ({error}). Run `{pip_line(package)}`, or leave its figure out "
        "with --figures."
    )


def wave16(clip: Clip) -> np.ndarray:
    """(N,) float32 at 16 kHz."""
    found: np.ndarray = resample(clip.wave.float(), clip.sample_rate, RATE).numpy()
    return found


def plain_words(text: str) -> list[str]:
    """Words in lower case without punctuation; a Chinese character is a word."""
    text = re.sub(r"([\u4e00-\u9fff])", r" \1 ", text.lower().replace("\u2019", "'"))
    return re.sub(r"[^\w' ]+", " ", text).replace("'", "").split()


def word_errors(reference: str, found: str) -> float:
    """Edit distance of the words over the reference's; 1.0 where nothing is left of them."""
    a, b = plain_words(reference), plain_words(found)
    if not a:
        return float(bool(b))
    line = list(range(len(b) + 1))
    for i, word in enumerate(a, start=1):
        before, line[0] = line[0], i
        for j, other in enumerate(b, start=1):
            before, line[j] = line[j], min(line[j] + 1, line[j - 1] + 1, before + (word != other))
    return line[-1] / len(a)


def whisper_words() -> Callable[[Clip, str], str]:
    """A function from clip and language to words, by faster-whisper."""
    folder = os.environ.get(WHISPER_VARIABLE, "")
    if not folder:
        raise ValueError(
            f"the figure wer needs a Whisper model; ${WHISPER_VARIABLE} names none. Set it to a "
            "CTranslate2 folder, or leave wer out with --figures."
        )
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise _absent("faster-whisper", error) from error
    model: Any = WhisperModel(folder, device="cpu", compute_type="int8")

    def words(clip: Clip, language: str) -> str:
        pieces, _ = model.transcribe(
            wave16(clip), language=language, beam_size=1, condition_on_previous_text=False
        )
        return " ".join(piece.text.strip() for piece in pieces)

    return words


def speaker_similarity() -> Callable[[Clip, Clip], float]:
    """A function from two clips to the cosine of their Resemblyzer vectors."""
    try:
        from resemblyzer import VoiceEncoder
    except ImportError as error:
        raise _absent("resemblyzer", error) from error
    model: Any = VoiceEncoder("cpu", verbose=False)

    def similarity(a: Clip, b: Clip) -> float:
        first, second = (model.embed_utterance(wave16(clip)) for clip in (a, b))
        return float(np.dot(first, second))

    return similarity


@contextmanager
def _torchaudio_or_nothing() -> Iterator[None]:
    """Inside, `import torchaudio` works: distillmos uses it in its own command only.

    torchaudio is absent in many places, and fails to load (OSError) beside another torch.
    """
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError):
        sys.modules["torchaudio"] = ModuleType("torchaudio")
        try:
            yield
        finally:
            del sys.modules["torchaudio"]
    else:
        yield


def quality() -> Callable[[Clip], float]:
    """A function from a clip to DistillMOS, 1 to 5; clips under 5 s are repeated."""
    try:
        with _torchaudio_or_nothing():
            from distillmos import ConvTransformerSQAModel
    except ImportError as error:
        raise _absent("distillmos", error) from error
    import torch

    model: Any = ConvTransformerSQAModel().eval()

    def mos(clip: Clip) -> float:
        wave = wave16(clip)
        wave = np.tile(wave, 1 + 5 * RATE // max(1, len(wave)))
        with torch.no_grad():
            return float(model(torch.from_numpy(wave)[None])[0])

    return mos


def figures_of(names: tuple[str, ...]) -> Mapping[str, Figure]:
    """The figures of these names; ValueError for an unknown one, or a package that is absent."""
    made: dict[str, Figure] = {}
    for name in names:
        if name == "wer":
            words = whisper_words()
            made[name] = lambda o, w=words: word_errors(  # type: ignore[misc]
                o.case.words, w(o.made.clip, o.case.language)
            )
        elif name == "similarity":
            alike = speaker_similarity()
            made[name] = lambda o, s=alike: s(o.original, o.made.clip)  # type: ignore[misc]
        elif name == "mos":
            mos = quality()
            made[name] = lambda o, m=mos: m(o.made.clip)  # type: ignore[misc]
        else:
            raise ValueError(
                f"the figure '{name}' is unknown; allowed are wer, similarity and mos. Correct "
                "--figures."
            )
    return made
