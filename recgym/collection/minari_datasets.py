"""Logs from environments as Minari datasets, which keep what was observed, and back."""

from __future__ import annotations

import copy
import inspect
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.arrays import Array
from recgym.collection.collecting import play, sessions_of
from recgym.collection.logging_policies import ActionPolicy, LoggingPolicy, Shown
from recgym.data.sessions import Sessions
from recgym.errors import RecGymError

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec
    from minari import MinariDataset

    from recgym.envs import SlateVectorEnv

SLOT_PROPENSITIES, SLATE_PROPENSITIES = "slot_propensities", "slate_propensities"
"""The infos that the logging policy adds to those of the environment."""
SHOWN = "slate"
"""The info that is added under a view: the slate that each action led to, -1 where to none yet."""


def to_minari(
    env: SlateVectorEnv,
    policy: LoggingPolicy | ActionPolicy,
    sessions: int,
    dataset_id: str,
    seed: int = 0,
) -> MinariDataset:
    """Plays whole episodes as ``collect`` does, and stores them as a Minari dataset.

    Episode i is session i of what ``collect`` returns for the same arguments, with its
    observations, its slates as actions, its rewards, and how it ended. Its infos are the
    environment's, one more than there are steps, and beside them the probability of each item in
    its slot, (T + 1, K), and of each slate, (T + 1,): NaN at the reset, where nothing was shown.

    Under a view the actions are the view's, chosen by an ``ActionPolicy``. Probabilities of slates
    do not follow from those of actions, and are not stored; the slates are, as the info "slate"
    (T + 1, K).

    Args:
        env: as for ``collect``, made by ``gymnasium.make_vec``; in any view.
        policy: see ``recgym.collection.logging_policies``.
        sessions: episodes.
        dataset_id: name of the dataset, such as "SlateMDP/random-v0"; Minari keeps it in the
            folder that the variable MINARI_DATASETS_PATH names.
        seed: of the environment and of the policy.

    Returns:
        The dataset, whose ``recover_environment`` makes the single environment.

    Raises:
        RecGymError: no Minari, a dataset of that name, a malformed name, an environment that no
            spec describes, or what ``collect`` refuses.
    """
    minari = _minari()
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.storage.datasets_root_dir import get_dataset_path

    try:
        parse_dataset_id(dataset_id)
    except (TypeError, ValueError):
        raise RecGymError(
            f"to_minari: dataset_id {dataset_id!r}: must be like 'SlateMDP/random-v0'"
        ) from None
    folder = get_dataset_path(dataset_id)
    if folder.exists():
        raise RecGymError(f"to_minari: {dataset_id!r} exists already; choose another version")
    spec = _single_spec(env)
    episodes = _episodes(env, policy, sessions, seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # who made it, and with which code
            return minari.create_dataset_from_buffers(
                dataset_id,
                episodes,
                env=spec,
                eval_env=spec,
                description=f"{sessions} sessions of {spec.id}, seed {seed}",
                requirements=["recgym"],
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def from_minari(dataset: MinariDataset | str) -> Sessions:
    """Reads the log that ``to_minari`` stored.

    Args:
        dataset: it, some of its episodes, or its name. The number of an episode is its session.

    Raises:
        RecGymError: no Minari, no such dataset, one of another origin, or no episodes.
    """
    minari = _minari()
    if isinstance(dataset, str):
        try:
            dataset = minari.load_dataset(dataset)
        except FileNotFoundError:
            raise RecGymError(f"from_minari: no dataset {dataset!r}; see `minari list`") from None
    pages = []
    for episode in dataset:
        infos = episode.infos or {}
        slates = (SHOWN,) if SHOWN in infos else (SLOT_PROPENSITIES, SLATE_PROPENSITIES)
        needed = ("click", "item", *slates)
        absent = [name for name in needed if name not in infos]
        if absent:
            raise RecGymError(
                f"from_minari: {dataset.spec.dataset_id!r} has no info {absent[0]!r}; it reads what"
                " to_minari wrote"
            )
        page = {"reward": episode.rewards, SHOWN: episode.actions}
        page |= {name: infos[name][1:] for name in (*needed, "user") if name in infos}
        whole = page[SHOWN][:, 0] >= 0  # not so while a slate is filled item by item
        page = {name: values[whole] for name, values in page.items()}
        session = np.full(whole.sum(), episode.id)
        pages.append({"session": session, "step": np.arange(len(session)), "user": session} | page)
    if not pages:
        raise RecGymError(f"from_minari: {dataset.spec.dataset_id!r}: no episodes to read")
    return sessions_of(pages)


def _episodes(
    env: SlateVectorEnv, policy: LoggingPolicy | ActionPolicy, sessions: int, seed: int
) -> list[Any]:
    """Returns what is played, an episode a buffer."""
    from minari.data_collector import EpisodeBuffer

    episodes: dict[int, Any] = {}
    for played in play(env, policy, sessions, seed):
        actions, added, nothing = _chosen(env, played.shown)
        answer = _own(played.answer) | added
        for row in np.flatnonzero(played.session < sessions):
            number = int(played.session[row])
            if played.step[row] == 0:
                infos = {name: [values[row]] for name, values in _own(played.info).items()}
                infos |= {name: [value] for name, value in nothing.items()}
                first = [played.observation[row]]
                episodes[number] = EpisodeBuffer(
                    id=number, observations=first, actions=[], infos=infos
                )
            episode = episodes[number]
            for name, values in answer.items():
                episode.infos[name].append(values[row])
            episode.observations.append(played.after[row])
            episode.actions.append(actions[row])
            episode.rewards.append(played.reward[row])
            episode.terminations.append(played.terminated[row])
            episode.truncations.append(played.truncated[row])
    return [episodes[number] for number in sorted(episodes)]


def _chosen(
    env: SlateVectorEnv, shown: Shown | Array
) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    """Returns the actions of one step, the infos that are added to it, and those of a reset."""
    size = env.simulator.slate_size
    if not isinstance(shown, Shown):
        return shown, {SHOWN: env.shown_slates()}, {SHOWN: np.full(size, -1)}
    nan = np.full(size, np.nan, np.float32)
    added = {
        SLOT_PROPENSITIES: shown.slot_propensities.astype(np.float32),
        SLATE_PROPENSITIES: shown.slate_propensities.astype(np.float32),
    }
    return shown.slate, added, {SLOT_PROPENSITIES: nan, SLATE_PROPENSITIES: nan[0]}


def _own(info: Any) -> dict[str, Array]:
    """Returns the entries of a vector environment's info, without Gymnasium's masks."""
    return {name: values for name, values in info.items() if not name.startswith("_")}


def _single_spec(env: SlateVectorEnv) -> EnvSpec:
    """Returns the spec of the single environment that is a row of a vector environment.

    Raises:
        RecGymError: there is none, it is no plain JSON, or its observations are dicts.
    """
    from recgym.envs import SlateEnv, SlateVectorEnv

    if env.spec is None:
        raise RecGymError("to_minari: make the environment with gymnasium.make_vec")
    if env.spec.kwargs.get("mask_keys"):
        raise RecGymError("to_minari: leave out mask_keys; the masks are stored as an info")
    single, vector = (inspect.signature(shell).parameters for shell in (SlateEnv, SlateVectorEnv))
    only_vector = vector.keys() - single.keys() | {"vectorization_mode"}
    spec = copy.deepcopy(env.spec)
    spec.max_episode_steps = None  # the environment's own, which needs no wrapper
    spec.kwargs = {name: value for name, value in spec.kwargs.items() if name not in only_vector}
    try:
        spec.to_json()
    except (TypeError, ValueError) as error:
        raise RecGymError(f"to_minari: the environment's arguments: {error}") from None
    return spec


def _minari() -> Any:
    """Returns the package, which is imported only here."""
    try:
        import h5py  # noqa: F401  # what Minari stores in
        import minari
        import PIL  # noqa: F401
    except ModuleNotFoundError:
        raise RecGymError('Minari datasets need Minari: pip install "recgym[minari]"') from None
    return minari
