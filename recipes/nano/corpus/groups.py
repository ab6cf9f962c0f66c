"""Groups for the edits: one neutral clip of a speaker and text, and what it becomes (ours)."""

import numpy as np

from recipes.nano.corpus.archetypes import EMOTIONS, SPEEDS, STRENGTHS, STYLES
from recipes.nano.corpus.damage import add_pauses, spoil
from recipes.nano.corpus.shaping import apply, scaled
from recipes.nano.corpus.sounds import SOUNDS, insert
from recipes.nano.corpus.speakers import Speaker, revoice
from recipes.nano.corpus.vocoder import Frames, stretch, synthesise

FIRST = ("happy", "sad", "angry", "fear", "surprised", "whisper")
"""Drawn six times as often in the first shards."""


def draw_options(rng: np.random.Generator, early: bool, count: int) -> list[tuple[str, str]]:
    """`count` different (kind, option) of emotions and styles."""
    rows = [("emotion", o) for o in EMOTIONS] + [("style", o) for o in STYLES]
    weights = np.array([(6.0 if early else 2.0) if o in FIRST else 1.0 for _, o in rows])
    chosen = rng.choice(len(rows), count, replace=False, p=weights / weights.sum())
    return [rows[k] for k in chosen]


def edits_of(
    base: Frames, text: str, who: Speaker, tools: dict, rng: np.random.Generator, early: bool
) -> list[tuple[dict, Frames]]:
    """Edited frames with their record fields; base is the neutral voice of `who`.

    Without tools["sounds"] no sounds are inserted (real timbres have none of their own).
    """
    out: list[tuple[dict, Frames]] = []
    for kind, option in draw_options(rng, early, int(rng.choice([1, 2, 2, 3]))):
        row = (EMOTIONS if kind == "emotion" else STYLES)[option]
        seed = int(rng.integers(2**31))
        for strength in STRENGTHS:
            step = apply(base, scaled(row, strength), who.f0_hz, np.random.default_rng(seed))
            out.append(({"kind": kind, "option": option, "strength": round(strength, 4)}, step))
    if rng.random() < 0.55:
        direction = ("faster", "slower")[int(rng.integers(2))]
        for step, option in enumerate((direction, f"more {direction}")):
            frames = stretch(base, round(len(base) * SPEEDS[option]))
            fields = {"kind": "speed", "option": option, "strength": float(step + 1)}
            out.append((fields | {"length": SPEEDS[option]}, frames))
    if rng.random() < 0.3:
        for strength in (0.5, 1.0):
            fields = {"kind": "trim_silence", "option": "", "strength": strength}
            out.append((fields, add_pauses(base, strength, rng)))
    if "sounds" in tools and rng.random() < 0.6:
        names = [str(n) for n in rng.choice(list(SOUNDS), 2, replace=False)]
        made = [(n, tools["sounds"](n, who, rng)) for n in names]
        for k in range(1, 2 + int(rng.random() < 0.35)):
            frames, new_text = insert(base, text, made[:k], np.random.default_rng(len(text)))
            fields = {"kind": "sounds", "option": "", "strength": float(k), "new_text": new_text}
            out.append((fields, frames))
    return out


def make_group(
    group: str, text: str, who: Speaker, tools: dict, rng: np.random.Generator, early: bool
) -> list[tuple[dict, np.ndarray, Frames]]:
    """All clips of one group as (fields, wave, frames), neutral first, one gain for all.

    Empty where the sentence is shorter than 0.9 s or longer than 6.5 s.
    """
    teacher = tools["hibari"]
    base = teacher.frames(teacher.phonemes(text), who.rate, rng)
    if not 72 <= len(base) <= 520:
        return []
    base = revoice(base, who, rng)
    steps = edits_of(base, text, who, tools, rng, early)
    return render((group, text), base, steps, who.level_db, tools, rng)


def render(
    named: tuple[str, str],
    base: Frames,
    steps: list[tuple[dict, Frames]],
    level_db: float,
    tools: dict,
    rng: np.random.Generator,
) -> list[tuple[dict, np.ndarray, Frames]]:
    """Synthesise the neutral base and its edits with one gain, add noisy copies to four of ten.

    `named` are the group and its text.
    """
    group, text = named
    steps = [({"kind": "neutral", "option": "", "strength": 0.0}, base), *steps]
    waves = [synthesise(frames, rng) for _, frames in steps]
    gain = tools["level"](waves[0], level_db)
    gain = min(gain, 0.97 / max(np.abs(w).max() for w in waves))
    clips = [
        (fields | {"group": group, "text": text}, wave * gain, frames)
        for (fields, frames), wave in zip(steps, waves, strict=True)
    ]
    if rng.random() < 0.4:
        others = tools.setdefault("others", [])
        for strength in (0.5, 1.0):
            wave, told = spoil(waves[0] * gain, strength, others, rng)
            fields = {"kind": "denoise", "option": "", "strength": strength, "group": group}
            clips.append((fields | {"text": text, "damage": told}, wave, base))
    tools["others"] = [*tools.get("others", [])[-12:], waves[0] * gain]
    return clips
