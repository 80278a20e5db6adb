"""IRecGAN, Figure 3: methods that play in a slate MDP and learn from what they showed, in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.collection import greedy_policy
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import Budget, Cell, Place, Result
from recgym_agents.experiments.irecgan.shared_settings import AS_AUTHORS
from recgym_agents.experiments.irecgan.slate_mdp_sessions import (
    MEASURES,
    PAPER,
    WORLDS,
    env_args,
    exploring_policy,
    make_world,
    measure_both,
    measures,
    sessions_in,
)
from recgym_agents.experiments.irecgan.slate_mdp_yardsticks import KNOWN, measure_known
from recgym_agents.learning.episode_memory import EpisodeMemory
from recgym_agents.learning.loop import check_finite
from recgym_agents.learning.rollout_loop import roll_out
from recgym_agents.zoo import entry_of

LUCK = 1_000
"""Times a seed and one: the first seed of the luck of the sessions that are measured."""
NETWORK = {"cell": "lstm", "layers": 2, "hidden": 64, "embedding": 50, "remove_clicked": False}


@dataclass(frozen=True)
class Method:
    """A line of the figure."""

    agent: str
    online: bool
    """Whether it learns from sessions as they are played."""
    offline: bool
    """Whether it learns from all stored sessions after each iteration."""
    greedy: bool = False
    """Whether it shows what it likes best, and draws nothing."""


METHODS = {
    "PG-online": Method("reinforce", online=True, offline=False),
    "PG-online&offline": Method("reinforce", online=True, offline=True),
    "LSTM-offline": Method("user-lstm", online=False, offline=True),
    "LSTM-offline, greedy": Method("user-lstm", online=False, offline=True, greedy=True),
    "IRecGAN": Method("irecgan", online=True, offline=True),
}
BUDGET: Budget = {
    "seeds": {PAPER: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "concentration .01": [0, 1, 2, 3, 4]},
    "iterations": 20,
    "sessions": 200,
    "round": 20,
    "batch": 100,
    "updates": 10,
    "learning_rate": 0.03,
    "user_learning_rate": 0.01,
    "later": 5,
    "measured": 500,
    "final": 4_000,
    "belief_paths": 1_000,
}
SMOKE: Budget = BUDGET | {
    "seeds": dict.fromkeys(WORLDS, [0, 1]),
    "iterations": 2,
    "sessions": 20,
    "round": 10,
    "batch": 10,
    "updates": 2,
    "later": 1,
    "measured": 20,
    "final": 50,
    "belief_paths": 10,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a method and world, and one a world for what needs no training."""
    return [
        {"world": world, "method": name, "seed": seed}
        for name in (*METHODS, KNOWN)
        for world, seeds in budget["seeds"].items()
        for seed in seeds
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains a method in a world, and measures it before each iteration and at the end."""
    seed = cell["seed"]
    arguments = env_args(cell["world"], seed)
    if cell["method"] == KNOWN:
        luck = LUCK * (seed + 1)
        return measure_known(arguments, budget["final"], budget["belief_paths"], luck)
    return learn(METHODS[cell["method"]], arguments, seed, budget)


def learn(method: Method, arguments: dict[str, Any], seed: int, budget: Budget) -> Result:
    """Plays and learns in turn, ``budget["iterations"]`` times.

    Args:
        method: what learns, and from what.
        arguments: of its world.
        seed: of its networks and its luck.
        budget: sessions of an iteration and of a round, and offline updates of an iteration.

    Returns:
        By iteration, lists of what was measured before it; and ``final``, what ``measure_both``
        returns at the end.
    """
    (env, world), (own, _) = make_world(arguments), make_world(arguments, budget["round"])
    entry = entry_of(method.agent, NETWORK | _settings(method, budget), {})
    agent: Any = entry.builder(entry.config, EnvironmentSpec.of(own), seed)
    shown: Any = _Greedy(agent) if method.greedy else agent
    rng = np.random.default_rng(seed)
    memory = EpisodeMemory(None, world.n_items, budget["batch"], "frequency", rng)
    own.reset(seed=seed)
    found, steps, updates = [], 0, 0
    for iteration in range(budget["iterations"]):
        luck = LUCK * (seed + 1) + iteration
        drawn = sessions_in(env, world, exploring_policy(shown), budget["measured"], luck)
        found.append(measures(drawn))
        for _ in range(budget["sessions"] // budget["round"]):
            played = roll_out(shown, own, budget["round"])
            memory.add(played)
            steps += len(played.reward)
            if method.online:
                updates += 1
                check_finite(agent.update(played.batch(np.arange(len(played)))), updates, steps)
        for _ in range(budget["updates"] if method.offline else 0):
            updates += 1
            check_finite(agent.update(memory.draw()), updates, steps)
    luck = LUCK * (seed + 1) + budget["iterations"]
    policies = greedy_policy(agent), exploring_policy(shown)
    by_iteration: Result = {name: [one[name] for one in found] for name in MEASURES}
    return by_iteration | {"final": measure_both(*policies, arguments, budget["final"], luck)}


class _Greedy:
    """An agent that shows what it likes best, even where slates are to be drawn."""

    def __init__(self, agent: Any) -> None:
        self.agent, self.spec = agent, agent.spec

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the K items that it likes best (B, K), whatever ``explore`` is."""
        slate: np.ndarray = self.agent.act(observation)
        return slate


def _settings(method: Method, budget: Budget) -> dict[str, float]:
    """Returns step sizes, and the settings by which IRecGAN's rounds begin with iteration 2.

    The last fifth of the first iteration's offline updates is the discriminator's.
    """
    rates = {"learning_rate": budget["learning_rate"]}
    if method.agent == "reinforce":
        return rates
    rates["user_learning_rate"] = budget["user_learning_rate"]
    if method.agent == "user-lstm":
        return rates
    of_discriminator = -(-budget["updates"] // 5)
    first = budget["sessions"] // budget["round"] + budget["updates"]
    pretraining = {"pretraining": first - of_discriminator}
    return rates | pretraining | {"discriminator_pretraining": of_discriminator} | AS_AUTHORS
