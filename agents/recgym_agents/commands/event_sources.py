"""Published logs of events without slates, as ``recgym prepare`` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recgym.data import Dataset, read_retailrocket, read_yoochoose
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
