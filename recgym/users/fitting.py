"""From a prepared log to a fitted user model and its members (needs torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from recgym.arrays import Array
from recgym.data import Dataset
from recgym.data.dataset import SPLITS
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, changed, check_number
from recgym.users import scoring
from recgym.users.agreement import agreement_of
from recgym.users.folder import FittedUserModel
from recgym.users.gan import Params
from recgym.users.item_table import ItemTable, standardised
from recgym.users.kinds import UserConfig, kind_of
from recgym.users.likelihood import FitConfig, Task, stream
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_scoring import draw_contexts, support_scores
from recgym.users.neighbour_fitting import with_popularity
from recgym.users.next_clicks import next_click_entropy
from recgym.users.page_arrays import Pages, outside_option, pages_of
from recgym.users.recurrent import RecurrentUserConfig
from recgym.users.static import reads_clicks
from recgym.users.synthetic import SyntheticUsers, draw_histories, random_click_rate

SYNTHETIC_USERS = 1_000
"""Initial histories stored with a GAN user model."""
RANDOM_SLATE_SIZE, RANDOM_HORIZON = 5, 20
"""The slates and episodes in which a GAN's click rate of random slates is measured."""
SESSION_HORIZON = 40
"""The longest session in which a recurrent model's is measured, on pages of the log's size."""
MOST_BAGS = 1_000
HELD_OUT_SHARE = 0.2
"""Of the test users' pages, for early stopping of the member fitted on them."""

OnEpoch = Callable[[str, int, float], None]
"""Called with the member, the number of the epoch, and its validation score (log-likelihood)."""


def fit_user_model(
    dataset: Dataset,
    config: UserConfig,
    fit: FitConfig,
    *,
    bags: int = 0,
    test_users: bool = True,
    seed: int = 0,
    command: str = "",
    on_epoch: OnEpoch = lambda member, epoch, score: None,
) -> FittedUserModel:
    """Fits a user model, and scores it on test users.

    A GAN user model is fitted as in Chen et al. (ICML 2019, section 4), a recurrent one by maximum
    likelihood (Bai et al., NeurIPS 2019, Eq. 3), a meta-level one by maximum likelihood and then
    the game of ``recgym.users.adversary``.

    The item features and the member "train" are fitted together on the training users, and stop
    early on the validation users. With the features frozen follow "test", on the test users (a
    random fifth of their pages stops it; of themselves, where users have contexts), and "bag0"..,
    each on as many training users drawn with replacement; all start anew (see
    ``FitConfig.static_ridges``).

    Args:
        dataset: a prepared log.
        config: the model's shape; its outside option is set to what the log shows.
        fit: how it is fitted.
        bags: bagged members.
        test_users: whether to fit the member "test".
        seed: same seed, same model on the same machine.
        command: what made the model, for its card.
        on_epoch: told of progress.

    Returns:
        The model. ``scoring.score(model, dataset)`` gives its score on every test page.

    Raises:
        RecGymError: ``bags`` or ``seed`` is negative; the log has no slates for one of the splits,
            or rewards that the model cannot have; or a fit diverged at once.
    """
    check_number("bags", bags, (0, MOST_BAGS))
    check_number("seed", seed, AT_LEAST_0)
    config = _as_logged(config, dataset)
    pages = pages_of(config, dataset.sessions, dataset.catalog.n_items)
    split = dataset.split[dataset.sessions.user[dataset.sessions.slate_sizes > 0]]
    by_split = [np.flatnonzero(split == s) for s in range(3)]
    for name, chosen in zip(SPLITS, by_split, strict=True):
        if len(chosen) == 0:
            raise RecGymError(
                f"dataset {dataset.info['name']}: no page of a {name} user has a slate"
            )
    training, validation, test = by_split
    table = _items(dataset, config, fit, pages, training, seed)

    def member(name: str, chosen: Array, held_out: Array, items: Any) -> Any:
        task = Task(pages, chosen, held_out, seed, name)
        notes[name] = task.notes
        report = partial(on_epoch, name)
        return kind_of(config).fit_member(config, fit, task, items, report)

    notes: dict[str, dict[str, Any]] = {}
    members: dict[str, Params] = {}
    params, features = member("train", training, validation, table)
    members["train"] = params
    if test_users:
        by_user = kind_of(config).contexts
        units, unit_of = np.unique(pages.user[test] if by_user else test, return_inverse=True)
        if len(units) < 2:
            raise RecGymError(
                f"dataset {dataset.info['name']}: a model of the test users needs two of their"
                f" {'number' if by_user else 'pages'} at least, one to stop early on; there is"
                f" {len(units)}"
            )
        draws = stream(seed, "held-out pages").random(len(units))
        is_held_out = draws < HELD_OUT_SHARE
        is_held_out[draws.argmin()], is_held_out[draws.argmax()] = True, False
        held_out = is_held_out[unit_of]
        members["test"], _ = member("test", test[~held_out], test[held_out], features)
    for bag in range(bags):
        bag_name = f"bag{bag}"
        chosen = _resample_users(pages, training, stream(seed, f"{bag_name}: users"))
        members[bag_name], _ = member(bag_name, chosen, validation, features)

    arrays = {
        name: {key: _as_stored(value) for key, value in params.items()}
        for name, params in members.items()
    }
    return _assemble(dataset, config, arrays, features.float().numpy(), notes, seed, command)


