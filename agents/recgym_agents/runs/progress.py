"""How far trainings are: bars in a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

WatchMany = Callable[[int, int, dict[str, float]], None]
"""Called with the number of a training, its steps done, and what they gave."""
SCORES = (
    ("reward", "reward", ".3f"),
    ("click_rate", "clicks", ".2f"),
    ("validation_session_reward", "validation, a session", ".3f"),
    ("validation_score", "validation", ".3f"),
)
"""What is shown of a training: a name in its metrics, a word for it, and how it is written."""
TENTHS = 10


@contextmanager
def watching(titles: Sequence[str], steps: int) -> Iterator[WatchMany]:
    """Shows trainings of so many steps each until the block ends.

    Args:
        titles: what each is called.
        steps: of each.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
        tasks = [progress.add_task(title, total=steps) for title in titles]
        try:
            yield _bars(progress, tasks, titles, steps)
        finally:
            if progress.live.is_started:
                progress.stop()
    else:
        yield _lines(console, titles, steps)


def scores(metrics: dict[str, float]) -> str:
    """Returns what is shown of a training's metrics; the reward is that of the step just done."""
    shown = [f"{word} {metrics[name]:{how}}" for name, word, how in SCORES if name in metrics]
    return "  ".join(shown)


def _bars(
    progress: Progress, tasks: Sequence[TaskID], titles: Sequence[str], steps: int
) -> WatchMany:
    def watch(number: int, done: int, metrics: dict[str, float]) -> None:
        progress.start()  # not before: what learns nothing takes no steps
        text = f"{titles[number]}  {scores(metrics)}"
        progress.update(tasks[number], completed=min(done, steps), description=text)

    return watch


def _lines(console: Console, titles: Sequence[str], steps: int) -> WatchMany:
    reached = [0] * len(titles)

    def watch(number: int, done: int, metrics: dict[str, float]) -> None:
        tenth = TENTHS * min(done, steps) // steps
        if tenth > reached[number]:
            reached[number] = tenth
            text = f"{titles[number]}: {min(done, steps):,} of {steps:,} steps  {scores(metrics)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)

    return watch
