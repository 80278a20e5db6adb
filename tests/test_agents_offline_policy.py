"""What agents that learn from logged sequences are told, fit, and rank by; numbers by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms import offline_policy
from recgym_agents.algorithms.offline_config import OfflinePolicyConfig
from recgym_agents.algorithms.offline_policy import OfflinePolicy
from recgym_agents.algorithms.offline_steps import LoggedSteps, logged_steps
from recgym_agents.algorithms.offline_values import Draws, Valued, q_learning
from recgym_agents.learning.episodes import EpisodeLog, Episodes
from recgym_agents.learning.sequence_loop import SequenceLoopConfig
from recgym_agents.networks.item_scores import supported_first
from recgym_agents.networks.sequence_policy import SequencePolicy
from recgym_agents.zoo import OFFLINE

N_ITEMS, WINDOW = 6, 3
SPEC = EnvironmentSpec(N_ITEMS, 2, WINDOW, None)
SMALL = {"size": 8, "dropout": 0.0, "target_period": 2}


def episodes(**changes: Any) -> Episodes:
    """Two episodes: clicks on 1, 2, 3, paid .2, 1, .2; and one on 4, after one on 5, paid 1."""
    parts: dict[str, Any] = {
        "history": np.array([[6, 6, 6], [6, 6, 5]]),
        "slate": np.zeros((2, 3, 0), np.int64),
        "item": np.array([[1, 2, 3], [4, -1, -1]]),
        "reward": np.array([[0.2, 1.0, 0.2], [1.0, 0.0, 0.0]], np.float32),
        "steps": np.array([[True, True, True], [True, False, False]]),
        "terminated": np.array([True, False]),
        "propensity": None,
    }
    return Episodes(**(parts | changes))


def agent(name: str = "logging", seed: int = 0, **changes: Any) -> OfflinePolicy:
    return OfflinePolicy(replace(OFFLINE[name][0], **(SMALL | changes)), SPEC, seed)


def test_steps_of_logged_episodes_by_hand() -> None:
    steps = logged_steps(episodes(), WINDOW, N_ITEMS, 0.5, 0)
    assert steps.clicks.tolist() == [[1, 2, 3], [5, 4, 6]]
    assert steps.counts.tolist() == [[0, 1, 2, 3], [1, 2, 2, 2]]
    assert steps.now.tolist() == [0, 1, 2, 4]
    assert steps.item.tolist() == [1, 2, 3, 4]
    assert steps.returns.tolist() == pytest.approx([0.2 + 0.5 * 1.1, 1.1, 0.2, 1.0])
    assert steps.discount.tolist() == [0.5, 0.5, 0.0, 0.5]  # the second episode was cut off
    assert steps.history.tolist() == pytest.approx([0.0, 1 / 3, 2 / 3, 1 / 3])
    assert len(steps.showing) == 0
    last = logged_steps(episodes(), WINDOW, N_ITEMS, 0.5, 2)
    assert last.item.tolist() == [2, 3, 4]


def test_what_was_shown_and_passed_over_by_hand() -> None:
    slate = np.array([[[1, 0], [4, 5], [-1, -1]], [[4, 2], [-1, -1], [-1, -1]]])
    item = np.array([[1, -1, 3], [4, -1, -1]])
    steps = logged_steps(episodes(slate=slate, item=item), WINDOW, N_ITEMS, 0.5, 0)
    assert steps.showing.tolist() == [0, 1, 4]
    assert steps.passed.tolist() == [[-1, 0], [4, 5], [-1, 2]]
    assert steps.item.tolist() == [1, 3, 4]  # the second page was not clicked
    assert steps.now.tolist() == [0, 2, 4]


def network(values: list[list[float]], policy: list[list[float]] | None = None) -> SequencePolicy:
    """Items' values, and the policy's logits, are products of these rows (N, 2) and a state."""
    config = OfflinePolicyConfig(size=2, tied=False)
    made = SequencePolicy(config, len(values), 2, 1, False, False, torch.Generator().manual_seed(0))
    made.value_weight.data = torch.tensor([values])
    assert made.policy_weight is not None
    made.policy_weight.data = torch.tensor(policy or values)
    return made


ONE_STEP = LoggedSteps(
    clicks=np.zeros((1, 1), np.int64),
    counts=np.zeros((1, 2), np.int64),
    done=np.ones((1, 1), np.bool_),
    now=torch.tensor([0]),
    item=torch.tensor([1]),
    reward=torch.tensor([0.5]),
    returns=torch.tensor([0.5]),
    discount=torch.tensor([0.8]),
    history=torch.tensor([0.25]),
    showing=torch.tensor([0]),
    passed=torch.tensor([[2, -1]]),
)
STATES = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
ONLINE, OLDER = [[0.0, 5.0], [2.0, 1.0], [3.0, 0.0]], [[0.0, 0.5], [0.0, 9.0], [0.0, 9.0]]
NO_DRAWS = Draws(None, torch.zeros(1, 0, dtype=torch.int64))


@pytest.mark.parametrize(
    ("settings", "negatives", "expected"),
    [
        # item 1 is worth 2; the network likes item 0 best next, which the target values by .5:
        # 2 - (.5 + .8 * .5) is 1.1; item 2 was passed over and is worth 3
        ({"shown": False}, [], 1.1**2),
        ({}, [], 1.1**2 + 3.0**2),
        # item 0 in the same state is worth 0; there item 2 is best, and the target gives it 0
        ({"shown": False, "negatives": 1}, [0], 1.1**2),
        ({"shown": False, "negatives": 1}, [2], 1.1**2 + 3.0**2),
        # among 0, 2 and 3, the log of the sum of exponentials is above 2 by this
        (
            {"shown": False, "conservative": 2.0},
            [],
            1.1**2 + 2.0 * (math.log(1.0 + math.exp(2.0) + math.exp(3.0)) - 2.0),
        ),
    ],
)
def test_q_learning_by_hand(
    settings: dict[str, Any], negatives: list[int], expected: float
) -> None:
    config = OfflinePolicyConfig(values="q", discount=0.8, size=2, **settings)
    draws = Draws(None, torch.tensor([negatives], dtype=torch.int64).reshape(1, -1))
    found = q_learning(config, network(ONLINE), STATES, network(OLDER), STATES, ONE_STEP, draws)
    assert found.loss.item() == pytest.approx(expected, rel=1e-5)
    assert found.logged.tolist() == [2.0]
    assert found.sampled.tolist() == [[ONLINE[item][0] for item in negatives]]


def test_q_learning_keeps_to_items_that_the_policy_supports() -> None:
    policy = [[0.0, -9.0], [0.0, 1.0], [0.0, 1.0]]
    config = OfflinePolicyConfig(
        values="q", discount=0.8, size=2, support=0.3, shown=False, acts_by="value"
    )
    made = network(ONLINE, policy)
    found = q_learning(config, made, STATES, network(OLDER), STATES, ONE_STEP, NO_DRAWS)
    # item 0 is unlikely; of the others item 1 is better, and the target values it by 9
    assert found.loss.item() == pytest.approx((2.0 - (0.5 + 0.8 * 9.0)) ** 2, rel=1e-5)


def test_a_mixture_of_members_is_one_value() -> None:
    made, older = network(ONLINE), network(OLDER)
    for one in (made, older):
        one.value_weight.data = torch.cat([one.value_weight.data, torch.zeros(1, 3, 2)])
        one.value_bias.data = torch.zeros(2, 3)
    config = OfflinePolicyConfig(
        **{"values": "q", "discount": 0.8, "size": 2, "shown": False},
        **{"members": 2, "mixture": True},  # type: ignore[arg-type]
    )
    draws = NO_DRAWS._replace(mixture=torch.tensor([0.5, 0.5]))
    found = q_learning(config, made, STATES, older, STATES, ONE_STEP, draws)
    assert found.loss.item() == pytest.approx((1.0 - (0.5 + 0.8 * 0.25)) ** 2, rel=1e-5)
    apart = q_learning(config, made, STATES, older, STATES, ONE_STEP, NO_DRAWS)
    assert apart.loss.item() == pytest.approx((1.1**2 + 0.5**2) / 2, rel=1e-5)


def dense_log_pi(one: OfflinePolicy, state: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
    return one.network.policy.of_all(state).log_softmax(1).gather(1, item[:, None])[:, 0]


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("logging", [1.0, 1.0, 1.0, 1.0]),
        ("reward-weighted", [0.2, 1.0, 0.2, 1.0]),
        ("pg-offline", [0.2 + 0.5 * 1.1, 1.1, 0.2, 1.0]),
    ],
)
def test_what_weighs_a_logged_item(name: str, weights: list[float]) -> None:
    one = agent(name)
    steps = one._steps(episodes())
    states = one.network.states(steps.clicks, steps.counts).flatten(0, 1)[steps.now]
    log_pi = dense_log_pi(one, states, steps.item)
    loss, report = one.loss(steps, None)
    torch.testing.assert_close(loss, -(torch.tensor(weights) * log_pi).mean())
    assert report["weight"] == pytest.approx(np.mean(weights))


@pytest.mark.parametrize("name", ["ips", "ips-pg"])
def test_importance_weights_are_of_a_head_that_leaves_the_encoder_alone(name: str) -> None:
    one = agent(name)
    steps = one._steps(episodes())
    network = one.network
    states = network.states(steps.clicks, steps.counts).flatten(0, 1)[steps.now]
    log_pi = dense_log_pi(one, states, steps.item)
    log_mu = network.behaviour.of_all(states).log_softmax(1).gather(1, steps.item[:, None])[:, 0]
    rewards = steps.reward if name == "ips" else steps.returns
    weight = rewards * (log_pi - log_mu).exp().detach()
    loss, _ = one.loss(steps, None)
    torch.testing.assert_close(loss, -(weight * log_pi).mean() - log_mu.mean())
    loss.backward()  # type: ignore[no-untyped-call]
    (-(weight * log_pi).mean()).backward()
    torch.testing.assert_close(
        network.items.grad, 2.0 * torch.autograd.grad(one.loss(steps, None)[0], network.items)[0]
    )


@pytest.mark.parametrize("name", ["lpi-cb", "lpi-rl"])
def test_local_policy_improvement_weighs_by_the_advantage(name: str) -> None:
    one = agent(name, beta=0.1)
    steps = one._steps(episodes())
    states = one.network.states(steps.clicks, steps.counts).flatten(0, 1)[steps.now]
    (values,) = one.network.values
    logits, q = one.network.policy.of_all(states), values.of_all(states)
    advantage = q.gather(1, steps.item[:, None])[:, 0] - (logits.softmax(1) * q).sum(1)
    weight = (advantage / 0.1).exp()
    _, report = one.loss(steps, None)
    assert report["weight"] == pytest.approx(weight.mean().item(), rel=1e-5)
    assert weight.std() > 1e-3


@pytest.mark.parametrize("name", ["reward-weighted", "ips", "pg-offline", "ips-pg", "logging"])
def test_logs_that_would_weigh_below_0_are_refused(name: str) -> None:
    reward = np.array([0.2, -1.0, 0.2], np.float32)
    log = EpisodeLog(
        history=np.full((3, 3), 6),
        offsets=np.arange(4),
        terminated=np.ones(3, np.bool_),
        slate=np.zeros((3, 0), np.int64),
        item=np.array([1, 2, 3]),
        reward=reward,
    )
    one, loop = agent(name), SequenceLoopConfig()
    if name == "logging":
        loop.loop(one, None, 3, (0, 0), log)
        return
    line = f"weight={one.config.weight}: rewards below 0; shift the log's rewards"
    with pytest.raises(RecGymError, match=line):
        loop.loop(one, None, 3, (0, 0), log)
    loop.loop(one, None, 3, (0, 0), replace(log, reward=reward + np.float32(1.0)))


def test_values_weigh_from_0_to_the_cap() -> None:
    one = agent("sac-ss", warm_up=0, weight_cap=2.0)
    steps = one._steps(episodes())
    valued = Valued(torch.zeros(()), torch.tensor([-3.0, 0.5, 9.0, 0.0]), torch.zeros(4, 0))
    states = torch.zeros(4, 8)
    assert one._weight(states, steps, valued).tolist() == [0.0, 0.5, 2.0, 0.0]


def test_negatives_are_all_the_items_that_were_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    one, drawn = agent("snqn", negatives=600), []

    def recorded(*arguments: Any) -> Valued:
        drawn.append(arguments[-1].negatives.numpy())
        return q_learning(*arguments)

    monkeypatch.setattr(offline_policy, "q_learning", recorded)
    one.update(episodes())
    for item, negatives in zip([1, 2, 3, 4], drawn[0], strict=True):
        counts = np.bincount(negatives, minlength=N_ITEMS)
        assert counts[item] == 0
        assert (np.delete(counts, item) > 70).all()  # of 600 / 5, whose deviation is 10


def test_a_catalog_of_one_item_has_no_negatives() -> None:
    single = replace(SPEC, n_items=1, slate_size=1)
    config = replace(OFFLINE["snqn"][0], remove_clicked=False)
    with pytest.raises(RecGymError, match="negatives=10: the catalog has one item"):
        OfflinePolicy(config, single, 0)


def test_scores_that_are_no_numbers_have_no_gain() -> None:
    one = agent()
    one.network.policy_bias.data[5] = torch.nan
    with pytest.raises(RecGymError, match="the agent returned NaN"):
        one.gains(episodes())


def test_weights_of_values_wait_for_the_warm_up() -> None:
    one = agent("sac-ss", warm_up=1)
    assert one.update(episodes())["weight"] == 1.0
    assert one.update(episodes())["weight"] != 1.0


@pytest.mark.parametrize("name", OFFLINE)
def test_each_learns_what_is_clicked_next(name: str) -> None:
    """After many updates on two episodes it ranks what was clicked in them first."""
    one = agent(name, learning_rate=0.01, warm_up=5)
    batch = episodes()
    before = np.nanmean(one.gains(batch))
    for _ in range(150):
        report = one.update(batch)
    assert all(map(math.isfinite, report.values()))
    after = one.gains(batch)
    assert np.isnan(after).tolist() == [[False] * 3, [False, True, True]]
    assert np.nanmean(after) > max(before, 0.85)
    assert one.score(batch) == pytest.approx(np.nanmean(after, axis=1))


def test_parameters_decay_where_nothing_is_learned() -> None:
    """By the step size times the decay, at each update."""
    one = agent(learning_rate=0.01, weight_decay=0.5)
    before = [p.detach().clone() for p in one.network.parameters()]
    for parameter in one.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    one.optimizer.step()
    for old, new in zip(before, one.network.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (1.0 - 0.01 * 0.5))


def test_exact_and_sampled_softmax_learn_the_same() -> None:
    one = agent(sampled=200, learning_rate=0.01)
    for _ in range(150):
        one.update(episodes())
    assert np.nanmean(one.gains(episodes())) > 0.9


def test_the_return_that_is_asked_for_decides() -> None:
    """After no click item 0 earned nothing and item 1 a reward, equally often."""
    batch = episodes(
        history=np.full((2, 3), 6),
        item=np.array([[0], [1]]),
        reward=np.array([[0.0], [1.0]], np.float32),
        slate=np.zeros((2, 1, 0), np.int64),
        steps=np.ones((2, 1), np.bool_),
        terminated=np.ones(2, np.bool_),
    )
    settings = {"learning_rate": 0.02}
    low, high = (
        agent("decision-transformer", target_return=share, **settings) for share in (0.0, 1.0)
    )
    for one in (low, high):
        for _ in range(150):
            one.update(batch)
        assert one.network.highest_return.item() == 1.0
    start = np.full((1, 3), 6)
    assert low.item_scores(start).argmax() == 0
    assert high.item_scores(start).argmax() == 1


def test_a_round_without_a_click_teaches_nothing_and_breaks_nothing() -> None:
    nothing = episodes(item=np.full((2, 3), -1))
    for name in OFFLINE:
        assert all(map(math.isfinite, agent(name).update(nothing).values()))


def test_unlikely_items_rank_below_all_likely_ones() -> None:
    value = torch.tensor([[1.0, 2.0, 9.0, 8.0]])
    likely = torch.tensor([[0.0, -0.5, -5.0, -6.0]])
    found = supported_first(value, likely, 0.3)[0]
    assert found.argsort(descending=True).tolist() == [1, 0, 2, 3]
    assert found[:2].tolist() == [1.0, 2.0]


def test_exploring_draws_from_the_policy_without_replacement() -> None:
    one = agent()
    history = np.full((4_000, 3), 6)
    share = torch.as_tensor(one.item_scores(history[:1])).softmax(1)[0].numpy()
    slates = one.act(history, explore=1.0)
    first = np.bincount(slates[:, 0], minlength=N_ITEMS) / len(slates)
    np.testing.assert_allclose(first, share, atol=0.03)
    assert (slates[:, 0] != slates[:, 1]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": "improvement"}, "weight=improvement: needs action values; set values=q"),
        ({"acts_by": "value"}, "acts_by=value: needs action values; set values=q"),
        ({"weight": "advantage", "values": "q"}, "set negatives to at least 1"),
        ({"importance": True, "sampled": 5}, "needs exact probabilities; set sampled=0"),
        ({"weight": "none"}, "weight=none: learns no policy"),
        ({"target_return": 1.5}, "target_return=1.5: must be in 0..1"),
        ({"beta": 0.0}, "beta=0.0: must be at least"),
        ({"heads": 3}, "heads=3: must divide size=64"),
        ({"dropout": 1.0}, "dropout=1.0: nothing would be left"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        OfflinePolicyConfig(**settings)


def test_worlds_without_item_ids_are_refused() -> None:
    with pytest.raises(RecGymError, match="reads item ids"):
        OfflinePolicy(OfflinePolicyConfig(), replace(SPEC, ids=False), 0)
