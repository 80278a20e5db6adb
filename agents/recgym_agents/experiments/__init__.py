"""The papers' tables and figures as declared experiments; ``scripts/reproduce.py`` runs them."""

from __future__ import annotations

import importlib

from recgym.errors import RecGymError
from recgym_agents.experiments.experiment import Experiment

EXPERIMENTS = {
    "user-models": "recgym_agents.experiments.gan.user_models",
    "regularizers": "recgym_agents.experiments.gan.regularizers",
    "recgan-tuning": "recgym_agents.experiments.gan.tuning",
    "recgan-policies": "recgym_agents.experiments.gan.policies",
    "recgan-divisions": "recgym_agents.experiments.gan.divisions",
    "figure-5": "recgym_agents.experiments.gan.figure_5",
    "irecgan-fig2": "recgym_agents.experiments.irecgan.figure_2",
    "irecgan-fig3": "recgym_agents.experiments.irecgan.figure_3",
    "irecgan-table1": "recgym_agents.experiments.irecgan.table_1",
    "click-likelihood": "recgym_agents.experiments.irecgan.click_likelihood",
    "sb3": "recgym_agents.experiments.worlds.sb3",
    "worlds": "recgym_agents.experiments.worlds.board",
}
"""Name of an experiment -> the module whose ``EXPERIMENT`` it is."""


def find_experiment(name: str) -> Experiment:
    """Returns the experiment of that name.

    Raises:
        RecGymError: there is none.
    """
    if name not in EXPERIMENTS:
        raise RecGymError(f"experiment {name!r}: unknown; there are {', '.join(EXPERIMENTS)}")
    experiment = importlib.import_module(EXPERIMENTS[name]).EXPERIMENT
    assert isinstance(experiment, Experiment)
    return experiment
