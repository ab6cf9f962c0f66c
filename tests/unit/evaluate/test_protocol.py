"""The protocol: what Iter0 is, and what each voice hears."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stepedit_core.audio.files import read_clip
from stepedit_core.evaluate.cases import read_cases
from stepedit_core.evaluate.protocol import Protocol, run_case
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle

from .material import cases_file


@pytest.mark.usefixtures("_short")
def test_a_case_is_a_clone_and_then_rounds_with_either_voice(bundle: Bundle, tmp_path: Path):
    (case,) = read_cases(cases_file(tmp_path, {}))
    previous, original = (
        list(run_case(bundle, case, Protocol(rounds=2), voice=voice))
        for voice in ("previous", "original")
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
    first, second = run_case(bundle, case, Protocol(rounds=1, start="recording"), voice="original")
    clip = read_clip(case.prompt_audio)
    edited = iterate(bundle, clip, make_plan(bundle, clip, [case.request]))
    assert torch.equal(first.made.clip.wave, edited.rounds[0].clip.wave)
    assert torch.equal(second.made.clip.wave, edited.rounds[1].clip.wave)
    assert (first.made.request, second.made.request) == (None, case.request)
    (other,) = read_cases(cases_file(tmp_path, {}))
    with pytest.raises(ValueError, match="from a recording, both must be the same"):
        list(run_case(bundle, other, Protocol(start="recording"), voice="original"))


@pytest.mark.usefixtures("_short")
def test_sounds_have_one_round(bundle: Bundle, tmp_path: Path):
    (case,) = read_cases(cases_file(tmp_path, {"task": "paralingustic", "task_sub": "Sigh"}))
    assert [o.iteration for o in run_case(bundle, case, Protocol(), voice="original")] == [0, 1]
