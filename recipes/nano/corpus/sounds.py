"""The ten non-verbal sounds of the 2025 tags, built from the teacher's interjections (ours).

Words such as oh and uhm are cut out of a spoken carrier; laughter is a row of breathy `ha` with
falling F0 and level; breath and sigh are noise through the speaker's own vocal tract.
"""
# ruff: noqa: RUF001 - phoneme strings

from dataclasses import dataclass

import numpy as np

from recipes.nano.corpus.speakers import DB, Speaker, breathe, revoice
from recipes.nano.corpus.teacher_hibari import INDEX, Hibari
from recipes.nano.corpus.vocoder import Frames, join, silence, stretch


@dataclass(frozen=True, kw_only=True)
class Sound:
    """How one tag is spoken."""

    carrier: str
    """Misaki phonemes; the first word is cut out."""
    seconds: float
    """Length of the cut word after stretching."""
    f0_st: tuple[float, ...]
    """F0 contour against the speaker's mean, evenly spaced."""
    level_db: tuple[float, ...]
    """Level contour against the cut word."""
    breath: float = 0.0
    """Added breathiness, 0 to 1; 2 removes the voice."""
    places: tuple[str, ...] = ("start", "inside", "end")
    """Where it may stand in a sentence."""


SOUNDS = {
    "Uhm": Sound(
        carrier="ˈʌm, lˈɛt mi θˈɪŋk.",
        seconds=0.48,
        f0_st=(0, -1, -2),
        level_db=(-2, -1, -4),
        places=("start", "inside"),
    ),
    "Surprise-oh": Sound(
        carrier="ˈO, ðˈæts nˈIs.",
        seconds=0.45,
        f0_st=(2, 8, 5, 0),
        level_db=(0, 3, 2, -3),
        places=("start", "inside"),
    ),
    "Surprise-ah": Sound(
        carrier="ˈɑ, ðˈæts nˈIs.",
        seconds=0.42,
        f0_st=(4, 9, 8, 4),
        level_db=(1, 4, 3, -2),
        places=("start", "inside"),
    ),
    "Surprise-wa": Sound(
        carrier="wˈɑ, ðˈæts nˈIs.",
        seconds=0.6,
        f0_st=(1, 6, 9, 5, -1),
        level_db=(0, 3, 4, 2, -4),
        places=("start", "end"),
    ),
    "Confirmation-en": Sound(
        carrier="ˈɛn, ðˈæts fˈIn.",
        seconds=0.36,
        f0_st=(2, 0, -4),
        level_db=(-1, 0, -5),
        places=("start", "inside"),
    ),
    "Question-ei": Sound(
        carrier="ˈA, wˈʌt ɪz ðˈæt?",
        seconds=0.42,
        f0_st=(-1, 1, 5, 9),
        level_db=(-1, 0, 2, -1),
        places=("start", "end"),
    ),
    "Dissatisfaction-hnn": Sound(
        carrier="hˈʌn, ðˈæts bˈæd.",
        seconds=0.62,
        f0_st=(1, -1, -4, -7),
        level_db=(-1, 1, 0, -6),
        places=("start", "end"),
    ),
    "Sigh": Sound(
        carrier="hˈɑ, wˈɛl ðˈɛn.",
        seconds=0.95,
        f0_st=(2, 0, -3, -7),
        level_db=(-8, -3, -8, -16, -26),
        breath=0.8,
        places=("start", "inside", "end"),
    ),
    "Breathing": Sound(
        carrier="hˈʌ, wˈɛl ðˈɛn.",
        seconds=0.5,
        f0_st=(0, 0),
        level_db=(-24, -12, -8, -14),
        breath=2.0,
        places=("start", "inside", "end"),
    ),
    "Laughter": Sound(
        carrier="hˈɑ, ðˈæts ɡˈʊd.",
        seconds=0.19,
        f0_st=(6, 3),
        level_db=(0, 2, -8),
        breath=0.45,
        places=("start", "inside", "end"),
    ),
}


