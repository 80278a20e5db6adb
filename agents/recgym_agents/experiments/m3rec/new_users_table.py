"""M3Rec, Table 1: what methods that learned offline earn of users of whom one sequence is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from recgym.data import Dataset
from recgym.metrics import share_of_headroom
from recgym.users.fitting import fit_user_model
from recgym.users.meta_settings import MetaFit
from recgym.users.presets import MODELS
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
from recgym_agents.experiments.m3rec.one_catalogue import agent_rewards, offline_data, one_catalogue
from recgym_agents.experiments.m3rec.unknown_users import POLICIES as KNOWING
from recgym_agents.experiments.m3rec.unknown_users import mean_reward
from recgym_agents.experiments.results_report import p_text, seeds_text, share_text, table
from recgym_agents.experiments.verdicts import claim_of, differences, judge, judge_all, limit
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

LEVEL = 0.01
WINDOW = 10
"""Clicks that agents observe."""
STEPS = 20
"""Slates of a sequence at most."""
SHAPE: dict[str, Any] = {"context": 12, "steps": STEPS}
FIT: dict[str, Any] = {"batch_users": 64, "weight_decay": 0.05, "embedding_scale": 0.5}
BOUNDS: dict[str, Any] = {"context_weight": 1e-4, "latent_weight": 1e-3}
"""Of the meta-level user model: weaker than its defaults, as users differ in each of 12 topics."""
KEEP = {"remove_clicked": False}
"""Users click a video again."""


@dataclass(frozen=True)
class Method:
    """A method of the table."""

    source: str
    """What it learns from: "log", or a user model fitted to it: "gan", "game" or "likelihood"."""
    agent: str
    """The zoo's name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the agent, beside its defaults."""
    reads_on: bool = False
    """Whether it adapts by reading the clicks of the sequence before those observed."""


METHODS = {
    "m3rec": Method("game", "m3rec"),
    "m3rec-no-mi": Method("game", "m3rec-no-mi"),
    "m3rec-no-context": Method("game", "m3rec-no-context"),
    "m3rec-mle": Method("likelihood", "m3rec"),
    "meta-lstm": Method("likelihood", "meta-lstm"),
    "meta-pg": Method("likelihood", "meta-pg"),
    "melu": Method("likelihood", "melu"),
    "cascading-dqn-maml": Method("likelihood", "cascading-dqn-maml"),
    "popularity": Method("likelihood", "popularity"),
    "gan-pg": Method("gan", "gan-pg", reads_on=True),
    "irecgan": Method("log", "irecgan", settings={"horizon": STEPS}, reads_on=True),
}
"""By the name in the table."""
SOURCES = tuple(dict.fromkeys(method.source for method in METHODS.values()))
ENVIRONMENTS = {"gan": "RecGAN-v0", "game": "M3Rec-v0", "likelihood": "M3Rec-v0"}
"""Fitted user model -> where agents meet it."""
FLOORS = ("random", "search", "last", "session")
"""Policies that are told nothing before the session; popularity is one more."""
POLICIES = {name: KNOWING[name] for name in (*FLOORS, "support1", "knows")}
"""Policies that know the rules, by name, and what each goes by."""
PRINTED = {
    3: {"meta-lstm": 38.86, "meta-pg": 35.43, "irecgan": 37.53}
    | {"gan-pg": 36.46, "melu": 36.54, "m3rec": 40.72},
    5: {"meta-lstm": 39.01, "meta-pg": 35.54, "irecgan": 37.76}
    | {"gan-pg": 36.74, "melu": 36.64, "m3rec": 40.80},
}
"""Table 1 of the paper: slate size -> method -> mean reward."""
META, MODEL_BASED = ("meta-lstm", "meta-pg", "melu"), ("irecgan", "gan-pg")
PARTS = {
    "m3rec-no-context": "without a context",
    "m3rec-mle": "with a user model fitted without the adversary",
    "m3rec-no-mi": "without mutual information",
}
BUDGET: Budget = {
    "seeds": [0, 1, 2, 3, 4],
    "slate_sizes": [3, 5],
    "offline_users": 2_500,
    "sequences": 2,
    "test_users": 500,
    "epochs": 15,
    "rounds": 3,
    "steps": 40_000,
    "steps_of": {"gan-pg": 400_000, "irecgan": 300_000},
    "reports": 4,
    "validation_episodes": 250,
    "particles": 150,
    "generations": 8,
    "candidates": 16,
}
PAPER: Budget = BUDGET | {
    "epochs": 40,
    "rounds": 20,
    "steps": 200_000,
    "steps_of": {"gan-pg": 2_000_000, "irecgan": 2_000_000},
    "reports": 20,
}
"""The paper's users, as the budget has too, and longer fits and trainings; it gives no lengths."""
SMOKE: Budget = BUDGET | {
    "seeds": [0, 1],
    "slate_sizes": [3],
    "offline_users": 60,
    "test_users": 20,
    "epochs": 1,
    "rounds": 1,
    "steps": 1_300,
    "steps_of": {"irecgan": 4_000},
    "reports": 1,
    "validation_episodes": 10,
    "particles": 20,
    "generations": 2,
    "candidates": 6,
}


