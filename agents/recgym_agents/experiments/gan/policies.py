"""Table 3 of the GAN user model: policies trained against one user model, scored in another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from recgym.files import sha256_of
from recgym.metrics import detectable_difference, mean_and_error, paired_t
from recgym.users.folder import SHIPPED
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
from recgym_agents.experiments.results_report import dots, p_text, seeds_text, table
from recgym_agents.experiments.verdicts import (
    Difference,
    differences,
    judge,
    judge_bound,
    limit,
)
from recgym_agents.protocols import Policy as Trained
from recgym_agents.runs.evaluation import evaluate
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

ENVIRONMENT = "RecGAN-v0"
BAGS = 5
WINDOW = 30
"""Clicked items observed: all of an episode, so that no policy need show a spent item."""
REWARD = "raw"
"""Policies train for the reward as the user model learned it, and are scored with it, as in the
paper."""
WORLDS = ("train", "test")
"""The model of the training users, and that of the test users."""
TRAINED = "trained"
"""The world that a policy trained in: one of the two, or the ensemble."""
MARGIN = 0.01
"""Clicks per step by which a policy may fall short and still click at least as often."""

EnvArgs = dict[str, Any]
NO_ARGS: EnvArgs = {}


class Policy(NamedTuple):
    """A row of Table 3."""

    agent: str
    world: EnvArgs = NO_ARGS
    """Where it trains, if not in the model of the training users."""


POLICIES = {
    "random": Policy("random"),
    "popularity": Policy("popularity"),
    "user-greedy": Policy("user-greedy"),
    "user-greedy-ensemble": Policy("user-greedy-ensemble"),
    "RWD1": Policy("cascading-dqn-click"),
    "additive": Policy("additive-dqn"),
    "cascading": Policy("cascading-dqn-paper"),
    "cascading-ensemble": Policy("cascading-dqn-paper", {"ensemble": BAGS}),
    "ceiling-user-greedy": Policy("user-greedy", {"split": "test"}),
    "ceiling-cascading": Policy("cascading-dqn-paper", {"split": "test"}),
}
TUNED: dict[str, dict[str, Any]] = {
    "cascading-dqn-paper": {"learning_rate": 3e-3, "target_period": 500},
    "additive-dqn": {"learning_rate": 1e-3, "target_period": 500},
    "cascading-dqn-click": {"learning_rate": 1e-3, "target_period": 200},
}
"""Agent -> the settings that the experiment recgan-tuning found best for it."""

PAPER = {
    "W&D-LR": {3: (14.46, 0.46), 5: (15.18, 0.48)},
    "W&D-CCF": {3: (19.93, 0.62), 5: (20.94, 0.65)},
    "DQN-off": {3: (20.31, 0.63), 5: (21.82, 0.67)},
    "user-greedy": {3: (21.37, 0.67), 5: (22.97, 0.71)},
    "RWD1": {3: (22.17, 0.68), 5: (25.15, 0.78)},
    "additive": {3: (23.60, 0.72), 5: (23.19, 0.70)},
    "cascading": {3: (24.05, 0.74), 5: (25.36, 0.77)},
}
"""Table 3: policy -> slate size -> cumulative reward, click rate (Ant Financial news)."""

USER_MODEL = sha256_of(SHIPPED["recgan"] / "params.safetensors")[:12]
"""Which fitted user model the environment runs; cells of another one are run again."""
BUDGET: Budget = {
    "user_model": USER_MODEL,
    "seeds": [0, 1, 2, 3, 4],
    "slate_sizes": [3, 5],
    "steps": 96_000,
    "reports": 12,
    "validation_episodes": 200,
    "users": 1_000,
    "repeats": 1,
}
SMOKE: Budget = {
    "user_model": USER_MODEL,
    "seeds": [0, 1],
    "slate_sizes": [3],
    "steps": 1_500,
    "reports": 2,
    "validation_episodes": 20,
    "users": 50,
    "repeats": 1,
}
"""What a cell may spend, for every policy alike; equal steps are equal updates."""


def papers_gain(ours: str, theirs: str, slate_size: int) -> float | None:
    """Returns the gain in reward of one policy over another in Table 3, as a share; None if absent.

    >>> round(papers_gain("cascading", "user-greedy", 5), 3)
    0.104
    """
    if not {ours, theirs} <= set(PAPER):
        return None
    return PAPER[ours][slate_size][0] / PAPER[theirs][slate_size][0] - 1.0


def cells(budget: Budget) -> list[Cell]:
    """One cell a slate size, policy and seed."""
    return [
        {"policy": policy, "slate_size": slate_size, "seed": seed}
        for slate_size in budget["slate_sizes"]
        for policy in POLICIES
        for seed in budget["seeds"]
    ]


def train_policy(cell: Cell, budget: Budget, folder: Path, world: EnvArgs = NO_ARGS) -> Path:
    """Trains a cell's agent unless it is trained already with this budget; returns its folder.

    Args:
        cell: its policy, slate size, and seed.
        budget: what it may spend.
        folder: the cell's.
        world: arguments of the environment, beside the policy's own.
    """
    policy = POLICIES[cell["policy"]]
    spent = {
        name: budget[name] for name in ("user_model", "steps", "reports", "validation_episodes")
    }
    folder = folder_of(folder, spent)
    config = TrainConfig(
        env=ENVIRONMENT,
        agent=policy.agent,
        steps=budget["steps"],
        seed=cell["seed"],
        out=str(folder),
        env_args={**seen(cell), **world, **policy.world},
        agent_args=TUNED.get(policy.agent, {}),
        reports=budget["reports"],
        validation_episodes=budget["validation_episodes"],
    )
    train(config)
    return folder


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains one policy, and scores it in both users' models; see ``_score``."""
    agent, _ = load_agent(train_policy(cell, budget, place.folder))
    return _score(agent, cell, budget)


