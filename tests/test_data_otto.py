"""The reader of OTTO's log, on small files in its format."""

from __future__ import annotations

from pathlib import Path

import pytest

from recgym.data import read_otto
from recgym.errors import RecGymError
from tests.fixtures.sequences import sequences

LOG = """\
{"session":8,"events":[{"aid":30,"ts":1659304800025,"type":"clicks"},\
{"aid":4,"ts":1659304800030,"type":"carts"},{"aid":4,"ts":1659304801999,"type":"orders"}]}
{"session":2,"events":[{"aid":4,"ts":1659304900000,"type":"clicks"}]}
{"session":5,"events":[]}
"""


def test_a_session_a_line_becomes_a_sequence(tmp_path: Path) -> None:
    path = tmp_path / "otto.jsonl"
    path.write_text(LOG)
    dataset = read_otto(path)
    dataset.validate()
    assert sequences(dataset) == [["4"], ["30", "4", "4"]]  # of sessions 2 and 8
    sessions = dataset.sessions
    assert sessions.event is not None
    assert sessions.event.tolist() == [0, 0, 1, 2]
    assert sessions.timestamp is not None
    assert sessions.timestamp.tolist() == [1659304900, 1659304800, 1659304800, 1659304801]
    assert sessions.reward.tolist() == pytest.approx([0.2, 0.2, 0.5, 1])
    assert dataset.info["mended"] == {"sessions_without_events_dropped": 1}
    lines = {"sessions": 2, "sessions_without_events_dropped": 1}
    assert dataset.info["lines"] == {"otto.jsonl": lines}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"session":2,"events":[]}', "column 'session': it has a line already"),
        ('{"events":[]}', "column 'session': not a whole number"),
        ('{"session":1.5,"events":[]}', "column 'session': not a whole number"),
        ('{"session":9}', "column 'events': no list of events"),
        ('{"session":9,"events":[{"ts":1,"type":"carts"}]}', "column 'aid': not a whole number"),
        (
            '{"session":9,"events":[{"aid":1.5,"ts":1,"type":"carts"}]}',
            "column 'aid': not a whole number",
        ),
        ('{"session":9,"events":[{"aid":1,"type":"carts"}]}', "column 'ts': not a whole number"),
        (
            '{"session":9,"events":[{"aid":1,"ts":1,"type":"views"}]}',
            "column 'type': none of clicks, carts, orders",
        ),
        ('{"session":9,"events":[null]}', "column 'aid': not a whole number"),
    ],
)
def test_a_malformed_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "otto.jsonl"
    path.write_text(LOG + line + "\n")
    with pytest.raises(RecGymError) as caught:
        read_otto(path)
    assert str(caught.value) == f"{path}, line 4, {message}"


def test_a_log_of_empty_sessions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "otto.jsonl"
    path.write_text('{"session":5,"events":[]}\n')
    with pytest.raises(RecGymError, match="^otto: an empty log"):
        read_otto(path)
