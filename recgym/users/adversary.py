"""The adversarial game that recovers users' rewards from what they choose (M3Rec, Eqs. 2 and 3).

Adversarial inverse reinforcement learning (Fu, Luo and Levine, ICLR 2018): a discriminator
D = exp g / (exp g + pi) tells logged steps from those that the user policy pi generates on the same
pages, and the policy is rewarded with log D - log(1 - D) = g - log pi. What the paper leaves open:

- g and its shaping terms: see ``recgym.users.advantages``.
- The state that D reads is the user policy's encoding of the history, without gradient, and D's pi
  is that of the mean of z.
- Users choose on logged pages, one after another; the items they click become their history.

It starts at the maximum-likelihood fit, whose likelihood the policy goes on raising beside Eq. 2.
Guards: inputs of the discriminator, and the policy's reward, are divided by running scales; the
discriminator has several updates for one of the policy, on generated steps from a replay; users who
leave stay in an absorbing state that has a reward of its own, so that the length of a session tells
nothing by itself; accuracy and reward scale are reported for every round.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.users import meta
from recgym.users.advantages import (
    Running,
    advantages,
    adversary_shapes,
    folded,
    returns_of,
    situations,
)
from recgym.users.gan import Params
from recgym.users.item_table import ItemTable
from recgym.users.likelihood import (
    BestSoFar,
    FitConfig,
    Task,
    batches,
    maximise_likelihood,
    validation_blocks,
)
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_learning import Contexts, MetaTensors, normal_divergence
from recgym.users.rollouts import Steps, generated, logged, policy_logits

DISCRIMINATOR = ("reward.", "shaping.", "absorbing.")
"""Beginnings of the names of its parameters."""


@dataclass(frozen=True)
class Round:
    """What a report says of a round."""

    accuracy: float
    """share of steps, half of them logged, half generated, that D tells rightly"""
    reward_scale: float
    """standard deviation of the policy's reward, g - log pi, in nats"""
    log_likelihood: float
    """of the user policy, a validation page"""
    reward_log_likelihood: float
    """of choices by the softmax of the recovered reward, a validation page"""


