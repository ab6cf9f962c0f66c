"""What linguistic codes say, whoever speaks: figures of tokenizers without a decoder, and one with.

    python -m recipes.nano.judge_codes codes --corpus DIR --clips REAL_SPEECH \
        --tokenizer shipped=stepedit_core/assets/nano new=runs/nano/linguistic/last.pt
    python -m recipes.nano.judge_codes voices --clips REAL_SPEECH --bundle nano

`codes` needs no flow decoder, so a tokenizer can be judged before one is trained on it:

words   share of the variance of Whisper tiny.en's last features ($WHISPER_TINY) that a code tells,
        learnt on corpus clips, tried on four VCC2016 speakers (54 sentences, said by all): from
        their own codes, and from the codes of another speaker, laid along by time warping
phones  share of frames whose phone the code tells, held-out pseudo speakers
who     clips of ten held-out people whose reader the codes betray, by naive Bayes of the counts of
        codes in the others' clips, each clip left out in turn (chance 10 %)

`voices` decodes the codes of one person in the voice of another: only for a bundle, whose decoder
was trained on its own codes.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.judge import Judges
from recipes.nano.judge_people import people
from recipes.nano.over_people import cell, rate
from recipes.nano.train_letters import features as features_16k
from recipes.nano.train_linguistic import CENTRE_SECONDS, TOKEN_SECONDS, phone_targets
from recipes.nano.training import RATE, clip_seconds, fast_math, is_dev, saved_state, setup
from recipes.nano.words_heard import WordsHeard
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.resample import resample
from stepedit_core.bundle.manifest import read_manifest
from stepedit_core.bundle.parts import load_part
from stepedit_core.files.terminal import table
from stepedit_core.measure.holding import edit_distance
from stepedit_core.measure.recogniser import plain_words
from stepedit_core.measure.whisper import FasterWhisper
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Draws

TINY_LAYER = 4
SPEAKERS = 4
"""Of VCC2016; what all of them say is compared."""
Encode = Callable[[np.ndarray], np.ndarray]


def tokenizer(path: Path) -> LinguisticTokenizer:
    """A bundle's, or one of a training's checkpoint."""
    if path.is_dir():
        about, place = read_manifest(path), torch.device("cpu")
        part = load_part(path, about, "linguistic", device=place, dtype=torch.float32)
        return part.eval()  # type: ignore[return-value]
    state = saved_state(path)
    if state is None:
        raise SystemExit(f"no checkpoint at {path}")
    model = LinguisticTokenizer(LinguisticConfig(**state["config"]))
    model.load_state_dict(state["model"])
    return model.eval()


def encoder(model: LinguisticTokenizer) -> Encode:
    """Wave (N,) at 24 kHz to codes (T,)."""

    def encode(wave: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            rows = features_16k(resample(torch.from_numpy(wave), RATE, 16_000).numpy())
            found: np.ndarray = model.encode(rows[None])[0].numpy()
        return found

    return encode


def listener() -> Callable[[np.ndarray], np.ndarray]:
    """Wave (N,) at 24 kHz to tiny.en's features (T, 384), one a token, less the clip's mean."""
    model = WordsHeard(Path(os.environ["WHISPER_TINY"]), layers=(TINY_LAYER,))

    def heard(wave: np.ndarray) -> np.ndarray:
        with torch.no_grad(), fast_math():
            rows = model(torch.from_numpy(wave)[None])[0][0].float()
        tokens = max(1, int((len(wave) / RATE - CENTRE_SECONDS) / TOKEN_SECONDS))
        at = ((np.arange(tokens) * TOKEN_SECONDS + CENTRE_SECONDS) / 0.02 + 0.5).astype(int)
        found: np.ndarray = (rows - rows.mean(0)).numpy()[np.minimum(at, len(rows) - 1)]
        return found

    return heard


def warp(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (L,), (L,) along the path on which rows (T, D) of two clips are nearest (cosine)."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-9) for x in (one, other))
    cost = 1 - a @ b.T
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j, path = len(a), len(b), []
    while i and j:
        path.append((i - 1, j - 1))
        before = (total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
        i, j = ((i - 1, j - 1), (i - 1, j), (i, j - 1))[int(np.argmin(before))]
    rows, columns = zip(*reversed(path), strict=True)
    return np.array(rows), np.array(columns)


def told(said: np.ndarray, goal: np.ndarray) -> float:
    """Share of the variance of rows (N, D) that their predictions tell."""
    return 1 - float(np.square(goal - said).sum() / np.square(goal - goal.mean(0)).sum())


def code_means(codes: list[np.ndarray], rows: list[np.ndarray]) -> np.ndarray:
    """(1024, D): the mean row of each code, drawn to the mean of all where a code is rare."""
    flat, goal = np.concatenate(codes), np.concatenate(rows)
    sums = np.zeros((1024, goal.shape[1]), np.float64)
    np.add.at(sums, flat, goal)
    means: np.ndarray = (sums + goal.mean(0)) / (np.bincount(flat, minlength=1024)[:, None] + 1.0)
    return means


def who_speaks(counts: np.ndarray, names: np.ndarray) -> list[float]:
    """For each clip's counts of codes (N, 1024): 1.0 where naive Bayes names its reader."""
    found = []
    everybody = np.unique(names)
    for k, own in enumerate(counts):
        scores = []
        for name in everybody:
            others = (names == name) & (np.arange(len(names)) != k)
            share = counts[others].sum(0) + 0.05
            scores.append(float(own @ np.log(share / share.sum())))
        found.append(float(everybody[int(np.argmax(scores))] == names[k]))
    return found


