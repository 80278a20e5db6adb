"""How fast sessions are generated, and what a round of IRecGAN's Algorithm 1 spends on what."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from matplotlib.figure import Figure as Picture

from measurement import Block, Figure, Section, alternate, ratio
from recgym.collection import collect, slate_mdp_policy, uniform_policy
from recgym.users import FittedUserModel, RecurrentUserConfig
from recgym.users.likelihood import initial_params
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.generated_sessions import Interaction, generate
from recgym_agents.algorithms.irecgan import IRecGAN, IRecGANConfig
from recgym_agents.learning.episodes import EpisodeLog, Episodes

ITEMS, SLATE, HORIZON = 50, 10, 40
"""N, K, and slates of a session: those of SlateMDP-v0."""
WINDOW = HORIZON
"""Clicks that an agent observes: all of the session, as in the experiments with IRecGAN."""
LAYERS, UNITS, EMBEDDING = 2, 64, 16
"""Of the user model and of the agent."""
SIZES = (62, 125, 250, 500, 1000, 2000, 4000)
SESSIONS = 1000
LIMIT = 0.6
"""Seconds that so many sessions may take on two cores."""
BATCH = 64
"""Real sessions of a round."""
CALL_BATCHES = (16, 64, 256)
PRETRAINING, DISCRIMINATOR_PRETRAINING = 50, 5
"""Updates before the rounds that are measured, so that sessions end as real ones do."""
PARTS = ("generate", "scores", "user step", "agent step", "discriminator")
WAYS = {"user": "random slates, the user model alone", "agent": "slates of the agent's LSTM"}


def generation(rounds: int) -> Section:
    """Sessions by the user model alone and with an agent, and what a round of IRecGAN costs."""
    blocks = {
        f"{way} {rows}": block(rows)
        for way, block in (("user", user_block), ("agent", agent_block))
        for rows in SIZES
    }
    measured = alternate(blocks | {"rate": matmul_rate()}, rounds)
    rate = measured.pop("rate")
    by_size = {way: {rows: measured[f"{way} {rows}"] for rows in SIZES} for way in WAYS}
    section = Section(f"Generating sessions of {HORIZON} slates ({SLATE} of {ITEMS} items)")
    for way, text in WAYS.items():
        floor = [SESSIONS * multiply_adds()[way] / one for one in rate]
        over = ratio(by_size[way][SESSIONS], floor)
        section.figures.append(Figure(f"{text}: over the products' time", "x", over))
    section.figures += [
        Figure(f"{text}: slope of log seconds", "", _slopes(by_size[way]), at_most=1.1)
        for way, text in WAYS.items()
    ]
    section.figures += [
        Figure(f"{text}: {SESSIONS:,} sessions", "s", by_size[way][SESSIONS], at_most=LIMIT)
        for way, text in WAYS.items()
    ]
    section.figures.append(Figure("products of a layer's size", "multiply-adds/s", rate))
    section.notes.append(
        "No session ends early: each has all of its slates, which is the most that sessions of up"
        f" to {HORIZON} cost. The products' time is the floor: a session's multiply-adds, at the"
        " rate measured in the same rounds. The agent observes all clicks of a session, so that it"
        " carries what it has read; with a shorter window it reads the last clicks anew at every"
        f" step. Slopes are from {SIZES[2]:,} to {SIZES[-1]:,} sessions; 1 is in proportion."
    )
    section.pictures["benchmark-generation"] = _picture(by_size)
    return section


def algorithm(rounds: int) -> Section:
    """A round of IRecGAN's Algorithm 1: CPU seconds by part, and Python calls by batch."""
    agent, real = irecgan("end"), real_sessions(BATCH)
    while agent.pretraining:
        agent.update(real)
    spent = measure_parts(agent)

    def block() -> float:
        spent.clear()
        start = time.process_time()
        agent.update(real)
        spent["all"] = time.process_time() - start
        return spent["all"]

    by_part: dict[str, list[float]] = {part: [] for part in (*PARTS, "all")}
    for _ in range(rounds + 1):  # the first is not counted
        block()
        for part, values in by_part.items():
            values.append(1e3 * spent[part])
    section = Section(f"A round of IRecGAN, {BATCH} sessions, LSTM {LAYERS} x {UNITS}")
    calls = {rows: [float(python_calls(rows))] for rows in CALL_BATCHES}
    few, many = CALL_BATCHES[0], CALL_BATCHES[-1]
    section.figures.append(
        Figure(
            f"Python calls, {many} sessions over {few}",
            "x",
            ratio(calls[many], calls[few]),
            at_most=1.0,
        )
    )
    section.figures += [
        Figure(f"Python calls, {rows} sessions", "calls", found) for rows, found in calls.items()
    ]
    section.figures += [
        Figure("a round" if part == "all" else f"a round: {part}", "ms of CPU", values[1:])
        for part, values in by_part.items()
    ]
    section.notes.append(
        "Settings are the agent's defaults (for every ten real sessions one is generated to learn"
        " from, with 5 ends of each of its steps, and one for each real one to show to the"
        f" discriminator), after {PRETRAINING} + {DISCRIMINATOR_PRETRAINING} updates before the"
        " rounds, on random slates of SlateMDP-v0. Calls are all that Python makes, of its own"
        f" functions and of libraries'; for them every session has {HORIZON} slates, as what is"
        " played step by step takes as many as the longest session has."
    )
    return section


