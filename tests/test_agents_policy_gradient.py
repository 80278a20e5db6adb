from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.learning.episodes import Episodes
from recgym_agents.learning.rollout_loop import roll_out
from recgym_agents.runs.evaluation import make_vector_env

WORLD = EnvironmentSpec(n_items=4, slate_size=2, window=2, features=None)
SMALL: dict[str, Any] = {"hidden": 5, "embedding": 3, "discount": 0.5, "remove_clicked": False}
ODDS = np.array([1.0, 2.0, 3.0, 4.0])
"""Of the items, whatever was clicked."""
SHARE = ODDS / ODDS.sum()


def blind(**changes: Any) -> PolicyGradient:
    """An agent whose policy has the odds ``ODDS``, and whose critic says 2."""
    agent = PolicyGradient(PolicyGradientConfig(**(SMALL | changes)), WORLD, seed=0)
    with torch.no_grad():
        agent.network.head.weight.zero_()
        agent.network.head.bias.copy_(torch.as_tensor(ODDS).log())
        if agent.config.advantage == "critic":
            agent.network.critic[-1] = 2.0
    return agent


def episodes(propensity: np.ndarray | None = None) -> Episodes:
    """One of two steps, of which the second has no click, and one of a single step, cut off."""
    return Episodes(
        history=np.array([[4, 4], [4, 1]]),
        slate=np.array([[[3, 1], [0, 2]], [[2, 3], [-1, -1]]]),
        item=np.array([[1, -1], [2, -1]]),
        reward=np.array([[1.0, 2.0], [4.0, 0.0]], np.float32),
        steps=np.array([[True, True], [True, False]]),
        terminated=np.array([True, False]),
        propensity=propensity,
    )


FIRST, SECOND = (-math.log(SHARE[item]) for item in (1, 2))
"""Minus log pi of the two clicked items, whose returns are 1 + 2 / 2 and 4."""
LOGGED = np.array([[0.4, 1.0], [0.1, 1.0]], np.float32)
"""So that pi / mu is 1/2 and 3."""


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({}, (2 * FIRST + 4 * SECOND) / 2),
        ({"advantage": "centred"}, (-1 * FIRST + 1 * SECOND) / 2),
        # 1 + 2 / 2 - 2, and, as nobody left, 4 + 2 / 2 - 2
        ({"advantage": "critic"}, (0 * FIRST + 3 * SECOND) / 2),
        ({"importance": True}, (0.5 * 2 * FIRST + 3 * 4 * SECOND) / 2),
        ({"importance": True, "weight_cap": 2.0}, (0.5 * 2 * FIRST + 2 * 4 * SECOND) / 2),
        # lambda_2 = 2 (1 - pi)
        (
            {"importance": True, "top_k": True},
            (0.5 * 1.6 * 2 * FIRST + 3 * 1.4 * 4 * SECOND) / 2,
        ),
    ],
)
def test_the_loss_of_each_row_computed_by_hand(changes: dict[str, Any], loss: float) -> None:
    report = blind(**changes).update(episodes(LOGGED))
    assert report["loss"] == pytest.approx(loss, rel=1e-5)
    assert report["return"] == pytest.approx((2 + 4) / 2)
    if changes.get("importance"):
        first, second = 0.5, min(3.0, changes.get("weight_cap", 20.0))
        expected = (first + second) ** 2 / (first**2 + second**2)
        assert report["effective_sample_size"] == pytest.approx(expected, rel=1e-5)
    if changes == {"advantage": "critic"}:
        errors = [0.0, 2 + 0 - 2, 4 + 1 - 2]
        assert report["value_loss"] == pytest.approx(0.5 * np.square(errors).sum() / 2)


def test_the_loss_of_whole_slates_counts_the_steps_without_a_click() -> None:
    slates = ([3, 1], [0, 2], [2, 3])
    minus = [-math.log(SHARE[a] * SHARE[b] / (1 - SHARE[a])) for a, b in slates]
    report = blind(log_probability="slate").update(episodes())
    expected = (2 * minus[0] + 2 * minus[1] + 4 * minus[2]) / 2
    assert report["loss"] == pytest.approx(expected, rel=1e-5)


def test_what_the_agent_has_played_itself_weighs_one() -> None:
    weighed, plain = blind(importance=True).update(episodes()), blind().update(episodes())
    assert weighed["loss"] == plain["loss"]
    assert weighed["effective_sample_size"] == pytest.approx(2.0)


def test_clicks_that_the_policy_could_not_have_had_teach_it_nothing() -> None:
    batch = episodes()._replace(history=np.array([[4, 1], [4, 1]]))
    report = blind(remove_clicked=True).update(batch)
    share = ODDS[2] / (ODDS.sum() - ODDS[1])  # item 1 is no candidate
    assert report["loss"] == pytest.approx(-4 * math.log(share) / 2, rel=1e-5)
    nothing = batch._replace(item=np.full((2, 2), -1))
    assert blind().update(nothing)["loss"] == 0.0
    opened = batch._replace(slate=np.full((2, 2, 2), -1))  # elsewhere, on no page
    assert blind().update(opened)["loss"] == 0.0


