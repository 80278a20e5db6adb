"""What scores say, in sentences: every one is computed from the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from recgym.metrics import Estimate
from recgym_agents.runs.planned_levels import Levels
from recgym_agents.runs.standings import Standing, Unit


def interval(estimate: Estimate) -> str:
    """Writes a mean and its 95% interval, where that is known."""
    if not math.isfinite(estimate.low):
        return f"{estimate.mean:.3f}"
    return f"{estimate.mean:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def probability(p: float) -> str:
    """Writes a p-value; "" if there is none.

    >>> probability(0.0312), probability(0.00004), probability(float("nan"))
    ('0.031', '< 0.001', '')
    """
    if math.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def listed(names: Sequence[str]) -> str:
    """Joins names.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def ranking(ranked: Sequence[Standing], unit: Unit, where: str) -> str:
    """Says who earns most, and who cannot be told apart from it.

    Args:
        ranked: of ``standings``.
        unit: of the rewards.
        where: such as "In RecGAN-v0".
    """
    best, *others = ranked
    text = f"{where}, {best.name} earns most: {interval(best.reward)} a {unit}."
    if not others:
        return text
    close = [other.name for other in others if not other.told_apart]
    if not close:
        return f"{text} A paired test tells every other one apart from it."
    return f"{text} A paired test cannot tell {listed(close)} apart from it."


def standing_of(name: str, ranked: Sequence[Standing], unit: Unit, where: str) -> str:
    """Says how a policy of interest compares with the best, or if it is that, with the next.

    Args:
        name: of the policy.
        ranked: of ``standings``, two at least.
        unit: of the rewards.
        where: such as "On users that it was not trained on".
    """
    best = ranked[0]
    if best.name == name:
        second = ranked[1]
        assert second.behind is not None
        verb = "earns more than" if second.told_apart else "cannot be told apart from"
        return (
            f"{where}, {name} {verb} the next best, {second.name}: {best.reward.mean:.3f} against"
            f" {second.reward.mean:.3f} a {unit}, a difference of {interval(second.behind)}."
        )
    own = next(one for one in ranked if one.name == name)
    assert own.behind is not None
    verb = "earns less than" if own.told_apart else "cannot be told apart from"
    return (
        f"{where}, {name} {verb} {best.name}: {own.reward.mean:.3f} against"
        f" {best.reward.mean:.3f} a {unit}, a difference of {interval(own.behind)}."
    )


def transfer(name: str, trained: Sequence[Standing], held_out: Sequence[Standing]) -> str:
    """Says what the two worlds of a fitted user model together tell of a policy.

    Args:
        name: of the policy.
        trained: standings in the model that it was trained in.
        held_out: standings in the model of other users.
    """
    own = {one.name: one for one in held_out}[name]
    if own.best or not own.told_apart:
        return "So what it learned in one fitted model holds for users of the other."
    before = {one.name: one for one in trained}[name]
    if before.best or not before.told_apart:
        return (
            "A policy that plans learns what pays in one fitted model, its errors included. In the"
            f" model that it was trained in, {name} "
            + ("earns most" if before.best else "cannot be told apart from the best")
            + "; in a model fitted to other users, whose errors are others, part of that is lost,"
            f" and {held_out[0].name} comes out ahead."
        )
    return (
        "It is behind in the model that it was trained in, too: more steps or other settings may"
        " help before the change of users is to blame."
    )


def against_plans(name: str, reward: Estimate, levels: Levels) -> str:
    """Says what a policy earns beside what is computed.

    Args:
        name: of the policy.
        reward: a session.
        levels: of the same world.
    """
    most = "The most that any policy can earn here is"
    parts = (
        (most if levels.exact else "A planner that knows the world and sees the user's state earns")
        + f" {levels.ahead:.2f} a session. A policy that knows the world and shows the slate that"
        f" pays most now, without looking ahead, earns {levels.myopic:.2f}"
        f" ({_share(levels.myopic, levels)}), so that looking ahead adds"
        f" {100 * (levels.ahead / levels.myopic - 1):.0f}% here"
    )
    if levels.fixed is not None:
        fixed = f"{levels.fixed:.2f} ({_share(levels.fixed, levels)})"
        parts += f"; the best slate that never changes, {fixed}"
    parts += f". {name} earns {reward.mean:.2f} ({_share(reward.mean, levels)}): "
    if levels.exact and reward.mean > levels.ahead:
        parts += "above the most there is by chance in the episodes that were drawn, and "
    low, high = (reward.mean, reward.mean) if math.isnan(reward.low) else (reward.low, reward.high)
    if low > levels.myopic:
        return parts + "more than without looking ahead, so it has learned to plan."
    if not levels.seen:
        return parts + (
            "not more than the slate for now, but it does not see the state that this is chosen by:"
            " hold it against agents that see what it sees."
        )
    if high < levels.myopic:
        return parts + "less than the slate for now, so what planning adds is still to be learned."
    return parts + "with this interval that cannot be told apart from the slate for now."


def _share(value: float, levels: Levels) -> str:
    return f"{100 * value / levels.ahead:.0f}% of it"