def _score(agent: Trained, cell: Cell, budget: Budget) -> Result:
    """Plays a cell's policy in both users' models, with luck that all policies of a seed share.

    A policy that trained in neither, but in an ensemble, is scored there as well. Arguments as in
    ``train_policy``.
    """
    result: Result = {"arrays": {}}
    worlds: dict[str, dict[str, Any]] = {name: {"split": name} for name in WORLDS}
    if _world_trained_in(cell["policy"]) == TRAINED:
        worlds[TRAINED] = POLICIES[cell["policy"]].world
    for name, where in worlds.items():
        env_args = {**seen(cell), **where}
        episodes = budget["users"] * budget["repeats"]
        luck = 1_000 + cell["seed"]
        found = evaluate(agent, ENVIRONMENT, env_args, episodes, luck)
        users, reward, click_rate, _ = found.by_user()
        result[name] = {"reward": float(reward.mean()), "click_rate": float(click_rate.mean())}
        result["arrays"][name] = reward.round(5).tolist()
    return result


def seen(cell: Cell) -> EnvArgs:
    """Returns the arguments of the environment that training and scoring share."""
    return {"slate_size": cell["slate_size"], "window": WINDOW, "reward": REWARD}


def _world_trained_in(policy: str) -> str:
    """The key of a cell's result for the world that its policy trained in."""
    world = POLICIES[policy].world
    return TRAINED if "ensemble" in world else str(world.get("split", "train"))


@dataclass(frozen=True)
class Scores:
    """The seeds of one policy at one slate size, in one world."""

    reward: np.ndarray
    """Reward per step by seed."""
    click_rate: np.ndarray
    """Click rate by seed."""
    users: np.ndarray
    """Reward per step by user, mean over seeds."""


Table3 = dict[tuple[str, str], Scores]
"""(policy, world) -> scores."""

AT_LEAST = "cascading clicks at least as often as RWD1"
CLAIMS = (
    ("cascading beats user-greedy on held-out users", "test", "reward", "cascading", "user-greedy"),
    ("cascading beats additive on held-out users", "test", "reward", "cascading", "additive"),
    (AT_LEAST, "test", "click_rate", "cascading", "RWD1"),
    ("cascading beats user-greedy where it trained", "train", "reward", "cascading", "user-greedy"),
    (
        "with an ensemble, cascading beats user-greedy on held-out users",
        "test",
        "reward",
        "cascading-ensemble",
        "user-greedy-ensemble",
    ),
)
"""Text, world, metric, and the two policies; the first three are the paper's (section 6.2)."""

