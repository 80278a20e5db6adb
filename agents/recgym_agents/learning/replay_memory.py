"""The memory that off-policy agents learn from (experience replay)."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym_agents.agent import EnvironmentSpec, Transitions
from recgym_agents.checkpointing import Arrays, Checkpointed


class Replay(Checkpointed):
    """The last ``capacity`` transitions, sampled uniformly with replacement."""

    def __init__(self, capacity: int, spec: EnvironmentSpec) -> None:
        self.capacity, self.written = capacity, 0
        observed = np.zeros((capacity, spec.window), np.int32 if spec.ids else np.float32)
        self.memory = Transitions(
            observation=observed,
            slate=np.zeros((capacity, spec.slate_size), np.int32),
            item=np.zeros(capacity, np.int32),
            reward=np.zeros(capacity, np.float32),
            terminated=np.zeros(capacity, np.bool_),
            next_observation=observed.copy(),
            next_slate=np.full((capacity, spec.slate_size), -1, np.int32),
        )

    def __len__(self) -> int:
        """How many transitions there are to sample from."""
        return min(self.written, self.capacity)

    def add(self, new: Transitions) -> None:
        """Stores B transitions over the oldest ones; what was shown next is yet to be told."""
        new = new._replace(next_slate=np.full_like(new.slate, -1))
        rows = self._last(len(new.reward), after=self.written + len(new.reward))
        for memory, values in zip(self.memory, new, strict=True):
            memory[rows] = values
        self.written += len(rows)

    def follow(self, slate: np.ndarray) -> None:
        """Tells what was shown (B, K) after the B transitions that were stored last."""
        self.memory.next_slate[self._last(len(slate), after=self.written)] = slate

    def _last(self, count: int, after: int) -> np.ndarray:
        """Returns the rows of the last transitions, once there were ``after``."""
        rows: np.ndarray = (after - count + np.arange(count)) % self.capacity
        return rows

    def sample(self, rng: np.random.Generator, size: int) -> Transitions:
        """Draws ``size`` transitions."""
        rows = rng.integers(len(self), size=size)
        return Transitions(*(memory[rows] for memory in self.memory))

    def state(self) -> tuple[Arrays, Any]:
        """Returns what is filled of the memory, and how much was ever written."""
        filled = self.memory._asdict().items()
        return {name: values[: len(self)] for name, values in filled}, {"written": self.written}

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        for name, values in self.memory._asdict().items():
            values[: len(arrays[name])] = arrays[name]
        self.written = info["written"]
