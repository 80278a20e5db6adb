"""How long the README's two commands take in a fresh clone."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from measurement import Figure, Section
from recgym.errors import RecGymError

MINUTES = {"install": None, "demo": 5.0, "test": 6.0}
"""Target of the Makefile -> the minutes that it is held to, if any."""


def clone(rounds: int) -> Section:
    """Times ``make demo`` and ``make test`` after the set-up that both begin with.

    Raises:
        RecGymError: one of them fails in a clone of the last commit.
    """
    repository = Path(__file__).resolve().parents[1]
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    measured: dict[str, list[float]] = {target: [] for target in MINUTES}
    for _ in range(rounds):
        with TemporaryDirectory() as folder:
            subprocess.run(["git", "clone", "--quiet", str(repository), folder], check=True)
            for target, minutes in measured.items():
                started = time.perf_counter()
                run = subprocess.run(
                    ["make", target], cwd=folder, env=surroundings, stdout=subprocess.DEVNULL
                )
                if run.returncode:
                    raise RecGymError(f"make {target} fails in a fresh clone of {repository}")
                minutes.append((time.perf_counter() - started) / 60.0)
    return Section(
        "The README's two commands in a fresh clone",
        [
            Figure(f"make {target}", "minutes", measured[target], at_most=most)
            for target, most in MINUTES.items()
        ],
        notes=["`make install` is the set-up that both begin with; it is timed by itself."],
    )
