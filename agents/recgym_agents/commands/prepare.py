"""Turns a raw log into a prepared dataset: sessions, catalog, split, and where they come from.

Examples:
    recgym prepare movielens --out data/ml-100k
    recgym prepare display-sets --path gan_yelp.tsv --out data/yelp
    recgym prepare trivago --path train.csv --out data/trivago
    recgym prepare cikm-cup --path cikm-cup-2016 --out data/cikm-cup
    recgym prepare yoochoose --path yoochoose --preset lpi --out data/yoochoose
    recgym prepare clicks --path log.csv --columns user=u shown=s clicked=c --out data/me
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from recgym.data import (
    Dataset,
    read_cikm_cup,
    read_clicks,
    read_display_sets,
    read_movielens,
    read_trivago,
)
from recgym.data.click_columns import named_columns
from recgym.data.dataset import FILES, FOLDER
from recgym.data.descriptions import counts
from recgym.data.movielens import LowRatings, Rewards
from recgym.data.trivago import Interactions
from recgym.files import read_json
from recgym.whole_folders import DIGESTS, check_place
from recgym_agents.commands.event_sources import (
    LastFM,
    Netflix,
    OpenBandit,
    Otto,
    RetailRocket,
    Taobao,
    Yelp,
    YooChoose,
)

LEAK = 0.5
WITHOUT_SLATES = (
    "  note: no page says what was shown, so no user model can be fitted to this log (recgym fit),"
    " and agents that learn from slates cannot use it; those that learn from sequences can, such"
    " as lpi-rl (docs/offline.md)"
)


@dataclass(frozen=True)
class DisplaySets:
    """The display sets released by the authors of the GAN user model."""

    path: Path
    """the tab-separated file"""
    out: Path
    """folder to write"""
    seed: int = 0
    """of the order of the items on a page"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_display_sets(self.path, seed=self.seed)


@dataclass(frozen=True)
class MovieLens:
    """MovieLens ratings, each shown among other movies of its release year."""

    out: Path
    """folder to write"""
    path: Path | None = None
    """folder of MovieLens 100K, 1M, 25M, or an atomic file; none downloads 100K (2 MB)"""
    low_ratings: LowRatings = "no-click"
    """what fewer than 3 stars become: a page without a click, a click, or nothing"""
    rewards: Rewards = "click"
    """what is worth 1: every click, or those on a movie that was given 5 stars"""
    session_gap: int | None = None
    """minutes without a rating after which a user has left; none makes one session a user"""
    page_size: int = 40
    """items on a page"""
    users: int | None = None
    """how many users to draw at random; none takes all"""
    min_ratings: int = 20
    """leave out users with fewer ratings"""
    seed: int = 0
    """of pages, ties, users and split"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_movielens(
            self.path,
            low_ratings=self.low_ratings,
            rewards=self.rewards,
            session_gap=self.session_gap,
            page_size=self.page_size,
            users=self.users,
            min_ratings=self.min_ratings,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Trivago:
    """The log of the RecSys Challenge 2019: true impressions, prices, clickouts."""

    path: Path
    """train.csv, or the same table as Parquet"""
    out: Path
    """folder to write"""
    interactions: Interactions = "history"
    """what users do with single items: events of the history, or clicks on pages of their own"""
    seed: int = 0
    """of the split of the users"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_trivago(self.path, interactions=self.interactions, seed=self.seed)


