"""How fast environments step: alone, in a batch, compiled, and beside their peers."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch

from measurement import Block, Figure, Section, alternate, compiled_already, rate, ratio
from recgym.envs import SB3VecEnv

RECGAN = "RecGAN-v0"
SLATE_MDP = "SlateMDP-v0"
SARDINE = "sardine/SlateTopK-Bored-v0"
RECSIM = {
    "InterestEvolution-v0": "interest_evolution",
    "InterestExploration-v0": "interest_exploration",
    "LongTermSatisfaction-v0": "long_term_satisfaction",
}
"""Environment id -> RecSim's module of the same world."""
RECSIM_SIZES = {(10, 3): 1.5, (100, 10): 5.0}
"""Candidates and slots -> how many times faster than RecSim one environment promises to be."""
RECSIM_BATCH = 100.0
"""How many times faster 1,024 rows promise to be."""


def single_stepper(env: Any, slates: list[np.ndarray]) -> Callable[[], int]:
    """Returns a function that plays ``slates`` in one environment, of Gymnasium's API or Gym's."""
    env.reset()

    def step() -> int:
        for slate in slates:
            result = env.step(slate)
            if result[2] or result[3] is True:  # Gym's fourth value is its info
                env.reset()
        return len(slates)

    return step


def random_slates(n_items: int, size: int, count: int = 200) -> list[np.ndarray]:
    """Returns random slates of distinct items, drawn before the clock starts."""
    generator = np.random.default_rng(0)
    return [generator.permutation(n_items)[:size] for _ in range(count)]


def recgan_stepper() -> Callable[[], int]:
    """RecGAN-v0 with all of its defaults."""
    env: Any = gymnasium.make(RECGAN)
    simulator = env.unwrapped.simulator
    return single_stepper(env, random_slates(simulator.n_items, simulator.slate_size))


def sardine_stepper(slate_size: int) -> Callable[[], int]:
    """SARDINE's top-k slates of 1,000 items; unchecked, as ours is."""
    importlib.import_module("sardine")
    env = gymnasium.make(SARDINE, slate_size=slate_size, disable_env_checker=True)
    return single_stepper(env, random_slates(1000, slate_size))


def recsim_stepper(world: str, candidates: int, slate_size: int) -> Callable[[], int]:
    """One of RecSim's own environments."""
    module = importlib.import_module(f"recsim.environments.{world}")
    sizes = {"num_candidates": candidates, "slate_size": slate_size}
    env = module.create_environment(sizes | {"resample_documents": True, "seed": 0})
    return single_stepper(env, random_slates(candidates, slate_size))


PEERS: dict[str, tuple[Callable[[], Callable[[], int]], float | None]] = {
    "SARDINE SlateTopK (1,000 items, slate 5)": (partial(sardine_stepper, 5), 2.0),
    "SARDINE SlateTopK (1,000 items, slate 10)": (partial(sardine_stepper, 10), None),
    "RecSim interest evolution (10 candidates, slate 3)": (
        partial(recsim_stepper, "interest_evolution", 10, 3),
        None,
    ),
}
"""Name -> its stepper, and how many times faster we promise to be."""


def single(rounds: int) -> Section:
    """One environment through ``gymnasium.make``, beside the peers that are installed."""
    section = Section("One environment, stepped from Python")
    steppers = {RECGAN: recgan_stepper()}
    for name, (build, _) in PEERS.items():
        try:
            steppers[name] = build()
        except ImportError as error:
            section.notes.append(f"{name}: skipped, not installed ({error}).")
    measured = alternate({name: rate(step) for name, step in steppers.items()}, rounds)
    ours = measured.pop(RECGAN)
    for name, theirs in measured.items():
        figure = Figure(f"{RECGAN} over {name}", "x", ratio(ours, theirs), PEERS[name][1])
        section.figures.append(figure)
    section.figures.append(Figure(RECGAN, "steps/s", ours, at_least=20_000))
    section.figures += [Figure(name, "steps/s", theirs) for name, theirs in measured.items()]
    section.notes.append(f"{RECGAN}: {user_model_shape()}.")
    return section


def user_model_shape() -> str:
    """Returns the shape of the user model behind RecGAN-v0."""
    env: Any = gymnasium.make(RECGAN)
    config, simulator = env.unwrapped.simulator.config, env.unwrapped.simulator
    return (
        f"N = {simulator.n_items:,}, slate {simulator.slate_size}, D = {config.features}, "
        f"window {config.window}, n = {config.weights}, H = {config.hidden}, {config.activation}"
    )


