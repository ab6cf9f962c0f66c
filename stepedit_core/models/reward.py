"""Reward model: one scalar a token over the Step-1 decoder; also the critic of PPO.

Source: arXiv:2511.03601 (a reward model from the SFT model, on dual-codebook ids, no waveform). The
value at an id has read everything up to and with it; the value at the last id is the sequence's
reward. The head of the language model is left out: nothing here needs a vocabulary.
Letters as in llm.py: B rows, L ids, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .llm import Decoder, LMConfig, Step1LM


class RewardModel(nn.Module):
    """Decoder and a scalar head."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.head = nn.Linear(config.hidden_size, 1)

    @classmethod
    def from_language_model(cls, lm: Step1LM) -> RewardModel:
        """A reward model that starts from a copy of a language model's decoder, its head at 0.

        A head of zeros gives every sequence the reward 0: Bradley-Terry starts at log 2.
        """
        with torch.random.fork_rng(devices=()):  # the layers draw weights that are replaced here
            reward = cls(lm.config).to(lm.lm_head.weight.device, lm.lm_head.weight.dtype)
        reward.model.load_state_dict(lm.model.state_dict())
        nn.init.zeros_(reward.head.weight)
        nn.init.zeros_(reward.head.bias)
        return reward

    def forward(self, ids: Tensor, *, checkpointing: bool = False) -> Tensor:
        """Values (B, L) float32 after every id of (B, L) int64; right padding is harmless."""
        hidden = self.model(ids, checkpointing=checkpointing)
        return self.head(hidden)[..., 0].float()  # type: ignore[no-any-return]
