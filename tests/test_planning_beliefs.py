"""Beliefs about users: Bayes' rule by hand, and what slates they lead to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recgym.planning.beliefs import Beliefs
from recgym.simulators import State, build


def beliefs(particles: int = 2, users: int = 1) -> Beliefs:
    """Two types of users, who like topic 0 and topic 1; the first two particles are one of each."""
    world: Any = build(
        "interest-exploration",
        {
            "num_candidates": 3,
            "slate_size": 2,
            "no_click_mass": 0.0,
            "user_type_distribution": [0.5, 0.5],
            "user_document_mean_affinity_matrix": [[0.0, -9.0], [-9.0, 0.0]],
            "user_document_stddev_affinity_matrix": [[0.0, 0.0], [0.0, 0.0]],
            "topic_distribution": [0.5, 0.5],
        },
    )
    found = Beliefs(world, users, particles, np.random.default_rng(0))
    likes = np.tile(np.arange(particles) % 2, users)
    found.state["affinity"] = np.where(likes[:, None] == [0, 1], 1.0, 0.0)
    return found


def shown(*topics: int) -> State:
    return {"topic": np.array([topics]), "quality": np.zeros((1, len(topics)))}


def test_a_click_is_weighed_by_bayes_rule() -> None:
    """A click on topic 0 beside topic 1: e / (e + 2) of one type, 1 / (e + 2) of the other."""
    found = beliefs()
    assert found.weight.tolist() == [[0.5, 0.5]]
    found.learn(shown(0, 1, 1), np.array([[0, 1]]), np.array([0]))
    assert found.weight[0, 0] == pytest.approx(np.e / (np.e + 1))
    found.learn(shown(1, 1, 1), np.array([[0, 1]]), np.array([-1]))  # 1 / 3 and 1 / (2 e + 1)
    odds = np.e * (2 * np.e + 1) / 3
    assert found.weight[0, 0] == pytest.approx(odds / (odds + 1))


def test_support_counts_as_slates_do_and_absent_steps_do_not() -> None:
    found, again = beliefs(), beliefs()
    found.learn(shown(0, 1), np.array([[0, 1]]), np.array([1]))
    page = np.array([[[[2, 0, 1], [-1, -1, -1]]]])
    topic = np.array([[[[0, 1], [0, 0]]]])
    again.learn_support(page, topic, np.zeros(topic.shape))
    np.testing.assert_allclose(again.weight, found.weight)


def test_the_unknown_are_shown_something_of_each_and_the_known_what_they_like() -> None:
    found = beliefs()
    worth = np.array([[1.0, 1.0, 1.0, 0.0]])
    mixed = found.best_slates(shown(0, 0, 1), worth, 2)[0].tolist()
    assert sorted(mixed) == [0, 2]
    found.log_weight = np.array([[0.0, -50.0]])
    assert sorted(found.best_slates(shown(0, 0, 1), worth, 2)[0].tolist()) == [0, 1]


def test_what_is_worth_less_than_none_comes_last() -> None:
    found = beliefs()
    found.log_weight = np.array([[0.0, -50.0]])
    worth = np.array([[-1.0, 1.0, 1.0, 0.0]])
    assert found.best_slates(shown(0, 0, 1), worth, 2)[0].tolist() == [1, 2]


def test_particles_move_as_users_do() -> None:
    """In interest evolution the interest in a clicked topic moves, and no other."""
    world: Any = build(
        "interest-evolution", {"num_topics": 3, "num_candidates": 2, "slate_size": 2}
    )
    found = Beliefs(world, 1, 50, np.random.default_rng(0))
    before = found.state["user_interests"].copy()
    found.follow({"topic": np.array([[2, 0]]), "quality": np.zeros((1, 2))}, np.array([0]))
    moved = found.state["user_interests"] != before
    assert moved[:, 2].all()
    assert not moved[:, :2].any()