class SoundMaker:
    """Caches the teacher's cut words."""

    def __init__(self, teacher: Hibari):
        """Cut each carrier once."""
        rng = np.random.default_rng(0)
        self.cuts = {name: teacher.word(s.carrier, rng) for name, s in SOUNDS.items()}

    def __call__(self, name: str, who: Speaker, rng: np.random.Generator) -> Frames:
        """The sound in the voice of `who`, with a little variation."""
        sound, cut = SOUNDS[name], self.cuts[name]
        if name == "Laughter":
            count = int(rng.integers(3, 6))
            parts = []
            for k in range(count):
                lift = rng.uniform(0.5, 1.2) * (count / 2 - 1 - k)
                pulse = _spoken(cut, sound, who, rng, lift, -1.8 * k)
                parts += [pulse, silence(int(rng.integers(2, 5)))]
            out = join(parts[:-1])
            return out.with_(phones=np.full(len(out), INDEX["laugh"], np.uint8))
        if name == "Breathing":
            inhale = _spoken(cut, sound, who, rng, 0, 0)
            exhale = _spoken(cut, sound, who, rng, 0, -4)
            backwards = exhale.take(np.arange(len(exhale))[::-1])
            out = join([inhale, silence(6), backwards])
            return out.with_(phones=np.full(len(out), INDEX["breath"], np.uint8))
        out = _spoken(cut, sound, who, rng, rng.normal(0, 0.7), rng.normal(0, 1))
        if name == "Sigh":
            out = out.with_(phones=np.full(len(out), INDEX["breath"], np.uint8))
        return out


def _spoken(
    cut: Frames, sound: Sound, who: Speaker, rng: np.random.Generator, lift: float, gain_db: float
) -> Frames:
    """One cut word stretched, revoiced and given its contours."""
    count = max(round(sound.seconds * rng.uniform(0.85, 1.2) * 80), 8)
    frames = revoice(stretch(cut, count), who, rng)
    place = np.linspace(0, 1, count)
    st = np.interp(place, np.linspace(0, 1, len(sound.f0_st)), sound.f0_st) + lift
    st += rng.normal(0, max(who.jitter, 0.05), count)
    db = np.interp(place, np.linspace(0, 1, len(sound.level_db)), sound.level_db) + gain_db
    gain = (db * DB)[:, None].astype(np.float32)
    f0 = np.where(frames.f0 > 0, np.clip(who.f0_hz * 2 ** (st / 12), 55, 650), 0)
    frames = frames.with_(
        harmonic=frames.harmonic + gain,
        noise=frames.noise + gain,
        f0=f0.astype(np.float32),
        words=np.full(count, -1, np.int16),
    )
    if sound.breath >= 2:
        from recipes.nano.corpus.archetypes import Archetype
        from recipes.nano.corpus.shaping import apply

        frames = apply(frames, Archetype(whisper=1.0), who.f0_hz, rng)
    elif sound.breath > 0:
        frames = breathe(frames, sound.breath)
    ramp = np.clip(np.minimum(np.arange(count) + 1, np.arange(count)[::-1] + 1) / 4, 0, 1)
    fade = np.log(ramp)[:, None].astype(np.float32)
    return frames.with_(harmonic=frames.harmonic + fade, noise=frames.noise + fade)


def insert(
    base: Frames, text: str, sounds: list[tuple[str, Frames]], rng: np.random.Generator
) -> tuple[Frames, str]:
    """Put each named sound into the sentence -> (frames, text with [Tag]).

    Tags stand before a word or after the last; positions are drawn from the sound's places.
    """
    words = text.split()
    labelled = int(base.words.max()) + 1 == len(words)
    starts = (
        [int(np.flatnonzero(base.words == w)[0]) for w in range(len(words))] if labelled else []
    )
    marks: dict[int, list[tuple[str, Frames]]] = {}
    for name, frames in sounds:
        places = [p for p in SOUNDS[name].places if p != "inside" or (labelled and len(words) > 3)]
        place = places[int(rng.integers(len(places)))]
        at = {"start": 0, "end": len(words)}.get(place)
        if at is None:
            commas = [k + 1 for k, w in enumerate(words[:-1]) if w[-1] in ",.?!"]
            usable = commas if commas and rng.random() < 0.7 else list(range(1, len(words)))
            at = usable[int(rng.integers(len(usable)))]
        marks.setdefault(at, []).append((name, frames))
    parts, out, before = [], [], 0
    for at in sorted(marks):
        frame = 0 if at == 0 else len(base) if at == len(words) else starts[at]
        parts.append(base.take(np.arange(before, frame)))
        out += words[0 if not out else _count(out) : at]
        for name, frames in marks[at]:
            parts += [silence(int(rng.integers(4, 12))), frames, silence(int(rng.integers(4, 14)))]
            out.append(f"[{name}]")
        before = frame
    parts.append(base.take(np.arange(before, len(base))))
    out += words[_count(out) :]
    return join(parts), " ".join(out)


def _count(out: list[str]) -> int:
    """How many real words are in a list that also has tags."""
    return sum(not w.startswith("[") for w in out)