def user_block(rows: int) -> Block:
    """Returns a block that collects sessions of the user model alone, and gives its seconds."""
    config = user_config("no_click")
    generator = np.random.default_rng(0)
    params = {name: p.detach().numpy() for name, p in initial_params(config, generator).items()}
    user_model = FittedUserModel(
        config=config,
        features=generator.standard_normal((ITEMS, EMBEDDING)).astype(np.float32),
        members={"train": params},
        histories={"train": np.full((1, config.window), ITEMS)},
        info={"repeat_clicks": True},
        scores={},
    )
    env: Any = gymnasium.make_vec(
        "IRecGAN-v0",
        rows,
        user_model=user_model,
        slate_size=SLATE,
        horizon=HORIZON,
        observe="items",
        autoreset_mode="disabled",
    )
    policy = uniform_policy(ITEMS, SLATE)
    return seconds(lambda: collect(env, policy, sessions=rows))


def agent_block(rows: int) -> Block:
    """Returns a block that generates episodes of agent and user model, and gives its seconds."""
    agent, history = irecgan("no_click"), np.full((rows, WINDOW), ITEMS)

    def play() -> Episodes:
        interaction = Interaction(agent.network, agent.user, agent.generating)
        return generate(interaction, history, HORIZON)

    return seconds(play)


def seconds(function: Callable[[], Any]) -> Block:
    """Returns a block that calls ``function`` once, and gives the seconds that it took."""

    def block() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return block


def matmul_rate() -> Block:
    """Returns a block that gives the multiply-adds a second of a layer's products."""
    units, weights = torch.randn(SESSIONS, UNITS), torch.randn(UNITS, 4 * UNITS)
    repeats = 200

    def block() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            units @ weights
        return repeats * SESSIONS * 4 * UNITS**2 / (time.perf_counter() - start)

    return block


def multiply_adds() -> dict[str, int]:
    """Returns the multiply-adds of a session with a click on every slate, by who makes them."""
    carried = 4 * UNITS * UNITS * (1 + 2 * (LAYERS - 1))
    answer = UNITS * (2 * EMBEDDING + 1) + 2 * EMBEDDING * SLATE
    # An item's share of the user's first layer is a row of a table; the last click is not read.
    user = (HORIZON - 1) * carried + HORIZON * answer
    agent = (HORIZON - 1) * (carried + 4 * UNITS * EMBEDDING) + HORIZON * UNITS * ITEMS
    return {"user": user, "agent": user + agent}


