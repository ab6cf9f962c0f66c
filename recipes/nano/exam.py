"""Clips for `stepedit evaluate`: what its judges learn from, and the cases they judge.

Judges hear voices and texts that nothing else was trained on: pseudo speakers beyond the corpus's
pool, other draws of the texts. They are tried on real acted speech (RAVDESS, for measuring only).
Cases start from recordings: other pseudo speakers, and people (LJ Speech, the examples of the
release, held-out readers of LibriSpeech).

    python -m recipes.nano.exam --corpus DIR --clips REAL_SPEECH --out runs/exam
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from recipes.nano.corpus.archetypes import EMOTIONS, STYLES
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.corpus.make_corpus import SPEAKERS, level
from recipes.nano.corpus.shaping import apply, scaled
from recipes.nano.corpus.sounds import SOUNDS, SoundMaker, insert
from recipes.nano.corpus.speakers import Speaker, revoice, speaker
from recipes.nano.corpus.teacher_hibari import Hibari
from recipes.nano.corpus.texts import Grammar
from recipes.nano.corpus.vocoder import FLOOR, HOP, RATE_HZ, Frames, synthesise
from recipes.nano.judge import held_out
from recipes.nano.training import is_dev, log, setup

CLASSES = {
    "emotion": ("happy", "angry", "sad", "fear", "surprised"),
    "style": ("child", "exaggerated", "recite", "older", "whisper", "sweet", "authority"),
}
"""The report's five emotions and seven styles; nano has no `act_coy` and no `generous`, and is asked
for the nearest it has, `sweet` and `authority`."""
STRENGTHS = (2 / 3, 1.0, 4 / 3)
"""Of the archetype, in clips that judges learn from."""
SPEAKERS_OF_JUDGES = (60, 20)
"""Pseudo speakers that judges learn from, and that they are tried on."""
VOICES, PEOPLE, SENTENCES = 4, 4, 22
"""Voices and people of the cases, and the sentences of each voice."""
RAVDESS = {
    "01": "neutral",
    "02": "neutral",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "08": "surprised",
}
FRAMES_PER_SECOND = RATE_HZ / HOP
LONGEST = 9.0
"""Seconds of a person's recording."""


def speak(
    number: int, tools: tuple[Hibari, Grammar], rng: np.random.Generator
) -> tuple[Speaker, str, Frames]:
    """A sentence of 1 to 5 s by a pseudo speaker."""
    teacher, grammar = tools
    who = speaker(number)
    while True:
        text = grammar.text(rng)
        base = teacher.frames(teacher.phonemes(text), who.rate, rng)
        if 80 <= len(base) <= 400:
            return who, text, revoice(base, who, rng)


def write(path: Path, frames: Frames, level_db: float, rng: np.random.Generator) -> None:
    """Synthesise to a file."""
    wave = synthesise(frames, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave * level(wave, level_db), RATE_HZ)


