"""The page of figure 3: measures on pages made by hand, and verdicts on results made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.data import Catalog
from recgym.errors import RecGymError
from recgym_agents.experiments.experiment import Finished, Page
from recgym_agents.experiments.gan import categories

SHARES = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 0.0]])
"""Of items 0, 1 and 2, and of none."""


def test_of_items_that_tie_each_is_first_as_often() -> None:
    scores = np.array([[0.2, 0.1, -np.inf], [1.0, 0.0, 1.0]])
    np.testing.assert_array_equal(
        categories.ranked_first(scores), [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]
    )


def test_an_item_that_is_first_half_of_the_time_agrees_half_as_often() -> None:
    """Items 0 and 2 tie: either meets half of a click on item 1, their mean shares all of it."""
    found = categories.by_time(
        np.array([[0.5, 0.5]] * 4), SHARES[[[0, 2]] * 4], SHARES[[0, 1, 0, 1]], np.zeros(4), 1
    )
    assert found["agreement"] == [0.5] * 4
    assert found["kinds"] == pytest.approx(
        2.0 / np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    )


def test_agreement_is_by_quarter_and_kinds_by_entropy() -> None:
    """User 7 clicks items 0 0 0 1 1 1 2 2, and is always predicted item 0; user 9 clicks too few.

    Overlaps with item 0 are 1 1 1 .5 .5 .5 0 0. Her clicks are as much of either genre but for
    4.5 / 8 and 3.5 / 8: exp(H) = exp(.6853) = 1.9844 kinds, for one that is predicted.
    """
    clicked = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    user = np.array([7] * 8 + [9])
    shown = SHARES[np.zeros((9, 1), np.int64)]
    found = categories.by_time(np.ones((9, 1)), shown, SHARES[clicked], user, least_clicks=8)
    assert found["agreement"] == [1.0, 0.75, 0.5, 0.0]
    assert found["kinds"] == pytest.approx(1.0 / 1.9844, abs=1e-4)
    assert found["users"] == 1
    assert len(found["arrays"]["true"]) == 8


def test_users_of_too_few_clicks_are_an_error() -> None:
    with pytest.raises(RecGymError, match="no test user has 5 clicks"):
        categories.by_time(np.ones((2, 1)), SHARES[[[0], [1]]], SHARES[[0, 1]], np.zeros(2), 5)


def test_an_item_of_several_categories_has_a_share_of_each() -> None:
    features = np.array([[1, 0, 1990], [1, 1, 1991], [0, 0, 1992]], np.float32)
    catalog = Catalog(("a", "b", "c"), None, features, ("genre:Drama", "genre:War", "year"))
    names, shares = categories.categories(catalog)
    assert names == ["Drama", "War"]
    np.testing.assert_array_equal(shares, [[1.0, 0.0], [0.5, 0.5], [0.0, 0.0], [0.0, 0.0]])


def page(lead: float) -> Page:
    """In three divisions the GAN user model leads by so much in the last quarter."""
    budget = categories.BUDGET | {"models": ["wide-deep-ccf", "gan-pw"], "seeds": [0, 1, 2]}
    finished = []
    for cell in categories.cells(budget):
        off = 0.001 * cell["seed"]
        ours = cell["model"] == "gan-pw"
        last = 0.5 + (lead + off if ours else 0.0)
        result = {
            "agreement": [0.5, 0.5, 0.5, last],
            "kinds": 0.9 + off if ours else 0.7 + off / 2,
            "users": 40,
            "categories": ["Drama", "Comedy"],
            "arrays": {"true": [[1.0, 0.0]], "predicted": [[0.5, 0.5]]},
        }
        finished.append(Finished(cell, result, 1.0))
    return categories.summarise(finished, budget)


def test_verdicts_follow_the_lead_and_its_growth() -> None:
    found = {claim.text: claim.verdict for claim in page(0.1).claims}
    assert set(found.values()) == {"reproduced"}
    found = {claim.text: claim.verdict for claim in page(-0.1).claims}
    assert found["gan-pw gains on wide-deep-ccf as time goes by"] == "contradicted"
    assert list(page(0.1).figures) == ["gan-fig3"]
    assert "| gan-pw | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 0.0 | 60.1 ± 0.1 |" in page(0.1).body
