"""Slate Q-learners in every world, beside trivial policies, Stable-Baselines3, and oracles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium
import numpy as np
from matplotlib.figure import Figure

from recgym.envs import SlateVectorEnv
from recgym.metrics import HeadroomShare, holm, paired_bootstrap, share_of_headroom
from recgym.simulators.views import top
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
    by_seed,
    folder_of,
    having,
)
from recgym_agents.experiments.gan.policies import TUNED
from recgym_agents.experiments.results_report import p_text, seeds_text, table
from recgym_agents.experiments.verdicts import differences, judge, limit, p_of_the_contrary
from recgym_agents.runs.evaluation import ROWS, Evaluation, evaluate, make_vector_env, run_episodes
from recgym_agents.runs.run_metrics import read_metrics
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train
from recgym_agents.user_support import Support

LUCK = 1_000
"""Added to a seed for the luck of its test sessions."""
Scores = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""What a slate of one candidate is worth now (B, N), by the state of B users."""


@dataclass(frozen=True)
class Scene:
    """A world as its policies meet it."""

    env: str
    env_args: dict[str, Any] = field(default_factory=dict)
    discount: float = 0.95
    agent_args: dict[str, Any] = field(default_factory=dict)
    """Of the zoo's agents."""
    user_greedy: bool = False
    """Whether the fitted user model behind the world is its myopic oracle."""
    myopic: Scores | None = None
    """Whose K highest are the myopic oracle's slate."""


def _interests(state: Mapping[str, np.ndarray]) -> np.ndarray:
    interests: np.ndarray = np.take_along_axis(state["user_interests"], state["topic"], axis=1)
    return interests


def _appeal(state: Mapping[str, np.ndarray]) -> np.ndarray:
    affinity = np.take_along_axis(state["affinity"], state["topic"], axis=1)
    appeal: np.ndarray = affinity + state["quality"]
    return appeal


