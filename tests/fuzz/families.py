"""All families."""

from __future__ import annotations

from tests.fuzz.evaluations import EVALUATIONS
from tests.fuzz.family import Family
from tests.fuzz.models import MODELS
from tests.fuzz.releases import RELEASES
from tests.fuzz.shards import SHARDS
from tests.fuzz.sounds import SOUNDS
from tests.fuzz.trainings import TRAININGS

__all__ = ["FAMILIES", "Family"]
FAMILIES: tuple[Family, ...] = (*MODELS, *RELEASES, *SHARDS, *TRAININGS, *EVALUATIONS, *SOUNDS)
