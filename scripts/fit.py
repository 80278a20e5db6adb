"""Fits a GAN user model to prepared data, and prints its held-out scores beside what needs none."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from command_line import run
from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.users import FittedUserModel
from recgym.users.fitting import fit_user_model, progress_bar
from recgym.users.presets import preset


def main(
    data: Path,
    out: Path,
    model: Literal["gan-pw", "gan-lstm"] = "gan-pw",
    regularizer: Literal["entropy", "l2"] = "entropy",
    bags: int = 0,
    seed: int = 0,
    hidden: tuple[int, ...] | None = None,
    activation: Literal["relu", "elu"] | None = None,
    features: int | None = None,
    window: int | None = None,
    eta: float | None = None,
    epochs: int | None = None,
    frozen_reward: bool = False,
    test_users: bool = True,
    double: bool = False,
    threads: int = 1,
    compare: Path | None = None,
) -> None:
    """Fits a user model.

    Args:
        data: folder that scripts/prepare.py wrote.
        out: folder to write the user model to.
        model: position weights (gan-pw) or an LSTM (gan-lstm) over the click history.
        regularizer: Shannon entropy (maximum likelihood), or L2 (the minimax game).
        bags: members fitted on training users drawn with replacement.
        seed: same seed, same model on the same machine.
        hidden: units of each hidden layer; the dataset's preset if not given.
        activation: of the hidden layers; the dataset's preset if not given.
        features: length of an item's feature vector; the preset if not given.
        window: clicked items that the position weights see; the preset if not given.
        eta: strength of exploitation (Eq. 2); the preset if not given.
        epochs: passes over the training pages at most; the preset if not given.
        frozen_reward: in the L2 game, move only the behaviour, as the authors' code does.
        test_users: also fit the member "test" on the test users.
        double: compute in float64: half as fast, and the same to many digits on every machine.
        threads: of torch; without --double, results depend on it.
        compare: a user model whose scores this one must meet within 1e-3, or nothing is written.
    """
    torch.set_num_threads(threads)
    dataset = Dataset.load(data)
    config, fit = preset(dataset.info["name"], model, regularizer)
    wanted = {
        "hidden": hidden,
        "activation": activation,
        "features": features,
        "window": window,
        "eta": eta,
    }
    config = replace(config, **{name: value for name, value in wanted.items() if value is not None})
    fit = replace(fit, epochs=epochs or fit.epochs, frozen_reward=frozen_reward, double=double)
    command = f"python scripts/fit.py {shlex.join(sys.argv[1:])}"
    with progress_bar(fit.epochs) as on_epoch:
        fitted = fit_user_model(
            dataset,
            config,
            fit,
            bags=bags,
            test_users=test_users,
            seed=seed,
            command=command,
            on_epoch=on_epoch,
        )
    if compare is not None:
        _compare(dict(fitted.scores), dict(FittedUserModel.load(compare).scores), compare)
    fitted.save(out)
    _print(dataset.info["name"], model, dict(fitted.scores), fitted.info["random_click_rate"])
    Console().print(f"wrote {out}")


TOLERANCE = 1e-3
"""How far a re-made model may be from its recorded scores."""
SCORES = ("log_likelihood", "precision_at_1", "precision_at_2")


def _compare(ours: dict[str, object], recorded: dict[str, object], folder: Path) -> None:
    for score in SCORES:
        if not np.isclose(ours[score], recorded[score], rtol=0.0, atol=TOLERANCE):
            raise RecGymError(
                f"{folder}: {score} is {recorded[score]:.4f} there and {ours[score]:.4f} here, "
                f"more than {TOLERANCE} apart"
            )


def _print(name: str, model: str, scores: dict[str, object], click_rates: dict[str, float]) -> None:
    table = Table(title=f"{name}: test users' pages")
    for column in ("", "log-likelihood", "precision@1", "precision@2"):
        table.add_column(column, justify="left" if column == "" else "right")
    floors = scores["floors"]
    assert isinstance(floors, dict)
    for row, values in {model: scores, **floors}.items():
        cells = (values.get(column, np.nan) for column in SCORES)
        table.add_row(row, *("-" if np.isnan(cell) else f"{cell:.3f}" for cell in cells))
    console = Console()
    console.print(table)
    rates = ", ".join(f"{member} {rate:.2f}" for member, rate in click_rates.items())
    console.print(f"click rate of random slates: {rates}")


if __name__ == "__main__":
    run(main)
