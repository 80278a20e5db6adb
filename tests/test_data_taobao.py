"""The reader of Taobao's user behaviour, on small files in its format."""

from __future__ import annotations

from pathlib import Path

import pytest

from recgym.data import read_taobao
from recgym.data.taobao import AFTER, FIRST
from recgym.errors import RecGymError
from tests.fixtures.sequences import sequences


def test_four_behaviours_are_three_kinds_and_other_days_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "UserBehavior.csv"
    path.write_text(
        f"7,20,1,fav,{FIRST + 5}\n"
        f"7,10,1,pv,{FIRST}\n"
        f"7,10,1,buy,{AFTER - 1}\n"
        f"3,20,1,cart,{FIRST + 9}\n"
        f"3,20,1,pv,{FIRST - 1}\n"
        f"3,20,1,pv,{AFTER}\n"
        "3,20,1,pv,-1\n"
    )
    dataset = read_taobao(path)
    dataset.validate()
    assert sequences(dataset) == [["20"], ["10", "20", "10"]]  # of users 3 and 7
    sessions = dataset.sessions
    assert sessions.event is not None
    assert sessions.event.tolist() == [1, 0, 1, 2]
    assert sessions.timestamp is not None
    assert sessions.timestamp.tolist() == [FIRST + 9, FIRST, FIRST + 5, AFTER - 1]
    dropped = {"events_outside_the_nine_days_dropped": 3}
    assert dataset.info["mended"] == dropped
    assert dataset.info["lines"] == {"UserBehavior.csv": {"events": 4} | dropped}


def test_a_malformed_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "UserBehavior.csv"
    path.write_text(f"7,20,1,fav,{FIRST}\n7,20,1,like,{FIRST}\n")
    with pytest.raises(RecGymError) as caught:
        read_taobao(path)
    message = "line 2, column 'event': 'like' is none of pv, cart, buy, fav"
    assert str(caught.value) == f"{path}, {message}"
    path.write_text("7,20,1,pv,5\n")
    with pytest.raises(RecGymError, match="^taobao: an empty log"):
        read_taobao(path)
