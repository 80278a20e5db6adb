"""Measures what RecGym promises about speed, with its peers stepped beside it in the same run.

Everything that is compared is run in alternate blocks, so that a drift of the machine falls on both
sides of a ratio. A function that is compiled a second time is an error here, not a slow number.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from adaptation_speed import adaptation
from clone_speed import clone
from env_speed import compiled, recsim, sb3, single, vector
from fit_speed import fits
from generation_speed import algorithm, generation
from growth import growth
from measurement import Figure, Section, alternate, machine, page
from recgym.errors import RecGymError
from recgym.files import atomic_write, read_json, write_json, write_text
from recgym_agents.commands.command_line import run
from scan_speed import catalog, scans
from sequence_speed import sequences

IMPORT_TIMER = """
import sys, time
import gymnasium
start = time.perf_counter()
import recgym
print(time.perf_counter() - start, int("torch" in sys.modules))
"""


def imports(rounds: int) -> Section:
    """``import recgym`` in a fresh interpreter where Gymnasium is already imported."""
    torch_imported = 0.0

    def block() -> float:
        nonlocal torch_imported
        command = [sys.executable, "-c", IMPORT_TIMER]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, has_torch = answer.stdout.split()
        torch_imported = max(torch_imported, float(has_torch))
        return float(seconds)

    measured = alternate({"import": block}, rounds)["import"]
    figures = [
        Figure("import recgym, over Gymnasium's own", "s", measured, at_most=0.5),
        Figure("torch is imported with it (1: yes)", "", [torch_imported], at_most=0.0),
    ]
    return Section("Importing", figures)


SECTIONS: dict[str, Callable[[int], Section]] = {
    "single": single,
    "vector": vector,
    "recsim": recsim,
    "sb3": sb3,
    "compiled": compiled,
    "scan": scans,
    "catalog": catalog,
    "import": imports,
    "growth": growth,
    "generation": generation,
    "algorithm": algorithm,
    "fits": fits,
    "sequences": sequences,
    "adaptation": adaptation,
    "clone": clone,
}


def main(
    section: Literal[
        "all",
        "single",
        "vector",
        "recsim",
        "sb3",
        "compiled",
        "scan",
        "catalog",
        "import",
        "growth",
        "generation",
        "algorithm",
        "fits",
        "sequences",
        "adaptation",
        "clone",
    ] = "all",
    rounds: int = 7,
    out: Path = Path("docs/results"),
) -> None:
    """Measures, prints every figure beside its target, and writes OUT/benchmark.md and .json.

    Args:
        section: one section alone; the others stay as they are published.
        rounds: alternate rounds of each measurement.
        out: folder of the published pages.

    Raises:
        RecGymError: a figure misses its target; the pages are written all the same.
    """
    raw = out / "benchmark.json"
    published = read_json(raw) if raw.is_file() else {}
    done = []
    for name in SECTIONS if section == "all" else [section]:
        found = SECTIONS[name](rounds)
        print(found.table(), flush=True)
        command = f"python scripts/benchmark.py --section {name} --rounds {rounds}"
        published[name] = {**found.plain(), "command": command, "machine": machine()}
        for stem, picture in found.pictures.items():
            assert picture is not None
            with atomic_write(out / f"{stem}.png") as temporary:
                picture.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
        done.append(found)
    write_text(
        out / "benchmark.md",
        page({name: published[name] for name in SECTIONS if name in published}),
    )
    write_json(raw, published)
    missed = [figure.name for one in done for figure in one.figures if figure.verdict == "FAIL"]
    if missed:
        raise RecGymError(f"targets missed: {'; '.join(missed)}")


if __name__ == "__main__":
    run(main)
