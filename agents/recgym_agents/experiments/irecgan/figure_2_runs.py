"""IRecGAN, Figure 2: what is trained on which logs, and how it is scored."""

from __future__ import annotations

from recgym.collection import greedy_policy, slate_mdp_policy
from recgym_agents.experiments.experiment import Budget, Cell, Place, Result, folder_of
from recgym_agents.experiments.irecgan.shared_settings import as_irecgan_is_paid
from recgym_agents.experiments.irecgan.slate_mdp_sessions import (
    ENVIRONMENT,
    LOGGING,
    RANKS,
    Found,
    env_args,
    make_log,
    make_world,
    oracle_policy,
    oracles,
    sessions_in,
)
from recgym_agents.learning.episode_loop import EpisodeLoopConfig
from recgym_agents.runs.devices import CPU
from recgym_agents.runs.run_metrics import kept_report
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

METHODS = {"LSTM": "user-lstm", "PG": "reinforce", "LSTMD": "user-lstm-d", "IRecGAN": "irecgan"}
"""The paper's name of a method -> the zoo's."""
ADVERSARIAL = ("LSTMD", "IRecGAN")
"""Methods whose training has rounds of Algorithm 1."""
ADVERSARY = ("pretraining", "discriminator_pretraining", "discriminator_learning_rate")
"""Their settings in the budget."""
WATCHED = ("updates", "discriminator_accuracy", "score", "score_share")
"""What is published of the report whose policy was kept."""
ORACLES = ("optimum", "myopic oracle", "best fixed slate")
SHOWN = 5_000
"""The size of the random log that shares of the optimum are given for."""
LUCK = 1_000
"""Added to a seed for the luck of its test sessions."""
SMALLEST = 200
"""Random logs of this size are where the paper excepts IRecGAN from earning most."""
BUDGET: Budget = {
    "logs": list(LOGGING),
    "sizes": [SMALLEST, 1_000, SHOWN, 10_000],
    "seeds": [0, 1, 2, 3, 4],
    "network": {"cell": "lstm", "layers": 2, "hidden": 64, "embedding": 50},
    "pretraining": 50,
    "discriminator_pretraining": 20,
    "discriminator_learning_rate": 0.01,
    "updates": 400,
    "reports": 20,
    "patience": 4,
    "sessions": 4_000,
}
SMOKE: Budget = BUDGET | {
    "logs": ["random", "max"],
    "sizes": [100],
    "seeds": [0, 1],
    "network": {"cell": "lstm", "layers": 1, "hidden": 8, "embedding": 8},
    "pretraining": 4,
    "discriminator_pretraining": 2,
    "updates": 30,
    "reports": 2,
    "sessions": 100,
}
PAPER: Budget = BUDGET | {
    "network": {"cell": "lstm", "layers": 2, "hidden": 512, "embedding": 50},
}
"""The paper's networks, which a GPU should train."""


def cells(budget: Budget) -> list[Cell]:
    """One cell a log, size, method and seed; and one a policy that learns nothing, and seed."""
    return [
        {"policy": policy, "seed": seed}
        for policy in (*ORACLES, *LOGGING)
        for seed in budget["seeds"]
    ] + [
        {"log": log, "sessions": size, "method": method, "seed": seed}
        for log in budget["logs"]
        for size in budget["sizes"]
        for method in METHODS
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains a method on a log, and scores it in sessions; a seed is a world, too."""
    seed = cell["seed"]
    env, world = make_world(seed)
    if "policy" in cell:
        name = cell["policy"]
        known = oracles(world)
        policy = oracle_policy(known[name]) if name in known else slate_mdp_policy(world, name)
        return _result(sessions_in(env, world, policy, budget["sessions"], LUCK + seed))
    log, folder = place.folder / "log", folder_of(place.folder, budget)
    agent = METHODS[cell["method"]]
    dataset = make_log(cell["log"], cell["sessions"], seed, seed)
    as_irecgan_is_paid(dataset, agent).save(log)
    agent_args = budget["network"] | {"remove_clicked": False}
    if cell["method"] in ADVERSARIAL:
        agent_args |= {name: budget[name] for name in ADVERSARY}
    length = dataset.sessions.n_pages / cell["sessions"]
    train(
        TrainConfig(
            env=ENVIRONMENT,
            agent=agent,
            steps=round(budget["updates"] * EpisodeLoopConfig.batch_size * length),
            seed=seed,
            out=str(folder),
            log=str(log),
            env_args=env_args(seed),
            agent_args=agent_args,
            loop_args={"schedule": "offline", "patience": budget["patience"]},
            reports=budget["reports"],
            validation_episodes=1,
            device=budget.get("device", CPU),
        )
    )
    learned, _ = load_agent(folder)
    found = sessions_in(env, world, greedy_policy(learned), budget["sessions"], LUCK + seed)
    kept = kept_report(folder)
    return _result(found) | {name: kept[name] for name in WATCHED if name in kept}


def _result(found: Found) -> Result:
    return {
        "session": float(found.reward.mean()),
        **{f"coverage@{rank}": found.coverage[rank] for rank in RANKS},
        "arrays": {"session": found.reward.tolist()},
    }
