"""Several simulators as one: each episode is played in one of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

from recgym.arrays import Array, namespace
from recgym.simulators.base import Noise, Response, Simulator, State


class Ensemble:
    """Draws one of M simulators for each episode.

    All members are evaluated on all rows, and each row keeps its own member's answer, so that no
    shape depends on which members were drawn. The state gains "member", int64 (B,).

    Args:
        members: simulators of one kind: same items, slates, users, observations and state.
    """

    def __init__(self, members: Sequence[Simulator]) -> None:
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
        return self._of_member(member, states) | {"member": member}

    def observe(self, state: State) -> Array:
        """Returns observations, which are the same function of the state in every member."""
        return self.members[0].observe(state)

    def step(self, state: State, action: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates to every member, and keeps each row's own."""
        inner = {name: values for name, values in state.items() if name != "member"}
        steps = [simulator.step(inner, action, noise) for simulator in self.members]
        after = self._of_member(state["member"], [after for after, _ in steps])
        response = self._of_member(state["member"], [answer._asdict() for _, answer in steps])
        return after | {"member": state["member"]}, Response(**response)

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""
        moved = copy.copy(self)
        moved.members = [simulator.to(backend, device) for simulator in self.members]
        return moved

    def _of_member(self, member: Array, versions: Sequence[State]) -> State:
        """Returns each row (B, ...) of each array from its member's version."""
        own = dict(versions[0])
        for number, version in enumerate(versions[1:], start=1):
            for name, values in version.items():
                mine = (member == number).reshape(-1, *[1] * (values.ndim - 1))
                own[name] = namespace(values).where(mine, values, own[name])
        return own
