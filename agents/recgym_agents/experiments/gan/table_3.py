"""Table 3 and Figure 4 of the GAN user model: policies that other models or a log alone teach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.arrays import Array
from recgym.data import Dataset
from recgym_agents.agent import EnvironmentSpec
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
from recgym_agents.experiments.gan.policies import BUDGET as ONE_PAIR
from recgym_agents.experiments.gan.policies import (
    ENVIRONMENT,
    MARGIN,
    PAPER,
    WORLDS,
    EnvArgs,
    papers_gain,
    seen,
    train_policy,
)
from recgym_agents.experiments.results_report import dots, p_text, seeds_text, table
from recgym_agents.experiments.user_logs import divide_again, fit_by_name, fit_division, read_log
from recgym_agents.experiments.verdicts import claim_bound, differences, judge, limit
from recgym_agents.protocols import Actor
from recgym_agents.runs.evaluation import evaluate, make_vector_env
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

LOG = "ml-100k"
GAN = "gan-pw"


class Source(NamedTuple):
    """Where a policy comes from."""

    policy: str
    """Its row of ``recgan-policies``; or the agent that learns it from the log."""
    model: str | None = GAN
    """The user model of the training users that it is made in; None for the log alone."""


POLICIES = {
    "random": Source("random"),
    "popularity": Source("popularity"),
    "W&D-LR": Source("user-greedy", "wide-deep-lr"),
    "W&D-CCF": Source("user-greedy", "wide-deep-ccf"),
    "DQN-off": Source("cql", None),
    "user-greedy": Source("user-greedy"),
    "RWD1": Source("RWD1"),
    "additive": Source("additive"),
    "cascading": Source("cascading"),
}
OURS, GREEDY = "cascading", "user-greedy"
DQN_OFF = {"conservative": 0.0, "discount": 0.9}
"""Without its conservative part, cql is Q-learning; the discount is that of the others."""
CLAIMS = (
    ("test", GREEDY, "W&D-LR"),
    ("test", GREEDY, "W&D-CCF"),
    ("test", OURS, GREEDY),
    ("test", OURS, "additive"),
    ("test", OURS, "RWD1"),
    ("test", OURS, "DQN-off"),
    ("train", OURS, GREEDY),
)
"""World, and of two policies the one that is said to earn more first."""
WHERE = {"test": "on held-out users", "train": "where it trained"}
DRAWN = tuple(POLICIES)[2:]
"""The policies of Figure 4: all that know something of users."""
GROUPS = 50
"""Of users in the order of their reward: a point of a curve there is the mean of one."""
BUDGET: Budget = {
    "seeds": [1, 2, 3, 4, 5],
    "slate_sizes": [3, 5],
    "epochs": None,
    "validation_episodes": ONE_PAIR["validation_episodes"],
    "user_model": "fitted anew",
    "steps": 48_000,
    "reports": 6,
    "log_passes": 20,
    "log_batch": 16,
    "log_reports": 5,
    "repeats": 2,
    "drawn": {"seed": 1, "slate_size": 5, "repeats": 50},
}
SMOKE: Budget = BUDGET | {
    "seeds": [1, 2],
    "slate_sizes": [5],
    "epochs": 1,
    "steps": 1_500,
    "reports": 2,
    "validation_episodes": 20,
    "log_passes": 1,
    "log_reports": 1,
    "repeats": 1,
    "drawn": {"seed": 1, "slate_size": 5, "repeats": 2},
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a slate size and division, whose number is also the seed of all that is drawn."""
    return [
        {"slate_size": slate_size, "seed": seed}
        for slate_size in budget["slate_sizes"]
        for seed in budget["seeds"]
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Divides the users, fits the user models, and makes and scores every policy.

    Policies of Figure 4 are played more often in its cell; scores are those of the first times.
    """
    drawn = all(cell[name] == budget["drawn"][name] for name in ("seed", "slate_size"))
    made, times = DivisionPolicies(cell, budget, place), budget["repeats"]
    result: Result = {}
    by_user = {}
    for name in POLICIES:
        policy = made.policy(name)
        result[name] = {}
        for world in WORLDS:
            curve = drawn and name in DRAWN and world == "test"
            played = budget["drawn"]["repeats"] if curve else times
            reward, click_rate = made.play(policy, world, played)
            scores = {"reward": reward[:times].mean(), "click_rate": click_rate[:times].mean()}
            result[name][world] = {metric: float(value) for metric, value in scores.items()}
            if curve:
                result[name]["curve"] = _curve(reward)
            if world == "test":
                by_user[name] = reward[:times]
    for name, reward in by_user.items():
        result[name]["cascading_better"] = share_better(by_user[OURS], reward)
    return result


def share_better(ours: Array, theirs: Array) -> float:
    """Returns the share of users who give more to one policy than to another, in the mean.

    Args:
        ours: what each user gave to it, each time (R, U).
        theirs: what she gave to the other (R, U).
    """
    return float(np.mean(ours.mean(axis=0) > theirs.mean(axis=0)))


class DivisionPolicies:
    """The user models of a division of the users, and the policies that are made with them.

    Args:
        cell: of which division, and what size of slate.
        budget: what may be spent.
        place: where the log is, and what is kept.
    """

    def __init__(self, cell: Cell, budget: Budget, place: Place) -> None:
        self.cell, self.budget, self.place = cell, budget, place
        self.folder = folder_of(place.folder, {"epochs": budget["epochs"]})
        fit_division(LOG, budget["epochs"], cell["seed"], place, self._folder(GAN))
        self.world: EnvArgs = {"user_model": str(self._folder(GAN))}
        env = make_vector_env(ENVIRONMENT, seen(cell) | self.world, 1, "disabled")
        self.spec, self.users = EnvironmentSpec.of(env), env.simulator.n_users

    def _folder(self, model: str) -> Path:
        return self.folder / f"user-model-{model}"

    def _dataset(self) -> Dataset:
        return divide_again(read_log(LOG, self.place), self.cell["seed"])

    def policy(self, name: str) -> Actor:
        """Returns a policy, trained unless it is there, as it acts in the worlds of the GAN."""
        policy, model = POLICIES[name]
        if model is None:
            agent, _ = load_agent(self._from_the_log(policy))
            return agent
        world = self.world
        if model != GAN:
            world = {"user_model": str(self._folder(model))}
            if not (self._folder(model) / "params.safetensors").exists():
                dataset, epochs = self._dataset(), self.budget["epochs"]
                fit_by_name(dataset, model, epochs, self.cell["seed"]).save(self._folder(model))
        one: Cell = {**self.cell, "policy": policy}
        agent, _ = load_agent(train_policy(one, self.budget, self.folder / name, world))
        if model != GAN:
            # The items are those of the same log, and what is greedy reads the ids of clicks
            # alone: that the models describe items otherwise does not matter to it.
            agent.spec = self.spec
        return agent

    def _from_the_log(self, agent: str) -> Path:
        """Trains an agent on the pages of the training users alone; returns its folder."""
        dataset, budget = self._dataset(), self.budget
        folder, log = folder_of(self.folder / agent, budget), self.place.folder / "log"
        if not log.exists():
            dataset.save(log)
        train(
            TrainConfig(
                env=ENVIRONMENT,
                agent=agent,
                steps=budget["log_passes"] * dataset.pages("train").n_pages,
                seed=self.cell["seed"],
                out=str(folder),
                env_args=seen(self.cell) | self.world,
                agent_args=DQN_OFF,
                loop_args={"batch_size": budget["log_batch"]},
                log=str(log),
                reports=budget["log_reports"],
            )
        )
        return folder

    def play(self, policy: Actor, world: str, repeats: int) -> tuple[Array, Array]:
        """Returns reward and clicks a slate of each user of a world, each time (R, U)."""
        env_args = seen(self.cell) | self.world | {"split": world}
        luck = 1_000 + self.cell["seed"]
        found = evaluate(policy, ENVIRONMENT, env_args, repeats * self.users, luck)
        reward, click_rate = (
            values.reshape(repeats, self.users) for values in (found.reward, found.click_rate)
        )
        return reward, click_rate


def _curve(reward: Array) -> dict[str, list[float]]:
    """Returns the mean of users' rewards (R, U) and their spread over the repeats, users in order.

    They are ordered by the mean, and averaged in ``GROUPS`` groups of as many users.
    """
    order = np.argsort(reward.mean(axis=0))
    groups = np.array_split(reward[:, order], GROUPS, axis=1)
    return {
        "mean": [round(float(group.mean()), 4) for group in groups],
        "sd": [round(float(group.std(axis=0).mean()), 4) for group in groups],
    }


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table a slate size, the curves of Figure 4, and the verdicts."""
    if not finished:
        return Page((Claim(_text(*CLAIMS[2]), "data not available here", ""),), "")
    claims, parts, figures = [], [], {}
    for size in budget["slate_sizes"]:
        runs = having(finished, slate_size=size)
        claims += _claims(runs, size)
        parts += [
            f"## Slates of {size}",
            "Reward and clicks a slate, mean ± standard error over divisions of the users, in the"
            " model of the training users and in that of the test users; the gain over user-greedy"
            " is the mean of each division's own; and the share of the test users whom cascading"
            " earns more from.",
            _table(runs, size),
            f"![Gain over user-greedy](gan-table3-{size}.png)",
        ]
        figures[f"gan-table3-{size}"] = _gains(runs)
    drawn = budget["drawn"]
    for one in having(finished, seed=drawn["seed"], slate_size=drawn["slate_size"]):
        parts += [
            "## User by user",
            f"Reward a slate of the test users in one division, each played {drawn['repeats']}"
            " times (Figure 4). Users stand in the order of their mean reward, which is another one"
            f" for each policy; a point is the mean of one of {GROUPS} groups of them. The band"
            " reaches one standard deviation over the times, of one user, to either side.",
            "![Reward by user](gan-fig4.png)",
        ]
        figures["gan-fig4"] = _by_user(one.result)
    return Page(tuple(claims), "\n\n".join(parts), figures)


def _scores(runs: Sequence[Finished], policy: str, world: str, metric: str) -> Array:
    """One figure of a policy in each division (S,)."""
    return np.array([one.result[policy][world][metric] for one in runs])


def _table(runs: Sequence[Finished], size: int) -> str:
    greedy = _scores(runs, GREEDY, "test", "reward")
    rows = []
    for policy in POLICIES:
        texts = [
            seeds_text(_scores(runs, policy, world, metric))
            for world in WORLDS
            for metric in ("reward", "click_rate")
        ]
        gain = 100.0 * (_scores(runs, policy, "test", "reward") / greedy - 1.0)
        worse = np.array([one.result[policy]["cascading_better"] for one in runs])
        theirs = ["", "", ""]
        if policy in PAPER:
            reward, click_rate = PAPER[policy][size]
            gained = 100.0 * (reward / PAPER[GREEDY][size][0] - 1.0)
            theirs = [f"{reward:.2f}", f"{click_rate:.2f}", f"{gained:+.1f}"]
        share = "" if policy == OURS else seeds_text(100.0 * worse, 0)
        rows.append([policy, *texts, seeds_text(gain, 1), share, *theirs])
    header = ["policy", "reward, train users", "click rate", "reward, test users", "click rate"]
    header += ["gain, test, %", "cascading better, % of users"]
    return table([*header, "paper: reward", "click rate", "gain, %"], rows)


def _claims(runs: Sequence[Finished], size: int) -> list[Claim]:
    """Judges what the paper says of one slate size, and the gain where a policy trained."""
    pairs = [
        (_scores(runs, ours, world, "reward"), _scores(runs, theirs, world, "reward"))
        for world, ours, theirs in CLAIMS
    ]
    claims = []
    for claim, (one, other), gain in zip(CLAIMS, pairs, differences(pairs), strict=True):
        world, ours, theirs = claim
        level = other.mean()
        claimed = papers_gain(ours, theirs, size) if world == "test" and level > 0.0 else None
        verdict = judge(gain, claimed=None if claimed is None else claimed * level)
        evidence = (
            f"reward {one.mean():.3f} against {level:.3f} ({gain.low:+.3f} .. {gain.high:+.3f}),"
            f" higher in {int((one > other).sum())} of {len(one)} divisions, p {p_text(gain.p_for)}"
        )
        if claimed is not None:
            evidence += f"; {gain.mean / level:+.1%}, paper {claimed:+.1%}"
        evidence += limit(verdict, f"{gain.detectable:.3f}")
        claims.append(Claim(f"{_text(*claim)}, slates of {size}", verdict, evidence))
    clicks = [_scores(runs, policy, "test", "click_rate") for policy in (OURS, "RWD1")]
    text = f"cascading clicks at least as often as RWD1, slates of {size}"
    claims.append(claim_bound(text, clicks[0] - clicks[1], -MARGIN))
    text = f"cascading earns more than user-greedy from most test users, slates of {size}"
    shares = np.array([one.result[GREEDY]["cascading_better"] for one in runs])
    claims.append(claim_bound(text, shares, 0.5))
    return claims


def _text(world: str, ours: str, theirs: str) -> str:
    return f"{ours} beats {theirs} {WHERE[world]}"


def _gains(runs: Sequence[Finished]) -> Figure:
    """Each division's gain over user-greedy, in both worlds."""
    panels = {}
    for world in WORLDS:
        greedy = _scores(runs, GREEDY, world, "reward")
        panels[f"model of the {world} users"] = {
            policy: 100.0 * (_scores(runs, policy, world, "reward") / greedy - 1.0)
            for policy in POLICIES
            if policy not in ("random", GREEDY)
        }
    return dots(panels, "gain over user-greedy, %")


def _by_user(result: Result) -> Figure:
    """Figure 4: a curve and a band for each policy."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    at: Array = (np.arange(GROUPS) + 0.5) / GROUPS * 100.0
    for number, policy in enumerate(DRAWN):
        mean, sd = (np.array(result[policy]["curve"][name]) for name in ("mean", "sd"))
        colour = f"C{number}"
        axes.plot(at, mean, color=colour, linewidth=1.2, label=policy)
        axes.fill_between(at, mean - sd, mean + sd, color=colour, alpha=0.12, linewidth=0)
    axes.set_xlabel("test users, % of them, in the order of their reward")
    axes.set_ylabel("reward a slate")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, ncols=2)
    return figure


EXPERIMENT = Experiment(
    name="gan-table3",
    title="Slate policies on held-out users, over divisions of the users",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), Table 3 and Figure 4",
    method=f"""
The users of MovieLens 100K are divided 50 / 12.5 / 37.5 anew for every replicate. User models are
fitted on the training users, and another GAN user model on the test users (item features shared
and frozen), in which policies are scored, with the reward as that model learned it. A division, the
fits, training, and luck all change together, so that errors and tests cover them all. The user
models of different divisions share users of the one log: other logs stay out of sight.

[recgan-policies](recgan-policies.md) has the GAN's policies on one division, with more seeds of
training and twice the steps; their settings are those of that page. The others:

- *W&D-LR, W&D-CCF* show the items of the highest utility in a wide and deep model of the training
  users, as user-greedy does in their GAN user model ("GAN-Greedy" in the paper; RWD1, additive and
  cascading are its GAN-RWD1, GAN-GDQN and GAN-CDQN). A wide and deep model that asks of each item
  whether it is clicked (LR), and one in which the items of a page compete (CCF), as on
  [gan-table1](gan-table1.md).
- *DQN-off* is Q-learning on the training users' pages alone, without a user model: the agent
  [cql](../agents/cql.md) without its conservative part, with the discount of the others and else
  its default settings, {BUDGET["log_passes"]} passes over the log in batches of
  {BUDGET["log_batch"]} users. A click is worth 1 and what may follow it, by double Q-learning; an
  item shown and passed over is worth 0 and nothing that follows. A slate is its K items of the
  highest values. Kept is the policy of the best of {BUDGET["log_reports"]} validations on the log,
  by nDCG@20 of the clicked item among all items, so that it is chosen as a next-item ranker. The
  paper does not say what network or reward its own has.

Policies are scored where items are described as the GAN user model of the training users learned
to. W&D-LR, W&D-CCF and DQN-off never met that description, so that a part of what user-greedy and
cascading are above them may be the likeness of the two GAN user models, in the paper as here.

Users better off are of the model's 1,000 synthetic test users, by the mean of
{BUDGET["repeats"]} episodes with each policy. Percentages of claims are those of mean rewards;
those of the table are means of each division's.

Rule, for each slate size: "beats" is reproduced if the mean is higher, with p < .05 in a two-sided
paired t-test over divisions, Holm-corrected over the claims that say so. It is contradicted if the
mean is lower with p < .05, or if the interval, which has the correction of the strictest step, lies
below the paper's gain in percent. Gains in percent are what can be compared: its rewards are those
of another log. "At least as often" and "most" are reproduced if the 95% interval over divisions
lies above -{MARGIN} clicks a slate, or above half of the users, and contradicted if below.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
