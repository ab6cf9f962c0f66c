"""The flow decoder against the official modules and against its own laws."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from stepedit_core.models.flow import Euler, Flow, FlowConfig, PromptGuide, step_times
from stepedit_core.models.flow_dit import Modulation, _by_products
from stepedit_core.models.flow_encoder import align_relative, relative_positions
from tests.golden import capture_decoder as capture

# float32 sums in another order (fused norms, split in_proj); values are of size 2 to 5
CLOSE = {"atol": 5e-6, "rtol": 0.0}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    data = np.load(capture.HERE / "decoder_flow.npz")
    return {name: torch.from_numpy(data[name]) for name in data.files}


@pytest.fixture(scope="module")
def model() -> Flow:
    flow = Flow(FlowConfig(**capture.FLOW)).eval().requires_grad_(False)
    shapes = {name: tuple(value.shape) for name, value in flow.state_dict().items()}
    weights = capture.seeded_state(shapes, capture.SEED)
    flow.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return flow


def normal(offset: int, *shape: int) -> Tensor:
    return torch.from_numpy(capture.normal(capture.SEED + offset, *shape))


def tokens(offset: int, length: int) -> Tensor:
    return torch.from_numpy(capture.pairs(capture.SEED + offset, length))


def released_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """The 605 tensors of flow.pt as spec 11.2 lists them."""

    def linear(name: str, out: int, inner: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (out, inner)
        yield f"{name}.bias", (out,)

    def conv(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (512, 512, width)
        yield f"{name}.bias", (512,)

    def norm(name: str, width: int = 512) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (width,)
        yield f"{name}.bias", (width,)

    yield "input_embedding.embedding.weight", (5121, 256)
    yield from linear("spk_embed_affine_layer", 80, 192)
    yield from linear("encoder_proj", 80, 512)
    for embed in ("encoder.embed", "encoder.up_embed"):
        yield from linear(f"{embed}.out.0", 512, 512)
        yield from norm(f"{embed}.out.1")
    yield from conv("encoder.pre_lookahead_layer.conv1", 4)
    yield from conv("encoder.pre_lookahead_layer.conv2", 3)
    yield from conv("encoder.up_layer.conv", 5)
    yield from norm("encoder.after_norm")
    blocks = [f"encoder.encoders.{i}" for i in range(6)]
    for block in blocks + [f"encoder.up_encoders.{i}" for i in range(4)]:
        for part in ("q", "k", "v", "out"):
            yield from linear(f"{block}.self_attn.linear_{part}", 512, 512)
        yield f"{block}.self_attn.linear_pos.weight", (512, 512)
        yield f"{block}.self_attn.pos_bias_u", (8, 64)
        yield f"{block}.self_attn.pos_bias_v", (8, 64)
        yield from linear(f"{block}.feed_forward.w_1", 2048, 512)
        yield from linear(f"{block}.feed_forward.w_2", 512, 2048)
        yield from norm(f"{block}.norm_ff")
        yield from norm(f"{block}.norm_mha")
    dit = "decoder.estimator"
    yield from linear(f"{dit}.t_embedder.mlp.0", 512, 256)
    yield from linear(f"{dit}.t_embedder.mlp.2", 512, 512)
    yield from linear(f"{dit}.in_proj", 512, 320)
    for block in (f"{dit}.blocks.{i}" for i in range(16)):
        for part in ("to_q", "to_k", "to_v", "proj"):
            yield from linear(f"{block}.attn.{part}", 512, 512)
        yield from norm(f"{block}.attn.q_norm", 64)
        yield from norm(f"{block}.attn.k_norm", 64)
        yield from linear(f"{block}.mlp.fc1", 2048, 512)
        yield from linear(f"{block}.mlp.fc2", 512, 2048)
        yield from conv(f"{block}.conv.block.1", 3)
        yield from norm(f"{block}.conv.block.3")
        yield from conv(f"{block}.conv.block.6", 3)
        yield from linear(f"{block}.adaLN_modulation.1", 4608, 512)
    yield from linear(f"{dit}.final_layer.adaLN_modulation.1", 1024, 512)
    yield from linear(f"{dit}.final_layer.linear", 80, 512)


def test_the_release_config_has_the_605_tensors_of_flow_pt() -> None:
    with torch.device("meta"):
        own = Flow().state_dict()
    listed = dict(released_shapes())
    assert len(listed) == 605
    assert {name: tuple(value.shape) for name, value in own.items()} == listed


@pytest.mark.parametrize("length", capture.TOKEN_LENGTHS)
def test_the_token_encoder_equals_the_official_one(
    model: Flow, golden: dict[str, Tensor], length: int
) -> None:
    torch.testing.assert_close(
        model.encode(tokens(length, length)), golden[f"mu_{length}"], **CLOSE
    )


def test_the_velocity_equals_the_official_one(model: Flow, golden: dict[str, Tensor]) -> None:
    mel, frames = capture.FLOW["mel"], 2 * capture.PAIRS
    x, mu, cond = (normal(k, 2, mel, frames) for k in (30, 31, 32))
    got = model.decoder.estimator(x, torch.tensor([0.1, 0.8]), mu, normal(33, 2, mel), cond)
    torch.testing.assert_close(got, golden["velocity"], **CLOSE)


def whole(model: Flow, **options: object) -> Tensor:
    mel, prompt = capture.FLOW["mel"], 2 * capture.PROMPT_PAIRS
    return model.sample(
        tokens(41, capture.PAIRS),
        normal(42, 1, mel, prompt),
        normal(43, 1, capture.FLOW["speaker_dim"]),
        noise=normal(40, 1, mel, 2 * capture.PAIRS),
        euler=Euler(**options),  # type: ignore[arg-type]
    )


def test_each_of_the_ten_steps_and_the_mel_equal_the_official_sampler(
    model: Flow, golden: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[Tensor] = []
    velocity = model.decoder.estimator.velocity

    def spy(x: Tensor, *rest: Tensor) -> Tensor:
        states.append(x[:1].clone())
        return velocity(x, *rest)

    monkeypatch.setattr(model.decoder.estimator, "velocity", spy)
    mel = whole(model)
    torch.testing.assert_close(torch.cat(states), golden["states"], **CLOSE)
    torch.testing.assert_close(mel, golden["mel"], **CLOSE)


def test_guidance_zero_runs_one_branch_and_follows_the_conditional_velocity(
    model: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    velocity = model.decoder.estimator.velocity

    def spy(x: Tensor, context: Tensor, *rest: Tensor) -> Tensor:
        rows.append(context.shape[0])
        return velocity(x, context, *rest)

    monkeypatch.setattr(model.decoder.estimator, "velocity", spy)
    got = whole(model, guidance=0.0, steps=3)
    assert rows == [1, 1, 1]
    mu = model.encode(tokens(41, capture.PAIRS))
    prompt = 2 * capture.PROMPT_PAIRS
    cond = torch.zeros_like(mu)
    cond[..., :prompt] = normal(42, 1, capture.FLOW["mel"], prompt)
    spk = model.project_speaker(normal(43, 1, capture.FLOW["speaker_dim"]))
    x = normal(40, *mu.shape)
    for t, dt in zip(*step_times(3), strict=True):
        x = x + dt * model.decoder.estimator(x, t[None], mu, spk, cond)
    torch.testing.assert_close(got, x[..., prompt:], **CLOSE)


def test_a_bundle_scales_guidance_and_noise(model: Flow) -> None:
    noise = normal(40, 1, capture.FLOW["mel"], 2 * capture.PAIRS)
    arguments = (
        tokens(41, capture.PAIRS),
        normal(42, 1, capture.FLOW["mel"], 2 * capture.PROMPT_PAIRS),
        normal(43, 1, capture.FLOW["speaker_dim"]),
    )
    plain = model.sample(*arguments, noise=noise * 0.4, euler=Euler(steps=3, guidance=2.1))
    config = model.config
    model.config = replace(config, guidance_scale=3.0, noise_scale=0.4)
    scaled = model.sample(*arguments, noise=noise, euler=Euler(steps=3))
    model.config = config
    torch.testing.assert_close(scaled, plain, **CLOSE)
    assert not torch.allclose(
        model.sample(*arguments, noise=noise, euler=Euler(steps=3)), scaled, atol=1e-2
    )


PROMPT, TARGET = 2, 4
"""Pairs of the prompt and of the target of a guided row."""


def guided(model: Flow, guide: PromptGuide, **changes: float) -> Tensor:
    """One step from fixed noise, guidance 0.7."""
    before, scales = model.config, {"prompt_guide": True, **changes}
    try:
        model.config = replace(before, **scales)  # type: ignore[arg-type]
        return model.sample(
            tokens(4, PROMPT + TARGET),
            normal(3, 1, capture.FLOW["mel"], 2 * PROMPT),
            normal(1, 1, capture.FLOW["speaker_dim"]),
            noise=normal(2, 1, capture.FLOW["mel"], 2 * (PROMPT + TARGET)),
            euler=Euler(steps=1),
            guide=guide,
        )
    finally:
        model.config = before


def prompt_guide(pairs: Tensor, *known: bool) -> PromptGuide:
    mel = normal(6, 1, capture.FLOW["mel"], 2 * TARGET)
    return PromptGuide(mel=mel, pairs=pairs, known=torch.tensor([known]))


def test_contrast_leads_away_from_the_prompts_own_tokens(model: Flow) -> None:
    plain = tokens(5, TARGET)
    got = guided(model, prompt_guide(plain, True, True, True, False), contrast_scale=2.0)
    # the formula, one step of length 1 at time 0, with every condition written out
    pairs, spk = tokens(4, PROMPT + TARGET), model.project_speaker(normal(1, 1, 12))
    mel = normal(3, 1, capture.FLOW["mel"], 2 * PROMPT)
    cond = torch.cat((mel, normal(6, 1, capture.FLOW["mel"], 2 * TARGET)), dim=2)
    # at the last pair nothing of the prompt is known: its own tokens stand there
    away = torch.cat((pairs[:, :PROMPT], plain[:, :3], pairs[:, -1:]), dim=1)
    x, t, nothing = normal(2, *cond.shape), torch.zeros(1), torch.zeros_like(cond)
    estimator = model.decoder.estimator
    conditional = estimator(x, t, model.encode(pairs), spk, cond)
    on_plain = estimator(x, t, model.encode(away), spk, cond)
    empty = estimator(x, t, nothing, torch.zeros_like(spk), nothing)
    velocity = conditional + 0.7 * (conditional - empty) + 1.4 * (conditional - on_plain)
    torch.testing.assert_close(got, (x + velocity)[..., 2 * PROMPT :], atol=2e-5, rtol=0)


def test_contrast_against_the_same_tokens_costs_and_changes_nothing(
    model: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = tokens(4, PROMPT + TARGET)[:, PROMPT:]
    guide = prompt_guide(same, *[True] * TARGET)
    want = guided(model, guide)
    rows: list[int] = []
    velocity = model.decoder.estimator.velocity
    monkeypatch.setattr(
        model.decoder.estimator,
        "velocity",
        lambda x, context, *rest: (rows.append(len(context)), velocity(x, context, *rest))[1],
    )
    assert torch.equal(guided(model, guide, contrast_scale=2.0), want)
    other = prompt_guide(tokens(5, TARGET), *[True] * TARGET)
    assert not torch.allclose(guided(model, other, contrast_scale=2.0), want, atol=1e-2)
    assert rows == [2, 3]


def test_a_batch_is_sampled_row_by_row(model: Flow) -> None:
    mel, pairs = capture.FLOW["mel"], 6
    spk, noise = normal(1, 2, 12), normal(2, 2, mel, 2 * pairs)
    prompt = normal(3, 2, mel, 4)
    both = torch.cat((tokens(4, pairs), tokens(5, pairs)))
    got = model.sample(both, prompt, spk, noise=noise, euler=Euler(steps=4))
    for row in range(2):
        part = slice(row, row + 1)
        alone = model.sample(
            both[part], prompt[part], spk[part], noise=noise[part], euler=Euler(steps=4)
        )
        torch.testing.assert_close(got[part], alone, **CLOSE)


def test_progress_counts_every_step_and_an_exception_stops_the_run(model: Flow) -> None:
    seen: list[tuple[int, int]] = []
    whole(model, steps=4, on_step=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def cancel(done: int, total: int) -> None:
        seen.append((done, total))
        raise InterruptedError

    seen.clear()
    with pytest.raises(InterruptedError):
        whole(model, steps=4, on_step=cancel)
    assert seen == [(1, 4)]


@given(st.integers(1, 64))
def test_the_steps_start_at_zero_grow_and_end_at_one(steps: int) -> None:
    times, lengths = step_times(steps)
    assert times[0] == 0
    assert (lengths > 0).all()
    assert (lengths[1:] > lengths[:-1]).all()
    torch.testing.assert_close(times[1:], (times + lengths)[:-1], atol=0, rtol=0)
    # one rounding of float32 for the last sum
    torch.testing.assert_close(times[-1] + lengths[-1], torch.tensor(1.0), atol=1e-7, rtol=0)


def padded(sequences: list[Tensor], fill: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Stack along a new batch, the time axis last but one filled at the end; also the mask."""
    longest = max(s.shape[0] for s in sequences)
    mask = torch.zeros(len(sequences), longest, dtype=torch.bool)
    out = fill(torch.empty(len(sequences), longest, *sequences[0].shape[1:])).to(sequences[0].dtype)
    for row, sequence in enumerate(sequences):
        out[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = True
    return out, mask


def test_padding_in_a_batch_leaves_the_encoder_unchanged(model: Flow) -> None:
    parts = [tokens(length, length)[0] for length in (9, 1, 5)]
    batch, mask = padded(parts, lambda x: x.fill_(7))
    mu = model.encode(batch, mask)
    for row, part in enumerate(parts):
        alone = model.encode(part[None])
        torch.testing.assert_close(mu[row : row + 1, :, : alone.shape[-1]], alone, **CLOSE)
        assert (mu[row, :, alone.shape[-1] :] == 0).all()


def test_padding_in_a_batch_leaves_the_velocity_unchanged(model: Flow) -> None:
    mel, lengths = capture.FLOW["mel"], (10, 4)
    x, mu, cond = (normal(k, 2, mel, 10) for k in (1, 2, 3))
    spk, t = normal(4, 2, mel), torch.tensor([0.3, 0.6])
    mask = torch.arange(10) < torch.tensor(lengths)[:, None]
    got = model.decoder.estimator(x, t, mu, spk, cond, mask)
    for row, length in enumerate(lengths):
        part = (slice(row, row + 1), slice(None), slice(0, length))
        alone = model.decoder.estimator(
            x[part], t[row : row + 1], mu[part], spk[row : row + 1], cond[part]
        )
        torch.testing.assert_close(got[part], alone, **CLOSE)


def test_one_time_for_the_batch_equals_the_same_time_in_every_row(model: Flow) -> None:
    mel = capture.FLOW["mel"]
    x, mu, cond = (normal(k, 2, mel, 8) for k in (1, 2, 3))
    spk = normal(4, 2, mel)
    one = model.decoder.estimator(x, torch.tensor([0.4]), mu, spk, cond)
    two = model.decoder.estimator(x, torch.tensor([0.4, 0.4]), mu, spk, cond)
    torch.testing.assert_close(one, two, **CLOSE)


def test_the_length_of_the_speaker_vector_does_not_matter(model: Flow) -> None:
    spk = normal(1, 1, capture.FLOW["speaker_dim"])
    torch.testing.assert_close(model.project_speaker(7 * spk), model.project_speaker(spk), **CLOSE)


def test_relative_scores_are_aligned_to_their_keys() -> None:
    for length in (1, 2, 5):
        scores = torch.arange(2.0 * length * (2 * length - 1)).view(2, length, 2 * length - 1)
        got = align_relative(scores)
        for i in range(length):
            for j in range(length):
                assert torch.equal(got[:, i, j], scores[:, i, length - 1 - i + j])


def test_relative_positions_run_from_the_last_to_the_first() -> None:
    table = relative_positions(4, 6)
    angle = 2.0 / 10000 ** (2 / 6)  # position +2 in the second pair of columns
    assert table.shape == (7, 6)
    assert table[1, 2] == pytest.approx(np.sin(angle), abs=1e-6)
    assert table[1, 3] == pytest.approx(np.cos(angle), abs=1e-6)
    assert torch.equal(table[3, 0::2], torch.zeros(3))


def test_every_parameter_takes_part_in_training() -> None:
    flow = Flow(replace(FlowConfig(**capture.FLOW), dropout=0.0))
    shapes = {name: tuple(value.shape) for name, value in flow.state_dict().items()}
    weights = capture.seeded_state(shapes, 3)  # adaLN-zero would hide most gradients
    flow.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    mel, mask = capture.FLOW["mel"], torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    mu = flow.encode(torch.cat((tokens(1, 5), tokens(2, 5))), mask)
    spk = flow.project_speaker(normal(3, 2, capture.FLOW["speaker_dim"]))
    frames = mask.repeat_interleave(2, dim=1)
    got = flow.decoder.estimator(
        normal(4, 2, mel, 10), torch.tensor([0.2, 0.7]), mu, spk, normal(5, 2, mel, 10), frames
    )
    (got * frames[:, None]).square().sum().backward()
    # a key bias shifts all scores of a query alike, so softmax gives it no gradient but rounding
    idle = {
        name
        for name, parameter in flow.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert idle <= {n for n in shapes if n.endswith("linear_k.bias")}
    assert all(torch.isfinite(p.grad).all() for p in flow.parameters() if p.grad is not None)


def test_the_result_has_the_dtype_of_the_weights() -> None:
    flow = Flow(FlowConfig(**capture.FLOW)).eval().to(torch.bfloat16)
    with torch.no_grad():
        mel = flow.sample(
            tokens(1, 4),
            normal(2, 1, capture.FLOW["mel"], 2).bfloat16(),
            normal(3, 1, capture.FLOW["speaker_dim"]).bfloat16(),
            noise=normal(4, 1, capture.FLOW["mel"], 8).bfloat16(),
            euler=Euler(steps=2),
        )
    assert mel.dtype == torch.bfloat16
    assert torch.isfinite(mel).all()


def test_bfloat16_weights_with_a_float32_state_come_nearer_than_with_their_own(
    model: Flow,
) -> None:
    pairs, mel = tokens(1, 6), normal(2, 1, capture.FLOW["mel"], 4)
    speaker, noise = normal(3, 1, capture.FLOW["speaker_dim"]), normal(4, 1, mel.shape[1], 12)
    exact = model.sample(pairs, mel, speaker, noise=noise)
    low = copy.deepcopy(model).to(torch.bfloat16)
    half = [x.bfloat16() for x in (mel, speaker)]
    float_state = low.sample(pairs, *half, noise=noise)
    own_state = low.sample(pairs, *half, noise=noise.bfloat16())
    assert float_state.dtype == torch.float32
    assert float((float_state - exact).norm()) < float((own_state.float() - exact).norm())


def test_attention_in_bfloat16_is_that_of_float64_to_its_rounding() -> None:
    q, k, v = (normal(n, 2, 4, 50, 16).bfloat16() for n in (1, 2, 3))
    weights = (q.double() @ k.double().transpose(-1, -2) / 4).softmax(-1)
    exact = weights @ v.double()
    made = _by_products(q, k, v)
    assert made.dtype == torch.bfloat16
    # scores, weights and sums are each rounded to 8 bits
    assert float((made.double() - exact).norm() / exact.norm()) < 3 * 2**-8


def test_a_row_of_the_modulation_is_that_of_its_time(model: Flow) -> None:
    times = torch.tensor([0.1, 0.5, 0.9])
    row = model.decoder.estimator.modulations(times).row(1)
    alone = model.decoder.estimator.modulations(times[1:2])
    assert isinstance(row, Modulation)
    torch.testing.assert_close(row.final, alone.final, **CLOSE)
    for got, want in zip(row.blocks, alone.blocks, strict=True):
        torch.testing.assert_close(got, want, **CLOSE)


def test_a_new_estimator_starts_with_zero_velocity() -> None:
    flow = Flow(FlowConfig(**capture.FLOW))
    mel = capture.FLOW["mel"]
    x = normal(1, 1, mel, 6)
    got = flow.decoder.estimator(x, torch.tensor([0.5]), x, normal(2, 1, mel), x)
    assert torch.equal(got, torch.zeros_like(got))
    assert F.mse_loss(got, x) > 0


def test_the_golden_files_are_those_of_the_manifest() -> None:
    manifest = json.loads((capture.HERE / "decoder.manifest.json").read_text())
    files = {path.name: path.read_bytes() for path in capture.HERE.glob("decoder_*.npz")}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == {
        name: entry["sha256"] for name, entry in manifest.items()
    }
    assert all(len(data) <= 200_000 for data in files.values())
