"""`stepedit train sft|reward|ppo|dpo|grpo`: one recipe, one run folder.

Several processes: `torchrun --nproc-per-node N -m stepedit_core train ...`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..printable import shown
from .options import RESUMES, UsageError, asked, place, say_result

if TYPE_CHECKING:
    from ..train.config import Recipe

C = TypeVar("C", bound="Recipe")

RECIPES = {
    "sft": "supervised fine-tuning on edits",
    "reward": "reward model on preference pairs",
    "ppo": "reinforcement learning against the reward model",
    "dpo": "preference pairs without a reward model",
    "grpo": "reinforcement learning by groups of answers",
}
ENDINGS = (".yaml", ".yml")


def add(commands: Any) -> None:
    """Put `train` and its recipes on the command line."""
    parser = commands.add_parser(
        "train",
        help="train a language model",
        description="Train a language model. A stopped training resumes when it is run again "
        "with the same settings.",
        allow_abbrev=False,
    )
    recipes = parser.add_subparsers(required=True, metavar="RECIPE", dest="recipe")
    for name, about in RECIPES.items():
        recipe = recipes.add_parser(
            name, help=about, description=f"{about[0].upper()}{about[1:]}.", allow_abbrev=False
        )
        recipe.add_argument(
            "--config",
            required=True,
            metavar="NAME",
            help="settings: nano, editx, or a YAML file of yours",
        )
        add_set_option(recipe)
        recipe.add_argument(
            "--out",
            type=place,
            required=True,
            metavar="DIR",
            help="run folder: weights, curve, and state to resume from",
        )
        recipe.set_defaults(run=_train, stopped=RESUMES)


def add_set_option(parser: argparse.ArgumentParser) -> None:
    """Put `--set KEY=VALUE ...` on a command line; it may be given several times."""
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="settings in place of the config's, as data=[runs/pairs] optimizer.lr=1.0e-5",
    )


def _config(arguments: argparse.Namespace, cls: type[C]) -> C:
    """The settings of a recipe; UsageError where the file alone is right, and --set is not."""
    from ..train.config import config_path, read_config

    if not arguments.config.endswith(ENDINGS):  # a name, not a file
        with asked():
            config_path(arguments.recipe, arguments.config)
    read = partial(read_config, cls, arguments.recipe, arguments.config)
    try:
        return read(arguments.set)
    except ValueError as error:
        if arguments.set:
            read()
            raise UsageError(str(error)) from error
        raise


def _train(arguments: argparse.Namespace) -> int:
    """Run a recipe and print its last figures."""
    import logging
    import os
    from contextlib import nullcontext

    from ..files.lock import locked
    from ..files.strict import without_nan
    from ..files.whole import ready_folder
    from ..train import dpo, grpo, ppo, reward_model, sft
    from ..train.run_folder import check_foreign

    kinds: dict[str, tuple[Any, Callable[[Any, Path], dict[str, float]]]] = {
        "sft": (sft.SFTConfig, sft.train),
        "reward": (reward_model.RewardConfig, reward_model.train),
        "ppo": (ppo.PPOConfig, ppo.train),
        "dpo": (dpo.DPOConfig, dpo.train),
        "grpo": (grpo.GRPOConfig, grpo.train),
    }
    cls, train = kinds[arguments.recipe]
    config = _config(arguments, cls)
    if not config.data:
        raise UsageError(
            f"the config of {shown(arguments.recipe)} names no data; one data folder or more is "
            "needed. Add --set data=[FOLDER]."
        )
    main = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(
        level=logging.INFO if main else logging.WARNING,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
    )
    if main:
        ready_folder(arguments.out)
        check_foreign(arguments.out)
    with locked(arguments.out) if main else nullcontext():
        figures = train(config, arguments.out)
    if main:
        said = without_nan({"out": str(arguments.out), **figures})
        say_result(json.dumps(said, allow_nan=False))
    return 0