@dataclass(frozen=True)
class CIKMCup:
    """The log of the CIKM Cup 2016, track 2: lists of a shop's search, clicks, purchases."""

    path: Path
    """folder with train-queries.csv, train-clicks.csv and train-purchases.csv"""
    out: Path
    """folder to write"""
    seed: int = 0
    """of the drawn sessions and their division"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_cikm_cup(self.path, seed=self.seed)


@dataclass(frozen=True)
class Clicks:
    """A log of your own: a row an impression, a page, or a click (see docs/data.md)."""

    path: Path
    """a .csv, .tsv, .jsonl or .parquet file, also with .gz after that"""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROLE=NAME")]
    """which column is what: user, item, time, shown, clicked, reward, session, split, page"""
    out: Path
    """folder to write"""
    items: Path | None = None
    """file of the items: the id first, then title and features"""
    users: Path | None = None
    """file of the users: the id first, then features"""
    clicks_only: bool = False
    """every row is a click, and what was shown is not in the log"""
    session_gap: float | None = None
    """minutes without a page after which a session is over; none makes one session a user"""
    shuffled: bool = False
    """the order of the slots has no meaning in the log: draw them at random"""
    list_separator: str = "|"
    """between the ids of a list in text"""
    name: str | None = None
    """of the dataset; the file's if not given"""
    licence: str | None = None
    """of the log"""
    seed: int = 0
    """of the split of the users, and of slots that are drawn"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_clicks(
            self.path,
            named_columns(self.columns),
            items=self.items,
            users=self.users,
            clicks_only=self.clicks_only,
            session_gap=self.session_gap,
            shuffled=self.shuffled,
            list_separator=self.list_separator,
            name=self.name,
            licence=self.licence,
            seed=self.seed,
        )


Source = (
    Annotated[CIKMCup, tyro.conf.subcommand("cikm-cup")]
    | Annotated[Clicks, tyro.conf.subcommand("clicks")]
    | Annotated[DisplaySets, tyro.conf.subcommand("display-sets")]
    | Annotated[LastFM, tyro.conf.subcommand("lastfm")]
    | Annotated[MovieLens, tyro.conf.subcommand("movielens")]
    | Annotated[Netflix, tyro.conf.subcommand("netflix")]
    | Annotated[OpenBandit, tyro.conf.subcommand("open-bandit")]
    | Annotated[Otto, tyro.conf.subcommand("otto")]
    | Annotated[RetailRocket, tyro.conf.subcommand("retailrocket")]
    | Annotated[Taobao, tyro.conf.subcommand("taobao")]
    | Annotated[Trivago, tyro.conf.subcommand("trivago")]
    | Annotated[Yelp, tyro.conf.subcommand("yelp")]
    | Annotated[YooChoose, tyro.conf.subcommand("yoochoose")]
)


def main(source: Annotated[Source, tyro.conf.arg(name="")]) -> None:
    """Turns a raw log into a prepared dataset."""
    check_place(source.out, (*FILES, DIGESTS), FOLDER)
    dataset = source.read()
    command = shlex.join(["recgym", "prepare", *sys.argv[1:]])
    replace(dataset, info=dataset.info | {"command": command}).save(source.out)
    saved = read_json(source.out / "info.json")
    info = dataset.info | {"counts": counts(dataset), "floors": saved["floors"]}
    print_summary(info, source.out)


def leaks(scores: dict[str, dict[str, float]], simulated: bool = True) -> list[str]:
    """Returns the rules that no honest page lets find its click more often than not.

    Click rates may do so on small pages of a real log, but not on simulated ones (with years); and
    age may on a real log.
    """
    telling = {"first_slot", "last_slot"}
    if simulated:
        telling |= {"oldest", "newest"} | ({"item_ctr"} if "oldest" in scores else set())
    found = {rule: score["precision_at_1"] for rule, score in scores.items()}
    if found.get("random") == 1:  # pages of one item have nothing to leak
        return []
    return [rule for rule in found if rule in telling and found[rule] > LEAK]


def beside_the_paper(preset: dict[str, Any]) -> str:
    """Returns what is left of a log before sequences are cut short, beside what a paper counts."""
    found, printed = preset["found"], preset["printed"]
    pairs = (f"{found[what]:,} {what} ({count:,})" for what, count in printed.items())
    return f"preset {preset['name']} (in brackets {preset['source']}): {', '.join(pairs)}"


def print_summary(info: dict[str, Any], out: Path) -> None:
    """Prints how the log was read, counts, what was mended, and what needs no user model."""
    print(f"{info['name']} (licence: {info['licence']})")
    for what, how in info.get("read_as", {}).items():
        print(f"  {what}: {how}")
    for name, lines in info.get("lines", {}).items():
        became = ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in lines.items())
        print(f"  lines of {name}: {became}")
    print("  " + ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in info["counts"].items()))
    for what, count in info["mended"].items():
        if count:
            print(f"  mended: {count:,} {what.replace('_', ' ')}")
    if "division" in info:
        print(f"  divided at random: {info['division']}")
    if "preset" in info:
        print("  " + beside_the_paper(info["preset"]))
    for rule, scores in info["floors"].items():
        one, two = scores["precision_at_1"], scores["precision_at_2"]
        print(f"  without a user model, on test pages: {rule:10s} P@1 {one:.3f}  P@2 {two:.3f}")
    own = "read_as" in info
    why = "if slots have no meaning in the log, add --shuffled" if own else "the pages leak it"
    for rule in leaks(info["floors"], simulated=not own):
        print(f"  warning: {rule} finds the click on over half the pages: {why}")
    if not info["counts"]["pages"]:
        print(WITHOUT_SLATES)
    print(f"written to {out}")
