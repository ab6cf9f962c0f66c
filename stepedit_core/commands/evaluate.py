"""`stepedit evaluate run|judge|scorer|rewards`: the report's protocol and what stands beside it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.lock import locked
from ..files.outputs import check_not_input, check_output, check_own, write_own
from ..files.strict import without_nan
from ..files.whole import ready_folder
from ..printable import shown
from .options import (
    RESUMES,
    UsageError,
    add_bundle,
    add_overwrite,
    add_seed,
    place,
    say_result,
    whole_number,
)

if TYPE_CHECKING:
    from ..data.shards import Dataset
    from ..evaluate.judges import Judge
    from ..pipelines.plan import VoiceMode
    from ..registry.handle import Bundle

RESULTS = ("table.txt", "summary.json", "accuracy_by_iteration.png", "accuracy_by_similarity.png")
"""Files of `run`, beside its clips."""
SCORED = ("table.txt", "scorer.json", "calibration.json", "reliability.png")
"""Files of `scorer`."""


def add(commands: Any) -> None:
    """Put `evaluate` and its subcommands on the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model",
        description="Measure a model: its edits, its scorer, or what a training changed.",
        allow_abbrev=False,
    )
    kinds = parser.add_subparsers(required=True, metavar="WHAT")

    def command(name: str, help_: str, run: Any) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = kinds.add_parser(
            name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False
        )
        made.set_defaults(run=run)
        return made

    run = command("run", "edit the cases of a file round by round, and judge every round", _run)
    run.set_defaults(stopped=RESUMES)
    run.add_argument(
        "cases", metavar="CASES.jsonl", type=place, nargs="+", help="JSON-lines, one case a line"
    )
    add_bundle(run)
    add_seed(run)
    run.add_argument(
        "--rounds",
        type=whole_number(1, 10),
        default=3,
        metavar="N",
        help="rounds of each case, 1 to 10; default 3",
    )
    run.add_argument(
        "--start",
        choices=("clone", "recording"),
        default="clone",
        help="what the first round edits: the words cloned (default), or the prompt audio, which "
        "must say them",
    )
    run.add_argument(
        "--voice",
        choices=("both", "previous", "original"),
        default="both",
        help="whose sound each round follows, as of `stepedit edit`; both (default): a table each",
    )
    run.add_argument(
        "--judge",
        action="append",
        default=[],
        metavar="KIND=WHAT",
        help="who judges: emotion=judge.safetensors, or style=package.module:function",
    )
    run.add_argument(
        "--figures", default="", metavar="A,B", help="further figures: wer, similarity, mos"
    )
    run.add_argument(
        "--out",
        type=place,
        required=True,
        metavar="DIR",
        help="folder of clips and tables; finished cases there are kept, the rest is made",
    )

    judge = command("judge", "train an acoustic judge of emotions, styles or sounds", _judge)
    judge.set_defaults(one_file="out")
    judge.add_argument(
        "clips",
        metavar="CLIPS.jsonl",
        type=place,
        help='lines of {"source", "audio", "label", "split"}: a plain clip of the speaker, and one '
        "that is heard as the label; dev is held out: other speakers and texts",
    )
    judge.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=CLIPS.jsonl",
        help="try it on these too, for example real acted speech or, with --sounds, clips without "
        "any (score 1); nothing is learnt from them",
    )
    judge.add_argument(
        "--sounds",
        action="store_true",
        help='the lines have "start" and "end" in seconds of an inserted sound',
    )
    judge.add_argument(
        "--out", type=place, required=True, metavar="JUDGE.safetensors", help="file of the judge"
    )
    add_overwrite(judge)

    scorer = command("scorer", "compare a model's scores with known margins", _scorer)
    scorer.add_argument(
        "data", metavar="DATA", type=place, help="data folder; its margins are the truth"
    )
    add_bundle(scorer)
    scorer.add_argument(
        "--split",
        choices=("dev", "train"),
        default="dev",
        help="examples held out (default) or learnt from",
    )
    scorer.add_argument(
        "--out", type=place, required=True, metavar="DIR", help="folder for table and picture"
    )

    rewards = command("rewards", "show what PPO or GRPO changed of its rewards", _rewards)
    rewards.add_argument("folder", metavar="RUN", type=place, help="finished run folder")
    rewards.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="DATA",
        help="data folder with the prompts; default: those the run was trained on",
    )
    rewards.add_argument(
        "--split",
        choices=("train", "dev"),
        default="train",
        help="prompts learnt from (default) or held out",
    )
    rewards.add_argument(
        "--answers",
        type=whole_number(1),
        default=4,
        metavar="K",
        help="answers drawn for each prompt; default 4",
    )
    add_seed(rewards)


