"""The reader of Yelp's reviews, on small files in its format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recgym.data import read_yelp
from recgym.errors import RecGymError
from tests.fixtures.sequences import sequences

REVIEWS = [
    ("u2", "caf\u00e9", 5.0, "2018-07-07 22:09:11"),
    ("u1", "bar", 1, "2016-03-09"),
    ("u1", "zoo", 3, "2015-03-09"),
    ("u1", "caf\u00e9", 2.0, "2017-03-09"),
]


def write(path: Path, *reviews: tuple[object, ...]) -> Path:
    names = ("user_id", "business_id", "stars", "date")
    lines = [
        json.dumps({"review_id": "r", **dict(zip(names, one, strict=True)), "text": 'a "b"\n,'})
        for one in reviews
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_reviews_become_sequences_with_rewards(tmp_path: Path) -> None:
    dataset = read_yelp(write(tmp_path / "review.json", *REVIEWS))
    dataset.validate()
    assert sequences(dataset) == [["zoo", "bar", "caf\u00e9"], ["caf\u00e9"]]
    assert dataset.sessions.reward.tolist() == [0.5, 0, 0, 1]
    assert dataset.sessions.event is None
    assert dataset.sessions.timestamp is not None
    assert dataset.sessions.timestamp[-1] == 1_531_001_351  # 2018-07-07 22:09:11
    assert dataset.info["lines"] == {"review.json": {"events": 4}}


@pytest.mark.parametrize(
    ("review", "message"),
    [
        (("u", "", 1, "2016-03-09"), "column 'business_id': no value"),
        ((None, "b", 1, "2016-03-09"), "column 'user_id': no value"),
        (("u", "b", 1.5, "2016-03-09"), "column 'stars': not 1, 2, 3, 4 or 5"),
        (("u", "b", None, "2016-03-09"), "column 'stars': not 1, 2, 3, 4 or 5"),
        (("u", "b", 1, "9/3/2016"), "column 'date': no date such as 2018-07-07 22:09:11"),
    ],
)
def test_a_malformed_review_is_named(
    review: tuple[object, ...], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "review.json", REVIEWS[0], review)
    with pytest.raises(RecGymError) as caught:
        read_yelp(path)
    assert str(caught.value) == f"{path}, line 2, {message}"
