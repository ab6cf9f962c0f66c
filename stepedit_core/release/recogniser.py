"""The table of the recogniser: predictor and decoder out of the released Paraformer (spec 11.5)."""

from __future__ import annotations

from .rules import Drop, Key, Rule

RECOGNISER: tuple[Rule, ...] = (
    Key("predictor.{*}", "predictor.{*}"),
    Drop("decoder.embed.{*}", why="only training reads the embedding of units"),
    Key("decoder.{*}", "decoder.{*}"),
    Drop("encoder.{*}", why="the linguistic tokenizer has the encoder"),
    Drop("ctc.{*}", why="only training reads it"),
    Drop("criterion_{*}", why="only training reads it"),
)
COUNT = 303
"""Released tensors that the table uses at the released sizes: 4 of the predictor, 299 decoder."""
