from __future__ import annotations

import pytest
import torch

from recgym_agents.networks import item_towers
from recgym_agents.networks.encoders import Inputs
from recgym_agents.networks.item_towers import ItemTowers


def towers(one_hot: bool = False) -> ItemTowers:
    generator = torch.Generator().manual_seed(0)
    return ItemTowers(Inputs(3, 1.0), Inputs(5, 1.0, one_hot), (4, 6), 2, generator)


@pytest.mark.parametrize("own", [False, True])
def test_numbers_are_products_of_the_two_towers(own: bool) -> None:
    network, state = towers(), torch.randn(2, 3)
    features = torch.randn(2, 7, 5) if own else torch.randn(7, 5)
    numbers, none = network(state, features)
    context, psi = network.context(state), network.psi(features)
    assert numbers.shape == (2, 7)
    for b in range(2):
        vectors = psi[b] if own else psi
        torch.testing.assert_close(numbers[b], vectors @ context[b, :2] + context[b, 2])
    torch.testing.assert_close(none, context[:, 3])


@pytest.mark.parametrize("few", [0, 16])
@pytest.mark.parametrize("own", [False, True])
def test_slates_have_the_numbers_of_their_items(
    few: int, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_towers, "FEW", few)
    network, state = towers(), torch.randn(4, 3)
    features = torch.randn(4, 9, 5) if own else torch.randn(9, 5)
    slate = torch.stack([torch.randperm(9)[:3] for _ in range(4)])
    numbers, none = network(state, features, slate)
    every, none_of_every = network(state, features)
    torch.testing.assert_close(numbers, every.gather(1, slate))
    torch.testing.assert_close(none, none_of_every)


def test_one_hot_features_need_no_hidden_layer() -> None:
    assert isinstance(towers(one_hot=True).psi, torch.nn.Linear)
