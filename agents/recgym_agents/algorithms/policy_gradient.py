"""Policy gradients over slates: REINFORCE, off-policy, with a critic, and corrected for top K."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym_agents.agent import BaseAgent, EnvironmentSpec
from recgym_agents.algorithms.adaptation import AdaptedAgent
from recgym_agents.algorithms.policy_networks import ClickPolicyNetwork, ObservationPolicyNetwork
from recgym_agents.learning.episodes import Episodes, last_clicks
from recgym_agents.networks.per_user import Params
from recgym_agents.networks.plackett_luce import gumbel_top_k, slot_log_probs
from recgym_agents.networks.recurrent_encoder import Cell
from recgym_agents.policy_losses import (
    centred,
    discounted_returns,
    effective_sample_size,
    importance_weights,
    reinforce_loss,
    td_error,
    top_k_multiplier,
    value_loss,
)
from recgym_agents.user_support import Support


@dataclass(frozen=True)
class PolicyGradientConfig:
    """Configuration of ``reinforce``, ``reinforce-slate`` and the others of its family."""

    log_probability: Literal["item", "slate"] = "item"
    """Whose probability is raised: the clicked item's, as in the paper, or the whole slate's."""
    advantage: Literal["return", "centred", "critic"] = "return"
    """What weighs a step: its return; that less the batch's mean; or r + gamma V(s') - V(s)."""
    importance: bool = False
    """Weigh a logged step by pi / mu of its item, where mu is the logging policy."""
    weight_cap: float = 20.0
    """The highest importance weight."""
    top_k: bool = False
    """Multiply a step's weight by lambda_K, for slates that show an item with K chances."""
    discount: float = 0.9
    """Discount of later rewards, gamma."""
    value_weight: float = 0.5
    """Weight of the critic's loss."""
    cell: Cell = "gru"
    """The recurrent network that reads the clicks."""
    layers: int = 1
    """Layers of the recurrent network."""
    hidden: int = 64
    """Units of each layer."""
    embedding: int = 32
    """Length of the learned item embedding that it reads."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    clip_norm: float = 5.0
    """The longest gradient: longer ones are cut to it."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or two that do not agree."""
        counts = dict.fromkeys(("layers", "hidden", "embedding"), AT_LEAST_1)
        positive = dict.fromkeys(("weight_cap", "learning_rate", "clip_norm"), POSITIVE)
        check_ranges(self, counts | positive | {"discount": SHARE, "value_weight": AT_LEAST_0})
        if self.log_probability == "slate" and (self.importance or self.top_k):
            raise RecGymError(
                "log_probability=slate: importance and top_k are of a single item; set"
                " log_probability=item, or both of them to false"
            )