PAIRS = (
    ("cascading", "user-greedy"),
    ("cascading", "additive"),
    ("cascading", "RWD1"),
    ("cascading-ensemble", "cascading"),
    ("cascading-ensemble", "user-greedy-ensemble"),
    ("user-greedy", "popularity"),
    ("ceiling-cascading", "cascading"),
)
"""Policies whose rewards are compared, beside the best two."""


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds the tables, the paired tests, and the verdicts."""
    parts, figures, tables = [], {}, {}
    for size in budget["slate_sizes"]:
        found = _read(finished, size)
        header = ["policy", "reward, train users", "click rate", "reward, test users", "click rate"]
        header += [
            "reward, where it trained",
            "gain over user-greedy, test",
            "paper: reward",
            "click rate",
            "gain",
        ]
        pairs = [_best_two(found), *(pair for pair in PAIRS if pair != _best_two(found))]
        tests = ["reward, test users", "difference", "95% over seeds", "p, seeds"]
        tests += ["users better off"]
        parts += [
            f"## Slates of {size}",
            "Reward per step and click rate, mean ± standard error over seeds, in the model of the "
            "training users and in the model of the test users; reward also in the model, or the "
            "ensemble, that the policy trained in. Gains are shares of user-greedy's.",
            table(header, [_row(policy, size, found) for policy in POLICIES]),
            "Paired two-sided t-tests over seeds, the best two policies first, not corrected for "
            "their number; and the share of users whose reward, averaged over seeds, is higher.",
            table(tests, [_test(ours, theirs, found) for ours, theirs in pairs]),
            f"![Reward by policy, slates of {size}](recgan-policies-{size}.png)",
        ]
        tables[size] = found
        figures[f"recgan-policies-{size}"] = _figure(found)
    return Page(tuple(_claims(tables)), "\n\n".join(parts), figures)


def _read(finished: list[Finished], size: int) -> Table3:
    """Gathers the seeds of every policy at one slate size."""
    found = {}
    for policy in POLICIES:
        runs = having(finished, policy=policy, slate_size=size)
        for world in (*WORLDS, TRAINED):
            key = _world_trained_in(policy) if world == TRAINED else world
            found[policy, world] = Scores(
                reward=np.array([one.result[key]["reward"] for one in runs]),
                click_rate=np.array([one.result[key]["click_rate"] for one in runs]),
                users=np.mean([one.result["arrays"][key] for one in runs], axis=0),
            )
    return found


def _row(policy: str, size: int, found: Table3) -> list[str]:
    """One policy's scores beside the paper's."""
    texts = [policy]
    for world in WORLDS:
        own = found[policy, world]
        texts += [seeds_text(own.reward), seeds_text(own.click_rate)]
    texts.append(seeds_text(found[policy, TRAINED].reward))
    greedy = found["user-greedy", "test"].reward.mean()
    texts.append(f"{100 * (found[policy, 'test'].reward.mean() / greedy - 1):+.1f}%")
    if policy not in PAPER:
        return [*texts, "", "", ""]
    reward, click_rate = PAPER[policy][size]
    gain = 100 * (reward / PAPER["user-greedy"][size][0] - 1)
    return [*texts, f"{reward:.2f}", f"{click_rate:.2f}", f"{gain:+.1f}%"]


def _best_two(found: Table3) -> tuple[str, str]:
    """The two policies of the highest reward on test users, ceilings left out."""
    fair = [policy for policy in POLICIES if not policy.startswith("ceiling")]
    fair.sort(key=lambda policy: -found[policy, "test"].reward.mean())
    return fair[0], fair[1]


def _test(ours: str, theirs: str, found: Table3) -> list[str]:
    """The paired tests of two policies' rewards on test users."""
    one, other = found[ours, "test"], found[theirs, "test"]
    gain = mean_and_error(one.reward - other.reward)
    return [
        f"{ours} - {theirs}",
        f"{gain.mean:+.4f}",
        f"{gain.low:+.4f} .. {gain.high:+.4f}",
        p_text(paired_t(one.reward, other.reward)),
        f"{100 * float(np.mean(one.users > other.users)):.0f}%",
    ]


def _claims(tables: dict[int, Table3]) -> list[Claim]:
    """The claims at every slate size; the p-values of those that say "beats" are one family."""
    family = [(size, text) for size in tables for text, *_ in CLAIMS if text != AT_LEAST]
    gains = differences([_compared(tables[size], text) for size, text in family])
    tested = dict(zip(family, gains, strict=True))
    return [
        _at_least(size, found)
        if text == AT_LEAST
        else _beats(size, found, text, tested[size, text])
        for size, found in tables.items()
        for text, *_ in CLAIMS
    ]


