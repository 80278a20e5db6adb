"""Files of items and users: features by hand, and one line for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recgym.data.feature_files import read_items, read_users
from recgym.errors import RecGymError


def write(folder: Path, text: str, name: str = "items.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_numbers_are_standardised_and_words_one_column_each(tmp_path: Path) -> None:
    text = "sku,price,kind,flag,title,same\na,1,red|big,true,A,5\nb,3, red ,,B,5\nc,5,,false,,5\n"
    catalog, lines = read_items(write(tmp_path, text), ["a"])
    catalog.validate()
    assert lines == {"items.csv": {"header": 1, "items": 3}}
    assert catalog.item_id == ("a", "b", "c")
    assert catalog.title == ("A", "B", "c")
    assert catalog.feature_names == (
        "price", "kind:big", "kind:red", "flag:false", "flag:true", "same"
    )  # fmt: skip
    spread = np.float32(1.5**0.5)
    expected = [[-spread, 1, 1, 0, 1, 0], [0, 0, 1, 0, 0, 0], [spread, 0, 0, 1, 0, 0]]
    np.testing.assert_allclose(catalog.features, expected, rtol=1e-6)


def test_lists_of_json_are_words_and_ids_need_no_features(tmp_path: Path) -> None:
    rows = [{"sku": 7, "genres": ["x", "y"]}, {"sku": 8, "genres": "y"}, {"sku": 9}]
    path = write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "items.jsonl")
    catalog, _ = read_items(path, ["9"])
    assert catalog.item_id == ("7", "8", "9")
    assert catalog.features.tolist() == [[1, 1], [0, 1], [0, 0]]
    catalog, _ = read_items(write(tmp_path, "sku\na\nb\n"), ["a"])
    assert catalog.features.shape == (2, 0)
    assert catalog.title is None


def test_users_come_in_the_order_of_the_log(tmp_path: Path) -> None:
    users, lines = read_users(write(tmp_path, "who,city\na,Oslo\nb,Rome\nc,\n"), ["c", "a", "c"])
    users.validate()
    assert users.user_id == ("c", "a", "c")
    assert lines["items.csv"] == {"header": 1, "users": 2, "users_not_in_the_log": 1}
    assert users.feature_names == ("city:Oslo", "city:Rome")
    assert users.features.tolist() == [[0, 0], [1, 0], [0, 0]]
    assert users.select(np.array([1])).user_id == ("a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\na\n", "column 'id': no line for item 'b', nor for 1 others, which the log has"),
        ("id\na\nb\nc\na\n", "line 5, column 'id': item 'a' has a line already"),
        ("id,x\na,1\nb,2\nc,\n", "line 4, column 'x': no value, in a column of numbers"),
        ("id,x\na,1\nb,nan\nc,2\n", "line 3, column 'x': 'nan' is not a finite number"),
        ("id,x\na,1\nb,n/a\nc,2\n", "line 3, column 'x': 'n/a' is not a finite number"),
        ("id,x\na,1\nb,inf\nc,2\n", "line 3, column 'x': 'inf' is not a finite number"),
        (" ,x\n,1\n", "no value"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RecGymError, match=message) as caught:
        read_items(path, ["a", "b", "c"])
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_column_of_names_is_no_feature(tmp_path: Path) -> None:
    text = "id,author\n" + "".join(f"{i},author {i}\n" for i in range(101))
    with pytest.raises(RecGymError, match="column 'author': 101 different words"):
        read_items(write(tmp_path, text), [])


def test_an_id_is_no_list(tmp_path: Path) -> None:
    path = write(tmp_path, '{"id": ["a"]}\n', "items.jsonl")
    with pytest.raises(RecGymError, match="column 'id', the first, holds lists"):
        read_items(path, [])
    path = write(tmp_path, '{"id": "a", "title": ["b"]}\n', "items.jsonl")
    with pytest.raises(RecGymError, match="column 'title' holds lists"):
        read_items(path, [])
