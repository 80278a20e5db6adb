"""Agents that adapt: two kinds of users with opposite tastes, told apart by their support."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.adaptation import MetaGradientAgent, UserData
from recgym_agents.algorithms.meta_policy_gradient import clicked_items_loss
from recgym_agents.learning.user_steps import UserBatch, UserSteps, steps_of_support
from recgym_agents.user_support import Support
from recgym_agents.zoo import entry_of

SPEC = EnvironmentSpec(n_items=4, slate_size=2, window=2, features=np.eye(4, dtype=np.float32))
KEEP = {"remove_clicked": False}
LEARNERS = ("cascading-dqn-maml", "meta-pg", "meta-lstm", "m3rec", "melu")
USERS = 24
NOBODY = np.full((1, 2), 4)
RNG = np.random.default_rng(0)


def agent_of(name: str, **settings: Any) -> Any:
    entry = entry_of(name, KEEP | settings, {})
    return entry.builder(entry.config, SPEC, 0)


def support_of(likes: np.ndarray, steps: int = 6) -> Support:
    """Random slates; users click the item that they like, 0 or 1, and no other."""
    slate = np.argsort(RNG.random((len(likes), 1, steps, 4)), axis=3)[..., :2]
    liked = slate == likes[:, None, None, None]
    click = np.where(liked.any(axis=3), liked.argmax(axis=3), -1)
    return Support(slate, click, (click >= 0).astype(np.float32))


def query_of(likes: np.ndarray) -> UserSteps:
    """As their support, but nobody's clicks are observed."""
    steps = steps_of_support(support_of(likes), SPEC)
    return steps._replace(
        observation=np.full_like(steps.observation, 4), goes_on=np.zeros_like(steps.goes_on)
    )


def batch_of(users: int = USERS) -> UserBatch:
    likes = np.arange(users) % 2
    support = support_of(likes)
    return UserBatch(steps_of_support(support, SPEC), query_of(likes))


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_to_tell_users_apart(name: str) -> None:
    agent = agent_of(name, learning_rate=0.01)
    for _ in range(40):
        report = agent.update(batch_of())
    assert np.isfinite(list(report.values())).all()
    likes = np.arange(10) % 2
    adapted = agent.adapt(support_of(likes, steps=12))
    first = adapted.act(np.repeat(NOBODY, 10, axis=0))[:, 0]
    assert (first == likes).mean() >= 0.9


@pytest.mark.parametrize("name", [*LEARNERS, "linucb"])
def test_users_at_once_are_each_alone(name: str) -> None:
    agent = agent_of(name)
    if name != "linucb":
        agent.update(batch_of())
    support = support_of(np.array([0, 1, 0, 1, 1]))
    together = agent.adapt(support).act(np.repeat(NOBODY, 5, axis=0))
    for user in range(5):
        alone = agent.adapt(support.of_users(np.array([user])))
        assert alone.act(np.repeat(NOBODY, 3, axis=0)).tolist() == [together[user].tolist()] * 3
        assert alone.recommend([]) == together[user].tolist()
        assert agent.recommend([], alone_support(support, user)) == together[user].tolist()


def test_rows_must_be_those_of_the_users() -> None:
    adapted = agent_of("melu").adapt(support_of(np.array([0, 1])))
    with pytest.raises(RecGymError, match="4 observations, but adapted to 2 users"):
        adapted.act(np.repeat(NOBODY, 4, axis=0))


def alone_support(support: Support, user: int) -> Support:
    return support.of_users(np.array([user]))


@pytest.mark.parametrize("name", [*LEARNERS, "linucb"])
def test_an_empty_support_is_no_support(name: str) -> None:
    agent = agent_of(name)
    nothing = agent.adapt(Support.none(3, 2))
    observation = np.array([[4, 4], [4, 1], [2, 3]])
    np.testing.assert_array_equal(nothing.act(observation), agent.act(observation))


@pytest.mark.parametrize("name", ["cascading-dqn-maml", "meta-pg", "melu"])
def test_without_steps_nothing_adapts(name: str) -> None:
    agent = agent_of(name, inner_steps=0)
    support = support_of(np.array([0, 1, 1]))
    observation = np.array([[4, 4], [4, 1], [2, 3]])
    np.testing.assert_array_equal(agent.adapt(support).act(observation), agent.act(observation))


def test_only_the_decision_layers_of_melu_adapt() -> None:
    agent = agent_of("melu")
    assert isinstance(agent, MetaGradientAgent)
    knowledge = agent.adapt(support_of(np.array([0, 1]))).knowledge
    assert set(knowledge) == {n for n, _ in agent.network.named_parameters() if "decision" in n}
    before = dict(agent.network.named_parameters())
    assert all((values != before[name]).any() for name, values in knowledge.items())


@pytest.mark.parametrize("name", ["cascading-dqn-maml", "meta-pg", "melu"])
def test_first_order_is_another_gradient(name: str) -> None:
    """The same at the first loss, and another step."""
    batch, after = batch_of(), []
    for second_order in (True, False):
        agent = agent_of(name, second_order=second_order)
        report = agent.update(batch)
        after.append((report["loss"], report["gradient_norm"]))
    assert after[0][0] == pytest.approx(after[1][0], rel=1e-5)
    assert after[0][1] != pytest.approx(after[1][1], rel=1e-4)


def test_support_of_another_catalog_is_refused() -> None:
    agent, support = agent_of("melu"), support_of(np.array([0]))
    with pytest.raises(RecGymError, match="item 9 is not in 0"):
        agent.adapt(support._replace(slate=np.full_like(support.slate, 9)))
    with pytest.raises(RecGymError, match="support: of 2 users; give that of one"):
        agent.recommend([], support_of(np.array([0, 1])))


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_an_item_of_a_negative_return_is_pushed_down_so_far_and_no_further(value: float) -> None:
    """Of four items each has 1/4 evenly: e^-7 / 3 is above a thousandth of it, e^-8 / 3 below."""
    data = UserData(
        observation=torch.full((1, 1, 1), 4),
        excluded=torch.zeros((1, 1, 0), dtype=torch.int64),
        slate=torch.tensor([[[0]]]),
        slot=torch.tensor([[0]]),
        value=torch.tensor([[value]]),
        weight=torch.ones(1, 1),
    )
    gradients = []
    for logit in (0.0, -7.0, -8.0):
        logits = torch.tensor([[[logit, 0.0, 0.0, 0.0, -torch.inf]]], requires_grad=True)
        loss, _ = clicked_items_loss(logits, data, 0.0, 0.0)
        loss.backward()
        assert logits.grad is not None
        gradients.append(logits.grad[0, 0, 0].item())
    assert gradients[0] == pytest.approx(-0.75 * value)
    assert gradients[1] == pytest.approx(-value, abs=1e-3)
    assert gradients[2] == pytest.approx(0.0 if value < 0.0 else -1.0, abs=1e-3)


def test_agents_that_do_not_adapt_are_the_same_for_all() -> None:
    entry = entry_of("popularity", KEEP, {})
    agent = entry.builder(entry.config, SPEC, 0)
    assert agent.adapt(support_of(np.array([0, 1]))) is agent


@pytest.mark.parametrize("setting", ["inner_rate", "inner_clip", "learning_rate"])
def test_settings_out_of_range(setting: str) -> None:
    with pytest.raises(RecGymError, match=f"{setting}=0"):
        replace(entry_of("melu", {}, {}).config, **{setting: 0.0})
