"""A policy given what an LSTM makes of a user's support (Meta-LSTM)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import (
    AdaptingAgent,
    UserData,
)
from recgym_agents.algorithms.meta_policy_gradient import clicked_items_loss, ranked
from recgym_agents.learning.user_steps import UserBatch, UserSteps
from recgym_agents.networks.per_user import Params
from recgym_agents.networks.preferences import PreferenceNetwork, features_of_slates
from recgym_agents.networks.recurrent_encoder import RecurrentEncoder


@dataclass(frozen=True)
class MetaLSTMConfig:
    """Configuration of ``meta-lstm``."""

    units: int = 32
    """Units of the LSTM, and length of what is known of a user."""
    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer of the policy."""
    rank: int = 32
    """Length of the two vectors whose product ranks an item."""
    discount: float = 0.0
    """Discount of later rewards, gamma; 0 where what is shown changes nothing of what follows."""
    entropy: float = 0.01
    """Weight of the policy's entropy over items, which keeps it drawing."""
    learning_rate: float = 5e-3
    """Adam's step size."""
    clip_norm: float = 5.0
    """The longest gradient: longer ones are cut to it."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        at_least_1 = dict.fromkeys(("units", "hidden", "rank"), AT_LEAST_1)
        positive = dict.fromkeys(("learning_rate", "clip_norm"), POSITIVE)
        check_ranges(self, at_least_1 | positive | {"discount": SHARE, "entropy": AT_LEAST_0})


class SupportedPolicy(PreferenceNetwork):
    """A policy over items, and the LSTM that reads support for it.

    Of a step the LSTM reads the features of the clicked item, the mean features of those shown, and
    whether there was a click.
    """

    def __init__(
        self, config: MetaLSTMConfig, spec: EnvironmentSpec, generator: torch.Generator
    ) -> None:
        super().__init__(spec, config.units, config.hidden, config.rank, generator)
        read = 2 * self.item_inputs.size + 1
        self.reader = RecurrentEncoder(0, read, "lstm", 1, config.units, generator)

    def contexts(self, data: UserData, sequences: int) -> Tensor:
        """Returns what is known of U users (U, C): the mean of the states after each sequence.

        Args:
            data: of U users, S sequences of T steps one after the other.
            sequences: S.
        """
        users, steps = data.slot.shape
        flat = data.observation.flatten(0, 1)
        shown = features_of_slates(data.slate.flatten(0, 1), self.features(flat))  # (U * M, K, D)
        slots = torch.arange(shown.shape[1])
        chosen = (data.slot.flatten()[:, None] == slots).to(shown.dtype)
        clicked = (chosen[:, :, None] * shown).sum(1)
        read = torch.cat([clicked, shown.mean(1), chosen.sum(1, keepdim=True)], 1)
        length = data.weight.reshape(users * sequences, -1).sum(1).to(torch.int64)
        states, _ = self.reader.read(read.reshape(len(length), steps // sequences, -1))
        last = states[torch.arange(len(length)), (length - 1).clamp(min=0)]
        known = (length > 0).to(states.dtype)[:, None]
        summed = (last * known).reshape(users, sequences, -1).sum(1)
        mean: Tensor = summed / known.reshape(users, sequences, 1).sum(1).clamp(min=1.0)
        return mean


class MetaLSTM(AdaptingAgent):
    """A policy that an LSTM tells of the user: it reads her support, and nothing else adapts.

    The paper of M3Rec compares with "Meta-LSTM" and says no more of it; this is the recurrent form
    of meta-learning, in which what is carried from step to step is what was learned of the user.
    The LSTM and the policy learn by REINFORCE on what users clicked, after their support, of slates
    that the policy drew or that were logged; a negative return pushes an item down to a thousandth
    of an even probability at most. Of a user without support nothing is known: zeros.

    References:
        - Duan et al.: RL^2: fast reinforcement learning via slow reinforcement learning. 2016.
        - Wang et al.: M3Rec: an offline meta-level model-based reinforcement learning approach for
          cold-start recommendation. 2022, section 5 ("Meta-LSTM").
    """

    kept = ("network", "optimizer", "rng")

    def __init__(self, config: MetaLSTMConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        self.network: SupportedPolicy = SupportedPolicy(config, spec, generator)
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)

    @torch.no_grad()
    def knowledge(self, steps: UserSteps) -> Params:
        """Returns what the LSTM makes of the support."""
        return {"context": self._contexts(steps)}

    def update(self, batch: UserBatch) -> dict[str, float]:
        """Takes one gradient step of REINFORCE, through the policy and the LSTM."""
        query = batch.query
        data = self.data(query, torch.as_tensor(query.reward), query.there)
        users, steps = data.slot.shape
        context = self._contexts(batch.support).repeat_interleave(steps, 0)
        rows = (data.observation.flatten(0, 1), data.excluded.flatten(0, 1))
        logits = self.network(*rows, context).reshape(users, steps, -1)
        config = self.config
        loss, report = clicked_items_loss(logits, data, config.discount, config.entropy)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self.optimizer.step()
        return report | {"loss": loss.item(), "gradient_norm": norm.item()}

    @torch.no_grad()
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns the K likeliest items, or, while exploring at all, slates drawn (B, K)."""
        context = knowledge["context"].expand(len(observation), -1)
        excluded = torch.tensor(self.excluded(observation))
        logits = self.network(torch.as_tensor(observation), excluded, context)
        return ranked(logits, self.spec.slate_size, self.rng if explore > 0.0 else None)

    @torch.no_grad()
    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the policy's logits of the items of pages (B, K)."""
        context = knowledge["context"].expand(len(observation), -1)
        return self.network.of_slate(observation, slate, context)

    def _contexts(self, steps: UserSteps) -> Tensor:
        reward = torch.as_tensor(steps.reward)
        data = self.data(steps, reward, steps.there, support=True)
        return self.network.contexts(data, steps.slot.shape[1])
