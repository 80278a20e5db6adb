"""How far two models of users agree, on rankings made by hand and on a model against itself."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.errors import RecGymError
from recgym.users import gan
from recgym.users.agreement import agreement, compare, rewards_of
from tests.fixtures.user_model import random_user_model


def test_levels_and_items_by_hand() -> None:
    ours = np.array([[1.0, 2.0, 3.0], [5.0, 4.0, 6.0], [0.0, -1.0, -2.0]])  # levels 2, 5, -1
    theirs = np.array([[3.0, 4.0, 8.0], [0.0, 2.0, 1.0], [7.0, 6.0, 5.0]])  # levels 5, 1, 6
    found = compare(ours, theirs)
    assert found.levels == pytest.approx(-1.0)  # ranks 2 3 1 against 2 1 3
    assert found.items == pytest.approx((1.0 - 0.5 + 1.0) / 3)  # 2 1 3 against 1 3 2: -1/2
    shifted = compare(ours, ours + np.array([[0.0], [-9.0], [9.0]]))
    assert shifted.items == pytest.approx(1.0)
    assert shifted.levels == pytest.approx(-1.0)


def test_a_model_agrees_with_itself_and_not_with_a_random_one() -> None:
    model = random_user_model(40, n_users=60)
    alone = agreement(model, "train", "train")
    assert (alone.levels, alone.items) == pytest.approx((1.0, 1.0))
    apart = agreement(model)
    assert abs(apart.items) < 0.9


def test_rewards_are_those_that_the_model_gives() -> None:
    model = random_user_model(12, n_users=70)
    found = rewards_of(model, "test", model.histories["train"])
    assert found.shape == (70, 12)
    tables = gan.prepare(model.config, model.members["test"], model.features)  # type: ignore[arg-type]
    state = gan.initial(model.config, tables, model.histories["train"][69:])  # type: ignore[arg-type]
    _, rewards = gan.respond(model.config, tables, state, np.array([[3, 11]]))  # type: ignore[arg-type]
    np.testing.assert_allclose(found[69, [3, 11]], rewards[0, :2], rtol=1e-4, atol=1e-6)


def test_what_cannot_be_compared() -> None:
    model = random_user_model()
    with pytest.raises(RecGymError, match="no member 'bag9'; there are train, test, bag0"):
        agreement(model, "train", "bag9")
    recurrent = random_user_model(kind="recurrent", units=8, n_users=1)
    with pytest.raises(RecGymError, match="one history"):
        agreement(recurrent)
