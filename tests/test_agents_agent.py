"""What an agent is told of its environment, and what ``recommend`` takes for a history."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec, usual_length
from recgym_agents.algorithms.baselines import BaselineConfig, Popularity
from tests.fixtures.every_env import ROWS


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, variant) for name in ROWS for variant in ROWS[name].variants]
)
def test_an_environment_in_torch_is_described_as_in_numpy(
    name: str, arguments: dict[str, Any]
) -> None:
    in_numpy, in_torch = (
        vars(EnvironmentSpec.of(gymnasium.make_vec(name, 2, backend=backend, **arguments)))
        for backend in ("numpy", "torch")
    )
    models = in_torch.pop("user_model"), in_numpy.pop("user_model")
    assert getattr(models[0], "config", None) == getattr(models[1], "config", None)
    np.testing.assert_equal(in_torch.pop("features"), in_numpy.pop("features"))
    for length in ("state_length", "candidate_length"):
        assert in_torch.pop(length) == pytest.approx(in_numpy.pop(length), rel=1e-6)
    scales = [one.pop("candidate_scale") for one in (in_torch, in_numpy)]
    np.testing.assert_allclose(*(np.zeros(0) if one is None else one for one in scales), atol=1e-6)
    assert in_torch == in_numpy


def test_the_usual_length_is_the_root_mean_square_of_norms() -> None:
    assert usual_length(np.array([[3.0, 4.0], [0.0, 1.0]])) == 13.0**0.5  # of 25 and 1
    for none in (np.zeros((2, 3)), np.empty((0, 3)), np.empty((2, 0))):
        assert usual_length(none) == 1.0


@pytest.fixture
def agent() -> Popularity:
    return Popularity(BaselineConfig(), EnvironmentSpec(9, 3, 4, None), 0)


@pytest.mark.parametrize(
    "history",
    [[1, 0], (1, 0), np.array([1, 0]), np.array([1, 0], np.uint64), deque([1, 0]), iter([1, 0])],
)
def test_any_sequence_of_ids_is_a_history(history: Any, agent: Popularity) -> None:
    assert agent.recommend(history) == [2, 3, 4]


def test_there_need_not_be_any_click(agent: Popularity) -> None:
    assert agent.recommend([]) == [0, 1, 2]
    assert agent.recommend([0, 1, 2, 3, 4, 5]) == [0, 1, 6]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([2**63], "history: item 9223372036854775808 is not in 0..8"),
        ([-(2**63) - 1], "history: item -9223372036854775809 is not in 0..8"),
        ([10**5_000], "history: item of more than 64 bits is not in 0..8"),
        ([1, 9], "history: item 9 is not in 0..8"),
        (np.array([2**64 - 1], np.uint64), "item 18446744073709551615 is not in 0..8"),
        (None, "history: a NoneType; give a list of item ids, oldest click first"),
        (3, "history: a int; give a list"),
        ({1, 0}, "history: a set; give a list"),
        (frozenset({1}), "history: a frozenset; give a list"),
        ({1: 0}, "history: a dict; give a list"),
        ("12", "history: a str; give a list"),
        (b"12", "history: a bytes; give a list"),
        (np.array(3), "history: a ndarray; give a list"),
        ([True], "history: True is no item id"),
        ([np.True_], "history: .*True.* is no item id"),
        ([1.0], "history: 1.0 is no item id"),
        ([None], "history: None is no item id"),
        (np.zeros((2, 2), np.int64), r"history: array\(\[0, 0\]\) is no item id"),
        (["x" * 5_000], r"history: 'x+\.\.\.x+' is no item id"),
    ],
)
def test_what_is_no_history_is_one_line(history: Any, message: str, agent: Popularity) -> None:
    with pytest.raises(RecGymError, match=message) as caught:
        agent.recommend(history)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 120
