"""What loading an agent refuses, whose digests are all right."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.files import load_arrays, read_json, save_arrays, write_json
from recgym_agents import AGENTS as ZOO
from recgym_agents import load_agent
from recgym_agents.algorithms.stable_baselines import MODEL
from recgym_agents.runs.run_files import CONFIG, DONE, PARAMS, write_done
from recgym_agents.runs.training import train
from tests.fixtures.small_runs import small_run

AGENTS = ("popularity", "cascading-dqn", "sb3-a2c")
Change = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for agent in AGENTS:
        train(small_run(folder / agent, agent))
    return folder


def altered(folder: Path, change: Change) -> None:
    """Changes what an agent's file holds, and makes all digests right."""
    arrays, stored = load_arrays(folder / PARAMS)
    change(arrays, stored)
    save_arrays(folder / PARAMS, arrays, stored)
    write_done(folder, 96)


@pytest.mark.parametrize("digests", [True, False])
def test_a_pickled_model_is_read_on_trust_alone(digests: bool, runs: Path, tmp_path: Path) -> None:
    """Not even looked at without: this one would end the test."""
    folder = Path(shutil.copytree(runs / "sb3-a2c", tmp_path / "run"))
    with zipfile.ZipFile(folder / MODEL, "w") as archive:
        archive.writestr("data", "{}")
    if digests:
        write_done(folder, 96)
    else:
        (folder / DONE).write_text("")
    with pytest.raises(RecGymError, match=rf"{MODEL} holds pickled Python.*--trust .*trust=True"):
        load_agent(folder)
    with pytest.raises(RecGymError, match=f"{MODEL}: not a whole model of stable_baselines3.A2C"):
        load_agent(folder, trust=True)
    shutil.copy(runs / "sb3-a2c" / MODEL, folder / MODEL)
    if not digests:
        assert load_agent(folder, trust=True)[1]["steps"] == 96


def test_a_pickled_model_that_was_exchanged_is_refused(runs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs / "sb3-a2c", tmp_path / "run"))
    (folder / MODEL).write_bytes(b"x" + (folder / MODEL).read_bytes())
    with pytest.raises(RecGymError, match=f"{MODEL}: altered since the run was done"):
        load_agent(folder, trust=True)


@pytest.mark.parametrize("agent", ["cascading-dqn", "no-such-agent"])
def test_a_folder_of_two_agents_is_refused_before_anything_is_unpickled(
    agent: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(runs / "sb3-a2c", tmp_path / "run"))
    write_json(folder / CONFIG, read_json(folder / CONFIG) | {"agent": agent})
    write_done(folder, 96)
    monkeypatch.setattr(
        "recgym_agents.algorithms.stable_baselines.algorithm_of", lambda name: pytest.fail("read")
    )
    with pytest.raises(RecGymError, match="are of different agents"):
        load_agent(folder, trust=True)


@pytest.mark.parametrize(
    ("agent", "change", "message"),
    [
        ("popularity", lambda a, s: a.pop("policy.shows"), "shows: has shape None"),
        (
            "popularity",
            lambda a, s: a.update({"policy.other": a.pop("policy.clicks")}),
            "clicks: has shape None",
        ),
        (
            "popularity",
            lambda a, s: a.update({"policy.shows": np.zeros(5, np.int64)}),
            r"shows: has shape \(5,\), not \(12,\)",
        ),
        ("cascading-dqn", lambda a, s: a.pop(next(iter(a))), "not a policy of 'cascading-dqn'"),
        (
            "cascading-dqn",
            lambda a, s: a.update({"policy.more": np.zeros(2)}),
            "not a policy of 'cascading-dqn'",
        ),
        (
            "cascading-dqn",
            lambda a, s: a.update({name: array[:-1] for name, array in a.items()}),
            "not a policy of 'cascading-dqn'",
        ),
        ("cascading-dqn", lambda a, s: s.pop("world"), "not a policy of 'cascading-dqn'"),
        ("cascading-dqn", lambda a, s: s["world"].pop("window"), "not a policy of"),
        ("cascading-dqn", lambda a, s: s["world"].update(items=3), "not a policy of"),
        ("cascading-dqn", lambda a, s: s.pop("about"), "not a policy of"),
        (
            "cascading-dqn",
            lambda a, s: s["config"].update(hidden="4"),
            "hidden='4' does not fit a list",
        ),
        ("cascading-dqn", lambda a, s: s["config"].update(depth=4), "no setting 'depth'"),
        ("cascading-dqn", lambda a, s: s.update(config=3), "not a policy of"),
    ],
)
def test_wrong_contents_under_a_right_digest_are_one_line(
    agent: str, change: Change, message: str, runs: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(runs / agent, tmp_path / "run"))
    altered(folder, change)
    with pytest.raises(RecGymError, match=message) as caught:
        load_agent(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_an_agent_that_nobody_knows_is_one_line(runs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs / "popularity", tmp_path / "run"))
    write_json(folder / CONFIG, read_json(folder / CONFIG) | {"agent": "mine"})
    altered(folder, lambda arrays, stored: stored.update(agent="mine"))
    with pytest.raises(RecGymError, match="agent 'mine': unknown; there are"):
        load_agent(folder)


MODULE = """
from recgym_agents import AGENTS, register
from recgym_agents.zoo import COUNTING
entry = AGENTS.find("popularity")
register("mine", entry.builder, entry.config, COUNTING)
"""


def test_a_module_that_an_agent_names_is_imported_on_trust_alone(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(runs / "popularity", tmp_path / "run"))
    (tmp_path / "own_agents.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_agents", raising=False)
    monkeypatch.setattr(ZOO, "entries", dict(ZOO.entries))
    name = "own_agents:mine"
    write_json(folder / CONFIG, read_json(folder / CONFIG) | {"agent": name})
    altered(folder, lambda arrays, stored: stored.update(agent=name))
    with pytest.raises(RecGymError, match=f"'{name}' is of a module, which would be imported;"):
        load_agent(folder)
    assert "own_agents" not in sys.modules
    load_agent(folder, trust=True)
    assert "own_agents" in sys.modules
    load_agent(folder)
    altered(folder, lambda arrays, stored: stored.update(agent="os:system"))
    write_json(folder / CONFIG, read_json(folder / CONFIG) | {"agent": "os:system"})
    write_done(folder, 96)
    with pytest.raises(RecGymError, match="agent 'os:system': that is no agent"):
        load_agent(folder)
