"""Does the letter recogniser hear where words are, which ones, and whether they are still there?

    python -m recipes.nano.judge_letters rounds --clips PEOPLE --bundle nano --out runs/guard
    python -m recipes.nano.judge_letters figures --letters runs/nano/letters --corpus CORPUS \
        --guard runs/guard --out runs/nano/letters/limits.json
    python -m recipes.nano.judge_letters ears --guard runs/guard --independent FOLDER

`rounds` edits recordings of held-out people and lets Whisper ($WHISPER_BASE) read the recordings and
all rounds: the independent ear. `ears` makes it the guard instead, and another recogniser the judge.
`figures` prints word borders on held-out teacher speech, and, from
one half of the people, the limits for the bundle; the other half says how good they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import RATE, is_dev, log, saved_state, setup
from stepedit_core.audio.files import read_clip, write_wav
from stepedit_core.files.reading import read_lines
from stepedit_core.files.whole import write_whole
from stepedit_core.measure.holding import MISFIT_MOST, WORDS_HOLD, edit_distance
from stepedit_core.measure.letters import LettersRecogniser
from stepedit_core.measure.recogniser import plain_words
from stepedit_core.measure.whisper import FasterWhisper
from stepedit_core.models.letters import Letters, LettersConfig
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Clip, EditRequest

EDITS = (
    ("emotion", "happy"),
    ("emotion", "sad"),
    ("style", "whisper"),
    ("emotion", "angry"),
    ("emotion", "fear"),
    ("style", "child"),
)
SECONDS = (2.0, 10.0)
"""Shorter and longer recordings are left out of the rounds."""
KEPT, LOST = 0.1, 0.25
"""Share of words that Whisper hears wrongly: up to the first a round kept its words, from the second
on it lost some. What lies between is neither."""
CATALOGUE = "guard.jsonl"
FALSE_ALARMS = 0.08
"""Share of rounds that kept their words which the chosen limit flags; the bar is under 0.1."""
OTHER_ALARMS, MARGIN = 0.02, 1.2
"""The limit for a transcript: this factor times what so many right ones of the choosing half are
above. Without the factor 20 % of the right ones of the other half were above: people differ."""


def wrong_share(expected: str, heard: str) -> float:
    """Share of the expected words that are wrong in what was heard."""
    words = plain_words(expected)
    return edit_distance(words, plain_words(heard)) / max(1, len(words))


def make_rounds(args: argparse.Namespace) -> None:
    """Recordings of people, edits of them, and what Whisper reads in each; resumable by clip."""
    args.out.mkdir(parents=True, exist_ok=True)
    catalogue = args.out / CATALOGUE
    lines = read_lines(catalogue) if catalogue.exists() else []
    done = {json.loads(line.text)["clip"] for line in lines}
    ears, bundle = FasterWhisper(threads=1), Registry().load(args.bundle)
    paths = sorted(args.clips.glob("*.flac"), key=lambda p: (p.stem.split("-")[-1], p.stem))
    for number, path in enumerate(paths):
        if path.stem in done:
            continue
        clip = read_clip(path)
        text = ears.transcribe(clip)
        first: dict[str, Any] = {"clip": path.stem, "file": str(path), "round": 0, "edit": ""}
        entries = [first | {"words": text, "heard": text}]
        if SECONDS[0] <= clip.seconds <= SECONDS[1] and len(text.split()) > 3:
            kind, option = EDITS[number % len(EDITS)]
            request = EditRequest(kind=kind, option=option, text=text)
            plan = make_plan(bundle, clip, [request], seed=number, rounds=args.rounds)
            for made in list(iterate_rounds(bundle, clip, plan))[1:]:
                file = args.out / f"{path.stem}-{len(entries)}.wav"
                write_wav(file, made.clip)
                assert made.measures is not None
                entry = {"file": str(file), "round": len(entries), "edit": option}
                entry |= {"distance": made.measures.words, "heard": ears.transcribe(made.clip)}
                entries.append(entries[0] | entry)
        lines += [json.dumps(entry) for entry in entries]
        write_whole(catalogue, "\n".join(lines) + "\n")
        shares = [f"{wrong_share(text, str(e['heard'])):.2f}" for e in entries[1:]]
        log.info("%s %s %s", path.stem, entries[-1]["edit"], " ".join(shares))


def opened(folder: Path) -> LettersRecogniser:
    """The recogniser of a training folder: its final weights, or the averaged ones so far."""
    state = saved_state(folder / "final.pt") or saved_state(folder / "last.pt")
    if state is None:
        raise SystemExit(f"no checkpoint in {folder}. Train first.")
    model = Letters(LettersConfig(**state["config"]))
    model.load_state_dict(state.get("average", state["model"]))
    return LettersRecogniser(model.eval().requires_grad_(False))


def borders(ears: LettersRecogniser, corpus: Corpus, count: int) -> None:
    """Print how far word borders are from the teacher's, on clips that no training saw."""
    errors: list[float] = []
    inner: list[float] = []
    records = [r for r in corpus.records if is_dev(r) and "words" in r][:count]
    for record in records:
        clip = Clip(wave=torch.from_numpy(corpus.audio(record)), sample_rate=RATE)
        words = ears.align(clip, record["text"])
        assert len(words) == len(record["words"])
        for word, (start, end) in zip(words, record["words"], strict=True):
            errors += [abs(word.start - start), abs(word.end - end)]
        inner += errors[-2 * len(words) + 1 : -1]
    for name, found in (("all", errors), ("inside a clip", inner)):
        print(
            f"borders, {name}: median {1000 * np.median(found):.0f} ms, 90 % within "
            f"{1000 * np.quantile(found, 0.9):.0f} ms, {np.mean(np.array(found) < 0.04):.0%} "
            f"within 40 ms; n = {len(found)} of {len(records)} clips"
        )


