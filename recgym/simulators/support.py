"""Support: sequences of slates that a user was shown before, handed over when her episode begins.

A world that hides what its users like can tell of it all the same: by what a logging policy showed
the same user earlier, and what she clicked. Agents may adapt to her before the first slate.
"""

from __future__ import annotations

from typing import Protocol

from recgym.arrays import Array, namespace
from recgym.simulators.arguments import whole
from recgym.simulators.base import Noise, Response, State
from recgym.simulators.distributions import Columns, noise_of

INFO_NAMES = ("support", "support_reward", "support_features")
"""The entries of infos in which support is handed over."""


class Renewing(Protocol):
    """A world whose candidates are drawn, once or at every step; see ``Simulator`` for the rest."""

    n_items: int
    slate_size: int
    step_noise: tuple[int, int]

    def observe(self, state: State) -> Array:
        """See ``Simulator.observe``."""

    def step(self, state: State, slate: Array, noise: Noise, /) -> tuple[State, Response]:
        """See ``Simulator.step``."""

    def renewed(self, state: State, columns: Columns) -> State:
        """Returns a state with candidates drawn anew, where they are not the same throughout."""

    def candidates(self, observation: Array) -> Array:
        """Returns the candidates' features (B, N, D) in observations."""


class SupportPlan:
    """S sequences of at most T slates, each of K random candidates.

    Args:
        sequences: S, as the argument ``support`` gives it.
        steps: T, as the argument ``support_steps`` gives it.
        n_items: candidates, N.
        documents: uniforms and normals that drawing the candidates takes.
        step_noise: uniforms and normals that a step of the world takes.

    Raises:
        RecGymError: an argument out of its range.
    """

    def __init__(
        self,
        sequences: int,
        steps: int,
        n_items: int,
        documents: tuple[int, int],
        step_noise: tuple[int, int],
    ) -> None:
        self.sequences = whole("support", sequences, 0)
        self.steps = whole("support_steps", steps, 1)
        uniforms, normals = noise_of((n_items, 0), step_noise)
        self._of_sequence = noise_of(documents, (self.steps * uniforms, self.steps * normals))
        uniforms, normals = self._of_sequence
        self.noise = self.sequences * uniforms, self.sequences * normals
        """Uniforms and normals that the support of one user takes."""
        self.info_names = INFO_NAMES if self.sequences else ()
        """The entries of the state that are handed over."""

    def gathered(self, world: Renewing, state: State, columns: Columns) -> State:
        """Returns the support of users whose episodes begin: more entries of their state.

        Every sequence begins with the user as she is when the episode begins, and is over when she
        leaves. All ordered sets of K candidates are equally likely to be shown.

        Args:
            world: where they are shown the slates.
            state: of B users.
            columns: of which ``noise`` are taken.

        Returns:
            "support" int64 (B, S, T, K + 1): the places of what was shown among the candidates, and
            the clicked slot, -1 for none; all are -1 at steps that are not there. "support_reward"
            float32 (B, S, T) and "support_features" float32 (B, S, T, K, D), 0 there. Nothing
            without sequences.
        """
        if not self.sequences:
            return {}
        xp, n_users = namespace(state["step"]), len(state["step"])
        row = xp.arange(n_users * self.sequences, device=state["step"].device)
        user = row // self.sequences
        uniforms, normals = self._of_sequence
        drawn = (
            columns.uniform(uniforms * self.sequences),
            columns.normal(normals * self.sequences),
        )
        luck = Columns(Noise(*(part.reshape(len(row), -1) for part in drawn)))
        state = world.renewed({name: values[user] for name, values in state.items()}, luck)
        going = row >= 0
        pages, rewards, features = [], [], []
        for _ in range(self.steps):
            slate = xp.argsort(luck.uniform(world.n_items), axis=1)[:, : world.slate_size]
            shown = world.candidates(world.observe(state))
            uniforms, normals = world.step_noise
            noise = Noise(luck.uniform(uniforms), luck.normal(normals))
            state, response = world.step(state, slate, noise)
            page = xp.concat([slate, response.click[:, None]], axis=1)
            pages.append(xp.where(going[:, None], page, -1))
            rewards.append(going * response.reward)
            features.append(going[:, None, None] * shown[row[:, None], slate])
            going = going & ~response.terminated
        shape = (n_users, self.sequences, self.steps)
        whole_arrays = (xp.stack(parts, axis=1) for parts in (pages, rewards, features))
        return {
            name: values.reshape(*shape, *values.shape[2:])
            for name, values in zip(INFO_NAMES, whole_arrays, strict=True)
        }