def _judge(arguments: argparse.Namespace) -> int:
    """`stepedit evaluate judge`: functionals, a classifier, its held-out accuracy."""
    from dataclasses import replace

    from ..evaluate.functionals import is_judge, train_judge
    from ..evaluate.labelled import features_of

    also = _also(arguments.also)
    check_output(
        arguments.out,
        [arguments.clips, *also.values()],
        endings=(".safetensors",),
        ours=is_judge,
        overwrite=arguments.overwrite,
    )
    if arguments.sounds:
        return _sound_judge(arguments.clips, also, arguments.out)
    features, labels, held_out = features_of(arguments.clips)
    judge = train_judge(features, labels, held_out)
    elsewhere = {name: judge.accuracy_on(*features_of(path)[:2]) for name, path in also.items()}
    judge = replace(judge, elsewhere=elsewhere)
    judge.save(arguments.out)
    about = {"clips": len(labels), "held_out": sum(held_out), "accuracy": judge.accuracy}
    said = without_nan({"labels": judge.labels, **about, **elsewhere})
    say_result(json.dumps(said, allow_nan=False))
    return 0


def _also(given: list[str]) -> dict[str, Path]:
    """Name -> file of each --also."""
    found = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals:
            raise UsageError(
                f"--also '{shown(text)}' is not understood; NAME=CLIPS.jsonl is expected. Correct "
                "it."
            )
        found[name] = Path(path)
    return found


def _sound_judge(path: Path, also: dict[str, Path], out: Path) -> int:
    """A judge of inserted sounds; its mean score on held-out clips, and on those of `also`.

    Where nothing was inserted the score is 1, so clips without a sound show how often it hears one.
    """
    from ..audio.files import read_clip
    from ..evaluate.labelled import read_labelled
    from ..evaluate.sounds import train_sound_judge

    def mean_score(folder: Path, rows: list[dict[str, Any]]) -> float:
        scores = []
        for row in rows:
            source, made = (read_clip(folder / row[side]) for side in ("source", "audio"))
            scores.append(judge.score(source, made, row["label"]))
        return sum(scores) / max(1, len(scores))

    rows, held_out = read_labelled(path, sounds=True)
    clips = [read_clip(path.parent / row["audio"]) for row in rows]
    spans = [(row["label"], row["start"], row["end"]) for row in rows]
    judge = train_sound_judge(
        [(clip, *span) for clip, span in zip(clips, spans, strict=True)], held_out
    )
    judge.judge.save(out)
    tried = [row for row, held in zip(rows, held_out, strict=True) if held]
    about = {"clips": len(rows), "held_out": len(tried), "accuracy": judge.judge.accuracy}
    scores = {"score": mean_score(path.parent, tried)}
    scores |= {name: mean_score(file.parent, read_labelled(file)[0]) for name, file in also.items()}
    said = without_nan({"labels": judge.judge.labels, **about, **scores})
    say_result(json.dumps(said, allow_nan=False))
    return 0


def _scorer(arguments: argparse.Namespace) -> int:
    """`stepedit evaluate scorer`: rank correlation, error, reliability, a calibration."""
    from ..data.shards import Dataset
    from ..registry.registry import Registry

    bundle = Registry().load(arguments.bundle, device=arguments.device)
    data, out = Dataset(arguments.data), arguments.out
    ready_folder(out)
    with locked(out):
        check_own(out, SCORED)
        _judge_scorer(bundle, data, out, arguments.split)
    return 0


def _judge_scorer(bundle: Bundle, data: Dataset, out: Path, split: str) -> None:
    """Judge a scorer; the table goes to the folder and to stdout."""
    from ..evaluate import scorer as found
    from ..files.chart import png_of

    judged = found.judge_scorer(bundle, data, split=split)
    sets = {"as it is": judged}
    files: dict[str, str | bytes] = {}
    if not bundle.scorer.config.calibration:
        sets["calibrated"] = found.cross_fitted(judged)
        knots = json.dumps(found.calibration_of(judged), allow_nan=False)
        files["calibration.json"] = knots + "\n"
    bins = {name: found.reliability(rows) for name, rows in sets.items()}
    text = "\n\n".join(
        [
            f"scorer of {bundle.name}, split {split} of {data.folder.name}",
            found.class_table(judged),
            "calibrated: each half of the speakers by the map of the other half",
            found.summary_table(sets),
            *(f"{name}\n{found.reliability_table(rows)}" for name, rows in bins.items()),
        ]
    )
    about = {
        name: {
            **found.figures_of(rows)._asdict(),
            "bins": [one._asdict() for one in bins[name]],
        }
        for name, rows in sets.items()
    }
    files["reliability.png"] = png_of(found.reliability_chart(bins))
    files["table.txt"] = text + "\n"
    files["scorer.json"] = json.dumps(without_nan(about), indent=1, allow_nan=False) + "\n"
    write_own(out, files)
    say_result(text)