def vector_block(name: str, num_envs: int, backend: str, compiled: bool, **arguments: Any) -> Block:
    """Returns a block that steps a vector environment with random slates of distinct items."""
    env: Any = gymnasium.make_vec(name, num_envs, backend=backend, compile=compiled, **arguments)
    env.reset(seed=0)
    n_items, size = env.simulator.n_items, env.simulator.slate_size
    slates = np.reshape(random_slates(n_items, size, 16 * num_envs), (16, num_envs, size))
    actions = list(slates if backend == "numpy" else torch.as_tensor(slates))

    def step() -> int:
        for action in actions:
            env.step(action)
        return len(actions) * num_envs

    return rate(step)


def vector(rounds: int) -> Section:
    """Many rows with NumPy."""
    targets = {(RECGAN, 1024): 600_000, (SLATE_MDP, 4096): 1_000_000}
    blocks = {
        f"{name}, {num_envs:,} rows": vector_block(name, num_envs, "numpy", False)
        for name, num_envs in targets
    }
    identified, raw = f"{RECGAN}, 1,024 rows", f"{RECGAN}, 1,024 rows, reward=raw"
    raw_block = {raw: vector_block(RECGAN, 1024, "numpy", False, reward="raw")}
    measured = alternate(blocks | raw_block, rounds)
    figures = [
        Figure(f"{text}, NumPy", "steps/s", measured[text], at_least=least)
        for text, least in zip(blocks, targets.values(), strict=True)
    ]
    figures += [
        Figure(f"{raw}, NumPy", "steps/s", measured[raw]),
        Figure(
            "the default, identified reward, over reward=raw",
            "x",
            ratio(measured[identified], measured[raw]),
        ),
    ]
    return Section("A vector environment", figures)


def recsim(rounds: int) -> Section:
    """RecSim's three worlds, alone and in a batch, beside RecSim's own."""
    section = Section("RecSim's worlds, in NumPy")
    try:
        importlib.import_module("recsim")
    except ImportError as error:
        section.notes.append(f"Skipped: RecSim is not installed ({error}).")
        return section
    speeds = []
    for (name, world), (sizes, least) in itertools.product(RECSIM.items(), RECSIM_SIZES.items()):
        arguments = dict(zip(("num_candidates", "slate_size"), sizes, strict=True))
        ours = single_stepper(gymnasium.make(name, **arguments), random_slates(*sizes))
        blocks = {
            "RecSim's own": rate(recsim_stepper(world, *sizes)),
            "one environment": rate(ours),
            "1,024 rows": vector_block(name, 1024, "numpy", False, **arguments),
        }
        measured = alternate(blocks, rounds)
        theirs = measured["RecSim's own"]
        title = f"{name}, {sizes[0]} candidates, slate {sizes[1]}"
        for way, target in (("one environment", least), ("1,024 rows", RECSIM_BATCH)):
            text = f"{title}: {way} over RecSim's own"
            section.figures.append(Figure(text, "x", ratio(measured[way], theirs), target))
        speeds += [Figure(f"{title}: {way}", "steps/s", measured[way]) for way in blocks]
    section.figures += speeds
    return section


def sb3(rounds: int) -> Section:
    """Stable-Baselines3's interface at 64 rows: from one batch, and from 64 environments."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

    def block(env: VecEnv) -> Block:
        env.reset()
        slates = list(np.reshape(random_slates(1682, 5, 16 * 64), (16, 64, 5)))

        def step() -> int:
            for actions in slates:
                env.step(actions)
            return len(slates) * 64

        return rate(step)

    ways = {
        "SB3VecEnv": block(SB3VecEnv(RECGAN, 64)),
        "DummyVecEnv": block(DummyVecEnv([lambda: gymnasium.make(RECGAN)] * 64)),
    }
    measured = alternate(ways, rounds)
    speedup = ratio(measured["SB3VecEnv"], measured["DummyVecEnv"])
    figures = [Figure("SB3VecEnv over Stable-Baselines3's DummyVecEnv", "x", speedup, at_least=5)]
    figures += [Figure(name, "steps/s", found) for name, found in measured.items()]
    return Section(f"{RECGAN} for Stable-Baselines3, 64 rows", figures)


def compiled(rounds: int) -> Section:
    """1,024 and 4,096 rows with torch.compile."""
    section = Section("A compiled vector environment")
    for num_envs in (1024, 4096):
        torch._dynamo.reset()
        with compiled_already():
            block = vector_block(RECGAN, num_envs, "torch", True)
            measured = alternate({"compiled": block}, rounds)["compiled"]
        figure = Figure(f"{num_envs:,} rows, torch.compile", "steps/s", measured, 1_300_000)
        section.figures.append(figure)
    return section
