"""Local judges beside accuracy: words, speaker, quality; and the plug for any other judge.

The words' errors are measure/recogniser.py. A judge that is absent names its pip line (extras
`evaluate` and `recipes`). None is part of the product; `recipes/nano` uses the same ones.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from ..audio.resample import resample
from ..files.missing import pip_line
from ..measure.recogniser import jiwer_module, word_error_rate
from ..measure.whisper import RATE, FasterWhisper
from ..printable import shown
from ..types import Clip
from .protocol import Outcome

Judge = Callable[[Clip, Clip, str], float]
"""(source, result, label) -> 1.0 for a label that is heard and 0.0 for another, or 1 to 3 for
sounds: what an external judge is."""
Figure = Callable[[Outcome], float]


def load_judge_function(name: str) -> Judge:
    """The function "package.module:function". ValueError where it cannot be had."""
    module, colon, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if colon else None
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"the judge '{shown(name)}' cannot be loaded ({shown(error)}); PACKAGE.MODULE:FUNCTION "
            "is expected. Check the name and the Python path."
        ) from error
    if not callable(found):
        raise ValueError(
            f"the judge '{shown(name)}' is not a function; PACKAGE.MODULE:FUNCTION is expected. "
            "Correct it."
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


def speaker_vectors() -> Callable[[Clip], np.ndarray]:
    """A function from a clip to its Resemblyzer vector (256,) of length 1.

    The dot product of two is their similarity.
    """
    try:
        from resemblyzer import VoiceEncoder
    except ImportError as error:
        raise _absent("resemblyzer", error) from error
    model: Any = VoiceEncoder("cpu", verbose=False)

    def vector(clip: Clip) -> np.ndarray:
        found: np.ndarray = model.embed_utterance(wave16(clip))
        return found

    return vector


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
            made[name] = _word_errors()
        elif name == "similarity":
            vector = speaker_vectors()
            made[name] = lambda o, v=vector: float(  # type: ignore[misc]
                np.dot(v(o.original), v(o.made.clip))
            )
        elif name == "mos":
            mos = quality()
            made[name] = lambda o, m=mos: m(o.made.clip)  # type: ignore[misc]
        else:
            raise ValueError(
                f"the figure '{shown(name)}' is unknown; allowed are wer, similarity and mos. "
                "Correct --figures."
            )
    return made


def _word_errors() -> Figure:
    """Word error rate of what Whisper hears; its packages are found here, not after the edits."""
    try:
        recogniser = FasterWhisper()
        jiwer_module()
    except ValueError as error:
        raise ValueError(f"{shown(error)} Or leave wer out with --figures.") from error
    return lambda o: word_error_rate(
        o.case.words, recogniser.transcribe(o.made.clip, o.case.language)
    )
