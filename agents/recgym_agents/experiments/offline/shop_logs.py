"""The logs of the offline experiments, and how an agent is trained and scored on one."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np

from recgym.arrays import Array
from recgym.data import Catalog, Dataset, Sessions, read_retailrocket, read_yoochoose
from recgym.data.dataset import split_users
from recgym.data.event_logs import DIVISION
from recgym.data.sessions import rank_within
from recgym.errors import RecGymError
from recgym_agents.experiments.experiment import Budget, Cell, Claim, Place, Result, folder_of
from recgym_agents.runs.next_items import ItemScorer, RankedEvents, divergence_on, rank_events
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.zoo import FLOORS

TRAINING: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "sequences": 8_000,
    "epochs": 12,
    "batch_size": 64,
    "agent_args": {"learning_rate": 3e-3},
}
"""How much experiments on these logs train."""
REGULARISED: Budget = TRAINING | {
    "epochs": 8,
    "keep": "last",
    "agent_args": {
        "learning_rate": 3e-3,
        "weight_decay": 1.0,
        "dropout": 0.5,
        "repeats": True,
    },
}
"""The same where policies are compared with rules: against learning so small a log by heart, and
against policies kept by the luck of the few purchases of validation sequences."""
SMOKE_TRAINING: Budget = {
    "seeds": [0, 1],
    "sequences": 300,
    "epochs": 1,
    "batch_size": 16,
    "agent_args": {"size": 8},
}
SMOKE_REGULARISED: Budget = SMOKE_TRAINING | {
    "agent_args": REGULARISED["agent_args"] | SMOKE_TRAINING["agent_args"]
}
LOGS: dict[str, tuple[str, ...]] = {
    "yoochoose": ("yoochoose/yoochoose-clicks.dat", "yoochoose/yoochoose-buys.dat"),
    "retailrocket": ("retailrocket/events.csv",),
}
"""The raw files of each."""
KINDS = ("purchase", "click")
CUTOFFS = (5, 10, 20)
WINDOW = 20
"""Clicks observed; sequences are cut to as many events."""
SHOWN = 20
"""Items of a slate."""
LENGTHS = {"1-2": (1, 2), "3-5": (3, 5), "6 and more": (6, WINDOW)}
"""Events before the one that is ranked."""


def raw_logs(cell: Cell) -> tuple[str, ...]:
    """Returns the raw files that a cell reads."""
    return LOGS[cell["log"]]


def missing(log: str) -> Claim:
    """Returns what a page says of a log that is not here."""
    return Claim(f"what is learned from {log}", "data not available here", "")


def read_shop_log(name: str, place: Place, sequences: int, seed: int) -> Dataset:
    """Reads a log with a paper's filters, and divides its users 80 / 10 / 10 by a seed.

    YooChoose is read with the preset "lpi". The sample of RetailRocket has its busiest visitors
    alone, of whose events that preset's last 20 would leave out three quarters: it is read with
    "sqn", and every visitor's events are cut into sequences of ``WINDOW``.

    Args:
        name: in ``LOGS``.
        place: where the raw files are.
        sequences: users whose sequences are drawn from the log, at most; 0: all.
        seed: of the users drawn, and of the division.

    Raises:
        DataNotAvailable: a raw file is not here.
    """
    path = [place.raw(file) for file in LOGS[name]][0]
    whole = (
        read_yoochoose(path.parent, preset="lpi")
        if name == "yoochoose"
        else read_retailrocket(path, preset="sqn")
    )
    if 0 < sequences < whole.n_users:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        whole = of_users(whole, np.sort(rng.permutation(whole.n_users)[:sequences]))
    return _in_sequences(replace(whole, split=split_users(whole.n_users, seed, DIVISION)))


def _in_sequences(dataset: Dataset) -> Dataset:
    """Returns a log with a user for each ``WINDOW`` events in a row of one; what is left is one."""
    user = dataset.sessions.user
    place = rank_within(user) % WINDOW
    first = np.flatnonzero(place == 0)
    number = np.cumsum(place == 0) - 1
    sessions = replace(dataset.sessions, user=number, session=number, step=place)
    return replace(dataset, sessions=sessions, split=dataset.split[user[first]])


def of_users(dataset: Dataset, users: Array) -> Dataset:
    """Returns the log of some users, and of the items that they met, numbered anew."""
    pages = dataset.sessions.select(np.isin(dataset.sessions.user, users))
    items, item = np.unique(pages.item, return_inverse=True)
    user = np.searchsorted(users, pages.user)
    catalog = Catalog(
        tuple(dataset.catalog.item_id[i] for i in items.tolist()),
        None,
        np.zeros((len(items), 0), np.float32),
        (),
    )
    sessions: Sessions = replace(pages, user=user, session=user, item=item.reshape(-1))
    return Dataset(sessions, catalog, dataset.split[users], dataset.info)


def train_one(
    agent: str,
    dataset: Dataset,
    cell: Cell,
    budget: Budget,
    place: Place,
    keep: Literal["best", "last"] = "best",
    window: int = WINDOW,
    **changes: Any,
) -> ItemScorer:
    """Trains an agent on a log, or goes on with its training, and returns it.

    Args:
        agent: its name in the zoo.
        dataset: the log.
        cell: whose seed it is.
        budget: has "epochs", passes over the log of those that learn, "batch_size" and
            "agent_args".
        place: where its run is kept.
        keep: the policy of the best validation, or the one that training ends with.
        window: items observed.
        **changes: settings of the agent that are not its defaults.
    """
    size = {"users": dataset.n_users, "pages": dataset.sessions.n_pages}
    log = folder_of(place.folder, {"log": size})
    if not log.exists():
        dataset.save(log)
    steps = dataset.pages("train").n_pages
    epochs = 1 if agent in FLOORS else budget["epochs"]
    if agent not in FLOORS:
        changes = budget["agent_args"] | changes
    settings = {"agent": agent, "epochs": epochs, "keep": keep, **changes}
    folder = folder_of(place.folder, settings)
    train(
        TrainConfig(
            env=None,
            agent=agent,
            steps=steps * epochs,
            seed=cell["seed"],
            out=str(folder),
            env_args={"slate_size": SHOWN, "window": window},
            agent_args=changes,
            loop_args={"batch_size": budget["batch_size"]},
            log=str(log),
            reports=epochs,
            validation_episodes=TrainConfig.validation_episodes if keep == "best" else 0,
        )
    )
    trained, _ = load_agent(folder)
    return cast(ItemScorer, trained.inner)


def score_one(agent: ItemScorer, logging: ItemScorer | None, dataset: Dataset) -> Result:
    """Ranks the test events; returns means by kind of event, and by how much is known of the user.

    Args:
        agent: scores items.
        logging: the estimated logging policy, to be compared with; None for what has no policy.
        dataset: the log.
    """
    test = dataset.pages("test")
    ranked = rank_events(agent, test)
    found: Result = {"distinct": ranked.distinct, "by_length": _by_length(ranked)}
    for kind in KINDS:
        try:
            chosen = ranked.of(kind)
        except RecGymError:  # a small draw may have none
            continue
        found[f"{kind} events"] = int(chosen.sum())
        for k in CUTOFFS:
            found[f"{kind} HR@{k}"] = float(ranked.hit_rate(k)[chosen].mean())
            found[f"{kind} nDCG@{k}"] = float(ranked.ndcg(k)[chosen].mean())
    if logging is not None:
        apart = divergence_on(agent, logging, test)
        found |= {"js": apart.js, "kl": apart.kl}
    return found


def _by_length(ranked: RankedEvents) -> dict[str, float]:
    """Returns nDCG@20 of all events by the number of events before them."""
    gains = ranked.ndcg(CUTOFFS[-1])
    found = {}
    for name, (least, most) in LENGTHS.items():
        chosen = (ranked.before >= least) & (ranked.before <= most)
        found[name] = float(gains[chosen].mean()) if chosen.any() else float("nan")
    return {name: value for name, value in found.items() if value == value}


def facts(dataset: Dataset) -> Result:
    """Returns what a table says of a log: its size, and test events on items unseen in training."""
    train_items = np.unique(dataset.pages("train").item)
    test = dataset.pages("test").item
    return {
        "sequences": dataset.n_users,
        "items": dataset.catalog.n_items,
        "events": dataset.sessions.n_pages,
        "unseen": float(1.0 - np.isin(test, train_items).mean()),
    }
