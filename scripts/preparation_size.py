"""How long ``recgym prepare`` takes, and how much memory, as a generated log of clicks grows.

Examples:
    python scripts/preparation_size.py --clicks 300000 3000000 30000000
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from recgym.data.yoochoose import CLICKS, PURCHASES
from recgym.errors import RecGymError
from recgym_agents.commands.command_line import run

N_ITEMS = 52_739
"""As in the RecSys Challenge 2015, and so are the two shares below."""
CLICKS_A_SESSION = 3.57
BOUGHT = 0.035
"""Purchases a click."""
AT_ONCE = 1_000_000
"""Sessions that are drawn and written together."""
START = 1_396_310_400_000
"""Milliseconds of 2014-04-01."""
HALF_YEAR = 183 * 86_400_000
"""Milliseconds."""
MOST_SECONDS, MOST_GIGABYTES = 600, 8.0


def generate(folder: Path, clicks: int, seed: int = 0) -> None:
    """Writes about ``clicks`` random clicks, and purchases of clicked items, as YooChoose does.

    Lengths of sessions are geometric; an item's popularity falls with its rank; a session begins at
    any time within half a year, and goes on for up to two minutes a click.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(20, 20 + N_ITEMS)
    cumulated = np.cumsum(popularity / popularity.sum())
    sessions = max(1, round(clicks / CLICKS_A_SESSION))
    with open(folder / CLICKS, "wb") as shown, open(folder / PURCHASES, "wb") as bought:
        for first in range(0, sessions, AT_ONCE):
            count = min(AT_ONCE, sessions - first)
            lengths = rng.geometric(1 / CLICKS_A_SESSION, count)
            session = np.repeat(np.arange(first, first + count), lengths)
            waited = np.cumsum(rng.integers(1, 120_000, len(session)))
            before = np.repeat(waited[np.cumsum(lengths) - lengths], lengths)
            start = np.repeat(START + rng.integers(0, HALF_YEAR, count), lengths)
            item = np.minimum(np.searchsorted(cumulated, rng.random(len(session))), N_ITEMS - 1)
            events = pl.DataFrame(
                {"session": session, "time": start + waited - before, "item": 214_500_000 + item}
            ).with_columns(
                pl.from_epoch("time", time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            )
            events.with_columns(category=pl.lit(0)).write_csv(shown, include_header=False)
            chosen = events.filter(pl.Series(rng.random(len(session)) < BOUGHT))
            priced = chosen.with_columns(price=pl.lit(500), quantity=pl.lit(1))
            priced.write_csv(bought, include_header=False)


def measure(folder: Path) -> tuple[float, float]:
    """Returns the seconds and the gigabytes that it takes to prepare the log in a folder."""
    command = [sys.executable, str(Path(__file__).with_name("prepare.py")), "yoochoose"]
    command += ["--path", str(folder), "--preset", "lpi", "--out", str(folder / "prepared")]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RecGymError(f"recgym prepare ended with status {process.returncode}")
    return time.perf_counter() - start, used.ru_maxrss * 1024 / 1e9


def main(clicks: tuple[int, ...] = (300_000, 3_000_000), folder: Path | None = None) -> None:
    """Prints the seconds and the memory of each size.

    Args:
        clicks: sizes of the logs.
        folder: for the generated logs, 60 bytes a click; a temporary one if not given.

    Raises:
        RecGymError: the largest takes more than 10 minutes, or more than 8 GB.
    """
    seconds = gigabytes = 0.0
    for size in clicks:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            generate(Path(name), size)
            seconds, gigabytes = measure(Path(name))
        print(f"{size:>12,} clicks: {seconds:6.1f} s, {gigabytes:.2f} GB at most", flush=True)
    if seconds > MOST_SECONDS or gigabytes > MOST_GIGABYTES:
        raise RecGymError(f"more than {MOST_SECONDS} s or {MOST_GIGABYTES:.0f} GB")


if __name__ == "__main__":
    run(main)