class Game:
    """The two players of one fit, and what they have seen."""

    def __init__(
        self, config: MetaUserConfig, fit: FitConfig, task: Task, params: dict[str, Tensor]
    ) -> None:
        """Starts from the parameters of a maximum-likelihood fit, and a discriminator at random."""
        self.config, self.fit = config, fit
        rng = task.stream("adversary")
        self.tensors = MetaTensors(config, task.pages, fit.meta, rng, fit.dtype)
        self.params = {name: value.detach().clone() for name, value in params.items()}
        for name, shape in adversary_shapes(config).items():
            reach = shape[-1] ** -0.5 if name.startswith("shaping.") else 0.0
            start = rng.uniform(-reach, reach, size=shape)
            self.params[name] = torch.tensor(start, dtype=fit.dtype)
        trained = [name for name in self.params if name != "encoder.reward"]
        for name in trained:
            self.params[name].requires_grad_()
        theirs = [self.params[name] for name in trained if name.startswith(DISCRIMINATOR)]
        users = [self.params[name] for name in trained if not name.startswith(DISCRIMINATOR)]
        self.discriminator = torch.optim.AdamW(
            theirs, lr=fit.meta.discriminator_rate, weight_decay=fit.meta.discriminator_decay
        )
        self.policy = torch.optim.AdamW(
            users, lr=fit.meta.policy_rate, weight_decay=fit.weight_decay
        )
        self.inputs = Running(config.situation_size, fit.dtype)
        self.payment = Running(1, fit.dtype)
        self.replay: Steps | None = None

    def play(self, features: Tensor, chosen: Array) -> tuple[float, float]:
        """Lets both players learn from some sequences.

        Args:
            features: (N, D) frozen item features.
            chosen: (G,) numbers of sequences.

        Returns:
            The discriminator's accuracy before its last update, and the spread of g - log pi.
        """
        page = torch.from_numpy(self.tensors.sequences.page[chosen])
        tables = meta.prepare(self.config, self.params, features)
        contexts = self.tensors.contexts(tables, chosen)
        drawn = contexts.drawn.detach()
        real, is_there = logged(self.tensors, page, drawn)
        real = real.select(is_there.flatten())
        made, there = generated(self.tensors, tables, page, drawn)
        self._remember(made.select(there.flatten()))
        self.inputs.read(situations(tables, real.history, real.context))
        accuracy = 0.0
        for _ in range(self.fit.meta.discriminator_steps):
            accuracy = self._discriminate(features, real)
        with torch.no_grad():
            paid = self._logits(features, made)
        self.payment.read(paid[there.flatten()][:, None])
        scale = self.payment.deviation.clamp(min=1.0)
        ahead = returns_of(paid.reshape(page.shape) / scale, there, self.fit.meta.discount)
        self._improve(tables, contexts, page, made, there, ahead)
        return accuracy, float(self.payment.deviation)

    def _discriminate(self, features: Tensor, real: Steps) -> float:
        """One update by Eq. 3, on as many generated steps as there are logged ones."""
        assert self.replay is not None
        draws = self.tensors.rng.integers(len(self.replay.page), size=len(real.page))
        both = Steps.joined([real, self.replay.select(torch.from_numpy(draws))])
        logits = self._logits(features, both)
        is_real = torch.zeros_like(logits)
        is_real[: len(real.page)] = 1.0
        loss = functional.binary_cross_entropy_with_logits(logits, is_real)
        self.discriminator.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.discriminator.step()
        return float(((logits > 0) == (is_real > 0)).double().mean())

    def _logits(self, features: Tensor, steps: Steps) -> Tensor:
        """Returns the logit of D, g - log pi, with a gradient for the discriminator alone."""
        own = folded(self.params, self.inputs)
        tables = meta.prepare(self.config, own, features)
        discount = self.fit.meta.discount
        g = advantages(self.config, own, tables, self.tensors, steps, discount)
        with torch.no_grad():
            chance = self._log_policy(tables, steps, steps.context)
        return g - chance

    def _log_policy(self, tables: Params, steps: Steps, context: Tensor) -> Tensor:
        """Returns log pi(x | s, A, c) of steps (M,), 0 in the absorbing state."""
        state = {"history": steps.history, "context": context}
        logits = policy_logits(self.tensors, tables, state, steps.page)
        taken = logits.log_softmax(dim=1).gather(1, steps.choice[:, None])[:, 0]
        return torch.where(steps.over, 0.0, taken)

    def _improve(
        self,
        tables: Params,
        contexts: Contexts,
        page: Tensor,
        made: Steps,
        there: Tensor,
        ahead: Tensor,
    ) -> None:
        """One update of the user policy: Eq. 2 by its gradient, and the log's likelihood.

        Args:
            tables: from ``meta.prepare``, with a gradient.
            contexts: of the G sequences.
            page: (G, T) pages of the log.
            made: the G * T steps that were generated.
            there: (G, T) which of them there are.
            ahead: (G, T) what they and all that follow are worth.
        """
        count = there.sum(dim=0).clamp(min=1)
        advantage = ahead - (ahead * there).sum(dim=0) / count
        context = contexts.drawn.repeat_interleave(page.shape[1], dim=0)
        chance = self._log_policy(tables, made, context)
        gained = (advantage.flatten() * chance)[there.flatten()].mean()
        row, column = torch.nonzero(page >= 0, as_tuple=True)
        shown = page[row, column]
        bound = self.tensors.bound(self.params, tables, contexts.drawn[row], shown).mean()
        divergence = normal_divergence(contexts.mean, contexts.variance).sum() / len(shown)
        likely = bound - self.fit.meta.context_weight * divergence
        self.policy.zero_grad(set_to_none=True)
        torch.autograd.backward(-gained - self.fit.meta.likelihood_weight * likely)
        self.policy.step()

    def _remember(self, made: Steps) -> None:
        """Keeps the latest generated steps for the discriminator."""
        kept = [made] if self.replay is None else [self.replay, made]
        latest = torch.arange(-self.fit.meta.replay, 0)
        joined = Steps.joined(kept)
        self.replay = joined.select(latest[-len(joined.page) :])


