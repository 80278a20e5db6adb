"""IRecGAN: policy gradients on logged and generated episodes, which a discriminator weighs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, check_ranges
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.recurrent_learning import Reward
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.generated_sessions import Interaction, generate, monte_carlo_scores
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.checkpointing import Arrays, arrays_of, load_arrays_into
from recgym_agents.learning.episodes import Episodes
from recgym_agents.networks.discriminator import Discriminator
from recgym_agents.networks.slate_heads import exclude
from recgym_agents.networks.user_network import UserNetwork
from recgym_agents.policy_losses import (
    discriminator_loss,
    effective_sample_size,
    scored_reward,
    user_loss,
)


@dataclass(frozen=True)
class IRecGANConfig(PolicyGradientConfig):
    """Configuration of ``irecgan``, ``pgu``, ``acu``, ``user-lstm``, and ``user-lstm-d``."""

    ranking: Literal["policy", "user"] = "policy"
    """What slates are made by: the agent's policy, or the user model's liking of items (Eq. 1)."""
    adversary: bool = True
    """Weigh generated steps by a discriminator; else by 1, and fit the users to real ones alone."""
    generated: float = 0.1
    """Generated episodes for each real one, lambda_1 / lambda_2; 0 for none, with no adversary."""
    rollouts: int = 5
    """Ends played from each step of a generated episode, N."""
    horizon: int = 40
    """The longest generated episode."""
    longest: float = 0.0
    """The longest generated episode also as a multiple of the mean length of the real episodes that
    an update is given; 0 for ``horizon`` alone. The authors' code has 2, the paper says nothing."""
    reward_weight: float = 3.0
    """What a reward counts beside the score of its step, lambda_r."""
    user_reward_weight: float = 1.0
    """What a reward's log-likelihood counts beside a click's, lambda_p."""
    outside: Literal["auto", "end", "no_click"] = "auto"
    """What a user does who does not click: leaves, or sees the next slate; "auto": as in the first
    episodes that it learns from."""
    user_reward: Literal["auto", "bernoulli", "normal"] = "auto"
    """What the user model takes rewards for: 1 or 0, or any number, with a variance of 1; "auto":
    the first where those first episodes have none outside 0..1."""
    pretraining: int = 50
    """Updates of the agent and the user model by real episodes alone."""
    discriminator_pretraining: int = 20
    """Updates of the discriminator after that, before the first round."""
    discriminator_updates: int = 1
    """Updates of the discriminator a round, each with new generated episodes."""
    user_learning_rate: float = 3e-3
    """Adam's step size for the user model."""
    discriminator_learning_rate: float = 1e-2
    """Adam's step size for the discriminator."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or two that do not agree."""
        super().__post_init__()
        counts = dict.fromkeys(("rollouts", "horizon", "discriminator_updates"), AT_LEAST_1)
        weights = ("longest", "reward_weight", "user_reward_weight", "pretraining")
        others = dict.fromkeys((*weights, "discriminator_pretraining", "generated"), AT_LEAST_0)
        rates = ("user_learning_rate", "discriminator_learning_rate")
        check_ranges(self, counts | others | dict.fromkeys(rates, POSITIVE))
        if self.adversary and self.generated == 0.0:
            raise RecGymError(
                "generated=0: it is generated episodes that the adversary weighs; set generated"
                " to more, or adversary to false"
            )


