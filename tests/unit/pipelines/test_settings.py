"""Settings: each that cannot be is refused once, by the plan, with its sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.plan import make_plan, plan_from_json
from stepedit_core.pipelines.settings import check_seed
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, Decoding, Draws, EditRequest, Sampling

HAPPY = EditRequest(kind="emotion", option="happy", text="hello world")
NAN = math.nan
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"decoding": Decoding(steps=0)}, "steps is 0; allowed are 1 to 1000. Choose 1 or more"),
    ({"decoding": Decoding(steps=-1)}, "steps is -1; allowed are 1 to 1000"),
    ({"decoding": Decoding(steps=2000)}, "steps is 2000; .* Choose 1000 or less"),
    ({"decoding": Decoding(steps=2.5)}, r"steps is 2.5 \(float\), which is not a whole number"),
    ({"decoding": Decoding(steps=True)}, r"steps is True \(bool\)"),
    ({"decoding": Decoding(guidance=NAN)}, "guidance is nan; allowed are 0 to 10.0. Give a finite"),
    ({"decoding": Decoding(guidance=-50)}, "guidance is -50; allowed are 0 to 10.0"),
    ({"decoding": Decoding(guidance=math.inf)}, "guidance is inf"),
    ({"decoding": Decoding(guidance="1")}, r"guidance is '1' \(str\)"),
    ({"decoding": Decoding(contrast=NAN)}, "contrast is nan"),
    ({"decoding": Decoding(contrast=-0.1)}, "contrast is -0.1"),
    ({"decoding": Decoding(way="x")}, "the decoder's way is 'x'; allowed are exact, difference"),
    ({"decoding": Decoding(way=["exact"])}, r"the decoder's way is \['exact'\]; allowed"),
    ({"decoding": Decoding(way="difference", strength=3)}, "strength is 3; allowed are 0 to 2"),
    ({"decoding": {"steps": 10}}, r"decoding is {'steps': 10} \(dict\); a Decoding is needed"),
    ({"decoding": None}, r"decoding is None \(NoneType\); a Decoding"),
    ({"sampling": Sampling(temperature=-1)}, "temperature is -1; allowed is 0 or more"),
    ({"sampling": Sampling(temperature=NAN)}, "temperature is nan"),
    ({"sampling": Sampling(temperature=math.inf)}, "temperature is inf"),
    ({"sampling": Sampling(top_p=0)}, "top_p is 0; allowed is above 0 and up to 1"),
    ({"sampling": Sampling(top_p=NAN)}, "top_p is nan"),
    ({"sampling": Sampling(top_k=-3)}, r"top_k is -3; allowed is 0 \(off\) or more"),
    ({"sampling": Sampling(top_k=1.0)}, r"top_k is 1.0 \(float\)"),
    ({"sampling": Sampling(max_ids=-5)}, "number of ids is -5"),
    ({"sampling": Sampling(max_ids=1)}, "number of ids is 0; allowed is 5 or more"),
    ({"sampling": Sampling(max_ids=10**12)}, "number of ids is 1000000000000"),
    ({"sampling": Sampling(forbid_repeats="no")}, r"forbid_repeats is 'no' \(str\)"),
    ({"sampling": {"temperature": 0.1}}, "a Sampling is needed"),
    *[
        ({"seed": seed}, r"the seed is .*; allowed are 0 to 18446744073709551615")
        for seed in (True, "1", 1.0, None, -1, 2**64, [1], "\ud800")
    ],
    *[({"rounds": rounds}, "rounds is .*; allowed are 1 to 10") for rounds in ("2", 1.5, True, 0)],
    ({"voice": None}, "voice is None; allowed are original, previous"),
    ({"voice": ["original"]}, r"voice is \['original'\]"),
    ({"round": 3}, "the setting 'round' is unknown; .* Did you mean rounds?"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_a_setting_that_cannot_be_is_refused(
    bundle: Bundle, clip: Clip, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make_plan(bundle, clip, [HAPPY], **settings)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("seed", [0, 2**53, 2**63 - 1, 2**64 - 1])
def test_every_seed_of_64_bits_is_taken(bundle: Bundle, clip: Clip, seed: int) -> None:
    assert make_plan(bundle, clip, [HAPPY], seed=seed).seed == seed


@pytest.mark.parametrize("field", ["text", "option", "new_text", "kind", "speaker"])
@pytest.mark.parametrize("value", [None, 5, ["hello"], b"hello"])
def test_words_that_are_not_text_are_named(
    bundle: Bundle, clip: Clip, field: str, value: object
) -> None:
    with pytest.raises(ValueError, match=rf"the {field} of the edit is .*; text is needed"):
        make_plan(bundle, clip, [replace(HAPPY, **{field: value})])


def test_half_an_emoji_is_named(bundle: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match="the text of the edit has half a character") as error:
        make_plan(bundle, clip, [replace(HAPPY, text="hello \ud83d")])
    assert str(error.value).isprintable()


@pytest.mark.parametrize("requests", [[], ["happy"], [{"kind": "emotion"}]])
def test_edits_that_are_none_are_refused(bundle: Bundle, clip: Clip, requests: list) -> None:
    with pytest.raises(ValueError, match=r"there is no edit to make|an EditRequest is needed"):
        make_plan(bundle, clip, requests)


def test_a_plan_from_json_is_checked_as_far_as_no_bundle_is_needed(
    bundle: Bundle, clip: Clip
) -> None:
    good = make_plan(bundle, clip, [HAPPY]).as_json()
    for wrong, message in (
        ({"requests": []}, "there is no edit to make"),
        ({"rounds": 11}, "rounds is 11"),
        ({"seed": -1}, "the seed is -1"),
        ({"decoding": {"steps": 0}}, "steps is 0"),
        ({"sampling": {"top_p": 2}}, "top_p is 2"),
    ):
        with pytest.raises(ValueError, match=message):
            plan_from_json({**good, **wrong})


def test_a_stage_of_its_own_checks_its_decoding(bundle: Bundle, clip: Clip) -> None:
    codes, voice = tokenize(bundle, clip)
    with pytest.raises(ValueError, match="steps is 0"):
        flow_decode(bundle, codes, voice, draws=Draws(seed=0), decoding=Decoding(steps=0))
    mel = flow_decode(bundle, codes, voice, draws=Draws(seed=0), decoding=Decoding(steps=1))
    assert bool(torch.isfinite(mel).all())


@pytest.mark.parametrize("seed", [10**400, 10**5000, -(10**400)], ids=["400", "5000", "negative"])
def test_a_number_without_end_is_a_short_sentence(seed: int) -> None:
    with pytest.raises(ValueError, match="a number of more than 40 digits; allowed are 0 to") as e:
        check_seed(seed)
    assert len(str(e.value)) < 200
