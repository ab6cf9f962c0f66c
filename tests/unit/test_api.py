"""The library's calls: what they take, what they give, and the sentence for everything else."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import stepedit_core as stepedit
from stepedit_core import api
from stepedit_core.audio.files import write_wav
from stepedit_core.audio.recordings import read_recording
from stepedit_core.audio.recordings import recording_of as memory_recording
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, Decoding, EditRequest, Sampling, SilentHooks
from tests.unit.conftest import voiced

SHORT = Sampling(max_ids=15)
WORDS = "hello world"
HAPPY = {"text": WORDS, "emotion": "happy", "sampling": SHORT}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({}, "0 edits are asked for"),
        ({"emotion": "happy", "speed": "faster"}, r"2 edits are asked for \(emotion, speed\)"),
        ({"emotion": "happy", "round": 3}, "the setting 'round' is unknown; .* mean rounds"),
        ({"emotoin": "happy"}, "the setting 'emotoin' is unknown; .* mean emotion"),
        ({"emotion": 1}, r"emotion is 1 \(int\); text is allowed"),
        ({"speed": True}, r"speed is True \(bool\); text is allowed"),
        ({"denoise": "no"}, r"denoise is 'no' \(str\); True or False is allowed"),
        ({"trim_silence": 1}, r"trim_silence is 1 \(int\); True or False"),
        ({"emotion": "happy", "text": None}, "the text of the edit is None"),
        ({"emotion": "happy", "text": 5}, r"the text of the edit is 5 \(int\)"),
        ({"emotion": "happy", "hooks": print}, "hooks is <built-in function print>"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(
    bundle: Bundle, clip: Clip, what: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stepedit.edit(bundle, clip, **{"text": WORDS, **what})


@pytest.mark.parametrize("model", ["nano", None, 3])
def test_a_model_that_is_not_loaded_is_refused(clip: Clip, model: object) -> None:
    calls: list[Callable[[], object]] = [
        lambda: stepedit.edit(model, clip, **HAPPY),
        lambda: stepedit.clone(model, clip, text=WORDS, say="hi"),
        lambda: stepedit.resynthesize(model, clip),
        lambda: stepedit.run(model, clip, {}),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"the model is .*; a loaded one is needed"):
            call()


@pytest.mark.parametrize("clip", [None, 3, torch.zeros(24_000), (1, 2)])
def test_a_clip_of_another_type_is_refused(bundle: Bundle, clip: object) -> None:
    with pytest.raises(ValueError, match=r"the clip is of the type .*; a path or a Clip"):
        stepedit.edit(bundle, clip, **HAPPY)


def test_what_belongs_elsewhere_is_said_where(bundle: Bundle, clip: Clip) -> None:
    made = stepedit.edit(bundle, clip, **HAPPY)
    with pytest.raises(ValueError, match=r"the clip is a Round; .* Pass its \.clip\."):
        stepedit.edit(bundle, made.final, **HAPPY)
    with pytest.raises(ValueError, match=r"Pass decoding=stepedit\.Decoding\(strength=\.\.\.\)"):
        stepedit.edit(bundle, clip, **HAPPY, strength=1.2)


def test_a_loaded_model_is_not_copied(bundle: Bundle) -> None:
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"'tiny' cannot be copied or pickled\. Load it again"):
            copied(bundle)


def test_integers_numpy_and_channels_give_the_samples_of_floats(bundle: Bundle, clip: Clip) -> None:
    coded = (clip.wave * 2**15).to(torch.int16)
    exact = Clip(wave=coded.float() / 2**15, sample_rate=24_000)
    want = stepedit.edit(bundle, exact, **HAPPY).final.clip.wave
    for wave in (coded, coded.numpy(), coded[None], np.stack([coded, coded])):
        got = stepedit.edit(bundle, Clip(wave=wave, sample_rate=24_000), **HAPPY)
        assert torch.equal(got.final.clip.wave, want)


def test_words_to_say_and_seeds_are_checked(bundle: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match="the new_text of the edit is None"):
        stepedit.clone(bundle, clip, text=WORDS, say=None)
    with pytest.raises(ValueError, match=r"the seed is 'a' \(str\)"):
        stepedit.resynthesize(bundle, clip, seed="a")


def test_a_plan_that_was_read_back_gives_the_same_samples(bundle: Bundle, clip: Clip) -> None:
    request = EditRequest(kind="emotion", option="happy", text=WORDS)
    plan = make_plan(bundle, clip, [request], rounds=2, seed=5, sampling=SHORT)
    want = stepedit.edit(bundle, clip, rounds=2, seed=5, **HAPPY)
    read_back = json.loads(json.dumps(plan.as_json()))
    for again in (plan, read_back):
        got = stepedit.run(bundle, clip, again, hooks=SilentHooks())
        assert torch.equal(got.final.clip.wave, want.final.clip.wave)


def test_a_plan_of_another_clip_or_of_another_edit_is_refused(bundle: Bundle, clip: Clip) -> None:
    request = EditRequest(kind="emotion", option="happy", text=WORDS)
    plan = make_plan(bundle, clip, [request], sampling=SHORT)
    with pytest.raises(ValueError, match="the plan was made for 14400 at 24000 Hz"):
        stepedit.run(bundle, Clip(wave=clip.wave * 0.5, sample_rate=24_000), plan)
    unknown = replace(plan, requests=(replace(request, option="bored"),))
    with pytest.raises(ValueError, match="the emotion option is 'bored'"):
        stepedit.run(bundle, clip, unknown)
    with pytest.raises(ValueError, match="the plan is the value 3"):
        stepedit.run(bundle, clip, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.mp3", r"out\.mp3' is not the name of a WAV file"),
        ("out", r"out' is not the name of a WAV file"),
        ("", r"' is a folder; a WAV file is written"),
    ],
)
def test_a_path_that_is_not_a_wav_file_is_refused(
    tmp_path: Path, clip: Clip, name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stepedit.save(clip, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_is_not_one_sound_is_not_saved(tmp_path: Path, bundle: Bundle, clip: Clip) -> None:
    result = stepedit.edit(bundle, clip, **HAPPY)
    path = tmp_path / "out.wav"
    with pytest.raises(ValueError, match=r"a result has 2 rounds; .* Pass result\.best"):
        stepedit.save(result, path)
    with pytest.raises(ValueError, match=r"what should be saved is .* a round or a Clip"):
        stepedit.save(clip.wave, path)
    with pytest.raises(ValueError, match=r"the path is None \(NoneType\)"):
        stepedit.save(clip, None)
    stepedit.save(result.best, str(path))
    assert soundfile.info(path).frames == len(result.best.clip.wave)


def test_a_file_that_nobody_here_wrote_is_saved_over_only_when_asked(
    tmp_path: Path, clip: Clip
) -> None:
    path = tmp_path / "only_recording.wav"
    soundfile.write(path, np.full(4800, 0.25, np.float32), 24_000)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"not as StepEdit wrote it.* or pass replace=True"):
        stepedit.save(clip, path)
    assert path.read_bytes() == before
    stepedit.save(clip, path, replace=True)
    assert soundfile.info(path).frames == len(clip.wave)


def test_a_saved_sound_is_saved_over_and_has_the_samples_of_every_other_file(
    tmp_path: Path, clip: Clip
) -> None:
    path, plain = tmp_path / "out.wav", tmp_path / "plain.wav"
    loud = Clip(wave=torch.linspace(-1.2, 1.2, 9001), sample_rate=16_000)
    stepedit.save(clip, path)
    stepedit.save(loud, path)
    write_wav(plain, loud)
    got, rate = soundfile.read(path, dtype="int16")
    want, _ = soundfile.read(plain, dtype="int16")
    assert rate == 16_000
    assert np.array_equal(got, want)
    first = path.read_bytes()
    stepedit.save(loud, path)
    assert path.read_bytes() == first


class Ears:
    """Hears one word, or the words that are given."""

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return (Word("heard", 0.0, clip.seconds, 1.0),)

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return (Word(transcript, 0.0, clip.seconds, 1.0),)


@pytest.fixture
def long_path(tmp_path: Path) -> Path:
    """12 s, 16 bits."""
    soundfile.write(tmp_path / "in.wav", voiced(12.0, 16_000).numpy(), 16_000)
    return tmp_path / "in.wav"


def test_words_are_heard_or_placed(
    bundle: Bundle, long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="has no recogniser"):
        stepedit.transcribe(bundle, long_path)
    monkeypatch.setattr(api, "recogniser_for", lambda model, folder: Ears())
    assert stepedit.transcribe(bundle, long_path) == (Word("heard", 0.0, 12.0, 1.0),)
    (word,) = stepedit.transcribe(bundle, read_recording(long_path), text="given")
    assert word.text == "given"


def test_a_range_is_edited_at_the_recordings_own_rate(bundle: Bundle, long_path: Path) -> None:
    still = Decoding(way="difference", strength=0.0)
    out = stepedit.edit_range(
        bundle, long_path, 3.0, 4.0, text="hello", emotion="happy", decoding=still
    )
    assert torch.equal(out.recording.samples, read_recording(long_path).samples)
    assert out.recording.sample_rate == 16_000
    for name, found in (("denoise", "Edit the whole clip"), ("emotoin", "emotion")):
        with pytest.raises(ValueError, match=found):
            stepedit.edit_range(bundle, long_path, 3.0, 4.0, text="hello", **{name: True})


def test_a_long_recording_is_edited_and_resumed(
    bundle: Bundle, long_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what: dict[str, Any] = {"emotion": "happy", "sampling": SHORT, "kept": tmp_path / "pieces"}
    with pytest.raises(ValueError, match="has no recogniser"):
        stepedit.edit_long(bundle, long_path, **what)
    monkeypatch.setattr(api, "recogniser_for", lambda model, folder, hooks=None: Ears())
    first = stepedit.edit_long(bundle, long_path, text="given", **what)
    assert [piece.kept for piece in first.pieces] == [False] * len(first.pieces)
    assert first.recording.sample_rate == 16_000
    assert any(piece.text == "given" for piece in first.pieces)
    again = stepedit.edit_long(bundle, read_recording(long_path), text="given", **what)
    assert [piece.kept for piece in again.pieces if piece.round] == [
        True for piece in first.pieces if piece.round
    ]
    assert torch.equal(first.recording.samples, again.recording.samples)
    still = Decoding(way="difference", strength=0.0)
    kept = stepedit.edit_long(bundle, long_path, emotion="happy", sampling=SHORT, decoding=still)
    assert torch.equal(kept.recording.samples, read_recording(long_path).samples)
    for name, message in (("denoise", "changes the whole sound"), ("emotoin", "mean emotion")):
        with pytest.raises(ValueError, match=message):
            stepedit.edit_long(bundle, long_path, **{name: True})
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; expected is a folder"):
        stepedit.edit_long(bundle, long_path, **what | {"kept": tmp_path / "file"})


def test_words_are_replaced_only_where_what_is_heard_can_be_relied_on(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draft(*_: object) -> None:
        raise ValueError("no transcript was given, and this is a draft.")

    monkeypatch.setattr(api, "recogniser_for", lambda *_, **__: object())
    monkeypatch.setattr(api, "hear_surely", draft)
    recording = memory_recording(clip.wave[None], clip.sample_rate)
    with pytest.raises(ValueError, match="this is a draft"):
        stepedit.replace_words(bundle, recording, "hello", "there")


@pytest.mark.parametrize("call", [stepedit.edit, stepedit.transcribe])
def test_words_of_another_type_are_a_sentence(bundle: Bundle, clip: Clip, call: Any) -> None:
    with pytest.raises(ValueError, match=r"^the text.* is 3 \(int\); text is needed"):
        call(bundle, clip, text=3, **({"emotion": "happy"} if call is stepedit.edit else {}))
