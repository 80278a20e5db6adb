"""Fits a user model to prepared data, and prints its held-out scores beside what needs none."""

from __future__ import annotations

import shlex
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from recgym.data import Dataset
from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, changed, check_number
from recgym.users import Agreement, FittedUserModel
from recgym.users.fitting import MOST_BAGS, fit_user_model, progress_bar
from recgym.users.folder import FILES, FOLDER
from recgym.users.kinds import kind_of
from recgym.users.presets import MODELS
from recgym.whole_folders import check_place


def main(
    data: Path,
    out: Path,
    model: str = "gan-pw",
    regularizer: Literal["entropy", "l2"] = "entropy",
    bags: int = 0,
    seed: int = 0,
    hidden: tuple[int, ...] | None = None,
    activation: Literal["relu", "elu"] | None = None,
    features: int | None = None,
    window: int | None = None,
    eta: float | None = None,
    similarity: bool = False,
    layers: int | None = None,
    units: int | None = None,
    context: int | None = None,
    rounds: int | None = None,
    reward: Literal["bernoulli", "expectation"] | None = None,
    reward_weight: float | None = None,
    epochs: int | None = None,
    frozen_reward: bool = False,
    test_users: bool = True,
    double: bool = False,
    threads: int = 1,
    compare: Path | None = None,
) -> None:
    """Fits a user model.

    Args:
        data: folder that recgym prepare wrote.
        out: folder to write the user model to.
        model: name of a user model (the page on user models lists them), or module:name of one that
            a module registers. What follows are settings of GAN user models, of IRecGAN's recurrent
            ones, or of all that have them.
        regularizer: GAN: Shannon entropy (maximum likelihood), or L2 (the minimax game).
        bags: members fitted on training users drawn with replacement.
        seed: same seed, same model on the same machine.
        hidden: GAN, M3Rec: units of each hidden layer; the dataset's preset if not given.
        activation: GAN, M3Rec: of the hidden layers; the dataset's preset if not given.
        features: length of an item's feature vector; the preset if not given.
        window: clicked items that the position weights see, or that an environment of a recurrent
            model shows; the preset if not given.
        eta: GAN: strength of exploitation (Eq. 2); the preset if not given.
        similarity: GAN, M3Rec: users like what is like their clicks, which is not in the papers.
        layers: recurrent: layers of the network; the preset if not given.
        units: of the LSTM, of each layer of a recurrent model, or of M3Rec's context encoder; the
            preset if not given.
        context: M3Rec: length of a user's context; the preset if not given.
        rounds: M3Rec: passes with the adversary at most; the preset if not given.
        reward: recurrent: whether simulated rewards are drawn, or their probabilities.
        reward_weight: recurrent: lambda_p, what a reward's likelihood counts beside a click's.
        epochs: passes over the training pages at most; the preset if not given.
        frozen_reward: GAN: in the L2 game, move only the behaviour, as the authors' code does.
        test_users: also fit the member "test" on the test users.
        double: compute in float64: slower, and the same to many digits on every machine.
        threads: of torch; without --double, results depend on it.
        compare: a user model whose scores this one must meet within 1e-3, or nothing is written.
    """
    check_number("threads", threads, (1, MOST_THREADS))
    check_number("bags", bags, (0, MOST_BAGS))
    check_number("seed", seed, AT_LEAST_0)
    if epochs is not None:
        check_number("epochs", epochs, AT_LEAST_1)
    check_place(out, FILES, FOLDER)
    recorded = {} if compare is None else dict(FittedUserModel.load(compare).scores)
    torch.set_num_threads(threads)
    dataset = Dataset.load(data)
    config, fit = MODELS.find(model).preset(dataset.info["name"])
    given: dict[str, Any] = {
        "hidden": hidden,
        "activation": activation,
        "features": features,
        "window": window,
        "eta": eta,
        "layers": layers,
        "units": units,
        "context": context,
        "reward": reward,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    if similarity:
        wanted["similarity"] = True
    if regularizer != "entropy":
        wanted["regularizer"] = regularizer
    foreign = sorted(wanted.keys() - {field.name for field in fields(config)})
    if foreign:
        raise RecGymError(f"--{foreign[0]}: no setting of --model {model}")
    config = changed(config, wanted, model)
    if rounds is not None:
        if not kind_of(config).contexts:
            raise RecGymError(f"--rounds: no setting of --model {model}")
        check_number("rounds", rounds, AT_LEAST_0)
        fit = replace(fit, meta=replace(fit.meta, rounds=rounds))
    fit = replace(
        fit,
        epochs=fit.epochs if epochs is None else epochs,
        reward_weight=fit.reward_weight if reward_weight is None else reward_weight,
        frozen_reward=frozen_reward,
        double=double,
    )
    command = f"recgym fit {shlex.join(sys.argv[1:])}"
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
        _compare(dict(fitted.scores), recorded, compare)
    fitted.save(out)
    _print(dataset.info["name"], model, dict(fitted.scores), fitted.info["random_click_rate"])
    print(f"what the log fixes: {fitted.identified}")
    if "agreement" in fitted.scores:
        found = Agreement(**fitted.scores["agreement"])
        print(f"rank correlation of rewards in the models of training and test users: {found}")
    static = [name for name, reads in fitted.info.get("reads_clicks", {}).items() if not reads]
    if static:
        print(f"what was clicked tells nothing in validation, and is not read: {', '.join(static)}")
    Console().print(f"wrote {out}")


MOST_THREADS = 1_024
TOLERANCE = 1e-3
"""How far a re-made model may be from its recorded scores."""
SCORES = ("log_likelihood", "precision_at_1", "precision_at_2", "reward_log_likelihood")
"""The last of recurrent user models only."""


def _compare(ours: dict[str, Any], recorded: dict[str, Any], folder: Path) -> None:
    if [name for name in SCORES if name in ours] != [name for name in SCORES if name in recorded]:
        raise RecGymError(f"{folder}: a user model of another kind, name it with --model")
    for score in [score for score in SCORES if score in ours]:
        if not np.isclose(ours[score], recorded[score], rtol=0.0, atol=TOLERANCE):
            raise RecGymError(
                f"{folder}: {score} is {recorded[score]:.4f} there and {ours[score]:.4f} here, "
                f"more than {TOLERANCE} apart"
            )


def _print(name: str, model: str, scores: dict[str, Any], click_rates: dict[str, float]) -> None:
    table = Table(title=f"{name}: test users' pages")
    columns = [score for score in SCORES if score in scores]
    table.add_column("")
    for column in columns:
        table.add_column(column.replace("_at_", "@").replace("_", " "), justify="right")
    for row, values in {model: scores, **scores["floors"]}.items():
        cells = (values.get(column, np.nan) for column in columns)
        table.add_row(row, *("-" if np.isnan(cell) else f"{cell:.3f}" for cell in cells))
    console = Console()
    console.print(table)
    rates = ", ".join(f"{member} {rate:.2f}" for member, rate in click_rates.items())
    if rates:
        console.print(f"click rate of random slates: {rates}")