def _as_logged(config: UserConfig, dataset: Dataset) -> UserConfig:
    """Returns the configuration with the outside option that the log shows."""
    sessions, kind, name = dataset.sessions, kind_of(config), dataset.info["name"]
    reward = sessions.reward[sessions.click >= 0]
    if kind.rewards == "logged" and not ((reward >= 0) & (reward <= 1)).all():
        raise RecGymError(
            f"dataset {name}: the rewards of clicks must lie in 0..1, as the model says how likely"
            f" they are; there are {reward.min():g} to {reward.max():g}"
        )
    if kind.by_session or kind.contexts:
        values: dict[str, Any] = {"outside": outside_option(sessions)}
    else:
        values = {"no_click": bool(dataset.info["no_click"])}
    if kind.item_features == "catalog":
        values["features"] = dataset.catalog.features.shape[1] + 2
    logged: UserConfig = changed(config, values, name)
    return logged


def _items(
    dataset: Dataset, config: UserConfig, fit: FitConfig, pages: Pages, training: Array, seed: int
) -> ItemTable | Tensor:
    """Returns item features to learn; or those of the catalog, and of the training pages."""
    side, rng = dataset.catalog.features, stream(seed, "items")
    if kind_of(config).item_features == "learned":
        scale = fit.embedding_scale
        return ItemTable(side, config.features, scale, rng, fit.dtype, fit.projection_scale)
    padded = np.pad(standardised(side), ((0, 0), (0, 2)))
    return torch.from_numpy(with_popularity(padded, pages, training))


def _as_stored(values: Tensor) -> Array:
    """Returns numbers as float32, and ids as they are."""
    return (values.float() if values.is_floating_point() else values).numpy()


def _resample_users(pages: Pages, training: Array, rng: np.random.Generator) -> Array:
    """The pages of as many training users, drawn with replacement."""
    users = pages.user[training]
    drawn = np.bincount(
        rng.choice(np.unique(users), len(np.unique(users))), minlength=users.max() + 1
    )
    return np.repeat(training, drawn[users])


def _assemble(
    dataset: Dataset,
    config: UserConfig,
    members: dict[str, Params],
    features: Array,
    notes: dict[str, dict[str, Any]],
    seed: int,
    command: str,
) -> FittedUserModel:
    """Draws synthetic users, measures random slates, and scores the model on test users."""
    repeat_clicks, kind = bool(dataset.info["repeat_clicks"]), kind_of(config)
    sizes = dataset.sessions.slate_sizes
    page_size = min(int(np.median(sizes[sizes > 0])), len(features))
    histories: dict[str, Array] = {}
    contexts: dict[str, Array] = {}
    click_rates: dict[str, float] = {}
    for split in [name for name in ("train", "test") if name in members]:
        if not kind.chooses:  # nobody can be drawn from it
            histories[split] = np.full((1, config.window), len(features))
            continue
        rng = stream(seed, f"{split}: synthetic users")
        users = SyntheticUsers(
            config, members[split], features, repeat_clicks, SYNTHETIC_USERS, rng
        )
        if isinstance(config, MetaUserConfig):
            log = pages_of(config, dataset.pages(split), len(features))
            params = members[split]
            contexts[split] = draw_contexts(config, params, features, log, SYNTHETIC_USERS, rng)
            users.state["context"] = contexts[split]
        if kind.by_session:  # every session begins with nothing
            histories[split] = np.full((1, config.window), len(features))
            click_rates[split] = random_click_rate(users, page_size, SESSION_HORIZON)
        else:
            histories[split] = draw_histories(users, page_size)
            click_rates[split] = random_click_rate(users, RANDOM_SLATE_SIZE, RANDOM_HORIZON)
    info = {
        "dataset": dataset.info["name"],
        "licence": dataset.info["licence"],
        "data_sha256": dataset.info["sha256"],
        "command": command,
        "seed": seed,
        "repeat_clicks": repeat_clicks,
        "page_size": page_size,
        "random_click_rate": click_rates,
    }
    floors = scoring.floors(dataset)
    if isinstance(config, RecurrentUserConfig):
        info["reads_clicks"] = {name: reads_clicks(params) for name, params in members.items()}
    if kind.rewards == "logged":
        info["meaning"] = dataset.info.get("meaning", {})
        for rule, of_rewards in scoring.reward_floors(dataset).items():
            floors[rule] = replace(floors[rule], reward_log_likelihood=of_rewards)
    clicks = pages_of(config, dataset.pages("train"), len(features)).sequences
    entropy = next_click_entropy(clicks, len(features))
    model = FittedUserModel(config, features, members, histories, info, {}, contexts, entropy)
    scores = scoring.summary(scoring.score(model, dataset), floors)
    if isinstance(config, MetaUserConfig):
        scores["support"] = support_scores(model, dataset)
    for member, said in notes.items():
        for name, value in said.items():
            scores.setdefault(name, {})[member] = value
    if "test" in members:
        scores["agreement"] = asdict(agreement_of(model))
    scored = replace(model, scores=scores)
    return replace(scored, info=info | {"identified": scored.identified})


@contextmanager
def progress_bar(epochs: int) -> Iterator[OnEpoch]:
    """Shows a line for each member that is being fitted; yields what to pass as ``on_epoch``."""
    columns = (
        TextColumn("fitting {task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed:.0f}, validation {task.fields[score]:.4f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress:
        tasks: dict[str, Any] = {}

        def on_epoch(member: str, epoch: int, score: float) -> None:
            if member not in tasks:
                if tasks:
                    progress.stop_task(list(tasks.values())[-1])
                tasks[member] = progress.add_task(member, total=epochs, score=score)
            progress.update(tasks[member], completed=epoch + 1, score=score)

        yield on_epoch
