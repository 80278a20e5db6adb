"""Published logs without slates, or of single items, as ``recgym prepare`` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recgym.data import (
    Dataset,
    read_lastfm,
    read_netflix,
    read_open_bandit,
    read_otto,
    read_retailrocket,
    read_taobao,
    read_yelp,
    read_yoochoose,
)
from recgym.data.netflix import NetflixPreset
from recgym.data.open_bandit import BehaviourPolicy, Campaign
from recgym.data.yoochoose import ShopPreset


@dataclass(frozen=True)
class YooChoose:
    """The log of the RecSys Challenge 2015: clicks and purchases of sessions."""

    path: Path
    """folder with yoochoose-clicks.dat and yoochoose-buys.dat"""
    out: Path
    """folder to write"""
    preset: ShopPreset | None = None
    """the paper whose sequences are kept; none keeps all"""
    seed: int = 0
    """of the drawn sessions, and of the division"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_yoochoose(self.path, preset=self.preset, seed=self.seed)


@dataclass(frozen=True)
class RetailRocket:
    """RetailRocket's log: views, carts and transactions of visitors."""

    path: Path
    """events.csv"""
    out: Path
    """folder to write"""
    preset: ShopPreset | None = None
    """the paper whose sequences are kept; none keeps all"""
    seed: int = 0
    """of the division"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_retailrocket(self.path, preset=self.preset, seed=self.seed)


@dataclass(frozen=True)
class Otto:
    """OTTO's log: clicks, carts and orders of sessions."""

    path: Path
    """a .jsonl file, with a session a line"""
    out: Path
    """folder to write"""
    seed: int = 0
    """of the division"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_otto(self.path, seed=self.seed)


@dataclass(frozen=True)
class Taobao:
    """Taobao's log of page views, favourites, carts and purchases."""

    path: Path
    """UserBehavior.csv"""
    out: Path
    """folder to write"""
    seed: int = 0
    """of the division"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_taobao(self.path, seed=self.seed)


@dataclass(frozen=True)
class Yelp:
    """Yelp's log of reviews, from 1 to 5 stars."""

    path: Path
    """yelp_academic_dataset_review.json"""
    out: Path
    """folder to write"""
    seed: int = 0
    """of the division, and of the order within one time"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_yelp(self.path, seed=self.seed)


@dataclass(frozen=True)
class LastFM:
    """Last.fm's plays of 1K users, or tags or artists of HetRec 2011."""

    path: Path
    """the file, named as it was published, or its folder"""
    out: Path
    """folder to write"""
    seed: int = 0
    """of the division, and of the order within one time"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_lastfm(self.path, seed=self.seed)


@dataclass(frozen=True)
class Netflix:
    """The ratings of the Netflix Prize."""

    path: Path
    """folder with combined_data_1.txt and so on, or with training_set"""
    out: Path
    """folder to write"""
    preset: NetflixPreset | None = None
    """the paper whose sequences are kept; none keeps all"""
    seed: int = 0
    """of the division, and of the order within a day"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_netflix(self.path, preset=self.preset, seed=self.seed)


@dataclass(frozen=True)
class OpenBandit:
    """The Open Bandit Dataset: single items that known policies showed, with propensities."""

    out: Path
    """folder to write"""
    path: Path | None = None
    """folder of the dataset; none downloads its sample (12 MB)"""
    campaign: Campaign = "all"
    """which items were shown"""
    policy: BehaviourPolicy = "random"
    """what showed them: uniformly random, or Bernoulli Thompson sampling"""
    seed: int = 0
    """of the division"""

    def read(self) -> Dataset:
        """Reads the log."""
        return read_open_bandit(
            self.path, campaign=self.campaign, policy=self.policy, seed=self.seed
        )
