"""What an agent that learns from logged sequences learns: its settings, which tell rows apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym_agents.networks.sequence_policy import SequencePolicyConfig

Weight = Literal["one", "reward", "return", "value", "advantage", "improvement", "none"]
OF_VALUES: tuple[Weight, ...] = ("value", "advantage", "improvement")
"""The weights that are computed from the heads that value items."""


@dataclass(frozen=True)
class OfflinePolicyConfig(SequencePolicyConfig):
    """Configuration of the agents that learn from logged sequences, ``logging`` and those below."""

    weight: Weight = "one"
    """What weighs the log-probability of what was done: one; its reward; its return; its value
    ("value", an actor-critic); its value above sampled items ("advantage"); exp(advantage / beta)
    ("improvement"); or none, where there is no policy to learn. Logs of rewards
    below 0 are refused where rewards or returns weigh; values below 0 weigh nothing."""
    importance: bool = False
    """Weigh also by pi / mu of what was done, mu being the logging policy, estimated by a head that
    does not move the encoder."""
    smoothing: float = 1.0
    """Power of mu in that weight; below 1 rare items weigh less."""
    weight_cap: float = 30.0
    """The highest of each of these weights; those of "improvement" are scaled down together where
    one of the batch would be above it."""
    beta: float = 1.0
    """How closely "improvement" keeps to the logging policy: the smaller, the further away, since
    the ratio of two steps' weights is exp(difference of their advantages / beta)."""
    warm_up: int = 0
    """Updates at first in which the weights of "value" and "advantage" are one."""
    values: Literal["none", "q", "history"] = "none"
    """What the heads that value items learn: nothing; action values, by Q-learning; or, for
    comparison, how much of the window had been clicked when the item was."""
    value_weight: float = 1.0
    """Weight of the values' loss, lambda."""
    discount: float = 0.5
    """Discount of later rewards, gamma."""
    target_period: int = 100
    """Updates between copies of the network into the target network, of action values."""
    members: int = 1
    """Heads that value items, each with targets of its own."""
    mixture: bool = False
    """Fit random mixtures of the members instead, drawn anew for each update."""
    negatives: int = 0
    """Items drawn uniformly for each step, among all but the one that was done, that are fitted to
    no reward in the same state."""
    shown: bool = True
    """Fit to 0 the values of items that were shown and not clicked, where slates are known."""
    conservative: float = 0.0
    """Weight of what pushes down the values of everything that was not done."""
    support: float = 0.0
    """Value no items, in targets and slates, below this share of the likeliest item's probability
    under the policy."""
    conditioned: bool = False
    """Tell the policy the return that followed, as a share of the highest one of the log."""
    target_return: float = 0.8
    """The return asked for in slates, as such a share."""
    acts_by: Literal["policy", "value"] = "policy"
    """What ranks items."""
    optimism: float = 0.0
    """Standard deviations over the members that are added to a value where items are ranked."""
    sampled: int = 0
    """Items drawn by popularity that the softmax of an update is estimated with; 0 sums over all
    items, exactly, as ``importance`` needs."""
    last: int = 0
    """Steps at the end of each episode that are learned from; 0: all."""
    learning_rate: float = 5e-3
    """Adam's step size."""
    weight_decay: float = 0.0
    """How much of all parameters, times the step size, goes at an update, beside Adam's step."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates for slates."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range, or two that do not agree."""
        super().__post_init__()
        counts = dict.fromkeys(("target_period", "members"), AT_LEAST_1)
        weights = dict.fromkeys(("value_weight", "weight_decay", "conservative"), AT_LEAST_0)
        some = dict.fromkeys(("warm_up", "negatives", "sampled", "last"), AT_LEAST_0)
        positive = dict.fromkeys(("weight_cap", "beta", "learning_rate"), POSITIVE)
        shares = dict.fromkeys(("smoothing", "discount", "support", "target_return"), SHARE)
        check_ranges(self, counts | weights | some | positive | shares)
        wanted = {
            f"weight={self.weight}": self.weight in OF_VALUES,
            "acts_by=value": self.acts_by == "value",
            "mixture=true": self.mixture,
            f"conservative={self.conservative:g}": self.conservative > 0.0,
            f"negatives={self.negatives}": self.negatives > 0,
        }
        for setting, given in wanted.items():
            if given and self.values != "q":
                raise RecGymError(f"{setting}: needs action values; set values=q")
        if self.importance and self.sampled:
            raise RecGymError("importance=true: needs exact probabilities; set sampled=0")
        if self.repeats and (self.acts_by != "policy" or self.support > 0.0 or self.sampled):
            raise RecGymError(
                "repeats=true: is of a policy that ranks items by exact probabilities; set"
                " acts_by=policy, support=0 and sampled=0"
            )
        if self.weight == "advantage" and not self.negatives:
            raise RecGymError(
                "weight=advantage: is over sampled items; set negatives to at least 1"
            )
        if self.weight == "none" and (self.acts_by == "policy" or self.support > 0.0):
            raise RecGymError(
                "weight=none: learns no policy; set weight=one, or acts_by=value with support=0"
            )
