"""What IRecGAN and its rivals are given, so that they differ in the method alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from recgym.data import Dataset, Sessions
from recgym_agents.algorithms.irecgan import IRecGANConfig
from recgym_agents.experiments.experiment import Budget
from recgym_agents.zoo import AGENTS

AS_AUTHORS = {"longest": 2.0}
"""Settings of IRecGAN that are those of the authors' code, and not its own defaults: generated
sessions are at most twice as long as real ones in the mean."""

RATES = (
    *("pretraining", "discriminator_pretraining"),
    *("discriminator_learning_rate", "user_learning_rate"),
)
"""Settings of agents with a user model that budgets name."""


def with_users(pages: Sessions, budget: Budget) -> dict[str, Any]:
    """Returns the settings of agents with a user model that learn from logged lists alone.

    Args:
        pages: of training; generated sessions are at most twice as long as theirs in the mean.
        budget: has ``RATES``.
    """
    length = pages.n_pages / len(np.unique(pages.user))
    return {"horizon": round(2 * length)} | {name: budget[name] for name in RATES}


def as_irecgan_is_paid(dataset: Dataset, agent: str) -> Dataset:
    """Returns a log in which an agent of the zoo is paid as IRecGAN's is on real steps.

    That is 1 + lambda_r r for a reward of r (Bai et al., 2019, Eq. 10 with q_D = 1). IRecGAN and
    its ablations do so themselves: for them the log stays as it is.
    """
    if isinstance(AGENTS.find(agent).config, IRecGANConfig):
        return dataset
    sessions = dataset.sessions
    paid = 1.0 + IRecGANConfig.reward_weight * sessions.reward
    return replace(dataset, sessions=replace(sessions, reward=paid))
