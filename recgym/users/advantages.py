"""What the adversary of a meta-level user model says of a step: g(s, x, A, c) of M3Rec.

g = r(s, x, c) - log sum_{a in A} exp r(s, a, c) + gamma h(s', c) - h(s, c). In the paper g is r and
the shaping terms alone. But a user's state is what she remembers *and* what she is shown, so the
potential that shapes her reward is a function of both. One of s alone cannot hold the normaliser of
a choice among the items of A, which r then would have to. For users who choose by the softmax of r
that normaliser is the logarithm of its sum over the options (the outside option is one of them), so
it is taken as that; h holds what users who look ahead add. With gamma = 0 and h = 0, g is the
logarithm of a choice probability.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from recgym.arrays import remember
from recgym.users import meta
from recgym.users.gan import Params
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_learning import MetaTensors
from recgym.users.rollouts import Steps

TINY = 1e-6
"""Deviation below which an input is taken to be constant."""


class Running:
    """Mean and standard deviation of rows, over all that came so far."""

    def __init__(self, size: int, dtype: torch.dtype) -> None:
        """Starts with a mean of 0 and a deviation of 1."""
        self.count = 0
        self.mean = torch.zeros(size, dtype=dtype)
        self.deviation = torch.ones(size, dtype=dtype)
        self._squares = torch.zeros(size, dtype=dtype)

    def read(self, rows: Tensor) -> None:
        """Takes note of rows (M, size)."""
        self.count += len(rows)
        before = rows - self.mean
        self.mean = self.mean + before.sum(dim=0) / self.count
        self._squares = self._squares + (before * (rows - self.mean)).sum(dim=0)
        deviation = (self._squares / self.count).sqrt()
        self.deviation = torch.where(deviation > TINY, deviation, torch.ones_like(deviation))


def adversary_shapes(config: MetaUserConfig) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of what the discriminator has beside the reward: h, and the end."""
    return {
        "shaping.state": (config.units, config.situation_size),
        "shaping.bias0": (config.units,),
        "shaping.output": (config.units,),
        "absorbing.reward": (1,),
        "absorbing.value": (1,),
    }


def folded(params: dict[str, Tensor], scale: Running) -> dict[str, Tensor]:
    """Returns parameters that do with plain inputs what these do with normalised ones."""
    found = dict(params)
    for net in ("reward", "shaping"):
        weight = params[f"{net}.state"] / scale.deviation
        found[f"{net}.state"] = weight
        found[f"{net}.bias0"] = params[f"{net}.bias0"] - weight @ scale.mean
    return found


def advantages(
    config: MetaUserConfig,
    params: dict[str, Tensor],
    tables: Params,
    tensors: MetaTensors,
    steps: Steps,
    discount: float,
) -> Tensor:
    """Returns g (M,) of steps.

    Args:
        config: the model's shape.
        params: folded parameters of the discriminator.
        tables: from ``meta.prepare`` of the same; what it reads of the policy has no gradient.
        tensors: the log.
        steps: M steps.
        discount: gamma.
    """
    slates = tensors.slates[steps.page]
    situation = situations(tables, steps.history, steps.context)
    rewards = tensors.masked(meta.rewards(config, tables, situation, slates), steps.page)
    if config.outside is None:
        rewards = functional.pad(rewards[:, :-1], (0, 1), value=-torch.inf)
    slot = steps.choice.clamp(max=slates.shape[1] - 1)
    item = slates.gather(1, slot[:, None])[:, 0]
    after = remember(steps.history, torch.where(steps.choice < slates.shape[1], item, -1))
    value_before = shaping(params, situation)
    value_after = shaping(params, situations(tables, after, steps.context))
    absorbed = params["absorbing.value"]
    value_after = torch.where(steps.leaves, absorbed, value_after)
    g = (
        rewards.log_softmax(dim=1).gather(1, steps.choice[:, None])[:, 0]
        + discount * value_after
        - value_before
    )
    stays = params["absorbing.reward"] + (discount - 1.0) * absorbed
    return torch.where(steps.over, stays, g)


def situations(tables: Params, history: Tensor, context: Tensor) -> Tensor:
    """Returns what the discriminator reads of users (M, E + C), without gradient."""
    found: Tensor = meta.situations(tables, {"history": history, "context": context})
    return found.detach()


def shaping(params: dict[str, Tensor], situation: Tensor) -> Tensor:
    """Returns h(s, c), (M,)."""
    hidden = torch.tanh(situation @ params["shaping.state"].T + params["shaping.bias0"])
    return hidden @ params["shaping.output"]


def returns_of(rewards: Tensor, there: Tensor, discount: float) -> Tensor:
    """Returns the discounted rewards of steps and all that follow them, both (G, T)."""
    found = torch.zeros_like(rewards)
    ahead = torch.zeros_like(rewards[:, 0])
    for step in reversed(range(rewards.shape[1])):
        ahead = torch.where(there[:, step], rewards[:, step] + discount * ahead, 0.0)
        found[:, step] = ahead
    return found
