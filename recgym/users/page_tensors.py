"""Pages as torch tensors, and what user models say of them while they are fitted."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recgym.arrays import rows
from recgym.users import recurrent
from recgym.users.gan import GANUserConfig, Params
from recgym.users.gru4rec import GRU4RecConfig
from recgym.users.kinds import UserConfig, functions_of, kind_of
from recgym.users.page_arrays import Pages
from recgym.users.page_losses import OBJECTIVES
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.recurrent_learning import network_weights, step_log_likelihood, torch_network

Select = Literal["log_likelihood", "precision_at_1", "objective"]
"""Mean score of the validation pages; "objective" is what a fit maximises."""


class ClickSequences:
    """What was clicked before each page, for networks that read it click by click."""

    def __init__(self, pages: Pages) -> None:
        """Copies the arrays."""
        self.user = torch.from_numpy(pages.user)
        self.clicks_before = torch.from_numpy(pages.clicks_before)
        self.sequences = torch.from_numpy(pages.sequences)

    def units_before(
        self, network: nn.Module, weights: Params, features: Tensor, chosen: Tensor, pack: bool
    ) -> Tensor:
        """Returns a network's units (C, units) before each chosen page, zeros before any click.

        The network passes once over the clicks of each user with a chosen page.

        Args:
            network: nn.LSTM or nn.GRU, batch first.
            weights: its parameters.
            features: (N + 1, D) item features, zeros last.
            chosen: (C,) pages.
            pack: whether to skip what pads short sequences: much faster where few are long, and
                rounded differently.
        """
        users, row = torch.unique(self.user[chosen], return_inverse=True)
        clicks = self.clicks_before[chosen]
        longest = max(1, int(clicks.max()))
        inputs: Any = rows(features, self.sequences[users, :longest])
        if pack:
            lengths = torch.ones_like(users).scatter_reduce(0, row, clicks, "amax")
            inputs = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        units, _ = torch.func.functional_call(network, weights, (inputs,))
        if pack:
            units, _ = pad_packed_sequence(units, batch_first=True)
        before: Tensor = functional.pad(units, (0, 0, 1, 0))[row, clicks]
        return before


class PageTensors:
    """Pages as tensors, and the logits and rewards on them of a model that learns no rewards."""

    def __init__(
        self, config: UserConfig, pages: Pages, dtype: torch.dtype = torch.float32
    ) -> None:
        """Copies the arrays.

        Args:
            config: the model's shape.
            pages: the log.
            dtype: of parameters and features.
        """
        self.config = config
        self.functions = functions_of(config)
        self.slates = torch.from_numpy(pages.slates)
        self.absent = torch.from_numpy(pages.absent)
        self.target = torch.from_numpy(pages.target)
        self.histories = torch.from_numpy(pages.histories)
        self.clicks = ClickSequences(pages)
        self.network = _network(config, dtype)
        self.objective = OBJECTIVES[getattr(config, "objective", "choice")]
        self.select: Select = "log_likelihood" if kind_of(config).chooses else "precision_at_1"

    def respond(self, params: Params, features: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits and rewards (C, K + 1) on the chosen pages; empty slots have -inf, 0."""
        tables = self.functions.prepare(self.config, params, features)
        state = {"history": self.histories[chosen]}
        if self.network is not None:
            state["hidden"] = self.clicks.units_before(
                self.network, _weights(params), tables["features"], chosen, pack=False
            )
        logits, rewards = self.functions.respond(self.config, tables, state, self.slates[chosen])
        absent = functional.pad(self.absent[chosen], (0, 1))
        return logits.masked_fill(absent, -torch.inf), rewards.masked_fill(absent, 0.0)

    def log_likelihood(self, params: Params, features: Tensor, chosen: Tensor) -> Tensor:
        """Returns what a fit maximises on the chosen pages (C,), see ``page_losses``.

        It is the log probability of what happened (Lemma 2), unless the model has another.
        """
        logits, _ = self.respond(params, features, chosen)
        return self.objective(logits, self.target[chosen])


def _network(config: UserConfig, dtype: torch.dtype) -> nn.RNNBase | None:
    """Returns torch's own network of a model that reads clicks one by one."""
    if isinstance(config, GANUserConfig) and config.history == "lstm":
        return nn.LSTM(config.features, config.units, batch_first=True, dtype=dtype)
    if isinstance(config, GRU4RecConfig):
        return nn.GRU(config.features, config.units, batch_first=True, dtype=dtype)
    return None


def _weights(params: Params) -> Params:
    """Returns the parameters of the network by torch's names."""
    cell = "lstm" if "lstm.input" in params else "gru"
    bias = params[f"{cell}.bias"]
    own = params.get(f"{cell}.recurrent_bias", bias[:0])
    return {
        "weight_ih_l0": params[f"{cell}.input"],
        "weight_hh_l0": params[f"{cell}.recurrent"],
        "bias_ih_l0": bias,
        "bias_hh_l0": functional.pad(own, (len(bias) - len(own), 0)),
    }


class SessionTensors:
    """Pages as tensors, and a recurrent user model's logits and rewards on them."""

    select: ClassVar[Select] = "objective"
    """What stops a fit unless told otherwise."""

    def __init__(
        self,
        config: RecurrentUserConfig,
        pages: Pages,
        reward_weight: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Copies the arrays.

        Args:
            config: the model's shape.
            pages: the log, by session.
            reward_weight: lambda_p in Eq. 3.
            dtype: of parameters and features.
        """
        self.config = config
        self.reward_weight = reward_weight
        self.slates = torch.from_numpy(pages.slates)
        self.absent = torch.from_numpy(pages.absent)
        self.target = torch.from_numpy(pages.target)
        self.clicked = torch.from_numpy(pages.clicked)
        self.reward = torch.from_numpy(pages.reward).to(dtype)
        self.clicks = ClickSequences(pages)
        self.network = torch_network(config, dtype=dtype)

    def respond(self, params: Params, features: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits of choices (C, K + 1), -inf in empty slots, and of rewards (C, K)."""
        tables = recurrent.scoring_tables(self.config, params, features)
        weights = network_weights(self.config, params)
        embeddings = tables["features"]
        units = self.clicks.units_before(self.network, weights, embeddings, chosen, pack=True)
        logits, rewards = recurrent.score(self.config, tables, units, self.slates[chosen])
        absent = functional.pad(self.absent[chosen], (0, 1))
        return logits.masked_fill(absent, -torch.inf), rewards

    def log_likelihood(self, params: Params, features: Tensor, chosen: Tensor) -> Tensor:
        """Returns the term of Eq. 3 (C,) of each chosen page; without a click, no reward's."""
        return step_log_likelihood(
            *self.respond(params, features, chosen),
            self.target[chosen],
            self.clicked[chosen],
            self.reward[chosen],
            self.reward_weight,
        )
