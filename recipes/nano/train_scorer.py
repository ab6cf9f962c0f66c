"""Margin scorer of nano: how far an edit went, learnt from the strengths of the teacher's groups.

A pair is any two clips of one group, with any edit asked for. Its margin is the gain of the asked
attribute from the first clip to the second, as a share of a full archetype; the score is 1 + 9
times that. Loss: cross-entropy against the share. Dev groups tell the mean error of the score
and how often the stronger of two results gets the higher score.

    python -m recipes.nano.train_scorer --corpus DIR --tokens runs/nano/tokens \
        --out runs/nano/scorer
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.export import CALIBRATION, edit_options
from recipes.nano.tokens import TokenStore
from recipes.nano.training import (
    Run,
    fast_math,
    is_dev,
    log,
    options,
    pad,
    parameters,
    step_rng,
)
from stepedit_core.models.scorer import MarginScorer, ScorerConfig, edit_name
from stepedit_core.vocab import LINGUISTIC_PER_GROUP, group_rows

SPEED = {"faster": 1.0, "more faster": 2.0, "slower": -1.0, "more slower": -2.0}
"""Steps of speed; an asked option wants as many steps."""
Edit = tuple[str, str]


def asked_edits() -> list[Edit]:
    """Every (kind, option) the bundle can be asked for, clone aside."""
    return [
        (kind, option)
        for kind, options in edit_options().items()
        if kind != "clone"
        # the options of `sounds` are tags inside the words, not options of the request
        for option in (("",) if kind == "sounds" else options or ("",))
    ]


def level(record: dict[str, Any], edit: Edit) -> float:
    """How much of what the edit asks for a clip has; 0 in a neutral clip, 1 a full archetype."""
    kind, option = edit
    if record["kind"] != kind:
        return 0.0
    if kind == "speed":
        return SPEED[record["option"]] / SPEED[option]
    if kind in ("denoise", "trim_silence") or option == "remove":
        return -float(record["strength"])
    return float(record["strength"]) if record["option"] == option else 0.0


def share(source: dict[str, Any], edited: dict[str, Any], edit: Edit) -> float:
    """Margin of a pair in 0..1; its score is 1 + 9 times it."""
    return min(1.0, max(0.0, level(edited, edit) - level(source, edit)))


class Pairs:
    """Draws (source, edited, edit) inside the groups of one split."""

    def __init__(self, corpus: Corpus, store: TokenStore, *, dev: bool, longest: int) -> None:
        groups: dict[str, list[dict]] = defaultdict(list)
        for r in corpus.records:
            if not r.get("group") or is_dev(r) != dev or r not in store:
                continue
            if 2 <= len(store.codes(r)[0]) // LINGUISTIC_PER_GROUP <= longest:
                groups[r["group"]].append(r)
        self.groups = [g for g in groups.values() if len(g) > 1]
        self.edits = asked_edits()

    def draw(self, rng: np.random.Generator, foreign: float) -> tuple[dict, dict, Edit]:
        """One pair; `foreign` of the draws ask for anything, the others for the group's own."""
        group = self.groups[int(rng.integers(len(self.groups)))]
        source, edited = (group[int(i)] for i in rng.integers(len(group), size=2))
        if rng.random() < 0.4:
            source = group[0]
        edit = self.edits[int(rng.integers(len(self.edits)))]
        named = edited if rng.random() < 0.7 else source
        if rng.random() >= foreign and named["kind"] != "neutral":
            edit = named["kind"], named["option"]
            if named is source and edit[0] in ("emotion", "style"):
                edit = edit[0], "remove"
        return source, edited, edit