def cells(budget: Budget) -> list[Cell]:
    """One cell a slate size, seed, and source of what methods learn from, "rules" among them."""
    return [
        {"source": source, "slate_size": size, "seed": seed}
        for seed in budget["seeds"]
        for size in budget["slate_sizes"]
        for source in ("rules", *SOURCES)
    ]


def run_cell(cell: Cell, budget: Budget, place: Place) -> Result:
    """Scores the policies that know the rules, or all methods that learn from the same source."""
    size, seed, users = cell["slate_size"], cell["seed"], budget["test_users"]
    test = one_catalogue("test", size, seed)
    if cell["source"] == "rules":
        return {name: mean_reward(name, test, users, seed, budget) for name in POLICIES}
    folder = folder_of(place.folder, budget)
    offline = one_catalogue("train", size, seed)
    log = offline_data(offline, budget["offline_users"], budget["sequences"], seed)
    if cell["source"] == "log":
        log.save(folder / "log")
    else:
        _fit(log, cell, budget, folder / "model")
    return {
        name: float(
            agent_rewards(
                _trained(name, cell, budget, folder), test, users, seed, method.reads_on
            ).mean()
        )
        for name, method in METHODS.items()
        if method.source == cell["source"]
    }


def _fit(log: Dataset, cell: Cell, budget: Budget, out: Path) -> None:
    """Fits the cell's user model, unless it has been."""
    if (out / "scores.json").is_file():
        return
    name = "gan-pw" if cell["source"] == "gan" else "m3rec"
    config, fit = MODELS.find(name).preset(log.info["name"])
    fit = replace(fit, epochs=budget["epochs"])
    if name == "m3rec":
        rounds = budget["rounds"] if cell["source"] == "game" else 0
        config, fit = replace(config, **SHAPE), replace(fit, **FIT)
        fit = replace(fit, meta=MetaFit(rounds=rounds, **BOUNDS))
    fit_user_model(log, config, fit, test_users=False, seed=cell["seed"]).save(out)


def _trained(name: str, cell: Cell, budget: Budget, folder: Path) -> Any:
    """Trains a method, and returns the agent with the policy of the best validation."""
    method, out = METHODS[name], folder / name
    args: dict[str, Any] = {"slate_size": cell["slate_size"], "window": WINDOW}
    of_log: dict[str, Any] = {"log": str(folder / "log"), "loop_args": {"schedule": "offline"}}
    if method.source != "log":
        args |= {"user_model": str(folder / "model"), "reward": "click"}
        of_log = {}
    train(
        TrainConfig(
            env=ENVIRONMENTS.get(method.source),
            agent=method.agent,
            steps=budget["steps_of"].get(name, budget["steps"]),
            seed=cell["seed"],
            out=str(out),
            env_args=args,
            agent_args=KEEP | dict(method.settings),
            reports=budget["reports"],
            validation_episodes=budget["validation_episodes"],
            **of_log,
        )
    )
    return load_agent(out)[0].inner


