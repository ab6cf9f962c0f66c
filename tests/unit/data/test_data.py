"""Training data: format, resuming after a kill, selection, pairs, hardest prompts, statistics."""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from stepedit_core import cli
from stepedit_core.data import build as building
from stepedit_core.data import sample as sampling
from stepedit_core.data.build import Task, parse_order, tasks_of
from stepedit_core.data.records import Example, Kind
from stepedit_core.data.sample import chosen
from stepedit_core.data.select import by_prompt, hardest, keeps, preference_pairs, why_no_pairs
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.data.stats import rows_of
from stepedit_core.engines import WorkerSetting
from stepedit_core.files.tokens import save_tokens
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import DualCodes, EditRequest


def build(tasks: list[Task], out: Path, *, shard_examples: int = 256, **how: Any) -> dict[str, int]:
    """Examples of the tasks in a folder, as the command makes them."""
    with Writer(out, "tiny-1", None, shard_examples) as writer:
        return building.build(tasks, writer, **how)


def codes(groups: int, seed: int, codebook: str = "tiny-1") -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
        semantic=torch.randint(0, 4096, (3 * groups,), generator=generator),
        codebook=codebook,
    )


def example(
    number: int = 0,
    *,
    kind: Kind = "triplet",
    option: str = "happy",
    margin: float | None = 7.0,
    scale: int = 10,
    source: int = 1000,
) -> Example:
    return Example(
        kind=kind,
        request=EditRequest(kind="emotion", option=option, text="hello"),
        source=codes(3, source),
        target=codes(4, number),
        margin=margin,
        scale=scale,
        speaker=f"s{number % 3}",
        provenance="test",
        licence="CC0-1.0",
        key=f"k{number}",
    )


def same_codes(a: DualCodes | None, b: DualCodes | None) -> bool:
    if a is None or b is None:
        return a is b
    return (
        torch.equal(a.linguistic, b.linguistic)
        and torch.equal(a.semantic, b.semantic)
        and a.codebook == b.codebook
    )


def test_what_is_written_is_read_back(tmp_path: Path):
    pair = replace(example(2), kind="pair", rejected=codes(2, 77), margin=8.5)
    with Writer(tmp_path / "d", "tiny-1", shard_examples=2) as writer:
        assert [writer.add(e) for e in (example(0), example(1), pair)] == [True] * 3
    found = list(Dataset(tmp_path / "d"))
    for written, read in zip((example(0), example(1), pair), found, strict=True):
        for side in ("source", "target", "rejected"):
            assert same_codes(getattr(written, side), getattr(read, side))
        assert (read.request, read.margin, read.key) == (
            written.request,
            written.margin,
            written.key,
        )
        assert (read.licence, read.provenance, read.kind) == ("CC0-1.0", "test", written.kind)
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == [
        "data-00000.jsonl",
        "data-00000.safetensors",
        "data-00001.jsonl",
        "data-00001.safetensors",
        "dataset.json",
    ]


def test_the_files_are_what_the_format_says(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0))
        writer.add(example(1))
    header = read_header_raw(tmp_path / "d" / "data-00000.safetensors")
    assert header["linguistic"]["dtype"] == header["semantic"]["dtype"] == "I16"
    assert header["linguistic"]["shape"] == [2 * (3 + 4 + 3 + 4)]
    assert header["semantic"]["shape"] == [3 * 14]
    line = json.loads((tmp_path / "d" / "data-00000.jsonl").read_text().splitlines()[1])
    assert (line["source"], line["target"], "rejected" in line) == ([7, 3], [10, 4], False)
    assert line["edit"] == {"kind": "emotion", "option": "happy"}
    assert len(line["id"]) == 32


def read_header_raw(path: Path) -> dict[str, dict[str, object]]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length])


def test_equal_examples_are_stored_once_over_several_runs(tmp_path: Path):
    for _ in range(2):
        with Writer(tmp_path / "d", "tiny-1") as writer:
            writer.add(example(0))
            writer.add(replace(example(0), speaker="another", key="other"))
    assert len(Dataset(tmp_path / "d")) == 1


