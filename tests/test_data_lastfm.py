"""The readers of Last.fm's logs, on small files in their formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from recgym.data import read_lastfm
from recgym.data.lastfm import ARTISTS, COUNTS, PLAYS, TAGS
from recgym.errors import RecGymError
from tests.fixtures.sequences import sequences

THE_PLAYS = (
    "user_2\t2009-05-04T23:08:57Z\tf1b1\tDeep Dish\t\tOne Night\n"
    'user_2\t2009-05-04T13:54:10Z\t\t"Quoted\t\tA Track\n'
    "user_1\t2009-05-04T13:52:04Z\ta7f7\t\tx\tA Track\n"
    "user_2\t2009-05-04T13:42:52Z\tf1b1\tDeep dish\t\tAnother\n"
    "user_1\t2009-05-04T13:42:11Z\t\t\t\tNobody's\n"
)
NAMES = "id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://x\t\n52\tMorcheeba\thttp://y\t\n"


def test_plays_are_of_artists_by_id_or_by_name(tmp_path: Path) -> None:
    path = tmp_path / PLAYS
    path.write_text(THE_PLAYS)
    dataset = read_lastfm(path)
    dataset.validate()
    assert sequences(dataset) == [["a7f7"], ["f1b1", '"Quoted', "f1b1"]]
    assert dataset.catalog.title == ('"Quoted', "a7f7", "Deep Dish")
    assert dataset.sessions.reward.tolist() == [1, 1, 1, 1]
    assert dataset.sessions.timestamp is not None
    assert dataset.sessions.timestamp[0] == 1_241_445_124  # 2009-05-04 13:52:04
    assert dataset.info["lines"] == {PLAYS: {"events": 4, "plays_without_artist_dropped": 1}}


def test_tags_of_an_artist_at_one_time_are_one_event(tmp_path: Path) -> None:
    (tmp_path / TAGS).write_text(
        "userID\tartistID\ttagID\ttimestamp\n"
        "2\t52\t13\t1238536800000\n2\t52\t15\t1238536800000\n2\t51\t13\t1230000000000\n"
        "2\t52\t13\t1240000000000\n1\t51\t1\t1240000000000\n"
    )
    dataset = read_lastfm(tmp_path)
    dataset.validate()
    assert sequences(dataset) == [["51"], ["51", "52", "52"]]
    assert dataset.catalog.title is None
    dropped = {"repeats_of_one_artist_at_one_time_dropped": 1}
    assert dataset.info["lines"] == {TAGS: {"header": 1, "events": 4} | dropped}
    (tmp_path / ARTISTS).write_text(NAMES)
    assert read_lastfm(tmp_path).catalog.title == ("Duran Duran", "Morcheeba")


def test_artists_played_have_no_times_and_a_random_order(tmp_path: Path) -> None:
    lines = "".join(f"2\t{artist}\t{9 * artist}\n" for artist in range(30))
    (tmp_path / COUNTS).write_text("userID\tartistID\tweight\n" + lines)
    one, other = (read_lastfm(tmp_path / COUNTS, seed=seed) for seed in (0, 1))
    assert one.sessions.timestamp is None
    assert sequences(one) != sequences(other)
    assert sorted(sequences(one)[0], key=int) == [str(artist) for artist in range(30)]


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match=r"no log of Last.fm \(looked for userid-"):
        read_lastfm(tmp_path)
    with pytest.raises(RecGymError, match=r"plays.tsv: not named like a log of Last.fm"):
        read_lastfm(tmp_path / "plays.tsv")
    path = tmp_path / PLAYS
    path.write_text(THE_PLAYS.replace("T13:52:04Z", " 13:52:04"))
    with pytest.raises(
        RecGymError, match="line 3, column 'time': '2009-05-04 13:52:04' is no time"
    ):
        read_lastfm(path)
    path.write_text(THE_PLAYS + "user_1\t2009-05-04T13:42:11Z\tx\n")
    with pytest.raises(RecGymError, match="line 6: 3 fields, not 6"):
        read_lastfm(path)
