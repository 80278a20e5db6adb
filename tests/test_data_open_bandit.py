"""The reader of the Open Bandit Dataset, on small files in its format."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recgym.data import Dataset, open_bandit, read_open_bandit
from recgym.errors import RecGymError
from recgym.files import sha256_of

HEADER = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,"
    "user_feature_2,user_feature_3,user-item_affinity_0,user-item_affinity_1\n"
)
ROWS = [
    "0,2019-11-24 00:00:02.500000+00:00,1,2,0,0.25,b,x,y,z,0.0,0.0",
    "1,2019-11-24 00:00:03.500000+00:00,0,1,1,0.75,b,x,y,z,0.0,1.0",
    "2,2019-11-24 00:00:01.500000+00:00,1,2,1,0.5,b,x,y,z,0.0,0.0",
    "3,2019-11-24 00:00:04.500000+00:00,0,3,0,1.0,a,x,y,z,0.0,0.0",
]
ITEMS = (
    ",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3\n"
    "0,0,-1.0,p,r,s\n1,1,3.0,q,r,s\n2,2,1.0,p,r,s\n"
)


def write(folder: Path, rows: list[str] = ROWS, items: str = ITEMS) -> Path:
    place = folder / "bts" / "men"
    place.mkdir(parents=True, exist_ok=True)
    (place / "men.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    (place / "item_context.csv").write_text(items)
    return folder


def read(folder: Path) -> Dataset:
    return read_open_bandit(folder, campaign="men", policy="bts")


def test_a_row_is_a_page_of_one_item_with_its_propensity(tmp_path: Path) -> None:
    dataset = read(write(tmp_path / "raw"))
    dataset.validate()
    sessions = dataset.sessions
    assert dataset.users is not None
    assert dataset.users.user_id == ("a|x|y|z", "b|x|y|z")
    assert sessions.user.tolist() == [0, 1, 1, 1]
    assert sessions.session.tolist() == [3, 1, 2, 2]  # positions
    assert sessions.step.tolist() == [0, 0, 0, 1]
    assert sessions.slate_items.tolist() == [0, 0, 1, 1]
    assert sessions.click.tolist() == [-1, 0, 0, -1]
    assert sessions.item.tolist() == [-1, 0, 1, -1]
    assert sessions.reward.tolist() == [0, 1, 1, 0]
    assert sessions.slot_propensities is not None
    assert sessions.slot_propensities.tolist() == [1.0, 0.75, 0.5, 0.25]
    assert sessions.timestamp is not None
    assert sessions.timestamp.tolist() == [1574553604, 1574553603, 1574553601, 1574553602]
    names = dataset.users.feature_names
    assert names[:2] == ("user_feature_0:a", "user_feature_0:b")
    assert dataset.users.features[:, :2].tolist() == [[1, 0], [0, 1]]
    catalog = dataset.catalog
    assert catalog.item_id == ("0", "1", "2")  # one was never shown
    assert catalog.feature_names[:3] == ("item_feature_0", "item_feature_1:p", "item_feature_1:q")
    assert catalog.features[:, 0] == pytest.approx(np.sqrt([1.5, 1.5, 0]) * [-1, 1, 0], abs=1e-6)
    assert catalog.features[:, 1].tolist() == [1, 0, 1]
    assert dataset.info["lines"] == {
        "men.csv": {"header": 1, "pages": 4},
        "item_context.csv": {"header": 1, "items": 3},
    }
    dataset.save(tmp_path / "log")
    assert Dataset.load(tmp_path / "log").sessions.slot_propensities is not None


@pytest.mark.parametrize(
    ("position", "cell", "message"),
    [
        (1, "today", "column 'timestamp': 'today' is no time"),
        (2, "7", "column 'item_id': an item that item_context.csv does not have"),
        (3, "4", "column 'position': not 1 to 3"),
        (4, "2", "column 'click': a click is 0 or 1"),
        (5, "0", "column 'propensity_score': not a probability above 0"),
        (5, "1.01", "column 'propensity_score': not a probability above 0"),
        (5, "nan", "column 'propensity_score': not a probability above 0"),
        (6, "", "column 'user_feature_0': no value"),
    ],
)
def test_a_malformed_row_is_named(position: int, cell: str, message: str, tmp_path: Path) -> None:
    cells = ROWS[1].split(",")
    cells[position] = cell
    folder = write(tmp_path, [ROWS[0], ",".join(cells)])
    with pytest.raises(RecGymError) as caught:
        read(folder)
    path = folder / "bts" / "men" / "men.csv"
    assert str(caught.value).startswith(f"{path}, line 3, {message}")


def test_an_item_has_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path, items=ITEMS + "3,1,3.0,q,r,s\n")
    with pytest.raises(RecGymError, match="line 5, column 'item_id': it has a line already"):
        read(folder)


def test_the_sample_comes_out_of_a_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = open_bandit.WHEEL
    place = write(tmp_path / "raw") / "bts" / "men"
    with zipfile.ZipFile(tmp_path / known.file, "w") as archive:
        for path in place.iterdir():
            archive.write(path, f"{known.folder}bts/men/{path.name}")
    digest = sha256_of(tmp_path / known.file)
    monkeypatch.setattr(open_bandit, "WHEEL", replace(known, sha256=digest))
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
    dataset = read_open_bandit(campaign="men", policy="bts")
    assert dataset.info["name"] == "open-bandit-men-bts"
    assert dataset.sessions.n_pages == 4