ANY_ITEM = {"remove_clicked": False}
RAW = {"reward": "raw"}
SCENES = {
    "RecGAN-v0": Scene("RecGAN-v0", RAW, discount=0.9, user_greedy=True),
    "RecGAN-LSTM-v0": Scene("RecGAN-LSTM-v0", RAW, discount=0.9, user_greedy=True),
    "IRecGAN-v0": Scene("IRecGAN-v0"),
    "SlateMDP-v0, state seen": Scene("SlateMDP-v0", {"observe": "state"}),
    "SlateMDP-v0, state hidden": Scene("SlateMDP-v0", agent_args=ANY_ITEM),
    "InterestEvolution-v0": Scene("InterestEvolution-v0", myopic=_interests),
    "InterestExploration-v0": Scene("InterestExploration-v0", {"horizon": 60}, myopic=_appeal),
    "LongTermSatisfaction-v0": Scene(
        "LongTermSatisfaction-v0", myopic=lambda state: state["clickbait"]
    ),
}
BASELINES, LEARNERS = ("random", "popularity"), ("cascading-dqn-paper", "additive-dqn")
STABLE = ("sb3-ppo", "sb3-a2c")
"""Those that answer with a slate as it is, in any world."""
ORACLE = "myopic oracle"
BUDGET: Budget = {
    "seeds": [0, 1, 2],
    "steps": 32_000,
    "reports": 10,
    "validation_episodes": 400,
    "episodes": 1_000,
}
SMOKE: Budget = BUDGET | {
    "worlds": ["SlateMDP-v0, state seen", "InterestExploration-v0"],
    "seeds": [0, 1],
    "steps": 192,
    "reports": 1,
    "validation_episodes": 10,
    "episodes": 40,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a world, policy and seed."""
    return [
        {"world": name, "policy": policy, "seed": seed}
        for name in _worlds(budget)
        for policy in _policies(SCENES[name])
        for seed in budget["seeds"]
    ]


def _worlds(budget: Budget) -> list[str]:
    worlds: list[str] = budget.get("worlds", list(SCENES))
    return worlds


def _policies(scene: Scene) -> tuple[str, ...]:
    oracle = (ORACLE,) if scene.user_greedy or scene.myopic is not None else ()
    return (*BASELINES, *LEARNERS, *STABLE, *oracle)


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Trains a policy, and scores it in sessions that all policies of a world and seed meet."""
    scene, policy = SCENES[cell["world"]], cell["policy"]
    luck = LUCK + cell["seed"]
    if policy == ORACLE and scene.myopic is not None:
        env = make_vector_env(scene.env, scene.env_args, ROWS, "next-step")
        found = run_episodes(Oracle(env, scene.myopic), env, budget["episodes"], luck)
        return _result(found)
    folder = folder_of(place.folder, budget)
    train(
        TrainConfig(
            env=scene.env,
            agent="user-greedy" if policy == ORACLE else policy,
            steps=budget["steps"],
            seed=cell["seed"],
            out=str(folder),
            env_args=scene.env_args,
            agent_args=_settings(scene, policy),
            reports=budget["reports"],
            validation_episodes=budget["validation_episodes"],
        )
    )
    agent, _ = load_agent(folder, trust=True)  # trained here, just now
    found = evaluate(agent, scene.env, scene.env_args, budget["episodes"], luck)
    validation = [line["validation_session_reward"] for line in read_metrics(folder)]
    return {"validation": max(validation), **_result(found)}


def _settings(scene: Scene, policy: str) -> dict[str, Any]:
    if policy in STABLE:
        return {"gamma": scene.discount}
    if policy in LEARNERS:
        return {**TUNED[policy], "discount": scene.discount, **scene.agent_args}
    return {} if policy == ORACLE else scene.agent_args


def _result(found: Evaluation) -> Result:
    return {
        "session": float(found.session_reward.mean()),
        "click_rate": float(found.click_rate.mean()),
        "steps": float(found.steps.mean()),
        "arrays": {"session": found.session_reward.round(5).tolist()},
    }


class Oracle:
    """Shows what is best now to a user whose state it sees.

    Args:
        env: that it acts in.
        scores: of the candidates, by the state.
    """

    def __init__(self, env: SlateVectorEnv, scores: Scores) -> None:
        self.env, self.scores, self.spec = env, scores, EnvironmentSpec.of(env)

    def adapt(self, support: Support) -> Oracle:
        """Returns itself: it sees the users' state."""
        return self

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Returns slates (B, K), best first."""
        arrays, _ = self.env.get_state()
        state = {name.removeprefix("state."): array for name, array in arrays.items()}
        slate: np.ndarray = top(self.scores(state), self.spec.slate_size)
        return slate


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table a world, and says where cascading DQN beats what."""
    parts, tests = [], []
    for name in _worlds(budget):
        scene = SCENES[name]
        runs = {policy: having(finished, world=name, policy=policy) for policy in _policies(scene)}
        parts += [f"## {name}", _table(runs, _planned(scene))]
        best = max(STABLE, key=lambda policy: _mean(runs[policy], "validation"))
        tests += [
            (name, other, runs["cascading-dqn-paper"], runs[other]) for other in ("random", best)
        ]
    parts += ["![Reward by world and policy](worlds.png)"]
    return Page(_claims(tests), "\n\n".join(parts), {"worlds": _figure(finished, _worlds(budget))})


def _planned(scene: Scene) -> dict[str, float]:
    """Returns what policies that are known exactly earn in a session, the optimum first."""
    if scene.env != "SlateMDP-v0":
        return {}
    env: Any = gymnasium.make(scene.env)
    world = env.unwrapped.simulator
    greedy = np.argsort(-world.click_rewards, axis=1)[:, : world.slate_size]
    return {
        "exact optimum": float(world.optimal_policy(1.0, world.horizon).values[0, 0]),
        "myopic oracle": float(world.policy_value(greedy, 1.0, world.horizon)[0]),
        "best fixed slate": float(world.best_fixed_slate(1.0, world.horizon).values[0]),
    }


def _table(runs: dict[str, list[Finished]], planned: dict[str, float]) -> str:
    header = ["policy", "reward per session", "over random", "click rate", "slates a session"]
    random = _mean(runs["random"], "session")
    rows = [
        [
            policy,
            seeds_text(by_seed(found, "session")),
            f"{_mean(found, 'session') / random - 1:+.1%}",
            seeds_text(by_seed(found, "click_rate")),
            f"{_mean(found, 'steps'):.1f}",
        ]
        for policy, found in runs.items()
    ]
    rows += [
        [name, f"{value:.3f}", f"{value / random - 1:+.1%}", "", ""]
        for name, value in planned.items()
    ]
    if planned:
        header.append("share of the optimum")
        worth = [_mean(found, "session") for found in runs.values()] + list(planned.values())
        optimum = next(iter(planned.values()))
        rows = [[*row, f"{value / optimum:.0%}"] for row, value in zip(rows, worth, strict=True)]
    return table(header, rows)


def _claims(tests: list[tuple[str, str, list[Finished], list[Finished]]]) -> tuple[Claim, ...]:
    """Judges "beats": higher for every seed, and p < .05 over sessions, corrected."""
    sessions = [(_sessions(ours), _sessions(theirs)) for *_, ours, theirs in tests]
    p_for = holm(np.array([paired_bootstrap(*pair) for pair in sessions])).tolist()
    p_against = holm(np.array([p_of_the_contrary(*pair) for pair in sessions])).tolist()
    pairs = [(by_seed(ours, "session"), by_seed(theirs, "session")) for *_, ours, theirs in tests]
    tested = zip(tests, pairs, differences(pairs), p_for, p_against, strict=True)
    claims = []
    for (world, other, *_), (ours, theirs), found, better, worse in tested:
        verdict = judge(
            replace(
                found,
                p_for=better if (ours > theirs).all() else 1.0,
                p_against=worse if (ours < theirs).all() else 1.0,
            )
        )
        level = theirs.mean()
        p = f"p {p_text(better)} over sessions"
        if verdict == "contradicted":
            p = f"p {p_text(worse)} over sessions, of the contrary"
        evidence = (
            f"{found.mean / level:+.1%} reward per session, higher for "
            f"{int((ours > theirs).sum())} of {len(ours)} seeds, {p}"
        )
        evidence += limit(verdict, f"{found.detectable / level:.0%}, over seeds")
        claims.append(Claim(f"{world}: cascading-dqn-paper beats {other}", verdict, evidence))
    return tuple(claims)


def headroom_shares(
    earned: Mapping[str, np.ndarray], floors: Sequence[str], oracle: str
) -> dict[str, HeadroomShare]:
    """Returns the share of the headroom of every policy that is neither a floor nor the oracle.

    Args:
        earned: policy -> (S,) reward per session by seed; a value known exactly is repeated.
        floors: the policies that learn little or nothing; the best of them counts.
        oracle: the policy that the headroom ends at.
    """
    bars = {name: earned[name] for name in floors}
    return {
        name: share_of_headroom(values, bars, earned[oracle])
        for name, values in earned.items()
        if name not in bars and name != oracle
    }


def _mean(runs: list[Finished], metric: str) -> float:
    return float(by_seed(runs, metric).mean())


def _sessions(runs: list[Finished]) -> np.ndarray:
    """The rewards of all sessions of all seeds, one after the other."""
    return np.concatenate([one.result["arrays"]["session"] for one in runs])


def _figure(finished: list[Finished], worlds: list[str]) -> Figure:
    """Every policy's reward over that of random slates, a row a world."""
    figure = Figure(figsize=(8, 0.6 + 0.5 * len(worlds)), layout="constrained")
    axes = figure.subplots()
    shown = (*BASELINES[1:], *LEARNERS, *STABLE, ORACLE)
    random = {name: having(finished, world=name, policy="random") for name in worlds}
    for number, policy in enumerate(shown):
        found = [
            (place, _mean(runs, "session") / _mean(random[name], "session"))
            for place, name in enumerate(worlds)
            if (runs := having(finished, world=name, policy=policy))
        ]
        places, shares = ([pair[i] for pair in found] for i in range(2))
        axes.scatter(shares, places, marker="osD^v*"[number], s=30, alpha=0.8, label=policy)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(worlds)), worlds, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("reward per session, over that of random slates")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


