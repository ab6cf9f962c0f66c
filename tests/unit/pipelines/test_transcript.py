"""Words that cannot be those of a clip are found before a network runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stepedit_core.pipelines.clone import clone_plan
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.pipelines.transcript import (
    check_letters,
    check_pace,
    speech_seconds,
    transcript_notes,
)
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.text.prompts import BOT
from stepedit_core.types import Clip, EditRequest
from tests.unit.conftest import voiced

HAPPY = EditRequest(kind="emotion", option="happy", text="hello world")


@pytest.fixture(scope="module")
def nano() -> Bundle:
    return Registry().load("nano", device="cpu")


@pytest.mark.parametrize("text", ["我昨天走回家", "مرحبا بالعالم", "Привет, мир", "안녕하세요"])
def test_a_script_that_the_model_never_learnt_is_refused(
    nano: Bundle, clip: Clip, text: str
) -> None:
    with pytest.raises(ValueError, match=r"letters of the words were never learnt by 'nano'"):
        make_plan(nano, clip, [replace(HAPPY, text=text)])
    assert nano.loaded == ()


def test_a_borrowed_word_and_a_number_pass_and_are_said(nano: Bundle) -> None:
    text = "We met at the café at 5 o'clock"
    check_letters(nano, text)
    (note,) = transcript_notes(nano, text, 2.0)
    assert "never learnt 'é', '5'" in note
    assert transcript_notes(nano, "We met at the cafe at five", 2.0) == ()


def test_more_words_than_anybody_says_are_refused(bundle: Bundle, clip: Clip) -> None:
    many = replace(HAPPY, text=" ".join(["hello"] * 6000))
    with pytest.raises(ValueError, match=r"30000 letters; the clip has 0\.\d s of speech"):
        make_plan(bundle, clip, [many])


def test_words_are_compared_with_the_speech_and_not_with_the_silence(bundle: Bundle) -> None:
    silence = torch.zeros(24_000 * 5)
    padded = Clip(wave=torch.cat([silence, voiced(1.0, 24_000), silence]), sample_rate=24_000)
    assert speech_seconds(padded) == pytest.approx(1.0, abs=0.1)
    many = replace(HAPPY, text=" ".join(["hello"] * 12))
    with pytest.raises(ValueError, match="60 letters"):
        make_plan(bundle, padded, [many])


def test_the_fastest_speaker_passes() -> None:
    check_pace("x" * 40, 1.0)
    check_pace("我" * 14, 1.0)
    with pytest.raises(ValueError, match="the fastest speaker needs"):
        check_pace("x" * 60, 1.0)


def test_a_transcript_that_is_far_too_short_is_said(bundle: Bundle) -> None:
    (note,) = transcript_notes(bundle, "hello", 20.0)
    assert "check that the transcript is whole" in note
    assert transcript_notes(bundle, "", 20.0) == ()


def test_new_words_that_take_a_minute_are_refused(bundle: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match=r"2500 letters, which take 179 s to say; at most 60 s"):
        clone_plan(bundle, clip, "hello world", " ".join(["hello"] * 500))
    clone_plan(bundle, clip, "hello world", " ".join(["hello"] * 100))


def test_what_is_odd_stands_at_round_0_and_in_the_log(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    wave = voiced(2.4, 24_000)
    wave[:12_000] *= 10**-1.5
    quiet = Clip(wave=torch.cat([torch.zeros(12_000), wave]), sample_rate=24_000)
    plan = make_plan(bundle, quiet, [HAPPY])
    first = next(iter(iterate_rounds(bundle, quiet, plan)))
    assert any("at the ends are far quieter" in note for note in first.notes)
    assert "the recording: 0." in caplog.text


@pytest.mark.parametrize("text", ["😀😀😀", "!!! ... ???", "— … —", "+ = $"])
def test_words_without_a_letter_are_refused(nano: Bundle, clip: Clip, text: str) -> None:
    with pytest.raises(ValueError, match=r"the words are '.*', which has no letter.*Write the"):
        make_plan(nano, clip, [replace(HAPPY, text=text)])


def test_a_control_character_is_refused_by_name(nano: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match=r"control character '.*', which nobody says. Remove it"):
        make_plan(nano, clip, [replace(HAPPY, text="\x07\x00")])


def test_new_words_of_sounds_alone_need_no_letter(nano: Bundle) -> None:
    check_letters(nano, "[Laughter]")
    check_letters(nano, "")


def test_digits_count_as_letters_do(nano: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match=r"11 of the 14 letters of the words.*numbers as words"):
        make_plan(nano, clip, [replace(HAPPY, text="1 2 3 4 5 6 7 8 9 10 100")])
    with pytest.raises(ValueError, match=r"7 of the 11 letters of the words.*numbers as words"):
        check_letters(nano, "call 5556789")
    check_letters(nano, "that was in the summer of 1984")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("I was\x07 walking home", r"'\x07'"),
        ("I was\x00 walking home", r"'\x00'"),
        ("I was\u202e walking home", r"'\u202e'"),
        ("I was\u200b walking home", r"'\u200b'"),
        ("I was walking <|endoftext|> home", "'<', '|', '>'"),
        ("I was 😀 walking home", "'😀'"),
    ],
)
def test_what_is_not_spoken_is_said(nano: Bundle, text: str, named: str) -> None:
    check_letters(nano, text)
    (note,) = transcript_notes(nano, text, 2.0)
    assert f"never learnt {named};" in note
    assert note.isprintable()


def test_typographic_punctuation_is_not_said(nano: Bundle) -> None:
    text = "I\u2019d say \u201cwell\u201d \u2014 and\u00a0then\u2026 I walked home; no? Yes!"
    assert transcript_notes(nano, text, 4.0) == ()


def test_a_control_token_in_the_words_is_text_or_refused(nano: Bundle, clip: Clip) -> None:
    for token in ("<s>", "</s>", "<unk>", "<|EOT|>", "<|BOT|>"):
        assert nano.text.specials_in(f"hello {token} world") == [token]
        with pytest.raises(ValueError, match="control token"):
            make_plan(nano, clip, [replace(HAPPY, text=f"hello {token} world")])
    text = "hello <|endoftext|> <|audio_1|> world"
    assert nano.text.specials_in(text) == []
    assert min(nano.text.encode(text)) > BOT


FOREIGN = (
    "Ich ging gestern Abend nach Hause als ich ein Lied hörte das ich früher kannte",
    "Je rentrais chez moi hier soir quand j ai entendu une chanson",
    "wo zuo wan zou lu hui jia de shi hou",
    "Ayer por la noche caminaba a casa cuando oi una cancion",
    "watashi wa kinou uchi ni kaerimashita",
    "Gisteravond liep ik naar huis toen ik een liedje hoorde",
)
ENGLISH = (
    "I was walking home last night when I heard a song that I used to know.",
    "I WAS WALKING HOME LAST NIGHT WHEN I HEARD A SONG",
    "34. Unk Billy and Old Mrs. Possum.",
    "Then, up got Little John, and taking the bag of gold, which he thrust into his bosom.",
    "Right off, I observed a cluster of mountains whose shapes were very whimsical",
    "Peter sees Rosebrest and finds Redcoat.",
    "Printing, in the only sense with which we are at present concerned",
    "don't you think they'd come if we'd ask 'em",
)


@pytest.mark.parametrize("text", FOREIGN)
def test_another_language_in_known_letters_is_said(nano: Bundle, text: str) -> None:
    assert any("another language" in note for note in transcript_notes(nano, text, 4.0))


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_not_taken_for_another_language(nano: Bundle, text: str) -> None:
    assert not any("another language" in note for note in transcript_notes(nano, text, 4.0))
