"""How the methods that rerank a log learn from it, and the user models that some of them need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recgym.arrays import Array
from recgym.data import Dataset
from recgym.settings import changed
from recgym.users.fitting import fit_user_model
from recgym.users.meta import MetaUserConfig
from recgym.users.presets import MODELS
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.policy_gradient import PolicyGradient
from recgym_agents.experiments.experiment import Budget
from recgym_agents.experiments.irecgan.reranking import Lists, agent_scores
from recgym_agents.experiments.irecgan.shared_settings import as_irecgan_is_paid, with_users
from recgym_agents.experiments.m3rec.logged_users import HeldOutUsers
from recgym_agents.runs.saved_agents import load_agent
from recgym_agents.runs.training import TrainConfig, train

WINDOW = 40
"""Clicked items observed; no session is longer in the logs of real pages."""
SUPPORT_PAGES = 20
"""Pages of a sequence of support, at most."""
AS_M3REC = {"averaging": 0.9, "item_features": "learned"}
"""Settings of M3Rec that are not the zoo's, with its user model and without."""
SIMILAR = "m3rec-similarity"
"""M3Rec whose user model has similarity."""
GROUPS = {
    "m3rec": ("m3rec", "m3rec-no-mi", "m3rec-no-context"),
    SIMILAR: (SIMILAR,),
    "m3rec-log": ("m3rec-log",),
    "meta-lstm": ("meta-lstm",),
    "melu": ("melu",),
    "irecgan": ("irecgan",),
    "gan-pg": ("gan-pg",),
    "meta-pg": ("meta-pg",),
}
"""Methods of a cell, which share what is fitted for them; the slowest last."""


class Learning:
    """How methods learn from the training users of a log.

    Args:
        dataset: the log.
        spec: the world: its items, slates of the largest page, and window.
        seed: of what is drawn.
        budget: what may be spent.
        folder: where everything is kept.
    """

    def __init__(
        self, dataset: Dataset, spec: EnvironmentSpec, seed: int, budget: Budget, folder: Path
    ) -> None:
        self.dataset, self.spec, self.budget, self.folder = dataset, spec, budget, folder
        self.seed = seed
        self.pages = dataset.pages("train")
        self.slates = np.unique(self.pages.user[self.pages.slate_sizes > 0], return_counts=True)[1]

    def scores(self, method: str, test: HeldOutUsers, lists: Lists) -> Array:
        """Trains a method; returns what it ranks the items of the test pages by (P, K)."""
        if method == "gan-pg":
            config = self._in_gan_users()
        elif method == "irecgan":
            config = self._irecgan()
        elif method == SIMILAR:
            config = self._with_meta_users("m3rec", SIMILAR)
        elif method in GROUPS["m3rec"]:
            config = self._with_meta_users(method, "m3rec")
        else:
            config = self._on_the_log(method)
        train(config)
        agent, _ = load_agent(Path(config.out))
        if isinstance(agent.inner, PolicyGradient):
            return agent_scores(agent.inner, lists)
        return test.adapted_scores(agent.inner)

    def _on_the_log(self, method: str) -> TrainConfig:
        """Returns how a method learns that adapts, from about as many batches as passes have."""
        agent = "m3rec" if method == "m3rec-log" else method
        own = AS_M3REC if agent.startswith("m3rec") else {}
        return TrainConfig(
            env=None,
            agent=agent,
            steps=round(self.budget["passes"] * pages_of_a_pass(self.slates, self.budget["pages"])),
            seed=self.seed,
            out=str(self.folder / method),
            env_args=self._world(),
            agent_args={"remove_clicked": False} | own,
            loop_args=self._loop() | {"schedule": "offline"},
            log=self._log(agent),
            reports=self.budget["passes"],
        )

    def _with_meta_users(self, method: str, user_model: str) -> TrainConfig:
        """Returns how M3Rec learns: in a meta-level user model and, as much, from the log."""
        updates, slates = 12, self.budget["pages"]
        users = (self.slates > 1).sum()
        batches = self.budget["passes"] * users / self.budget["batch_users"]
        rounds, envs = max(round(batches / updates), 1), self.budget["batch_users"]
        world = {"user_model": self._user_model(user_model), "horizon": slates, "support": 1}
        own = {"schedule": "online-offline", "updates": updates, "num_envs": envs}
        return replace(
            self._on_the_log(method),
            env="M3Rec-v0",
            steps=rounds * envs * slates,
            env_args=self._world() | world,
            agent_args={"remove_clicked": False, "reads_rewards": False} | AS_M3REC,
            loop_args=self._loop() | own,
            reports=1,
            validation_episodes=0,
        )

    def _in_gan_users(self) -> TrainConfig:
        """Returns how REINFORCE learns in a fitted GAN user model."""
        return TrainConfig(
            env="RecGAN-v0",
            agent="gan-pg",
            steps=self.budget["gan_steps"],
            seed=self.seed,
            out=str(self.folder / "gan-pg"),
            env_args=self._world() | {"user_model": self._user_model("gan-pw"), "horizon": 10},
            agent_args={"remove_clicked": False},
            reports=1,
            validation_episodes=0,
        )

    def _irecgan(self) -> TrainConfig:
        """Returns how IRecGAN learns from the log, as in ``irecgan-table1``."""
        return replace(
            self._on_the_log("irecgan"),
            steps=self.budget["passes"] * self.pages.n_pages,
            agent_args={"remove_clicked": False} | with_users(self.pages, self.budget),
            loop_args={"schedule": "offline", "batch_size": 64, "patience": 0},
        )

    def _world(self) -> dict[str, Any]:
        return {"slate_size": self.spec.slate_size, "window": self.spec.window}

    def _loop(self) -> dict[str, Any]:
        budget = self.budget
        own = {"slates": budget["pages"], "support_slates": SUPPORT_PAGES}
        return own | {"batch_users": budget["batch_users"]}

    def _log(self, agent: str) -> str:
        """Returns the folder of the log as the agent reads it."""
        folder = self.folder / f"log-{agent}"
        as_irecgan_is_paid(self.dataset, agent).save(folder)
        return str(folder)

    def _user_model(self, name: str) -> str:
        """Returns the folder of a user model of the training users, which is fitted once."""
        folder, budget = self.folder / f"user-model-{name}", self.budget
        if not (folder / "params.safetensors").exists():
            similar = name == SIMILAR
            config, fit = MODELS.find("m3rec" if similar else name).preset(
                self.dataset.info["name"]
            )
            if similar:
                config = changed(config, {"similarity": True}, name)
            if isinstance(config, MetaUserConfig):
                game = replace(fit.meta, rounds=budget["fit_rounds"])
                fit = replace(fit, epochs=budget["fit_epochs"], meta=game, batch_users=64)
            else:
                fit = replace(fit, epochs=budget["gan_fit_epochs"])
            fit_user_model(self.dataset, config, fit, test_users=False, seed=self.seed).save(folder)
        return str(folder)


def pages_of_a_pass(slates: Array, pages: int) -> float:
    """Returns how many pages are learned from, in the mean, if each user is drawn once.

    A user of L pages is cut after 1 .. L - 1 of them, each as likely, and at most the first
    ``pages`` after the cut are learned from. Users of one page are not.

    Args:
        slates: pages with a slate of each user, L (U,).
        pages: at most, 1 or more.
    """
    cuts = slates[slates > 1] - 1
    whole = np.minimum(cuts, pages)  # cuts after which no page is left out
    total = whole * (whole + 1) / 2 + (cuts - whole) * pages
    return float((total / cuts).sum())
