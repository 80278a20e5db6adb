"""How long it takes to adapt to users, and what an update of LinUCB costs by its size."""

from __future__ import annotations

import time

import numpy as np

from measurement import Block, Figure, Section, alternate
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.linucb import HybridRidge
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.user_support import Support
from recgym_agents.zoo import entry_of

AGENTS = ("cascading-dqn-maml", "meta-pg", "meta-lstm", "m3rec", "melu", "linucb")
ONE, MANY = 1, 500
LIMITS = {ONE: 0.05, MANY: 2.0}
"""Seconds that adapting to so many users may take on two cores, all at once."""
STEPS = 20
"""Slates of a user's only sequence."""
SIZES = (64, 128, 256, 512)
"""Coefficients that arms share, in LinUCB."""
UPDATES = 200


def adaptation(rounds: int) -> Section:
    """Seconds to adapt to one user, and to 500 in one pass, in the catalogue of MovieLens 100K."""
    spec = EnvironmentSpec.of(make_vector_env("RecGAN-v0", {}, 1, "disabled"))
    blocks = {f"{name} {users}": adapting(name, users, spec) for name in AGENTS for users in LIMITS}
    blocks |= {f"update {size}": updating(size) for size in SIZES}
    measured = alternate(blocks, rounds)
    section = Section(f"Adapting to users of {STEPS} slates each, {spec.n_items:,} items")
    for users, limit in LIMITS.items():
        section.figures += [
            Figure(
                f"{name}: {users} user{'s' * (users > 1)}",
                "s",
                measured[f"{name} {users}"],
                at_most=limit,
            )
            for name in AGENTS
        ]
    by_size = np.array([measured[f"update {size}"] for size in SIZES])
    slopes = [float(np.polyfit(np.log(SIZES), np.log(one), 1)[0]) for one in by_size.T]
    section.figures.append(
        Figure("an update of linucb: slope of log seconds by log d", "", slopes, at_most=2.2)
    )
    section.notes.append(
        "Adapting is all from a support to what acts for its users. A slope of 2 is O(d^2), of 3"
        f" an inversion; d coefficients are shared by all arms, {SIZES[0]} to {SIZES[-1]} of them."
    )
    return section


def adapting(name: str, users: int, spec: EnvironmentSpec) -> Block:
    """Returns a block that adapts an untrained agent to users, and gives its seconds."""
    entry = entry_of(name, {}, {})
    agent = entry.builder(entry.config, spec, 0)
    rng = np.random.default_rng(0)
    shape = (users, 1, STEPS)
    slate = rng.permuted(np.tile(np.arange(spec.n_items), (users * STEPS, 1)), axis=1)
    support = Support(
        slate[:, : spec.slate_size].reshape(*shape, -1),
        rng.integers(-1, spec.slate_size, shape),
        rng.random(shape).astype(np.float32),
    )

    def block() -> float:
        start = time.perf_counter()
        agent.adapt(support)
        return time.perf_counter() - start

    return block


def updating(size: int) -> Block:
    """Returns a block of updates of LinUCB, and gives the seconds of one."""
    ridge, rng = HybridRidge(1, size, 1, 1.0), np.random.default_rng(0)
    z, x = rng.standard_normal((UPDATES, size)), np.ones(1)

    def block() -> float:
        start = time.perf_counter()
        for row in z:
            ridge.update(0, row, x, 1.0)
        return (time.perf_counter() - start) / UPDATES

    return block
