"""What IRecGAN's figures hold their methods against: policies that know the slate MDP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recgym.collection import LoggingPolicy, greedy_policy, slate_mdp_policy
from recgym.collection.logging_policies import Shown
from recgym.metrics import share_of_headroom
from recgym.simulators.slate_mdp import SlateMDP
from recgym_agents.experiments.experiment import Finished, Result
from recgym_agents.experiments.irecgan.slate_mdp_sessions import (
    AUTHORS,
    CAP,
    MEASURES,
    NO_CAP,
    RANKS,
    as_shown,
    make_world,
    measure_both,
    measures,
    sessions_in,
)
from recgym_agents.experiments.results_report import seeds_text, share_text, table
from recgym_agents.experiments.slate_mdp_known import (
    BELIEF,
    BOUND,
    FIXED,
    HEADROOM,
    START,
    clicks_of_known,
    has_headroom,
)

KNOWN = "known policies"
"""The cells of what needs no training."""
RANDOM, MYOPIC, OPTIMUM = "random", "myopic oracle", "optimum"
PLAYED = (RANDOM, FIXED, START, BELIEF, MYOPIC, OPTIMUM)
"""What those cells hold, beside ``BOUND``; the last two see the user's state."""
COLUMNS = (
    *("clicks", f"% of {BELIEF}", "share of headroom", "coverage@1", "coverage@10"),
    *("% of ceiling", "clicks, authors", "coverage@1, authors", "coverage@10, authors"),
)
CAPTION = (
    "Means ± standard errors over worlds. First by our protocol: the ten best items, sessions of at"
    f" most {CAP} slates, all of which count. Then by the authors': drawn slates, sessions without"
    " a cap, of which those without a click are dropped from the clicks. "
    f"% of {BELIEF}: clicks, as a share of those of a policy that knows the world and sees what the"
    f" methods see. Share of headroom: (method - {START}) / ({BELIEF} - {START}), with Fieller's"
    f" interval, where {BELIEF} earns at least {HEADROOM:.0%} more. % of ceiling: coverage@10, as a"
    f" share of a bound that no policy of clicks exceeds, the row {BOUND}; the {MYOPIC} and the"
    f" {OPTIMUM} see the user's state. Clicks by our protocol of policies that know the world are"
    " computed; all else is played, but for that row."
)
"""Of the table of ``COLUMNS``."""


def measure_known(arguments: dict[str, Any], sessions: int, paths: int, seed: int) -> Result:
    """Measures random slates and policies that know the world.

    Args:
        arguments: of the world.
        sessions: played by each policy and protocol.
        paths: drawn for the clicks of the belief's policy.
        seed: of the sessions' luck.

    Returns:
        For each of ``PLAYED`` what ``measure_both`` returns, but with clicks that are computed; for
        ``BOUND`` the highest measures of policies that see no more than clicks.
    """
    _, world = make_world(arguments, rows=1)
    by_state = _slates_by_state(world)
    shown = {RANDOM: slate_mdp_policy(world, "random"), START: _start_and_fixed(world)}
    shown |= {name: _by_state(slates) for name, slates in by_state.items()}
    found: Result = {
        name: measure_both(policy, policy, arguments, sessions, seed)
        for name, policy in shown.items()
    }
    found[BELIEF] = _measure_belief(arguments, sessions, seed)
    known = clicks_of_known(world, paths)
    bounds = {f"coverage@{rank}": world.coverage_bound(rank, world.horizon) for rank in RANKS}
    found[BOUND] = {"clicks": known.pop(BOUND)} | bounds
    known |= {
        name: float(world.policy_value(slates, 1.0, world.horizon)[0])
        for name, slates in by_state.items()
        if name not in known
    }
    for name, clicks in known.items():
        found[name]["clicks"] = clicks
    return found


def _slates_by_state(world: SlateMDP) -> dict[str, np.ndarray]:
    """Returns the slates (M, K) of policies that know the world, by the user's state.

    "optimum" is best without discount, and without a horizon, which hardly matters; "myopic oracle"
    shows the K most rewarding items, as the logging policy max does.
    """
    fixed = world.best_fixed_slate(1.0, world.horizon).slates
    return {
        FIXED: np.tile(fixed, (world.n_states, 1)),
        MYOPIC: np.argsort(-world.click_rewards, axis=1)[:, : world.slate_size],
        OPTIMUM: world.optimal_policy(1.0).slates,
    }


