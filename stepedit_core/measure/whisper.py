"""faster-whisper as a recogniser, with weights that the user already has; nothing is downloaded.

Source: github.com/SYSTRAN/faster-whisper; a model is a folder with model.bin, config.json and
tokenizer.json in the format of CTranslate2.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..audio.resample import resample
from ..files.missing import pip_line
from ..printable import shown
from ..text.units import bare, split_words
from ..types import Clip, Hooks, SilentHooks
from .timeline import Word, divide_time, fit_transcript, snap_borders

PACKAGE = "faster-whisper>=1.1"
RATE = 16_000
STAGE = "hear"
log = logging.getLogger(__name__)
WHISPER_VARIABLE = "WHISPER_BASE"
"""Environment variable: folder of the model that judges results; not a part of the product."""
FILES = ("model.bin", "config.json", "tokenizer.json")
"""What a model folder has at least; without tokenizer.json the package would download one."""


@dataclass(frozen=True)
class WhisperRecogniser:
    """A `Recogniser` on a loaded faster-whisper model."""

    model: Any
    language: str = ""
    """Two letters, for example en; empty lets the model hear which."""
    hooks: Hooks = field(default_factory=SilentHooks)

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        """The words of a clip of any length; empty where nothing is said."""
        wave = resample(clip.wave, clip.sample_rate, RATE)
        pieces, _ = self.model.transcribe(
            wave.numpy(),
            language=self.language or None,
            word_timestamps=True,
            beam_size=5,
            temperature=0.0,  # no draws: the same words every time
            condition_on_previous_text=False,  # a mistake is not carried on
        )
        words: list[Word] = []
        for piece in pieces:  # each is computed when it is asked for
            self.hooks.check()
            for heard in piece.words or ():
                words += _as_words(heard, words[-1].end if words else 0.0, clip.seconds)
            done = words[-1].end if words else 0.0
            self.hooks.progress(STAGE, round(1000 * done), round(1000 * clip.seconds))
        return snap_borders(words, Clip(wave=wave, sample_rate=RATE))

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        """The words of the transcript at the times where they, or others for them, were heard."""
        return fit_transcript(self.transcribe(clip), transcript, clip.seconds)


class NotInstalledError(ValueError):
    """The package faster-whisper is not there; the text is the sentence."""


def is_installed() -> bool:
    """Whether the package is there, without importing it."""
    return "faster_whisper" in sys.modules or find_spec("faster_whisper") is not None


@lru_cache(maxsize=8)
def say_passed_over(folder: str) -> None:
    """Log, once for a folder, that nothing can hear with it."""
    log.warning(
        "the recogniser in '%s' is passed over: faster-whisper is not installed. Run: %s",
        shown(folder),
        shown(pip_line(PACKAGE)),
    )


def open_whisper(
    folder: str | Path,
    *,
    language: str = "",
    device: str = "cpu",
    hooks: Hooks | None = None,
) -> WhisperRecogniser:
    """The recogniser of a model folder.

    Raises ValueError where the folder is not such a model, or the package is not installed.
    """
    model = whisper_model(folder, device=device)
    return WhisperRecogniser(model, language, hooks or SilentHooks())


def whisper_model(folder: str | Path, **how: Any) -> Any:
    """The package's model of a folder; `how` as its WhisperModel takes it.

    Raises ValueError where the folder is not such a model, or the package is not installed.
    """
    place = Path(folder)
    absent = [name for name in FILES if not (place / name).is_file()]
    if absent:
        raise ValueError(
            f"'{shown(place)}' lacks {shown(', '.join(absent))}; a faster-whisper model is a "
            f"folder with {', '.join(FILES)}. Name such a folder; nothing is downloaded."
        )
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise NotInstalledError(
            f"words are heard by faster-whisper, which is not installed. Run: {pip_line(PACKAGE)}"
        ) from error
    try:
        with _only_errors():
            return WhisperModel(str(place), local_files_only=True, **how)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"the model in '{shown(place)}' cannot be read: it is damaged, or of another version "
            f"of CTranslate2 ({shown(error, 80)}). Copy the folder again."
        ) from error


@contextmanager
def _only_errors() -> Iterator[None]:
    """Within a block CTranslate2 prints errors alone: not which type of number it takes instead."""
    engine: Any = sys.modules.get("ctranslate2")
    if engine is None:
        yield
        return
    before = engine.get_log_level()
    engine.set_log_level(max(before, logging.ERROR))
    try:
        yield
    finally:
        engine.set_log_level(before)


def _as_words(heard: Any, after: float, seconds: float) -> list[Word]:
    """One word of the package, cut to Chinese characters; none where it has no letter or no time.

    Times lie between the word before, which ends at `after`, and the end of the clip.
    """
    text = str(heard.word).strip()
    start = max(float(heard.start), after)
    end = min(float(heard.end), seconds)
    if not bare(text) or start >= seconds:
        return []
    end = max(end, min(start + 0.02, seconds))
    sure = min(1.0, max(0.0, float(heard.probability)))
    whole = Word(text, start, end, sure)
    return [Word(w.text, w.start, w.end, sure) for w in divide_time(split_words(text), whole)]


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What a judge hears, and how sure it is of it."""

    text: str
    log_prob: float
    """Mean log-probability of the segments; -9 where nothing is heard."""


class FasterWhisper:
    """Whisper for judges and recipes: the text alone, greedy, on the CPU in int8.

    Args:
        folder: of a CTranslate2 model; None takes the one that $WHISPER_BASE names.
        threads: of the recogniser; 0 leaves the choice to it.

    Raises ValueError where the folder or the package is absent.
    """

    def __init__(self, folder: str | Path | None = None, *, threads: int = 0) -> None:
        named = os.environ.get(WHISPER_VARIABLE, "") if folder is None else str(folder)
        if not named:
            raise ValueError(
                f"the recogniser needs a Whisper model; ${WHISPER_VARIABLE} names none. Set it to "
                "a CTranslate2 folder."
            )
        self._model: Any = whisper_model(
            named, device="cpu", compute_type="int8", cpu_threads=threads
        )

    def transcript(self, clip: Clip, language: str = "en") -> Transcript:
        """Words of a clip at any rate, with their log-probability."""
        wave = resample(clip.wave.float(), clip.sample_rate, RATE).numpy()
        segments = list(
            self._model.transcribe(
                wave, language=language or None, beam_size=1, condition_on_previous_text=False
            )[0]
        )
        chances = [segment.avg_logprob for segment in segments] or [-9.0]
        return Transcript(
            text=" ".join(segment.text.strip() for segment in segments),
            log_prob=float(sum(chances) / len(chances)),
        )

    def transcribe(self, clip: Clip, language: str = "en") -> str:
        """Words of a clip."""
        return self.transcript(clip, language).text
