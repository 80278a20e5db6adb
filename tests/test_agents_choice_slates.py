"""The worth of slates under a choice model, and the best slates, against every slate there is."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recgym_agents.networks.choice_slates import SEARCHES, Appraisal, exact_slates, slate_value

NOTHING = torch.empty(1, 0, dtype=torch.int64)


def appraisal(
    weight: list[float], click: list[float], value: list[float], none: tuple[float, float]
) -> Appraisal:
    """Of one user; "no item" is added as the last column."""
    columns = [torch.tensor([[*numbers, 0.0]]) for numbers in (weight, click, value)]
    return Appraisal(*columns, *(torch.tensor([number]) for number in none))


def random_appraisal(seed: int, n_items: int = 6) -> Appraisal:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(3, 1, n_items, generator=generator).tolist()
    none = torch.rand(2, generator=generator).tolist()
    return appraisal(drawn[0][0], drawn[1][0], [5 * v - 2 for v in drawn[2][0]], (none[0], none[1]))


def every_slate(size: int, items: range) -> Tensor:
    return torch.tensor(list(combinations(items, size)))


def test_a_slate_is_worth_its_items_by_the_chance_that_they_are_chosen() -> None:
    found = appraisal([1.0, 2.0, 4.0], [1.0, 0.5, 1.0], [3.0, 4.0, 9.0], (1.0, 2.0))
    # Items 0 and 1 and none are drawn with 1/4, 2/4, 1/4; item 1 is clicked half of the time.
    expected = 0.25 * 3.0 + 0.5 * (0.5 * 4.0 + 0.5 * 2.0) + 0.25 * 2.0
    assert slate_value(found, torch.tensor([[1, 0]])).item() == pytest.approx(expected)


def test_the_searches_differ_where_a_good_item_is_rarely_chosen() -> None:
    weight, click, value = [1.0, 0.01, 3.0, 0.5], [1.0] * 4, [10.0, 0.0, 5.0, 6.0]
    found = appraisal(weight, click, value, (0.0, 0.0))
    slates = {name: set(find(found, 2, NOTHING)[0].tolist()) for name, find in SEARCHES.items()}
    # The products are 10, 0, 15 and 3. Beside item 0, item 1 leaves 9.90 and item 3 leaves 8.67.
    assert slates == {"top-k": {0, 2}, "greedy": {0, 1}, "exact": {0, 1}}


def test_greedy_slates_may_miss_the_best() -> None:
    found = appraisal([3.0, 1.0, 1.0], [1.0] * 3, [6.1, 9.0, 9.0], (1.0, 0.0))
    greedy, exact = (SEARCHES[name](found, 2, NOTHING) for name in ("greedy", "exact"))
    assert greedy.tolist() == [[0, 1]]  # item 0 is best alone: 18.3 / 4 against 9 / 2
    assert set(exact[0].tolist()) == {1, 2}
    values = [slate_value(found, slate).item() for slate in (greedy, exact)]
    assert values == pytest.approx([27.3 / 5, 18 / 3])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_exact_slates_are_the_best_of_all(seed: int, size: int) -> None:
    found = random_appraisal(seed)
    values = slate_value(
        Appraisal(*(x.expand(len(every_slate(size, range(6))), *x.shape[1:]) for x in found)),
        every_slate(size, range(6)),
    )
    slate = exact_slates(found, size, NOTHING)
    assert len(set(slate[0].tolist())) == size
    best = pytest.approx(values.max().item(), rel=1e-5, abs=1e-6)  # of numbers that cancel
    assert slate_value(found, slate).item() == best
    for find in SEARCHES.values():
        other = slate_value(found, find(found, size, NOTHING)).item()
        assert other <= values.max().item() + 1e-5


def test_each_row_has_its_own_best_slate_and_its_own_excluded_items() -> None:
    rows = [random_appraisal(seed) for seed in range(40)]
    batch = Appraisal(*(torch.cat(columns) for columns in zip(*rows, strict=True)))
    excluded = torch.arange(40)[:, None] % 7  # 6 is "no item", which excludes none
    for name, find in SEARCHES.items():
        together = find(batch, 2, excluded)
        alone = torch.cat([find(row, 2, excluded[[i]]) for i, row in enumerate(rows)])
        assert torch.equal(together, alone), name
        assert not (together == excluded).any()
        assert together.max() < 6