def summarise(finished: list[Finished], budget: Budget) -> Page:
    """Builds a table for each slate size, and judges what the paper says of its own."""
    sizes = budget["slate_sizes"]
    earned = {size: _earned(finished, size) for size in sizes}
    baselines = [(size, name) for size in sizes for name in (*META, *MODEL_BASED)]
    over = differences([(earned[s]["m3rec"], earned[s][name]) for s, name in baselines], LEVEL)
    by_baseline = dict(zip(baselines, over, strict=True))
    others = differences([pair for size in sizes for pair in _pairs(earned[size])], LEVEL)
    each = len(others) // len(sizes)
    claims, parts = [], []
    for place, size in enumerate(sizes):
        own = earned[size]
        gains = {name: by_baseline[size, name] for name in (*META, *MODEL_BASED)}
        verdict = judge_all(judge(gain, LEVEL) for gain in gains.values())
        evidence = ", ".join(f"{n} {g.mean:+.2f} ({p_text(g.p_for)})" for n, g in gains.items())
        widest = max(gain.detectable for gain in gains.values())
        claims.append(
            Claim(
                f"slates of {size}: M3Rec earns more than each of the paper's baselines",
                verdict,
                evidence + limit(verdict, f"{widest:.2f} a session"),
            )
        )
        especially, half, *parted = others[place * each : (place + 1) * each]
        claims.append(
            claim_of(
                f"slates of {size}: especially more than the two with a user model and no"
                " meta-learning, which earn less than the three with meta-learning",
                *(especially, "", LEVEL, "a session"),
            )
        )
        claims += [
            claim_of(
                f"slates of {size}: M3Rec earns more than {text}", gain, "", LEVEL, "a session"
            )
            for text, gain in zip(PARTS.values(), parted, strict=True)
        ]
        share = share_of_headroom(own["m3rec"], _floors(own), own["knows"])
        claims.append(
            claim_of(
                f"slates of {size}: M3Rec closes at least half of the gap between the best policy"
                " that is told nothing and who knows the user",
                half,
                share_text(share),
                LEVEL,
                "a session",
            )
        )
        parts += [f"## Slates of {size}", _table(own, size)]
    return Page(tuple(claims), "\n\n".join(parts))


def _earned(finished: list[Finished], size: int) -> dict[str, np.ndarray]:
    """Returns what every method and policy earned, by seed."""
    found = {
        name: by_seed(having(finished, source=method.source, slate_size=size), name)
        for name, method in METHODS.items()
    }
    rules = having(finished, source="rules", slate_size=size)
    return found | {name: by_seed(rules, name) for name in POLICIES}


def _floors(earned: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: earned[name] for name in (*FLOORS, "popularity")}