def judge_codes(args: argparse.Namespace) -> None:
    """Figures of every tokenizer, as a table."""
    heard, corpus, rng = listener(), Corpus(args.corpus), np.random.default_rng(0)
    usable = [r for r in corpus.records if not is_dev(r) and 1 < clip_seconds(r) < 12]
    usable = [r for r in usable if not r["speaker"].startswith("npvcc2016")]
    lesson = [usable[i] for i in rng.choice(len(usable), args.count, replace=False)]
    with_phones = [r for r in corpus.records if r.get("aligned", True) and clip_seconds(r) < 12]
    spoken = [r for r in with_phones if not is_dev(r)][: args.count]
    asked = [r for r in with_phones if is_dev(r)][: args.count // 2]
    waves = [corpus.audio(r) for r in lesson]
    lessons = [heard(w) for w in waves]
    parallel: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    said_by = defaultdict(list)
    for path in sorted((args.clips / "npvcc2016").glob("*.flac")):
        said_by[path.stem[-6:]].append(path)
    shared = [own for own in said_by.values() if len(own) == SPEAKERS][: args.sentences]
    for path in (path for own in shared for path in own):
        clip = read_clip(path)
        wave = resample(clip.wave, clip.sample_rate, RATE).numpy()
        parallel[path.stem[-6:]][path.stem[:3]] = wave
    targets = {s: {who: heard(w) for who, w in own.items()} for s, own in parallel.items()}
    paths = {
        (s, a, b): warp(own[a], own[b])
        for s, own in targets.items()
        for a, b in combinations(sorted(own), 2)
    }
    readers = sorted((args.clips / "held_out_people").glob("*.flac"))
    names = np.array([p.stem.split("-")[0] for p in readers])
    lines = []
    for item in args.tokenizer:
        name, _, path = item.partition("=")
        encode = encoder(tokenizer(Path(path)))
        codes = [encode(w)[: len(r)] for w, r in zip(waves, lessons, strict=True)]
        means = code_means(codes, [r[: len(c)] for c, r in zip(codes, lessons, strict=True)])
        own_codes = {s: {w: encode(x) for w, x in own.items()} for s, own in parallel.items()}
        same = [
            (means[own_codes[s][w][: len(x)]], x[: len(own_codes[s][w])])
            for s, own in targets.items()
            for w, x in own.items()
        ]
        across, equal = [], []
        for (s, a, b), (i, j) in paths.items():
            for one, at, other, there in ((a, i, b, j), (b, j, a, i)):
                said = own_codes[s][one][np.minimum(at, len(own_codes[s][one]) - 1)]
                across.append((means[said], targets[s][other][there]))
                theirs = own_codes[s][other][np.minimum(there, len(own_codes[s][other]) - 1)]
                equal.append(float((said == theirs).mean()))
        votes = np.zeros((1024, 256))
        for r in spoken:
            said = encode(corpus.audio(r))
            np.add.at(votes, (said, phone_targets(corpus.phones(r), len(said))[:, 0].numpy()), 1)
        right = []
        for r in asked:
            said = encode(corpus.audio(r))
            goal = phone_targets(corpus.phones(r), len(said))[:, 0].numpy()
            right.append(float((votes.argmax(1)[said] == goal).mean()))
        counts = np.zeros((len(readers), 1024))
        for k, file in enumerate(readers):
            clip = read_clip(file)
            said = encode(resample(clip.wave, clip.sample_rate, RATE).numpy())
            counts[k] = np.bincount(said, minlength=1024)
        share = counts.sum(0) / counts.sum()
        perplexity = float(np.exp(-(share[share > 0] * np.log(share[share > 0])).sum()))
        own_told, other_told = (
            told(*(np.concatenate(x) for x in zip(*pairs, strict=True))) for pairs in (same, across)
        )
        lines.append(
            (
                name,
                f"{100 * own_told:.1f}",
                f"{100 * other_told:.1f}",
                f"{100 * np.mean(equal):.1f}",
                f"{100 * np.mean(right):.1f}",
                cell(who_speaks(counts, names), list(names), factor=100),
                f"{perplexity:.0f}",
            )
        )
        heads = ("words", "words, other voice", "same code", "phones", "who", "codes in use")
        print(table(("tokenizer", *(f"{head}, %" for head in heads[:-1]), heads[-1]), lines))


def judge_voices(args: argparse.Namespace) -> None:
    """Codes of each recording in the voice of the next person."""
    bundle, judges = Registry().load(args.bundle), Judges()
    ears = {n: FasterWhisper(os.environ[f"WHISPER_{n.upper()}"], threads=1) for n in args.ears}
    chosen = [p for p in people(args.clips) if p.path.parent.name == "held_out_people"]
    wrong: dict[str, list[tuple[int, int]]] = defaultdict(list)
    near: dict[str, list[float]] = defaultdict(list)
    who = [person.who for person in chosen]
    for k, person in enumerate(chosen):
        other = chosen[(k + 3) % len(chosen)]
        clip, voice_clip = read_clip(person.path), read_clip(other.path)
        codes, own = tokenize(bundle, clip)
        _, theirs = tokenize(bundle, voice_clip)
        for way, voice in (("own voice", own), ("other voice", theirs)):
            mel = flow_decode(bundle, codes, voice, draws=Draws(seed=k))
            made = vocode(bundle, mel, draws=Draws(seed=k))
            for ear, recogniser in ears.items():
                said = plain_words(recogniser.transcribe(clip))
                heard = plain_words(recogniser.transcribe(made))
                wrong[f"{way}, {ear}"].append((edit_distance(said, heard), len(said)))
            target = clip if way == "own voice" else voice_clip
            near[way].append(float(judges.speaker(target) @ judges.speaker(made)))
    lines = [(f"WER, {n}", cell(v, who, rate, factor=100)) for n, v in wrong.items()]
    lines += [(f"similarity, {n}", cell(v, who, digits=2)) for n, v in near.items()]
    print(table((f"{len(chosen)} recordings of {len(set(who))} people", "figure"), lines))


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    codes = commands.add_parser("codes")
    codes.add_argument("--corpus", type=Path, required=True)
    codes.add_argument("--tokenizer", nargs="+", metavar="NAME=PATH", required=True)
    codes.add_argument("--count", type=int, default=400, help="clips that the tables are learnt on")
    codes.add_argument("--sentences", type=int, default=54)
    codes.set_defaults(do=judge_codes)
    voices = commands.add_parser("voices")
    voices.add_argument("--bundle", default="nano")
    voices.add_argument("--ears", nargs="+", default=["tiny", "base"])
    voices.set_defaults(do=judge_voices)
    for command in (codes, voices):
        command.add_argument("--clips", type=Path, required=True)
    args = parser.parse_args()
    setup(1)
    args.do(args)


if __name__ == "__main__":
    main()
