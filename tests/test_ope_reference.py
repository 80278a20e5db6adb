"""Every estimator against the Open Bandit Pipeline's own numbers, on the same logs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recgym import ope
from tests.fixtures import open_bandit_reference as reference

STORED = json.loads(reference.PATH.read_text(encoding="utf-8"))


def of_items(log: reference.ItemLog) -> dict[str, float]:
    rows = np.arange(len(log.reward))
    logged = (log.reward, log.propensity, log.target[rows, log.action])
    expected = ope.expected_reward(log.target, log.predicted)
    model = (log.predicted[rows, log.action], expected)
    found = (
        ope.ips(*logged),
        ope.clipped_ips(*logged, cap=reference.CAP),
        ope.snips(*logged),
        ope.direct_method(expected),
        ope.doubly_robust(*logged, *model),
        ope.switch_dr(*logged, *model, threshold=reference.CAP),
    )
    return {terms.method: ope.estimate(terms).estimate for terms in found}


def test_items() -> None:
    assert of_items(reference.generated_items()) == pytest.approx(STORED["items"], abs=1e-6)


def test_slates() -> None:
    log = reference.generated_slates()
    logged = (log.reward, log.propensity, log.target)
    predicted = np.take_along_axis(log.predicted, log.slate[:, :, None], axis=2)[:, :, 0]
    expected = (log.target_items * log.predicted).sum(axis=2)
    marginal = (log.reward, log.marginal_propensity, log.marginal_target)
    found = (
        ope.slate_ips(*logged),
        ope.independent_ips(*marginal),
        ope.reward_interaction_ips(*logged),
        ope.cascade_dr(*logged, predicted, expected),
    )
    estimates = {terms.method: ope.estimate(terms).estimate for terms in found}
    assert estimates == pytest.approx(STORED["slates"], abs=1e-6)


@pytest.mark.parametrize("name", reference.SAMPLES)
def test_open_bandit(name: str) -> None:
    wheel = reference.wheel_path()
    if wheel is None:
        pytest.skip(f"no {reference.WHEEL} here (set RECGYM_DATA or RECGYM_CACHE)")
    found = of_items(reference.sample(wheel, name))
    assert found == pytest.approx(STORED[name], abs=1e-6)
