"""The networks of policy gradients: what they read, and the log-probabilities and values of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym_agents.agent import EnvironmentSpec
from recgym_agents.learning.episodes import Episodes, click_sequences, observed
from recgym_agents.networks.encoders import ItemFeatures, features_of, with_no_item
from recgym_agents.networks.plackett_luce import PlackettLuceHead, item_log_prob, slate_log_prob
from recgym_agents.networks.recurrent_encoder import RecurrentEncoder
from recgym_agents.networks.slate_heads import exclude
from recgym_agents.networks.window_encoder import states_after

if TYPE_CHECKING:
    from recgym_agents.algorithms.policy_gradient import PolicyGradientConfig


class Read(NamedTuple):
    """What a network says of a batch of episodes."""

    log_pi: Tensor
    """Log-probabilities (B, T), 0 where no step is scored."""
    scored: Tensor
    """Whether the policy could have done what was done, bool (B, T)."""
    value: Tensor | None
    """The critic's values before each step and after the last one (B, T + 1)."""


class PolicyNetwork(nn.Module, ABC):
    """What policy gradients learn: an encoder, the policy's head, and a critic if any."""

    def __init__(self, config: PolicyGradientConfig, spec: EnvironmentSpec) -> None:
        super().__init__()
        self.config, self.spec = config, spec

    def add_critic(self) -> None:
        """Adds what values the states, if the configuration has a critic."""
        if self.config.advantage == "critic":
            self.critic = nn.Parameter(torch.zeros(self.config.hidden + 1))

    @abstractmethod
    def states(self, batch: Episodes) -> Tensor:
        """Returns the states before each step and after the last one (B, T + 1, H)."""

    @abstractmethod
    def excluded(self, batch: Episodes) -> np.ndarray:
        """Returns the items that were no candidates at each step (B, T, X)."""

    @abstractmethod
    def logits(self, state: Tensor, excluded: Tensor, batch: Episodes, steps: Tensor) -> Tensor:
        """Returns the policy's logits (S, N + 1) at the S ``steps``, bool (B, T), of a batch.

        Args:
            state: of those steps (S, H).
            excluded: of those steps (S, X).
            batch: the episodes.
            steps: which.
        """

    def forward(self, batch: Episodes) -> Read:
        """Reads whole episodes: log-probabilities of what was done, and values."""
        config = self.config
        state, excluded = self.states(batch), self.excluded(batch)
        done = batch.slate if config.log_probability == "slate" else batch.item[:, :, None]
        possible = ~(done[:, :, :, None] == excluded[:, :, None, :]).any((2, 3))
        shown = (batch.slate[:, :, 0] >= 0) & (done[:, :, 0] >= 0)
        scored = torch.as_tensor(shown & possible)
        left_out = torch.as_tensor(excluded)[scored]
        logits = self.logits(state[:, :-1][scored], left_out, batch, scored)
        if config.log_probability == "slate":
            log_pi = slate_log_prob(logits, torch.as_tensor(done)[scored])
        else:
            log_pi = item_log_prob(logits, torch.as_tensor(done)[scored][:, 0])
        value = None
        if config.advantage == "critic":
            value = state @ self.critic[:-1] + self.critic[-1]
        whole = torch.zeros(scored.shape).masked_scatter(scored, log_pi)
        return Read(whole, scored, value)


