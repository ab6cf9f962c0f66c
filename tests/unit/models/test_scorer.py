"""The margin scorer: its range, its masks, its edits and that it can learn a margin."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stepedit_core.models.scorer import MarginScorer, ScorerConfig, edit_name
from stepedit_core.text.edits import edit_vocabulary

TINY = ScorerConfig(
    edits=("emotion happy", "emotion sad", "denoise"),
    code_dim=8,
    hidden_size=32,
    layers=2,
    heads=2,
    ffn=64,
    dropout=0.0,
)


def seeded(config: ScorerConfig = TINY) -> MarginScorer:
    scorer = MarginScorer(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in scorer.parameters():
            weight.normal_(0.0, 0.3, generator=generator)
    return scorer


def codes(groups: int, seed: int, rows: int = 1) -> Tensor:
    return torch.randint(0, 5120, (rows, groups, 5), generator=torch.Generator().manual_seed(seed))


def naive_score(scorer: MarginScorer, source: Tensor, edited: Tensor, edit: int) -> float:
    """The network written out for one unpadded pair, (G, 5) codes each, in float64."""
    w = {name: value.double() for name, value in scorer.state_dict().items()}
    config = scorer.config
    width, dim = config.hidden_size, config.hidden_size // config.heads

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        var = (centred**2).mean(-1, keepdim=True)
        return centred / torch.sqrt(var + 1e-5) * w[name + ".weight"] + w[name + ".bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def rows(part: Tensor, segment: int) -> Tensor:
        joined = torch.stack([torch.cat([w["code.weight"][c] for c in row]) for row in part])
        half = width // 2
        rates = 10_000.0 ** (-torch.arange(half).double() / (half - 1))
        angles = torch.arange(len(part)).double()[:, None] * rates
        where = torch.cat([angles.sin(), angles.cos()], 1)
        return linear(joined, "row") + w["segment.weight"][segment] + where

    x = torch.cat([w["edit.weight"][edit][None], rows(source, 0), rows(edited, 1)])
    for i in range(config.layers):
        name = f"blocks.{i}."
        q, k, v = linear(norm(x, name + "attention_norm"), name + "qkv").split(width, -1)
        heads = []
        for h in range(config.heads):
            part = slice(h * dim, h * dim + dim)
            heads.append(torch.softmax(q[:, part] @ k[:, part].T / dim**0.5, -1) @ v[:, part])
        x = x + linear(torch.cat(heads, -1), name + "out")
        up = linear(norm(x, name + "ffn_norm"), name + "up")
        gelu = up * 0.5 * (1 + torch.erf(up / 2**0.5))
        x = x + linear(gelu, name + "down")
    x = norm(x, "norm")
    cut = 1 + len(source)
    pooled = torch.cat([x[0], x[1:cut].mean(0), x[cut:].mean(0)])
    return float(1 + 9 / (1 + torch.exp(-linear(pooled, "head")[0])))


def test_the_score_equals_the_network_written_out() -> None:
    scorer = seeded()
    source, edited = codes(7, 2), codes(9, 3)
    with torch.no_grad():
        score = scorer(source, edited, torch.tensor([1]))
    # float32 against float64
    assert float(score) == pytest.approx(naive_score(scorer, source[0], edited[0], 1), abs=1e-4)


def test_padding_does_not_change_a_score() -> None:
    scorer = seeded()
    source, edited, edits = codes(12, 4, rows=3), codes(10, 5, rows=3), torch.tensor([0, 1, 2])
    lengths = torch.tensor([12, 5, 8]), torch.tensor([3, 10, 7])
    with torch.no_grad():
        together = scorer(source, edited, edits, *lengths)
        for row in range(3):
            alone = scorer(
                source[row : row + 1, : lengths[0][row]],
                edited[row : row + 1, : lengths[1][row]],
                edits[row : row + 1],
            )
            # float32 sums over another number of masked places
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-4, rtol=0.0)


def test_scores_stay_between_1_and_10() -> None:
    scorer = seeded()
    with torch.no_grad():
        scores = scorer(codes(6, 6, rows=8), codes(6, 7, rows=8), torch.arange(8) % 3)
        assert ((scores >= 1) & (scores <= 10)).all()
        assert scores.std() > 0
        scorer.head.bias.fill_(100.0)
        assert float(scorer(codes(6, 6), codes(6, 7), torch.tensor([0]))) == 10.0


def test_source_edit_and_result_all_matter() -> None:
    scorer = seeded()
    a, b = codes(6, 8), codes(6, 9)
    with torch.no_grad():
        base = scorer(a, b, torch.tensor([0]))
        assert not torch.equal(base, scorer(b, a, torch.tensor([0])))
        assert not torch.equal(base, scorer(a, b, torch.tensor([1])))
        assert not torch.equal(base, scorer(a, b.flip(1), torch.tensor([0])))


def test_it_learns_which_of_two_results_is_the_stronger() -> None:
    generator = torch.Generator().manual_seed(10)
    scorer = MarginScorer(TINY)
    with torch.no_grad():
        for name, weight in scorer.named_parameters():
            if weight.ndim == 2:
                weight.normal_(0.0, 0.1, generator=generator)
            else:
                weight.fill_(1.0 if name.endswith("norm.weight") else 0.0)
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=1e-2)

    def batch() -> tuple[Tensor, Tensor, Tensor]:
        share = torch.rand(32, generator=generator)
        edited = torch.randint(0, 2000, (32, 6, 5), generator=generator)
        marked = torch.rand(32, 6, 5, generator=generator) < share[:, None, None]
        return torch.where(marked, 3000, edited), torch.zeros(32, dtype=torch.int64), share

    def error() -> Tensor:
        edited, edits, share = batch()
        source = torch.randint(0, 2000, (32, 6, 5), generator=generator)
        return ((scorer(source, edited, edits) - (1 + 9 * share)) ** 2).mean()

    before = error().item()
    for _ in range(60):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    # an answer that never moves from the mean leaves 81 / 12 = 6.75
    assert before > 4.0
    assert error().item() < 2.5


def test_default_edits_are_the_released_ones_without_clone() -> None:
    edits = ScorerConfig().edits
    options = edit_vocabulary("2026").options
    assert len(edits) == len(set(edits)) == 15 + 33 + 4 + 1 + 1 + 1
    assert edit_name("emotion", "happy") in edits
    assert edit_name("denoise") == "denoise"
    assert not any(name.startswith("clone") for name in edits)
    assert {f"style {o}" for o in options["style"]} < set(edits)


def test_an_edit_it_was_not_trained_on_is_refused() -> None:
    scorer = seeded()
    assert scorer.edit_index("emotion", "sad") == 1
    assert scorer.edit_index("denoise") == 2
    with pytest.raises(ValueError, match="asked about 'style whisper'; it knows emotion happy, "):
        scorer.edit_index("style", "whisper")
