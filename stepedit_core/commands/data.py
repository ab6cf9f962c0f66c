"""`stepedit data`: build, sample, select, pairs, hardest, stats."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..printable import shown, storable
from .options import (
    RESUMES,
    UsageError,
    add_bundle,
    add_overwrite,
    add_seed,
    number,
    place,
    say_result,
    whole_number,
)

if TYPE_CHECKING:
    from ..data.records import Example
    from ..data.shards import Dataset

log = logging.getLogger(__name__)
Run = Callable[[argparse.Namespace], int]


def add(commands: Any) -> None:
    """Put `data` and its subcommands on the command line."""
    parser = commands.add_parser(
        "data",
        help="make training data",
        description="Make training data. A data folder has shards of examples; every command "
        "here reads or adds to one, and a stopped command resumes when it is run again.",
        allow_abbrev=False,
    )
    kinds = parser.add_subparsers(required=True, metavar="WHAT")

    def command(name: str, help_: str, run: Run, read: str, about: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = kinds.add_parser(
            name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False
        )
        made.add_argument(read, metavar=read.upper(), type=place, help=about)
        made.set_defaults(run=run)
        return made

    build = command(
        "build",
        "make examples of recordings, by a plan",
        _build,
        "plan",
        "JSON-lines file, one example a line: its recordings, edit and words",
    )
    _out(build)
    build.set_defaults(stopped=RESUMES)
    add_bundle(build)
    build.add_argument(
        "--workers",
        type=whole_number(1, 1024),
        default=1,
        metavar="N",
        help="processes that share the work; default 1",
    )
    build.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="local (default): processes of this machine; ray: a cluster, needs Ray",
    )
    build.add_argument(
        "--shard",
        type=whole_number(1),
        default=256,
        metavar="N",
        help="examples in a shard, the most that a kill costs; default 256",
    )

    sample = command(
        "sample",
        "let a model answer the prompts of a data folder, and score the answers",
        _sample,
        "data",
        "data folder whose prompts are answered",
    )
    _out(sample)
    add_bundle(sample)
    sample.add_argument(
        "--answers",
        type=whole_number(1),
        default=20,
        metavar="K",
        help="answers to each prompt; default 20",
    )
    sample.add_argument(
        "--prompts", type=whole_number(1), metavar="N", help="only N prompts, drawn; default all"
    )
    sample.add_argument(
        "--temperature",
        type=number(0),
        default=1.0,
        metavar="T",
        help="how freely answers are drawn; 0 takes the likeliest; default 1",
    )
    add_seed(sample)
    sample.add_argument(
        "--split",
        choices=("train", "dev"),
        default="train",
        help="which prompts: those to learn from (default) or those held out",
    )

    select = command(
        "select",
        "keep the examples with a large margin, and those that change nothing",
        _select,
        "data",
        "data folder to choose from",
    )
    _out(select)
    select.add_argument(
        "--least",
        type=number(1, 10),
        default=6.0,
        metavar="M",
        help="least margin that is kept, 1 to 10; default 6",
    )
    select.add_argument(
        "--class",
        dest="classes",
        action="append",
        default=[],
        metavar="NAME=M",
        help='another least margin for some: "emotion happy=7", or "emotion=7" for all emotions',
    )

    pairs = command(
        "pairs",
        "make preference pairs of scored answers",
        _pairs,
        "samples",
        "data folder of `stepedit data sample`",
    )
    _out(pairs)
    pairs.add_argument(
        "--margin",
        type=number(0),
        metavar="M",
        help="least difference of the two scores; default 8 on a scale of 10, 3 on one of 5",
    )
    pairs.add_argument(
        "--most",
        type=whole_number(1),
        default=4,
        metavar="K",
        help="most pairs of a prompt; default 4",
    )

    hardest = command(
        "hardest",
        "keep the prompts with the lowest scores, for PPO",
        _hardest,
        "data",
        "data folder with scores",
    )
    _out(hardest)
    hardest.add_argument(
        "--count", type=whole_number(1), required=True, metavar="N", help="prompts to keep"
    )
    hardest.add_argument(
        "--reward",
        type=place,
        metavar="RUN",
        help="run folder of `stepedit train reward`, which then judges; DATA has pairs",
    )
    hardest.add_argument(
        "--by-class", action="store_true", help="as many of each emotion, style and so on"
    )

    stats = command("stats", "show what a data folder has", _stats, "data", "data folder")
    stats.set_defaults(one_file="picture")
    stats.add_argument("--picture", type=place, metavar="FILE.png", help="draw the same as a chart")
    add_overwrite(stats)


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=place,
        required=True,
        metavar="DIR",
        help="data folder to write to; examples are added to those it has",
    )


def _counted(counts: dict[str, int]) -> int:
    say_result(json.dumps(counts, allow_nan=False))
    return 1 if counts.get("failed") else 0


def _build(arguments: argparse.Namespace) -> int:
    """`stepedit data build`: a plan to examples."""
    from ..data.build import build, check_failures, tasks_of
    from ..data.shards import Writer
    from ..engines.setting import WorkerSetting
    from ..registry.registry import Registry

    check_failures(arguments.out, arguments.plan)
    bundle = Registry().load(arguments.bundle, device=arguments.device)
    setting = WorkerSetting(bundle=str(bundle.folder), device=str(bundle.device))
    about = {"bundle": bundle.name, "sha256": bundle.sha256, "plan": storable(arguments.plan.name)}
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
    from ..data.select import classes_of, is_hold, keeps
    from ..data.shards import Dataset
    from ..text.edits import choice

    classes = dict(_threshold(text) for text in arguments.classes)
    data = Dataset(arguments.data)
    known = classes_of(data.lines)
    for name in classes:
        if name not in known:
            raise UsageError(choice("class", name, known, "of --class"))
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
        raise UsageError(
            f"--class '{shown(text)}' is not understood; NAME=NUMBER is expected, as in "
            '"emotion happy=7". Correct it.'
        ) from None


def _pairs(arguments: argparse.Namespace) -> int:
    """`stepedit data pairs`: what the reward model learns from."""
    from ..data.select import by_prompt, preference_pairs, why_no_pairs
    from ..data.shards import Dataset
    from ..files.whole import check_length

    data = Dataset(arguments.samples)
    check_length(arguments.out)
    groups = by_prompt(example for example in data if example.kind == "sample")
    if not groups:
        raise ValueError(
            f"'{shown(data.folder.name)}' has no answers of a model; pairs are made of what "
            "`stepedit data sample` draws. Name such a folder."
        )
    made = [
        pair
        for samples in groups.values()
        for pair in preference_pairs(samples, margin=arguments.margin, most=arguments.most)
    ]
    if not made:
        log.warning("%s", shown(why_no_pairs(groups.values(), arguments.margin)))
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
    about = {"from": storable(data.folder.name), "sha256": data.sha256}
    with Writer(out, data.codebook, about) as writer:
        added = sum(writer.add(example) for example in examples)
    return _counted({"of": of, "new": added, "all": len(writer.ids)})


def _stats(arguments: argparse.Namespace) -> int:
    """`stepedit data stats`: the table, and the picture where asked."""
    from ..data.shards import Dataset
    from ..data.stats import stats_picture, stats_table
    from ..files.chart import is_chart, save_png
    from ..files.outputs import check_output

    if arguments.picture:
        check_output(
            arguments.picture, endings=(".png",), ours=is_chart, overwrite=arguments.overwrite
        )
    lines = Dataset(arguments.data).lines
    say_result(stats_table(lines))
    if arguments.picture:
        save_png(stats_picture(lines), arguments.picture)
    return 0
