"""The released recogniser from a wave to words with times."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from stepedit_core.measure.paraformer import ParaformerRecogniser, join_words, unit_spans
from stepedit_core.measure.timeline import Recogniser, Word
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
from stepedit_core.models.paraformer import Paraformer, ParaformerConfig, fire
from stepedit_core.types import Clip
from tests.golden import paraformer_capture as capture
from tests.golden.tokenizers_capture import LINGUISTIC, seeded_state, shapes_of

UNITS = ("<blank>", "<s>", "</s>", *(f"w{i}" for i in range(36)), "<unk>")


@pytest.fixture(scope="module")
def recogniser() -> ParaformerRecogniser:
    tokenizer = LinguisticTokenizer(LinguisticConfig(**LINGUISTIC))
    tokenizer.encoder.load_state_dict(seeded_state(shapes_of(tokenizer.encoder), 1))
    tokenizer.cmvn_rescale.fill_(1.0)
    tokenizer.cmvn_shift.fill_(-16.0)
    model = Paraformer(ParaformerConfig(**capture.SMALL))
    model.load_state_dict(seeded_state(shapes_of(model), 5))
    for part in (tokenizer, model):
        part.eval().requires_grad_(False)
    return ParaformerRecogniser(tokenizer=tokenizer, model=model, units=UNITS)


def noise(seconds: float, rate: int = 16_000) -> Clip:
    generator = torch.Generator().manual_seed(3)
    return Clip(wave=0.1 * torch.randn(int(seconds * rate), generator=generator), sample_rate=rate)


class TestTimes:
    """Spans of units against FunASR's time stamps."""

    @pytest.mark.parametrize("row", range(capture.TIMES))
    def test_starts_and_ends_are_the_references(self, row):
        weights = capture.uneven_weights(row)
        fires = fire(torch.zeros(1, len(weights) - 1, 1), weights[None])
        spans = torch.tensor(unit_spans(fires.frames[0].tolist(), len(weights) - 1))
        wanted = capture.golden()[f"times_{row}"] / 1000
        assert len(spans) == len(wanted) + 1  # our last is the end mark
        # the reference cuts to whole ms; it may begin before the clip, ours never does
        torch.testing.assert_close(
            spans[:-1, 0], wanted[:, 0].clamp(min=0), atol=1.01e-3, rtol=0, check_dtype=False
        )
        # the reference stretches the last unit half way to the clip's end, ours keeps its end
        torch.testing.assert_close(
            spans[:-2, 1], wanted[:-1, 1], atol=1.01e-3, rtol=0, check_dtype=False
        )

    def test_the_golden_rows_have_a_pause_that_is_split_off(self):
        weights = capture.uneven_weights(3)
        frames = fire(torch.zeros(1, 60, 1), weights[None]).frames[0].tolist()
        spans = unit_spans(frames, 60)
        gaps = [b[0] - a[1] for a, b in pairwise(spans)]
        assert max(gaps) > 0.3
        assert max(end - start for start, end in spans) == pytest.approx(0.72)

    def test_no_unit_leaves_the_clip_and_each_has_some_time(self):
        spans = unit_spans([0, 1, 2, 30], 30)
        wanted = [(0.0, 0.015), (0.015, 0.03), (0.03, 0.75), (1.71, 1.8)]
        assert torch.allclose(torch.tensor(spans), torch.tensor(wanted))


class TestWords:
    """Units to words."""

    def test_a_word_lasts_from_its_first_unit_to_its_last(self):
        spans = [(0.1, 0.2), (0.2, 0.3), (0.3, 0.5), (0.5, 0.6)]
        made = join_words(["he@@", "llo", "好", "</s>"], spans, [0.25, 1.0, 0.5, 1.0])
        assert made == [Word("hello", 0.1, 0.3, 0.5), Word("好", 0.3, 0.5, 0.5)]

    def test_units_that_say_nothing_have_no_word(self):
        assert join_words(["<s>", "</s>"], [(0.0, 0.1), (0.1, 0.2)], [1.0, 1.0]) == []


class TestTranscribe:
    """The whole path at toy sizes; random weights say random words."""

    def test_it_is_a_recogniser(self, recogniser):
        checked: Recogniser = recogniser
        assert checked.transcribe(noise(0.01)) == ()

    @pytest.mark.parametrize("rate", [16_000, 44_100])
    def test_words_come_in_order_inside_the_clip(self, rate, recogniser):
        words = recogniser.transcribe(noise(3.0, rate))
        assert len(words) > 5
        assert {word.text for word in words} <= set(UNITS) - {"<blank>", "<s>", "</s>", "<unk>"}
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[0] >= 0.0
        assert times[-1] <= 3.0
        assert all(word.end > word.start for word in words)
        assert all(0.0 < word.confidence <= 1.0 for word in words)

    def test_a_long_clip_is_heard_piece_by_piece(self, recogniser):
        clip = noise(50.0)
        words = recogniser.transcribe(clip)
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert 45.0 < times[-1] <= 50.0

    def test_a_transcript_takes_the_times_of_what_was_heard(self, recogniser):
        clip = noise(3.0)
        heard = recogniser.transcribe(clip)
        assert recogniser.align(clip, " ".join(word.text for word in heard)) == heard

    def test_a_run_that_is_cancelled_stops(self, recogniser):
        class Stop(Exception):
            pass

        class Hooks:
            def progress(self, stage: str, done: int, total: int) -> None: ...

            def check(self) -> None:
                raise Stop

        parts = {"tokenizer": recogniser.tokenizer, "model": recogniser.model, "units": UNITS}
        with pytest.raises(Stop):
            ParaformerRecogniser(**parts, hooks=Hooks()).transcribe(noise(1.0))

    def test_parts_of_two_bundles_are_refused(self, recogniser):
        with pytest.raises(ValueError, match=r"has 40 units of width 32; its list has 1 and"):
            ParaformerRecogniser(
                tokenizer=recogniser.tokenizer, model=recogniser.model, units=("a",)
            )
