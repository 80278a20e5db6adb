"""The recurrent user model as a network to train beside an agent: it reads episodes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.users import recurrent
from recgym.users.gan import Params
from recgym.users.likelihood import initial_params
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.recurrent_learning import (
    Reward,
    network_weights,
    step_log_likelihood,
    torch_network,
)
from recgym_agents.learning.episodes import Episodes, click_sequences
from recgym_agents.networks.encoders import features_of

EMBEDDING_SCALE = 0.1
"""Standard deviation of the initial item embeddings, as where user models are fitted."""


class UserNetwork(nn.Module):
    """The user model of ``recgym.users.recurrent``, with an item embedding of its own.

    Args:
        config: its shape.
        n_items: N.
        reward: what a click's reward is taken for.
        rng: draws the initial parameters.
    """

    def __init__(
        self, config: RecurrentUserConfig, n_items: int, reward: Reward, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.config, self.n_items, self.reward = config, n_items, reward
        start = initial_params(config, rng)
        # A module's parameters cannot have dots in their names.
        self.own = nn.ParameterDict({name.replace(".", "/"): p for name, p in start.items()})
        drawn = EMBEDDING_SCALE * rng.standard_normal((n_items, config.features))
        self.items = nn.Parameter(torch.tensor(drawn, dtype=torch.float32))
        # In a list, so that its own parameters, which are not used, are not ours.
        self._cells = [torch_network(config, device="meta")]

    def tables(self) -> Params:
        """Returns what the functions of ``recgym.users.recurrent`` read."""
        return recurrent.prepare(self.config, self._params(), self.items)

    def scoring_tables(self) -> Params:
        """Returns what ``units`` reads, and ``recurrent.score``."""
        return recurrent.scoring_tables(self.config, self._params(), self.items)

    def forward(self, batch: Episodes, reward_weight: float) -> Tensor:
        """Returns ``log p(c | s, a) + lambda_p log p(r | s, c)`` of each step (Bai et al., Eq. 3).

        Args:
            batch: episodes.
            reward_weight: lambda_p.

        Returns:
            (B, T), 0 where nothing was shown; a step without a click has no term of a reward.
        """
        shown = torch.as_tensor(batch.slate[:, :, 0] >= 0)
        tables = self.scoring_tables()
        slate = torch.as_tensor(batch.slate)[shown]
        item = torch.as_tensor(batch.item)[shown][:, None]
        filled = slate.where(slate >= 0, self.n_items)
        units = self.units(tables, *click_sequences(batch.history, batch.item, self.n_items))
        units = units[:, :-1][shown]
        logits, rewards = recurrent.score(self.config, tables, units, filled)
        logits = logits.masked_fill(functional.pad(slate < 0, (0, 1)), -torch.inf)
        clicked = item[:, 0] >= 0
        slot = torch.where(clicked, (slate == item).int().argmax(1), slate.shape[1])
        paid = torch.as_tensor(batch.reward)[shown]
        log_likelihood = step_log_likelihood(
            logits, rewards, slot, clicked, paid, reward_weight, self.reward
        )
        return torch.zeros(shown.shape).masked_scatter(shown, log_likelihood)

    def preferences(self, history: np.ndarray) -> Tensor:
        """Returns every item's logit of Eq. 1 (B, N) for users who clicked ``history`` (B, W)."""
        tables, nothing = self.scoring_tables(), np.zeros((len(history), 0), np.int64)
        units = self.units(tables, *click_sequences(history, nothing, self.n_items))[:, 0]
        size = self.config.features
        vector = units @ tables["heads"][:, :size] + tables["heads.bias"][:size]
        liking: Tensor = vector @ self.items.T
        return liking

    def units(self, tables: Params, clicks: np.ndarray, before: np.ndarray) -> Tensor:
        """Returns the units (B, S, H) after the first ``before`` (B, S) of the clicks (B, L)."""
        read = features_of(torch.as_tensor(clicks), tables["features"])
        weights = network_weights(self.config, self._params())
        units: Tensor = torch.func.functional_call(self._cells[0], weights, (read,))[0]
        whole = functional.pad(units, (0, 0, 1, 0))
        return whole.take_along_dim(torch.as_tensor(before)[:, :, None], 1)

    def _params(self) -> Params:
        return {name.replace("/", "."): value for name, value in self.own.items()}