def _rewards(arguments: argparse.Namespace) -> int:
    """`stepedit evaluate rewards`: a table of both models and their difference."""
    from ..train.compare import SCORE, compare, rewards_table

    found = compare(
        arguments.folder,
        data=arguments.data,
        split=arguments.split,
        answers=arguments.answers,
        seed=arguments.seed,
    )
    prompts = len(found.before[SCORE])
    say_result(f"{prompts} prompts, {arguments.answers} answers each\n\n{rewards_table(found)}")
    return 0


def _judges(given: list[str]) -> tuple[dict[str, Judge], list[str]]:
    """Kind -> judge, and a line about each."""
    from ..evaluate.functionals import load_judge
    from ..evaluate.judges import load_judge_function
    from ..evaluate.sounds import load_sound_judge

    judges: dict[str, Judge] = {}
    said = []
    for text in given:
        kind, equals, what = text.partition("=")
        if not equals or kind not in ("emotion", "style", "sounds"):
            raise UsageError(
                f"--judge '{shown(text)}' is not understood; emotion=, style= or sounds= and a "
                "judge are expected. Correct it."
            )
        if what.endswith(".safetensors") and kind == "sounds":
            sounds = load_sound_judge(what)
            judges[kind] = sounds.score
            said.append(f"sounds: windows, {sounds.judge.accuracy:.1%} right of those held out")
        elif what.endswith(".safetensors"):
            judge = load_judge(what)
            judges[kind] = judge.score
            other = "".join(f", {v:.1%} on {name}" for name, v in judge.elsewhere.items())
            said.append(
                f"{kind}: acoustic judge of {len(judge.labels)} labels, {judge.accuracy:.1%} right "
                f"on its held-out clips{other}"
            )
        else:
            judges[kind] = load_judge_function(what)
            said.append(f"{kind}: {what}")
    return judges, said


def _run(arguments: argparse.Namespace) -> int:
    """`stepedit evaluate run`: clips, tables, charts."""
    from ..evaluate.cases import read_cases
    from ..evaluate.evaluation import (
        CLIPS,
        accuracy_chart,
        class_table,
        evaluate,
        summary,
        summary_table,
    )
    from ..evaluate.judges import figures_of
    from ..evaluate.protocol import Protocol
    from ..files.chart import png_of
    from ..registry.registry import Registry

    check_own(arguments.out, RESULTS, arguments.cases)
    check_not_input(arguments.out / CLIPS, arguments.cases)
    names = tuple(name for name in arguments.figures.split(",") if name)
    judges, said = _judges(arguments.judge)
    figures = figures_of(names)
    cases = [case for path in arguments.cases for case in read_cases(path)]
    bundle = Registry().load(arguments.bundle, device=arguments.device)
    both: tuple[VoiceMode, ...] = ("previous", "original")
    protocol = Protocol(
        voices=both if arguments.voice == "both" else (arguments.voice,),
        rounds=arguments.rounds,
        seed=arguments.seed,
        start=arguments.start,
    )
    rows = evaluate(
        bundle,
        cases,
        arguments.out,
        protocol,
        judges=judges,
        figures=figures,
    )
    shown = (*names, "seconds", "real_time")
    entries = summary(rows, shown)
    text = "\n\n".join([*said, summary_table(entries, shown), class_table(entries)])
    whole = json.dumps(without_nan(entries), indent=1, allow_nan=False) + "\n"
    write_own(arguments.out, {"table.txt": text + "\n", "summary.json": whole})
    say_result(text)
    if judges:
        charts = {
            f"accuracy_by_{against}.png": png_of(accuracy_chart(entries, against))
            for against in ("iteration", *(n for n in names if n == "similarity"))
        }
        write_own(arguments.out, charts)
    return 0
