"""Other words in a recording: where they are found, what is drawn, and all that stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines import replace_words as module
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.infill import Kept, infill_decode
from stepedit_core.pipelines.replace_words import (
    Replacement,
    composed_around,
    found_between,
    kept_around,
    replace_words,
)
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.release.convert import Conversion, convert
from stepedit_core.types import Decoding, Draws, DualCodes, EditResult, SilentHooks
from tests import fake_release
from tests.unit.pipelines.test_difference import joined, part, voice_with
from tests.unit.pipelines.test_range_edit import drawn, made_of, stereo

STEPS = Decoding(steps=2)
WHICH = Replacement(old="three four", new="fourteen or fifteen")
SAID = [
    Word(text, n * 0.5 + 0.05, n * 0.5 + 0.45, 0.9)
    for n, text in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight"])
]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a release with the published formats, toy sizes and random weights."""
    folder = tmp_path_factory.mktemp("release")
    fake_release.write(folder)
    made = folder / "made"
    parts = (folder / "Step-Audio-EditX", folder / "Step-Audio-Tokenizer")
    convert(*parts, made, Conversion(sizes=fake_release.TINY))
    return Registry().load(made, device="cpu")


def test_outside_of_the_hole_the_mel_is_the_recordings(bundle: Bundle) -> None:
    codes, answer = drawn(12, 1), drawn(9, 2)
    voice = voice_with(codes)
    new = composed_around(codes, answer, (4, 6), (2, 7))
    kept = kept_around(voice, (4, 6), 5)
    made = infill_decode(bundle, new, kept, voice, draws=Draws(seed=3), how=(STEPS, SilentHooks()))
    assert made.shape == (80, 6 * 15)
    assert torch.equal(made[:, :24], voice.mel[:, 3:27])
    assert torch.equal(made[:, 54:], voice.mel[:, 3 + 36 : 3 + 72])
    assert not bool(kept.known[24:54].any())
    again = infill_decode(bundle, new, kept, voice, draws=Draws(seed=3), how=(STEPS, SilentHooks()))
    assert torch.equal(made, again)
    other = infill_decode(bundle, new, kept, voice, draws=Draws(seed=4), how=(STEPS, SilentHooks()))
    assert not torch.equal(made[:, 24:54], other[:, 24:54])


def test_what_is_beside_the_hole_is_seen_within_it(bundle: Bundle) -> None:
    codes, voice = drawn(12, 1), voice_with(drawn(12, 1))
    kept = kept_around(voice, (4, 6), 2)
    louder = replace(kept, mel=kept.mel + 3.0 * kept.known)
    one, two = (
        infill_decode(bundle, codes, k, voice, draws=Draws(seed=3), how=(STEPS, SilentHooks()))
        for k in (kept, louder)
    )
    assert not torch.allclose(one[:, 24:36], two[:, 24:36], atol=1e-3)


def test_a_hole_everywhere_is_the_ordinary_decoder(released: Bundle) -> None:
    codebook = released.vocabulary.codebook
    codes = replace(drawn(8, 1), codebook=codebook)
    voice = voice_with(replace(drawn(6, 2), codebook=codebook))
    kept = Kept(mel=torch.zeros(80, 48), known=torch.zeros(48, dtype=torch.bool))
    made = infill_decode(released, codes, kept, voice, draws=Draws(seed=3))
    plain = flow_decode(released, codes, voice, draws=Draws(seed=3))
    assert torch.allclose(made, plain, atol=1e-5)


def test_frames_that_the_recording_does_not_have_are_drawn() -> None:
    codes = drawn(10, 1)
    early = kept_around(voice_with(codes, lead=-4.0), (3, 5), 4)
    assert early.known.tolist() == [False] * 4 + [True] * 14 + [False] * 24 + [True] * 30


@pytest.mark.parametrize("groups", [(6, 9), (0, 3), (17, 20)])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_new_words_are_found_between_the_others(
    bundle: Bundle, groups: tuple[int, int], count: int
) -> None:
    source = drawn(20, 1)
    first, last = groups
    answer = joined(part(source, 0, first), drawn(count, 7), part(source, last, 20))
    assert found_between(bundle, source, answer, groups) == (first, first + count)


