"""The agent that learns a policy from logged sequences, by the objective that its settings name."""

from __future__ import annotations

import copy
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recgym.errors import RecGymError
from recgym.ranking_metrics import ndcg, rank_counts
from recgym_agents.agent import BaseAgent, EnvironmentSpec
from recgym_agents.algorithms.offline_config import OfflinePolicyConfig
from recgym_agents.algorithms.offline_steps import LoggedSteps, logged_steps
from recgym_agents.algorithms.offline_values import (
    Draws,
    Valued,
    history_learning,
    q_learning,
)
from recgym_agents.learning.episodes import Episodes, click_sequences
from recgym_agents.networks.item_scores import (
    sampled_log_softmax_of,
    supported_first,
)
from recgym_agents.networks.plackett_luce import gumbel_top_k
from recgym_agents.networks.repeat_bonus import (
    RepeatBonus,
    Repeats,
    expected_under,
    log_probability,
)
from recgym_agents.networks.sequence_policy import SequencePolicy
from recgym_agents.networks.slate_heads import exclude
from recgym_agents.offline_losses import (
    advantage_over_samples,
    improvement_weights,
    mean_of,
    optimistic,
    random_mixture,
    ratio_weights,
    weighted_log_loss,
)
from recgym_agents.policy_losses import effective_sample_size

ROWS = 256
"""Users whose whole catalogue is scored at once."""
CUTOFF = 20
"""Of the nDCG that policies are selected by."""


