"""The logs that ``recgym prepare`` takes hand what they are given to their readers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from recgym.data import Dataset
from recgym_agents.commands import event_sources
from recgym_agents.commands.event_sources import (
    LastFM,
    Netflix,
    OpenBandit,
    Otto,
    RetailRocket,
    Taobao,
    Yelp,
    YooChoose,
)

SOURCES = {
    LastFM: ("read_lastfm", {}),
    Netflix: ("read_netflix", {"preset": "lpi"}),
    OpenBandit: ("read_open_bandit", {"campaign": "men", "policy": "bts"}),
    Otto: ("read_otto", {}),
    RetailRocket: ("read_retailrocket", {"preset": "sqn"}),
    Taobao: ("read_taobao", {}),
    Yelp: ("read_yelp", {}),
    YooChoose: ("read_yoochoose", {"preset": "lpi"}),
}
"""What is read -> the reader, and what may be chosen beside the path and the seed."""


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_every_setting_reaches_the_reader(
    source: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reader, chosen = SOURCES[source]
    given: list[Any] = []

    def read(path: Path, **settings: Any) -> Dataset:
        given.append((path, settings))
        return "the log"  # type: ignore[return-value]

    monkeypatch.setattr(event_sources, reader, read)
    assert source(path=tmp_path, out=tmp_path / "out", seed=3, **chosen).read() == "the log"
    assert given == [(tmp_path, {"seed": 3, **chosen})]
    assert {field.name for field in fields(source)} == {"path", "out", "seed", *chosen}
