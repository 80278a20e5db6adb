"""IRecGAN, Figure 2: learning from logs of the slate MDP, by logging policy and size of the log."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.data import greedy_policy, slate_mdp_policy
from recgym.metrics import holm, mean_and_error, paired_bootstrap, paired_t
from recgym_agents.checkpoints import load_agent
from recgym_agents.episode_store import EpisodeLoopConfig
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    folder_of,
    having,
)
from recgym_agents.experiments.pages import p_text, seeds_text, table
from recgym_agents.experiments.slate_mdp import (
    ENVIRONMENT,
    LOGGING,
    RANKS,
    Found,
    env_args,
    make_world,
    oracle_policy,
    oracles,
    sessions_in,
    write_log,
)
from recgym_agents.training import METRICS, TrainConfig, train

METHODS = {"LSTM": "user-lstm", "PG": "reinforce", "LSTMD": "user-lstm-d", "IRecGAN": "irecgan"}
"""The paper's name of a method -> the zoo's."""
ORACLES = ("optimum", "myopic oracle", "best fixed slate")
SHOWN = 5_000
"""The size of the random log that shares of the optimum are given for."""
LUCK = 1_000
"""Added to a seed for the luck of its test sessions."""
METRIC = {"coverage@1": "coverage@1", "coverage@10": "coverage@10", "clicks a session": "session"}
"""A panel of the figure -> the result that it shows."""
BUDGET: Budget = {
    "logs": list(LOGGING),
    "sizes": [200, 1_000, 5_000, 10_000],
    "seeds": [0, 1, 2, 3, 4],
    "network": {"cell": "lstm", "layers": 2, "hidden": 64, "embedding": 50},
    "pretraining": 200,
    "updates": 400,
    "reports": 20,
    "patience": 4,
    "sessions": 4_000,
}
SMOKE: Budget = BUDGET | {
    "logs": ["random", "max"],
    "sizes": [100],
    "seeds": [0, 1],
    "network": {"cell": "lstm", "layers": 1, "hidden": 8, "embedding": 8},
    "pretraining": 4,
    "updates": 30,
    "reports": 2,
    "sessions": 100,
}
PAPER: Budget = BUDGET | {
    "network": {"cell": "lstm", "layers": 2, "hidden": 512, "embedding": 50},
}
"""The paper's networks."""


