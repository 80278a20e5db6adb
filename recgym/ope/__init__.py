"""Off-policy evaluation: what a policy would have earned, from the log of another one.

Estimators are pure functions of NumPy arrays, a row a logged page, slate or session. They return
``Terms``, whose mean is the estimate; ``estimate`` adds an interval and diagnostics:

>>> import numpy as np
>>> from recgym import ope
>>> reward, propensity = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.25, 0.25])
>>> target = np.array([0.5, 0.25, 0.5, 0.5])  # of the items that were logged
>>> ope.estimate(ope.ips(reward, propensity, target)).estimate
1.25
"""

from recgym.ope.decision_sequences import by_session, per_decision_dr, per_decision_ips
from recgym.ope.intervals import Caution, OffPolicyEstimate, effective_sample_size, estimate
from recgym.ope.log_columns import check_support
from recgym.ope.single_items import (
    clipped_ips,
    direct_method,
    doubly_robust,
    expected_reward,
    ips,
    snips,
    switch_dr,
)
from recgym.ope.slates import (
    cascade_dr,
    independent_ips,
    pseudo_inverse,
    reward_interaction_ips,
    slate_ips,
    slate_moments,
    uniform_moments,
)
from recgym.ope.terms import Terms

__all__ = [
    "Caution",
    "OffPolicyEstimate",
    "Terms",
    "by_session",
    "cascade_dr",
    "check_support",
    "clipped_ips",
    "direct_method",
    "doubly_robust",
    "effective_sample_size",
    "estimate",
    "expected_reward",
    "independent_ips",
    "ips",
    "per_decision_dr",
    "per_decision_ips",
    "pseudo_inverse",
    "reward_interaction_ips",
    "slate_ips",
    "slate_moments",
    "snips",
    "switch_dr",
    "uniform_moments",
]
