"""What every training script of this recipe shares: options, batches, schedule, checkpoints.

A step draws everything from a generator seeded by (seed, step), so a run that was stopped and
resumed sees the same batches as one that never stopped. Run folder and `--set` are those of
`stepedit train` (stepedit_core/train/run_folder.py, config.py).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from stepedit_core.commands.train import add_set_option
from stepedit_core.files.states import read_state
from stepedit_core.train.config import REMEDY, change
from stepedit_core.train.run_folder import (
    CONFIG,
    agree,
    append_curve,
    cut_curve,
    write_state,
)

log = logging.getLogger("recipes.nano")
LAST, FINAL = "last.pt", "final.pt"
RATE = 24_000


def setup(threads: int) -> None:
    """Log to stderr with times and use `threads` cores."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)


def step_rng(seed: int, step: int) -> np.random.Generator:
    """Generator of one step."""
    return np.random.default_rng([seed, step])


def options(text: str, stage: str, *folders: str) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Command line of a training stage and its configuration; `folders` are asked for as well."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("corpus", *folders, "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    default = Path(__file__).parent / f"configs/{stage}.json"
    parser.add_argument("--config", type=Path, default=default)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument(
        "--ahead", type=int, default=0, help="processes that draw batches of a finished corpus"
    )
    add_set_option(parser)
    args = parser.parse_args()
    setup(args.threads)
    return args, read_config(args.config, args.set)


@contextlib.contextmanager
def fast_math(device: torch.device | None = None, *, fused: bool = False) -> Iterator[None]:
    """Matrix products in bf16 where the processor has it; the rest of a step stays float32.

    `fused` attention pays on long rows with a constant bias (a step of the language model: 2 x 900
    ids 0.88 s, with plain products 1.74 s); on short ones its backward pass is the slower.
    """
    if device is not None and device.type != "cpu":
        with torch.autocast(device.type, torch.bfloat16):
            yield
        return
    has_bf16 = torch.cpu._is_avx512_bf16_supported()
    kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH] if fused else [SDPBackend.MATH]
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16), sdpa_kernel(kernels):
        yield


def learning_rate(step: int, *, peak: float, warmup: int, steps: int) -> float:
    """Linear warm-up, constant, then linear decay to 2 % over the last 30 % of the steps."""
    if step < warmup:
        return peak * (step + 1) / warmup
    decay = int(steps * 0.7)
    if step <= decay:
        return peak
    return peak * max(0.02, 1.0 - 0.98 * (step - decay) / max(1, steps - decay))


def timed_rate(spent: float, *, peak: float, warmup: float) -> float:
    """Rate of a time-boxed training of which the share `spent` is over.

    Linear warm-up over the share `warmup`, constant, then linear decay to 2 % in the last third.
    """
    if spent < warmup:
        return peak * max(0.01, spent / warmup)
    return peak * max(0.02, min(1.0, 1.0 - 0.98 * (spent - 2 / 3) * 3))


def saved_state(path: Path) -> dict[str, Any] | None:
    """A checkpoint on the CPU; None where there is none yet."""
    return read_state(path) if path.exists() else None


