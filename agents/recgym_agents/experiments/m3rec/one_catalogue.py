"""Interest evolution with one catalogue for all: its log, and sessions of agents that read ids.

What the paper's methods learn from is a log of items, so the videos are not drawn anew for every
slate: a video's id is its place among the candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.arrays import remember
from recgym.data import Catalog, Dataset, Sessions
from recgym.data.dataset import split_users
from recgym.planning.outlook import drawn
from recgym_agents.experiments.m3rec.unknown_users import HiddenWorld, Session
from recgym_agents.learning.episodes import last_clicks
from recgym_agents.user_support import Support

ITEMS = 60
"""Videos of the catalogue, N: five of a topic, on average."""
HORIZON = 500
"""Slates of a session at most, which none reaches: users have an hour."""
SHARES = (0.8, 0.1, 0.1)
"""Offline users that models are fitted with, stopped early by, and scored with."""


def one_catalogue(population: str, slate_size: int, seed: int) -> HiddenWorld:
    """Returns the world.

    Args:
        population: "train" for the offline users, "test" for those of other parameters.
        slate_size: K.
        seed: draws the catalogue, which both populations share.
    """
    arguments = {"slate_size": slate_size, "num_candidates": ITEMS}
    arguments |= {"resample_documents": False, "document_seed": seed}
    return HiddenWorld("interest-evolution", population, HORIZON, arguments=arguments)


def offline_data(where: HiddenWorld, users: int, sequences: int, seed: int) -> Dataset:
    """Returns the log of users who were shown random slates.

    A click is worth 1: every video is of the same length, and watched to its end but for the last.

    Args:
        where: of ``one_catalogue``.
        users: U.
        sequences: of each user, who begins each of them with the same interests.
        seed: of users, slates and luck.
    """
    world = where.simulator(sequences)
    state = world.reset(drawn(np.random.default_rng([seed, 4]), users, world.reset_noise))
    shown = state["support"]  # (U, S, T, K + 1)
    there = shown[..., 0] >= 0
    user, session, step = np.nonzero(there)
    pages = shown[there]
    slates, click = pages[:, :-1], pages[:, -1]
    item = np.take_along_axis(slates, np.maximum(click, 0)[:, None], axis=1)[:, 0]
    log = Sessions(
        user=user,
        session=session,
        step=step,
        slate_offsets=slates.shape[1] * np.arange(len(slates) + 1),
        slate_items=slates.reshape(-1),
        click=click,
        item=np.where(click >= 0, item, -1),
        reward=(click >= 0).astype(np.float32),
    )
    topics = np.eye(world.n_topics, dtype=np.float32)[state["topic"][0]]
    names = tuple(f"topic:{topic}" for topic in range(world.n_topics))
    catalog = Catalog(tuple(map(str, range(world.n_items))), None, topics, names)
    info = {"name": "interest-evolution", "licence": "made up", "sha256": "", "no_click": True}
    return Dataset(log, catalog, split_users(users, seed, SHARES), info | {"repeat_clicks": True})


def agent_rewards(
    agent: Any, where: HiddenWorld, users: int, seed: int, reads_on: bool
) -> np.ndarray:
    """Returns the rewards (U,) of an agent that is told one sequence of each user.

    It adapts to her before the first slate, and observes the ids of what she clicked last, those of
    the sequence first: a logged user's history goes back to her earlier sessions, too.

    Args:
        agent: its ``spec`` says how many clicks are observed.
        where: of ``one_catalogue``.
        users: U.
        seed: of users and luck, the same for all agents.
        reads_on: whether to adapt means to put the sequence's clicks before those observed; then
            they are not observed as well.
    """
    session = Session(where, users, seed)
    told = session.support["support"][:, :1]
    clicked = (told[..., -1] >= 0).astype(np.float32)
    support = Support(told[..., :-1], told[..., -1], clicked)
    acting = agent.adapt(support)
    history = np.full((users, agent.spec.window), ITEMS)
    if not reads_on:
        every = np.concatenate([history, support.clicks(ITEMS)], axis=1)
        history = last_clicks(every, agent.spec.window, ITEMS)
    while session.going.any():
        response = session.show(acting.act(history))
        history = remember(history, response.item)
    return session.reward
