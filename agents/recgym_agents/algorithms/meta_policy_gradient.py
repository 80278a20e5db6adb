"""REINFORCE that learns where to begin, and adapts to a user by policy gradients (Meta-PG)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recgym.settings import AT_LEAST_0, AT_LEAST_1, SHARE, check_ranges
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import (
    InnerSteps,
    MetaGradientAgent,
    UserData,
    by_user,
)
from recgym_agents.learning.user_steps import UserBatch, UserSteps
from recgym_agents.networks.per_user import Params, call, call_each
from recgym_agents.networks.plackett_luce import gumbel_top_k, item_log_prob
from recgym_agents.networks.preferences import PreferenceNetwork, shown_alone
from recgym_agents.policy_losses import discounted_returns, reinforce_loss

LEAST_SHARE = 1e-3
"""Share of an even probability that items of negative returns keep."""


@dataclass(frozen=True)
class MetaPolicyGradientConfig(InnerSteps):
    """Configuration of ``meta-pg``."""

    inner_rate: float = 0.5
    """Step size of the gradient steps on a user's support, alpha."""
    inner_steps: int = 5
    """How many of them."""
    learning_rate: float = 3e-3
    """Adam's step size, of the parameters that users begin with."""
    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer."""
    rank: int = 32
    """Length of the two vectors whose product ranks an item."""
    discount: float = 0.0
    """Discount of later rewards, gamma; 0 where what is shown changes nothing of what follows."""
    entropy: float = 0.01
    """Weight of the policy's entropy over items, which keeps it drawing."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        super().__post_init__()
        at_least_1 = dict.fromkeys(("hidden", "rank"), AT_LEAST_1)
        check_ranges(self, at_least_1 | {"discount": SHARE, "entropy": AT_LEAST_0})


