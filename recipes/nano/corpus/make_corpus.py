"""Make the nano corpus, shard by shard, resumable: run again and finished shards are skipped.

python -m recipes.nano.corpus.make_corpus --out DIR --stage plain --hours 8
"""

import argparse
import logging
import sys
import time
from pathlib import Path

import numpy as np

from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.texts import Grammar

log = logging.getLogger("corpus")
SHARD_SECONDS = 600.0
REAL_SECONDS = 1700.0
"""Audio of a shard of `real`, as measured: 12 recordings and what edits make of them."""
EARLY_SHARDS = 18
"""Shards of edits (3 h) that favour the commonest emotions and whisper."""
KOKORO_SECONDS = 40.0
"""Native audio per shard of the slow teacher; its groups come on top."""
REAL_CLIPS = 12
"""Recordings per shard of their edit groups, about half an hour once edited."""
SPEAKERS = 4000
"""Size of the pool of pseudo speakers; ids divisible by 50 are `dev`."""


def split_of(number: int) -> str:
    """`dev` for every fiftieth speaker, else `train`."""
    return "dev" if number % 50 == 0 else "train"


def level(wave: np.ndarray, target_db: float) -> float:
    """Gain that brings the louder half of 25 ms frames to target_db RMS, peak at most 0.95."""
    cut = wave[: len(wave) // 600 * 600].reshape(-1, 600)
    power = np.sort((cut**2).mean(1))[len(cut) // 2 :]
    gain = 10 ** (target_db / 20) / np.sqrt(power.mean() + 1e-12)
    return float(min(gain, 0.95 / (np.abs(wave).max() + 1e-9)))


def make_plain(shard: Shard, number: int, tools: dict) -> None:
    """One shard of neutral clips: each text by two pseudo speakers, each speaker in two texts."""
    from recipes.nano.corpus.speakers import revoice, speaker
    from recipes.nano.corpus.vocoder import synthesise

    rng = np.random.default_rng([1, number])
    seconds, k = 0.0, 0
    while seconds < tools["args"].shard_seconds:
        pair = [int(n) for n in rng.integers(0, SPEAKERS, 2)]
        rate = (speaker(pair[0]).rate + speaker(pair[1]).rate) / 2
        for _ in range(2):
            text = tools["grammar"].text(rng)
            frames = tools["hibari"].frames(tools["hibari"].phonemes(text), rate, rng)
            if not 70 <= len(frames) <= 720:
                continue
            for who in pair:
                voice = speaker(who)
                new = revoice(frames, voice, rng)
                wave = synthesise(new, rng)
                wave *= level(wave, voice.level_db)
                record = {
                    "id": f"plain-{number:05d}-{k:04d}",
                    "kind": "neutral",
                    "text": text,
                    "speaker": voice.id,
                    "split": split_of(who),
                    "params": vars(voice) | {"rate": rate},
                }
                shard.add(record, wave, new.f0, new.phones)
                seconds += len(wave) / 24000
                k += 1


def make_edits(shard: Shard, number: int, tools: dict) -> None:
    """One shard of edit groups: each speaker says three or four texts, every text is one group."""
    from recipes.nano.corpus.groups import make_group
    from recipes.nano.corpus.sounds import SoundMaker
    from recipes.nano.corpus.speakers import speaker

    tools.setdefault("level", level)
    if "sounds" not in tools:
        tools["sounds"] = SoundMaker(tools["hibari"])
    rng = np.random.default_rng([2, number])
    seconds, k = 0.0, 0
    while seconds < tools["args"].shard_seconds:
        who = int(rng.integers(0, SPEAKERS))
        voice = speaker(who)
        for _ in range(int(rng.integers(3, 5))):
            text = tools["grammar"].text(rng)
            group = f"e{number:05d}-{k:03d}"
            clips = make_group(group, text, voice, tools, rng, number < EARLY_SHARDS)
            for n, (fields, wave, frames) in enumerate(clips):
                record = {"id": f"edits-{group}-{n:02d}", "speaker": voice.id}
                record |= fields | {"split": split_of(who), "params": vars(voice)}
                shard.add(record, wave, frames.f0, frames.phones)
                seconds += len(wave) / 24000
            k += bool(clips)


def make_kokoro(shard: Shard, number: int, tools: dict) -> None:
    """One shard of real timbres: each clip as the teacher made it, most of them as a group too."""
    from dataclasses import replace

    from recipes.nano.corpus.groups import edits_of, render
    from recipes.nano.corpus.speakers import speaker
    from recipes.nano.corpus.teacher_hibari import trim_edges
    from recipes.nano.corpus.teacher_kokoro import Kokoro
    from recipes.nano.corpus.vocoder import analyse, aperiodicity

    if "kokoro" not in tools:
        tools["kokoro"] = Kokoro(tools["args"].voices, tools["args"].out / "teacher")
        tools.pop("hibari", None)
        tools["level"] = level
    teacher = tools["kokoro"]
    rng = np.random.default_rng([3, number])
    native, k = 0.0, 0
    while native < KOKORO_SECONDS:
        pool = len(teacher.speakers)
        # half of the draws are the 28 plain voices, the rest blends
        index = int(rng.integers(28)) if rng.random() < 0.5 else int(rng.integers(28, pool))
        name, style = teacher.speakers[index]
        for _ in range(3):
            text = tools["grammar"].text(rng)
            wave, f0, phones, words = teacher(text, name, style, float(rng.uniform(0.95, 1.2)))
            if not 72 <= len(f0) <= 720 or not (f0 > 0).any():
                continue
            native += len(wave) / 24000
            level_db = float(rng.uniform(-27, -19))
            fields = {"speaker": name, "split": "train", "text": text, "kind": "neutral"}
            fields |= {"native": True, "id": f"kokoro-{number:05d}-{k:03d}"}
            shard.add(fields, wave * level(wave, level_db), f0, phones)
            k += 1
            if rng.random() < 0.85 and len(f0) <= 480:
                base = trim_edges(analyse(wave, f0, aperiodicity(wave, f0), phones, words))
                mean_hz = float(np.exp(np.log(f0[f0 > 0]).mean()))
                who = replace(speaker(0), id=name, f0_hz=mean_hz)
                steps = edits_of(base, text, who, tools, rng, number < EARLY_SHARDS)
                group = f"k{number:05d}-{k:03d}"
                clips = render((group, text), base, steps, level_db, tools, rng)
                for n, (told, sound, frames) in enumerate(clips):
                    record = {"id": f"kokoro-{group}-{n:02d}", "speaker": name, "split": "train"}
                    shard.add(record | told, sound, frames.f0, frames.phones)


def make_libri(shard: Shard, number: int, tools: dict) -> None:
    """One shard of 60 real clips."""
    from recipes.nano.corpus import real_speech

    every = sorted(tools["args"].clips.glob("*.flac"))
    clips = every[number * 60 : number * 60 + 60]
    if not clips:
        raise SystemExit(
            f"{tools['args'].clips} has {len(every)} flac files; shard {number} needs more than "
            f"{number * 60}. Name the folder of the LibriSpeech clips, or ask for fewer hours."
        )
    real_speech.make_libri(clips, shard, tools["hibari"], tools["args"].whisper)


def make_real(shard: Shard, number: int, tools: dict) -> None:
    """One shard of edit groups of REAL_CLIPS recordings of the libri stage.

    Words have no alignment: a word begins, for pauses alone, where speech comes out of a dip.
    """
    from dataclasses import replace

    from recipes.nano.corpus.dataset import Corpus
    from recipes.nano.corpus.groups import edits_of, render
    from recipes.nano.corpus.shaping import levels
    from recipes.nano.corpus.speakers import speaker
    from recipes.nano.corpus.vocoder import analyse, aperiodicity

    if "recordings" not in tools:
        tools["level"] = level
        tools["recordings"] = Corpus(tools["args"].out, ("libri",))
    corpus = tools["recordings"]
    if not corpus.records:
        raise SystemExit(
            f"{tools['args'].out}/libri has no recordings. Make the libri stage first."
        )
    # every pass over the recordings draws other edits
    clips = [
        corpus.records[k % len(corpus.records)]
        for k in range(number * REAL_CLIPS, (number + 1) * REAL_CLIPS)
    ]
    rng = np.random.default_rng([4, number])
    for k, record in enumerate(clips):
        wave, f0 = corpus.audio(record), corpus.f0(record)
        blank = np.zeros(len(f0), np.int16)
        base = analyse(wave, f0, aperiodicity(wave, f0), blank, blank)
        db = levels(base)
        spoken = db > db.max() - 35
        base = base.with_(
            phones=spoken.astype(np.uint8),
            words=np.cumsum(np.diff(spoken, prepend=False) & spoken).astype(np.int16),
        )
        mean_hz = float(np.exp(np.log(f0[f0 > 0]).mean()))
        who = replace(speaker(0), id=record["speaker"], f0_hz=mean_hz)
        steps = edits_of(base, record["text"], who, tools, rng, number % 2 == 0)
        group = f"r{number:05d}-{k:03d}"
        level_db = float(rng.uniform(-27, -19))
        made = render((group, record["text"]), base, steps, level_db, tools, rng)
        for n, (told, sound, frames) in enumerate(made):
            fields = {"id": f"real-{group}-{n:02d}", "native": True} | told
            fields |= {key: record[key] for key in ("speaker", "split")}
            if told["kind"] == "neutral":  # edits start from, and removals end at, the recording
                sound = wave * level(wave, level_db)
            shard.add(fields, sound, frames.f0, None)


def make_said(shard: Shard, number: int, tools: dict) -> None:
    """One shard of quick voices with word times, for the recogniser."""
    from recipes.nano.corpus import said

    said.make_said(shard, number, tools)


def make_read(shard: Shard, number: int, tools: dict) -> bool:
    """One shard of recordings of people with the words that Whisper hears; False after the last."""
    from recipes.nano.corpus.read_aloud import Ears, make_read

    if "ears" not in tools:
        tools["ears"] = Ears(tools["args"].whisper)
    return make_read(shard, number, tools["args"].real, tools["ears"])


def make_copied(shard: Shard, number: int, tools: dict) -> None:
    """One shard of clips of `said` and `read` as a vocoder copies them."""
    from recipes.nano.corpus import copied
    from recipes.nano.judge_vocoder import load_vocoder, vocode

    args = tools["args"]
    if "copy" not in tools:
        tools["copy"] = vocode(load_vocoder(args.vocoder))
    copied.make_copied(shard, number, args.out, tools["copy"])


STAGES = {
    "plain": make_plain,
    "said": make_said,
    "read": make_read,
    "copied": make_copied,
    "edits": make_edits,
    "kokoro": make_kokoro,
    "libri": make_libri,
    "real": make_real,
}


def main(argv: list[str] | None = None) -> int:
    """Command line; 0 when the asked hours exist."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stage", choices=sorted(STAGES), required=True)
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument(
        "--shard-seconds",
        type=float,
        default=SHARD_SECONDS,
        help="plain, edits and said: audio of a shard; another number makes another corpus",
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first shard")
    parser.add_argument(
        "--verses", type=Path, help="public-domain verses, one a line after a label"
    )
    parser.add_argument("--words", type=Path, help="word list, one a line")
    parser.add_argument("--voices", type=Path, help="kokoro: folder with the voices of kokoro-js")
    parser.add_argument("--vocoder", type=Path, help="copied: a bundle, or a vocoder's checkpoint")
    parser.add_argument("--clips", type=Path, help="libri: folder of flac clips")
    parser.add_argument("--real", type=Path, help="read: folder that has librispeech and npvcc2016")
    parser.add_argument(
        "--whisper", type=Path, help="libri, read: folder of a CTranslate2 Whisper model"
    )
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    from recipes.nano.corpus.teacher_hibari import Hibari

    tools = {
        "hibari": Hibari(args.out / "teacher"),
        "grammar": Grammar(args.verses, args.words),
        "args": args,
    }
    seconds_of = {"kokoro": KOKORO_SECONDS, "real": REAL_SECONDS}
    count = int(np.ceil(args.hours * 3600 / seconds_of.get(args.stage, args.shard_seconds)))
    for number in range(args.first, args.first + count):
        shard = Shard(args.out / args.stage / f"{args.stage}-{number:05d}")
        if shard.done:
            continue
        began = time.monotonic()
        if STAGES[args.stage](shard, number, tools) is False:
            break
        shard.write()
        seconds = shard.samples / 24000
        log.info(
            "%s: %d clips, %.0f s, mean %.1f s, %.0f s of work",
            shard.stem.name,
            len(shard.records),
            seconds,
            seconds / max(len(shard.records), 1),
            time.monotonic() - began,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
