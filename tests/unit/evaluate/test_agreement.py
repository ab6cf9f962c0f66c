"""How alike two language models answer, against the definition written out."""

from __future__ import annotations

import math

import pytest
import torch

from stepedit_core.evaluate.agreement import agreement
from stepedit_core.models.llm import LMConfig, Step1LM

CONFIG = LMConfig(
    vocab_size=90,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_attention_groups=2,
)
PROMPTS = [list(range(5, 80)), [7, 8, 9]]


def model_of(seed: int) -> Step1LM:
    lm = Step1LM(CONFIG).eval().requires_grad_(False)
    lm.initialise(torch.Generator().manual_seed(seed), std=0.3)
    return lm


def written_out(first: Step1LM, second: Step1LM, skip: int) -> tuple[float, float, int]:
    kl, same, count = 0.0, 0, 0
    for prompt in PROMPTS:
        p, q = (
            m.logits(m(torch.tensor([prompt])))[0].double().softmax(-1) for m in (first, second)
        )
        for row in range(skip, len(prompt)):
            for a, b in zip(p[row].tolist(), q[row].tolist(), strict=True):
                kl += a * math.log(a / b)
            same += int(p[row].argmax()) == int(q[row].argmax())
            count += 1
    return kl / count, same / count, count


@pytest.mark.parametrize("skip", [0, 2])
def test_the_figures_are_those_of_the_definition(skip: int) -> None:
    first, second = model_of(0), model_of(1)
    done = agreement(first, second, PROMPTS, skip=skip)
    kl, top1, count = written_out(first, second, skip)
    # float32 against float64
    assert done.kl == pytest.approx(kl, rel=1e-4)
    assert done.top1 == pytest.approx(top1)
    assert done.positions == count
    assert done.kl > 0.1


def test_a_model_agrees_with_itself() -> None:
    done = agreement(model_of(0), model_of(0), PROMPTS)
    assert done.kl == 0.0
    assert done.top1 == 1.0


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(ValueError, match="no positions to compare; 1 or more are needed"):
        agreement(model_of(0), model_of(0), PROMPTS, skip=100)