def user_config(outside: str) -> RecurrentUserConfig:
    """Returns the shape of the user model."""
    assert outside in ("end", "no_click")
    return RecurrentUserConfig("lstm", LAYERS, UNITS, EMBEDDING, outside)


def irecgan(outside: str) -> IRecGAN:
    """Returns an agent that is not trained yet."""
    config = IRecGANConfig(
        cell="lstm",
        layers=LAYERS,
        hidden=UNITS,
        embedding=EMBEDDING,
        horizon=HORIZON,
        outside=outside,
        pretraining=PRETRAINING,
        discriminator_pretraining=DISCRIMINATOR_PRETRAINING,
        remove_clicked=False,
    )
    return IRecGAN(config, EnvironmentSpec(ITEMS, SLATE, WINDOW, None), seed=0)


def real_sessions(count: int, distinct: int | None = None) -> Episodes:
    """Returns sessions of SlateMDP-v0, under random slates; ``distinct`` ones in turn, if given."""
    distinct = distinct or count
    env: Any = gymnasium.make_vec("SlateMDP-v0", distinct, autoreset_mode="disabled")
    log = collect(env, slate_mdp_policy(env.simulator, "random"), sessions=distinct)
    return EpisodeLog.of_sessions(log, WINDOW, ITEMS).batch(np.arange(count) % distinct)


def measure_parts(agent: IRecGAN) -> Counter[str]:
    """Makes an agent note the CPU seconds of the parts of its rounds; a part within another is its.

    Returns:
        Where they are summed, by the names in ``PARTS``.
    """
    spent: Counter[str] = Counter()
    running: list[str] = []

    def noted(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if running:
                return function(*arguments)
            running.append(part)
            start = time.process_time()
            try:
                return function(*arguments)
            finally:
                spent[running.pop()] += time.process_time() - start

        return call

    for part, owner, name in (
        ("generate", agent, "_generated"),
        ("scores", agent, "_scores"),
        ("user step", agent.user, "forward"),
        ("user step", agent, "_descend"),
        ("agent step", agent, "loss"),
        ("agent step", agent, "descend"),
        ("discriminator", agent, "_discriminate"),
    ):
        setattr(owner, name, noted(part, getattr(owner, name)))
    return spent


def python_calls(rows: int) -> int:
    """Returns how many calls Python makes in a round of so many sessions, none of which ends.

    The real sessions are the same ten in turn, so that the longest are as long.
    """
    agent, real = irecgan("no_click"), real_sessions(rows, distinct=10)
    agent.updates = PRETRAINING + DISCRIMINATOR_PRETRAINING
    agent.update(real)  # Adam's moments are made at the first
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    gc.disable()  # or what others have run at its collections is counted
    sys.setprofile(note)
    try:
        agent.update(real)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def _slopes(found: dict[int, list[float]]) -> list[float]:
    """Returns the slope of log seconds on log sessions, of each round, from the third size on."""
    sizes = list(found)[2:]
    taken = np.log([found[rows] for rows in sizes])  # (sizes, rounds)
    slopes: list[float] = np.polyfit(np.log(sizes), taken, 1)[0].tolist()
    return slopes


def _picture(by_size: dict[str, dict[int, list[float]]]) -> Picture:
    """Draws the median seconds over the number of sessions, on logarithmic axes."""
    picture = Picture(figsize=(5, 3.6), layout="constrained")
    axes = picture.subplots()
    for way, found in by_size.items():
        axes.loglog(list(found), [np.median(one) for one in found.values()], "o-", label=WAYS[way])
    axes.axhline(LIMIT, color="#b8b8b8", linewidth=0.8, linestyle="--")
    axes.axvline(SESSIONS, color="#b8b8b8", linewidth=0.8, linestyle="--")
    axes.set_xlabel(f"sessions of {HORIZON} slates")
    axes.set_ylabel("seconds")
    axes.legend(fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return picture
