"""Logs from environments: sessions of a logging policy, with their propensities."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recgym.arrays import Array
from recgym.collection.logging_policies import ActionPolicy, LoggingPolicy, Shown
from recgym.data.catalog import Catalog
from recgym.data.dataset import Dataset, split_users
from recgym.data.descriptions import click_facts
from recgym.data.sessions import Sessions
from recgym.errors import RecGymError
from recgym.spaces import SlateSpace

if TYPE_CHECKING:
    from recgym.envs import SlateEnv, SlateVectorEnv


class Played(NamedTuple):
    """One step of every row of a vector environment, whose episodes are numbered."""

    session: Array
    """Number of each row's episode, (B,)."""
    step: Array
    """Slates that its episode had shown before, (B,)."""
    observation: Array
    """What was observed before the slate."""
    info: Mapping[str, Array]
    """Info before the slate."""
    shown: Any
    """What the policy chose: a ``Shown``, or under a view its actions (B, ...)."""
    after: Array
    """What was observed after it."""
    reward: Array
    terminated: Array
    truncated: Array
    answer: Mapping[str, Array]
    """Info after it."""


def play(
    env: SlateVectorEnv,
    policy: LoggingPolicy | ActionPolicy,
    sessions: int,
    seed: int = 0,
    each_user: bool = False,
) -> Iterator[Played]:
    """Plays until the first ``sessions`` episodes are over; later ones are broken off.

    Arguments as in ``collect``.

    Raises:
        RecGymError: an environment that resets by itself, no sessions, a seed below 0, or a policy
            of slates under a view, or of actions without one.
    """
    mode = str(env.metadata.get("autoreset_mode")).rpartition(".")[2].lower().replace("_", "-")
    if mode != "disabled":
        raise RecGymError(
            "collect: make the environment by gymnasium.make_vec with autoreset_mode='disabled'"
        )
    if sessions < 1:
        raise RecGymError(f"collect: sessions={sessions} must be at least 1")
    if seed < 0:
        raise RecGymError(f"collect: seed={seed} must be at least 0")
    rng = np.random.default_rng([seed, 1])
    session, begun = np.arange(env.num_envs), env.num_envs

    def of_users() -> dict[str, Any]:
        return {"user": session % env.simulator.n_users} if each_user else {}

    observation, info = env.reset(seed=seed, options=of_users())
    step = np.zeros(env.num_envs, np.int64)
    while (session < sessions).any():
        shown = policy(observation, info, rng)
        if isinstance(shown, Shown) != isinstance(env.single_action_space, SlateSpace):
            raise RecGymError(
                "logging policy: under a view it must return the view's actions, see"
                " uniform_actions; without one a Shown, see uniform_policy"
            )
        actions = shown.slate if isinstance(shown, Shown) else shown
        after, reward, terminated, truncated, answer = env.step(actions)
        yield Played(
            session, step, observation, info, shown, after, reward, terminated, truncated, answer
        )
        observation, info = after, answer
        done = terminated | truncated
        step = np.where(done, 0, step + 1)
        if done.any():
            session = session.copy()
            session[done] = begun + np.arange(done.sum())
            begun += int(done.sum())
            observation, info = env.reset(options={"reset_mask": done} | of_users())


def collect(
    env: SlateVectorEnv,
    policy: LoggingPolicy,
    sessions: int,
    seed: int = 0,
    each_user: bool = False,
) -> Sessions:
    """Plays whole episodes, and returns them as a log.

    Episodes are numbered in the order in which they begin, and all that begin are logged, so that
    short ones are not favoured. A user who was met in several episodes has several sessions;
    without users, each session has a user of its own.

    Args:
        env: a vector environment in NumPy, without a view, made with
            ``autoreset_mode="disabled"``.
        policy: see ``recgym.collection.logging_policies``.
        sessions: episodes.
        seed: of the environment and of the policy.
        each_user: whether session s is of user s, beginning anew after the last; drawn otherwise.

    Raises:
        RecGymError: another kind of environment, no sessions, or a seed below 0.
    """
    if not isinstance(env.simulator.action_space, SlateSpace):
        raise RecGymError("collect: make the environment without a view; to_minari takes one")
    logged = []
    for played in play(env, policy, sessions, seed, each_user):
        page = {
            "user": played.info.get("user", played.session),
            "session": played.session,
            "step": played.step,
            "slate": played.shown.slate,
            "click": played.answer["click"],
            "item": played.answer["item"],
            "reward": played.reward,
            "slot_propensities": played.shown.slot_propensities,
            "slate_propensities": played.shown.slate_propensities,
        }
        wanted = played.session < sessions
        logged.append({name: np.array(values)[wanted] for name, values in page.items()})
    return sessions_of(logged)


def sessions_of(parts: Sequence[Mapping[str, Array]]) -> Sessions:
    """Returns pages of equal slates as a log, in its order.

    Args:
        parts: some pages each: the fields of ``Sessions`` by name, with ``slate`` (P, K) and
            ``slot_propensities`` (P, K), which may be absent with ``slate_propensities``.
    """
    pages = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((pages["step"], pages["session"], pages["user"]))
    pages = {name: values[order] for name, values in pages.items()}
    n_pages, size = pages["slate"].shape
    slots, slates = pages.get("slot_propensities"), pages.get("slate_propensities")
    return Sessions(
        user=pages["user"],
        session=pages["session"],
        step=pages["step"],
        slate_offsets=np.arange(n_pages + 1) * size,
        slate_items=pages["slate"].reshape(-1),
        click=pages["click"],
        item=pages["item"],
        reward=pages["reward"].astype(np.float32),
        slot_propensities=None if slots is None else slots.reshape(-1).astype(np.float32),
        slate_propensities=None if slates is None else slates.astype(np.float32),
    )


def as_dataset(env: SlateEnv | SlateVectorEnv, log: Sessions, name: str, seed: int = 0) -> Dataset:
    """Returns a log of ``collect`` as a prepared dataset, which a user model can be fitted to.

    Args:
        env: where it was collected; its item features are the catalog's.
        log: the sessions.
        name: of the dataset.
        seed: divides the users.
    """
    simulator = env.simulator
    features = simulator.item_features
    if features is None:
        features = np.zeros((simulator.n_items, 0), np.float32)
    users, user = np.unique(log.user, return_inverse=True)
    digest = hashlib.sha256(log.slate_items.tobytes() + log.click.tobytes()).hexdigest()
    own = {field: getattr(log, field) for field in Sessions.__dataclass_fields__}
    info = {"name": name, "licence": "made by RecGym", "source": {}, "sha256": digest}
    return Dataset(
        sessions=Sessions(**(own | {"user": user.astype(np.int64)})),
        catalog=Catalog(
            item_id=tuple(str(item) for item in range(simulator.n_items)),
            title=None,
            features=features,
            feature_names=tuple(f"feature:{column}" for column in range(features.shape[1])),
        ),
        split=split_users(len(users), seed),
        info=info | click_facts(log),
    )
