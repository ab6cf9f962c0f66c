"""What a run carries from stage to stage and from round to round."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ..measure.recognisers import recogniser_for
from ..measure.timeline import Recogniser
from ..measure.words import WordDistances
from ..models.llm_cache import PromptMemory
from ..registry.handle import Bundle
from ..types import Hooks, SilentHooks
from .clock import StageClock


@dataclass(kw_only=True)
class Run:
    """One run: who watches it, and what saves time without changing a sample."""

    hooks: Hooks = field(default_factory=SilentHooks)
    """Progress and cancelling."""
    recogniser: str = ""
    """Folder of the model that judges the words; empty for the bundle's own."""
    bundle: Bundle | None = None
    """Whose language those words are in."""
    prompts: PromptMemory = field(default_factory=PromptMemory)
    """The language model's prompt of the round before."""
    distances: WordDistances = field(default_factory=WordDistances)
    """Word distances that were computed already."""
    clock: StageClock = field(default_factory=StageClock)
    """Times of the stages of the present round."""

    @cached_property
    def ears(self) -> Recogniser | None:
        """What judges the words, opened when the first round is measured; None: the bundle's."""
        if not self.recogniser:
            return None
        return recogniser_for(self.bundle, self.recogniser, hooks=self.hooks)
