"""Named distributions: what they give for given draws, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.simulators import Noise
from recgym.simulators.distributions import Columns, Distribution, noise_of

UNIFORM, NORMAL = [[0.0, 0.25, 0.5, 0.99]], [[-1.0, 0.0, 0.5, 2.0]]


@pytest.mark.parametrize("library", [np, torch])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3, [3, 3, 3, 3]),
        (["constant", 3.5], [3.5, 3.5, 3.5, 3.5]),
        (["uniform", -1, 3], [-1, 0, 1, 2.96]),
        (("normal", 1, 2), [-1, 1, 2, 5]),
        (["lognormal", 0.5, 1], np.exp([-0.5, 0.5, 1.0, 2.5])),
        (["choice", 4, 1, 2], [4, 4, 1, 2]),
        (["choice", 7], [7, 7, 7, 7]),
    ],
)
def test_values_by_hand(library: Any, given: Any, expected: Any) -> None:
    distribution = Distribution("argument", given)
    columns = Columns(Noise(library.asarray(UNIFORM), library.asarray(NORMAL)))
    drawn = np.asarray(distribution.draw(columns, 4))
    np.testing.assert_allclose(drawn, [expected], rtol=1e-6)
    left = columns.uniform(1).shape[1], columns.normal(1).shape[1]
    assert left == tuple(0 if used else 1 for used in distribution.noise)


def test_columns_are_handed_out_in_order() -> None:
    columns = Columns(Noise(np.array(UNIFORM), np.array(NORMAL)))
    assert columns.uniform(1).tolist() == [[0.0]]
    assert columns.normal(2).tolist() == [[-1.0, 0.0]]
    assert columns.uniform(2).tolist() == [[0.25, 0.5]]
    assert noise_of((1, 2), (3, 4)) == (4, 6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "x=.*: must be a number, or begin with 'constant', 'uniform'"),
        (["gamma", 1, 2], "or 'choice'"),
        ("uniform", "x='uniform': must be a number"),
        (None, "x=None: must be a number"),
        (True, "x=True: must be a number"),
        (float("nan"), "x=nan: must be a number"),
        (["uniform", 1], r"'uniform' has 2 number\(s\) beside it"),
        (["choice"], r"'choice' has 1 number\(s\)"),
        (["uniform", 2, 1], "the numbers of 'uniform' are low, high"),
        (["normal", 0, -1], "the numbers of 'normal' are mean, and a sd of 0 or more"),
        (["uniform", 0, 11], r"every value must be a number in 0\.\.10"),
        (["choice", 3, -1], "every value must be"),
        (["normal", 5, 1], "every value must be"),
        (["lognormal", 0, 1], "every value must be"),
    ],
)
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises(RecGymError, match=message) as error:
        Distribution("x", given, 0.0, 10.0)
    assert "\n" not in str(error.value)
