"""Slates for an uncertain state, against trying every slate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recgym.simulators.slate_exchange import Terms, best_ratio, exchange, expected, search

EVERY = np.array(list(itertools.combinations(range(7), 3)))
"""The slates of 3 of 7 items."""


def drawn(seed: int, rows: int = 5) -> tuple[np.ndarray, Terms]:
    """Beliefs (B, 3), and what makes a slate's worth, with 3 states and 7 items."""
    generator = np.random.default_rng(seed)
    odds = generator.random((3, 7))
    gains = odds**2 * (1.0 + 5.0 * generator.random((3, 7)))
    shown = generator.random((3, 7)) * (seed % 2)
    return generator.dirichlet(np.full(3, 0.5), rows), Terms(odds, gains, shown)


def worth_of(belief: np.ndarray, slate: tuple[int, ...], terms: Terms) -> float:
    """The worth of one slate for one belief, item by item."""
    worth = 0.0
    for state, share in enumerate(belief):
        odds = sum(terms.odds[state, item] for item in slate)
        for item in slate:
            worth += share * (terms.gains[state, item] / odds + terms.shown[state, item])
    return worth


def test_the_worth_of_a_slate_by_hand() -> None:
    # state 0: (.1 + .3) / (.2 + .6) = .5, and 1 + 2 shown; state 1: (.1 + .2) / (.5 + .5) = .3
    terms = Terms(
        np.array([[0.2, 0.6, 0.9], [0.5, 0.5, 0.9]]),
        np.array([[0.1, 0.3, 0.7], [0.1, 0.2, 0.7]]),
        np.array([[1.0, 2.0, 9.0], [0.0, 0.0, 9.0]]),
    )
    found = expected(np.array([[0.25, 0.75], [0.0, 1.0]]), np.array([[0, 1], [1, 0]]), terms)
    np.testing.assert_allclose(found, [0.25 * 3.5 + 0.75 * 0.3, 0.3])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_no_exchange_of_one_item_is_better(seed: int) -> None:
    beliefs, terms = drawn(seed, rows=2)
    slates, worth = exchange(beliefs, EVERY[[0, 20]], terms)
    for belief, slate, found in zip(beliefs, slates.tolist(), worth, strict=True):
        assert len(set(slate)) == 3
        assert found == pytest.approx(worth_of(belief, tuple(slate), terms))
        for slot, item in itertools.product(range(3), set(range(7)) - set(slate)):
            other = (*slate[:slot], item, *slate[slot + 1 :])
            assert worth_of(belief, other, terms) <= found + 1e-9


def test_searches_find_the_best_of_all_slates() -> None:
    """In 100 draws of 5 beliefs; each search on its own, as exchanges may end before the best."""
    missed = 0
    for seed in range(100):
        beliefs, terms = drawn(seed)
        _, found = search(beliefs, terms, 3)
        best = [
            expected(np.tile(belief, (len(EVERY), 1)), EVERY, terms).max() for belief in beliefs
        ]
        assert (found <= np.array(best) + 1e-12).all()
        missed += (found < np.array(best) - 1e-12).sum()
        np.testing.assert_array_less(np.array(best) * 0.98, found)
    assert missed <= 5


def test_rows_do_not_depend_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    beliefs, terms = drawn(3, rows=9)
    together, _ = search(beliefs, terms, 3)
    monkeypatch.setattr("recgym.simulators.slate_exchange.BLOCK", 4)
    np.testing.assert_array_equal(search(beliefs, terms, 3)[0], together)
    np.testing.assert_array_equal(search(beliefs[4:5], terms, 3)[0][0], together[4])


def test_the_best_ratio_is_that_of_trying_all() -> None:
    odds, worth = np.random.default_rng(0).random((2, 4, 7))
    slates, found = best_ratio(odds, worth, 3)
    for row in range(4):
        shown = odds[row][EVERY]
        ratios = (shown * worth[row][EVERY]).sum(axis=1) / shown.sum(axis=1)
        assert found[row] == pytest.approx(ratios.max())
        assert sorted(slates[row]) == EVERY[ratios.argmax()].tolist()