class IRecGAN(PolicyGradient):
    """An agent, a user model and a discriminator, trained together (Bai et al., Algorithm 1).

    Each update is given real episodes, and does what its turn is: pre-training of the agent and the
    user model, of the discriminator, or a round. The three networks are of one size, and have
    embeddings of their own.

    M3Rec's paper compares with it for users of whom one sequence is known, and does not say how it
    adapts: here by its state, see ``PolicyGradient``.

    References:
        Bai, Guan and Wang: A model-based reinforcement learning with adversarial training for
        online recommendation. NeurIPS 2019, Algorithm 1; section 7: the agents that leave parts
        of it out (PGU, ACU, LSTM, LSTMD).
    """

    config: IRecGANConfig
    kept = (
        *PolicyGradient.kept,
        *("user", "user_optimizer", "discriminator", "discriminator_optimizer"),
        *("generating", "updates", "users_end", "users_reward"),
    )

    def __init__(self, config: IRecGANConfig, spec: EnvironmentSpec, seed: int) -> None:
        spec.check_ids("an agent with a user model of its own")
        super().__init__(config, spec, seed)
        outside = "end" if config.outside == "auto" else config.outside
        shape = RecurrentUserConfig(
            config.cell, config.layers, config.hidden, config.embedding, outside
        )
        reward: Reward = "bernoulli" if config.user_reward == "auto" else config.user_reward
        streams = np.random.SeedSequence(seed).spawn(2)
        user_rng, self.generating = (np.random.default_rng(stream) for stream in streams)
        self.user = UserNetwork(shape, spec.n_items, reward, user_rng)
        sizes = (config.embedding, config.cell, config.layers, config.hidden)
        generator = torch.Generator().manual_seed(seed + 1)
        self.discriminator = Discriminator(spec.n_items, *sizes, generator)
        self.user_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(module.parameters(), lr=rate, fused=True)
            for module, rate in (
                (self.user, config.user_learning_rate),
                (self.discriminator, config.discriminator_learning_rate),
            )
        )
        self.updates = 0

    @property
    def pretraining(self) -> bool:
        """Whether the next update is not yet a round."""
        return self.updates < self._turns

    @property
    def ready(self) -> bool:
        """Whether it has learned from a round; from an update, if nothing is generated."""
        return self.updates > self._turns

    @property
    def _turns(self) -> int:
        """Updates before the first round."""
        config = self.config
        if config.generated == 0.0:
            return 0
        return config.pretraining + (config.discriminator_pretraining if config.adversary else 0)

    def update(self, batch: Episodes) -> dict[str, float]:
        """Learns from real episodes by what Algorithm 1 has in turn.

        Raises:
            RecGymError: rewards that are no probabilities, which the user model cannot have.
        """
        config = self.config
        if self.updates == 0:
            self._learn_kind_of_users(batch)
        if self.user.reward == "bernoulli" and not _are_probabilities(batch.reward):
            raise RecGymError(
                f"rewards of {batch.reward.min():g} to {batch.reward.max():g}: a Bernoulli"
                " variable has them in 0..1; set user_reward=normal"
            )
        if self.updates < config.pretraining or config.generated == 0.0:
            report = self._train(batch, None)
        elif self.pretraining:
            report = self._discriminate(batch)
        else:
            report = self._train(batch, self._generated(batch))
            if config.adversary:
                for _ in range(config.discriminator_updates):
                    report |= self._discriminate(batch)
        self.updates += 1
        return report

    @property
    def users_end(self) -> bool:
        """Whether a user leaves who does not click."""
        return self.user.config.outside == "end"

    @users_end.setter
    def users_end(self, ends: bool) -> None:
        self.user.config = replace(self.user.config, outside="end" if ends else "no_click")

    @property
    def users_reward(self) -> Reward:
        """What the user model takes rewards for."""
        return self.user.reward

    @users_reward.setter
    def users_reward(self, reward: Reward) -> None:
        self.user.reward = reward

    def _learn_kind_of_users(self, first: Episodes) -> None:
        """Takes what the configuration leaves open from the first episodes."""
        if self.config.outside == "auto":
            self.users_end = not _goes_on(first)
        if self.config.user_reward == "auto" and not _are_probabilities(first.reward):
            self.users_reward = "normal"

    def _train(self, real: Episodes, generated: Episodes | None) -> dict[str, float]:
        """Updates the user model by Eq. 7 and the agent, if anything asks it, by Eq. 10."""
        config = self.config
        ones = torch.as_tensor(real.steps).float()
        of_users = user_loss(self.user(real, config.user_reward_weight), ones)
        if config.ranking == "user" and config.generated == 0.0:
            return self._descend_users(of_users)
        of_agent, report = self.loss(self._rescaled(real, ones))
        if generated is not None:
            score = torch.as_tensor(generated.steps).float()
            if config.adversary:
                score = self._scores(generated, self._horizon(real))
                likelihood = self.user(generated, config.user_reward_weight)
                of_generated = user_loss(likelihood, score)
                of_users = _mixed(of_users, len(ones), of_generated, len(score))
            of_generated, _ = self.loss(self._rescaled(generated, score))
            of_agent = _mixed(of_agent, len(ones), of_generated, len(score))
            report |= self._described(generated, score)
        report |= {"loss": of_agent.item(), "gradient_norm": self.descend(of_agent)}
        return report | self._descend_users(of_users)

    def _descend_users(self, loss: Tensor) -> dict[str, float]:
        """Takes one gradient step of the user model."""
        norm = self._descend(loss, self.user, self.user_optimizer)
        return {"user_loss": loss.item(), "user_gradient_norm": norm}

    def _discriminate(self, real: Episodes) -> dict[str, float]:
        """Updates the discriminator by Eq. 5, on as many newly generated episodes as real ones."""
        generated = generate(self._interaction(), real.history, self._horizon(real))
        of_real, of_generated = self.discriminator(real), self.discriminator(generated)
        loss = discriminator_loss(of_real, of_generated)
        right = torch.cat([of_real > 0, of_generated < 0]).float().mean()
        norm = self._descend(loss, self.discriminator, self.discriminator_optimizer)
        return {
            "discriminator_loss": loss.item(),
            "discriminator_gradient_norm": norm,
            "discriminator_accuracy": right.item(),
            "discriminator_score_real": of_real.sigmoid().mean().item(),
            "discriminator_score_generated": of_generated.sigmoid().mean().item(),
        }

    def _generated(self, real: Episodes) -> Episodes:
        """Returns generated episodes that begin as some of the real ones do."""
        count = max(round(self.config.generated * len(real.history)), 1)
        chosen = np.arange(count) % len(real.history)
        return generate(self._interaction(), real.history[chosen], self._horizon(real))

    def _scores(self, generated: Episodes, horizon: int) -> Tensor:
        """Returns q_D of the steps of episodes that were generated up to a horizon (Eq. 6)."""
        between = self._interaction(), self.discriminator
        return monte_carlo_scores(*between, generated, self.config.rollouts, horizon)

    def _horizon(self, real: Episodes) -> int:
        """Returns the slates of a generated episode at most, beside real ones."""
        config = self.config
        if config.longest == 0.0:
            return config.horizon
        mean = float(real.steps.sum(1).mean())
        return min(config.horizon, max(round(config.longest * mean), 1))

    def _interaction(self) -> Interaction:
        return Interaction(self.network, self.user, self.generating)

    def _rescaled(self, batch: Episodes, score: Tensor) -> Episodes:
        """Returns episodes with the rewards that the agent learns from."""
        reward = torch.as_tensor(batch.reward)
        rescaled = scored_reward(score, reward, self.config.reward_weight)
        return batch._replace(reward=rescaled.numpy(force=True))

    def _described(self, generated: Episodes, score: Tensor) -> dict[str, float]:
        """Returns what generated episodes are like, and how much their scores weigh."""
        steps = torch.as_tensor(generated.steps)
        return {
            "generated_length": float(generated.steps.sum(1).mean()),
            "generated_reward": generated.reward.sum(1).mean().item(),
            "score": score[steps].mean().item(),
            "score_share": (effective_sample_size(score[steps]) / steps.sum()).item(),
        }

    def _descend(self, loss: Tensor, module: nn.Module, optimizer: torch.optim.Optimizer) -> float:
        """Takes one gradient step of the user model, or of the discriminator."""
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(module.parameters(), self.config.clip_norm)
        optimizer.step()
        return norm.item()

    def ranking(self, history: np.ndarray, excluded: np.ndarray) -> Tensor:
        """Returns what items are ranked by (B, N + 1): the policy's logits, or users' liking."""
        if self.config.ranking == "policy":
            return super().ranking(history, excluded)
        liking = functional.pad(self.user.preferences(history), (0, 1))
        return exclude(liking, torch.as_tensor(excluded))

    @torch.no_grad()
    def score(self, batch: Episodes) -> np.ndarray:
        """Returns what real episodes add to the objective of what ranks (B,).

        For the policy it is that of Eq. 10, q_D being 1; for the user model, of Eq. 3.
        """
        if self.config.ranking == "user":
            total: np.ndarray = (
                self.user(batch, self.config.user_reward_weight).sum(1).numpy(force=True)
            )
            return total
        ones = torch.as_tensor(batch.steps).float()
        return super().score(self._rescaled(batch, ones))

    def policy(self) -> tuple[Arrays, Any]:
        """Returns copies of the parameters of what ranks."""
        return arrays_of(self._ranks()), {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Ranks with the parameters ``arrays``."""
        load_arrays_into(self._ranks(), arrays)

    def _ranks(self) -> nn.Module:
        return self.network if self.config.ranking == "policy" else self.user


def _are_probabilities(reward: np.ndarray) -> bool:
    return bool(((reward >= 0) & (reward <= 1)).all())


def _goes_on(batch: Episodes) -> bool:
    """Returns whether any episode goes on after a step without a click."""
    without = batch.steps & (batch.item < 0)
    return bool((without[:, :-1] & batch.steps[:, 1:]).any())


def _mixed(one: Tensor, count: int, other: Tensor, other_count: int) -> Tensor:
    """Returns the mean over all episodes of what are means over ``count`` and the others."""
    return (count * one + other_count * other) / (count + other_count)