def _pairs(earned: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns what is compared beside the baselines: two kinds of them, half the gap, the parts."""
    floors = _floors(earned)
    best = max(floors.values(), key=lambda values: values.mean())
    kinds = [np.mean([earned[name] for name in names], axis=0) for names in (META, MODEL_BASED)]
    ours = earned["m3rec"]
    return [
        (kinds[0], kinds[1]),
        (ours, 0.5 * (best + earned["knows"])),
        *((ours, earned[name]) for name in PARTS),
    ]


def _table(earned: dict[str, np.ndarray], size: int) -> str:
    """Methods and policies, the best first: reward, share of the headroom, and the paper's."""
    rows = []
    for name in sorted(earned, key=lambda name: -earned[name].mean()):
        share = share_of_headroom(earned[name], _floors(earned), earned["knows"])
        printed = PRINTED.get(size, {}).get(name)
        rows.append(
            [
                POLICIES.get(name, name),
                METHODS[name].source if name in METHODS else "the rules",
                seeds_text(earned[name], 2),
                share_text(share),
                "" if printed is None else f"{printed:.2f}",
            ]
        )
    return table(["method", "learned from", "reward a session", "of the headroom", "paper"], rows)


EXPERIMENT = Experiment(
    name="m3rec-table1",
    title="New users of whom one sequence is known: methods that learn offline",
    reproduces="Wang et al., M3Rec, section 5.1, Table 1",
    method="""
[InterestEvolution-v0](../environments/InterestEvolution-v0.md) with `observe="clicks"`. 2,500
offline users of the population "train" are shown random slates, in two sequences of at most 20
each. All methods learn from this log alone. Then 500 users of the population "test", who like other
shares of the topics, meet every method with the same luck, in the simulator itself, until their
hour is over; of each the method is told one sequence. The reward is the minutes watched. A seed is
a catalogue, users, a log, and trainings.

What the paper leaves open, and how it was chosen:

- It says of the simulator that it is RecSim, and not which of its worlds, nor its settings. This
  one is RecSim's with interests that differ and are hidden. The paper's figures are those of
  another setting, and only their order can be compared.
- Its methods read items by id. So the 60 videos are the same in all slates (`num_candidates=60`,
  `resample_documents=False`), and can be clicked again.
- A click is worth 1 in the log: all videos are as long.
- A user's state is what she clicked last, up to 10 clicks. It goes back to her earlier sessions, in
  the log as in the fitted models; so in the test it begins with the clicks of the one sequence.
  `gan-pg` and `irecgan` adapt by that alone: they read on. The others adapt as well, and are told
  what she was shown and left, too.
- `m3rec` and its ablations are trained in M3Rec-v0 with the meta-level user model, fitted to the
  log by maximum likelihood and the adversarial game ("game"). `m3rec-mle` is the same agent in a
  model that was fitted without the game ("likelihood").
- The recovered reward is known up to a constant. No click is worth 0 in it, so that an item that is
  clicked less than no click has a negative r, and to avoid clicks pays more. Paid r itself, m3rec
  learned that. So a click in the fitted models is worth what the log pays, 1, to all methods.
- The paper does not say what `meta-lstm`, `meta-pg` and `melu` are trained in. They need users who
  differ, with support; so they, `cascading-dqn-maml`, and `popularity`, which counts random slates,
  are trained in the model by likelihood.
- `gan-pg` is REINFORCE in RecGAN-v0 with a GAN user model fitted to the log; `irecgan` learns from
  the log itself, as Algorithm 1 of its paper has it offline, and generates sessions of 20 slates.

Every training keeps the policy of the best validation, in the model, or of a log's validation
users. Policies that know the rules of the world, and the test population, are those of
[hidden-interests](hidden-interests.md). The headroom is what lies between the best of those that
are told nothing before the session (random slates, popularity, the search, and beliefs from the
last slate or from the session) and who knows the user; the share has Fieller's 95% interval.
Beliefs know the rules of the world, which methods have to learn.

The meta-level user model has a context of 12 numbers and weak priors, chosen among four settings by
the likelihood of validation users of seed 0. Two choices were made after short trainings with
slates of 3, by what they earned with test users of seed 0: that the state begins with the sequence
(where it began with nothing, m3rec earned less than random slates), and that a click is worth 1
(where it was worth r, likewise).

Rule: paired t-tests over seeds at 1%, with Holm's correction among the comparisons with the paper's
five baselines, and among all others.""",
    budget=BUDGET,
    smoke_budget=SMOKE,
    paper_budget=PAPER,
    cells=cells,
    run_cell=run_cell,
    summarise=summarise,
    reads_arrays=False,
)
