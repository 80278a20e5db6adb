"""What a log says of an agent: by hand, against exact values, and what it cannot say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.collection import as_dataset, collect, uniform_policy
from recgym.data import Catalog, Dataset, Sessions
from recgym.errors import RecGymError
from recgym.ope import OffPolicyEstimate
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.baselines import BaselineConfig, Popularity, RandomAgent
from recgym_agents.algorithms.irecgan import IRecGAN, IRecGANConfig
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.commands.evaluate import main
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.runs.log_evaluation import evaluate_on_log
from recgym_agents.runs.training import TrainConfig, train

WORLD = {"n_items": 5, "slate_size": 2, "n_states": 2, "horizon": 3, "window": 3}


class Always:
    """Shows one slate."""

    def __init__(self, slate: list[int], n_items: int, window: int = 3) -> None:
        self.slate = np.array(slate)
        self.spec = EnvironmentSpec(n_items, len(slate), window, None)

    def act(self, observation: np.ndarray) -> np.ndarray:
        return np.tile(self.slate, (len(observation), 1))


def dataset(**changes: Any) -> Dataset:
    """Users 0 and 1 are for training, 2 and 3 for the test; each has two pages of two items."""
    slates = [[0, 1], [1, 2], [0, 2], [2, 1], [0, 1], [0, 2], [1, 0], [0, 1]]
    log = Sessions(
        user=np.repeat(np.arange(4), 2),
        session=np.repeat(np.arange(4), 2),
        step=np.tile([0, 1], 4),
        slate_offsets=np.arange(9) * 2,
        slate_items=np.array(slates).ravel(),
        click=np.array([0, -1, 0, -1, 1, 0, -1, 0]),
        item=np.array([0, -1, 0, -1, 1, 0, -1, 0]),
        reward=np.array([1, 0, 1, 0, 1, 2, 0, 1], np.float32),
        slot_propensities=np.full(16, 1 / 3, np.float32),
        slate_propensities=np.full(8, 1 / 6, np.float32),
    )
    return Dataset(
        sessions=dataclasses.replace(log, **changes),
        catalog=Catalog(("a", "b", "c"), None, np.zeros((3, 0), np.float32), ()),
        split=np.array([0, 0, 2, 2], np.int8),
        info={},
    )


def by_name(found: tuple[OffPolicyEstimate, ...]) -> dict[str, float]:
    return {one.method: one.estimate for one in found}


def test_by_hand() -> None:
    found = evaluate_on_log(Always([0, 1], 3), dataset())
    # items 0, 1, 2 were shown 2, 3, 3 times to the others, who paid item 0 2: a mean of .25 a show
    rates = np.array([2.25 / 3, 0.25 / 4, 0.25 / 4])
    own = rates[0] + rates[1]
    residual = np.array([1 - own, 0.0, 0.0, 1 - own])
    page = by_name(found.page)
    assert page == pytest.approx(
        {
            "logged": 1.0,
            "ips": (6 + 6) / 4,
            "snips": 1.0,
            "doubly_robust": own + 6 * residual.sum() / 4,
            # slot 0 is as the agent's on three pages, slot 1 on two
            "independent_ips": (3 * 1 + 3 * 2 + 3 * 1) / 4,
            "direct_method": own,
        },
        rel=1e-5,
    )
    # only user 2's first page and none of user 3's is as the agent has it: weights 6, 0 and 0, 0
    assert by_name(found.session)["per_decision_ips"] == pytest.approx(6 * 1 / 2, rel=1e-5)
    assert by_name(found.session)["logged"] == pytest.approx(2.0)
    assert found.left_out == 0


def test_slots_given_those_above_are_told_by_their_product() -> None:
    slots = np.tile([1 / 3, 1 / 2], 8).astype(np.float32)
    found = by_name(evaluate_on_log(Always([0, 1], 3), dataset(slot_propensities=slots)).page)
    assert "independent_ips" not in found
    # slot 0 paid 2 beside item 2, and 1 in the slate itself, slot 1 paid 1 in it
    assert found["reward_interaction_ips"] == pytest.approx((6 * 1 + 3 * 2 + 3 * 1) / 4, rel=1e-5)
    assert "cascade_dr" in found


def test_slots_whose_kind_is_unknown_say_nothing() -> None:
    slots = np.tile([1 / 3, 1 / 2], 8).astype(np.float32)
    unknown = dataset(slot_propensities=slots, slate_propensities=None)
    assert list(by_name(evaluate_on_log(Always([0, 1], 3), unknown).page)) == [
        "logged",
        "direct_method",
    ]


def test_slots_of_two_kinds_are_refused() -> None:
    slots = np.tile([1 / 3, 1 / 2], 8).astype(np.float32)
    slots[13] = 1 / 3  # the first page of user 3
    with pytest.raises(RecGymError, match="not on that of user 3, session 3, step 0; write"):
        evaluate_on_log(Always([0, 1], 3), dataset(slot_propensities=slots))


def test_slots_that_are_certain_are_of_both_kinds() -> None:
    slots, slates = np.full(16, 1 / 3, np.float32), np.full(8, 1 / 6, np.float32)
    slots[8:10] = slates[4] = 1.0  # user 2's first page was the same whoever came
    found = evaluate_on_log(
        Always([0, 1], 3), dataset(slot_propensities=slots, slate_propensities=slates)
    )
    # as by hand above, but that page's click in slot 1 weighs 1
    assert by_name(found.page)["independent_ips"] == pytest.approx((1 * 1 + 3 * 2 + 3 * 1) / 4)


def test_rewards_without_a_click_are_no_items() -> None:
    reward = np.array([1, 0, 1, 0, 1, 2, 0, 1], np.float32)
    for page in (1, 6):  # of a user whom the reward model learns from, and of one who is scored
        paid = reward.copy()
        paid[page] = 3.0
        found = evaluate_on_log(Always([0, 1], 3), dataset(reward=paid))
        assert "direct_method" not in by_name(found.page)
        assert found.no_direct == "1 pages without a click have a reward, which is no item's"
        assert "doubly_robust" in by_name(found.page)
    assert evaluate_on_log(Always([0, 1], 3), dataset()).no_direct == ""


def test_pages_of_another_size_are_left_out() -> None:
    log = dataset().sessions
    keep = np.ones(16, bool)
    keep[9] = False  # the second item of user 2's first page
    offsets = np.append(0, np.cumsum(np.where(np.arange(8) == 4, 1, 2)))
    click = log.click.copy()
    click[4] = -1
    shorter = dataset(
        slate_offsets=offsets,
        slate_items=log.slate_items[keep],
        slot_propensities=log.slot_propensities[keep],  # type: ignore[index]
        click=click,
        reward=np.array([1, 0, 1, 0, 0, 2, 0, 1], np.float32),
    )
    found = evaluate_on_log(Always([0, 1], 3), shorter)
    assert found.left_out == 1
    assert found.page[0].n == 3
    assert found.session[0].n == 1  # user 2's session is not whole


def test_sessions_are_left_out_where_nothing_can_be_said_of_them() -> None:
    found = evaluate_on_log(Always([0, 1], 3), dataset(slate_propensities=None))
    assert (found.session, found.no_session) == ((), "the log has no propensities of whole slates")
    assert "ips" not in by_name(found.page)
    n = 160
    log = dataset().sessions
    many = dataclasses.replace(
        log.select(np.repeat(np.arange(8), 40)),
        step=np.tile(np.arange(80), 4),
    )
    long = dataclasses.replace(dataset(), sessions=many)
    assert evaluate_on_log(Always([0, 1], 3), long).session
    joined = dataclasses.replace(many, session=np.zeros(320, int), user=np.repeat([0, 2], n))
    joined = dataclasses.replace(joined, step=np.tile(np.arange(n), 2))
    found = evaluate_on_log(Always([0, 1], 3), dataclasses.replace(long, sessions=joined))
    assert "up to 160 pages" in found.no_session


def uniform_log(sessions: int) -> tuple[Any, Dataset]:
    env = make_vector_env("SlateMDP-v0", WORLD, 500, "disabled")
    log = collect(env, uniform_policy(5, 2), sessions, seed=1)
    return env, as_dataset(env, log, "uniform")


def test_what_an_agent_earns_in_a_slate_mdp_is_within_its_intervals() -> None:
    env, log = uniform_log(20_000)
    exact = float(env.simulator.policy_value(np.array([3, 1]), 1.0, 3)[0])
    found = evaluate_on_log(Always([3, 1], 5), log, "test")
    assert {one.method for one in found.session} == {
        *("logged", "per_decision_ips", "per_decision_dr")
    }
    for one in found.session[1:]:
        assert abs(one.estimate - exact) < 3.0 * one.standard_error
        assert one.low < one.estimate < one.high


def test_random_slates_on_a_log_of_random_slates_earn_what_it_earned() -> None:
    env, log = uniform_log(300)
    spec = EnvironmentSpec.of(env)
    agent = RandomAgent(BaselineConfig(remove_clicked=False), spec, 0)
    found = evaluate_on_log(agent, log, drawn=True)
    page, session = by_name(found.page), by_name(found.session)
    assert page["ips"] == pytest.approx(page["logged"], rel=1e-6)
    assert page["snips"] == pytest.approx(page["logged"], rel=1e-6)
    assert session["per_decision_ips"] == pytest.approx(session["logged"], rel=1e-6)


@pytest.mark.parametrize("remove_clicked", [False, True])
@pytest.mark.parametrize("kind", ["random", "popularity", "policy gradient", "irecgan"])
def test_probabilities_of_drawn_slates_are_their_frequencies(
    kind: str, remove_clicked: bool
) -> None:
    spec = EnvironmentSpec(6, 2, 3, None)
    history = np.array([[6, 2, 2], [6, 6, 6]])
    baseline = BaselineConfig(remove_clicked=remove_clicked)
    agent: Any = {
        "random": lambda: RandomAgent(baseline, spec, 0),
        "popularity": lambda: Popularity(baseline, spec, 0),
        "policy gradient": lambda: PolicyGradient(
            PolicyGradientConfig(remove_clicked=remove_clicked, hidden=4), spec, 0
        ),
        "irecgan": lambda: IRecGAN(
            IRecGANConfig(remove_clicked=remove_clicked, ranking="user"), spec, 0
        ),
    }[kind]()
    every = np.array([[i, j] for i in range(6) for j in range(6) if i != j])
    for row in history:
        observed = np.tile(row, (len(every), 1))
        chance = agent.slot_probabilities(observed, every).prod(axis=1)
        assert chance.sum() == pytest.approx(1.0, rel=1e-5)
        drawn = agent.act(np.tile(row, (20_000, 1)), explore=1.0)
        counts = (drawn[:, None, :] == every).all(axis=2).mean(axis=0)
        np.testing.assert_allclose(counts, chance, atol=5 * np.sqrt(0.05 / 20_000))


@pytest.mark.parametrize(
    ("slate", "n_items", "changes", "drawn", "line"),
    [
        (
            [0, 1],
            3,
            {"slot_propensities": None, "slate_propensities": None},
            False,
            "--log: it has no propensities",
        ),
        ([0, 1], 4, {}, False, "catalog has 3 items, the agent's 4"),
        ([0, 1, 2], 3, {}, False, "no page of its test users has a slate of 3"),
        ([0, 1], 3, {}, True, "--drawn: this agent cannot say how likely"),
    ],
)
def test_what_a_log_cannot_say(
    slate: list[int], n_items: int, changes: dict[str, Any], drawn: bool, line: str
) -> None:
    with pytest.raises(RecGymError, match=line):
        evaluate_on_log(Always(slate, n_items), dataset(**changes), drawn=drawn)


def test_a_reward_model_needs_other_users() -> None:
    alone = dataclasses.replace(dataset(), split=np.full(4, 2, np.int8))
    with pytest.raises(RecGymError, match="all of its users are test users"):
        evaluate_on_log(Always([0, 1], 3), alone)


def test_the_command_prints_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    _, log = uniform_log(300)
    log.save(tmp_path / "log")
    config = TrainConfig(
        "SlateMDP-v0", "popularity", 500, 0, str(tmp_path / "agent"), env_args=WORLD, reports=1
    )
    train(config)
    main(tmp_path / "agent", log=tmp_path / "log")
    printed = capsys.readouterr().out
    assert "doubly robust" in printed
    assert "the log's own policy" in printed
    written = json.loads((tmp_path / "agent" / "log-evaluation.json").read_text("utf-8"))
    assert [one["method"] for one in written["page"]][:2] == ["logged", "ips"]
    assert written["session"][1]["low"] <= written["session"][1]["estimate"]
    with pytest.raises(RecGymError, match="--log: no environment is played"):
        main(tmp_path / "agent", log=tmp_path / "log", env="SlateMDP-v0")
    with pytest.raises(RecGymError, match="--drawn: goes with --log"):
        main(tmp_path / "agent", drawn=True)
