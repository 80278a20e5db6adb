"""Turns a raw log into a prepared dataset: sessions, catalog, split, and where they come from.

Examples:
    python scripts/prepare.py movielens --out data/ml-100k
    python scripts/prepare.py display-sets --path gan_yelp.tsv --out data/yelp
    python scripts/prepare.py trivago --path train.csv --out data/trivago
    python scripts/prepare.py cikm-cup --path cikm-cup-2016 --out data/cikm-cup
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from command_line import run
from recgym.data import Dataset, read_cikm_cup, read_display_sets, read_movielens, read_trivago
from recgym.data.dataset import FILES, FOLDER
from recgym.data.movielens import LowRatings, Rewards
from recgym.data.trivago import Interactions
from recgym.data.trivial_rules import floors
from recgym.whole_folders import DIGESTS, check_place

LEAK = 0.5


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


Source = (
    Annotated[CIKMCup, tyro.conf.subcommand("cikm-cup")]
    | Annotated[DisplaySets, tyro.conf.subcommand("display-sets")]
    | Annotated[MovieLens, tyro.conf.subcommand("movielens")]
    | Annotated[Trivago, tyro.conf.subcommand("trivago")]
)


def main(source: Annotated[Source, tyro.conf.arg(name="")]) -> None:
    """Turns a raw log into a prepared dataset."""
    check_place(source.out, (*FILES, DIGESTS), FOLDER)
    dataset = source.read()
    dataset.validate()
    command = shlex.join(["python", "scripts/prepare.py", *sys.argv[1:]])
    info = dataset.info | {"command": command, "counts": counts(dataset), "floors": floors(dataset)}
    dataset = replace(dataset, info=info)
    dataset.save(source.out)
    print_summary(dataset, source.out)


def counts(dataset: Dataset) -> dict[str, int]:
    """Returns how much there is of what."""
    sessions = dataset.sessions
    return {
        "users": dataset.n_users,
        "pages": int((sessions.slate_sizes > 0).sum()),
        "clicked_pages": int((sessions.click >= 0).sum()),
        "events_without_slate": int((sessions.slate_sizes == 0).sum()),
        "pages_of_one_item": int((sessions.slate_sizes == 1).sum()),
        "items": dataset.catalog.n_items,
    }


def leaks(scores: dict[str, dict[str, float]]) -> list[str]:
    """Returns the rules that no honest page lets find its click more often than not.

    Click rates may do so on small pages of a real log, but not on simulated ones (with years).
    """
    telling = {"oldest", "newest", "first_slot", "last_slot"}
    telling |= {"item_ctr"} if "oldest" in scores else set()
    return [rule for rule in scores if rule in telling and scores[rule]["precision_at_1"] > LEAK]


def print_summary(dataset: Dataset, out: Path) -> None:
    """Prints counts, what was mended, and the floors."""
    info = dataset.info
    print(f"{info['name']} (licence: {info['licence']})")
    print("  " + ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in info["counts"].items()))
    for what, count in info["mended"].items():
        if count:
            print(f"  mended: {count:,} {what.replace('_', ' ')}")
    for rule, scores in info["floors"].items():
        one, two = scores["precision_at_1"], scores["precision_at_2"]
        print(f"  floor on test pages: {rule:10s} P@1 {one:.3f}  P@2 {two:.3f}")
    for rule in leaks(info["floors"]):
        print(f"  warning: {rule} finds the click on over half the pages: the pages leak it")
    print(f"written to {out}")


if __name__ == "__main__":
    run(main)
