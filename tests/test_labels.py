"""What items are called in pictures: titles and genres of a dataset, or clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym import RecGymError
from recgym.data import Catalog, movielens
from recgym.labels import clusters, load_labels

FEATURES = np.zeros((30, 2), np.float32)


def catalog(genres: bool) -> Catalog:
    titles = tuple(f"Film {number}" for number in range(30))
    values = np.zeros((30, 2 if genres else 0), np.float32)
    if genres:
        values[4, 1] = values[5, 0] = 1.0
    names = ("genre:Drama", "genre:War") if genres else ()
    return Catalog(tuple(map(str, range(30))), titles, values, names)


def test_of_a_prepared_dataset_are_its_titles_and_genres(tmp_path: Path) -> None:
    catalog(genres=True).save(tmp_path / "catalog.parquet")
    labels = load_labels(str(tmp_path), 30, FEATURES)
    assert labels.titles is not None
    assert labels.titles[29] == "Film 29"
    assert labels.kinds == ("Drama", "War")
    assert labels.member[[3, 4, 5]].tolist() == [[False, False], [False, True], [True, False]]


def test_without_genres_items_are_in_clusters(tmp_path: Path) -> None:
    catalog(genres=False).save(tmp_path / "catalog.parquet")
    labels = load_labels(str(tmp_path), 30, FEATURES)
    assert labels.titles is not None
    assert labels.kinds[0] == "cluster 1"


def test_clusters_are_of_items_near_each_other() -> None:
    corners = np.repeat(9.0 * np.eye(8, dtype=np.float32), 5, axis=0)
    noise = np.random.default_rng(0).standard_normal(corners.shape)
    order = np.random.default_rng(1).permutation(40)
    names, member = clusters((corners + noise)[order].astype(np.float32), 40)
    assert names == tuple(f"cluster {number}" for number in range(1, 9))
    assert member.sum(axis=0).tolist() == [5] * 8
    for column in range(8):
        assert len(set(order[member[:, column]] // 5)) == 1


def test_items_without_features_have_no_clusters() -> None:
    names, member = clusters(None, 3)
    assert (names, member.shape) == ((), (3, 0))


def test_movielens_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = ["item_id\tmovie_title\trelease_year\tclass", "1\tUp\t2009\tDrama War", "2\tDown\t1\t"]
    (tmp_path / "ml-100k.item").write_text("\n".join(lines) + "\n")
    (tmp_path / "ml-100k.inter").write_text("not read")
    monkeypatch.setattr(movielens, "fetch_movielens_100k", lambda _: tmp_path)
    labels = load_labels("movielens", 2, FEATURES[:2])
    assert labels.titles == ("Up", "Down")
    assert labels.kinds == ("Drama", "War")
    with pytest.raises(RecGymError, match=r"titles='movielens': a dataset of 2 items cannot name"):
        load_labels("movielens", 30, FEATURES)


def test_without_a_network_an_error_says_what_else_titles_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(RecGymError, match="could not be downloaded .* folder of a prepared") as it:
        load_labels("movielens", 2, FEATURES[:2])
    assert "\n" not in str(it.value)


def test_what_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match=r"catalog\.parquet"):
        load_labels(str(tmp_path), 30, FEATURES)
    catalog(genres=False).save(tmp_path / "catalog.parquet")
    with pytest.raises(RecGymError, match="a dataset of 30 items cannot name this world's 31"):
        load_labels(str(tmp_path), 31, FEATURES)
    with pytest.raises(RecGymError, match="items are new at every step"):
        load_labels(str(tmp_path), 30, None)