def join_workers() -> int:
    """This worker's number; with WORLD_SIZE above 1 in the environment, joins the others.

    Start every worker with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as torchrun does. One
    thread each is worth more than one worker of many threads where cores are shared.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        distributed.init_process_group("gloo")
        return distributed.get_rank()
    return 0


def mean_gradients(weights: Sequence[nn.Parameter]) -> None:
    """Replace gradients by their mean over workers."""
    if not distributed.is_initialized():
        return
    grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
    flat = torch.cat([g.flatten() for g in grads])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for w, piece in zip(weights, flat.split([w.numel() for w in weights]), strict=True):
        w.grad = piece.view_as(w)


class Run:
    """Optimiser, schedule, log and run folder of one training.

    The folder has run.json and curve.jsonl as those of `stepedit train` do; last.pt is the state to
    resume from, final.pt the trained model. `config` has steps, warmup and peak_lr; with
    `minutes` above 0 the training ends by the clock instead, time before a resume counted in.
    `parts` are the modules that learn, the first of them under the name "model"; a parameter group
    may have a factor `scale` of the rate. A terminated process saves its state after the step it is in.
    """

    def __init__(
        self,
        out: Path,
        config: dict[str, Any],
        optimizer: torch.optim.Optimizer,
        clip: float,
        **parts: nn.Module,
    ) -> None:
        self.out, self.config, self.optimizer, self.clip = out, config, optimizer, clip
        self.parts = parts
        self.timer = Timer()
        self.began = self.saved = time.time()
        self.stopped = False
        self.writes = True
        """Whether this worker writes the run folder."""
        self.before = 0.0
        """Seconds of training before the last resume."""
        self.last = ""  # the last line of the log
        self.fresh = True
        """Whether the model had random weights when this schedule began."""

    def resume(self) -> dict[str, Any] | None:
        """Load last.pt where there is one; returns what it has, its "step" is the next step.

        With final.pt alone a new schedule begins from the weights of that training. Raises
        ValueError where last.pt belongs to other settings.
        """
        state = saved_state(self.out / LAST)
        if self.writes:
            if state is None:
                (self.out / CONFIG).unlink(missing_ok=True)
            agree(self.out, {"recipe": f"nano {self.out.name}", "config": self.config})
            cut_curve(self.out, state["step"] if state else 0)
        signal.signal(signal.SIGTERM, self._stop)
        if state is not None:
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.fresh = state.get("fresh", False)
            self.before = state.get("seconds", 0.0)
        elif (ended := saved_state(self.out / FINAL)) is not None:
            load_grown(self.parts["model"], ended["model"])
            self.fresh = False
            log.info("begins from the weights of final.pt")
        return state

    def start_clock(self) -> None:
        """What was prepared before the first step does not count as training."""
        self.began = time.time()

    @property
    def seconds(self) -> float:
        """Seconds trained so far, all resumes together."""
        return self.before + time.time() - self.began

    def spent(self, step: int) -> float:
        """Share of the training that is over."""
        if self.config.get("minutes"):
            share = torch.tensor(self.seconds / (60 * self.config["minutes"]))
            if distributed.is_initialized():  # all workers end at the same step
                distributed.broadcast(share, 0)
            return float(share)
        return float(step / self.config["steps"])

    def steps(self, first: int) -> Iterator[int]:
        """Steps from `first` until the training is over; the clock starts now."""
        self.start_clock()
        step = first
        while self.spent(step) < 1:
            yield step
            step += 1

    def rate(self, step: int) -> float:
        """Learning rate of this step."""
        peak, warmup = self.config["peak_lr"], self.config["warmup"]
        if self.config.get("minutes"):
            return timed_rate(self.spent(step), peak=peak, warmup=0.02)
        return learning_rate(step, peak=peak, warmup=warmup, steps=self.config["steps"])

    def update(self, step: int, loss: Tensor) -> None:
        """One optimiser step at the scheduled rate, gradients clipped by their norm."""
        rate = self.rate(step)
        weights = [p for group in self.optimizer.param_groups for p in group["params"]]
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        mean_gradients(weights)
        norm = nn.utils.clip_grad_norm_(weights, self.clip)
        if norm.isfinite():  # one clip that overflows must not end the training
            self.optimizer.step()
        self.timer.add(loss=loss.item(), norm=float(norm))

    def close_step(self, step: int, values: dict[str, float], **extra: Any) -> None:
        """One line of the curve; log means every 50 steps; save every three minutes and at the end.

        A process that was asked to stop saves and leaves.
        """
        self.timer.add_values(values)
        if self.writes:
            append_curve(self.out, step, self.timer.last, self.seconds)
        self.timer.last = {}
        if step % 50 == 49:
            self.last = self.timer.line(step + 1)
            log.info(self.last)
        ended = self.spent(step + 1) >= 1
        if self.writes and (self.stopped or ended or time.time() - self.saved > 180):
            state: dict[str, Any] = {n: part.state_dict() for n, part in self.parts.items()}
            state |= {"optimizer": self.optimizer.state_dict(), "step": step + 1}
            state["fresh"], state["seconds"] = self.fresh, self.seconds
            write_state(self.out / LAST, state | {"config": self.config["model"]} | extra)
            self.saved = time.time()
        if self.stopped:
            log.info("stopped after step %d; run again to resume", step)
            raise SystemExit(128 + signal.SIGTERM)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def finish(self, model: dict[str, Tensor] | None = None) -> None:
        """Write final.pt: the model, or the weights given in its place, and its sizes."""
        if not self.writes:
            return
        model = self.parts["model"].state_dict() if model is None else model
        write_state(self.out / FINAL, {"model": model, "config": self.config["model"]})


def load_grown(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Weights of an older training; layers that it lacked must start as zeros, which change nothing.

    Raises ValueError for any other difference.
    """
    missing, unknown = model.load_state_dict(weights, strict=False)
    state = model.state_dict()
    wrong = [*unknown, *(name for name in missing if bool(state[name].any()))]
    if wrong:
        raise ValueError(f"the older weights do not fit: {', '.join(wrong[:5])}. Begin anew.")