def test_other_words_other_codes_or_another_edit_are_not_equal():
    one = example(0)
    others = [
        replace(one, request=replace(one.request, text="hello you")),
        replace(one, request=replace(one.request, text="hell", new_text="o")),
        replace(one, request=replace(one.request, option="sad")),
        replace(one, target=codes(4, 5)),
        replace(one, rejected=one.target),
        replace(one, source=one.target, target=one.source),
    ]
    assert len({e.id for e in (one, *others)}) == 7


def test_answers_of_one_work_order_never_end_up_in_two_shards(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1", shard_examples=2) as writer:
        writer.add_all([example(n) for n in range(5)])
        writer.add_all([example(9)])
    sizes = [len(p.read_text().splitlines()) for p in sorted((tmp_path / "d").glob("*.jsonl"))]
    assert sizes == [5, 1]


def test_another_codebook_is_refused(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1") as writer:
        with pytest.raises(ValueError, match=r"codebook 'other-1'; this folder takes 'tiny-1'"):
            writer.add(replace(example(0), target=codes(4, 0, "other-1")))
        writer.add(example(0))
    with pytest.raises(ValueError, match=r"has codes of codebook 'tiny-1'; these are of 'other-1'"):
        Writer(tmp_path / "d", "other-1")


@pytest.mark.parametrize(
    ("text", "words"), [(None, "has no dataset.json"), ('{"format": 9}', "has format 9; this")]
)
def test_a_folder_that_is_no_data_is_named(tmp_path: Path, text: str | None, words: str):
    if text:
        (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        Dataset(tmp_path)


# building, and being killed


def plan(folder: Path, count: int) -> Path:
    """Work orders whose sides are saved tokens; the last repeats the first, one cannot be read."""
    folder.mkdir()
    save_tokens(codes(3, 1000), folder / "neutral.safetensors")
    lines = []
    for number in range(count):
        save_tokens(codes(4, number), folder / f"{number}.safetensors")
        lines.append(
            {
                "source": {"tokens": "neutral.safetensors"},
                "target": {"tokens": f"{number}.safetensors"},
                "edit": {"kind": "emotion", "option": "happy"},
                "text": "hello",
                "licence": "CC0-1.0",
                "margin": None if number % 2 else 9,
            }
        )
    (folder / "plan.jsonl").write_text("\n".join(map(json.dumps, [*lines, lines[0]])) + "\n\n")
    return folder / "plan.jsonl"


def hanging(orders: int) -> Callable[[Bundle, Task], Example]:
    """Make so many examples, then never another."""
    left = iter(range(orders))

    def make(bundle: Bundle, task: Task) -> Example:
        if next(left, None) is None:
            time.sleep(600)
        return building.make_example(bundle, task)

    return make


def setting(bundles: Path) -> WorkerSetting:
    return WorkerSetting(bundle="tiny", folders=(str(bundles),))


def in_child(work: Callable[[], object]) -> int:
    """Fork a process that does the work and ends; its id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads are not used in the child
        child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_killed_build_that_goes_on_loses_and_doubles_nothing(bundles: Path, tmp_path: Path):
    tasks = tasks_of(plan(tmp_path / "plan", 40), "sha")
    out = tmp_path / "out"

    def work(make: Callable[[Bundle, Task], Example] = building.make_example) -> None:
        build(tasks, out, setting=setting(bundles), make=make, shard_examples=4)

    # each run makes that many, has whole shards of four written, and is killed in the next one
    for orders, shards in ((6, 1), (13, 4), (3, 4), (4, 5)):
        child = in_child(lambda orders=orders: work(hanging(orders)))  # type: ignore[misc]
        deadline = time.monotonic() + 300
        while len(list(out.glob("data-*.jsonl"))) < shards and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert len(list(out.glob("data-*.jsonl"))) == shards
    (out / ".data-00099.safetensors.part").write_bytes(b"torn")
    (out / "data-00099.safetensors").write_bytes(b"a shard whose lines were never written")
    work()
    lines = Dataset(out).lines
    assert len(lines) == len({line["id"] for line in lines}) == 40
    assert {line["key"] for line in lines} == {task.key for task in tasks}
    unbroken = tmp_path / "unbroken"
    build(tasks, unbroken, setting=setting(bundles))
    strip = ("source", "target")
    assert [{k: v for k, v in line.items() if k not in strip} for line in lines] == [
        {k: v for k, v in line.items() if k not in strip} for line in Dataset(unbroken).lines
    ]


def test_several_processes_build_what_one_builds(bundles: Path, tmp_path: Path):
    tasks = tasks_of(plan(tmp_path / "plan", 6), "sha")
    for workers in (1, 2):
        counts = build(
            tasks,
            tmp_path / str(workers),
            setting=setting(bundles),
            workers=workers,
        )
        assert counts == {"orders": 6, "new": 6, "known": 0, "equal": 0, "failed": 0}
    one, two = (Dataset(tmp_path / str(workers)) for workers in (1, 2))
    assert one.lines == two.lines
    assert one.sha256 == two.sha256


def test_margins_come_from_the_plan_or_from_the_scorer(
    bundles: Path, tmp_path: Path, bundle: Bundle
):
    from stepedit_core.measure.margin import score

    tasks = tasks_of(plan(tmp_path / "plan", 2), "sha")
    build(tasks, tmp_path / "out", setting=setting(bundles))
    first, second = Dataset(tmp_path / "out")
    assert first.margin == 9.0
    expected = score(bundle, codes(3, 1000), codes(4, 1), second.request)
    assert second.margin == pytest.approx(expected, abs=1e-4)
    assert first.kind == "triplet"


def test_a_bad_order_is_named_and_the_others_are_made(bundles: Path, tmp_path: Path):
    path = plan(tmp_path / "plan", 2)
    bad = json.loads(path.read_text().splitlines()[0])
    bad["target"] = {"tokens": "absent.safetensors"}
    path.write_text(path.read_text() + json.dumps(bad) + "\n")
    counts = build(tasks_of(path, "s"), tmp_path / "o", setting=setting(bundles))
    assert (counts["new"], counts["failed"]) == (2, 1)
    problem = json.loads((tmp_path / "o" / "failed.jsonl").read_text())
    assert problem["line"] == 5
    assert "absent.safetensors" in problem["problem"]


GOOD = '"source": {"audio": "a.wav"}, "target": {"audio": "b.wav"}, "edit": {"kind": "denoise"}'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{oops", "line 7 of the plan is not JSON"),
        ("[]", "line 7 of the plan is a list; an object is expected. Correct the plan."),
        ("{" + GOOD + ', "marign": 3}', "unknown key 'marign'; known are source, target"),
        (
            "{" + GOOD.replace('"a.wav"', '"a.wav", "clone": "c.wav"') + "}",
            "gives audio and clone for",
        ),
        ("{" + GOOD.replace('{"audio": "b.wav"}', "{}") + "}", "gives nothing for its target"),
        ("{" + GOOD + ', "margin": "high"}', "margin is text; float is expected"),
    ],
)
def test_a_wrong_plan_says_which_line_and_why(line: str, words: str):
    with pytest.raises(ValueError, match=r"^line 7 of the plan") as error:
        parse_order(Task(line=line, key="", folder="", number=7))
    assert words in str(error.value)


def test_ray_that_is_not_there_names_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, bundles: Path, tmp_path: Path
):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    tasks = tasks_of(plan(tmp_path / "plan", 1), "sha")
    with pytest.raises(ValueError, match=r'pip install "ray\[data\]"'):
        build(tasks, tmp_path / "o", setting=setting(bundles), engine="ray")


class RayData:
    """As much of ray.data as is called: rows of plain values through a pool of workers, in order.

    The real one was run by hand (docs/training.md); it is not a dependency of the tests.
    """

    def __init__(self) -> None:
        self.execution_options = SimpleNamespace(preserve_order=False)
        self.rows: list[dict[str, Any]] = []

    def get_current(self) -> RayData:
        return self

    def from_items(self, rows: list[dict[str, Any]], *, override_num_blocks: int) -> RayData:
        assert all(type(v) in (str, int) for row in rows for v in row.values())
        assert override_num_blocks == -(-len(rows) // 4)
        self.rows = rows
        return self

    def map(self, worker: Any, *, fn_constructor_args: tuple[Any, ...], compute: int) -> RayData:
        assert compute == 2
        pool = [worker(*fn_constructor_args) for _ in range(compute)]
        self.rows = [pool[n % compute](row) for n, row in enumerate(self.rows)]
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows if self.execution_options.preserve_order else self.rows[::-1])


def test_ray_is_given_plain_rows_and_makes_what_local_processes_make(
    monkeypatch: pytest.MonkeyPatch, bundles: Path, tmp_path: Path
):
    data = RayData()
    module = ModuleType("ray.data")
    vars(module).update(from_items=data.from_items, DataContext=data)
    vars(module).update(ActorPoolStrategy=lambda size: size)
    parent = ModuleType("ray")
    vars(parent).update(data=module)
    for name, found in (("ray", parent), ("ray.data", module)):
        monkeypatch.setitem(sys.modules, name, found)
    tasks = tasks_of(plan(tmp_path / "plan", 9), "sha")
    digests = []
    for engine in ("local", "ray"):
        how: dict[str, Any] = {"setting": setting(bundles), "engine": engine}
        workers = 2 if engine == "ray" else 1
        out = tmp_path / engine
        counts = build(tasks, out, workers=workers, shard_examples=4, **how)
        assert counts["new"] == 9
        digests.append(Dataset(out).sha256)
    assert digests[0] == digests[1]


# selection


def line(margin: float | None, kind: str = "triplet", option: str = "happy") -> dict[str, object]:
    return {"margin": margin, "kind": kind, "edit": {"kind": "emotion", "option": option}}


def test_selection_keeps_holds_and_no_other_small_margin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    hold = replace(example(1, margin=1.0), source=codes(4, 1))
    with Writer(tmp_path / "all", "tiny-1") as writer:
        writer.add_all([hold, example(2, margin=5.9), example(3, margin=6.0)])
    kept = tmp_path / "kept"
    run(capsys, "select", tmp_path / "all", "--out", kept, "--least", 6)
    assert {e.id for e in Dataset(kept)} == {hold.id, example(3).id}


@pytest.mark.parametrize(
    ("margin", "kind", "option", "kept"),
    [
        (6.0, "triplet", "happy", True),
        (5.99, "triplet", "happy", False),
        (6.5, "triplet", "sad", False),
        (7.0, "triplet", "sad", True),
        (6.5, "triplet", "fear", True),
        (None, "triplet", "happy", False),
        (None, "quadruplet", "", True),
        (3.0, "quadruplet", "", False),
    ],
)
def test_margins_of_6_are_kept_and_classes_may_ask_for_more(
    margin: float | None, kind: str, option: str, kept: bool
):
    assert keeps(line(margin, kind, option), classes={"emotion sad": 7.0, "style": 9.0}) == kept


def test_a_kind_may_have_a_threshold_for_all_its_options():
    assert not keeps(line(8.0), classes={"emotion": 8.5})
    assert keeps(line(8.0), classes={"emotion": 8.5, "emotion happy": 5.0})


def samples(scores: Sequence[float], scale: int) -> list[Example]:
    return [example(n, kind="sample", margin=s, scale=scale) for n, s in enumerate(scores)]


def test_pairs_differ_by_3_of_5_or_8_of_10_points_and_the_widest_come_first():
    five = preference_pairs(samples([5, 2, 1.5, 3], 5))
    assert [pair.margin for pair in five] == [3.5, 3.0]
    assert all(same_codes(pair.target, codes(4, 0)) for pair in five)
    assert [same_codes(p.rejected, codes(4, n)) for p, n in zip(five, (2, 1), strict=True)] == [
        True
    ] * 2
    ten = preference_pairs(samples([9.5, 1.2, 2.0], 10))
    assert [pair.margin for pair in ten] == [8.3]
    assert preference_pairs(samples([9.5, 1.2, 2.0], 10), most=0) == []
    assert len(preference_pairs(samples([9.5, 1.2, 2.0], 10), margin=0.5)) == 3


@pytest.mark.parametrize(
    ("scores", "scale", "margin", "words"),
    [
        (
            [5.1, 6.9, 6.0],
            10,
            None,
            "1.80 points at most, and the margin is 8. Set the margin to 1.5 ",
        ),
        (
            [4.0, 2.0],
            5,
            None,
            "2.00 points at most, and the margin is 3. Set the margin to 2 or less",
        ),
        ([5.1, 5.3], 10, 8.0, "0.20 points at most, and the margin is 8. Draw more answers at a "),
        ([5.1], 10, 8.0, "0.00 points at most, and the margin is 8. Draw more answers at a "),
    ],
)
def test_where_no_pair_is_kept_the_sentence_tells_the_widest_margin_and_what_to_set(
    scores: list[float], scale: int, margin: float | None, words: str
):
    made = samples(scores, scale)
    assert preference_pairs(made, margin=margin) == []
    said = why_no_pairs([made, made[:1]], margin)
    assert words in said
    assert said.startswith("no pair is kept: ")
    assert said.endswith(" at a higher temperature.")


def test_pairs_do_not_depend_on_the_order_of_the_samples():
    made = samples([9.5, 1.2, 1.2, 9.5], 10)
    forth, back = (preference_pairs(s, most=2) for s in (made, made[::-1]))
    assert [p.id for p in forth] == [p.id for p in back]


def test_the_prompts_that_are_drawn_stay_when_data_is_added_to():
    made = [example(0, source=100 * k) for k in range(9)]
    ids = sorted(e.prompt_id for e in made)
    assert len(set(ids)) == 9
    assert [e.prompt_id for e in chosen(iter(made), 3)] == ids[:3]
    assert {e.prompt_id for e in chosen(iter(made[:5]), 2)} <= {e.prompt_id for e in made[:5]}
    assert list(chosen(iter(made), None)) == made


@pytest.mark.parametrize(
    ("kind", "distance", "wanted"),
    # score 9: what it has above 1 falls to nothing at a distance of 0.5
    [
        ("emotion", 0.0, 9.0),
        ("style", 0.25, 5.0),
        ("speed", 0.5, 1.0),
        ("emotion", 0.9, 1.0),
        ("clone", 0.9, 9.0),
    ],
)
def test_lost_words_take_marks_off(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, kind: str, distance: float, wanted: float
):
    monkeypatch.setattr(sampling, "score", lambda *_: 9.0)
    monkeypatch.setattr(sampling, "word_distance", lambda book, source, made: distance)
    request = EditRequest(kind=kind, option="happy", text="hello")
    assert sampling.mark(bundle, codes(3, 0), codes(4, 1), request) == pytest.approx(wanted)


def test_an_unknown_scale_needs_a_margin():
    with pytest.raises(ValueError, match=r"scale of 7; pair margins are known for 5, 10. Give"):
        preference_pairs(samples([7, 1], 7))


def test_samples_are_grouped_by_the_prompt_they_answer():
    made = [example(0), example(1, source=5), example(2)]
    assert [len(group) for group in by_prompt(made).values()] == [2, 1]


def test_the_hardest_prompts_have_the_lowest_mean():
    difficulty = {"a": [3.0, 1.0], "b": [1.0], "c": [9.0], "d": [1.5, 1.7], "e": []}
    assert hardest(difficulty, 3) == ["b", "d", "a"]
    labels = {"a": "sad", "b": "happy", "c": "sad", "d": "happy", "e": "sad"}
    assert hardest(difficulty, 3, labels) == ["b", "a", "d"]


def test_the_table_counts_what_is_there(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0, margin=6.0))
        writer.add(replace(example(1, margin=9.0), split="dev"))
        writer.add(example(2, option="sad", margin=None))
    rows = rows_of(Dataset(tmp_path / "d").lines)
    # two examples of 3 + 4 groups of 0.12 s
    assert rows[0] == ("emotion happy", "triplet", "2", "1", "0.000", "2", "7.50", "6.00", "9.00")
    assert rows[1] == ("emotion sad", "triplet", "1", "0", "0.000", "1", "-", "-", "-")
    assert rows[2][:5] == ("all", "-", "3", "1", "0.001")


# the command


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = cli.main(["data", *map(str, arguments)])
    return code, capsys.readouterr().out


def test_the_command_goes_from_a_plan_to_pairs(
    bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    from stepedit_core.data import sample as sampling

    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.setattr(sampling, "longest_answer", lambda request, source: 10)
    path = plan(tmp_path / "plan", 3)
    model = ("--bundle", "tiny", "--device", "cpu")
    code, said = run(capsys, "build", path, "--out", tmp_path / "all", *model)
    assert (code, json.loads(said)["new"]) == (0, 3)
    code, said = run(capsys, "build", path, "--out", tmp_path / "all", *model)
    assert json.loads(said) == {"orders": 3, "new": 0, "known": 3, "equal": 0, "failed": 0}
    code, said = run(
        capsys,
        "select",
        tmp_path / "all",
        "--out",
        tmp_path / "kept",
        "--class",
        "emotion happy=8.5",
    )
    assert json.loads(said) == {"of": 3, "new": 2, "all": 2}
    sample = ("sample", tmp_path / "all", "--out", tmp_path / "drawn", *model, "--answers", 4)
    code, said = run(capsys, *sample)
    # three examples, one prompt
    assert json.loads(said) == {"new": 4}
    assert json.loads(run(capsys, *sample)[1]) == {"new": 0}
    drawn = Dataset(tmp_path / "drawn")
    assert {e.kind for e in drawn} == {"sample"}
    assert all(1 <= float(e.margin or 0) <= 10 for e in drawn)
    code, said = run(
        capsys, "pairs", tmp_path / "drawn", "--out", tmp_path / "pairs", "--margin", 0, "--most", 3
    )
    assert json.loads(said) == {"of": 1, "new": 3, "all": 3}
    code, said = run(
        capsys, "hardest", tmp_path / "drawn", "--out", tmp_path / "hard", "--count", 1
    )
    best = max(drawn, key=lambda e: float(e.margin or 0))
    assert Dataset(tmp_path / "hard")[0].margin == best.margin
    code, said = run(capsys, "stats", tmp_path / "pairs")
    assert said.splitlines()[0].split()[:3] == ["class", "kind", "examples"]
    assert said.splitlines()[1].split()[:4] == ["emotion", "happy", "pair", "3"]


def test_the_command_says_why_no_pair_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    with Writer(tmp_path / "drawn", "tiny-1") as writer:
        writer.add_all(samples([5.0, 6.5], 10))
    code, said = run(capsys, "pairs", tmp_path / "drawn", "--out", tmp_path / "pairs")
    assert code == 0
    assert json.loads(said) == {"of": 1, "new": 0, "all": 0}
    assert "1.50 points at most, and the margin is 8. Set the margin to 1.5 " in caplog.text


def test_statistics_are_drawn_as_a_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pil = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    with Writer(tmp_path / "d", "tiny-1") as writer:
        for n, margin in enumerate((2.0, 2.5, 7.0)):
            writer.add(example(n, margin=margin))
    code, _ = run(capsys, "stats", tmp_path / "d", "--picture", tmp_path / "p.png")
    assert code == 0
    with pil.open(tmp_path / "p.png") as picture:
        pixels = picture.convert("RGB").load()
        # rows: happy 3, margin 2: 2, margin 7: 1; the second bar is 2/3 of the first, the third 1/3
        blue = [
            sum(pixels[x, 40 + 22 * k + 11] == (0, 98, 155) for x in range(700)) for k in range(3)
        ]
    assert blue[1] / blue[0] == pytest.approx(2 / 3, abs=0.01)
    assert blue[2] / blue[0] == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("select", "d", "--out", "o", "--class", "happy"), "--class 'happy' is not understood"),
        (("select", "d", "--out", "d"), "--out is the folder that is read"),
        (("build", "absent.jsonl", "--out", "o", "--bundle", "tiny"), "there is no plan"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    bundles: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    monkeypatch.chdir(tmp_path)
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0))
    assert cli.main(["data", *arguments]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
