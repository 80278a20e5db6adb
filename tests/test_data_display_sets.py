"""The reader of display sets, on small files, and the released logs where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recgym.data import floors, read_display_sets, read_trivago
from recgym.errors import RecGymError
from tests.fixtures.readers import clicked, shown

HEADER = (
    "SessionId\tTime\tItemId\tis_click\traw_index\tsession_new_index\titem_new_index\ttr_val_tst"
)


def display_sets(path: Path, *rows: tuple[str, int, str, int, int]) -> Path:
    lines = [f"{u}\t{t}\t{i}\t{c}\t{n}\t0\t0\t{s}" for n, (u, t, i, c, s) in enumerate(rows)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def test_display_sets_are_mended_and_counted(tmp_path: Path) -> None:
    path = display_sets(
        tmp_path / "log.tsv",
        ("ann", 5, "x", 0, 2),
        ("ann", 5, "y", 0, 2),
        ("ann", 5, "x", 1, 2),  # a repeat: the clicked copy stays
        ("bob", 3, "y", 1, 0),
        ("bob", 3, "z", 1, 0),  # a second click: leaves the page
        ("bob", 3, "x", 0, 0),
        ("ann", 4, "z", 0, 2),  # an earlier page, without a click
        ("bob", 9, "x", 0, 1),  # the same user in another split
    )
    dataset = read_display_sets(path)
    dataset.validate()
    assert dataset.sessions.user.tolist() == [0, 0, 1, 2]
    assert dataset.split.tolist() == [2, 0, 1]
    assert [shown(dataset, p) for p in range(4)] == [{"z"}, {"x", "y"}, {"y", "x"}, {"x"}]
    assert clicked(dataset) == [None, "x", "y", None]
    assert dataset.info["mended"] == {
        "repeats_within_a_page_dropped": 1,
        "clicks_after_the_first_of_a_page_dropped": 1,
        "users_in_several_splits": 1,
    }
    assert dataset.info["lines"]["log.tsv"] == {
        "header": 1,
        "items_on_pages": 6,
        "repeats_within_a_page_dropped": 1,
        "clicks_after_the_first_of_a_page_dropped": 1,
    }
    assert dataset.info["no_click"] is True
    assert dataset.info["repeat_clicks"] is False


def test_display_sets_do_not_give_the_click_away_by_its_slot(tmp_path: Path) -> None:
    rows = [(f"u{t}", t, f"i{n}", int(n == 3), 0) for t in range(400) for n in range(4)]
    dataset = read_display_sets(display_sets(tmp_path / "log.tsv", *rows))
    counts = np.bincount(dataset.sessions.click, minlength=4)
    assert counts.min() > 60  # of 100 expected: 4.6 standard deviations


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ann\tsoon\tx\t0\t0\t0\t0\t0", r"line 3, column 'Time': 'soon' is not a number"),
        ("ann\t2.5\tx\t0\t0\t0\t0\t0", r"line 3, column 'Time': '2.5' is not a whole number"),
        ("ann\t2\tx\t2\t0\t0\t0\t0", "line 3, column 'is_click': a click is 0 or 1"),
        ("ann\t2\tx\t0\t0\t0\t0\t7", "line 3, column 'tr_val_tst': a split is 0, 1 or 2"),
        ("ann\t2\tx", "line 3: 3 fields, not 8"),
        ("ann\t2\t\t0\t0\t0\t0\t0", "line 3, column 'ItemId': no value"),
        ("ann\t1\tx\t0\t0\t0\t0\t1", "line 3, column 'tr_val_tst': a page has one split only"),
        ("ann\t2\tx\t0\t0\t0\t0\t0\tmore", "line 3: 9 fields, not 8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = display_sets(tmp_path / "log.tsv", ("ann", 1, "x", 1, 0))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecGymError, match=message) as caught:
        read_display_sets(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_files_columns_and_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecGymError, match="no such file"):
        read_display_sets(tmp_path / "nothing.tsv")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(RecGymError, match="an empty file"):
        read_display_sets(tmp_path / "empty.tsv")
    with pytest.raises(RecGymError, match="an empty log"):
        read_display_sets(display_sets(tmp_path / "rows.tsv"))
    (tmp_path / "columns.tsv").write_text("SessionId\tTime\tItemId\ttr_val_tst\nann\t1\tx\t0\n")
    with pytest.raises(RecGymError, match="no column 'is_click'"):
        read_display_sets(tmp_path / "columns.tsv")


def test_released_logs_keep_their_facts(real_data: Path) -> None:
    """The baselines of the released samples, which any honest reading must find again."""
    yelp = read_display_sets(real_data / "gan_yelp.tsv")
    yelp.validate()
    assert [yelp.pages(split).n_pages for split in ("train", "validation", "test")] == [
        841,
        447,
        437,
    ]
    assert floors(yelp)["random"]["precision_at_1"] == pytest.approx(0.397, abs=5e-4)
    trivago = read_trivago(real_data / "trivago.parquet")
    trivago.validate()
    pages = trivago.sessions.slate_sizes > 0
    assert (trivago.sessions.click[pages] == 0).mean() == pytest.approx(0.31, abs=5e-3)
