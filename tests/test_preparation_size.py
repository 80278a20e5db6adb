"""The generated log that preparation is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import preparation_size
from preparation_size import generate
from recgym.data import read_yoochoose


def test_the_generated_log_is_like_the_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation_size, "AT_ONCE", 1_000)  # several blocks
    generate(tmp_path, 20_000)
    dataset = read_yoochoose(tmp_path)
    dataset.validate()
    assert dataset.n_users == round(20_000 / preparation_size.CLICKS_A_SESSION)
    assert dataset.sessions.event is not None
    clicks = dataset.sessions.event == 0
    assert 18_000 < clicks.sum() < 22_000
    assert 0.025 < (~clicks).sum() / clicks.sum() < 0.045
    popular = np.sort(np.bincount(dataset.sessions.item))[::-1]
    assert popular[:100].sum() > 5 * popular[1_000:1_100].sum()
    assert dataset.sessions.timestamp is not None
    of_one = dataset.sessions.user[1:] == dataset.sessions.user[:-1]
    assert np.diff(dataset.sessions.timestamp)[of_one].max() <= 120
