"""Attributes of the rows of a vector environment, asked for as of Gymnasium's ``SyncVectorEnv``."""

from __future__ import annotations

from typing import Any

from recgym.errors import RecGymError

OF_ROWS = {"observation_space": "single_observation_space", "action_space": "single_action_space"}
"""Attributes of one row -> where the vector environment has them."""
METHODS = ("action_masks", "render")
"""Methods whose answer has an entry for each row."""


def call(env: Any, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Calls a method of every row, or gets an attribute, and returns what each row answers.

    Raises:
        RecGymError: a method that rows do not have one by one, such as ``reset``.
        AttributeError: there is no such attribute.
    """
    found = getattr(env, OF_ROWS.get(name, name))
    n_rows: int = env.num_envs
    if not callable(found):
        return (found,) * n_rows
    if name not in METHODS:
        raise RecGymError(
            f"call: rows share one environment, and have no {name}() of their own; they have"
            f" {', '.join(METHODS)}"
        )
    answer = found(*args, **kwargs)
    return (None,) * n_rows if answer is None else tuple(answer)


def set_attribute(env: Any, name: str, values: Any) -> None:
    """Sets an attribute of all rows.

    Args:
        env: the vector environment.
        name: of an attribute that there is.
        values: one value, or a list or tuple of an equal one for each row.

    Raises:
        RecGymError: values that differ, or another number of them than rows.
        AttributeError: there is no such attribute.
    """
    name = OF_ROWS.get(name, name)
    getattr(env, name)
    if isinstance(values, list | tuple):
        if len(values) != env.num_envs or any(value != values[0] for value in values):
            raise RecGymError(
                f"set_attr: rows share one environment: give one value of {name}, or"
                f" {env.num_envs} equal ones"
            )
        values = values[0]
    setattr(env, name, values)
