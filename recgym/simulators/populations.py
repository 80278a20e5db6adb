"""Named populations of RecSim's worlds: users who differ, so that it pays to know them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from recgym.errors import RecGymError
from recgym.simulators.arguments import one_of

RECSIM = "recsim"
"""The population that a world's arguments describe, by default RecSim's own."""
EVOLUTION: dict[str, Any] = {
    "num_topics": 12,
    "time_budget": 60.0,
    "no_click_mass": 1.0,
    "step_penalty": 2.0,
    "min_utility": -0.5,
    "max_utility": 0.5,
}
TOPICS = 8
"""Topics of interest exploration, and types of its users: each likes one topic."""
LIKES, DISLIKES = 1.5, 0.9
"""Mean logarithm of the affinity to the topic that a type likes, and to the others."""
TASTES = [[LIKES if topic == own else DISLIKES for topic in range(TOPICS)] for own in range(TOPICS)]
EXPLORATION: dict[str, Any] = {
    "no_click_mass": 6.0,
    "topic_distribution": [1.0 / TOPICS] * TOPICS,
    "topic_quality_mean": [0.0] * TOPICS,
    "topic_quality_stddev": [0.2] * TOPICS,
}
POPULATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "interest-evolution": {
        "train": EVOLUTION | {"user_interests": ["choice", -0.9, -0.9, -0.9, -0.9, 0.9]},
        "test": EVOLUTION | {"user_interests": ["choice", -1.0, -0.8, -0.8, -0.6, -0.6, 0.7, 1.0]},
    },
    "interest-exploration": {
        "train": EXPLORATION
        | {
            "user_type_distribution": [1.0 / TOPICS] * TOPICS,
            "user_document_mean_affinity_matrix": TASTES,
            "user_document_stddev_affinity_matrix": [[0.1] * TOPICS] * TOPICS,
        },
        "test": EXPLORATION
        | {
            "user_type_distribution": [0.2, 0.05, 0.2, 0.05, 0.2, 0.05, 0.2, 0.05],
            "user_document_mean_affinity_matrix": TASTES,
            "user_document_stddev_affinity_matrix": [[0.2] * TOPICS] * TOPICS,
        },
    },
}
"""World -> population -> the arguments that it sets."""


def in_population(
    world: str, population: str, build: Callable[..., Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns arguments of a world with those that a population sets.

    Args:
        world: its name among the simulators.
        population: "recsim" to leave the arguments as they are, or one of the world's.
        build: has the arguments' defaults.
        given: the arguments that populations set, by name.

    Raises:
        RecGymError: no such population, or an argument that it sets was given another value.
    """
    known = POPULATIONS[world]
    if one_of("population", population, (RECSIM, *known)) == RECSIM:
        return dict(given)
    defaults = inspect.signature(build).parameters
    for name, value in given.items():
        if name in known[population] and value != defaults[name].default:
            raise RecGymError(
                f"population={population!r} sets {name}, and {name}={value!r} is given: leave one"
                " of them out"
            )
    return dict(given) | known[population]
