"""IRecGAN's Figure 3: policies that meet a slate MDP and learn from what they showed, in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.data import greedy_policy, slate_mdp_policy
from recgym.metrics import holm, paired_t, paired_variances
from recgym_agents.episode_store import EpisodeLoopConfig, EpisodeStore
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    Verdict,
    having,
)
from recgym_agents.experiments.pages import p_text, seeds_text, table
from recgym_agents.experiments.slate_mdp import (
    RANKS,
    Found,
    exploring_policy,
    make_world,
    oracle_policy,
    oracles,
    sessions_in,
)
from recgym_agents.loops import World, check_finite
from recgym_agents.rollout import roll_out
from recgym_agents.table import entry_of

LUCK = 1_000
"""Times a seed and one: the first seed of the luck of the sessions that are measured."""
MEASURES = ("coverage@1", "coverage@10", "clicks")
"""What is measured of sessions; clicks are those of a session."""
COVERAGES = MEASURES[:2]
KNOWN = "known policies"
"""The cells of what needs no training."""
PLANNED = ("random", "best fixed slate", "myopic oracle", "optimum")
"""What those hold, least to most clicks."""
NETWORK = {"cell": "lstm", "layers": 2, "hidden": 64, "embedding": 50, "remove_clicked": False}


@dataclass(frozen=True)
class Method:
    """A line of the figure."""

    agent: str
    online: bool
    """Whether it learns from sessions as they are played."""
    offline: bool
    """Whether it learns from all stored sessions after each iteration."""
    greedy: bool = False
    """Whether it shows what it likes best, and draws nothing."""


METHODS = {
    "PG-online": Method("reinforce", online=True, offline=False),
    "PG-online&offline": Method("reinforce", online=True, offline=True),
    "LSTM-offline": Method("user-lstm", online=False, offline=True),
    "LSTM-offline, greedy": Method("user-lstm", online=False, offline=True, greedy=True),
    "IRecGAN": Method("irecgan", online=True, offline=True),
}
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "iterations": 20,
    "sessions": 200,
    "round": 20,
    "batch": 100,
    "updates": 10,
    "learning_rate": 0.03,
    "user_learning_rate": 0.01,
    "later": 5,
    "measured": 500,
    "known": 5_000,
}
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "iterations": 2,
    "sessions": 20,
    "round": 10,
    "batch": 10,
    "updates": 2,
    "later": 1,
    "measured": 20,
    "known": 50,
}


class Comparison(NamedTuple):
    """A mean over the last iterations that should be above another, paired by seed."""

    ours: str
    theirs: str
    our_measure: str
    their_measure: str


def _both(ours: str, theirs: str) -> list[Comparison]:
    return [Comparison(ours, theirs, measure, measure) for measure in COVERAGES]


LEARNERS = ("PG-online", "PG-online&offline", "IRecGAN")
DRAWN = "LSTM-offline ends below all RL methods in both coverages"
GREEDY = "LSTM-offline, greedy, ends below all RL methods in both coverages"
SLOW = "PG-online improves slowly: it ends below PG-online&offline in both coverages"
SPREAD = "PG-online has a high variance: above PG-online&offline's in both coverages"
BETTER = "IRecGAN ends above PG-online&offline in both coverages"
HARD = "coverage@10 is harder to improve: it ends below coverage@1 for all RL methods"
CLAIMS = {
    DRAWN: [one for name in LEARNERS for one in _both(name, "LSTM-offline")],
    GREEDY: [one for name in LEARNERS for one in _both(name, "LSTM-offline, greedy")],
    SLOW: _both("PG-online&offline", "PG-online"),
    BETTER: _both("IRecGAN", "PG-online&offline"),
    HARD: [Comparison(name, name, *COVERAGES) for name in LEARNERS],
}
"""A statement of the paper -> the comparisons that all have to hold."""


def cells(budget: Budget) -> list[Cell]:
    """One cell a method and seed, and one a seed for what needs no training."""
    return [
        {"method": name, "seed": seed} for name in (*METHODS, KNOWN) for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains a method in the world of its seed, and measures it before each iteration."""
    if cell["method"] == KNOWN:
        return _known(cell["seed"], budget)
    return learn(METHODS[cell["method"]], cell["seed"], budget)


