"""A fitted user model as agents read it: what users answer, and what their clicks are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.simulators.ensemble import lower_bound
from recgym.users import FittedUserModel, gan
from recgym.users.gan import GANUserConfig
from recgym.users.identified import level_to_hold, respond_identified, with_level
from recgym.users.similarity import compared_with
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.checkpointing import Arrays, within
from recgym_agents.networks.paper_heads import score_eager

ROWS = 64
"""Users for whom the whole catalogue is scored at once, where it takes much memory."""


class Answers(NamedTuple):
    """What B users do with every item; the last column is "no item"."""

    logits: Tensor
    """Of a click on it, (B, N + 1), in any slate; clicking none has 0, where that can be."""
    rewards: Tensor
    """Of that click, (B, N + 1)."""


class KnownUser(nn.Module):
    """One member of a user model of the GAN kind, with nothing to learn.

    Args:
        config: the model's shape.
        tables: from ``gan.prepare``; from ``with_level`` for identified rewards.
    """

    def __init__(self, config: GANUserConfig, tables: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.config = config
        for name, table in tables.items():
            self.register_buffer(name.replace(".", "/"), torch.as_tensor(table))

    @classmethod
    def of(cls, model: FittedUserModel, member: str) -> Self:
        """Returns a member that pays identified rewards, as environments do by default."""
        config, features, params = model.config, model.features, model.members[member]
        assert isinstance(config, GANUserConfig)
        split = "test" if member == "test" else "train"
        held = level_to_hold(config, model.members[split], features, model.histories[split])
        tables = gan.prepare(config, params, features)
        return cls(config, with_level(tables, held, model.level_share))

    @classmethod
    def stored(cls, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Returns the one whose configuration and ``state_dict`` were stored."""
        shape = gan.GANUserConfig(**(dict(config) | {"hidden": tuple(config["hidden"])}))
        return cls(shape, {name.replace("/", "."): array for name, array in arrays.items()})

    @property
    def none(self) -> float:
        """The logit of clicking none."""
        return 0.0 if self.config.no_click else -torch.inf

    @torch.no_grad()
    def forward(self, history: Tensor) -> Answers:
        """Returns what users do.

        Args:
            history: (B, W) ids of clicked items, the last click last, padded with N on the left.
        """
        tables, state = self._read(history)
        n_items = len(tables["features"]) - 1
        encoding = gan.encode(self.config, tables, state)
        rewards = self._utilities(tables, "reward", encoding)
        if self.config.similarity:
            items = tables["similarity.items"][: rewards.shape[1]]
            rewards = rewards + compared_with(tables, state["history"]) @ items.T
        logits = self.config.eta * rewards[:, : n_items + 1]
        if self.config.regularizer == "l2":
            logits = self._utilities(tables, "behaviour", encoding)
        if "reward.level" in tables:  # the last column is then the state's level
            dropped = tables["reward.dropped"] * (rewards[:, -1:] - tables["reward.level"])
            rewards = rewards[:, :-1] - dropped
        return Answers(logits, rewards)

    @torch.no_grad()
    def reward_of(self, history: Tensor, item: Tensor) -> Tensor:
        """Returns what clicks on items (B,) are worth, (B,); 0 where it is -1, no click."""
        tables, state = self._read(history)
        respond = respond_identified if "reward.level" in tables else gan.respond
        _, rewards = respond(self.config, tables, state, item.clamp(min=0)[:, None])
        return torch.where(item < 0, 0.0, rewards[:, 0])

    def _read(self, history: Tensor) -> tuple[gan.Params, gan.State]:
        tables = {name.replace("/", "."): table for name, table in self.named_buffers()}
        missing = max(self.config.window - history.shape[1], 0)
        history = functional.pad(history, (missing, 0), value=len(tables["features"]) - 1)
        return tables, gan.initial(self.config, tables, history)

    def _utilities(self, tables: gan.Params, net: str, encoding: Tensor) -> Tensor:
        """Returns v' sigma(V [s; f] + b), without similarity, of every row of a net's items."""
        items: Tensor = tables[f"{net}.items"]
        if self.config.activation == "relu" and len(self.config.hidden) == 1:
            # One hidden layer has the form of a Q-network of the paper, whose scan is faster.
            base = encoding @ tables[f"{net}.state"]
            return score_eager(items, base, tables[f"{net}.output"])
        every = torch.arange(len(items), device=items.device)
        parts = [
            gan.utilities(self.config, tables, net, some, every.expand(len(some), -1))
            for some in (encoding[i : i + ROWS] for i in range(0, len(encoding), ROWS))
        ]
        return torch.cat(parts)


class AgreedUser(nn.Module):
    """Several members of a user model: who they all agree that a user is.

    Which of them answers in an episode is not known. They are taken for one user, whose logits are
    their mean, and whose clicks are worth their mean less some standard deviations.

    Args:
        members: of one user model.
        pessimism: standard deviations of the members' rewards that are taken off their mean.
    """

    def __init__(self, members: Sequence[KnownUser], pessimism: float) -> None:
        super().__init__()
        self.members: Any = nn.ModuleList(members)  # of KnownUser
        self.pessimism = pessimism
        self.config = members[0].config
        self.none = members[0].none

    def forward(self, history: Tensor) -> Answers:
        """Returns what users do, see ``KnownUser.forward``."""
        answers = [member(history) for member in self.members]
        logits = torch.stack([one.logits for one in answers]).mean(0)
        return Answers(logits, lower_bound([one.rewards for one in answers], self.pessimism))

    def reward_of(self, history: Tensor, item: Tensor) -> Tensor:
        """Returns what clicks on items (B,) are worth, (B,); 0 where it is -1, no click."""
        rewards = [member.reward_of(history, item) for member in self.members]
        found: Tensor = lower_bound(rewards, self.pessimism)
        return found


def known_user_of(spec: EnvironmentSpec) -> KnownUser | AgreedUser | None:
    """Returns the user of an environment's user model, if it is of the GAN kind."""
    model = spec.user_model
    if model is None or not isinstance(model.config, GANUserConfig):
        return None
    members = [KnownUser.of(model, name) for name in spec.user_members]
    return members[0] if len(members) == 1 else AgreedUser(members, spec.pessimism)


def known_user_info(user: KnownUser | AgreedUser) -> dict[str, Any]:
    """Returns what is stored of a user beside her arrays."""
    info: dict[str, Any] = {"user_model": asdict(user.config)}
    if isinstance(user, AgreedUser):
        info |= {"members": len(user.members), "pessimism": user.pessimism}
    return info


def stored_known_user(info: Mapping[str, Any], arrays: Arrays) -> KnownUser | AgreedUser:
    """Returns the user of whom ``known_user_info`` and the ``state_dict`` were stored."""
    if "members" not in info:
        return KnownUser.stored(info["user_model"], arrays)
    members = [
        KnownUser.stored(info["user_model"], within(arrays, f"members.{number}."))
        for number in range(info["members"])
    ]
    return AgreedUser(members, info["pessimism"])