EXPERIMENT = Experiment(
    name="worlds",
    title="Slate Q-learners in every world",
    reproduces="no table: cascading DQN (Chen et al., ICML 2019) in every environment of RecGym",
    method="""
The Q-learners are those of the paper; the zoo's own `cascading-dqn`, which has one network for all
slots, was not run here. Users of the two RecGAN worlds pay the raw reward of their model.

Every learner shows the same number of slates in training, and the policy of the highest reward per
session in validation episodes is kept. Nothing was tuned here: the Q-learners take the settings
that [recgan-tuning](recgan-tuning.md) chose for RecGAN-v0, Stable-Baselines3's agents those that
were chosen in a slate MDP of another seed ([sb3](sb3.md)), and all a discount of .9 a slate in the
two RecGAN worlds and of .95 elsewhere. That favours the Q-learners in RecGAN-v0, where theirs were
chosen, and Stable-Baselines3's agents in the slate MDP. The Q-learners take about 2,000 updates, a
third of those that their settings were chosen with, so that the target network is copied four times
in all: in worlds where much lies ahead, they are far from what they can learn.

Learned users are scored where policies trained, in the model of the training users;
[recgan-policies](recgan-policies.md) has other users. A session of InterestExploration-v0 has 60
slates. Sessions are those of the environments' defaults otherwise.

The Q-learners read clicked items where a world shows them (RecGAN, the slate MDP with its state
hidden), else the whole observation; those of Stable-Baselines3 read the default observation, and
answer with slates as they are. popularity counts clicks by id: where candidates change, an id is a
place in a list, and it can learn nothing. The myopic oracle shows the slate that earns most now. In
the RecGAN worlds that is user-greedy with the world's own model; in RecSim's it is read off the
state, hidden or not; in the slate MDP it is computed, as are the optimum, which sees the state, and
the best fixed slate, all without discount, for an episode's horizon.

A seed is a training, and a luck of the test sessions that all policies of that seed meet; ± is the
standard error over seeds. Rule: cascading DQN beats another policy if its reward per session is
higher for every seed, with p < .05 in a one-sided paired bootstrap over the sessions of all seeds,
with Holm's correction over all claims; that it does is contradicted if its reward is lower for
every seed, with p < .05 the other way round. That speaks of the policies that were trained here:
three trainings are too few to say how another would end, as the difference says that a paired
t-test over seeds could detect. The agent of Stable-Baselines3 that it is held
against is the better of two in validation episodes.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
)