def _compared(found: Table3, text: str) -> tuple[np.ndarray, np.ndarray]:
    """The scores by seed of a claim's two policies."""
    _, world, metric, ours, theirs = next(claim for claim in CLAIMS if claim[0] == text)
    return getattr(found[ours, world], metric), getattr(found[theirs, world], metric)


def _beats(size: int, found: Table3, text: str, gain: Difference) -> Claim:
    """Judges "beats" by p < .05, corrected, and by the paper's gain where it gives one."""
    _, world, _, ours, theirs = next(claim for claim in CLAIMS if claim[0] == text)
    one, other = _compared(found, text)
    level = other.mean()
    claimed = papers_gain(ours, theirs, size) if world == "test" else None
    verdict = judge(gain, claimed=None if claimed is None else claimed * level)
    evidence = (
        f"reward {one.mean():.3f} against {level:.3f} ({gain.mean / level:+.1%}, interval "
        f"{gain.low / level:+.1%} .. {gain.high / level:+.1%}), p {p_text(gain.p_for)}"
    )
    evidence += "" if claimed is None else f"; paper {claimed:+.1%}"
    evidence += limit(verdict, f"{gain.detectable / level:.1%}")
    return Claim(f"{text}, slates of {size}", verdict, evidence)


def _at_least(size: int, found: Table3) -> Claim:
    """Judges "clicks at least as often", by the interval of the difference."""
    one, other = _compared(found, AT_LEAST)
    gain = mean_and_error(one - other)
    verdict = judge_bound(gain.low, gain.high, -MARGIN)
    evidence = (
        f"click rate {one.mean():.3f} against {other.mean():.3f} "
        f"({gain.mean / other.mean():+.1%}), difference {gain.low:+.4f} .. {gain.high:+.4f}"
    )
    detectable = detectable_difference(gain.standard_error, gain.n - 1)
    return Claim(
        f"{AT_LEAST}, slates of {size}", verdict, evidence + limit(verdict, f"{detectable:.4f}")
    )


def _figure(found: Table3) -> Figure:
    """Reward per step of every policy and seed, in both worlds."""
    panels = {
        f"model of the {world} users": {policy: found[policy, world].reward for policy in POLICIES}
        for world in WORLDS
    }
    return dots(panels, "reward per step")


EXPERIMENT = Experiment(
    name="recgan-policies",
    title="Slate policies in RecGAN-v0",
    reproduces="Chen et al., Generative Adversarial User Model (ICML 2019), Table 3",
    method="""
The environment is RecGAN-v0 with its shipped user models, fitted on MovieLens 100K. A policy trains
in the model of the training users ("cascading-ensemble": each episode draws one of five models
fitted on bootstraps of the training users). It is then scored in the model of the training users
and in the one fitted on other users, on the same item features; cascading-ensemble is scored in its
ensemble too. The ceilings train in the test users' model. They are not optima: a policy above them
shows that learning in that model did not find its best slates with this budget.

The deep Q-learners take equal numbers of steps and updates; each keeps the policy that earned most
in validation episodes in its own training environment. popularity learns from as many random
slates. user-greedy shows the items of the highest reward in the training users' model,
user-greedy-ensemble in the mean of five bootstraps. Every policy meets the same users and the same
luck; a seed is a training and a luck.

The step size and the target period of each learner are those of the highest reward in validation
episodes on one grid for all, at slates of 5, with a seed that is not used here: see
[recgan-tuning](recgan-tuning.md). cascading's lie at the grid's edge.

All inference is conditional on this one pair of fitted user models, one of the training and one of
the test users, and on their 1,000 synthetic users each. Errors and tests cover the seeds of
training and luck; they do not say what another log, another division of its users, or another fit
would give.

The paper's figures are from Ant Financial news, so its rewards are on another scale: compare the
gains over user-greedy, and the order.

Rule: "beats" is reproduced if the mean is higher, with p < .05 in a two-sided paired t-test over
seeds, Holm-corrected over all such claims of this page. It is contradicted if the mean is lower
with p < .05, or if the interval, which has the correction of the strictest step (99.375%), lies
below the paper's gain in percent. "At least as often" is non-inferiority: reproduced if the lower
bound of the 95% interval over seeds of the difference in click rate is at least -0.01, contradicted
if the upper bound is below that.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
