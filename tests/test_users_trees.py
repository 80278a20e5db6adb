"""Boosted trees as arrays: rows go down by hand, and as XGBoost itself sends them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.users import tree_fitting, trees
from recgym.users.fitting import fit_user_model
from recgym.users.likelihood import FitConfig, Task
from recgym.users.page_arrays import Pages
from recgym.users.trees import TreeUserConfig
from tests.fixtures.user_logs import event, sessions_of, small_dataset

TWO_TREES = {
    "bias": np.array([0.5], np.float32),
    "split": np.array([[0, 1, 1], [1, 0, 0]]),
    "threshold": np.array([[1.0, 2.0, 3.0], [0.0, 9.0, 9.0]], np.float32),
    "leaf": np.array([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]], np.float32),
    "neighbours": np.array([[1], [0], [3]]),
    "similarities": np.array([[0.5], [0.25], [0.0]], np.float32),
}
CONFIG = TreeUserConfig(depth=2, neighbours=1, window=2, features=2)
FEATURES = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], np.float32)
STUMP = '{"nodeid": 0, "leaf": 0.25}'
UNEVEN = (
    '{"nodeid": 0, "split": "f1", "split_condition": 2.5, "yes": 1, "no": 2, "missing": 2,'
    ' "children": [{"nodeid": 1, "leaf": -1.0}, {"nodeid": 2, "split": "f0", "split_condition": 1,'
    ' "yes": 3, "no": 4, "children": [{"nodeid": 3, "leaf": 5.0}, {"nodeid": 4, "leaf": 6.0}]}]}'
)


def test_rows_go_down_every_tree_by_hand() -> None:
    tables = trees.prepare(CONFIG, TWO_TREES, FEATURES)
    rows = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, -1.0], [9.0, 3.0]], np.float32)
    found = trees.margins(CONFIG, tables, rows)
    assert found.tolist() == [1 + 30 + 0.5, 2 + 30 + 0.5, 3 + 10 + 0.5, 4 + 40 + 0.5]


def test_what_trees_read_by_hand() -> None:
    tables = trees.prepare(CONFIG, TWO_TREES, FEATURES)
    read = trees.inputs(CONFIG, tables, np.array([[3, 1, 0]]), np.array([[0, 2]]))
    user = [0.5, 1.0]  # mean features of items 1 and 0
    item_0 = [1.0, 0.0, *user, 0.5, 0.25, 1.0, 2.0]  # clicked together with item 1
    item_2 = [1.0, 1.0, *user, 1.5, 0.0, 0.0, 2.0]
    np.testing.assert_allclose(read, [item_0, item_2])


def test_numpy_and_torch_agree() -> None:
    tables = trees.prepare(CONFIG, TWO_TREES, FEATURES)
    history, slate = np.array([[3, 1], [0, 2]]), np.array([[0, 1], [2, 3]])
    ours = trees.respond(CONFIG, tables, {"history": history}, slate)
    in_torch = {name: torch.from_numpy(np.asarray(array)) for name, array in tables.items()}
    state = {"history": torch.from_numpy(history)}
    theirs = trees.respond(CONFIG, in_torch, state, torch.from_numpy(slate))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other.numpy(), one)


def test_trees_are_filled_up_to_their_depth() -> None:
    arrays = tree_fitting._arrays([STUMP, UNEVEN], depth=2)
    assert arrays["leaf"].tolist() == [[0.25] * 4, [-1.0, -1.0, 5.0, 6.0]]
    assert arrays["split"].tolist() == [[0, 0, 0], [1, 0, 0]]
    assert arrays["threshold"][1].tolist() == [2.5, 0.0, 1.0]


def test_what_is_counted_of_half_the_users_is_on_the_scale_of_all() -> None:
    """The second half of the log is the first over again, by others."""
    events = [event(0, [1, 2], 0, 1), event(0, [2, 3], 0, 2)]
    twice = [*events, event(1, [1, 2], 0, 1), event(1, [2, 3], 0, 2)]
    task = Task(Pages.of(sessions_of(twice), 2, 5), np.arange(4), np.arange(4), 0, "train")
    config, side = TreeUserConfig(neighbours=2), np.zeros((5, 2), np.float32)
    whole, half = (tree_fitting._counted(config, task, side, np.arange(n)) for n in (4, 2))
    np.testing.assert_array_equal(half["neighbours"], whole["neighbours"])
    np.testing.assert_allclose(half["similarities"], whole["similarities"], rtol=1e-6)
    assert half["similarities"][1, 0] == pytest.approx(1 / (1 + tree_fitting.DAMPING / 2))
    shown = np.log((1 + np.array([0, 2, 4, 2, 0])) / 4)
    for one in (half, whole):
        np.testing.assert_allclose(one["features"][:, -1], shown, atol=1e-6)


def test_a_fit_is_xgboosts_own_and_beats_what_needs_none() -> None:
    pytest.importorskip("xgboost")
    dataset = small_dataset(n_users=96)
    told: list[int] = []
    model = fit_user_model(
        dataset,
        TreeUserConfig(depth=3, neighbours=5),
        FitConfig(epochs=30, patience=10, learning_rate=0.3),
        on_epoch=lambda name, epoch, _: told.append(epoch),
    )
    assert model.config.features == dataset.catalog.features.shape[1] + 2
    assert set(model.members) == {"train", "test"}
    assert told[0] == 0
    for floor in ("random", "item_ctr"):
        assert model.scores["log_likelihood"] > model.scores["floors"][floor]["log_likelihood"]


def test_margins_are_xgboosts() -> None:
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((400, 2)).astype(np.float32)
    label = (inputs.sum(axis=1) + rng.standard_normal(400) > 0.3).astype(np.float32)
    settings = {"objective": "binary:logistic", "max_depth": 2, "base_score": 0.25}
    booster = xgboost.train(settings, xgboost.DMatrix(inputs, label=label), 7)
    arrays = tree_fitting._arrays(booster.get_dump(dump_format="json"), depth=2)
    bias = np.array([np.log(0.25 / 0.75)], np.float32)
    tables = trees.prepare(CONFIG, TWO_TREES | arrays | {"bias": bias}, FEATURES)
    theirs = booster.predict(xgboost.DMatrix(inputs), output_margin=True)
    np.testing.assert_allclose(trees.margins(CONFIG, tables, inputs), theirs, atol=1e-5)


def test_without_xgboost_a_fit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(RecGymError, match=r'--model xgboost: needs xgboost: pip install "recgym'):
        fit_user_model(small_dataset(), TreeUserConfig(), FitConfig(epochs=1))
