"""IRecGAN, Figure 2: what is trained on which logs, and how it is measured."""

from __future__ import annotations

from recgym.collection import greedy_policy
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import Budget, Cell, Place, Result
from recgym_agents.experiments.irecgan.figure_2_training import learn_from_log
from recgym_agents.experiments.irecgan.shared_settings import AS_AUTHORS, as_irecgan_is_paid
from recgym_agents.experiments.irecgan.slate_mdp_sessions import (
    LOGGING,
    PAPER,
    WORLDS,
    env_args,
    exploring_policy,
    make_log,
    make_world,
    measure_both,
)
from recgym_agents.experiments.irecgan.slate_mdp_yardsticks import KNOWN, measure_known

ADVERSARIAL = "LSTMD and IRecGAN"
"""The training that has rounds of Algorithm 1."""
TRAININGS = {
    "LSTM": {"LSTM": "user-lstm"},
    "PG": {"PG": "reinforce"},
    ADVERSARIAL: {"IRecGAN": "irecgan", "LSTMD": "user-lstm-d"},
}
"""A training -> the methods that it brings, by the paper's name, and their agents in the zoo; the
first of them learns."""
METHODS = {"LSTM": "LSTM", "PG": "PG", "LSTMD": ADVERSARIAL, "IRecGAN": ADVERSARIAL}
"""The paper's name of a method -> its training."""
ADVERSARY = ("pretraining", "discriminator_pretraining", "discriminator_learning_rate")
"""Settings of the rounds in the budget."""
WATCHED = ("updates", "discriminator_accuracy", "score", "score_share")
"""What is published of the report whose policy was kept."""
LUCK = 1_000
"""Added to a seed for the luck of its test sessions."""
SMALLEST = 200
"""Random logs of this size are where the paper excepts IRecGAN from earning most."""
BUDGET: Budget = {
    "seeds": {PAPER: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "concentration .01": [0, 1, 2, 3, 4]},
    "logs": ["random", "max"],
    "sizes": [1_000, 10_000],
    "network": {"cell": "lstm", "layers": 2, "hidden": 64, "embedding": 50},
    "pretraining": 50,
    "discriminator_pretraining": 20,
    "discriminator_learning_rate": 0.01,
    "updates": 200,
    "reports": 10,
    "patience": 4,
    "sessions": 4_000,
    "belief_paths": 1_000,
}
SMOKE: Budget = BUDGET | {
    "seeds": dict.fromkeys(WORLDS, [0, 1]),
    "sizes": [100],
    "network": {"cell": "lstm", "layers": 1, "hidden": 8, "embedding": 8},
    "pretraining": 4,
    "discriminator_pretraining": 2,
    "updates": 30,
    "reports": 2,
    "sessions": 100,
    "belief_paths": 10,
}
PAPER_BUDGET: Budget = BUDGET | {
    "logs": list(LOGGING),
    "sizes": [SMALLEST, 1_000, 5_000, 10_000],
    "network": {"cell": "lstm", "layers": 2, "hidden": 512, "embedding": 50},
}
"""The paper's logs and networks, which a GPU should train."""


def cells(budget: Budget) -> list[Cell]:
    """One cell a world for what learns nothing, and one a world, log, size and training."""
    worlds = [(world, seed) for world, seeds in budget["seeds"].items() for seed in seeds]
    return [{"world": world, "training": KNOWN, "seed": seed} for world, seed in worlds] + [
        {"world": world, "log": log, "sessions": size, "training": training, "seed": seed}
        for log in budget["logs"]
        for size in budget["sizes"]
        for training in TRAININGS
        for world, seed in worlds
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Measures known policies, or trains on a log and measures the methods that this brings."""
    training, seed = cell["training"], cell["seed"]
    arguments, luck = env_args(cell["world"], seed), LUCK + seed
    if training == KNOWN:
        return measure_known(arguments, budget["sessions"], budget["belief_paths"], luck)
    agents = TRAININGS[training]
    dataset = make_log(cell["log"], cell["sessions"], arguments, seed)
    agent_args = budget["network"] | {"remove_clicked": False}
    if training == ADVERSARIAL:
        agent_args |= {name: budget[name] for name in ADVERSARY} | AS_AUTHORS
    learned = learn_from_log(
        agents,
        as_irecgan_is_paid(dataset, next(iter(agents.values()))),
        EnvironmentSpec.of(make_world(arguments, rows=1)[0]),
        agent_args,
        budget,
        seed,
    )
    found: Result = {}
    for name, (agent, report) in learned.items():
        ours, authors = greedy_policy(agent), exploring_policy(agent)
        found[name] = measure_both(ours, authors, arguments, budget["sessions"], luck)
        found[name] |= {watched: report[watched] for watched in WATCHED if watched in report}
    return found