def fit_member(
    config: MetaUserConfig,
    fit: FitConfig,
    task: Task,
    items: ItemTable | Tensor,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, Tensor], Tensor]:
    """Fits one member: maximum likelihood, and the game from there; what it reports is noted.

    Args:
        config: the model's shape.
        fit: how.
        task: the pages; its notes get "adversary", a ``Round`` for each.
        items: item features to learn, or (N, D) frozen features.
        on_epoch: called with the number of the epoch or round, and its validation score.

    Returns:
        The arrays of ``meta.shapes``, and the item features.
    """
    params, features = maximise_likelihood(config, fit, task, items, on_epoch)
    params, task.notes["adversary"] = recover(config, fit, task, params, features, on_epoch)
    return params, features


def recover(
    config: MetaUserConfig,
    fit: FitConfig,
    task: Task,
    params: dict[str, Tensor],
    features: Tensor,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Recovers the reward by the game, from the maximum-likelihood user policy.

    Args:
        config: the model's shape.
        fit: how.
        task: the pages.
        params: of the maximum-likelihood fit.
        features: (N, D) frozen item features.
        on_epoch: called with the number of the round and its validation score: the mean of the
            log-likelihoods that the policy and the softmax of the reward give the pages.

    Returns:
        The model's parameters after the round that was best by that score, and every round's
        ``Round``. What is not finite ends the game, with a warning.

    Raises:
        RecGymError: it was not finite in the first round.
    """
    game = Game(config, fit, task, params)
    rng = task.stream("game")
    best = BestSoFar(fit.patience, fit.margin)
    reports: list[dict[str, float]] = []
    names = list(meta.shapes(config))
    for number in range(fit.meta.rounds):
        told = []
        for batch in batches(config, fit, task, rng):
            sequences = np.unique(game.tensors.sequences.of_page[batch.numpy()])
            told.append(game.play(features, sequences))
        accuracy, scale = np.mean(told, axis=0)
        found = folded(game.params, game.inputs)
        by_policy, by_reward = validation_likelihoods(game.tensors, found, features, task)
        means = float(by_policy.mean()), float(by_reward.mean())
        if not np.isfinite([*means, accuracy, scale]).all():
            where = f"fitting {task.name!r}: the game diverges in round {number}"
            if not best.params:
                raise RecGymError(f"{where}; fit with a smaller discriminator_rate or policy_rate")
            warnings.warn(f"{where}; the best parameters so far are kept", stacklevel=2)
            break
        reports.append(asdict(Round(float(accuracy), float(scale), *means)))
        scores = 0.5 * (by_policy + by_reward)
        on_epoch(number, float(scores.mean()))
        if best.stops(scores, found, features):
            break
    return {name: (best.params or params)[name] for name in names}, reports


@torch.no_grad()
def validation_likelihoods(
    tensors: MetaTensors, params: dict[str, Tensor], features: Tensor, task: Task
) -> tuple[Array, Array]:
    """Returns the log-likelihood of each validation page by the policy, and by r's softmax."""
    by_policy: list[Tensor] = []
    by_reward: list[Tensor] = []
    for block in validation_blocks(task.validation):
        logits, rewards = tensors.respond(params, features, block)
        options = torch.where(logits.isfinite(), rewards, -torch.inf)
        for values, found in ((logits, by_policy), (options, by_reward)):
            target = tensors.target[block]
            found.append(-functional.cross_entropy(values, target, reduction="none"))
    return torch.cat(by_policy).numpy(), torch.cat(by_reward).numpy()
