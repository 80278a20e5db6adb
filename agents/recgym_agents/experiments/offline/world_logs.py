"""Logs of worlds that can be played, and how an agent that learned from one is scored in both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np

from recgym.arrays import Array
from recgym.collection import LoggingPolicy, Shown, as_dataset, collect
from recgym.data import Dataset
from recgym.data.dataset import split_users
from recgym.ope import OffPolicyEstimate
from recgym.spaces import draw_slates
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import Result
from recgym_agents.protocols import Actor, Policy
from recgym_agents.runs.evaluation import ROWS, evaluate, make_vector_env
from recgym_agents.runs.log_evaluation import evaluate_on_log
from recgym_agents.runs.next_items import ItemScorer, divergence_on, rank_events
from recgym_agents.zoo import entry_of

ANY_ITEM = {"remove_clicked": False}
DIVISION = (0.7, 0.1, 0.2)
"""Shares of a log's sessions to learn from, to select by, and to score on."""
LUCK = 1_000
"""Added to a seed for the luck of the sessions that a policy is scored in."""
CUTOFF = 10


@dataclass(frozen=True)
class World:
    """An environment, of which a seed draws another instance where it can."""

    env: str
    env_args: Mapping[str, Any]
    seeded_by: str | None
    """The argument that takes the seed; None where all seeds are one world."""
    agent_args: Mapping[str, Any]
    """Of every agent in it."""
    sessions: str
    """Under which name a budget says how many sessions a log has."""

    def arguments(self, seed: int) -> dict[str, Any]:
        """Returns the environment's arguments."""
        return dict(self.env_args) | ({} if self.seeded_by is None else {self.seeded_by: seed})


def _slate_mdp(concentration: float) -> World:
    """Returns the slate MDP whose observations hold all clicks of a session."""
    arguments = {"window": 40, "concentration": concentration}
    return World("SlateMDP-v0", arguments, "mdp_seed", ANY_ITEM, "short")


MAIN = "SlateMDP, concentration .1"
WORLDS = {
    MAIN: _slate_mdp(0.1),
    "SlateMDP, concentration .01": _slate_mdp(0.01),
    "KnownUsers": World("KnownUsers-v0", {}, "population_seed", {}, "long"),
    "RecGAN": World("RecGAN-v0", {}, None, {}, "long"),
}
LOGS = {"random": 0.0, "mix": 0.5, "trained": 0.9}
"""Share of the slates that a trained agent chose; the others are random."""


def logging_policy(trained: Actor, share: float) -> LoggingPolicy:
    """Returns the policy that shows an agent's own slates, or else slates drawn evenly.

    Args:
        trained: the agent, which does not explore.
        share: of its own slates.
    """
    n_items, size = trained.spec.n_items, trained.spec.slate_size

    def show(observation: Array, info: Mapping[str, Array], rng: np.random.Generator) -> Shown:
        own, drawn = trained.act(observation), draw_slates(n_items, len(observation), size, rng)
        slate = np.where(rng.random((len(own), 1)) < share, own, drawn)
        same = slate == own
        slots = share * same + (1.0 - share) / n_items
        slates = share * same.all(axis=1) + (1.0 - share) / math.perm(n_items, size)
        return Shown(slate, slots, slates)

    return show


def make_log(world: World, seed: int, trained: Actor, share: float, sessions: int) -> Dataset:
    """Returns a log whose sessions are users of their own, since the world forgets them too.

    Args:
        world: where it is collected.
        seed: of the world, the luck, and the division of the sessions.
        trained: see ``logging_policy``.
        share: see there.
        sessions: in the log.
    """
    rows = min(sessions, ROWS)
    env = make_vector_env(world.env, world.arguments(seed), rows, "disabled")
    log = collect(env, logging_policy(trained, share), sessions, seed)
    number = log.session_number
    dataset = as_dataset(env, replace(log, user=number, session=number), world.env)
    return replace(dataset, split=split_users(dataset.n_users, seed, DIVISION))


def without_losses(dataset: Dataset) -> Dataset:
    """Returns a log in which what earned less than nothing earned nothing."""
    sessions = dataset.sessions
    floored = np.maximum(sessions.reward, np.float32(0.0))
    return replace(dataset, sessions=replace(sessions, reward=floored))


def most_clicked(dataset: Dataset, spec: EnvironmentSpec, world: World) -> Policy:
    """Returns ``popularity`` as it is after the training sessions of a log."""
    entry = entry_of("popularity", world.agent_args, {})
    agent = entry.builder(entry.config, spec, 0)
    log = dataset.pages("train")
    shows = np.bincount(log.slate_items, minlength=spec.n_items)
    clicks = np.bincount(log.item[log.item >= 0], minlength=spec.n_items)
    agent.load_policy({"shows": shows, "clicks": clicks}, {})
    return cast(Policy, agent)


class ClickRates:
    """Ranks all items as a ``popularity`` does, by its counts.

    Args:
        popular: the agent.
    """

    def __init__(self, popular: Policy) -> None:
        self.spec = popular.spec
        counts, _ = popular.policy()
        self.rates: Array = (counts["clicks"] + 0.5) / (counts["shows"] + 1.0)

    def item_scores(self, observation: Array) -> Array:
        """Returns what all items are ranked by (B, N)."""
        return np.tile(self.rates, (len(observation), 1))


def score_in_world(agent: Policy, world: World, seed: int, episodes: int) -> Result:
    """Returns what a policy earns, a session and a page; all policies meet the same luck."""
    played = evaluate(agent, world.env, world.arguments(seed), episodes, LUCK + seed)
    session = played.estimates()[2]
    page = float(played.session_reward.sum() / played.steps.sum())
    return {"value": session.mean, "error": session.standard_error, "page": page}


def score_on_log(
    agent: Policy, scorer: ItemScorer, logging: ItemScorer | None, dataset: Dataset
) -> Result:
    """Returns what the test sessions of a log say of a policy.

    Args:
        agent: what shows slates.
        scorer: what ranks all items as it does.
        logging: the estimated logging policy; None for what has no policy to compare.
        dataset: the log.
    """
    test = dataset.pages("test")
    ranked = rank_events(scorer, test)
    found: Result = {
        f"HR@{CUTOFF}": float(ranked.hit_rate(CUTOFF).mean()),
        f"nDCG@{CUTOFF}": float(ranked.ndcg(CUTOFF).mean()),
        "distinct": ranked.distinct,
    }
    if logging is not None:
        found["js"] = divergence_on(scorer, logging, test).js
    return found | {"ope": estimates_on_log(agent, dataset)}


def estimates_on_log(agent: Actor, dataset: Dataset) -> Result:
    """Returns what estimators say of the reward a page, by name, see ``evaluate_on_log``."""
    return {one.method: _brief(one) for one in evaluate_on_log(agent, dataset).page}


def _brief(found: OffPolicyEstimate) -> Result:
    wanted = ("estimate", "low", "high", "effective_sample_size")
    kept = {name: value for name, value in asdict(found).items() if name in wanted}
    return kept | {"warned": bool(found.warnings)}
