"""What an update of an agent that learns from sequences costs as the catalogue grows.

``python scripts/sequence_speed.py ITEMS`` prints the seconds of one update, those of its matrix
products alone, and the most memory that the process took, in MB: a process each, because a peak is
never unlearned. ``python scripts/sequence_speed.py epoch`` prints the seconds of an epoch over a
log of the size of RetailRocket's.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np
import torch
from matplotlib.figure import Figure as Picture

from measurement import Figure, Section
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.offline_policy import OfflinePolicy
from recgym_agents.learning.episodes import Episodes
from recgym_agents.networks.item_scores import item_blocks
from recgym_agents.zoo import OFFLINE

ROWS, LENGTH = 256, 20
"""Sequences of an update, and events of each."""
SIZES = (1_000, 10_000, 70_000, 1_000_000)
"""Items; the one that is held to targets is the third."""
HELD_TO = SIZES[2]
SESSIONS, CLICKS, CATALOG = 126_168, 685_984, 36_968
"""Of the log of an epoch: RetailRocket's sessions of 2 clicks and more."""
UPDATES = 10
"""That an epoch is reckoned from, after a first one."""


def sequences(rounds: int) -> Section:
    """Updates of ``sqn``, which has a policy and values over all items."""
    sizes = [size for size in SIZES for _ in range(rounds if size == HELD_TO else 1)]
    found: dict[int, list[tuple[float, float, float]]] = {size: [] for size in SIZES}
    for size in sizes:
        command = [sys.executable, __file__, str(size)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        update, products, memory = map(float, answer.stdout.split())
        found[size].append((update, products, memory))
    updates, products, memory = (list(values) for values in zip(*found[HELD_TO], strict=True))
    over = [one / floor for one, floor in zip(updates, products, strict=True)]
    at = f"{HELD_TO:,} items"
    figures = [
        Figure(f"an update over its matrix products, {at}", "x", over, at_most=2.0),
        Figure(f"most memory of the process, {at}", "MB", memory, at_most=4_000.0),
        Figure(f"an update, {at}", "s", updates),
        *(Figure(f"an update, {size:,} items", "s", [found[size][0][0]]) for size in SIZES[:2]),
        Figure(f"an update, {SIZES[-1]:,} items", "s", [found[SIZES[-1]][0][0]]),
    ]
    epochs = []
    for _ in range(rounds):
        command = [sys.executable, __file__, "epoch"]
        epochs.append(float(subprocess.run(command, capture_output=True, check=True).stdout))
    log = f"{CLICKS:,} clicks in {SESSIONS:,} sessions, {CATALOG:,} items"
    figures.append(Figure(f"an epoch of {log}", "s", epochs, at_most=240.0))
    title = f"Learning from {ROWS} sequences of {LENGTH} events: a policy and values over all items"
    note = (
        "The products are those that an update cannot do without, in the same blocks: the policy's"
        " scores once forwards and once again backwards, two for its gradients, and the values of"
        " the next states. An update and its products run on one core, in processor time. The epoch"
        f" takes both: the wall-clock time of {UPDATES} updates, from sessions whose lengths are"
        " drawn so that they have as many clicks on average, times the updates of an epoch."
    )
    picture = _picture({size: values[0] for size, values in found.items()})
    return Section(title, figures, [note], {"benchmark-sequences": picture})


def _picture(found: dict[int, tuple[float, float, float]]) -> Picture:
    picture = Picture(figsize=(7, 2.8), layout="constrained")
    seconds, memory = picture.subplots(1, 2)
    for axes, place, name in ((seconds, 0, "seconds an update"), (memory, 2, "MB at most")):
        axes.loglog(list(found), [one[place] for one in found.values()], "o-")
        axes.set_xlabel("items")
        axes.set_title(name, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return picture


def _agent(n_items: int) -> OfflinePolicy:
    return OfflinePolicy(OFFLINE["sqn"][0], EnvironmentSpec(n_items, 10, LENGTH, None), 0)


def _batch(n_items: int, length: np.ndarray) -> Episodes:
    """Returns sequences of random items, of some lengths (``ROWS``,)."""
    longest = int(length.max())
    steps = np.arange(longest) < length[:, None]
    item = np.random.default_rng(0).integers(n_items, size=steps.shape)
    return Episodes(
        history=np.full((ROWS, LENGTH), n_items),
        slate=np.zeros((*steps.shape, 0), np.int64),
        item=np.where(steps, item, -1),
        reward=steps.astype(np.float32),
        steps=steps,
        terminated=np.ones(ROWS, np.bool_),
        propensity=None,
    )


def epoch() -> float:
    """Returns the seconds of an epoch, reckoned from some updates."""
    lengths = 1 + np.random.default_rng(0).geometric(1 / (CLICKS / SESSIONS - 1), (UPDATES, ROWS))
    agent = _agent(CATALOG)
    batches = [_batch(CATALOG, np.minimum(length, LENGTH)) for length in lengths]
    agent.update(batches[0])
    start = time.perf_counter()
    for batch in batches:
        agent.update(batch)
    return (time.perf_counter() - start) / UPDATES * SESSIONS / ROWS


def one_update(n_items: int) -> tuple[float, float, float]:
    """Returns the seconds of an update and of its products, and the peak of memory in MB."""
    agent, batch = _agent(n_items), _batch(n_items, np.full(ROWS, LENGTH))
    agent.update(batch)  # the first one allocates the moments
    start = time.process_time()
    agent.update(batch)
    update = time.process_time() - start
    return update, _products(n_items), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


@torch.no_grad()
def _products(n_items: int) -> float:
    size = OFFLINE["sqn"][0].size
    state, weight = torch.randn(ROWS * LENGTH, size), torch.randn(n_items, size)
    of_state, of_weight = torch.zeros_like(state), torch.empty_like(weight)
    share = next(state @ weight[items].T for items in item_blocks(state, weight))
    start = time.process_time()
    for items in item_blocks(state, weight):
        for _ in range(3):
            torch.mm(state, weight[items].T, out=share[:, : items.stop - items.start])
        own = share[:, : items.stop - items.start]
        of_state.addmm_(own, weight[items])
        torch.mm(own.T, state, out=of_weight[items])
    return time.process_time() - start


if __name__ == "__main__":
    if sys.argv[1] == "epoch":
        torch.set_num_threads(2)
        print(epoch())
    else:
        torch.set_num_threads(1)
        print(*one_update(int(sys.argv[1])))
