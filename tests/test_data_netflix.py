"""The reader of the Netflix Prize, on small files in its two editions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym.data import Dataset, read_netflix
from recgym.errors import RecGymError
from tests.fixtures.sequences import sequences

MOVIES = {
    1: [(7, 5, "2005-09-06"), (9, 3, "2005-01-01")],
    2: [(7, 1, "2005-05-13")],
    3: [],
    10: [(7, 2, "2004-01-01"), (9, 4, "2005-01-02")],
}
"""movie -> user, stars, date"""


def text(movie: int) -> str:
    ratings = "".join(f"{user},{stars},{date}\n" for user, stars, date in MOVIES[movie])
    return f"{movie}:\n{ratings}"


def combined(folder: Path) -> Path:
    (folder / "combined_data_1.txt").write_text(text(1) + "\n" + text(2) + text(3))
    (folder / "combined_data_2.txt").write_text(text(10))
    return folder


def one_a_movie(folder: Path) -> Path:
    (folder / "training_set").mkdir()
    for movie in MOVIES:
        (folder / "training_set" / f"mv_{movie:07d}.txt").write_text(text(movie))
    return folder


def check(dataset: Dataset) -> None:
    dataset.validate()
    assert sequences(dataset) == [["10", "2", "1"], ["1", "10"]]  # of users 7 and 9
    assert dataset.sessions.reward.tolist() == [0, 0, 1, 0.5, 1]
    assert dataset.sessions.timestamp is not None
    assert dataset.sessions.timestamp[0] == 1_072_915_200  # 2004-01-01


def test_both_editions_are_the_same_log(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    dataset = read_netflix(combined(first))
    check(dataset)
    lines = {"movies": 4, "events": 5}
    assert dataset.info["lines"] == {"combined_data_*.txt": {"blank": 1} | lines}
    dataset = read_netflix(one_a_movie(second))
    check(dataset)
    assert dataset.info["lines"] == {"training_set/mv_*.txt": lines}
    check(read_netflix(second / "training_set"))
    assert dataset.catalog.title is None
    (second / "movie_titles.csv").write_bytes(
        "1,2003,One, two\n2,NULL,Am\xe9lie\n".encode("latin-1")
    )
    assert read_netflix(second).catalog.title == ("One, two", "Am\xe9lie", "10")


def test_the_order_within_a_day_is_drawn(tmp_path: Path) -> None:
    lines = "".join(f"{movie}:\n7,5,2005-09-06\n" for movie in range(1, 30))
    (tmp_path / "combined_data_1.txt").write_text(lines)
    one, other = (sequences(read_netflix(tmp_path, seed=seed))[0] for seed in (0, 1))
    assert sorted(one) == sorted(other)
    assert one != other
    assert one != sorted(one, key=int)


def test_the_preset_keeps_the_last_200_of_users_with_5(tmp_path: Path) -> None:
    dates = [f"200{year}-{month:02d}-{day:02d}" for year in range(5) for month in range(1, 13)
             for day in range(1, 6)]  # fmt: skip
    lines = "".join(f"{n}:\n7,5,{date}\n" for n, date in enumerate(dates, 1))
    lines += "".join(f"{n}:\n8,1,2005-01-0{n}\n" for n in range(1, 5))
    (tmp_path / "combined_data_1.txt").write_text(lines)
    dataset = read_netflix(tmp_path, preset="lpi")
    assert sequences(dataset) == [[str(n) for n in range(101, 301)]]
    assert dataset.info["mended"] == {
        "sequences_of_fewer_than_5_events_left_out": 1,
        "events_before_the_last_200_left_out": 100,
    }
    assert dataset.info["preset"]["found"] == {"sequences": 1, "items": 300, "events": 300}


def test_the_preset_divides_as_the_paper_does(tmp_path: Path) -> None:
    lines = "".join(
        f"{movie}:\n" + "".join(f"{user},4,2005-01-0{movie}\n" for user in range(473))
        for movie in range(1, 6)
    )
    (tmp_path / "combined_data_1.txt").write_text(lines)
    dataset = read_netflix(tmp_path, preset="lpi")
    assert np.bincount(dataset.split).tolist() == [433, 20, 20]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7,5", "line 2, column 'line': neither a movie, such as '8:', nor 'user,stars,date'"),
        ("eight:", "line 2, column 'line': neither a movie, such as '8:', nor 'user,stars,date'"),
        ("x,5,2005-01-01", "line 2, column 'user': not a number of 32 bits"),
        ("7,6,2005-01-01", "line 2, column 'stars': not 1, 2, 3, 4 or 5"),
        ("7,5,01.01.2005", "line 2, column 'date': no date such as 2005-09-06"),
    ],
)
def test_a_malformed_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "combined_data_1.txt"
    path.write_text("1:\n" + line + "\n")
    with pytest.raises(RecGymError) as caught:
        read_netflix(tmp_path)
    assert str(caught.value) == f"{path}, {message}"


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match=r"no Netflix ratings \(looked for combined_data"):
        read_netflix(tmp_path)
    path = tmp_path / "combined_data_1.txt"
    path.write_text("7,5,2005-01-01\n")
    with pytest.raises(RecGymError, match="line 1, column 'line': a rating with no line such as"):
        read_netflix(tmp_path)
    path.write_text("1:\n7,5,2005-01-01\n")
    (tmp_path / "movie_titles.txt").write_text("1,2003,One\ntwo,2003,Two\n")
    with pytest.raises(RecGymError, match="movie_titles.txt, line 2: not 'movie,year,title'"):
        read_netflix(tmp_path)
