"""Columns that do not fit, numbers that cannot be, and items that were never logged."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.ope import check_support
from recgym.ope.log_columns import columns


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ({"reward": [1.0, np.nan]}, "reward is nan in row 1; it must be a finite number"),
        ({"reward": [[1.0]]}, r"reward has shape \(1, 1\); it must be one number a row"),
        ({"reward": []}, r"reward has shape \(0,\)"),
        ({"reward": ["a"]}, "reward is not an array of numbers"),
        ({"target": [1.2]}, "target is 1.2 in row 0; a probability is in 0..1"),
        ({"propensity": [0.5, np.nan]}, "propensity is nan in row 1; what was logged"),
        ({"propensity": [1.5]}, "propensity is 1.5 in row 0; a probability is in 0..1"),
    ],
)
def test_columns_are_checked(named: dict[str, list[float]], line: str) -> None:
    with pytest.raises(RecGymError, match=f"ips: {line}"):
        columns("ips", 1, **named)


def test_a_slot_is_named() -> None:
    propensity = np.array([[0.5, 1.0], [0.5, 0.0]])
    with pytest.raises(RecGymError, match="propensity is 0 in row 1, slot or step 1"):
        columns("rips", 2, propensity=propensity)


def test_probabilities_stored_as_float32_may_pass_one_by_rounding() -> None:
    (found,) = columns("ips", 1, target=np.array([1.0000001], np.float32))
    assert found.dtype == np.float64


def test_support() -> None:
    logging = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4]])
    check_support(logging, np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]))
    with pytest.raises(RecGymError, match=r"row 0: .* item 2 with probability 0.3, .* \(1 rows"):
        check_support(logging, [0.2, 0.5, 0.3])
    with pytest.raises(RecGymError, match="row 0: .* the logging policy with nan"):
        check_support([np.nan, 1.0], [0.5, 0.5])
    with pytest.raises(RecGymError, match="are not of the same rows and items"):
        check_support(logging, [0.5, 0.5])
