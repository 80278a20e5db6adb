"""What a step of one row costs in each world as the batch, the slate and the catalogue grow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from matplotlib.figure import Figure as Picture

from measurement import Block, Figure, Section, alternate, rate
from recgym import ENVIRONMENTS
from recgym.spaces import draw_slates
from recgym.users.folder import FittedUserModel, load_user_model

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
SLATES = (1, 2, 5, 10)
CATALOGUES = (50, 150, 500, 1500, 5000)
ROWS, SLATE, CATALOGUE = 256, 5, 50
"""What stays the same while something else grows; a batch grows in the world as it comes."""
SECONDS = 0.1
"""How long a block steps."""


def growth(rounds: int) -> Section:
    """Every world in NumPy, with what grows on the horizontal axis of a plot."""
    panels: dict[str, dict[str, dict[int, list[float]]]] = {
        "rows in a batch": _measured(BATCHES, lambda name, size: block(name, size), rounds),
        f"items in a slate ({ROWS} rows)": _measured(
            SLATES, lambda name, size: block(name, ROWS, size, CATALOGUE), rounds
        ),
        f"items, or candidates ({ROWS} rows, slates of {SLATE})": _measured(
            CATALOGUES, lambda name, size: block(name, ROWS, SLATE, size), rounds
        ),
    }
    figures = [
        Figure(f"{name}, {max(found):,} {grown}", "us a row", found[max(found)])
        for grown, worlds in panels.items()
        for name, found in worlds.items()
    ]
    section = Section("What grows with the batch, the slate and the catalogue", figures)
    section.pictures["benchmark-growth"] = _picture(panels)
    return section


def block(name: str, rows: int, slate_size: int | None = None, n_items: int | None = None) -> Block:
    """Returns a block that steps a world of some size with random slates."""
    arguments = {} if slate_size is None else {"slate_size": slate_size}
    if n_items is not None:
        arguments |= SIZED[ENVIRONMENTS[name]["simulator"]](ENVIRONMENTS[name], n_items)
    env: Any = gymnasium.make_vec(name, rows, **arguments)
    env.reset(seed=0)
    simulator, generator = env.simulator, np.random.default_rng(0)
    slates = [
        draw_slates(simulator.n_items, rows, simulator.slate_size, generator) for _ in range(16)
    ]

    def step() -> int:
        for slate in slates:
            env.step(slate)
        return len(slates) * rows

    return rate(step, SECONDS)


def resized(user_model: FittedUserModel, n_items: int) -> FittedUserModel:
    """Returns a fitted user model with more or fewer items, which repeat those it has."""
    histories = {
        split: np.where(ids == user_model.n_items, n_items, ids % n_items)
        for split, ids in user_model.histories.items()
    }
    features = user_model.features[np.arange(n_items) % user_model.n_items]
    return dataclasses.replace(user_model, features=features, histories=histories)


def _user_model(registered: dict[str, Any], n_items: int) -> dict[str, Any]:
    return {"user_model": resized(load_user_model(registered["user_model"]), n_items)}


def _candidates(registered: dict[str, Any], n_items: int) -> dict[str, Any]:
    return {"num_candidates": n_items}


SIZED: dict[str, Callable[[dict[str, Any], int], dict[str, Any]]] = {
    "learned-user": _user_model,
    "meta-user": _user_model,
    "slate-mdp": lambda registered, n_items: {"n_items": n_items},
    "known-users": lambda registered, n_items: {"n_items": n_items},
    "interest-evolution": _candidates,
    "interest-exploration": _candidates,
    "long-term-satisfaction": _candidates,
}
"""Name of a simulator -> the arguments that give it a number of items."""


def _measured(
    sizes: tuple[int, ...], build: Callable[[str, int], Block], rounds: int
) -> dict[str, dict[int, list[float]]]:
    """Returns the microseconds of a row's step, by world and size, for each round."""
    found: dict[str, dict[int, list[float]]] = {}
    for name in ENVIRONMENTS:
        rates = alternate({str(size): build(name, size) for size in sizes}, rounds)
        found[name] = {int(size): [1e6 / one for one in values] for size, values in rates.items()}
    return found


def _picture(panels: dict[str, dict[str, dict[int, list[float]]]]) -> Picture:
    """Draws the median cost of a row's step, on logarithmic axes."""
    picture = Picture(figsize=(10, 3.6), layout="constrained")
    drawn = picture.subplots(1, len(panels), sharey=True)
    for axes, (grown, worlds) in zip(drawn, panels.items(), strict=True):
        for name, found in worlds.items():
            axes.loglog(list(found), [np.median(one) for one in found.values()], "o-", label=name)
        axes.set_xlabel(grown)
        axes.spines[["top", "right"]].set_visible(False)
    drawn[0].set_ylabel("microseconds a row")
    drawn[0].legend(fontsize=7)
    return picture
