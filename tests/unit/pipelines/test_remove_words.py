"""Words taken out of a recording: what goes, what stays bit for bit, and what is said instead."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stepedit_core.audio.recordings import Recording
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines.remove_words import Removal, RemovedWords, remove_words
from stepedit_core.types import Clip

TYPES = {torch.float32: 1, torch.float64: 1, torch.int16: 2**15, torch.int32: 2**31}


def spoken(
    texts: str, rate: int = 16_000, *, dtype: torch.dtype = torch.int16, gap: float = 0.1
) -> tuple[Recording, tuple[Word, ...]]:
    """A buzz of 0.3 s for each word, unlike that of the last, `gap` s of room noise around each.

    Two channels; the second is the first at 0.4, with its own noise.
    """
    said = texts.split()
    count = round((gap + len(said) * (0.3 + gap)) * rate)
    noise = np.random.default_rng(0).normal(0, 3e-4, (2, count))
    wave, words = np.zeros(count), []
    for n, text in enumerate(said):
        start = gap + n * (0.3 + gap)
        time = np.arange(round(0.3 * rate)) / rate
        pitch = 110 + 17 * n
        buzz = voice(n, pitch, time)
        first = round(start * rate)
        wave[first : first + len(time)] = 0.2 * buzz * np.sin(math.pi * time / 0.3)
        words.append(Word(text, start, start + 0.3, 0.9))
    samples = torch.from_numpy(noise + np.stack((wave, 0.4 * wave)))
    full = TYPES[dtype]
    samples = samples if full == 1 else (samples * full).round()
    kinds = {torch.int16: "PCM_16", torch.int32: "PCM_32"}
    kind = kinds.get(dtype, "FLOAT")
    return Recording(samples=samples.to(dtype), sample_rate=rate, subtype=kind), tuple(words)


def voice(number: int, pitch: float, time: np.ndarray) -> np.ndarray:
    """A voice whose one formant glides from a place to another, those of its number."""
    begin, end = (300 + 400 * ((3 * number + more) % 7) for more in (0, 4))
    formant = begin + (end - begin) * time / time[-1]
    parts = [pitch * k for k in range(1, int(3_400 / pitch))]
    weights = [0.05 + np.exp(-(((hz - formant) / 250) ** 2)) for hz in parts]
    waves = [w * np.sin(2 * math.pi * hz * time) for w, hz in zip(weights, parts, strict=True)]
    wave: np.ndarray = sum(waves) / 4
    return wave


def text_of(made: RemovedWords) -> str:
    return " ".join(word.text for word in made.words)


def outside_is_equal(old: Recording, made: RemovedWords) -> None:
    """Walk both recordings beside the patches."""
    at = place = 0
    new = made.recording.samples
    for patch in made.patches:
        count = patch.start - at
        assert count >= 0
        assert torch.equal(new[:, place : place + count], old.samples[:, at : patch.start])
        at, place = patch.stop, place + count + patch.samples.shape[1]
    assert torch.equal(new[:, place:], old.samples[:, at:])
    assert new.dtype == old.samples.dtype
    assert (made.recording.sample_rate, made.recording.subtype) == (old.sample_rate, old.subtype)


def test_a_word_goes_and_the_others_keep_their_sound() -> None:
    old, words = spoken("so happy um today")
    made = remove_words(old, words, Removal(phrases=("um",)))
    assert text_of(made) == "so happy today"
    (cut,) = made.cuts
    assert (cut.text, cut.why) == ("um", "words")
    assert 0.8 <= cut.start <= 0.9 + 0.02
    assert 1.2 - 0.02 <= cut.end <= 1.3
    outside_is_equal(old, made)
    for word in made.words:  # each buzz has its own pitch: look for it at its new place
        before = next(one for one in words if one.text == word.text)
        length = round(0.3 * 16_000)
        a, b = round(before.start * 16_000), round(word.start * 16_000)
        assert torch.equal(
            old.samples[:, a : a + length], made.recording.samples[:, b : b + length]
        )


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_samples_outside_of_cuts_stay(rate: int, dtype: torch.dtype) -> None:
    old, words = spoken("a b c d e f g h", rate, dtype=dtype, gap=0.2)
    draw = np.random.default_rng(rate)
    for _ in range(10):
        first = int(draw.integers(0, 8))
        last = int(draw.integers(first, 8 if first else 7))
        span = (words[first].start, words[last].end)
        keep = bool(draw.integers(0, 2))
        which = Removal(spans=(span,), keep_length=keep)
        made = remove_words(old, words, which)
        outside_is_equal(old, made)
        changed = sum(patch.stop - patch.start for patch in made.patches)
        assert changed <= (span[1] - span[0] + 0.45) * rate
        if keep:
            assert made.recording.samples.shape == old.samples.shape
        else:
            gone = old.samples.shape[1] - made.recording.samples.shape[1]
            assert gone >= (last - first + 1) * 0.28 * rate


def test_neighbours_go_together_and_little_stays_of_their_pauses() -> None:
    old, words = spoken("well um uh yes", gap=0.4)
    made = remove_words(old, words, Removal(fillers=True))
    (cut,) = made.cuts
    assert (cut.text, cut.why) == ("um uh", "filler")
    well, yes = made.words
    assert 0.4 <= yes.start - well.end <= 0.52  # the longer pause, and a tenth of a second


def test_repeats_and_fillers_in_one_run() -> None:
    old, words = spoken("I um I think the the house had had it")
    made = remove_words(old, words, Removal(fillers=True, repeats=True))
    assert text_of(made) == "I think the house had had it"
    assert [cut.why for cut in made.cuts] == ["repeat", "repeat"]
    outside_is_equal(old, made)


def test_the_first_and_the_last_word() -> None:
    old, words = spoken("um yes it is uh")
    made = remove_words(old, words, Removal(fillers=True))
    assert text_of(made) == "yes it is"
    outside_is_equal(old, made)
    assert made.words[0].start < 0.3
    left = made.recording.seconds - made.words[-1].end
    assert left < 0.3


def test_a_word_that_touches_the_beginning_or_the_end_fades() -> None:
    old, words = spoken("yes no so")
    rate = old.sample_rate
    cropped = Recording(
        samples=old.samples[:, round(0.1 * rate) : round(1.2 * rate)], sample_rate=rate
    )
    near = [Word(w.text, max(0.0, w.start - 0.1), min(1.1, w.end - 0.1), 1.0) for w in words]
    for phrase in ("yes", "so"):
        made = remove_words(cropped, near, Removal(phrases=(phrase,)))
        outside_is_equal(cropped, made)
        assert made.recording.seconds < 0.85


def test_a_long_pause_becomes_as_long_as_is_asked() -> None:
    old, words = spoken("one two three", gap=1.5)
    made = remove_words(old, words, Removal(pauses_over=0.5))
    outside_is_equal(old, made)
    assert text_of(made) == "one two three"
    assert [cut.why for cut in made.cuts] == ["pause"] * 4
    pauses = [b.start - a.end for a, b in zip(made.words, made.words[1:], strict=False)]
    assert pauses == pytest.approx([0.5, 0.5], abs=0.08)
    assert made.words[0].start == pytest.approx(0.5, abs=0.08)


def test_what_a_filler_leaves_is_one_pause() -> None:
    old, words = spoken("one um three", gap=0.6)
    made = remove_words(old, words, Removal(fillers=True, pauses_over=0.3))
    one, three = made.words
    assert three.start - one.end == pytest.approx(0.3, abs=0.08)
    outside_is_equal(old, made)
    assert [cut.why for cut in made.cuts] == ["pause", "filler", "pause"]


def test_room_tone_fills_the_place_where_the_length_stays() -> None:
    old, words = spoken("one um three", gap=0.3)
    made = remove_words(old, words, Removal(fillers=True, keep_length=True))
    outside_is_equal(old, made)
    assert made.recording.samples.shape == old.samples.shape
    assert made.words == (words[0], words[2])
    (patch,) = made.patches
    tone = patch.samples[:, 500:-500].double() / 2**15
    assert torch.allclose(
        tone.square().mean(1).sqrt(), torch.full((2,), 3e-4, dtype=torch.float64), rtol=0.2
    )


def test_a_clip_without_pauses_has_no_room_tone() -> None:
    old, words = spoken("one um three", gap=0.02)
    with pytest.raises(ValueError, match="Let the length change"):
        remove_words(old, words, Removal(fillers=True, keep_length=True))


def test_nothing_found_gives_the_recording_back() -> None:
    old, words = spoken("one two three")
    made = remove_words(old, words, Removal(fillers=True, repeats=True, pauses_over=5.0))
    assert torch.equal(made.recording.samples, old.samples)
    assert made.cuts == ()
    assert made.words == words


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Removal(), "nothing is named"),
        (Removal(phrases=("four",)), "its words are: one two two three"),
        (Removal(phrases=("...",)), "has no word"),
        (Removal(phrases=("two",)), r"said 2 times, at 0\.50 to 0\.80 s, 0\.90 to 1\.20 s"),
        (Removal(phrases=("one two two three",)), "all 4 words"),
        (Removal(spans=((0.0, 0.1),)), "no word is heard from 0 to 0.1 s"),
        (Removal(spans=((math.nan, 0.1),)), "no word is heard"),
        (Removal(pauses_over=0.1), r"pauses should become 0\.1 s"),
        (Removal(pauses_over=math.nan), "pauses should become nan s"),
        (Removal(pauses_over=1.0, keep_length=True), "the length should stay"),
        (Removal(fillers=True, language="xx"), "allowed are en, zh"),
    ],
)
def test_what_cannot_be_done(which: Removal, found: str) -> None:
    old, words = spoken("one two two three")
    with pytest.raises(ValueError, match=found):
        remove_words(old, words, which)


def test_every_one_of_a_phrase() -> None:
    old, words = spoken("two one two three")
    made = remove_words(old, words, Removal(phrases=("Two!",), every=True))
    assert text_of(made) == "one three"


class Ears:
    """Hears the given words, whatever it listens to."""

    def __init__(self, words: list[Word]) -> None:
        self.words = tuple(words)

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return self.words

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return self.words


def with_filler(*, held: bool = True) -> tuple[Recording, list[Word]]:
    """Five words; where the third should be there is a held vowel, or the start of the fourth."""
    old, words = spoken("one two three four five", gap=0.2)
    rate, samples = old.sample_rate, old.samples.clone()
    time = np.arange(round(0.3 * rate)) / rate
    parts = [np.sin(2 * math.pi * 120 * k * time) / k for k in range(1, 20)]
    first = round(words[2].start * rate)
    if held:
        sound = 0.2 * sum(parts) * np.minimum(1, 8 * np.sin(math.pi * time / 0.3))
        sound = np.stack((sound, 0.4 * sound)) * 2**15
    else:
        again = round(words[3].start * rate)
        sound = samples[:, again : again + len(time)].numpy()
    samples[:, first : first + len(time)] = torch.from_numpy(sound).round().short()
    return Recording(samples=samples, sample_rate=rate, subtype="PCM_16"), list(words)


@pytest.mark.parametrize(("held", "which"), [(True, "fillers"), (False, "repeats")])
def test_a_sound_that_no_word_was_heard_for_goes(held: bool, which: str) -> None:
    old, words = with_filler(held=held)
    del words[2]
    made = remove_words(old, words, Removal(**{which: True}))
    (cut,) = made.cuts
    assert (cut.text, cut.why) == ("", "unheard")
    assert 1.1 < cut.start <= 1.21
    assert 1.49 <= cut.end < 1.65
    assert text_of(made) == "one two four five"
    outside_is_equal(old, made)
    other = "repeats" if held else "fillers"
    assert remove_words(old, words, Removal(**{other: True})).cuts == ()


def test_a_sound_that_is_surely_a_word_stays_unless_all_words_are_heard_without_it() -> None:
    old, words = with_filler()
    words[2] = Word("oh", words[2].start, words[2].end, 0.95)
    which = Removal(fillers=True)
    assert remove_words(old, words, which).cuts == ()
    without = [word for word in words if word.text != "oh"]
    assert remove_words(old, words, which, ears=Ears(without)).cuts == ()
    # its time was given to the word before, which is heard all the same
    words[1:3] = [Word("two", words[1].start + 0.1, words[2].end, 0.95)]
    made = remove_words(old, words, which, ears=Ears(words))
    assert [cut.why for cut in made.cuts] == ["unheard"]
    assert text_of(made) == "one two four five"


def test_a_word_that_was_heard_for_a_filler_goes_with_it() -> None:
    old, words = with_filler()
    words[2] = Word("arm", words[2].start, words[2].end, 0.3)
    made = remove_words(old, words, Removal(fillers=True))
    assert [(cut.text, cut.why) for cut in made.cuts] == [("arm", "unheard")]
    assert text_of(made) == "one two four five"


def said_again(seconds: float) -> tuple[Recording, list[Word]]:
    """Four words; the fourth begins twice: `seconds` of it, a pause, and the word."""
    old, said = spoken("one two three four", gap=0.2)
    rate, samples, words = old.sample_rate, old.samples.clone(), list(said)
    again, count = round(words[3].start * rate), round(seconds * rate)
    first, quiet = again - count - round(0.1 * rate), round(words[2].start * rate)
    room = samples[:, : round(0.2 * rate)].repeat(1, 4)
    samples[:, quiet:again] = room[:, : again - quiet]
    start = 0.2 * voice(3, 161, np.arange(round(0.3 * rate)) / rate)
    for channel, share in ((0, 1.0), (1, 0.4)):
        late = torch.from_numpy(share * 2**15 * start).round().short()
        samples[channel, again : again + len(late)] = late
        samples[channel, first : first + count] = late[:count]
    del words[2]
    words[2] = Word("four", first / rate, words[2].end, 0.95)
    return Recording(samples=samples, sample_rate=rate, subtype="PCM_16"), words


@pytest.mark.parametrize("seconds", [0.09, 0.15])
def test_a_short_start_goes_where_a_word_was_heard_for_it(seconds: float) -> None:
    old, words = said_again(seconds)
    which = Removal(repeats=True)
    (cut,) = remove_words(old, words, which, ears=Ears(words)).cuts
    assert cut.end - cut.start >= seconds
    if seconds < 0.12:  # the same with nothing heard at its place: a click
        words[2] = Word("four", words[2].end - 0.3, words[2].end, 0.95)
        assert remove_words(old, words, which, ears=Ears(words)).cuts == ()


class Turns(Ears):
    """Hears one thing after the other."""

    def __init__(self, *turns: list[Word]) -> None:
        self.turns = list(turns)

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return tuple(self.turns.pop(0))


def test_what_was_misheard_beside_another_cut_is_listened_to_alone() -> None:
    old, words = with_filler()
    other, more = with_filler()
    del words[2], more[2]
    both = Recording(samples=torch.cat((old.samples, other.samples), 1), sample_rate=16_000)
    said = words + [
        Word(w.text + "teen", w.start + old.seconds, w.end + old.seconds, 0.9) for w in more
    ]
    astray = [*said[:5], *said[7:]]
    ears = Turns(astray, said)
    assert len(remove_words(both, said, Removal(fillers=True), ears=ears).cuts) == 2
    assert (
        len(remove_words(both, said, Removal(fillers=True), ears=Turns(astray, astray)).cuts) == 1
    )


def test_under_music_nothing_is_looked_for() -> None:
    old, words = with_filler()
    del words[2]
    time = torch.arange(old.samples.shape[1]) / old.sample_rate
    music = (8_000 * torch.sin(2 * math.pi * 220 * time)).short()
    loud = Recording(samples=old.samples + music, sample_rate=old.sample_rate)
    assert remove_words(loud, words, Removal(fillers=True, repeats=True)).cuts == ()