def parameters(*modules: nn.Module) -> list[nn.Parameter]:
    """All trainable parameters."""
    return [p for m in modules for p in m.parameters() if p.requires_grad]


class Timer:
    """Mean of logged values and seconds per step since the last line."""

    def __init__(self) -> None:
        self.start, self.steps = time.time(), 0
        self.sums: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def add(self, **values: float) -> None:
        """Add one step's values."""
        self.steps += 1
        self.add_values(values)

    def add_values(self, values: dict[str, float]) -> None:
        """Add more values of the same step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
            self.last[name] = float(value)

    def line(self, step: int) -> str:
        """One log line; starts a new mean."""
        means = " ".join(f"{k} {v / self.steps:.4g}" for k, v in self.sums.items())
        text = f"step {step} {means} | {(time.time() - self.start) / self.steps:.3f} s/step"
        self.start, self.steps, self.sums = time.time(), 0, {}
        return text


def pad(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack tensors (T_i, ...) to (B, T, ...) with zeros; returns it and the lengths (B,)."""
    lengths = torch.tensor([r.shape[0] for r in rows])
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), lengths


def bucket(
    rng: np.random.Generator, seconds: np.ndarray, weights: np.ndarray, batch_seconds: float
) -> list[int]:
    """Indices of records of similar length whose padded sum is about `batch_seconds`."""
    pick = rng.choice(len(seconds), size=64, p=weights)
    pick = pick[np.argsort(seconds[pick])]
    start = int(rng.integers(0, len(pick)))
    out: list[int] = []
    for i in pick[start:].tolist() + pick[:start][::-1].tolist():
        longest = max([seconds[j] for j in [*out, i]])
        if out and longest * (len(out) + 1) > batch_seconds:
            break
        out.append(i)
    return out


def read_config(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """JSON configuration with `key=value` overrides in the dialect of `stepedit train`.

    An unknown key, and a value that is not of the config's type, are errors.
    """
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    known = json.loads(json.dumps(config))
    change(config, overrides)
    check_like(config, known, path.name)
    return config


def check_like(found: dict[str, Any], known: dict[str, Any], where: str) -> None:
    """ValueError where a mapping has a key that `known` lacks, or a value of another type."""
    for key, value in found.items():
        if key not in known:
            raise ValueError(f"{where} has no key '{key}'; known are {', '.join(known)}. {REMEDY}")
        expected = known[key]
        if isinstance(expected, dict) and isinstance(value, dict):
            check_like(value, expected, f"{where} {key}")
        elif isinstance(expected, float) and isinstance(value, int):
            found[key] = float(value)
        elif type(value) is not type(expected):
            raise ValueError(
                f"{where} {key} is {value!r}; a value such as {expected!r} is expected. {REMEDY}"
            )


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Consecutive slices."""
    for i in range(0, len(items), size):
        yield items[i : i + size]


def clip_seconds(record: dict[str, Any]) -> float:
    """Length of a corpus record."""
    return float(record["audio"][1]) / RATE


STAGE_WEIGHTS = {
    "plain": 1.0,
    "edits": 1.0,
    "kokoro": 3.0,
    "libri": 4.0,
    "real": 2.0,
    "people": 4.0,
    "acted": 4.0,
}
"""How much more often a second of a stage is drawn: real timbres are scarce and matter most."""


def stage_weight(record: dict[str, Any]) -> float:
    """Weight of the record's stage."""
    return STAGE_WEIGHTS[record["shard"].split("/")[0]]


def is_dev(record: dict[str, Any]) -> bool:
    """Whether the record is held out for judging."""
    return record.get("split") == "dev"
