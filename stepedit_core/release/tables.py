"""One table per released network (spec 11), and how many released tensors it must use.

Our modules carry the released names, so most rows say only what is folded, moved or dropped.
"""

from __future__ import annotations

from .rules import Drop, FoldedNorm, Key, Rule, WeightNorm

LANGUAGE_MODEL: tuple[Rule, ...] = (Key("{*}", "{*}"),)
FLOW: tuple[Rule, ...] = (Key("{*}", "{*}"),)
_PARTS = "{*}.parametrizations.weight.original"
HIFT: tuple[Rule, ...] = (
    WeightNorm(f"{_PARTS}1", f"{_PARTS}0", "{*}.weight"),
    WeightNorm("{*}.weight_v", "{*}.weight_g", "{*}.weight"),  # as torch before 2.0 named them
    Key("{*}", "{*}"),
)
LINGUISTIC: tuple[Rule, ...] = (
    Key("encoder.{*}", "encoder.{*}"),
    Drop("predictor.{*}", why="the tokenizer ends at the encoder"),
    Drop("decoder.{*}", why="the tokenizer ends at the encoder"),
    Drop("ctc.{*}", why="the tokenizer ends at the encoder"),
    Drop("criterion_{*}", why="the tokenizer ends at the encoder"),
)
SEMANTIC: tuple[Rule, ...] = (
    Key("encoders.{*}", "encoders.{*}"),
    Key("/blocks.{i}/attn/{p}/MatMul#1", "encoders.blocks.{i}.attn.{p}.weight", transpose=True),
    Key("/blocks.{i}/attn/{p}/Add#0", "encoders.blocks.{i}.attn.{p}.bias"),
    Key("/blocks.{i}/attn/{p}/Add#1", "encoders.blocks.{i}.attn.{p}.bias"),
    Key("/blocks.{i}/mlp/mlp.{n}/MatMul#1", "encoders.blocks.{i}.mlp.{n}.weight", transpose=True),
    Key("/blocks.{i}/mlp/mlp.{n}/Add#0", "encoders.blocks.{i}.mlp.{n}.bias"),
    Key("/blocks.{i}/mlp/mlp.{n}/Add#1", "encoders.blocks.{i}.mlp.{n}.bias"),
    Key("/quantizer/rq/model/layers.0/_codebook/MatMul#1", "codebook", transpose=True),
    Drop("/{*}", why="constants of the graph's own arithmetic"),
)
_NORM = "batchnorm/BatchNormalization"
_LAYER = "/xvector/block{b}/tdnnd{d}"
_OURS = "xvector.block{b}.tdnnd{d}"


def _norm(released: str, ours: str) -> tuple[Rule, ...]:
    """The four inputs of a batch norm that was not folded."""
    leaves = ("weight", "bias", "running_mean", "running_var")
    return tuple(Key(f"{released}#{i}", f"{ours}.{leaf}") for i, leaf in enumerate(leaves, start=1))


SPEAKER: tuple[Rule, ...] = (
    Key("/head/conv{c}/Conv#1", "head.conv{c}.weight"),
    FoldedNorm("/head/conv{c}/Conv#2", "head.bn{c}"),
    Key("/head/layer{l}/layer{l}.{b}/conv{c}/Conv#1", "head.layer{l}.{b}.conv{c}.weight"),
    FoldedNorm("/head/layer{l}/layer{l}.{b}/conv{c}/Conv#2", "head.layer{l}.{b}.bn{c}"),
    Key(
        "/head/layer{l}/layer{l}.{b}/shortcut/shortcut.0/Conv#1",
        "head.layer{l}.{b}.shortcut.0.weight",
    ),
    FoldedNorm(
        "/head/layer{l}/layer{l}.{b}/shortcut/shortcut.0/Conv#2", "head.layer{l}.{b}.shortcut.1"
    ),
    Key("/xvector/tdnn/linear/Conv#1", "xvector.tdnn.linear.weight"),
    FoldedNorm("/xvector/tdnn/linear/Conv#2", "xvector.tdnn.nonlinear.batchnorm"),
    *_norm(f"{_LAYER}/nonlinear1/{_NORM}", f"{_OURS}.nonlinear1.batchnorm"),
    Key(f"{_LAYER}/linear1/Conv#1", f"{_OURS}.linear1.weight"),
    FoldedNorm(f"{_LAYER}/linear1/Conv#2", f"{_OURS}.nonlinear2.batchnorm"),
    Key(f"{_LAYER}/cam_layer/{{n}}/Conv#1", f"{_OURS}.cam_layer.{{n}}.weight"),
    Key(f"{_LAYER}/cam_layer/{{n}}/Conv#2", f"{_OURS}.cam_layer.{{n}}.bias"),
    *_norm(f"/xvector/transit{{t}}/nonlinear/{_NORM}", "xvector.transit{t}.nonlinear.batchnorm"),
    Key("/xvector/transit{t}/linear/Conv#1", "xvector.transit{t}.linear.weight"),
    FoldedNorm("/xvector/transit3/linear/Conv#2", "xvector.out_nonlinear.batchnorm"),
    Key("/xvector/dense/linear/Conv#1", "xvector.dense.linear.weight"),
    Drop(f"/xvector/dense/nonlinear/{_NORM}#1", why="this norm has no scale", value=1.0),
    Drop(f"/xvector/dense/nonlinear/{_NORM}#2", why="this norm has no shift", value=0.0),
    Key(f"/xvector/dense/nonlinear/{_NORM}#3", "xvector.dense.nonlinear.batchnorm.running_mean"),
    Key(f"/xvector/dense/nonlinear/{_NORM}#4", "xvector.dense.nonlinear.batchnorm.running_var"),
)
COUNTS = {"llm": 291, "flow": 605, "vocoder": 328, "linguistic": 652, "semantic": 96}
"""Released tensors that each table uses at the released sizes (spec 1 and 11)."""
