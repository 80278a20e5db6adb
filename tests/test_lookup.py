"""Registries: what is found by name, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recgym.errors import RecGymError
from recgym.lookup import Registry


def _is_colour(found: object) -> bool:
    return isinstance(found, int)


def colours() -> Registry[int]:
    return Registry("colour", {"red": 1, "limit": "sys:maxsize", "lost": "sys:lost"}, _is_colour)


def test_what_is_registered_is_found_in_order() -> None:
    registry = colours()
    registry.register("blue", 3)
    assert list(registry) == ["red", "limit", "lost", "blue"]
    assert registry.find("red") == 1
    assert registry.find("limit") == sys.maxsize
    assert registry["limit"] == "sys:maxsize"
    assert "green" not in registry


def test_a_module_registers_its_own_or_simply_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = colours()
    monkeypatch.setattr(sys, "colour_registry", registry, raising=False)
    (tmp_path / "own_colours.py").write_text(
        "import sys\nsys.colour_registry.register('green', 5)\nviolet = 6\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_colours", raising=False)
    assert registry.find("own_colours:green") == 5
    assert registry.find("own_colours:violet") == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("green", "colour 'green': unknown; there are red, limit, lost, or 'module:name'"),
        ("rde", r"or 'module:name' \(did you mean 'red'\?\)$"),
        ("sys:green", "colour 'sys:green': unknown"),
        ("sys:path", "colour 'sys:path': that is no colour, but of type list"),
        ("lost", "colour 'lost': that is no colour, but of type NoneType"),
        ("no_such_module:green", "colour 'no_such_module:green' cannot be imported"),
        (":green", "colour ':green' cannot be imported"),
    ],
)
def test_what_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        colours().find(name)


@pytest.mark.parametrize("name", ["red", "", "a:b"])
def test_names_are_refused_that_could_not_be_found(name: str) -> None:
    with pytest.raises(RecGymError, match="registered already|has no colon"):
        colours().register(name, 7)
