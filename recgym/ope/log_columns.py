"""The columns that estimators read, checked: shapes, propensities, and support."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError

ROUNDING = 1e-5
"""How far above 1 a probability may be that was stored as float32, or summed."""


def columns(method: str, dimensions: int, **named: Array | None) -> tuple[Array, ...]:
    """Returns columns of one shape as float64.

    Args:
        method: the estimator, for messages.
        dimensions: 1 for (n,), 2 for (n, T).
        **named: the columns; "propensity" must be in (0, 1], "target" in 0..1, and both are
            probabilities of what was logged, under the logging and the target policy.

    Raises:
        RecGymError: a column is missing, has another shape or no rows, or holds a number that is
            not finite or no probability.
    """
    found = {name: _array(method, name, values) for name, values in named.items()}
    first, shape = next((name, values.shape) for name, values in found.items())
    wanted = "one number a row" if dimensions == 1 else "rows of slots or steps"
    if len(shape) != dimensions or 0 in shape:
        raise RecGymError(f"{method}: {first} has shape {shape}; it must be {wanted}")
    for name, values in found.items():
        if values.shape != shape:
            raise RecGymError(
                f"{method}: {name} has shape {values.shape}, {first} has {shape}; both must be"
                " of the same rows"
            )
        if name == "propensity":
            _refuse(method, name, values, ~(values > 0.0), _NO_PROPENSITY)
        if name in ("propensity", "target"):
            bad = ~((values >= 0.0) & (values <= 1.0 + ROUNDING))
            _refuse(method, name, values, bad, "a probability is in 0..1")
        else:
            _refuse(method, name, values, ~np.isfinite(values), "it must be a finite number")
    return tuple(found.values())


_NO_PROPENSITY = (
    "what was logged had a positive probability: mend the log, or leave rows out whose propensity"
    " is not known"
)


def check_support(logging: Array, target: Array) -> None:
    """Checks that the logging policy could have shown all that the target policy shows.

    Args:
        logging: (n, A) probability of each of A items or slates in each row's context under the
            logging policy, or (A,) the same in all; NaN where it is not known.
        target: (n, A) or (A,) under the target policy.

    Raises:
        RecGymError: shapes that do not fit, or the first row and item that the target policy shows
            and the logging policy never does: no estimator that weighs rows can tell its reward.
    """
    logging, target = (np.asarray(one, np.float64) for one in (logging, target))
    try:
        logging, target = np.broadcast_arrays(np.atleast_2d(logging), np.atleast_2d(target))
    except ValueError:
        raise RecGymError(
            f"check_support: probabilities of shapes {logging.shape} and {target.shape} are not of"
            " the same rows and items"
        ) from None
    bad = (target > 0.0) & ~(logging > 0.0)
    if bad.any():
        row, item = (int(index[0]) for index in np.nonzero(bad))
        raise RecGymError(
            f"no support: row {row}: the target policy shows item {item} with probability"
            f" {target[row, item]:.3g}, the logging policy with {logging[row, item]:.3g}"
            f" ({int(bad.any(axis=1).sum())} rows of {len(bad)} have such items); give the target"
            " policy the logged items only, or use direct_method, which extrapolates"
        )


def _array(method: str, name: str, values: Array | None) -> Array:
    if values is None:
        hint = ": log them as slates are drawn, or use direct_method" if "prop" in name else ""
        raise RecGymError(f"{method}: needs {name}, and there is none{hint}")
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise RecGymError(f"{method}: {name} is not an array of numbers") from None


def _refuse(method: str, name: str, values: Array, bad: Array, rule: str) -> None:
    """Raises RecGymError at the first number that breaks a rule."""
    if bad.any():
        place = tuple(int(index[0]) for index in np.nonzero(bad))
        where = f"row {place[0]}" + "".join(f", slot or step {slot}" for slot in place[1:])
        found = values[place]
        raise RecGymError(f"{method}: {name} is {found:.6g} in {where}; {rule}")
