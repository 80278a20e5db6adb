"""The worlds: one batched simulator a file, built by name from plain JSON arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from recgym.errors import UnknownArgumentError
from recgym.lookup import Registry
from recgym.simulators.base import Noise, Response, Simulator, State, choose

__all__ = ["Noise", "Response", "SIMULATORS", "Simulator", "State", "build", "choose"]

SIMULATORS: Registry[Callable[..., Simulator]] = Registry(
    "simulator",
    {
        "learned-user": "recgym.simulators.learned_user:learned_user",
        "meta-user": "recgym.simulators.meta_user:MetaUser",
        "slate-mdp": "recgym.simulators.slate_mdp:SlateMDP",
        "interest-evolution": "recgym.simulators.interest_evolution:InterestEvolution",
        "interest-exploration": "recgym.simulators.interest_exploration:InterestExploration",
        "known-users": "recgym.simulators.known_users:KnownUsers",
        "long-term-satisfaction": "recgym.simulators.long_term_satisfaction:LongTermSatisfaction",
    },
    callable,
)
"""The builders of the simulators by name; each is imported when it is asked for."""


def build(name: str, arguments: Mapping[str, Any], also_known: tuple[str, ...] = ()) -> Simulator:
    """Builds a simulator, and refuses arguments that it does not have.

    Args:
        name: in ``SIMULATORS``, or "module:name" of a builder of one's own.
        arguments: the builder's arguments by name.
        also_known: names to list beside the builder's when one is unknown.

    Raises:
        RecGymError: an unknown name, or what the builder itself raises.
        UnknownArgumentError: an unknown argument.
    """
    build_simulator = SIMULATORS.find(name)
    known = inspect.signature(build_simulator).parameters
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise UnknownArgumentError(
            f"environment got an unexpected keyword argument {', '.join(map(repr, unknown))};"
            f" simulator {name!r} knows: {', '.join([*known, *also_known])}"
        )
    return build_simulator(**arguments)
