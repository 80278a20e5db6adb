"""The framework of experiments, on a toy one: atomic results, resuming, failures, pages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from recgym.errors import RecGymError
from recgym.files import read_json
from recgym_agents.commands import reproduce
from recgym_agents.experiments import EXPERIMENTS, ray_workers
from recgym_agents.experiments.experiment import (
    Budget,
    Cell,
    Claim,
    Experiment,
    Finished,
    Page,
    Place,
    Result,
    cell_id,
    having,
)
from recgym_agents.experiments.results_report import write_page
from recgym_agents.experiments.runner import Outcome, run_cells
from recgym_agents.runs.run_files import CHECKPOINT


def toy_cells(budget: Budget) -> list[Cell]:
    return [{"kind": kind, "seed": s} for kind in budget["kinds"] for s in range(budget["seeds"])]


def run_toy(cell: Cell, budget: Budget, place: Place) -> Result:
    """Counts how often it ran; ``kind`` says what goes wrong."""
    place.folder.mkdir(parents=True, exist_ok=True)
    with open(place.folder / "ran", "a") as file:
        file.write(f"{os.getpid()}\n")
    while cell["kind"] == "hang" and not (place.data / "go").exists():
        time.sleep(0.01)
    if cell["kind"] == "absent":
        place.raw("absent.tsv")
    if cell["kind"] == "wrong":
        raise RecGymError("toy: wrong")
    if cell["kind"] == "crash":
        raise ZeroDivisionError("toy crash")
    if cell["kind"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"score": float(cell["seed"]), "arrays": {"long": [0.0] * 3}}


def summarise_toy(finished: list[Finished], budget: Budget) -> Page:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([one.result["score"] for one in finished])
    claim = Claim("the toy works", "reproduced", f"{len(finished)} cells")
    return Page((claim,), "The toy's body.", {"toy": figure})


def absent_log(cell: Cell) -> tuple[str, ...]:
    return ("absent.tsv",)


TOY = Experiment(
    name="toy",
    title="A toy",
    reproduces="nothing",
    method="None.",
    budget={"kinds": ["good"], "seeds": 2},
    smoke_budget={"kinds": ["good"], "seeds": 1},
    cells=toy_cells,
    run_cell=run_toy,
    summarise=summarise_toy,
)


def run_kinds(folder: Path, *kinds: str, seeds: int = 1) -> Outcome:
    return run_cells(TOY, {"kinds": list(kinds), "seeds": seeds}, folder, folder, workers=2)


def times_run(folder: Path, cell: str) -> int:
    return len((folder / "toy" / cell / "ran").read_text().split())


def test_finished_cells_are_skipped_unless_the_budget_changed(tmp_path: Path) -> None:
    first = run_kinds(tmp_path, "good")
    again = run_kinds(tmp_path, "good")
    assert [one.result["score"] for one in again.finished] == [0.0]
    assert again.finished == first.finished
    assert times_run(tmp_path, "good_seed0") == 1
    run_kinds(tmp_path, "good", seeds=2)
    assert times_run(tmp_path, "good_seed0") == 2


def test_a_failing_cell_reports_one_line_and_stops_no_other(tmp_path: Path) -> None:
    outcome = run_kinds(tmp_path, "wrong", "crash", "killed", "absent", "good")
    assert [one.cell["kind"] for one in outcome.finished] == ["good"]
    assert outcome.failed["wrong_seed0"] == "toy: wrong"
    assert outcome.failed["crash_seed0"].startswith("ZeroDivisionError: toy crash (stack in ")
    assert outcome.failed["killed_seed0"] == "its process ended with exit code -9"
    assert list(outcome.unavailable) == ["absent_seed0"]
    assert all("\n" not in line for line in outcome.failed.values())
    assert "run_toy" in (tmp_path / "toy" / "crash_seed0.error.txt").read_text()


def test_cells_run_in_ray_as_they_do_in_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    budget = {"kinds": ["wrong", "crash", "killed", "absent", "good"], "seeds": 1}
    monkeypatch.chdir(tmp_path)
    outcome = run_cells(TOY, budget, Path("runs"), Path(), workers="ray")
    assert not ray.is_initialized()
    assert [one.cell["kind"] for one in outcome.finished] == ["good"]
    assert outcome.failed["wrong_seed0"] == "toy: wrong"
    assert outcome.failed["crash_seed0"].startswith("ZeroDivisionError: toy crash (stack in ")
    assert outcome.failed["killed_seed0"].startswith("its process ended: ")
    assert list(outcome.unavailable) == ["absent_seed0"]
    assert times_run(tmp_path / "runs", "good_seed0") == 1


def test_without_ray_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "find_spec", lambda name: None)
    with pytest.raises(RecGymError, match=r'--workers ray: needs Ray: pip install "recgym\[ray\]"'):
        run_cells(TOY, TOY.budget, tmp_path / "runs", tmp_path, workers="ray")
    assert not (tmp_path / "runs").exists()


def test_no_process_is_started_for_a_raw_log_that_is_not_there(tmp_path: Path) -> None:
    reads = replace(TOY, raw_logs=absent_log)
    told: list[str] = []
    given = (reads, TOY.budget, tmp_path / "runs", tmp_path, 2)
    outcome = run_cells(*given, lambda cell, line: told.append(line))
    assert list(outcome.unavailable) == ["good_seed0", "good_seed1"]
    assert told == [f"unavailable: {line}" for line in outcome.unavailable.values()]
    assert "absent.tsv: no such file (pass --data DIR)" in told[0]
    assert not (tmp_path / "runs").exists()
    (tmp_path / "absent.tsv").touch()
    assert len(run_cells(*given).finished) == 2


def test_a_killed_run_ends_its_workers_and_resumes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from test_experiments import run_kinds\n"
        "if __name__ == '__main__': run_kinds(Path(sys.argv[1]), 'good', 'hang')"
    )
    script = tmp_path / "main.py"
    script.write_text(code)
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    good, hanging = tmp_path / "toy" / "good_seed0.json", tmp_path / "toy" / "hang_seed0" / "ran"
    while not (good.exists() and hanging.exists() and hanging.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    worker = int(hanging.read_text())
    while is_alive(worker):
        time.sleep(0.02)
    assert not (tmp_path / "toy" / "hang_seed0.json").exists()
    (tmp_path / "go").touch()
    outcome = run_kinds(tmp_path, "good", "hang")
    assert len(outcome.finished) == 2
    assert times_run(tmp_path, "good_seed0") == 1
    assert times_run(tmp_path, "hang_seed0") == 2


def is_alive(process: int) -> bool:
    """Says whether a process still runs (one that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_page_has_its_claims_command_figures_and_raw_numbers(tmp_path: Path) -> None:
    budget = {"kinds": ["good", "absent"], "seeds": 1}
    outcome = run_cells(TOY, budget, tmp_path, tmp_path, workers=2)
    text = write_page(TOY, budget, outcome, tmp_path / "docs", "python scripts/x.py").read_text()
    assert "| the toy works | **reproduced** | 1 cells |" in text
    assert "    python scripts/x.py" in text
    assert "Data not available here: absent.tsv: no such file" in text
    assert "| kinds | `good, absent` |" in text
    assert (tmp_path / "docs" / "toy.png").read_bytes()[1:4] == b"PNG"
    (cell,) = read_json(tmp_path / "docs" / "toy.json")["cells"]
    assert "score" in cell
    assert "arrays" not in cell
    assert "smoke" not in text


def test_a_smoke_run_says_that_its_numbers_mean_nothing(tmp_path: Path) -> None:
    outcome = run_cells(TOY, TOY.smoke_budget, tmp_path, tmp_path, workers=1)
    page = write_page(TOY, TOY.smoke_budget, outcome, tmp_path / "docs", "python scripts/x.py")
    assert page.read_text().startswith("# A toy\n\n*This is a smoke run")


def test_names() -> None:
    assert cell_id({"agent": "random", "k": 3, "seed": 1}) == "random_k3_seed1"
    found = having([Finished({"seed": s, "k": s % 2}, {}, 0.0) for s in (3, 2, 1)], k=1)
    assert [one.cell["seed"] for one in found] == [1, 3]
    with pytest.raises(RecGymError, match="'nothing': unknown; there are user-models"):
        EXPERIMENTS.find("nothing")


def test_two_cells_with_the_same_factors_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="two cells have the same factors"):
        run_kinds(tmp_path, "good", "good")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_declares_distinct_cells(name: str) -> None:
    experiment = EXPERIMENTS.find(name)
    assert experiment.name == name
    budgets = [experiment.budget, experiment.smoke_budget]
    if experiment.paper_budget is not None:
        budgets.append(experiment.paper_budget)
    for budget in budgets:
        names = [cell_id(cell) for cell in experiment.cells(budget)]
        assert len(set(names)) == len(names) > 0
        found = {log for cell in experiment.cells(budget) for log in experiment.raw_logs(cell)}
        assert {Path(log).suffix for log in found} <= {".csv", ".dat", ".parquet", ".tsv", ".txt"}


