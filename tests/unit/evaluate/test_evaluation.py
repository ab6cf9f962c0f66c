"""Evaluation: the benchmark's lines, intervals, the protocol, resuming, judges, tables, charts."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from stepedit_core import cli
from stepedit_core.audio.files import read_clip
from stepedit_core.evaluate import evaluation
from stepedit_core.evaluate import functionals as functionals_module
from stepedit_core.evaluate.cases import Case, read_cases
from stepedit_core.evaluate.evaluation import class_table, evaluate, read_rows, summary
from stepedit_core.evaluate.functionals import frames_of, functionals, load_judge, train_judge
from stepedit_core.evaluate.intervals import class_interval, interval
from stepedit_core.evaluate.judges import (
    figures_of,
    load_judge_function,
    quality,
)
from stepedit_core.evaluate.protocol import run_case
from stepedit_core.evaluate.sounds import labelled_windows, train_sound_judge, windows
from stepedit_core.pipelines import generate as generate_module
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip

from ..conftest import voiced

LINE = {
    "id": "happy-1",
    "speaker": "s1",
    "gen_text": "hello [Sigh] world",
    "prompt_audio": "p.wav",
    "prompt_text": "good morning",
    "lang": "en",
    "task": "emotion",
    "task_sub": "happy",
}


def cases_file(folder: Path, *changes: dict[str, str]) -> Path:
    soundfile.write(folder / "p.wav", voiced(0.6, 24_000).numpy(), 24_000)
    path = folder / "emotion.jsonl"
    path.write_text("".join(json.dumps({**LINE, **change}) + "\n" for change in changes))
    return path


def test_the_benchmarks_lines_become_cases(tmp_path: Path):
    path = cases_file(
        tmp_path,
        {},
        {"task": "paralingustic", "task_sub": "Sigh"},
        {"task": "style", "task_sub": "act_cute"},
    )
    one, two, three = read_cases(path)
    assert (one.name, two.name) == ("emotion:1", "emotion:2")  # ids repeat in the published file
    assert one.prompt_audio == tmp_path / "p.wav"
    assert (one.request.kind, one.request.option, one.request.text) == (
        "emotion",
        "happy",
        "hello world",
    )
    assert (two.kind, two.request.new_text, two.request.text) == (
        "sounds",
        "hello [Sigh] world",
        "hello world",
    )
    assert (three.kind, three.label, three.request.option) == ("style", "act_coy", "act_coy")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1 of x.jsonl is not JSON"),
        ("[]", "line 1 of x.jsonl is a list; an object is expected"),
        ("{}", "line 1 of x.jsonl lacks the text 'speaker'; needed are speaker, gen_text"),
        (json.dumps({**LINE, "lang": 3}), "lacks the text 'lang'"),
        (
            json.dumps({**LINE, "task": "denoise"}),
            "has the task 'denoise'; known are emotion, style",
        ),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, text: str, words: str):
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"line 1 of x\.jsonl") as error:
        read_cases(tmp_path / "x.jsonl")
    assert words in str(error.value)


def test_an_interval_holds_the_mean_and_has_the_width_of_the_normal_one():
    rng = np.random.default_rng(3)
    values = rng.normal(5.0, 2.0, 400)
    found = interval(values.tolist())
    assert found.mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    # 2,000 draws leave the edges uncertain by a few percent
    assert found.high - found.mean == pytest.approx(half, rel=0.12)
    assert found.mean - found.low == pytest.approx(half, rel=0.12)
    assert interval([3.0] * 9)[:3] == (3.0, 3.0, 3.0)


def test_accuracy_is_the_mean_of_the_classes_not_of_the_clips():
    found = class_interval({"happy": [1.0] * 9, "sad": [0.0]})
    assert (found.mean, found.clips) == (0.5, 10)
    with pytest.raises(ValueError, match="no figures to average"):
        class_interval({"happy": []})


def tone(hz: float, seconds: float = 1.0, *, loud: float = 0.5, noise: float = 0.0) -> Clip:
    t = torch.arange(int(seconds * 16_000)) / 16_000
    wave = sum(torch.sin(2 * math.pi * hz * k * t) / k for k in range(1, 6)) * loud / 2
    noise_ = torch.randn(len(t), generator=torch.Generator().manual_seed(int(hz)))
    return Clip(wave=wave + noise * noise_, sample_rate=16_000)


@pytest.mark.parametrize("hz", [90.0, 150.0, 240.0, 400.0])
def test_the_pitch_track_finds_a_known_pitch(hz: float):
    pitch = frames_of(tone(hz))[10:-10, 1]
    # a lag is a whole number of samples: at 400 Hz, one of 40
    assert float(pitch.median()) == pytest.approx(12 * math.log2(hz / 60), abs=0.25)


def test_noise_is_unvoiced_and_flat():
    wave = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    tracks = frames_of(Clip(wave=wave, sample_rate=16_000))
    assert (tracks[:, 1] == 0).float().mean() > 0.9
    assert tracks[:, 5].mean() > frames_of(tone(150))[:, 5].mean() + 2


def test_functionals_do_not_hear_the_level_of_the_recording():
    loud = tone(150, noise=0.01)
    soft = Clip(wave=loud.wave * 0.01, sample_rate=16_000)
    # rounding of float32 before logarithms
    torch.testing.assert_close(functionals(loud), functionals(soft), atol=1e-3, rtol=1e-3)


def test_a_judge_learns_high_and_low_voices_and_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    pairs = [("low", hz) for hz in rng.uniform(80, 140, 10)]
    pairs += [("high", hz) for hz in rng.uniform(220, 350, 10)]
    features = torch.stack([functionals(tone(hz, 0.6, noise=0.01)) for _, hz in pairs])
    held_out = [k % 3 == 0 for k in range(20)]
    judge = train_judge(features, [name for name, _ in pairs], held_out)
    assert judge.accuracy == 1.0
    judge.save(tmp_path / "judge.safetensors")
    again = load_judge(tmp_path / "judge.safetensors")
    assert (again.labels, again.accuracy) == (("high", "low"), 1.0)
    # the features of this test are the clips' own, so the source is one without any
    monkeypatch.setattr(functionals_module, "changes", lambda source, result: functionals(result))
    low, high = tone(100, 0.6, noise=0.01), tone(300, 0.6, noise=0.01)
    assert again.label(high, low) == "low"
    assert again.score(low, high, "high") == 1.0
    assert again.score(low, high, "low") == 0.0


def test_a_judge_hears_changes_not_voices():
    low, high = tone(100, noise=0.01), tone(200, noise=0.01)
    raised = [
        functionals_module.changes(c, tone(hz, noise=0.01)) for c, hz in ((low, 200), (high, 400))
    ]
    assert torch.equal(functionals_module.changes(low, low), torch.zeros_like(raised[0]))
    # an octave up from either voice; at 400 Hz a lag is one of 40 samples
    assert raised[0][0] == pytest.approx(12, abs=0.3)
    assert raised[1][0] == pytest.approx(12, abs=0.3)


def test_accuracy_is_that_of_clips_the_judge_never_saw():
    features = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    labels = [("a", "b")[k % 2] for k in range(60)]
    judge = train_judge(features, labels, [k >= 30 for k in range(60)], decay=0.0)
    expected = judge.probabilities(features[30:]).argmax(1)
    right = sum(judge.labels[int(i)] == n for i, n in zip(expected, labels[30:], strict=True))
    assert judge.accuracy == pytest.approx(right / 30)
    assert judge.accuracy < 0.8  # labels are noise


def test_one_label_is_nothing_to_judge():
    with pytest.raises(ValueError, match="has 1 labels to tell apart"):
        train_judge(torch.zeros(3, 2), ["a", "a", "b"], [False, False, True])


def with_sound(hz: float, at: float | None, sound_hz: float = 420.0) -> Clip:
    """1.6 s of a voice; from `at` on, half a second of another tone."""
    wave = tone(hz, 1.6, noise=0.01).wave.clone()
    if at is not None:
        first = int(at * 16_000)
        wave[first : first + 8_000] = tone(sound_hz, 0.5, noise=0.01).wave
    return Clip(wave=wave, sample_rate=16_000)


def test_a_sound_judge_scores_what_is_new():
    rng = np.random.default_rng(2)
    kinds = {"high": 420.0, "low": 70.0}
    clips, held_out = [], []
    for k in range(24):
        label, at = ("high", "low")[k % 2], float(rng.uniform(0, 1.1))
        clips.append((with_sound(rng.uniform(120, 220), at, kinds[label]), label, at, at + 0.5))
        held_out.append(k >= 16)
    judge = train_sound_judge(clips, held_out)
    assert judge.judge.accuracy > 0.9
    plain, high = with_sound(150, None), with_sound(150, 0.6)
    assert judge.score(plain, high, "high") == 3.0
    assert judge.score(plain, high, "low") == 2.0
    assert judge.score(plain, plain, "high") == 1.0
    assert judge.score(high, high, "high") == 1.0  # it was there before


def test_the_command_trains_a_judge_of_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = []
    soundfile.write(tmp_path / "plain.wav", with_sound(150, None).wave.numpy() * 0.3, 16_000)
    for k in range(12):
        label, hz = (("high", 420.0), ("low", 70.0))[k % 2]
        at = 0.1 + 0.08 * k
        clip = with_sound(140 + 5 * k, at, hz)
        soundfile.write(tmp_path / f"{k}.wav", clip.wave.numpy() * 0.3, 16_000)
        files = {"source": "plain.wav", "audio": f"{k}.wav"}
        split = "dev" if k >= 8 else "train"
        lines.append({**files, "label": label, "split": split, "start": at, "end": at + 0.5})
    # the last held-out sound is called by the other's name: three scores of 3 and one of 2
    lines[-1]["label"] = "high"
    (tmp_path / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "judge.safetensors"
    quiet = tmp_path / "quiet.jsonl"  # nothing was inserted
    quiet.write_text(json.dumps({"source": "plain.wav", "audio": "plain.wav", "label": "low"}))
    command = ["evaluate", "judge", str(tmp_path / "clips.jsonl"), "--sounds", "--out", str(out)]
    assert cli.main([*command, "--also", f"quiet={quiet}"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["quiet"] == 1.0
    assert (said["clips"], said["held_out"], said["score"]) == (12, 4, 2.75)
    assert said["labels"] == ["high", "low", "speech"]
    assert load_judge(out).labels == ("high", "low", "speech")


def test_windows_that_only_touch_a_sound_have_no_label():
    found, names = labelled_windows(with_sound(150, 0.6), "high", 0.6, 1.1)
    # windows of 0.48 s begin every 0.06 s: three end by 0.6 s, none begins after 1.1 s
    assert names == ["high"] * 2 + ["speech"] * 3
    assert found.shape[0] == 5


def test_a_clip_shorter_than_a_window_has_one():
    assert windows(tone(150, 0.1)).shape[0] >= 1


def test_an_external_judge_is_named_by_module_and_function(monkeypatch: pytest.MonkeyPatch):
    module = ModuleType("plugged")
    module.hear = lambda source, result, label: 0.25  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plugged", module)
    assert load_judge_function("plugged:hear")(tone(100), tone(100), "x") == 0.25
    for name in ("plugged", "plugged:absent", "no_such_module:hear"):
        with pytest.raises(ValueError, match=r"PACKAGE\.MODULE:FUNCTION is expected"):
            load_judge_function(name)


@pytest.mark.parametrize(
    ("name", "package", "words"),
    [
        ("similarity", "resemblyzer", '-m pip install "resemblyzer"`'),
        ("mos", "distillmos", '-m pip install "distillmos"`'),
        ("wer", "", r"\$WHISPER_BASE names none"),
        ("beauty", "", "'beauty' is unknown; allowed are wer, similarity and mos"),
    ],
)
def test_figures_that_cannot_be_had_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, words: str
):
    monkeypatch.delenv("WHISPER_BASE", raising=False)
    if package:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=words):
        figures_of((name,))


def test_quality_is_had_without_torchaudio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "torchaudio.py").write_text("raise OSError('made for another torch')")
    (tmp_path / "distillmos.py").write_text(
        "import torch, torchaudio\n"
        "class ConvTransformerSQAModel(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.amax(dim=1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("torchaudio", "distillmos"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert quality()(Clip(wave=torch.full((8000,), 0.5), sample_rate=16_000)) == 0.5
    assert "torchaudio" not in sys.modules
    sys.modules.pop("distillmos")


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "longest_answer", lambda request, source: 15)


@pytest.mark.usefixtures("_short")
def test_a_case_is_a_clone_and_then_rounds_with_either_voice(bundle: Bundle, tmp_path: Path):
    (case,) = read_cases(cases_file(tmp_path, {}))
    previous, original = (
        list(run_case(bundle, case, voice=voice, rounds=2)) for voice in ("previous", "original")
    )
    assert [(o.iteration, o.last) for o in previous] == [(0, False), (1, False), (2, True)]
    assert torch.equal(previous[0].made.clip.wave, original[0].made.clip.wave)
    # round 1 edits the same tokens with the same seed; only the decoder's prompt differs
    assert torch.equal(previous[1].made.codes.semantic, original[1].made.codes.semantic)
    assert not torch.equal(previous[1].made.clip.wave, original[1].made.clip.wave)


@pytest.mark.usefixtures("_short")
def test_a_case_may_start_from_the_recording(bundle: Bundle, tmp_path: Path):
    said = {"gen_text": "good morning"}
    (case,) = read_cases(cases_file(tmp_path, said))
    first, second = run_case(bundle, case, voice="original", rounds=1, start="recording")
    clip = read_clip(case.prompt_audio)
    edited = iterate(bundle, clip, make_plan(bundle, clip, [case.request]))
    assert torch.equal(first.made.clip.wave, edited.rounds[0].clip.wave)
    assert torch.equal(second.made.clip.wave, edited.rounds[1].clip.wave)
    assert (first.made.request, second.made.request) == (None, case.request)
    (other,) = read_cases(cases_file(tmp_path, {}))
    with pytest.raises(ValueError, match="from a recording, both must be the same"):
        list(run_case(bundle, other, voice="original", start="recording"))


@pytest.mark.usefixtures("_short")
def test_sounds_have_one_round(bundle: Bundle, tmp_path: Path):
    (case,) = read_cases(cases_file(tmp_path, {"task": "paralingustic", "task_sub": "Sigh"}))
    assert [o.iteration for o in run_case(bundle, case, voice="original")] == [0, 1]


def hears(source: Clip, result: Clip, label: str) -> float:
    return float(label == "happy")


@pytest.mark.usefixtures("_short")
def test_a_stopped_evaluation_goes_on_where_it_was(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cases = read_cases(cases_file(tmp_path, {}, {"task_sub": "sad"}))
    ways = {"judges": {"emotion": hears}, "figures": {}, "rounds": 1, "voices": ("original",)}
    rows = evaluate(bundle, cases, tmp_path / "out", **ways)  # type: ignore[arg-type]
    path = tmp_path / "out" / "clips.jsonl"
    assert [(r["label"], r["iteration"], r["accuracy"]) for r in rows] == [
        ("happy", 0, 1.0),
        ("happy", 1, 1.0),
        ("sad", 0, 0.0),
        ("sad", 1, 0.0),
    ]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])  # torn inside the second case
    assert len(read_rows(path)) == 2
    asked: list[Case] = []
    real = evaluation.run_case

    def counted(b: Bundle, case: Case, **more: object) -> object:
        asked.append(case)
        return real(b, case, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "run_case", counted)
    again = evaluate(bundle, cases, tmp_path / "out", **ways)  # type: ignore[arg-type]
    assert [case.label for case in asked] == ["sad"]
    strip = [{k: v for k, v in r.items() if k != "real_time"} for r in again]
    assert strip == [{k: v for k, v in r.items() if k != "real_time"} for r in rows]
    with pytest.raises(ValueError, match="has clips of another bundle, seed, start or number"):
        evaluate(bundle, cases, tmp_path / "out", **ways, seed=5)  # type: ignore[arg-type]


def row(label: str, iteration: int, accuracy: float, **more: float) -> dict[str, object]:
    base = {"kind": "emotion", "voice": "previous", "seconds": 2.0}
    return {**base, "label": label, "iteration": iteration, "accuracy": accuracy, **more}


def test_the_summary_averages_over_classes_and_figures_over_clips():
    rows = [row("happy", 1, 1.0, seconds=1.0), row("happy", 1, 0.0), row("sad", 1, 1.0)]
    first, second = summary([row("happy", 0, 0.0), *rows], ("seconds",))
    assert (first["iteration"], first["accuracy"].mean) == (0, 0.0)
    assert second["accuracy"].mean == 0.75
    assert second["seconds"].mean == pytest.approx(5 / 3)
    lines = class_table([first, second]).splitlines()
    assert lines[0].split() == ["kind", "voice", "class", "Iter0", "Iter1"]
    assert lines[2].split()[:4] == ["emotion", "previous", "sad", "-"]


@pytest.mark.usefixtures("_short")
def test_the_command_leaves_tables_and_charts(
    bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    pytest.importorskip("PIL", reason="charts need Pillow")
    monkeypatch.setenv("STEPEDIT_HOME", str(bundles))
    module = ModuleType("plugged")
    module.hear = hears  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plugged", module)
    path = cases_file(tmp_path, {}, {"task_sub": "sad"})
    options = ("--bundle", "tiny", "--device", "cpu", "--rounds", "1", "--voice", "previous")
    judge = ("--judge", "emotion=plugged:hear")
    out = tmp_path / "out"
    code = cli.main(["evaluate", "run", str(path), *options, *judge, "--out", str(out)])
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "emotion: plugged:hear"
    assert "0.5 [0.5, 0.5]" in said.out
    assert sorted(p.name for p in out.iterdir()) == [
        "accuracy_by_iteration.png",
        "clips.jsonl",
        "summary.json",
        "table.txt",
    ]
    assert (
        cli.main(["evaluate", "run", str(path), *options, "--judge", "x=y", "--out", str(out)]) == 1
    )
    assert "--judge 'x=y' is not understood" in capsys.readouterr().err


def test_the_command_trains_a_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines: list[dict[str, str]] = []
    heights: Sequence[tuple[str, float]] = [("low", 90), ("low", 100), ("low", 110)]
    heights = [*heights, ("high", 300), ("high", 320), ("high", 340)]
    for number, (label, hz) in enumerate(heights):
        clip = tone(hz, 0.6)
        soundfile.write(tmp_path / f"{number}.wav", clip.wave.numpy() * 0.5, 16_000)
        split = "dev" if number % 3 == 2 else "train"
        line = {"source": "plain.wav", "audio": f"{number}.wav", "label": label, "split": split}
        lines.append(line)
    soundfile.write(tmp_path / "plain.wav", tone(170, 0.6).wave.numpy() * 0.5, 16_000)
    (tmp_path / "clips.jsonl").write_text("\n".join(map(json.dumps, lines)))
    # three of four other clips are heard right: the mean over the classes is (1 + 1/2) / 2
    others = [("high", 310), ("high", 330), ("low", 95), ("low", 335)]
    for label, hz in others:
        clip = tone(hz, 0.6)
        soundfile.write(tmp_path / f"{label}{hz}.wav", clip.wave.numpy() * 0.5, 16_000)
    rows = [{"source": "plain.wav", "audio": f"{n}{hz}.wav", "label": n} for n, hz in others]
    (tmp_path / "others.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "judge.safetensors"
    also = f"others={tmp_path / 'others.jsonl'}"
    command = ["evaluate", "judge", str(tmp_path / "clips.jsonl"), "--also", also]
    assert cli.main([*command, "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    about = {"labels": ["high", "low"], "clips": 6, "held_out": 2, "accuracy": 1.0}
    assert said == {**about, "others": 0.75}
    assert load_judge(out).elsewhere == {"others": 0.75}
    assert load_judge(out).labels == ("high", "low")
