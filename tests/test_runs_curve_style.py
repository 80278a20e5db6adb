"""Curves that can be told apart, and names that do not stand one over another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from recgym_agents.runs.curve_style import COLOURS, DASHES, End, name_ends, spread, style


def test_styles_differ() -> None:
    count = len(COLOURS) * len(DASHES)
    assert len({str(style(number)) for number in range(count)}) == count
    assert style(0)["linestyle"] != style(1)["linestyle"]


@given(st.lists(st.floats(0.0, 10.0), max_size=9))
def test_heights_are_parted_and_kept_below_the_top(heights: list[float]) -> None:
    places = spread(sorted(heights), gap=1.0, top=10.0)
    assert all(high - low >= 1.0 - 1e-9 for low, high in zip(places, places[1:], strict=False))
    assert all(place <= 10.0 + 1e-9 for place in places)


def test_names_stand_where_curves_end() -> None:
    axes = Figure().subplots()
    axes.set_ylim(0.0, 10.0)
    name_ends(axes, [End("b", 5.0, "red"), End("a", 5.0, "blue")])
    found = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert found == {"b": 5.0, "a": pytest.approx(5.85)}
    assert axes.get_ylim() == (0.0, 10.0)
