"""The tutorial's own agent, world and experiment work as their pages say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial"
LINES = 40
"""What an agent or a world of one's own may take, blank lines left out."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every module that the tutorial's pages name in their first line."""
    for page in TUTORIAL.glob("*.md"):
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            if named := re.match(r"# (\w+\.py)\n", block):
                (tmp_path / named[1]).write_text(block, encoding="utf-8")
    return tmp_path


def run(folder: Path, program: str) -> str:
    """Runs a program where the modules lie, in a process of its own; returns what it prints."""
    path = os.pathsep.join(map(str, (folder, ROOT, ROOT / "agents", ROOT / "scripts")))
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["my_agents.py", "my_worlds.py"])
def test_it_is_short(module: str, folder: Path) -> None:
    lines = (folder / module).read_text("utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= LINES
    assert max(map(len, lines)) <= 100


def test_an_agent_of_ones_own_is_trained_saved_and_better_than_random(folder: Path) -> None:
    program = """
import json
import recgym_agents

rewards = []
for agent, settings in (("random", {}), ("my_agents:best-earners", {"doubt": 5.0})):
    run = recgym_agents.train(agent, "RecGAN-v0", steps=2_000, agent_args=settings, reports=2,
                              validation_episodes=10, progress=False)
    rewards.append(run.evaluate(episodes=50, split="test").estimates()[0].mean)
print(json.dumps([*rewards, run.recommend([49, 180])]))
"""
    random, own, slate = json.loads(run(folder, program).splitlines()[-1])
    assert own > random + 0.5
    assert len(set(slate) - {49, 180}) == 5


def test_a_world_of_ones_own_is_made_checked_and_learned_in(folder: Path) -> None:
    program = """
import json
import gymnasium
from gymnasium.utils.env_checker import check_env
from recgym.envs import SlateEnv
from recgym.simulators import SIMULATORS
import recgym_agents

env = gymnasium.make("my_worlds:FavouriteGenre-v0", slate_size=3)
check_env(env.unwrapped)
again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
_, info = env.reset(seed=0, options={"user": 2})
clicked = [int(env.step([2, 6, 10])[4]["item"]) for _ in range(3)]
rows = gymnasium.make_vec("my_worlds:FavouriteGenre-v0", num_envs=8)
observation, _ = rows.reset(seed=0)

from my_worlds import FavouriteGenre
SIMULATORS.register("favourite-genre", FavouriteGenre)
named = SlateEnv("favourite-genre").action_space

run = recgym_agents.train("popularity", "my_worlds:FavouriteGenre-v0", steps=500, reports=1,
                          out="run", agent_args={"remove_clicked": False}, progress=False,
                          validation_episodes=10)
reward = float(run.evaluate(episodes=20).session_reward.mean())
sizes = [len(named), len(again.action_space), *observation.shape]
print(json.dumps([int(info["genre"]), clicked, sizes, reward]))
"""
    genre, clicked, sizes, reward = json.loads(run(folder, program).splitlines()[-1])
    assert genre == 2
    assert set(clicked) <= {-1, 2, 6, 10}
    assert sizes == [4, 3, 8, 5]
    assert reward > 0


def test_an_experiment_of_ones_own_runs_and_writes_its_page(folder: Path) -> None:
    program = """
from recgym_agents.experiments import EXPERIMENTS
EXPERIMENTS.find("my_experiment:popular")
from my_experiment import cells, summarise
from recgym_agents.experiments.experiment import Finished

budget = {"seeds": [0, 1], "steps": 500}
rewards = {"random": 0.25, "popularity": 1.5}
finished = [Finished(cell, {"reward": rewards[cell["agent"]]}, 1.0) for cell in cells(budget)]
print(len(finished), summarise(finished, budget).claims[0])
"""
    printed = run(folder, program)
    assert printed.startswith("4 Claim(text='popularity earns more than random slates'")
    assert "verdict='reproduced', evidence='1.50 a slate against 0.25, p 0.000'" in printed