def cells(budget: Budget) -> list[Cell]:
    """One cell a log, size, method and seed; and one a policy that learns nothing, and seed."""
    return [
        {"policy": policy, "seed": seed}
        for policy in (*ORACLES, *LOGGING)
        for seed in budget["seeds"]
    ] + [
        {"log": log, "sessions": size, "method": method, "seed": seed}
        for log in budget["logs"]
        for size in budget["sizes"]
        for method in METHODS
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains a method on a log, and scores it in sessions; a seed is a world, too."""
    seed = cell["seed"]
    env, world = make_world(seed)
    if "policy" in cell:
        name = cell["policy"]
        known = oracles(world)
        policy = oracle_policy(known[name]) if name in known else slate_mdp_policy(world, name)
        return _result(sessions_in(env, world, policy, budget["sessions"], LUCK + seed))
    log, folder = place.folder / "log", folder_of(place.folder, budget)
    agent_args = budget["network"] | {"remove_clicked": False}
    if cell["method"] != "PG":
        agent_args["pretraining"] = budget["pretraining"]
    length = write_log(log, cell["log"], cell["sessions"], seed, seed)
    train(
        TrainConfig(
            env=ENVIRONMENT,
            agent=METHODS[cell["method"]],
            steps=round(budget["updates"] * EpisodeLoopConfig.batch_size * length),
            seed=seed,
            out=str(folder),
            log=str(log),
            env_args=env_args(seed),
            agent_args=agent_args,
            loop_args={"schedule": "offline", "patience": budget["patience"]},
            reports=budget["reports"],
            validation_episodes=1,
        )
    )
    agent, _ = load_agent(folder)
    found = sessions_in(env, world, greedy_policy(agent), budget["sessions"], LUCK + seed)
    last = json.loads((folder / METRICS).read_text().splitlines()[-1])
    watched = ("updates", "discriminator_accuracy", "score", "score_share")
    return _result(found) | {name: last[name] for name in watched if name in last}


def _result(found: Found) -> Result:
    return {
        "session": float(found.reward.mean()),
        **{f"coverage@{rank}": found.coverage[rank] for rank in RANKS},
        "arrays": {"session": found.reward.tolist()},
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, the tests, and the verdicts on what the paper says of its figure."""
    runs = Runs(finished, budget)
    shown = SHOWN if SHOWN in budget["sizes"] else max(budget["sizes"])
    against = runs.against_logging(shown)
    parts = [
        f"## {shown:,} random sessions",
        "Clicks a session, mean ± standard error over worlds, and as shares of the planner's exact "
        "values; gains over the logging policy with p-values that Holm corrected over the "
        f"{len(METHODS)} methods, two-sided over worlds and one-sided over sessions.",
        _shares(runs, shown, against),
    ]
    for title, metric in METRIC.items():
        parts += [f"## {title[0].upper()}{title[1:]}", _by_size(runs, metric)]
    parts += [
        "## The adversary",
        "IRecGAN at its last report: how often the discriminator is right, its mean score of "
        "generated steps, and their effective sample size as a share of the steps (1: the scores "
        "do not reweigh).",
        _adversary(runs),
        "![Coverage and clicks by logging policy and size of the log](irecgan-fig2.png)",
    ]
    claims = (*_beat_logging(runs, shown, against), *_papers_claims(runs))
    return Page(claims, "\n\n".join(parts), {"irecgan-fig2": _figure(runs)})


class Gain(NamedTuple):
    """What a method has over the logging policy."""

    mean: float
    low: float
    high: float
    p_worlds: float
    p_sessions: float


class Runs:
    """The finished cells by what they are of."""

    def __init__(self, finished: list[Finished], budget: Budget) -> None:
        self.finished, self.budget = finished, budget
        self.logs: list[str] = budget["logs"]
        self.sizes: list[int] = budget["sizes"]

    def of(self, log: str, size: int, method: str) -> list[Finished]:
        """Returns a method's trainings on logs of one kind, by seed."""
        return having(self.finished, log=log, sessions=size, method=method)

    def values(self, log: str, size: int, method: str, metric: str) -> np.ndarray:
        """Returns what they found, (S,) by seed."""
        return _by_seed(self.of(log, size, method), metric)

    def over_sizes(self, log: str, method: str, metric: str) -> np.ndarray:
        """Returns means over the sizes of the log, (S,) by seed."""
        every = [self.values(log, size, method, metric) for size in self.sizes]
        mean: np.ndarray = np.mean(every, axis=0)
        return mean

    def untrained(self, policy: str, metric: str = "session") -> np.ndarray:
        """Returns what an oracle or a logging policy found, (S,) by seed."""
        return _by_seed(having(self.finished, policy=policy), metric)

    def against_logging(self, size: int) -> dict[str, Gain]:
        """Holds every method that learned from random sessions against random slates."""
        random = having(self.finished, policy="random")
        gains, p_worlds, p_sessions = [], [], []
        for method in METHODS:
            found = self.of("random", size, method)
            gains.append(mean_and_error(_by_seed(found, "session") - _by_seed(random, "session")))
            p_worlds.append(paired_t(_by_seed(found, "session"), _by_seed(random, "session")))
            p_sessions.append(paired_bootstrap(_sessions(found), _sessions(random)))
        corrected = zip(holm(np.array(p_worlds)), holm(np.array(p_sessions)), strict=True)
        return {
            method: Gain(gain.mean, gain.low, gain.high, *p)
            for method, gain, p in zip(METHODS, gains, corrected, strict=True)
        }


def _by_seed(runs: list[Finished], metric: str) -> np.ndarray:
    return np.array([one.result[metric] for one in runs])


def _sessions(runs: list[Finished]) -> np.ndarray:
    """The clicks of all sessions of all seeds, one after the other."""
    return np.concatenate([one.result["arrays"]["session"] for one in runs])


def _shares(runs: Runs, size: int, against: dict[str, Gain]) -> str:
    """The table of one size of random logs; oracles at the planner's values."""
    known = _planned(runs.budget["seeds"])
    header = ["policy", "clicks a session", *(f"share of {name}" for name in ORACLES)]
    header += ["gain over random", "95% over worlds", "p, worlds", "p, sessions"]
    rows = []
    policies = {name: runs.values("random", size, name, "session") for name in METHODS}
    for name, values in (policies | known | {"random": runs.untrained("random")}).items():
        row = [name, seeds_text(values)]
        row += [f"{values.mean() / known[oracle].mean():.0%}" for oracle in ORACLES]
        if name in against:
            gain = against[name]
            row += [f"{gain.mean:+.2f}", f"{gain.low:+.2f} .. {gain.high:+.2f}"]
            row += [p_text(gain.p_worlds), p_text(gain.p_sessions)]
        rows.append([*row, *[""] * (len(header) - len(row))])
    return table(header, rows)


def _planned(seeds: list[int]) -> dict[str, np.ndarray]:
    """Returns what the oracles are worth exactly, by seed."""
    found: dict[str, list[float]] = {name: [] for name in ORACLES}
    for seed in seeds:
        _, world = make_world(seed, rows=1)
        for name, slates in oracles(world).items():
            found[name].append(float(world.policy_value(slates, 1.0, world.horizon)[0]))
    return {name: np.array(values) for name, values in found.items()}


def _by_size(runs: Runs, metric: str) -> str:
    """A result of every method, log and size, and of what learns nothing."""
    header = ["log", "method", *(f"{size:,}" for size in runs.sizes)]
    rows = [
        [log, method, *(seeds_text(runs.values(log, size, method, metric)) for size in runs.sizes)]
        for log in runs.logs
        for method in METHODS
    ]
    for policy in (*ORACLES, *LOGGING):
        same = seeds_text(runs.untrained(policy, metric))
        rows.append(["", policy, *[same] * len(runs.sizes)])
    return table(header, rows)


def _adversary(runs: Runs) -> str:
    watched = ("discriminator_accuracy", "score", "score_share")
    rows = [
        [log, f"{size:,}"]
        + [seeds_text(runs.values(log, size, "IRecGAN", name)) for name in watched]
        for log in runs.logs
        for size in runs.sizes
    ]
    return table(["log", "sessions", "accuracy", "score", "effective share"], rows)


def _beat_logging(runs: Runs, size: int, against: dict[str, Gain]) -> list[Claim]:
    """Judges "beats the logging policy": p < .01, corrected, over worlds and over sessions."""
    random, claims = runs.untrained("random"), []
    for method in ("PG", "IRecGAN"):
        values, gain = runs.values("random", size, method, "session"), against[method]
        holds = gain.mean > 0 and max(gain.p_worlds, gain.p_sessions) < 0.01
        claims.append(
            Claim(
                f"ours: {method} beats the logging policy, {size:,} random sessions",
                "reproduced" if holds else "not reproduced",
                f"{values.mean():.2f} clicks a session against {random.mean():.2f}, "
                f"p {p_text(gain.p_worlds)} over worlds, {p_text(gain.p_sessions)} over sessions",
            )
        )
    return claims


def _papers_claims(runs: Runs) -> list[Claim]:
    """Judges what the paper says of Figure 2; all are means over the sizes of the logs."""
    found = {
        (log, method, metric): runs.over_sizes(log, method, metric)
        for log in runs.logs
        for method in METHODS
        for metric in METRIC.values()
    }
    claims = [
        _higher(
            f"random logs: LSTM outperforms PG ({metric})",
            found["random", "LSTM", metric],
            found["random", "PG", metric],
        )
        for metric in ("coverage@1", "coverage@10")
    ]
    narrow = [log for log in runs.logs if log != "random"]
    claims += [
        _higher(
            f"{log} logs: the best item is easier to cover than the ten best",
            _over_methods(found, log, "coverage@1"),
            _over_methods(found, log, "coverage@10"),
        )
        for log in narrow
    ]
    if set(narrow) == {"max", "mix"}:
        claims.append(
            _higher(
                "coverage@10 is lower from mix logs than from max logs",
                _over_methods(found, "max", "coverage@10"),
                _over_methods(found, "mix", "coverage@10"),
            )
        )
    others = [method for method in METHODS if method != "IRecGAN"]
    for log in runs.logs:
        best = max(others, key=lambda other: found[log, other, "session"].mean())
        claims.append(
            _higher(
                f"{log} logs: IRecGAN earns more than all others (best: {best})",
                found[log, "IRecGAN", "session"],
                found[log, best, "session"],
            )
        )
    return claims


def _over_methods(
    found: dict[tuple[str, str, str], np.ndarray], log: str, metric: str
) -> np.ndarray:
    mean: np.ndarray = np.mean([found[log, method, metric] for method in METHODS], axis=0)
    return mean


def _higher(text: str, ours: np.ndarray, theirs: np.ndarray) -> Claim:
    """Judges "is higher": p < .05 over worlds."""
    p = paired_t(ours, theirs)
    return Claim(
        text,
        "reproduced" if ours.mean() > theirs.mean() and p < 0.05 else "not reproduced",
        f"{ours.mean():.3f} against {theirs.mean():.3f} ({ours.mean() - theirs.mean():+.3f}), "
        f"higher in {int((ours > theirs).sum())} of {len(ours)} worlds, p {p_text(p)}",
    )


def _figure(runs: Runs) -> Figure:
    """Rows of panels by logging policy, columns by metric; means over worlds by size of log."""
    figure = Figure(figsize=(10, 2.6 * len(runs.logs)), layout="constrained")
    panels = figure.subplots(len(runs.logs), len(METRIC), sharex=True, squeeze=False)
    for row, log in zip(panels, runs.logs, strict=True):
        for axes, (title, metric) in zip(row, METRIC.items(), strict=True):
            for method in METHODS:
                by_size = [
                    mean_and_error(runs.values(log, size, method, metric)) for size in runs.sizes
                ]
                axes.errorbar(
                    runs.sizes,
                    [one.mean for one in by_size],
                    [one.standard_error for one in by_size],
                    label=method,
                    marker="o",
                    markersize=3,
                    linewidth=1,
                )
            for policy, style in (("best fixed slate", "--"), ("random", ":")):
                level = runs.untrained(policy, metric).mean()
                axes.axhline(level, color="grey", linestyle=style, linewidth=1, label=policy)
            axes.set_xscale("log")
            axes.set_title(f"{log}: {title}", fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("logged sessions")
    panels[0][0].legend(fontsize=7, frameon=False)
    return figure


EXPERIMENT = Experiment(
    name="irecgan-fig2",
    title="IRecGAN: learning from logs of the slate MDP",
    reproduces="IRecGAN, Figure 2: coverage and cumulative reward by logging policy and log size",
    method="""
A log is collected in SlateMDP-v0 (10 states, 50 items, slates of 10) by one of three policies:
random slates; the ten most rewarding items in the user's state (max); or, with probability one
half, those, and else ten of the items ranked 10 to 24 (mix). Four sessions of five are learned
from, the fifth selects. A seed is a world (`mdp_seed`), a log in it, a training, and the luck of
the sessions that score it, the same for all methods; so the intervals here are over worlds, of
which the paper has one.

LSTM is the user model alone, by its likelihood; PG is REINFORCE on the log; IRecGAN trains both
with a discriminator (Algorithm 1), and LSTMD ranks by its user model; the zoo's `user-lstm`,
`reinforce`, `irecgan` and `user-lstm-d`. LSTMD is a training of its own, because it is selected by
its own score. As in the paper: embeddings of 50, gamma .9, lambda_r 3, lambda_p 1, one generated
session to ten logged ones, LSTMs of two layers, but of 64 units; `--paper` takes the paper's 512.
Step sizes are the agents' defaults; two or three others were tried in two other worlds (mdp_seed
100, 101) with 200 random sessions, and none was better in both. Batches are of 64 sessions. A
training reads as many slates whatever the size of the log, those of 400 batches (up to 480 updates
where the last batch of a pass is smaller), and ends early when four reports in a row, after
pre-training, bring no better score on the log's validation sessions: log-likelihood for LSTM and
LSTMD, the objective of Eq. 10 for IRecGAN, that of Eq. 9 for PG, whose reward is the click alone.
The policy kept is the best of all reports, those of pre-training among them: where it is one of
these, LSTMD is LSTM, and IRecGAN has learned from logged sessions alone. No method meets the world
before it is scored.

Policies see the clicks of the session, not the state, and show their ten best items. coverage@r is
the share of the r most rewarding items in the user's present state that are in the slate, mean over
all slates. A session's reward is its clicks. The optimum and the myopic oracle see the state, which
clicks hardly give away (transition rows are nearly uniform), so the best fixed slate is the fairer
bar; it is the best that exchanging single items found, and a policy that knows which state sessions
begin in can be a little better. Rows without a training are the same for all sizes.

The paper prints this figure without numbers; its statements are judged. "Over sizes" is the mean
over the sizes of the log. Rule: a difference stands if p < .05 in a two-sided paired t-test over
worlds; for "beats the logging policy" p < .01 over worlds and over sessions (one-sided paired
bootstrap), each corrected by Holm's method.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    paper_budget=PAPER,
)