def changed(rng: np.random.Generator, text: str, pool: Sequence[str]) -> str:
    """A text with a third of its words replaced by others."""
    words = text.split()
    for at in rng.permutation(len(words))[: max(1, round(len(words) / 3))]:
        words[at] = pool[int(rng.integers(len(pool)))]
    return " ".join(words)


def auc(good: Sequence[float], bad: Sequence[float]) -> float:
    """Chance that a bad one has the higher value; half where they are equal."""
    a, b = np.array(good)[:, None], np.array(bad)[None]
    return float(((b > a) + 0.5 * (b == a)).mean())


def limit_of(good: Sequence[float], share: float) -> float:
    """The least value that at most this share of the good ones is above."""
    return round(float(np.quantile(good, 1 - share)), 3)


def shares(good: Sequence[float], bad: Sequence[float], limit: float) -> str:
    """How many of each are above a limit."""
    return (
        f"{np.mean(np.array(bad) > limit):.0%} of {len(bad)} flagged, false alarms "
        f"{np.mean(np.array(good) > limit):.0%} of {len(good)}"
    )


def curve(good: Sequence[float], bad: Sequence[float]) -> str:
    """Area under the ROC curve, and how many bad ones are flagged at three shares of false alarms."""
    at = {
        share: np.mean(np.array(bad) > np.quantile(good, 1 - share)) for share in (0.05, 0.1, 0.2)
    }
    points = ", ".join(f"{found:.0%} at {share:.0%}" for share, found in at.items())
    return f"AUC {auc(good, bad):.3f} of {len(good)} and {len(bad)}; flagged {points} false alarms"


def half(entry: dict[str, Any]) -> int:
    """The half of the people that a clip belongs to: 0 chooses, 1 reports."""
    return sum(map(int, entry["clip"].split("-")[0])) % 2


def figures(args: argparse.Namespace) -> None:
    """Print all figures and write the limits."""
    ears = opened(args.letters)
    borders(ears, Corpus(args.corpus, ("said",)), args.clips)
    lines = read_lines(args.guard / CATALOGUE)
    entries: list[dict[str, Any]] = [json.loads(line.text) for line in lines]
    people = [e for e in entries if e["round"] == 0 and len(e["words"].split()) > 3]
    pool = [word for e in people for word in e["words"].split()]
    rng = np.random.default_rng(0)
    fits: dict[str, list[list[float]]] = {k: [[], []] for k in ("right", "other", "third")}
    wrong, words = [0, 0], [0, 0]
    for number, entry in enumerate(people):
        clip, side = read_clip(entry["file"]), half(entry)
        other = people[(number + 7) % len(people)]["words"]
        for kind, text in (
            ("right", entry["words"]),
            ("other", other),
            ("third", changed(rng, entry["words"], pool)),
        ):
            fits[kind][side].append(ears.fit(clip, text).misfit)
        entry["misfit"] = fits["right"][side][-1]
        heard = " ".join(word.text for word in ears.transcribe(clip))
        words[side] += len(plain_words(entry["words"]))
        wrong[side] += edit_distance(plain_words(entry["words"]), plain_words(heard))
        entry["draft"] = heard
    print(f"draft: {sum(wrong) / sum(words):.1%} of {sum(words)} words wrong; '{heard[:70]}'")
    other_limit = round(MARGIN * limit_of(fits["right"][0], OTHER_ALARMS), 3)
    for kind in ("other", "third"):
        both = [fits[k][0] + fits[k][1] for k in ("right", kind)]
        print(f"{kind}: {curve(*both)}; limit {other_limit}, other half: ", end="")
        print(shares(fits["right"][1], fits[kind][1], other_limit))

    of_clip = {e["clip"]: e for e in people}
    rows: list[tuple[int, bool, dict[str, float]]] = []
    for entry in entries:
        share = wrong_share(entry["words"], entry["heard"])
        if entry["round"] and not KEPT < share < LOST:
            clip, source = read_clip(entry["file"]), of_clip[entry["clip"]]
            fit = ears.fit(clip, entry["words"])
            draft = " ".join(word.text for word in ears.transcribe(clip))
            rows.append(
                (
                    half(entry),
                    share >= LOST,
                    {
                        "misfit": min(fit.misfit, MISFIT_MOST),
                        "more misfit than the recording": fit.misfit - source["misfit"],
                        "worst word": float(np.max(fit.misfits)),
                        "misheard": wrong_share(entry["words"], draft),
                        "codes": entry["distance"],
                    },
                )
            )
    print(f"rounds: {sum(lost for _, lost, _ in rows)} lost words, {len(rows)} in all")
    limits = {"other_words": other_limit}
    for name in rows[0][2]:
        good, bad = (
            [[v[name] for h, lost, v in rows if lost == what and h == side] for side in (0, 1)]
            for what in (False, True)
        )
        limit = limit_of(good[0], FALSE_ALARMS)
        print(f"guard by {name}: {curve(good[0] + good[1], bad[0] + bad[1])}")
        print(f"  limit {limit}, other half: {shares(good[1], bad[1], limit)}")
        limits |= {"misfit_holds": limit} if name == "misfit" else {}
    limits["heard_holds"] = 10.0
    both = [
        [
            max(v["misfit"] / limits["misfit_holds"], v["codes"] / WORDS_HOLD)
            for _, lost, v in rows
            if lost == what
        ]
        for what in (False, True)
    ]
    print(f"guard by misfit or codes, all: {shares(*both, 1.0)}")
    write_whole(args.out, json.dumps(limits) + "\n")
    print(limits)


