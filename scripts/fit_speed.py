"""How long it takes to fit every user model to MovieLens 100K."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from measurement import Figure, Section
from recgym.errors import RecGymError
from recgym.users.presets import MODELS

LOG = "movielens"
MINUTES = 10.0
"""What all fits may take together."""
AT_ONCE = 2
"""Fits that run beside each other, each on one thread."""
SCRIPTS = Path(__file__).resolve().parent


def fits(rounds: int) -> Section:
    """Times `recgym fit` for each user model of the registry, and for all of them, two at once.

    Raises:
        RecGymError: preparing the log or a fit fails, or there is no xgboost, which a model needs.
    """
    if find_spec("xgboost") is None:
        raise RecGymError('fits: one model needs xgboost: pip install "recgym[xgboost]"')
    measured: dict[str, list[float]] = {name: [] for name in MODELS}
    together: list[float] = []
    with TemporaryDirectory() as folder:
        data = Path(folder, "pages")
        _run("prepare", LOG, "--out", str(data))
        for turn in range(rounds):

            def timed(name: str, out: Path = Path(folder, str(turn))) -> float:
                begun = time.perf_counter()
                _run("fit", "--data", str(data), "--model", name, "--out", str(out / name))
                return time.perf_counter() - begun

            started = time.perf_counter()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for name, seconds in zip(measured, pool.map(timed, measured), strict=True):
                    measured[name].append(seconds)
            together.append((time.perf_counter() - started) / 60.0)
    return Section(
        "Fitting every user model to MovieLens 100K",
        [
            *(Figure(name, "s", seconds) for name, seconds in measured.items()),
            Figure("all of them, two at once", "minutes", together, at_most=MINUTES),
        ],
        notes=[
            "Each is `recgym fit` with the model's preset, one thread, in a process of its own: the"
            " models of training and of test users, and their held-out scores. Two run at once, on"
            " two cores, so that the time of one is that beside another."
        ],
    )


def _run(script: str, *arguments: str) -> None:
    """Runs one of the scripts, and says what failed."""
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *arguments]
    run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        raise RecGymError(f"{script} {' '.join(arguments)}: {run.stderr.strip()}")