def test_an_answer_that_says_something_else(bundle: Bundle) -> None:
    source = drawn(20, 1)
    for answer, found in (
        (joined(drawn(6, 5), part(source, 6, 20)), "words before the new ones"),
        (joined(part(source, 0, 9), drawn(11, 5)), "words after the new ones"),
        (joined(part(source, 0, 6), part(source, 9, 20)), "no room"),
    ):
        with pytest.raises(ValueError, match=found):
            found_between(bundle, source, answer, (6, 9))


def said(
    monkeypatch: pytest.MonkeyPatch, count: int = 12, groups: tuple[int, int] = (7, 17)
) -> list[str]:
    """Let the model answer with the recording's codes, `count` new groups in the place of some."""
    asked: list[str] = []

    def speak(bundle: Bundle, clip: object, plan: object, hooks: object = None) -> EditResult:
        codes, _ = tokenize(bundle, clip)
        asked.append(plan.requests[0].new_text)
        new = replace(drawn(count, 7), codebook=codes.codebook)
        first, last = groups
        parts = (part(codes, 0, first), new, part(codes, last, codes.groups))
        answer = DualCodes(
            linguistic=torch.cat([p.linguistic for p in parts]),
            semantic=torch.cat([p.semantic for p in parts]),
            codebook=codes.codebook,
        )
        return EditResult(rounds=(made_of(codes), made_of(answer)), best_number=1)

    monkeypatch.setattr(module, "iterate", speak)
    monkeypatch.setattr(module, "found_between", lambda b, s, a, g: (g[0], g[0] + count))
    return asked


@pytest.mark.parametrize("which", ["bundle", "released"])
def test_new_words_are_put_in_and_the_rest_stays(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle: Bundle = request.getfixturevalue(which)
    old = stereo(4.0)
    asked = said(monkeypatch)
    made = replace_words(bundle, old, SAID, WHICH, settings={"decoding": STEPS})
    assert asked == ["one two fourteen or fifteen five six seven eight"]
    new, patch = made.recording.samples, made.patch
    assert new.dtype == old.samples.dtype
    assert torch.equal(new[:, : patch.first], old.samples[:, : patch.start])
    assert torch.equal(new[:, patch.end :], old.samples[:, patch.stop :])
    rate = old.sample_rate
    assert 0.8 <= patch.start / rate <= 1.05
    assert 1.95 <= patch.stop / rate <= 2.3
    texts = [word.text for word in made.words]
    assert texts == ["one", "two", "fourteen", "or", "fifteen", "five", "six", "seven", "eight"]
    longer = made.recording.seconds - old.seconds
    assert longer > 0.1
    assert made.words[5].start == pytest.approx(SAID[4].start + longer)
    assert all(a.end <= b.start + 1e-6 for a, b in zip(made.words, made.words[1:], strict=False))


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Replacement(old="nine", new="ten"), "is not said in the clip"),
        (Replacement(old="two", new="..."), "which has no word"),
        (Replacement(old="one", new="two"), "said 2 times"),
    ],
)
def test_words_that_cannot_be_replaced(bundle: Bundle, which: Replacement, found: str) -> None:
    words = [*SAID[:6], Word("one", 3.0, 3.4, 1.0)]
    with pytest.raises(ValueError, match=found):
        replace_words(bundle, stereo(4.0), words, which)


def test_an_answer_of_another_length(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, count=60)
    with pytest.raises(ValueError, match=r"has 7\.20 s between the words"):
        replace_words(bundle, stereo(4.0), SAID, WHICH, settings={"decoding": STEPS})


def test_noise_for_an_answer_is_said(bundle: Bundle) -> None:
    """The tiny model says noise: its words cannot be found, and nothing is made."""
    with pytest.raises(ValueError, match="Try another seed"):
        replace_words(bundle, stereo(4.0), SAID, WHICH, settings={"decoding": STEPS})


def test_nano_cannot_say_new_words() -> None:
    nano = Registry().load("nano", device="cpu")
    with pytest.raises(ValueError, match="needs a model that can clone a voice"):
        replace_words(nano, stereo(4.0), SAID, WHICH)