def ears(args: argparse.Namespace) -> None:
    """Print what $WHISPER_BASE is worth as a guard, where another recogniser says what was lost.

    Both hear each round beside what they hear in its recording; the catalogue has the words of the
    first. The limit is chosen from one half of the people, as in `figures`.
    """
    catalogue, heard = args.guard / CATALOGUE, args.guard / f"{args.independent.name}.json"
    entries: list[dict[str, Any]] = [json.loads(line.text) for line in read_lines(catalogue)]
    other = json.loads(heard.read_text("utf-8")) if heard.exists() else {}
    listener = FasterWhisper(args.independent, threads=1)
    edited = {entry["clip"] for entry in entries if entry["round"]}
    for entry in (e for e in entries if e["clip"] in edited and e["file"] not in other):
        other[entry["file"]] = listener.transcribe(read_clip(args.root / entry["file"]))
        write_whole(heard, json.dumps(other) + "\n")
    said = {e["clip"]: other[e["file"]] for e in entries if not e["round"] and e["clip"] in edited}
    rows: list[tuple[int, bool, dict[str, float]]] = []
    for entry in (e for e in entries if e["round"]):
        share = wrong_share(said[entry["clip"]], other[entry["file"]])
        if not KEPT < share < LOST:
            own = wrong_share(entry["words"], entry["heard"])
            values = {"its words": own, "codes": entry["distance"]}
            values["words or codes"] = max(own, entry["distance"] / WORDS_HOLD * KEPT)
            rows.append((half(entry), share >= LOST, values))
    for name in rows[0][2]:
        parts = [
            [
                [v[name] for h, lost, v in rows if lost == what and h in sides]
                for what in (False, True)
            ]
            for sides in ((0,), (1,), (0, 1))
        ]
        limit = limit_of(parts[0][0], FALSE_ALARMS)
        print(f"{name}: {curve(*parts[2])}")
        print(f"  limit {limit}, other half: {shares(*parts[1], limit)}")
        print(
            f"  any word wrong, all: {shares(*parts[2], 0.0)}; a tenth: {shares(*parts[2], KEPT)}"
        )


def main() -> None:
    """One of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    rounds = commands.add_parser("rounds")
    rounds.add_argument("--clips", type=Path, required=True)
    rounds.add_argument("--bundle", default="nano")
    rounds.add_argument("--rounds", type=int, default=2)
    rounds.set_defaults(do=make_rounds)
    heard = commands.add_parser("ears")
    heard.add_argument("--guard", type=Path, required=True)
    heard.add_argument("--independent", type=Path, required=True)
    heard.add_argument("--root", type=Path, default=Path())
    heard.set_defaults(do=ears)
    told = commands.add_parser("figures")
    told.add_argument("--letters", type=Path, required=True)
    told.add_argument("--corpus", type=Path, required=True)
    told.add_argument("--guard", type=Path, required=True)
    told.add_argument("--clips", type=int, default=100, help="of held-out teacher speech")
    told.set_defaults(do=figures)
    for command in (rounds, told):
        command.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    setup(1)
    args.do(args)


if __name__ == "__main__":
    main()