@pytest.mark.parametrize(
    ("changes", "worth"),
    [
        ({}, (-FIRST, -SECOND)),
        ({"importance": True}, (0.5, 3.0)),
        ({"importance": True, "top_k": True}, (0.36 / 0.4, 0.51 / 0.1)),
    ],
)
def test_a_score_is_what_training_ascends(
    changes: dict[str, Any], worth: tuple[float, float]
) -> None:
    score = blind(**changes).score(episodes(LOGGED))
    np.testing.assert_allclose(score, [2 * worth[0], 4 * worth[1]], rtol=1e-5)


def test_an_update_is_one_step_down_the_gradient() -> None:
    agent = blind(learning_rate=0.01)
    before = agent.network.head.bias.detach().clone()
    agent.update(episodes())
    # d/db of 2 log pi(1) + 4 log pi(2), over two episodes, is (2 e_1 + 4 e_2 - 6 pi) / 2
    gradient = torch.as_tensor((np.array([0, 2, 4, 0]) - 6 * SHARE) / 2)
    moved = agent.network.head.bias.detach() - before
    torch.testing.assert_close(moved, (0.01 * gradient.sign()).float(), rtol=1e-3, atol=1e-5)


def test_long_gradients_are_clipped() -> None:
    """Adam divides by a gradient's size plus 1e-8, so that one clipped to less hardly moves."""
    moved = {}
    for clip_norm in (5.0, 1e-12):
        agent = blind(clip_norm=clip_norm)
        before = agent.network.head.bias.detach().clone()
        report = agent.update(episodes())
        moved[clip_norm] = (agent.network.head.bias.detach() - before).norm().item()
        assert report["gradient_norm"] > 0.1
    assert moved[1e-12] < 0.001 * moved[5.0]


@pytest.mark.parametrize("value_weight", [0.0, 0.5])
def test_the_critic_learns_by_its_weight(value_weight: float) -> None:
    agent = blind(advantage="critic", value_weight=value_weight)
    agent.update(episodes())
    # errors of 0, 0 and 3: the last one pulls the value up
    found = agent.network.critic[-1].item()
    assert found == 2.0 if value_weight == 0.0 else found > 2.0


def test_slates_are_drawn_while_exploring_and_are_the_likeliest_otherwise() -> None:
    agent = blind()
    history = np.full((4_000, 2), 4)
    assert (agent.act(history) == [3, 2]).all()
    drawn = agent.act(history, explore=0.1)
    shares = np.bincount(drawn[:, 0], minlength=4) / 4_000
    assert np.abs(shares - SHARE).max() < 4.5 * 0.5 / 4_000**0.5
    assert (drawn[:, 0] != drawn[:, 1]).all()


@pytest.mark.parametrize("window", [3, 12])
@pytest.mark.parametrize("remove_clicked", [True, False])
def test_episodes_are_read_as_the_observations_were(window: int, remove_clicked: bool) -> None:
    """What the network says of whole episodes is what it acted on, step by step."""
    arguments = {"n_items": 30, "slate_size": 3, "horizon": 8, "window": window}
    env = make_vector_env("SlateMDP-v0", arguments, 6, "disabled")
    config = PolicyGradientConfig(
        **(SMALL | {"remove_clicked": remove_clicked, "log_probability": "slate", "layers": 2})
    )
    agent = PolicyGradient(config, EnvironmentSpec.of(env), seed=1)
    env.reset(seed=0)
    seen: list[np.ndarray] = []
    act = agent.act

    def watched(observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        seen.append(observation)
        return act(observation, explore)

    agent.act = watched  # type: ignore[method-assign]
    played = roll_out(agent, env, 6).batch(np.arange(6))
    with torch.no_grad():
        found = agent.network(played)
        for step in range(played.steps.shape[1]):
            rows = played.steps[:, step]
            alone = Episodes(
                history=seen[step],
                slate=played.slate[rows, step : step + 1],
                item=played.item[rows, step : step + 1],
                reward=played.reward[rows, step : step + 1],
                steps=played.steps[rows, step : step + 1],
                terminated=played.terminated[rows],
                propensity=None,
            )
            expected = agent.network(alone).log_pi[:, 0]
            torch.testing.assert_close(found.log_pi[rows, step], expected)
    assert played.steps.sum() > 6
    assert found.scored[played.steps].all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, "hidden=0: must be at least 1"),
        ({"discount": 1.1}, r"discount=1.1: must be in 0\.\.1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"weight_cap": 0.0}, "weight_cap=0.0"),
        (
            {"log_probability": "slate", "top_k": True},
            "log_probability=slate: importance and top_k",
        ),
    ],
)
def test_settings_have_ranges(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        PolicyGradientConfig(**settings)
