"""`stepedit data`: build, sample, select, pairs, hardest, stats."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..data.records import Example
    from ..data.shards import Dataset

log = logging.getLogger(__name__)
Run = Callable[[argparse.Namespace], int]


def add(commands: Any) -> None:
    """Put `data` and its subcommands on the command line."""
    parser = commands.add_parser("data", help="make training data", allow_abbrev=False)
    kinds = parser.add_subparsers(required=True, metavar="WHAT")

    def command(name: str, help_: str, run: Run, *places: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = kinds.add_parser(name, help=help_, allow_abbrev=False)
        for place in places:
            made.add_argument(place, metavar=place.upper(), type=Path)
        made.set_defaults(run=run)
        return made

    build = command("build", "tokenize and score the orders of a plan", _build, "plan")
    _out(build)
    _model(build)
    build.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    build.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="ray: extra `distributed`"
    )
    build.add_argument(
        "--shard", type=int, default=256, metavar="N", help="examples a shard: most a kill costs"
    )

    sample = command("sample", "draw and score answers of a model", _sample, "data")
    _out(sample)
    _model(sample)
    sample.add_argument("--answers", type=int, default=20, metavar="K", help="answers a prompt")
    sample.add_argument("--prompts", type=int, metavar="N", help="so many, drawn; default all")
    sample.add_argument("--temperature", type=float, default=1.0, metavar="T")
    sample.add_argument("--seed", type=int, default=0, metavar="S")
    sample.add_argument("--split", choices=("train", "dev"), default="train")

    select = command("select", "keep large margins, and holds", _select, "data")
    _out(select)
    select.add_argument("--least", type=float, default=6.0, metavar="M", help="least margin, 1-10")
    select.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME=M",
        help='another least margin for a class, "emotion happy=7" or "emotion=7"',
    )

    pairs = command("pairs", "preference pairs of scored samples", _pairs, "samples")
    _out(pairs)
    pairs.add_argument(
        "--margin", type=float, metavar="M", help="least difference; default 3 of 5 or 8 of 10"
    )
    pairs.add_argument("--most", type=int, default=4, metavar="K", help="most pairs a prompt")

    hardest = command("hardest", "the prompts PPO should train on", _hardest, "data")
    _out(hardest)
    hardest.add_argument("--count", type=int, required=True, metavar="N", help="prompts to choose")
    hardest.add_argument(
        "--reward", type=Path, metavar="RUN", help="run of `train reward` that reads pairs"
    )
    hardest.add_argument("--by-class", action="store_true", help="let the classes take turns")

    stats = command("stats", "what a data folder has", _stats, "data")
    stats.add_argument("--picture", type=Path, metavar="FILE.png", help="the same as a chart")


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="data folder; continued if there"
    )


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", default="nano", metavar="NAME_OR_DIR", help="which model")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, ...; default: what torch finds")


def _counted(counts: dict[str, int]) -> int:
    print(json.dumps(counts))
    return 1 if counts.get("failed") else 0


def _build(arguments: argparse.Namespace) -> int:
    """`stepedit data build`: a plan to examples."""
    from ..data.build import build, tasks_of
    from ..data.shards import Writer
    from ..engines import WorkerSetting
    from ..registry.registry import Registry

    bundle = Registry().load(arguments.bundle, device=arguments.device)
    setting = WorkerSetting(bundle=str(bundle.folder), device=str(bundle.device))
    about = {"bundle": bundle.name, "sha256": bundle.sha256, "plan": arguments.plan.name}
    tasks = tasks_of(arguments.plan, bundle.sha256)
    how = {"workers": arguments.workers, "engine": arguments.engine}
    with Writer(arguments.out, bundle.manifest.codebook, about, arguments.shard) as writer:
        counts = build(tasks, writer, setting, **how)
    return _counted(counts)


def _sample(arguments: argparse.Namespace) -> int:
    """`stepedit data sample`: answers with scores."""
    from ..data.sample import Draw, sample
    from ..data.shards import Dataset, Writer
    from ..registry.registry import Registry

    bundle = Registry().load(arguments.bundle, device=arguments.device)
    data = Dataset(arguments.data)
    with Writer(arguments.out, bundle.manifest.codebook, {"bundle": bundle.name}) as writer:
        draw = Draw(
            answers=arguments.answers,
            temperature=arguments.temperature,
            seed=arguments.seed,
            split=arguments.split,
            prompts=arguments.prompts,
        )
        added = sample(bundle, data, writer, draw)
    return _counted({"new": added})


def _select(arguments: argparse.Namespace) -> int:
    """`stepedit data select`: the large margins."""
    from ..data.select import is_hold, keeps
    from ..data.shards import Dataset

    classes = dict(_threshold(text) for text in arguments.classes)
    data = Dataset(arguments.data)
    kept = [
        i
        for i, line in enumerate(data.lines)
        if keeps(line, least=arguments.least, classes=classes) or is_hold(data[i])
    ]
    return _written(arguments.out, data, (data[i] for i in kept), of=len(data))


def _threshold(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ValueError(
            f"--class '{text}' is not understood; NAME=NUMBER is expected, as in "
            '"emotion happy=7". Correct it.'
        ) from None


def _pairs(arguments: argparse.Namespace) -> int:
    """`stepedit data pairs`: what the reward model learns from."""
    from ..data.select import by_prompt, preference_pairs, why_no_pairs
    from ..data.shards import Dataset

    data = Dataset(arguments.samples)
    groups = by_prompt(example for example in data if example.kind == "sample")
    made = [
        pair
        for samples in groups.values()
        for pair in preference_pairs(samples, margin=arguments.margin, most=arguments.most)
    ]
    if not made:
        log.warning("%s", why_no_pairs(groups.values(), arguments.margin))
    return _written(arguments.out, data, made, of=len(groups))


def _hardest(arguments: argparse.Namespace) -> int:
    """`stepedit data hardest`: prompts with the lowest scores, or the least told apart."""
    from ..data.select import as_prompt, by_prompt, hardest
    from ..data.shards import Dataset

    data = Dataset(arguments.data)
    groups = by_prompt(data)
    if arguments.reward is None:
        difficulty = {
            p: [float(e.margin) for e in group if e.margin is not None and e.kind != "pair"]
            for p, group in groups.items()
        }
    else:
        from ..train.reward_model import pair_margins

        difficulty = pair_margins(arguments.reward, groups)
    labels = {p: group[0].label for p, group in groups.items()} if arguments.by_class else None
    chosen = hardest(difficulty, arguments.count, labels)
    best = (as_prompt(max(groups[p], key=lambda e: (float(e.margin or 0), e.id))) for p in chosen)
    return _written(arguments.out, data, best, of=len(groups))


def _written(out: Path, data: Dataset, examples: Iterable[Example], *, of: int) -> int:
    """Write examples to a folder of their own and say how many of how many."""
    from ..data.shards import Writer

    if out.resolve() == data.folder.resolve():
        raise ValueError("--out is the folder that is read. Name another one.")
    with Writer(out, data.codebook, {"from": data.folder.name, "sha256": data.sha256}) as writer:
        added = sum(writer.add(example) for example in examples)
    return _counted({"of": of, "new": added, "all": len(writer.ids)})


def _stats(arguments: argparse.Namespace) -> int:
    """`stepedit data stats`: the table, and the picture where asked."""
    from ..data.shards import Dataset
    from ..data.stats import stats_picture, stats_table
    from ..files.chart import save_png

    lines = Dataset(arguments.data).lines
    print(stats_table(lines))
    if arguments.picture:
        save_png(stats_picture(lines), arguments.picture)
    return 0