def write_lines(path: Path, rows: Sequence[Mapping[str, str | float]]) -> None:
    """A JSON-lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    log.info("%s: %d lines", path.name, len(rows))


def judge_clips(out: Path, tools: tuple[Hibari, Grammar], speakers: Sequence[int]) -> None:
    """judge-emotion.jsonl and judge-style.jsonl: every speaker says two texts in every class."""
    rows: dict[str, list[dict[str, str]]] = {kind: [] for kind in CLASSES}
    for k in range(sum(speakers)):
        rng = np.random.default_rng([11, k])
        split = "train" if k < speakers[0] else "dev"
        for n in range(2):
            who, _, base = speak(SPEAKERS + 1 + k, tools, rng)
            for kind, options in CLASSES.items():
                for option in ("neutral", *options):
                    frames = base
                    if option != "neutral":
                        manner = (EMOTIONS if kind == "emotion" else STYLES)[option]
                        wanted = scaled(manner, float(rng.choice(STRENGTHS)))
                        frames = apply(base, wanted, who.f0_hz, rng)
                    path = f"judge/{k:03d}-{n}-{option}.wav"
                    write(out / path, frames, who.level_db, rng)
                    # the plain voice is known from the same words and from others
                    for m in range(2):
                        source = f"judge/{k:03d}-{m}-neutral.wav"
                        row = {"source": source, "audio": path, "label": option, "split": split}
                        rows[kind].append(row)
    for kind, lines in rows.items():
        write_lines(out / f"judge-{kind}.jsonl", lines)


def sound_clips(out: Path, tools: tuple[Hibari, Grammar], speakers: Sequence[int]) -> None:
    """judge-sounds.jsonl: every speaker makes every sound once, in a sentence."""
    maker = SoundMaker(tools[0])
    rows: list[dict[str, str | float]] = []
    for k in range(sum(speakers)):
        rng = np.random.default_rng([13, k])
        who, text, base = speak(SPEAKERS + 501 + k, tools, rng)
        source = f"judge/s{k:03d}.wav"
        write(out / source, base, who.level_db, rng)
        for tag in SOUNDS:
            frames, _ = insert(base, text, [(tag, maker(tag, who, rng))], rng)
            sounding = (frames.words < 0) & (frames.noise.max(1) > np.log(FLOOR) + 1)
            first, last = np.flatnonzero(sounding)[[0, -1]] / FRAMES_PER_SECOND
            path = f"judge/s{k:03d}-{tag}.wav"
            write(out / path, frames, who.level_db, rng)
            row = {"source": source, "audio": path, "label": tag}
            split = "train" if k < speakers[0] else "dev"
            span = {"start": float(first), "end": float(last)}
            rows.append({**row, "split": split, **span})
    write_lines(out / "judge-sounds.jsonl", rows)


def acted_clips(out: Path, root: Path) -> None:
    """ravdess.jsonl: real acted clips of the five emotions and of none.

    The source is the actor's first plain clip of the sentence, or of the other one where that is
    the clip itself.
    """
    rows = []
    for path in sorted((root / "ravdess_dev").rglob("*.flac")):
        modality, channel, emotion, _, sentence, _, actor = path.stem.split("-")
        if emotion not in RAVDESS:
            continue
        plain = [f"{modality}-{channel}-01-01-{s}-01-{actor}.flac" for s in ("01", "02")]
        source = plain[int(sentence) - 1]
        if source == path.name:
            source = plain[2 - int(sentence)]
        files = {"source": path.with_name(source), "audio": path}
        names = {side: str(file.resolve()) for side, file in files.items()}
        rows.append({**names, "label": RAVDESS[emotion]})
    write_lines(out / "ravdess.jsonl", rows)


def teacher_voices(out: Path, tools: tuple[Hibari, Grammar]) -> Iterator[tuple[str, Path, str]]:
    """(name, file, words) of pseudo speakers, a new sentence at every call."""
    for k in range(VOICES):
        rng = np.random.default_rng([12, k])
        for n in range(SENTENCES):
            who, text, base = speak(SPEAKERS + 1001 + k, tools, rng)
            path = out / "voices" / f"{who.id}-{n:02d}.wav"
            write(path, base, who.level_db, rng)
            yield who.id, path, text


def people(out: Path, corpus: Path, root: Path) -> list[tuple[str, Path, str]]:
    """(name, file, words) of real recordings of up to LONGEST seconds, held out everywhere."""
    found = [
        (name, path, words)
        for name, path, words in held_out(root)
        if soundfile.info(path).duration <= LONGEST
    ]
    recordings = Corpus(corpus, ("libri",))
    for record in filter(is_dev, recordings.records):
        wave = recordings.audio(record)
        if len(wave) <= LONGEST * RATE_HZ and record["log_prob"] > -0.4:
            path = out / "people" / f"{record['id']}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave, RATE_HZ)
            found.append((record["speaker"], path, record["text"]))
    return found


def case(name: str, path: Path, words: str, kind: str, label: str, text: str) -> dict[str, str]:
    """A line of the benchmark's format."""
    return {
        "speaker": name,
        "gen_text": text,
        "prompt_audio": str(path.resolve()),
        "prompt_text": words,
        "lang": "en",
        "task": kind,
        "task_sub": label,
    }


def main() -> None:
    """Write all clips and lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "clips", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument(
        "--speakers",
        type=int,
        nargs=2,
        default=SPEAKERS_OF_JUDGES,
        metavar="N",
        help="pseudo speakers that judges learn from, and that they are tried on",
    )
    parser.add_argument("--cases", type=int, metavar="N", help="cases a file; default all")
    args = parser.parse_args()
    setup(1)
    args.out.mkdir(parents=True, exist_ok=True)
    tools = Hibari(args.corpus / "teacher"), Grammar(None, None)
    judge_clips(args.out, tools, args.speakers)
    sound_clips(args.out, tools, args.speakers)
    acted_clips(args.out, args.clips)
    real = people(args.out, args.corpus, args.clips)
    wanted = [(kind, label) for kind, labels in CLASSES.items() for label in labels]
    wanted += [("sounds", tag) for tag in SOUNDS]
    voices = list(teacher_voices(args.out, tools))
    sets = {
        "teacher": [[v for v in voices if v[0] == name] for name in sorted({v[0] for v in voices})],
        "people": [real[k::PEOPLE] for k in range(PEOPLE)],
    }
    for name, groups in sets.items():
        rows: dict[str, list[dict[str, str]]] = {}
        for n, (kind, label) in enumerate(wanted):
            for group in groups:
                who, path, words = group[n % len(group)]
                task, text = kind, words
                if kind == "sounds":
                    task = "paralinguistic"
                    text = f"[{label}] {words}" if n % 2 else f"{words} [{label}]"
                rows.setdefault(kind, []).append(case(who, path, words, task, label, text))
        for kind, lines in rows.items():
            write_lines(args.out / f"{name}-{kind}.jsonl", lines[: args.cases])


if __name__ == "__main__":
    main()