def _by_state(slates: np.ndarray) -> LoggingPolicy:
    """Returns the policy that shows ``slates`` (M, K) by the user's state."""

    def show(observation: np.ndarray, info: Mapping[str, np.ndarray], rng: Any) -> Shown:
        return as_shown(slates[info["state"]])

    return show


def _start_and_fixed(world: SlateMDP) -> LoggingPolicy:
    """Returns the policy that shows the best first slate, and ever after the best to go with it."""
    start, fixed = world.best_start_and_fixed_slate(1.0, world.horizon).slates

    def show(observation: np.ndarray, info: Mapping[str, np.ndarray], rng: Any) -> Shown:
        begins = (observation == world.n_items).all(axis=1, keepdims=True)
        return as_shown(np.where(begins, start, fixed))

    return show


def _measure_belief(arguments: dict[str, Any], sessions: int, seed: int) -> Result:
    """Measures the belief's policy, which has to observe every click of a session."""
    env, world = make_world(arguments)
    policy = greedy_policy(world.belief_policy(gamma=1.0, horizon=world.horizon))
    capped = sessions_in(env, world, policy, sessions, seed)
    env, world = make_world(arguments | {"horizon": NO_CAP, "window": NO_CAP})
    policy = greedy_policy(world.belief_policy(gamma=1.0))
    endless = sessions_in(env, world, policy, sessions, seed)
    return measures(capped) | {AUTHORS: measures(endless, with_a_click=True)}


def of_policy(runs: list[Finished], policy: str, measure: str) -> np.ndarray:
    """Returns a measure by our protocol, (S,) by seed."""
    return np.array([one.result[policy][measure] for one in runs])


def policies_table(
    header: tuple[str, ...],
    methods: list[tuple[tuple[str, ...], list[Result]]],
    known: list[Finished],
) -> str:
    """Returns the table of what methods and known policies are measured to do in a kind of world.

    Args:
        header: of the columns that say what a row is of; the first is the policy.
        methods: of each row what it is of, and what ``measure_both`` returned, by seed.
        known: the cells of the known policies, by seed.
    """
    empty = [""] * (len(header) - 1)
    start, belief = (of_policy(known, name, "clicks") for name in (START, BELIEF))
    ceiling = of_policy(known, BOUND, "coverage@10")
    rows = []
    for names, found in methods:
        share = ""
        if has_headroom(start, belief):
            clicks = _values(found, "clicks")
            share = share_text(share_of_headroom(clicks, {START: start}, belief))
        rows.append([*names, *_row(found, belief, ceiling, share)])
    for name in PLAYED:
        found = [one.result[name] for one in known]
        rows.append([name, *empty, *_row(found, belief, ceiling, "")])
    bounds = [seeds_text(of_policy(known, BOUND, measure)) for measure in MEASURES]
    bound = seeds_text(100.0 * of_policy(known, BOUND, "clicks") / belief, 1)
    rows.append([BOUND, *empty, bounds[0], bound, "", *bounds[1:], "100", "", "", ""])
    return table([*header, *COLUMNS], rows)


def _row(found: list[Result], belief: np.ndarray, ceiling: np.ndarray, share: str) -> list[str]:
    ours = {measure: _values(found, measure) for measure in MEASURES}
    authors = {measure: _values([one[AUTHORS] for one in found], measure) for measure in MEASURES}
    return [
        seeds_text(ours["clicks"]),
        seeds_text(100.0 * ours["clicks"] / belief, 1),
        share,
        seeds_text(ours["coverage@1"]),
        seeds_text(ours["coverage@10"]),
        seeds_text(100.0 * ours["coverage@10"] / ceiling, 1),
        *(seeds_text(values) for values in authors.values()),
    ]


def _values(found: list[Result], measure: str) -> np.ndarray:
    return np.array([one[measure] for one in found])
