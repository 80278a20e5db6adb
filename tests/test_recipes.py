"""The recipes for other libraries: those that need nothing but the main environment run small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recgym.errors import RecGymError
from recipe_table import cells, learned, main, names, table

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "scripts" / "recipes"
ROW: dict[str, Any] = {
    "library": "lib",
    "version": "1.0",
    "gymnasium": "1.4.0",
    "algorithm": "PPO",
    "world": {
        "env_id": "SlateMDP-v0",
        "view": None,
        "mask_keys": None,
        "arguments": {"n_items": 10},
    },
    "steps": 1000,
    "first": [1.0, 2.0],
    "last": [3.0, 4.0],
    "random": 3.25,
    "random_slates": 1.25,
    "seconds": 2.4,
}


@pytest.mark.parametrize("name", ["sb3", "cleanrl", "minari"])
def test_a_recipe_runs_and_records_its_returns(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name if name == "minari" else "stable_baselines3")
    out = tmp_path / "returns.json"
    command = [
        sys.executable,
        f"with_{name}.py",
        "--steps",
        "640",
        "--seeds",
        "1",
        "--sessions",
        "64",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", out], check=True, cwd=RECIPES, env=environment)
    for row in json.loads(out.read_text("utf-8")):
        assert row["steps"] == 640
        assert len(row["first"]) == len(row["last"]) == 1
        assert row["first"] != row["last"]
        # Random points beat random slates by far; the other views draw slates at random too.
        points = row["world"]["view"] == "proto-action"
        assert (row["random"] > row["random_slates"] + 10) == points


@pytest.mark.parametrize("name", names())
def test_every_recipe_is_short_and_pinned(name: str) -> None:
    assert len((RECIPES / f"with_{name}.py").read_text("utf-8").splitlines()) <= 160
    pins = (RECIPES / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
    assert pins
    assert all(line.count("==") == 1 for line in pins)


def test_the_table_tells_returns_and_what_beats_random() -> None:
    assert cells(ROW) == [
        "lib",
        "1.0",
        "1.4.0",
        "PPO",
        "SlateMDP-v0 (n_items=10)",
        "slate",
        "1,000",
        "1.50 [1.00, 2.00]",
        "**3.50 [3.00, 4.00]**",
        "3.25",
        "1.25",
        "2",
    ]
    assert not learned(ROW | {"random": 3.5})
    assert "| 3.50 [3.00, 4.00] | 3.50 |" in table([ROW | {"random": 3.5}])


def test_a_recipe_that_did_not_run_is_named(tmp_path: Path) -> None:
    for name in names()[1:]:
        (tmp_path / f"{name}.json").write_text(json.dumps([ROW]), "utf-8")
    with pytest.raises(RecGymError, match=f"did not run: {names()[0]}$"):
        main(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_learned_nothing_is_named_and_published(tmp_path: Path) -> None:
    for name in names():
        rows = [ROW, ROW | {"random": 9.0}] if name != "skrl" else [ROW | {"random": 9.0}]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows), "utf-8")
    with pytest.raises(RecGymError, match="learned nothing: skrl$"):
        main(tmp_path, tmp_path / "out")
    page = (tmp_path / "out" / "recipes.md").read_text("utf-8")
    assert page.count("| lib |") == 2 * len(names()) - 1
    assert "over 2 trainings" in page


@pytest.mark.parametrize("name", names())
def test_the_page_of_recipes_shows_every_library(name: str) -> None:
    page = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    assert f"(../scripts/recipes/with_{name}.py)" in page
