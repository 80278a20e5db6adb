from __future__ import annotations

import pytest
import torch

from recgym_agents.networks.recurrent_encoder import Cell, RecurrentEncoder


def encoder(cell: Cell, layers: int, window: int = 6) -> RecurrentEncoder:
    return RecurrentEncoder(window, 3, cell, layers, 4, torch.Generator().manual_seed(0))


CLICKS = torch.randn(5, 6, 3, generator=torch.Generator().manual_seed(1))


def test_a_gated_unit_computed_by_hand() -> None:
    one = RecurrentEncoder(2, 1, "gru", 1, 1, torch.Generator())
    with torch.no_grad():
        for parameter in one.network.parameters():
            parameter.zero_()
        one.network.weight_ih_l0[2] = 1.0  # the candidate state is tanh(x); half of it is taken
    first = 0.5 * torch.tensor(2.0).tanh()
    states = one(torch.tensor([[[2.0], [0.0]]]))
    torch.testing.assert_close(states[0, :, 0], torch.stack([first * 0, first, first / 2]))


@pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("gru", 2), ("lstm", 2)])
def test_clicks_read_one_by_one_give_the_states_of_the_whole_sequence(
    cell: Cell, layers: int
) -> None:
    network = encoder(cell, layers)
    states, carried = network(CLICKS), None
    assert states.shape == (5, 7, 4)
    assert (states[:, 0] == 0).all()
    for click in range(6):
        state, carried = network.read(CLICKS[:, click : click + 1], carried)
        torch.testing.assert_close(state[:, 0], states[:, click + 1])


@pytest.mark.parametrize("window", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_state_reads_the_last_clicks_of_its_window(cell: Cell, window: int) -> None:
    network = encoder(cell, 2, window)
    states = network(CLICKS)
    for click in range(1, 7):
        alone, _ = network.read(CLICKS[:, max(click - window, 0) : click])
        torch.testing.assert_close(states[:, click], alone[:, -1])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("window", [7, 40])
@pytest.mark.parametrize("length", [[0, 0, 0], [3, 0, 20], [4, 5, 12], [1, 2, 4]])
def test_short_sequences_are_not_read_beyond_their_ends(
    cell: Cell, window: int, length: list[int]
) -> None:
    network = encoder(cell, 2, window)
    clicks = torch.randn(3, 20, 3, generator=torch.Generator().manual_seed(2))
    whole = network(clicks)
    found = network(clicks, torch.tensor(length))
    assert found.shape == whole.shape
    for row, end in enumerate(length):
        torch.testing.assert_close(found[row, : end + 1], whole[row, : end + 1])
    if window == 40 and max(length) < 12:
        assert (found[:, 13:] == 0).all()  # blocks of 4, 4, 8: the third is of nobody


def test_initial_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again = encoder("lstm", 2), encoder("lstm", 2)
    assert (torch.get_rng_state() == before).all()
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert (one == other).all()
        assert 0.3 < one.abs().max() <= 0.5
