"""The bonus of items clicked lately: against a dense softmax, and as an agent learns it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.offline_config import OfflinePolicyConfig
from recgym_agents.algorithms.offline_policy import OfflinePolicy
from recgym_agents.learning.episodes import Episodes
from recgym_agents.networks.item_scores import Scores
from recgym_agents.networks.repeat_bonus import (
    START,
    RepeatBonus,
    Repeats,
    expected_under,
    log_probability,
)

N_ITEMS = 5
HISTORY = np.array([[5, 5, 2], [1, 3, 1], [5, 5, 5]])
BONUS = torch.tensor([[0.0, 0.0, 2.0], [0.0, 1.0, 3.0], [0.0, 0.0, 0.0]])


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def repeats() -> Repeats:
    return Repeats(torch.tensor([[0, 0, 2], [0, 3, 1], [0, 0, 0]]), BONUS)


def dense(state: torch.Tensor, scores: Scores) -> torch.Tensor:
    """Scores with the bonus, written out: item 2 of the first row, items 1 and 3 of the second."""
    bonus = torch.zeros(3, N_ITEMS)
    bonus[0, 2], bonus[1, 1], bonus[1, 3] = 2.0, 3.0, 1.0
    return scores.of_all(state) + bonus


def test_an_item_gains_once_by_its_last_click() -> None:
    made = RepeatBonus(3)
    found = made(HISTORY, N_ITEMS)
    assert found.item.tolist() == [[0, 0, 2], [0, 3, 1], [0, 0, 0]]
    expected = START * torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(found.bonus, expected)
    made.by_click.data[1] = -9.0  # of what was clicked one before the last
    assert made(HISTORY, N_ITEMS).bonus[1].tolist() == pytest.approx([0.0, 0.0, START])


def test_probabilities_are_those_of_the_softmax_with_the_bonus() -> None:
    state, scores = drawn(3, 4), Scores(drawn(N_ITEMS, 4, seed=1), drawn(N_ITEMS, seed=2))
    torch.testing.assert_close(repeats().added_to(scores.of_all(state)), dense(state, scores))
    for item in range(N_ITEMS):
        items = torch.full((3,), item)
        found = log_probability(state, scores, items, repeats())
        torch.testing.assert_close(found, dense(state, scores).log_softmax(1)[:, item])
        plain = log_probability(state, scores, items)
        torch.testing.assert_close(plain, scores.of_all(state).log_softmax(1)[:, item])


def test_mean_values_are_those_under_the_softmax_with_the_bonus() -> None:
    state, scores = drawn(3, 4), Scores(drawn(N_ITEMS, 4, seed=1), drawn(N_ITEMS, seed=2))
    values = Scores(drawn(N_ITEMS, 4, seed=3), drawn(N_ITEMS, seed=4))
    expected = (dense(state, scores).softmax(1) * values.of_all(state)).sum(1)
    torch.testing.assert_close(expected_under(state, scores, values, repeats()), expected)


def test_the_gradient_is_that_of_the_dense_softmax() -> None:
    scores = Scores(drawn(N_ITEMS, 4, seed=1).requires_grad_(), drawn(N_ITEMS, seed=2))
    state, item = drawn(3, 4), torch.tensor([2, 1, 4])
    found = log_probability(state, scores, item, repeats()).sum()
    expected = dense(state, scores).log_softmax(1)[torch.arange(3), item].sum()
    ours, theirs = (torch.autograd.grad(one, scores.weight)[0] for one in (found, expected))
    torch.testing.assert_close(ours, theirs)


def episodes() -> Episodes:
    """Each user clicks one item three times, a different one for every user."""
    item = np.repeat(np.arange(N_ITEMS)[:, None], 3, axis=1)
    return Episodes(
        history=np.full((N_ITEMS, 3), N_ITEMS),
        slate=np.zeros((N_ITEMS, 3, 0), np.int64),
        item=item,
        reward=np.ones((N_ITEMS, 3), np.float32),
        steps=np.ones((N_ITEMS, 3), np.bool_),
        terminated=np.ones(N_ITEMS, np.bool_),
        propensity=None,
    )


@pytest.mark.parametrize("changes", [{}, {"weight": "improvement", "values": "q"}])
def test_an_agent_learns_that_people_come_back_to_items_that_it_never_met(
    changes: dict[str, str],
) -> None:
    config = OfflinePolicyConfig(size=4, dropout=0.0, repeats=True, remove_clicked=False)
    spec = EnvironmentSpec(N_ITEMS + 20, 2, 3, None)
    agent = OfflinePolicy(replace(config, **changes), spec, 0)  # type: ignore[arg-type]
    nothing = spec.n_items
    batch = episodes()._replace(history=np.full((N_ITEMS, 3), nothing))
    bonus = agent.network.repeat_bonus
    assert bonus is not None
    before = bonus.by_click.detach().clone()
    for _ in range(20):
        agent.update(batch)
    moved = bonus.by_click.detach() - before
    assert moved[2] > 0.0  # everybody comes back to what was clicked last
    assert moved[:2].tolist() == [0.0, 0.0]  # and an item gains by its last click alone
    unmet = np.array([[nothing, nothing, N_ITEMS + 7]])
    assert agent.act(unmet)[0, 0] == N_ITEMS + 7
    assert (agent.gains(batch)[:, 1:] == 1.0).all()


@pytest.mark.parametrize(
    "changes",
    [{"acts_by": "value", "values": "q"}, {"support": 0.5, "values": "q"}, {"sampled": 5}],
)
def test_what_has_no_exact_policy_has_no_bonus(changes: dict[str, object]) -> None:
    with pytest.raises(RecGymError, match="repeats=true: is of a policy"):
        OfflinePolicyConfig(repeats=True, **changes)  # type: ignore[arg-type]


def test_the_estimate_of_the_logging_policy_has_a_bonus_of_its_own() -> None:
    spec, nothing = EnvironmentSpec(N_ITEMS + 20, 2, 3, None), N_ITEMS + 20
    config = OfflinePolicyConfig(
        size=4, dropout=0.0, repeats=True, importance=True, weight="reward", remove_clicked=False
    )
    agent = OfflinePolicy(config, spec, 0)
    own = agent.network.behaviour_bonus
    assert own is not None
    before = own.by_click.detach().clone()
    batch = episodes()._replace(history=np.full((N_ITEMS, 3), nothing))
    for _ in range(20):
        agent.update(
            batch._replace(reward=np.zeros_like(batch.reward))
        )  # the policy learns nothing
    assert (own.by_click.detach() - before)[2] > 0.0
    assert OfflinePolicy(replace(config, repeats=False), spec, 0).network.behaviour_bonus is None