def test_an_experiment_has_one_size_at_a_time() -> None:
    with pytest.raises(RecGymError, match="--smoke and --paper: give one of them"):
        reproduce.main("irecgan-fig2", smoke=True, paper=True)
    with pytest.raises(RecGymError, match="--paper: worlds has no other size"):
        reproduce.main("worlds", paper=True)


def test_a_second_reproduction_in_a_folder_is_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    def report(cell: str, line: str) -> None:
        message = f"toy: in use by process {os.getpid()} on "
        with pytest.raises(RecGymError, match=message):
            run_cells(TOY, TOY.budget, tmp_path, tmp_path, workers=1)
        refused.append(cell)

    outcome = run_cells(TOY, TOY.smoke_budget, tmp_path, tmp_path, 1, report)
    assert refused == ["good_seed0"]
    assert len(outcome.finished) == 1
    assert times_run(tmp_path, "good_seed0") == 1


def test_leftovers_and_checkpoints_are_removed(tmp_path: Path) -> None:
    """A half-written result goes at the start; what a cell's training kept, at its end."""
    folder = tmp_path / "toy" / "good_seed0" / "agent"
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).write_text("")
    (tmp_path / "toy" / ".good_seed0.json.999999999.tmp").write_text("{")
    run_kinds(tmp_path, "good")
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"toy", "good_seed0", "agent", "ran", "good_seed0.json"}


def test_a_result_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "good_seed0.json").write_text("[]")
    with pytest.raises(RecGymError, match="good_seed0.json: not the result of a cell; remove it"):
        run_kinds(tmp_path, "good")


@pytest.mark.parametrize("name", ["out", "docs"])
def test_folders_that_are_files_are_noticed_before_any_cell_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce, "run_cells", lambda *arguments: pytest.fail("ran"))
    (tmp_path / "file").write_text("")
    folders = {"out": tmp_path / "runs", "docs": tmp_path / "pages", name: tmp_path / "file"}
    with pytest.raises(RecGymError, match="file: is a file; a folder is needed"):
        reproduce.main("irecgan-fig2", **folders)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
