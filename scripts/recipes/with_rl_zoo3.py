"""RL-Zoo3: PPO, as its ``train.py`` sets it up from a table of settings.

The same from the command line, with the settings in a file of one's own (``-conf``):

    python -m rl_zoo3.train --algo ppo --env RecGAN-v0 --gym-packages recgym \
        --env-kwargs view:"'proto-action'" -conf ppo.yml
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rl_zoo3.exp_manager import ExperimentManager

from scoring import Policy, Recipe, World, main

SETTINGS = {
    "n_envs": 8,
    "policy": "MlpPolicy",
    "n_steps": 80,
    "batch_size": 160,
    "gamma": 0.9,
    "learning_rate": 1e-3,
}


def train(world: World, steps: int, seed: int) -> Iterator[Policy]:
    """PPO."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "ppo.yml"
        table.write_text(json.dumps({world.env_id: SETTINGS | {"n_timesteps": steps}}))
        manager = ExperimentManager(
            argparse.Namespace(),
            "ppo",
            world.env_id,
            folder,
            eval_freq=-1,
            env_kwargs=world.all_arguments(),
            seed=seed,
            log_interval=-2,
            verbose=0,
            device="cpu",
            config=str(table),
        )
        model, _ = manager.setup_experiment()

        def act(observation: Any, info: Any) -> Any:
            return model.predict(observation)[0]

        yield act
        manager.learn(model)
        yield act


if __name__ == "__main__":
    main("rl-zoo3", [Recipe("PPO", World(view="proto-action"), 10_000, train)])