def batch_of(
    pairs: list[tuple[dict, dict, Edit]],
    store: TokenStore,
    scorer: MarginScorer,
    noise: float,
    rng: np.random.Generator,
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Arguments of the scorer and the shares (B,); `noise` of the codes are replaced at random."""
    sides = []
    for side in (0, 1):
        codes, lengths = pad([group_rows(store.dual_codes(pair[side])) for pair in pairs])
        if noise:
            other = torch.from_numpy(rng.permutation(codes.view(-1, 5).numpy())).view(codes.shape)
            swap = torch.from_numpy(rng.random(codes.shape) < noise)
            codes = torch.where(swap, other, codes)
        sides.append((codes, lengths))
    edits = torch.tensor([scorer.edit_index(*pair[2]) for pair in pairs])
    goal = torch.tensor([share(*pair) for pair in pairs])
    return (sides[0][0], sides[1][0], edits, sides[0][1], sides[1][1]), goal


@torch.no_grad()
def judge(scorer: MarginScorer, pairs: Pairs, store: TokenStore, count: int) -> tuple[float, float]:
    """Mean absolute error of the score and share of result pairs ranked rightly, on dev groups."""
    rng = np.random.default_rng(0)
    scorer.eval()
    errors: list[float] = []
    right: list[bool] = []
    for _ in range(count):
        source, edited, edit = pairs.draw(rng, 0.2)
        group = next(g for g in pairs.groups if source in g)
        other = group[int(rng.integers(len(group)))]
        arguments, goal = batch_of(
            [(source, edited, edit), (source, other, edit)], store, scorer, 0.0, rng
        )
        scores = scorer(*arguments)
        errors.append(float((scores - (1 + 9 * goal)).abs().mean()))
        if abs(float(goal[0] - goal[1])) > 0.2:
            right.append(bool((scores[0] > scores[1]) == (goal[0] > goal[1])))
    scorer.train()
    return float(np.mean(errors)), float(np.mean(right)) if right else float("nan")


def main() -> None:
    """Train."""
    args, config = options(__doc__ or "", "scorer", "tokens")
    corpus = Corpus(args.corpus, stages=("edits", "kokoro", "real"))
    store = TokenStore(args.tokens, corpus)
    train, dev = (Pairs(corpus, store, dev=dev, longest=config["longest"]) for dev in (False, True))
    log.info("%d groups to train on, %d held out", len(train.groups), len(dev.groups))
    if not train.groups:
        raise SystemExit(f"no tokenized groups under {args.tokens}; run recipes.nano.tokens first")
    config["model"]["edits"] = tuple(edit_name(*edit) for edit in asked_edits())
    scorer = MarginScorer(ScorerConfig(**config["model"]))
    generator = torch.Generator().manual_seed(config["seed"])
    with torch.no_grad():
        for weight in scorer.parameters():
            if weight.ndim == 2:
                weight.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)
    optimizer = torch.optim.AdamW(parameters(scorer), lr=1e-3, weight_decay=0.05)
    run = Run(args.out, config, optimizer, 1.0, model=scorer)
    state = run.resume()
    first = state["step"] if state else 0
    log.info("%.2f M parameters", sum(p.numel() for p in parameters(scorer)) / 1e6)
    for step in range(first, config["steps"]):
        rng = step_rng(config["seed"], step)
        if step % 250 == 0 and step and corpus.refresh():
            store = TokenStore(args.tokens, corpus)
            train, dev = (
                Pairs(corpus, store, dev=dev, longest=config["longest"]) for dev in (False, True)
            )
        drawn = [train.draw(rng, config["foreign"]) for _ in range(config["batch"])]
        arguments, goal = batch_of(drawn, store, scorer, config["noise"], rng)
        with fast_math():
            logit = scorer.logit(*arguments).float()
        loss = functional.binary_cross_entropy_with_logits(logit, goal)
        run.update(step, loss)
        run.close_step(step, {})
        if (step % 500 == 499 or step + 1 == config["steps"]) and dev.groups:
            error, ranked = judge(scorer, dev, store, 200)
            log.info("dev: mean error %.2f of 1..10, stronger one found %.3f", error, ranked)
    run.finish()
    (args.out / CALIBRATION).unlink(missing_ok=True)  # it was measured on other weights


if __name__ == "__main__":
    main()
