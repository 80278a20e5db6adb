"""Sessions: by hand, against one decision, and in a slate MDP whose values are known."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import ope
from recgym.collection import collect, uniform_policy
from recgym.data import Sessions
from recgym.errors import RecGymError

REWARD = np.array([[1.0, 2.0], [0.0, 1.0]])
MU = np.array([[0.5, 0.5], [0.5, 0.25]])
PI = np.array([[0.5, 0.25], [1.0, 0.5]])  # weights 1, .5 and 2, 4


def test_per_decision_ips_by_hand() -> None:
    terms = ope.per_decision_ips(REWARD, MU, PI, discount=0.5)
    np.testing.assert_allclose(terms.values, [1.0 + 0.5 * 0.5 * 2.0, 0.5 * 4.0])
    np.testing.assert_allclose(terms.weights, [[1.0, 0.5], [2.0, 4.0]])


def test_per_decision_dr_by_hand() -> None:
    predicted, expected = np.array([[2.0, 1.0], [1.0, 0.5]]), np.array([[1.5, 1.0], [1.5, 0.0]])
    terms = ope.per_decision_dr(REWARD, MU, PI, predicted, expected)
    # v_1 + w_1 (r_1 - q_1) + w_1 v_2 + w_12 (r_2 - q_2)
    first = 1.5 + 1.0 * (1.0 - 2.0) + 1.0 * 1.0 + 0.5 * (2.0 - 1.0)
    second = 1.5 + 2.0 * (0.0 - 1.0) + 2.0 * 0.0 + 4.0 * (1.0 - 0.5)
    np.testing.assert_allclose(terms.values, [first, second])


def test_one_step_is_one_decision() -> None:
    one = [column[:, :1] for column in (REWARD, MU, PI, PI, MU)]
    flat = [column[:, 0] for column in one]
    np.testing.assert_allclose(ope.per_decision_dr(*one).values, ope.doubly_robust(*flat).values)
    np.testing.assert_allclose(ope.per_decision_ips(*one[:3]).values, ope.ips(*flat[:3]).values)


def test_pages_become_sessions() -> None:
    session = np.array([0, 0, 1, 2, 2])
    rows = ope.by_session(np.arange(5), session, fill=-1.0)
    assert rows.tolist() == [[0, 1], [2, -1], [3, 4]]
    slots = ope.by_session(np.arange(6).reshape(3, 2), np.array([0, 0, 1]), fill=9.0)
    assert slots.tolist() == [[0, 1, 2, 3], [4, 5, 9, 9]]
    with pytest.raises(RecGymError, match="numbered 0, 1"):
        ope.by_session(np.arange(3), np.array([0, 2, 2]), fill=0.0)
    with pytest.raises(RecGymError, match="3 values"):
        ope.by_session(np.arange(3), np.array([0, 1]), fill=0.0)


def test_a_discount_outside_its_range() -> None:
    with pytest.raises(RecGymError, match="discount=2 must be in"):
        ope.per_decision_ips(REWARD, MU, PI, discount=2)


def test_weights_that_overflow() -> None:
    ratios = np.full((2, 300), 0.01)
    ratios[0] = 1.0
    with pytest.raises(RecGymError, match="weights of row 1 overflow over 300 steps"):
        ope.per_decision_ips(np.ones((2, 300)), ratios, np.ones((2, 300)))


@pytest.fixture(scope="module")
def world_and_log() -> tuple[Any, Sessions]:
    """A slate MDP of 4 items, and sessions of random ordered pairs in it."""
    env: Any = gymnasium.make_vec(
        "SlateMDP-v0",
        1_000,
        autoreset_mode="disabled",
        **{"n_states": 3, "n_items": 4, "slate_size": 2, "horizon": 3, "concentration": 0.1},
    )
    return env.simulator, collect(env, uniform_policy(4, 2), 40_000, seed=5)


def test_unbiased_for_sessions_of_a_slate_mdp(world_and_log: tuple[Any, Sessions]) -> None:
    world, log = world_and_log
    always = np.array([2, 1])
    exact = float(world.policy_value(always, 1.0, world.horizon)[0])
    session = log.session_number
    match = (log.padded_slates() == always).all(axis=1)
    reward = ope.by_session(log.reward, session, 0.0)
    propensity = ope.by_session(log.slate_propensities, session, 1.0)
    target = ope.by_session(match, session, 1.0)
    plain = ope.estimate(ope.per_decision_ips(reward, propensity, target))
    assert abs(plain.estimate - exact) < 3.0 * plain.standard_error
    # a model that knows that all pages to come are worth .3: wrong, and yet no bias
    model = ope.by_session(0.3 * (world.horizon - log.step), session, 0.0)
    robust = ope.per_decision_dr(reward, propensity, target, model, model)
    found = ope.estimate(robust)
    assert abs(found.estimate - exact) < 3.0 * found.standard_error


def test_slates_of_a_slate_mdp_compete_and_only_whole_slates_tell(
    world_and_log: tuple[Any, Sessions],
) -> None:
    world, log = world_and_log
    first = log.select(log.step == 0)
    always = np.argsort(-world.click_rewards[0])[:2]
    exact = float(world.policy_value(always, 0.0, 1)[0])  # a click on the first page
    slates, n = first.padded_slates(), first.n_pages
    by_slot = (first.click[:, None] == np.arange(2)).astype(float)
    at_the_end = np.stack([np.zeros(n), first.reward], axis=1)
    conditional = np.tile([1 / 4, 1 / 3], (n, 1))
    above = (slates == always).astype(float)
    whole = ope.estimate(ope.slate_ips(by_slot, conditional, above))
    assert abs(whole.estimate - exact) < 3.0 * whole.standard_error
    reading = ope.estimate(ope.reward_interaction_ips(by_slot, conditional, above))
    alone = ope.estimate(ope.independent_ips(by_slot, np.full((n, 2), 1 / 4), above))
    for found in (reading, alone):  # the slate's other items decide, too
        assert abs(found.estimate - exact) > 4.0 * found.standard_error
    last = ope.cascade_dr(
        at_the_end, conditional, above, np.full((n, 2), 0.5), np.full((n, 2), 0.5)
    )
    found = ope.estimate(last)
    assert abs(found.estimate - exact) < 3.0 * found.standard_error
