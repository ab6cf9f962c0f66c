"""Language model of nano: supervised fine-tuning on edits, clones and copies, from scratch.

The first steps copy only, which teaches the model to look things up in its prompt. Rows of the
audio ids start from the tokenizers' codebooks, so codes that sound alike begin alike. The loss is
taken among the ids that are legal at each slot, as the product samples.

    python -m recipes.nano.train_lm --corpus DIR --tokens runs/nano/tokens --models runs/nano \
        --out runs/nano/lm
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch

from recipes.nano.ahead import drawn_ahead, to_device
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.corpus.groups import FIRST
from recipes.nano.export import CODEBOOK
from recipes.nano.tokens import TokenStore, build
from recipes.nano.training import (
    Run,
    fast_math,
    is_dev,
    log,
    options,
    parameters,
    step_rng,
)
from stepedit_core.files.whole import whole_file
from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.text.prompts import clone_prompt, edit_prompt
from stepedit_core.text.tokenizer import TextTokenizer
from stepedit_core.train.policy import slot_loss
from stepedit_core.types import DualCodes, EditRequest
from stepedit_core.vocab import (
    AUDIO_CODES,
    GROUP,
    LINGUISTIC_CODES,
    LINGUISTIC_PER_GROUP,
    Vocabulary,
)

LAYOUT = "nano"
Pair = tuple[dict, dict]
Task = tuple[str, str, list[dict], list[dict]]
ALWAYS = ("copy", "clone")
"""Tasks that need no edit group."""


def train_pieces(corpus: Corpus, path: Path, pieces: int) -> None:
    """SentencePiece over the corpus's words, with the release's control ids and byte fallback."""
    if path.exists():
        return
    lines = sorted(
        {r["text"] for r in corpus.records}
        | {r["new_text"] for r in corpus.records if r.get("new_text")}
    )
    kinds = ["emotion", "style", "speed", "sounds", "denoise", "trim_silence", "clone", "copy"]
    options = sorted({r["option"] for r in corpus.records if r.get("option")} | {"remove"})
    lines += [f"{k} {o}" for k in kinds for o in options]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part, part.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            vocab_size=pieces,
            model_type="unigram",
            byte_fallback=True,
            split_digits=True,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            control_symbols=["<|EOT|>", "<|BOT|>"],
            user_defined_symbols=["\n"],
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            hard_vocab_limit=False,
            minloglevel=2,
        )


class Tasks:
    """Draws (kind, option, source records, target records).

    Clips of the corpus last three seconds, recordings ten: several clips of one kind of step are
    joined, so that the model learns to keep its place and to continue after a pause.
    """

    def __init__(self, corpus: Corpus, store: TokenStore, longest: int, native: int) -> None:
        """Clips of 8 to `longest` groups that are not held out; real voices count `native` times."""
        self.groups_of = {
            r["id"]: len(store.codes(r)[0]) // LINGUISTIC_PER_GROUP
            for r in corpus.records
            if r in store and not is_dev(r)
        }
        self.longest = longest
        usable = [r for r in corpus.records if 8 <= self.groups_of.get(r["id"], 0) <= longest]
        self.plain = [r for r in usable if not r.get("group")]
        self.by_speaker: dict[str, list[dict]] = defaultdict(list)
        for record in usable:
            if record["kind"] == "neutral" and record["text"]:
                self.by_speaker[record["speaker"]].append(record)
        self.speakers = sorted(
            n for n, rs in self.by_speaker.items() if len({r["text"] for r in rs}) > 1
        )
        groups: dict[str, list[dict]] = defaultdict(list)
        for record in usable:
            if record.get("group"):
                groups[record["group"]].append(record)
        self.edits: dict[str, dict[str, list[Pair]]] = defaultdict(lambda: defaultdict(list))
        self.alike: dict[tuple, list[Pair]] = defaultdict(list)
        for group in groups.values():
            for kind, option, source, target in self._pairs(group) * (
                native if group[0].get("native") else 1
            ):
                self.edits[kind][option].append((source, target))
                self.alike[self._step(kind, option, source, target)].append((source, target))
        log.info(
            "%d single clips, %s edits, %d speakers to clone",
            len(self.plain),
            {kind: sum(map(len, options.values())) for kind, options in self.edits.items()},
            len(self.speakers),
        )

    @staticmethod
    def _step(kind: str, option: str, source: dict, target: dict) -> tuple:
        """What two edits must share to be joined: the option and both strengths."""
        return kind, option, source.get("strength", 0.0), target.get("strength", 0.0)

    @staticmethod
    def _pairs(group: list[dict]) -> list[tuple[str, str, dict, dict]]:
        neutral = next((r for r in group if r["kind"] == "neutral"), None)
        if neutral is None:
            return []
        chains: dict[tuple[str, str], list[dict]] = defaultdict(list)
        for record in group:
            if record is not neutral:
                chains[record["kind"], record["option"]].append(record)
        tasks: list[tuple[str, str, dict, dict]] = []
        for (kind, option), records in chains.items():
            records.sort(key=lambda r: r["strength"])
            if kind in ("emotion", "style"):
                chain = [neutral, *records]
                # a round goes up by two thirds of a full archetype; at the top it stays
                tasks += [
                    (kind, option, chain[i], chain[min(i + 2, len(chain) - 1)])
                    for i in range(len(chain) - 1)
                ]
                tasks += [
                    (kind, option, chain[-1], chain[-1]),
                    (kind, "remove", chain[-1], neutral),
                ]
                tasks.append((kind, option, neutral, chain[min(2, len(chain) - 1)]))
                tasks.append((kind, "remove", chain[len(chain) // 2], neutral))
            elif kind == "speed":
                tasks.append((kind, option, neutral, records[0]))
            elif kind in ("denoise", "trim_silence"):
                tasks += [(kind, "", r, neutral) for r in records]
            elif kind == "sounds":
                tasks += [(kind, "", neutral, r) for r in records]
        speeds = {o: rs[0] for (k, o), rs in chains.items() if k == "speed"}
        for base in ("faster", "slower"):
            if base in speeds and f"more {base}" in speeds:
                tasks.append(("speed", base, speeds[base], speeds[f"more {base}"]))
        return tasks

    def draw(self, rng: np.random.Generator, config: dict[str, Any], copy_only: bool) -> Task:
        """One task, joined from several pairs in a share `joined` of the draws."""
        shares = {
            k: v for k, v in config["shares"].items() if v and (k in ALWAYS or k in self.edits)
        }
        weights = np.array(list(shares.values()))
        kind = "copy" if copy_only else str(rng.choice(list(shares), p=weights / weights.sum()))
        if kind == "clone" and self.speakers:
            mates = self.by_speaker[self.speakers[int(rng.integers(len(self.speakers)))]]
            first, second = rng.integers(len(mates), size=2)
            return "clone", "", [mates[int(first)]], [mates[int(second)]]
        if kind in ALWAYS:
            kind, option, like = "copy", "", [(r, r) for r in self._pick(rng, self.plain, 12)]
        else:
            options = list(self.edits[kind])
            often = np.array([config["often"] if o in FIRST else 1.0 for o in options])
            option = str(rng.choice(options, p=often / often.sum()))
            pair = self._pick(rng, self.edits[kind][option], 1)[0]
            like = [pair, *self._pick(rng, self.alike[self._step(kind, option, *pair)], 11)]
        room = rng.uniform(0, self.longest) if rng.random() < config["joined"] else 0.0
        taken: list[Pair] = []
        for pair in like:
            room -= max(self.groups_of[r["id"]] for r in pair)
            if taken and room < 0:
                break
            taken.append(pair)
        return kind, option, [s for s, _ in taken], [t for _, t in taken]

    @staticmethod
    def _pick(rng: np.random.Generator, items: list[Any], count: int) -> list[Any]:
        return [items[int(i)] for i in rng.integers(len(items), size=count)]


def example(
    task: Task, store: TokenStore, text: TextTokenizer, vocabulary: Vocabulary
) -> tuple[list[int], list[int]]:
    """(prompt ids, target ids with the end id) of a task."""
    kind, option, source, target = task
    audio = []
    for records in (source, target):
        spoken = [store.dual_codes(record) for record in records]
        codes = DualCodes(
            linguistic=torch.cat([one.linguistic for one in spoken]),
            semantic=torch.cat([one.semantic for one in spoken]),
            codebook=vocabulary.codebook,
        )
        audio.append(vocabulary.interleave(codes))
    words = " ".join(r["text"] for r in source)
    if kind == "clone":
        prompt = clone_prompt(
            text,
            LAYOUT,
            prompt_text=words,
            audio_ids=audio[0],
            new_text=" ".join(r["text"] for r in target),
        )
    else:
        new = " ".join(r.get("new_text") or r["text"] for r in target) if kind == "sounds" else ""
        request = EditRequest(kind=kind, option=option, text=words, new_text=new)
        prompt = edit_prompt(text, LAYOUT, request, audio[0])
    return prompt, [*audio[1], vocabulary.end_id]


def start_model(config: dict[str, Any], text: TextTokenizer, models: Path, seed: int) -> Step1LM:
    """A new model whose audio rows, in and out, are the normalised codebook vectors."""
    model = Step1LM(LMConfig(vocab_size=text.size + AUDIO_CODES, **config["model"]))
    generator = torch.Generator().manual_seed(seed)
    model.initialise(generator)
    width = config["model"]["hidden_size"]
    offset = text.size
    with torch.no_grad():
        for name, start in (("linguistic", 0), ("semantic", LINGUISTIC_CODES)):
            book = build(models, name).codebook.float()
            book = book - book.mean(0)
            if book.shape[1] != width:
                book = book @ torch.randn(book.shape[1], width, generator=generator)
            book = book / book.std() * 0.5
            rows = slice(offset + start, offset + start + len(book))
            for matrix, scale in (
                (model.model.embed_tokens.weight, 1.0),
                (model.lm_head.weight, 0.1),
            ):
                matrix[rows] = (
                    book * scale + torch.randn(book.shape, generator=generator) * 0.1 * scale
                )
    return model


def main() -> None:
    """Train."""
    args, config = options(__doc__ or "", "lm", "tokens", "models")
    corpus = Corpus(args.corpus)
    train_pieces(corpus, args.out / "tokenizer.model", config["pieces"])
    text = TextTokenizer(args.out / "tokenizer.model")
    vocabulary = Vocabulary(audio_offset=text.size, codebook=CODEBOOK)
    store = TokenStore(args.tokens, corpus)
    tasks = Tasks(corpus, store, config["longest"], config["native"])
    model = start_model(config, text, args.models, config["seed"])
    model.to(args.device)
    decayed = [p for p in parameters(model) if p.ndim > 1]
    rest = [p for p in parameters(model) if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}],
        lr=1e-3,
        betas=(0.9, 0.97),
    )
    run = Run(args.out, config, optimizer, 1.0, model=model)
    state = run.resume()
    first = state["step"] if state else 0
    log.info(
        "%.1f M parameters, %d pieces", sum(p.numel() for p in parameters(model)) / 1e6, text.size
    )

    def draw(step: int) -> tuple[torch.Tensor, ...]:
        nonlocal store, tasks
        if step % 250 == 0 and step and step < config["steps"] * 0.7:  # the corpus may still grow
            corpus.refresh()
            store = TokenStore(args.tokens, corpus)
            tasks = Tasks(corpus, store, config["longest"], config["native"])
        rng = step_rng(config["seed"], step)
        # a batch of similar lengths
        pool = [
            example(
                tasks.draw(rng, config, run.fresh and step < config["copy_first"]),
                store,
                text,
                vocabulary,
            )
            for _ in range(28)
        ]
        pool.sort(key=lambda e: len(e[0]) + len(e[1]))
        start = int(rng.integers(len(pool)))
        rows: list[tuple[list[int], list[int]]] = []
        for item in pool[start:] + pool[:start][::-1]:
            longest = max(len(p) + len(t) for p, t in [*rows, item])
            if rows and longest * (len(rows) + 1) > config["batch_ids"]:
                break
            rows.append(item)
        longest = max(len(p) + len(t) for p, t in rows) - 1
        ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        index, goals, slots = [], [], []
        for b, (prompt, target) in enumerate(rows):
            full = [*prompt, *target]
            ids[b, : len(full) - 1] = torch.tensor(full[:-1])
            index.append(b * longest + torch.arange(len(prompt) - 1, len(full) - 1))
            goals.append(torch.tensor(target))
            slots.append(torch.arange(len(target)) % GROUP)
        return ids, torch.cat(index), torch.cat(goals), torch.cat(slots)

    batches = drawn_ahead(draw, first, args.ahead)
    for step, made in zip(run.steps(first), batches, strict=False):
        ids, index, goals, slots = to_device(made, args.device)
        # the loss is on the answer only
        with fast_math(args.device, fused=True):
            hidden = model(ids).flatten(0, 1)[index]
            loss, hit_linguistic, hit_semantic = slot_loss(
                hidden, model.lm_head.weight, goals, slots, vocabulary
            )
        run.update(step, loss)
        values = {"linguistic": hit_linguistic, "semantic": hit_semantic, "ids": ids.numel()}
        run.close_step(step, values)
    run.finish()


if __name__ == "__main__":
    main()