class ClickPolicyNetwork(PolicyNetwork):
    """For observed clicks: item embeddings, a recurrent encoder of the clicks, and a head.

    The embedding is the agent's own (Bai et al., 2019, section 4); item features are not read.
    """

    def __init__(
        self, config: PolicyGradientConfig, spec: EnvironmentSpec, generator: torch.Generator
    ) -> None:
        super().__init__(config, spec)
        self.items = ItemFeatures(spec.n_items, None, config.embedding, generator)
        self.encoder = RecurrentEncoder(
            spec.window, config.embedding, config.cell, config.layers, config.hidden, generator
        )
        self.head = PlackettLuceHead(spec.n_items, config.hidden, generator)
        self.add_critic()

    def states(self, batch: Episodes) -> Tensor:
        """Returns the states before each step and after the last one (B, T + 1, H)."""
        return self.encode(*click_sequences(batch.history, batch.item, self.spec.n_items))

    def encode(self, clicks: np.ndarray, before: np.ndarray) -> Tensor:
        """Returns the states (B, S, H) after the first ``before`` (B, S) clicks (B, L)."""
        read = features_of(torch.as_tensor(clicks), with_no_item(self.items.table))
        states: Tensor = self.encoder(read, torch.as_tensor(before[:, -1]))
        return states_after(states, torch.as_tensor(before))

    def excluded(self, batch: Episodes) -> np.ndarray:
        """Returns the clicks observed at each step (B, T, X), if they are no candidates."""
        if not self.config.remove_clicked:
            return np.zeros((*batch.steps.shape, 0), np.int64)
        n_items = self.spec.n_items
        clicks, before = click_sequences(batch.history, batch.item, n_items)
        return observed(clicks, before[:, :-1], self.spec.window, n_items)

    def logits(self, state: Tensor, excluded: Tensor, batch: Episodes, steps: Tensor) -> Tensor:
        """Returns the policy's logits (S, N + 1); see ``PolicyNetwork``."""
        found: Tensor = self.head(state, excluded)
        return found

    def ranking(self, observation: np.ndarray, excluded: np.ndarray) -> Tensor:
        """Returns logits (B, N + 1) for observed clicks (B, W), without ``excluded`` (B, X)."""
        nothing = np.zeros((len(observation), 0), np.int64)
        state = self.encode(*click_sequences(observation, nothing, self.spec.n_items))
        found: Tensor = self.head(state[:, 0], torch.as_tensor(excluded))
        return found


class ObservationPolicyNetwork(PolicyNetwork):
    """For observed numbers: one hidden layer of them, and a head over the catalogue.

    Where the first N * D numbers are the step's candidates, the head is
    ``q . relu(L_s s + L_a f_a + c)`` over their feature vectors f_a instead.
    """

    def __init__(
        self, config: PolicyGradientConfig, spec: EnvironmentSpec, generator: torch.Generator
    ) -> None:
        super().__init__(config, spec)
        self.split = spec.n_items * spec.candidate_features
        hidden = config.hidden
        self.encoder = _linear(spec.window - self.split, hidden, generator)
        self.head: PlackettLuceHead | None = None
        if not self.split:
            self.head = PlackettLuceHead(spec.n_items, hidden, generator)
        else:
            self.of_state = _linear(hidden, hidden, generator)
            self.of_candidate = _linear(spec.candidate_features, hidden, generator)
            self.output = _linear(hidden, 1, generator)
        self.add_critic()

    def states(self, batch: Episodes) -> Tensor:
        """Returns the states before each step and after the last one (B, T + 1, H)."""
        return self.encode(torch.as_tensor(batch.seen))

    def encode(self, observation: Tensor) -> Tensor:
        """Returns the states (..., H) of observations (..., W)."""
        return torch.relu(self.encoder(observation[..., self.split :]))

    def excluded(self, batch: Episodes) -> np.ndarray:
        """Returns nothing (B, T, 0): numbers do not say what was clicked."""
        return np.zeros((*batch.steps.shape, 0), np.int64)

    def logits(self, state: Tensor, excluded: Tensor, batch: Episodes, steps: Tensor) -> Tensor:
        """Returns the policy's logits (S, N + 1); see ``PolicyNetwork``."""
        assert batch.seen is not None
        return self._logits(state, torch.as_tensor(batch.seen[:, :-1])[steps])

    def ranking(self, observation: np.ndarray, excluded: np.ndarray) -> Tensor:
        """Returns logits (B, N + 1) for observations (B, W)."""
        given = torch.as_tensor(observation)
        return self._logits(self.encode(given), given)

    def _logits(self, state: Tensor, observation: Tensor) -> Tensor:
        nothing = torch.zeros(len(state), 0, dtype=torch.int64)
        if self.head is not None:
            found: Tensor = self.head(state, nothing)
            return found
        candidates = observation[:, : self.split].reshape(len(state), self.spec.n_items, -1)
        units = torch.relu(self.of_state(state)[:, None] + self.of_candidate(candidates))
        return exclude(functional.pad(self.output(units)[:, :, 0], (0, 1)), nothing)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Returns a layer whose weights are uniform in +-1 / sqrt(inputs), and whose bias is 0."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    scale = max(inputs, 1) ** -0.5
    nn.init.uniform_(layer.weight, -scale, scale, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