class MetaPolicyGradient(MetaGradientAgent):
    """REINFORCE whose meta-gradient goes through the policy-gradient steps on a user's support.

    The paper of M3Rec compares with "Meta-PG" and says no more of it; this is MAML's own form for
    policies. The steps descend ``-G_t log pi(i_t | s_t, A_t)`` of the items that were clicked in
    the support, where G is the discounted return, and A the slate: what the logging policy did not
    show was no candidate there. The outer loss is ``-G_t log pi(i_t | s_t)``, over all items, of
    the slates that the adapted policy itself drew; from a log, of the slates that were logged. In
    it a negative return pushes an item down to a thousandth of an even probability at most.

    References:
        - Finn, Abbeel and Levine: Model-agnostic meta-learning for fast adaptation of deep
          networks. ICML 2017, section 5.3.
        - Wang et al.: M3Rec: an offline meta-level model-based reinforcement learning approach for
          cold-start recommendation. 2022, section 5 ("Meta-PG").
    """

    config: MetaPolicyGradientConfig

    def __init__(self, config: MetaPolicyGradientConfig, spec: EnvironmentSpec, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        network = PreferenceNetwork(spec, 0, config.hidden, config.rank, generator)
        super().__init__(config, spec, network, seed)

    def loss(self, network: Any, params: Params, data: UserData) -> Tensor:
        """Returns ``-G log pi(i | s, A)`` of the clicked items, a mean over a user's steps."""
        none = data.observation[:, :0].to(data.value.dtype)
        scores = call(network, "of_slate", params, data.observation, data.slate, none)
        logits = shown_alone(scores, data.slate, self.spec.n_items)
        slot = data.slot.clamp(max=data.slate.shape[1] - 1)
        log_pi = torch.where(data.weight > 0.0, item_log_prob(logits, slot), 0.0)
        gained = (data.value * log_pi).sum()
        return -gained / data.weight.sum().clamp(min=1.0)

    def support_data(self, steps: UserSteps) -> UserData:
        """Returns the support of U users, with the returns of its steps; those clicked count."""
        returns = discounted_returns(
            torch.as_tensor(steps.reward).flatten(0, 1), self.config.discount
        )
        clicked = steps.there & (steps.slot < self.spec.slate_size)
        return self.data(steps, returns.reshape(steps.reward.shape), clicked, support=True)

    def outer_loss(self, batch: UserBatch) -> tuple[Tensor, dict[str, float]]:
        """Returns REINFORCE's loss of the slates that adapted policies drew, or of logged ones."""
        query = batch.query
        adapted = self.descended(self.network, self.support_data(batch.support))
        data = self.data(query, torch.as_tensor(query.reward), query.there)
        none = data.observation[:, :, :0].to(data.value.dtype)
        logits = call_each(self.network, "forward", adapted, data.observation, data.excluded, none)
        return clicked_items_loss(logits, data, self.config.discount, self.config.entropy)

    @torch.no_grad()
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns the K likeliest items, or, while exploring at all, slates drawn (B, K)."""
        users = len(next(iter(knowledge.values())))
        excluded = self.excluded(observation)
        rows = [by_user(values, users) for values in (observation, excluded)]
        none = rows[0][:, :, :0].to(torch.float32)
        logits = call_each(self.network, "forward", knowledge, *rows, none).flatten(0, 1)
        return ranked(logits, self.spec.slate_size, self.rng if explore > 0.0 else None)

    @torch.no_grad()
    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the adapted policies' logits of the items of pages (B, K)."""
        users = len(next(iter(knowledge.values())))
        rows = [values.reshape(users, -1, values.shape[1]) for values in (observation, slate)]
        none = rows[0][:, :, :0].to(torch.float32)
        found: Tensor = call_each(self.network, "of_slate", knowledge, *rows, none).flatten(0, 1)
        return found


def ranked(logits: Tensor, slate_size: int, rng: np.random.Generator | None) -> np.ndarray:
    """Returns the slates (B, K) of the highest logits (B, N + 1), or drawn by them with ``rng``."""
    noise = torch.zeros(logits.shape)
    if rng is not None:
        noise = torch.as_tensor(rng.gumbel(size=logits.shape).astype(np.float32))
    slate: np.ndarray = gumbel_top_k(logits, noise, slate_size).numpy()
    return slate


def clicked_items_loss(
    logits: Tensor, data: UserData, discount: float, entropy: float
) -> tuple[Tensor, dict[str, float]]:
    """Returns REINFORCE's loss of the items clicked in drawn or logged slates, and a report.

    ``-sum_t G_t log pi(x_t)``, where x is the clicked item, which M3Rec takes for the probability
    of the slate (section 4.1). Returns are divided by their mean size. An item that was no
    candidate does not count: one of a log that was clicked again, where those are removed. Where
    the return is below 0, the probability is pushed down to ``LEAST_SHARE`` of an even one and no
    further: steps are learned from more than once, and the loss has no other bound.

    Args:
        logits: of the policy now (U, M, N + 1).
        data: of U users; the value of a step is its reward.
        discount: gamma.
        entropy: weight of the entropy.
    """
    flat, there = logits.flatten(0, 1), data.weight > 0.0
    slot = data.slot.clamp(max=data.slate.shape[2] - 1)
    item = data.slate.gather(2, slot[:, :, None]).flatten()
    log_pi = item_log_prob(flat, item).reshape(data.slot.shape)
    clicked = there & (data.slot < data.slate.shape[2]) & log_pi.isfinite()
    returns = discounted_returns(data.value, discount)
    least = (LEAST_SHARE / flat.isfinite().sum(1)).log().reshape(data.slot.shape)
    log_pi = torch.where(returns < 0.0, torch.maximum(log_pi, least), log_pi)
    size = (returns.abs() * there).sum() / there.sum().clamp(min=1)
    gained = torch.where(clicked, log_pi, 0.0)
    loss = reinforce_loss(gained, returns / size.clamp(min=1e-6)) / logits.shape[1]
    likely = flat.log_softmax(1)
    finite = torch.where(likely.isfinite(), likely, 0.0)
    each = -(likely.exp() * finite).sum(1).reshape(data.slot.shape)
    spread = (each * data.weight).sum() / data.weight.sum().clamp(min=1.0)
    return loss - entropy * spread, {
        "return": returns[:, 0].mean().item(),
        "entropy": spread.item(),
    }
