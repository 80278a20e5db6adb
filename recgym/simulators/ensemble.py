"""Several models of users as one simulator: each episode is played in one of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from recgym.arrays import Array, in_backend, namespace
from recgym.simulators.base import Liking, Noise, Response, State

if TYPE_CHECKING:
    from recgym.simulators.learned_user import LearnedUser

SHARED = ("history", "user", "step")
"""What the states of all members have in common, as they are shown the same clicks."""


class Ensemble:
    """Draws one of M models for each episode, which answers and rewards.

    All members are evaluated on all rows, and each row keeps its own member's answer, so that no
    shape depends on which members were drawn. The state gains "member", int64 (B,).

    Args:
        members: of one user model: same items, slates, users, observations and state.
    """

    def __init__(self, members: Sequence[LearnedUser]) -> None:
        first = members[0]
        self.members = list(members)
        self.n_items, self.slate_size, self.horizon = first.n_items, first.slate_size, first.horizon
        self.n_users = first.n_users
        self.reset_noise = (first.reset_noise[0] + 1, first.reset_noise[1])
        self.step_noise = first.step_noise
        self.observation_space = first.observation_space
        self.action_space = first.action_space
        self.item_features = first.item_features
        self.info_names: tuple[str, ...] = (*first.info_names, "member")

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one episode a row; the last uniform draws its member."""
        own = Noise(noise.uniform[:, :-1], noise.normal)
        xp = namespace(noise.uniform)
        member = xp.asarray(noise.uniform[:, -1] * len(self.members), dtype=xp.int64)
        states = [simulator.reset(own, users) for simulator in self.members]
        return self._joined(member, states) | {"member": member}

    def observe(self, state: State) -> Array:
        """Returns observations, which are the same function of the state in every member."""
        return self.members[0].observe(state)

    def step(self, state: State, action: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates to every member, and keeps each row's own."""
        member = state["member"]
        steps = [
            simulator.step(own, action, noise)
            for simulator, own in zip(self.members, self._states(state), strict=True)
        ]
        response = _of_member(member, [answer._asdict() for _, answer in steps])
        after = self._joined(member, [after for after, _ in steps])
        return after | {"member": member}, Response(**response)

    def liking(self, state: State) -> Liking:
        """Returns what the users like, each as her member says."""
        found = [
            simulator.liking(own)
            for simulator, own in zip(self.members, self._states(state), strict=True)
        ]
        values = _of_member(state["member"], [{"values": one.values} for one in found])
        return found[0]._replace(values=values["values"])

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""
        moved = copy.copy(self)
        moved.members = [simulator.to(backend, device) for simulator in self.members]
        return moved

    def _states(self, state: State) -> list[State]:
        """Returns the state as each member reads it; only that of a row's own member is true."""
        inner = {name: values for name, values in state.items() if name != "member"}
        return [inner] * len(self.members)

    def _joined(self, member: Array, states: Sequence[State]) -> State:
        """Returns what is kept of the members' states, but for "member"."""
        return _of_member(member, states)


class PessimisticEnsemble(Ensemble):
    """Rewards what all members agree on: their mean reward less some standard deviations.

    One of M models is drawn for each episode, and chooses. A choice is rewarded with the mean of
    all members' rewards, less ``pessimism`` times their standard deviation (that of the M, not an
    estimate from a sample). Every member reads the same clicks, so the state holds each one's own,
    as "hidden.0", "hidden.1", ..

    Every slate may be rewarded with a bonus as well, clicked or not, which depends on the item that
    was clicked last when the user has answered it (Gao et al., SIGIR 2023).

    Args:
        members: as in ``Ensemble``; their rewards are not drawn.
        pessimism: standard deviations taken off, at least 0.
        bonus: (N + 1,) float32 by the item clicked last, N for none; None for no bonus.
    """

    def __init__(
        self, members: Sequence[LearnedUser], pessimism: float, bonus: Array | None = None
    ) -> None:
        super().__init__(members)
        self.pessimism, self.bonus = pessimism, bonus

    def step(self, state: State, action: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates to every member; each row's own chooses, and all of them reward."""
        member, states = state["member"], self._states(state)
        scores = [
            simulator.score(own, action)
            for simulator, own in zip(self.members, states, strict=True)
        ]
        logits = _of_member(member, [{"logits": logits} for logits, _ in scores])["logits"]
        rewards = lower_bound([rewards for _, rewards in scores], self.pessimism)
        response = self.members[0].settle(state, action, logits, rewards, noise)
        after = [
            simulator.follow(own, response.item, noise)
            for simulator, own in zip(self.members, states, strict=True)
        ]
        if self.bonus is not None:
            bonus = self.bonus[after[0]["history"][:, -1]]
            response = response._replace(reward=response.reward + bonus)
        return self._joined(member, after) | {"member": member}, response

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""
        moved = super().to(backend, device)
        if self.bonus is not None:
            moved.bonus = in_backend(self.bonus, backend, device)
        return moved

    def _states(self, state: State) -> list[State]:
        """Returns the state of each member."""
        shared = {name: state[name] for name in SHARED}
        return [
            shared | {name: state[f"{name}.{number}"] for name in self._own_names(state)}
            for number in range(len(self.members))
        ]

    def _joined(self, member: Array, states: Sequence[State]) -> State:
        """Returns what the members' states share, and each one's own."""
        joined = {name: states[0][name] for name in SHARED}
        for number, state in enumerate(states):
            joined |= {
                f"{name}.{number}": values for name, values in state.items() if name not in SHARED
            }
        return joined

    def _own_names(self, state: State) -> list[str]:
        """Returns what each member's state has beside what is shared."""
        return [name.removesuffix(".0") for name in state if name.endswith(".0")]


def lower_bound(rewards: Sequence[Array], pessimism: float) -> Array:
    """Returns the mean of arrays, less ``pessimism`` times their standard deviation."""
    xp: Any = namespace(rewards[0])
    stacked = xp.stack(rewards)
    return xp.mean(stacked, axis=0) - pessimism * xp.std(stacked, axis=0)


def _of_member(member: Array, versions: Sequence[State]) -> State:
    """Returns each row (B, ...) of each array from its member's version."""
    own = dict(versions[0])
    for number, version in enumerate(versions[1:], start=1):
        for name, values in version.items():
            mine = (member == number).reshape(-1, *[1] * (values.ndim - 1))
            own[name] = namespace(values).where(mine, values, own[name])
    return own