def _known(seed: int, budget: Budget) -> Result:
    """Measures random slates, and policies that know the world."""
    env, world = make_world(seed)
    policies = {"random": slate_mdp_policy(world, "random")}
    policies |= {name: oracle_policy(slates) for name, slates in oracles(world).items()}
    return {
        name: _measures(sessions_in(env, world, policy, budget["known"], LUCK * (seed + 1)))
        for name, policy in policies.items()
    }


def learn(method: Method, seed: int, budget: Budget) -> Result:
    """Plays and learns in turn, ``budget["iterations"]`` times.

    Args:
        method: what learns, and from what.
        seed: of its world, its networks and its luck.
        budget: sessions of an iteration and of a round, and offline updates of an iteration.

    Returns:
        By iteration, lists of what was measured before it; and ``greedy``, measures at the end.
    """
    (env, world), (own, _) = make_world(seed), make_world(seed, budget["round"])
    entry = entry_of(
        method.agent,
        NETWORK | _settings(method, budget),
        {"schedule": "online-offline", "batch_size": budget["batch"]},
    )
    agent: Any = entry.builder(entry.config, World.of(own), seed)
    shown: Any = _Greedy(agent) if method.greedy else agent
    assert isinstance(entry.loop, EpisodeLoopConfig)
    store = EpisodeStore(None, world.n_items, entry.loop, np.random.default_rng(seed))
    own.reset(seed=seed)
    found, steps, updates = [], 0, 0
    for iteration in range(budget["iterations"]):
        luck = LUCK * (seed + 1) + iteration
        drawn = sessions_in(env, world, exploring_policy(shown), budget["measured"], luck)
        found.append(_measures(drawn))
        for _ in range(budget["sessions"] // budget["round"]):
            played = roll_out(shown, own, budget["round"])
            store.add(played)
            steps += len(played.reward)
            if method.online:
                updates += 1
                check_finite(agent.update(played.batch(np.arange(len(played)))), updates, steps)
        for _ in range(budget["updates"] if method.offline else 0):
            updates += 1
            check_finite(agent.update(store.draw()), updates, steps)
    luck = LUCK * (seed + 1) + budget["iterations"]
    greedy = sessions_in(env, world, greedy_policy(agent), budget["measured"], luck)
    by_iteration = {name: [one[name] for one in found] for name in MEASURES}
    return by_iteration | {"greedy": _measures(greedy)}


class _Greedy:
    """An agent that shows what it likes best, even where slates are to be drawn."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns the K items that it likes best (B, K), whatever ``explore`` is."""
        slate: np.ndarray = self.agent.act(observation)
        return slate


def _settings(method: Method, budget: Budget) -> dict[str, float]:
    """Returns step sizes, and the settings by which IRecGAN's rounds begin with iteration 2.

    The last fifth of the first iteration's offline updates is the discriminator's.
    """
    rates = {"learning_rate": budget["learning_rate"]}
    if method.agent == "reinforce":
        return rates
    rates["user_learning_rate"] = budget["user_learning_rate"]
    if method.agent == "user-lstm":
        return rates
    of_discriminator = -(-budget["updates"] // 5)
    first = budget["sessions"] // budget["round"] + budget["updates"]
    pretraining = {"pretraining": first - of_discriminator}
    return rates | pretraining | {"discriminator_pretraining": of_discriminator}


def _measures(found: Found) -> dict[str, float]:
    """Returns what is reported of sessions, by name."""
    coverage = {f"coverage@{rank}": round(found.coverage[rank], 5) for rank in RANKS}
    return coverage | {"clicks": round(float(found.reward.mean()), 5)}


class Test(NamedTuple):
    """What a comparison found."""

    gain: float
    p: float
    """Two-sided paired t-test over seeds, corrected by Holm's method over the page."""

    def holds(self) -> bool:
        """Returns whether ours is higher."""
        return self.gain > 0.0 and self.p < 0.05


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, the tests, and a verdict for each statement of the paper."""
    runs = {name: having(finished, method=name) for name in METHODS}
    known = having(finished, method=KNOWN)
    tests = _tests(runs, budget)
    header = ["policy", *MEASURES, *(f"{name}, greedy" for name in MEASURES)]
    rows = [
        [
            name,
            *(seeds_text(_later(found, measure, budget)) for measure in MEASURES),
            *(seeds_text([one.result["greedy"][m] for one in found]) for m in MEASURES),
        ]
        for name, found in runs.items()
    ]
    rows += [
        [name, *(seeds_text(_of_known(known, name, m)) for m in MEASURES), "", "", ""]
        for name in PLANNED
    ]
    parts = [
        "## Policies",
        f"Means over the last {budget['later']} of {budget['iterations']} iterations, ± standard "
        "error over seeds, of slates as a method shows them while it learns; then of the K items "
        "that it ranks first, when it has learned. Below: policies that need no training. The "
        "optimum and the myopic oracle see the user's state, which is hidden from the methods.",
        table(header, rows),
        "![Coverage and clicks by iteration](irecgan-fig3.png)",
    ]
    return Page(
        _claims(runs, tests, budget), "\n\n".join(parts), {"irecgan-fig3": _figure(runs, known)}
    )


def _later(runs: list[Finished], measure: str, budget: Budget) -> np.ndarray:
    """Returns the mean over the last iterations, by seed."""
    return np.array([np.mean(one.result[measure][-budget["later"] :]) for one in runs])


def _of_known(known: list[Finished], name: str, measure: str) -> np.ndarray:
    return np.array([one.result[name][measure] for one in known])


def _tests(runs: dict[str, list[Finished]], budget: Budget) -> dict[Comparison, Test]:
    """Makes every comparison of the page."""
    comparisons = [one for some in CLAIMS.values() for one in some]
    pairs = [
        (
            _later(runs[one.ours], one.our_measure, budget),
            _later(runs[one.theirs], one.their_measure, budget),
        )
        for one in comparisons
    ]
    p_values = holm(np.array([paired_t(*pair) for pair in pairs]))
    return {
        one: Test(float((ours - theirs).mean()), float(p))
        for one, (ours, theirs), p in zip(comparisons, pairs, p_values, strict=True)
    }


def _claims(
    runs: dict[str, list[Finished]], tests: dict[Comparison, Test], budget: Budget
) -> tuple[Claim, ...]:
    claims = []
    for text, comparisons in CLAIMS.items():
        found = [tests[one] for one in comparisons]
        evidence = "; ".join(
            f"{_named(one)} {test.gain:+.3f} (p {p_text(test.p)})"
            for one, test in zip(comparisons, found, strict=True)
        )
        holds = all(test.holds() for test in found)
        claims.append(Claim(text, _verdict(holds), evidence))
        if text == SLOW:
            claims.append(_spread(runs, budget))
    return tuple(claims)


def _named(one: Comparison) -> str:
    if one.ours == one.theirs:
        return f"{one.ours}: {one.our_measure} - {one.their_measure}"
    return f"{one.ours} - {one.theirs}, {one.our_measure}:"


def _spread(runs: dict[str, list[Finished]], budget: Budget) -> Claim:
    """Judges "high variance": a larger one over seeds, with p < .05."""
    holds, evidence = True, []
    for measure in COVERAGES:
        ours, theirs = (
            _later(runs[name], measure, budget) for name in ("PG-online", "PG-online&offline")
        )
        p = paired_variances(ours, theirs)
        holds &= bool(ours.std() > theirs.std()) and p < 0.05
        deviations = f"{ours.std(ddof=1):.3f} against {theirs.std(ddof=1):.3f}"
        evidence.append(f"{measure}: standard deviation {deviations} (p {p_text(p)})")
    return Claim(SPREAD, _verdict(holds), "; ".join(evidence))


def _verdict(holds: bool) -> Verdict:
    return "reproduced" if holds else "not reproduced"


def _figure(runs: dict[str, list[Finished]], known: list[Finished]) -> Figure:
    """Each measure by iteration, a line a method, with its standard error over seeds."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, measure in zip(figure.subplots(1, len(MEASURES)), MEASURES, strict=True):
        for number, (name, found) in enumerate(runs.items()):
            values = np.array([one.result[measure] for one in found])
            mean, error = values.mean(0), values.std(0, ddof=1) / len(values) ** 0.5
            iteration = np.arange(1, len(mean) + 1)
            axes.plot(iteration, mean, color=f"C{number}", label=name)
            axes.fill_between(iteration, mean - error, mean + error, color=f"C{number}", alpha=0.2)
        for style, name in zip((":", "-.", "--", "-"), PLANNED, strict=True):
            worth = _of_known(known, name, measure).mean()
            axes.axhline(worth, color="grey", linestyle=style, linewidth=0.9, label=name)
        axes.set_title(measure, fontsize=9)
        axes.set_xlabel("iteration")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("clicks per session", fontsize=9)
    axes.set_yscale("log")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


EXPERIMENT = Experiment(
    name="irecgan-fig3",
    title="Learning online and offline in turn, in the slate MDP",
    reproduces="Bai, Guan and Wang (NeurIPS 2019), Figure 3 and what section 7.1 says of it",
    method="""
The text of the paper gives none of its figure's numbers; only its statements are judged here. A
method plays 200 sessions in SlateMDP-v0 with its current policy, then learns from all that it has
stored, 20 times, from scratch. Each seed is a world of its own, which all methods of a seed meet.

- **Online.** The 200 sessions come in ten rounds of 20. Each round is learned from by one update
  before the next is played, and not again: all updates are on-policy. (One update by all 200 would
  leave PG-online 20 updates altogether.)
- **Offline.** Ten updates an iteration, each by 100 of all sessions stored so far, without
  importance weights, as in the paper's Eq. 9, though old sessions are those of old policies.
- **PG-online** and **PG-online&offline** are `reinforce`. **IRecGAN** (`irecgan`) is given the same
  sessions and updates as PG-online&offline. Its first iteration is its pre-training: the last fifth
  of the offline updates is the discriminator's, the updates before are the agent's and the user
  model's, by real sessions alone. From the second iteration on, each is a round of Algorithm 1.
- **LSTM-offline** (`user-lstm`) fits its user model, offline only. The paper does not say how it
  shows slates while it collects sessions. *LSTM-offline* draws them as the others do, here from the
  softmax of the user model's logits (Eq. 1); *LSTM-offline, greedy* shows the ten highest. The
  statement is judged for both.

What is recorded is the policy before each iteration, in sessions that nothing learns from, with
luck that is the same for all methods: coverage@r, the share of the r most rewarding items in the
user's state that her slate holds, mean over slates, and clicks per session. Slates are those that a
method shows as it learns: drawn, by all but the greedy one. Random slates of 10 of 50 items cover
20% whatever r is, so that both coverages begin alike.

All networks are two LSTM layers of 64 units (the paper: 512), with item embeddings of 50; discount
.9, lambda_r 3 (IRecGAN's rewards are 1 + 3 r, Eq. 10; those of PG are r), one generated session to
ten real ones; observations hold 40 clicks; clicked items remain candidates. Step sizes were chosen
by the clicks of the last five iterations, in worlds that are not reported: the agent's from .003,
.01 and .03 with the two policy gradients (mdp_seed 100 and 101), the user model's from .003 and .01
with LSTM-offline (mdp_seed 100 alone). The largest was best in each case; IRecGAN takes both as
they are. Ten updates by 100 were set by what they cost.

Rules, all on the mean of the last five iterations: a method ends above another if the difference
over seeds is positive, with p < .05 in a two-sided paired t-test over seeds, corrected by Holm's
method over all comparisons of this page; a statement about several methods or both coverages needs
every one of its comparisons. The variance is larger if the standard deviation over seeds is, for
both coverages, with p < .05 in the paired test of Pitman and Morgan, uncorrected; it includes how
worlds differ, for both methods alike.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