class OfflinePolicy(BaseAgent):
    """Learns a policy over items from logged sequences; slates are its K likeliest items.

    An encoder reads the clicks; heads over all items give the policy and, where they are needed,
    the values of items and the logging policy. One pass over an episode gives the states of all its
    steps. What was clicked is the action; steps without a click teach only the values of what they
    showed. Exploring, it draws slates from the policy without replacement (Plackett and Luce).

    References:
        - Liang and Vlassis: Local policy improvement for recommender systems. 2022: the network,
          ``reward-weighted``, ``ips``, ``lpi-cb``, ``lpi-rl``, ``pg-offline``, ``ips-pg``.
        - Xin et al.: Self-supervised reinforcement learning for recommender systems. SIGIR 2020:
          ``sqn``, ``sac-ss``.
        - Xin et al.: Supervised advantage actor-critic for recommender systems. WSDM 2022:
          ``snqn``, ``sa2c``.
        - Silva et al.: On the unexpected effectiveness of reinforcement learning for sequential
          recommendation. ICML 2024: ``sqn-supervised``.
        - Fujimoto et al.: Off-policy deep reinforcement learning without exploration. ICML 2019;
          and, of discrete actions, Benchmarking batch deep reinforcement learning algorithms. 2019:
          ``bcq``.
        - Kumar et al.: Conservative Q-learning for offline reinforcement learning. NeurIPS 2020:
          ``cql``.
        - Agarwal et al.: An optimistic perspective on offline reinforcement learning. ICML 2020:
          ``rem``.
        - L. Chen et al.: Decision transformer: reinforcement learning via sequence modeling.
          NeurIPS 2021: ``decision-transformer``, here with the return of the present step alone,
          because observations do not tell earlier ones.
    """

    kept: ClassVar[tuple[str, ...]] = (
        *("network", "target", "optimizer", "rng", "updates", "clicks"),
    )

    def __init__(self, config: OfflinePolicyConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_ids("an agent that learns from sequences")
        spec.check_candidates(config.remove_clicked)
        if config.negatives and spec.n_items == 1:
            raise RecGymError(
                f"negatives={config.negatives}: the catalog has one item, and no other to draw; set"
                " negatives=0"
            )
        self.config, self.spec, self.updates = config, spec, 0
        self.rng = np.random.default_rng(seed)
        self.network = SequencePolicy(
            config,
            spec.n_items,
            spec.window,
            members=0 if config.values == "none" else config.members,
            behaviour=config.importance,
            conditioned=config.conditioned,
            generator=torch.Generator().manual_seed(seed),
        )
        self.target = copy.deepcopy(self.network) if config.values == "q" else None
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.clicks = np.zeros(spec.n_items, np.int64)

    def check_rewards(self, reward: np.ndarray) -> None:
        """Refuses rewards of a log that would weigh below 0, where the loss has no bound.

        Raises:
            RecGymError: a reward is below 0, and rewards or returns weigh what was done.
        """
        if self.config.weight in ("reward", "return") and (reward < 0.0).any():
            raise RecGymError(
                f"weight={self.config.weight}: rewards below 0; shift the log's rewards"
            )

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the K best items, or, while exploring at all, slates drawn (B, K)."""
        slates = []
        for first in range(0, len(observation), ROWS):
            rows = observation[first : first + ROWS]
            scores = torch.as_tensor(self.item_scores(rows))
            excluded = self.spec.excluded(rows, self.config.remove_clicked)
            logits = exclude(functional.pad(scores, (0, 1)), torch.as_tensor(excluded))
            noise = torch.zeros(logits.shape)
            if explore > 0.0:
                noise = torch.as_tensor(self.rng.gumbel(size=logits.shape).astype(np.float32))
            slates.append(gumbel_top_k(logits, noise, self.spec.slate_size))
        found: np.ndarray = torch.cat(slates).numpy(force=True)
        return found

    @torch.no_grad()
    def item_scores(self, observation: np.ndarray) -> np.ndarray:
        """Returns what all items are ranked by (B, N), clicked ones too, for clicks (B, W)."""
        nothing = np.zeros((len(observation), 0), np.int64)
        state = self.network.states(*click_sequences(observation, nothing, self.spec.n_items))
        scores: np.ndarray = self._ranking(state[:, 0], observation).numpy(force=True)
        return scores

    def _ranking(self, state: Tensor, history: np.ndarray) -> Tensor:
        """Returns the policy's logits (S, N), or values, whichever rank items after clicks."""
        config, network = self.config, self.network
        likely: Tensor | None = None
        if config.acts_by == "policy" or config.support > 0.0:
            asked = state
            if config.conditioned:
                share = torch.full((len(state),), config.target_return)
                asked = network.for_return(state, share)
            likely = network.policy.of_all(asked)
            if config.acts_by == "policy":
                repeats = network.repeats(history)
                return likely if repeats is None else repeats.added_to(likely)
        members = torch.stack([head.of_all(state) for head in network.values])
        value: Tensor = optimistic(members, config.optimism)
        if likely is None:
            return value
        found: Tensor = supported_first(value, likely, config.support)
        return found

    def update(self, batch: Episodes) -> dict[str, float]:
        """Takes one gradient step on weighted log-likelihoods of what was done, and on values."""
        steps = self._steps(batch)
        self.clicks += np.bincount(steps.item.numpy(force=True), minlength=self.spec.n_items)
        noise = torch.Generator().manual_seed(int(self.rng.integers(2**31)))
        loss, report = self.loss(steps, noise)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.updates += 1
        if self.target is not None and self.updates % self.config.target_period == 0:
            self.target.load_state_dict(self.network.state_dict())
        return report

    def loss(
        self, steps: LoggedSteps, noise: torch.Generator | None
    ) -> tuple[Tensor, dict[str, float]]:
        """Returns the loss of a batch, and what is worth plotting of it.

        Args:
            steps: what was done.
            noise: draws what dropout leaves out; None leaves nothing out.
        """
        config, network = self.config, self.network
        states = network.states(steps.clicks, steps.counts, noise).flatten(0, 1)
        loss, report = torch.zeros(()), {}
        valued = self._values(steps, states)
        if valued is not None:
            loss = loss + config.value_weight * valued.loss
            report["value_loss"] = valued.loss.item()
        if config.weight != "none":
            now = states[steps.now]
            log_pi = self._log_pi(now, steps)
            weight = self._weight(now, steps, valued)
            if config.importance:
                own = self._repeats(steps, network.behaviour_bonus)
                log_mu = log_probability(now.detach(), network.behaviour, steps.item, own)
                ratio = ratio_weights(log_pi, log_mu, config.smoothing, config.weight_cap)
                weight, loss = weight * ratio, loss - mean_of(log_mu)
                report["effective_sample_size"] = effective_sample_size(ratio).item()
            policy_loss = weighted_log_loss(log_pi, weight)
            loss = loss + policy_loss
            report["log_likelihood"] = mean_of(log_pi).item()
            report["weight"] = mean_of(weight).item()
        return loss, report | {"loss": loss.item()}

    def _steps(self, batch: Episodes) -> LoggedSteps:
        config, spec = self.config, self.spec
        return logged_steps(batch, spec.window, spec.n_items, config.discount, config.last)

    def _repeats(self, steps: LoggedSteps, bonus: RepeatBonus | None) -> Repeats | None:
        """Returns what a bonus adds to the logits of earlier clicks at each step, if there is one.

        Args:
            steps: what was done.
            bonus: the policy's, or that of the logging policy's estimate.
        """
        if bonus is None:
            return None
        n_items = self.spec.n_items
        found: Repeats = bonus(steps.histories(self.spec.window, n_items), n_items)
        return found

    def _log_pi(self, state: Tensor, steps: LoggedSteps) -> Tensor:
        """Returns log-probabilities of what was done (S,), of the return that followed if told."""
        network = self.network
        if self.config.conditioned:
            known = torch.cat([network.highest_return[None], steps.returns])
            highest = network.highest_return.copy_(known.amax()).clone()
            state = network.for_return(state, steps.returns / highest.clamp(min=1e-6))
        if not self.config.sampled:
            repeats = self._repeats(steps, network.repeat_bonus)
            return log_probability(state, network.policy, steps.item, repeats)
        share = (self.clicks + 1.0) / (self.clicks + 1.0).sum()
        drawn = torch.as_tensor(self.rng.choice(len(share), self.config.sampled, p=share))
        log_share = torch.as_tensor(np.log(share).astype(np.float32))
        return sampled_log_softmax_of(state, network.policy, steps.item, drawn, log_share)

    def _values(self, steps: LoggedSteps, states: Tensor) -> Valued | None:
        """Returns what the heads that value items say, if there are any."""
        config = self.config
        if config.values == "history":
            return history_learning(self.network, states, steps)
        if self.target is None:
            return None
        others = max(self.spec.n_items - 1, 1)
        negatives = self.rng.integers(others, size=(len(steps.item), config.negatives))
        negatives += negatives >= steps.item.numpy(force=True)[:, None]
        mixture = None
        if config.mixture:
            uniform = self.rng.random(config.members).astype(np.float32)
            mixture = random_mixture(torch.as_tensor(uniform))
        with torch.no_grad():
            older = self.target.states(steps.clicks, steps.counts).flatten(0, 1)
        draws = Draws(mixture, torch.as_tensor(negatives))
        return q_learning(config, self.network, states, self.target, older, steps, draws)

    @torch.no_grad()
    def _weight(self, state: Tensor, steps: LoggedSteps, valued: Valued | None) -> Tensor:
        """Returns what weighs the log-probabilities of what was done (S,), but for pi / mu."""
        config = self.config
        if config.weight == "reward":
            return steps.reward
        if config.weight == "return":
            return steps.returns
        if valued is None or config.weight == "one":
            return torch.ones_like(steps.reward)
        if config.weight == "improvement":
            policy, values = self.network.policy, self.network.values
            repeats = self._repeats(steps, self.network.repeat_bonus)
            means = [expected_under(state, policy, own, repeats) for own in values]
            mean = torch.stack(means).mean(0)
            return improvement_weights(valued.logged - mean, config.beta, config.weight_cap)
        if self.updates < config.warm_up:
            return torch.ones_like(steps.reward)
        if config.weight == "value":
            return valued.logged.clamp(0.0, config.weight_cap)
        return advantage_over_samples(valued.logged, valued.sampled, config.weight_cap)

    @torch.no_grad()
    def gains(self, batch: Episodes) -> np.ndarray:
        """Returns nDCG@20 of the item of each step among all items (B, T), NaN where is none.

        Raises:
            RecGymError: a score is NaN.
        """
        steps = self._steps(batch)
        states = self.network.states(steps.clicks, steps.counts).flatten(0, 1)
        history = steps.histories(self.spec.window, self.spec.n_items)
        found = []
        for first in range(0, len(steps.item), ROWS):
            rows = slice(first, first + ROWS)
            scores = self._ranking(states[steps.now[rows]], history[rows])
            item = steps.item[rows].numpy(force=True)
            found.append(ndcg(*rank_counts(scores.numpy(force=True), item), CUTOFF))
        gains = np.full(batch.item.shape, np.nan)
        gains[steps.done] = np.concatenate([*found, np.zeros(0)])
        return gains

    def score(self, batch: Episodes) -> np.ndarray:
        """Returns the mean nDCG@20 of the items of each episode (B,)."""
        gains = self.gains(batch)
        scored = ~np.isnan(gains)
        mean: np.ndarray = np.nansum(gains, axis=1) / np.maximum(scored.sum(axis=1), 1)
        return mean