class PolicyGradient(BaseAgent):
    """REINFORCE over slates that are sampled without replacement, and its variants.

    What it acts on is the observation alone: it reads the clicks in it anew at every step. What it
    learns from are whole episodes, whose clicks are read once, and give the same states.

    Adapting to a user is reading on: where item ids are observed, the clicks of her support come
    before those observed, and the state is that of the last W of all of them. It learns nothing
    new, and what she clicked in her support stays a candidate.

    References:
        - Bai, Guan and Wang: A model-based reinforcement learning with adversarial training for
          online recommendation. NeurIPS 2019, sections 4 and 5.2: the policy and its gradient;
          section 7: its variants as baselines (PG, PGIS, AC).
        - M. Chen et al.: Top-K off-policy correction for a REINFORCE recommender system.
          WSDM 2019: the importance weights and the top-K multiplier.
    """

    kept: ClassVar[tuple[str, ...]] = ("network", "optimizer", "rng")

    def __init__(self, config: PolicyGradientConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        network = ClickPolicyNetwork if spec.ids else ObservationPolicyNetwork
        self.network: Any = network(config, spec, torch.Generator().manual_seed(seed))
        parameters = self.network.parameters()
        self.optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)

    @torch.no_grad()
    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the K likeliest items, or, while exploring at all, slates drawn (B, K)."""
        return self._drawn(self.logits(observation), explore)

    def adapt(self, support: Support) -> Any:
        """Returns the agent as it acts after the clicks of a support; see ``BaseAgent.adapt``."""
        super().adapt(support)
        if not self.spec.ids:
            return self
        return AdaptedAgent(self, {"clicks": torch.as_tensor(support.clicks(self.spec.n_items))})

    @torch.no_grad()
    def act_for(self, knowledge: Params, observation: np.ndarray, explore: float) -> np.ndarray:
        """Returns slates (B, K) for observations (B, W), after "clicks" of B users or of one."""
        earlier = knowledge["clicks"].expand(len(observation), -1).numpy()
        return self._drawn(self.logits(observation, earlier), explore)

    @torch.no_grad()
    def scores_for(self, knowledge: Params, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the logits of the items of pages (B, K), after "clicks" of B users or of one."""
        observed = observation.numpy()
        earlier = knowledge["clicks"].expand(len(observed), -1).numpy()
        logits = self.ranking(self._read(observed, earlier), observed[:, :0])
        return logits.gather(1, slate)

    def _drawn(self, logits: Tensor, explore: float) -> np.ndarray:
        noise = torch.zeros(logits.shape)
        if explore > 0.0:
            noise = torch.as_tensor(self.rng.gumbel(size=logits.shape).astype(np.float32))
        slate: np.ndarray = gumbel_top_k(logits, noise, self.spec.slate_size).numpy(force=True)
        return slate

    @torch.no_grad()
    def slot_probabilities(self, observation: np.ndarray, slate: np.ndarray) -> np.ndarray:
        """Returns the probabilities of drawn slates (B, K); see ``log_evaluation``."""
        logits = self.logits(observation)
        slots = slot_log_probs(logits, torch.as_tensor(slate, device=logits.device))
        probabilities: np.ndarray = slots.exp().numpy(force=True)
        return probabilities

    def logits(self, observation: np.ndarray, earlier: np.ndarray | None = None) -> Tensor:
        """Returns what items are ranked by (B, N + 1), minus infinity for those not to be shown.

        Args:
            observation: (B, W).
            earlier: clicks before those observed (B, E), N for none, which are read with them.
        """
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        return self.ranking(self._read(observation, earlier), excluded)

    def ranking(self, history: np.ndarray, excluded: np.ndarray) -> Tensor:
        """Returns the policy's logits (B, N + 1) after ``history`` (B, W), without ``excluded``."""
        found: Tensor = self.network.ranking(history, excluded)
        return found

    def _read(self, observation: np.ndarray, earlier: np.ndarray | None) -> np.ndarray:
        """Returns the last W clicks (B, W) of the earlier ones and of those observed."""
        if earlier is None:
            return observation
        every = np.concatenate([earlier, observation], axis=1)
        return last_clicks(every, self.spec.window, self.spec.n_items)

    def update(self, batch: Episodes) -> dict[str, float]:
        """Takes one gradient step on ``-sum_t w_t A_t log pi(a_t | s_t)``."""
        loss, report = self.loss(batch)
        return report | {"gradient_norm": self.descend(loss)}

    def loss(self, batch: Episodes) -> tuple[Tensor, dict[str, float]]:
        """Returns ``-sum_t w_t A_t log pi(a_t | s_t)``, with a critic's loss, and a report."""
        config, report = self.config, {}
        log_pi, scored, value = self.network(batch)
        reward, steps = torch.as_tensor(batch.reward), torch.as_tensor(batch.steps)
        advantage = discounted_returns(reward, config.discount)
        report["return"] = advantage[:, 0].mean().item()
        critic_loss = torch.zeros(())
        if config.advantage == "centred":
            advantage = centred(advantage, steps)
        elif config.advantage == "critic":
            discount = torch.as_tensor(self._discounts(batch))
            advantage = td_error(reward, discount, value[:, 1:], value[:, :-1])
            critic_loss = value_loss(advantage, steps)
            report["value_loss"] = critic_loss.item()
        if config.importance:
            weight = self._weights(batch, log_pi, scored)
            report["effective_sample_size"] = effective_sample_size(weight[scored]).item()
            advantage = advantage * weight
        if config.top_k:
            advantage = advantage * top_k_multiplier(log_pi, self.spec.slate_size)
        loss = reinforce_loss(log_pi, advantage)
        report["loss"] = loss.item()
        return loss + config.value_weight * critic_loss, report

    def descend(self, loss: Tensor) -> float:
        """Takes one gradient step on a loss; returns the length of the gradient."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        return norm.item()

    @torch.no_grad()
    def score(self, batch: Episodes) -> np.ndarray:
        """Returns what each logged episode adds to the objective that ``update`` ascends (B,).

        ``sum_t R_t u_t``, where u is log pi; or with importance weights the estimate of the value
        itself, u = pi / mu of the item; or with top_k also u = (1 - (1 - pi)^K) / mu.
        """
        log_pi, scored, _ = self.network(batch)
        returns = discounted_returns(torch.as_tensor(batch.reward), self.config.discount)
        worth = log_pi
        if self.config.top_k:
            log_pi = (-((-log_pi.expm1()) ** self.spec.slate_size)).log1p()
        if self.config.importance:
            worth = self._weights(batch, log_pi, scored)
        total: np.ndarray = (returns * worth * scored).sum(1).numpy(force=True)
        return total

    def _weights(self, batch: Episodes, log_pi: Tensor, scored: Tensor) -> Tensor:
        """Returns the steps' importance weights (B, T), 1 of what the agent itself has played."""
        if batch.propensity is None:
            return torch.ones_like(log_pi)
        mu = torch.where(scored, torch.as_tensor(batch.propensity), 1.0)
        return importance_weights(log_pi, mu, self.config.weight_cap)

    def _discounts(self, batch: Episodes) -> np.ndarray:
        """Returns gamma for each step (B, T), and 0 for those at which the user left."""
        last = batch.steps & ~np.pad(batch.steps, ((0, 0), (0, 1)))[:, 1:]
        left = last & batch.terminated[:, None]
        return np.where(left, 0.0, self.config.discount).astype(np.float32)
