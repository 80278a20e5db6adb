"""What every encoder of click sequences must do, and one value of each by hand."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from recgym_agents.networks.sequence_encoders import (
    AttentionBlock,
    CaserEncoder,
    NextItNetEncoder,
    SequenceEncoder,
    sequence_encoder,
)
from recgym_agents.networks.window_encoder import WindowEncoder, states_after

KINDS: tuple[SequenceEncoder, ...] = get_args(SequenceEncoder)
CLICKS = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(1))


def encoder(kind: SequenceEncoder, window: int) -> WindowEncoder:
    return sequence_encoder(kind, window, 4, 2, 2, torch.Generator().manual_seed(0))


def fixed(layer: torch.nn.Linear, weight: Tensor) -> None:
    layer.weight.data, layer.bias.data = weight, torch.zeros(len(weight))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [1, 3, 9])
def test_no_state_knows_of_later_clicks_and_each_knows_of_the_last(
    kind: SequenceEncoder, window: int
) -> None:
    network = encoder(kind, window)
    states = network(CLICKS)
    assert states.shape == (3, 10, 4)
    assert (states[:, 0] == 0.0).all()
    for place in range(9):
        changed = CLICKS.clone()
        changed[:, place, 0] += 2.0
        other = network(changed)
        torch.testing.assert_close(other[:, : place + 1], states[:, : place + 1])
        assert (other[:, place + 1] - states[:, place + 1]).abs().amax() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_that_of_its_window_read_alone(kind: SequenceEncoder) -> None:
    network = encoder(kind, 4)
    states = network(CLICKS)
    for end in range(1, 10):
        window = CLICKS[:, max(end - 4, 0) : end]
        torch.testing.assert_close(network(window)[:, -1], states[:, end])


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_after_the_end_of_a_sequence_does_not_matter(kind: SequenceEncoder) -> None:
    network, length = encoder(kind, 9), torch.tensor([9, 2, 5])
    states = network(CLICKS, length)
    for row, end in enumerate(length.tolist()):
        alone = network(CLICKS[row : row + 1, :end])
        torch.testing.assert_close(states[row, : end + 1], alone[0])


@pytest.mark.parametrize("kind", KINDS)
def test_long_and_short_sequences_in_one_batch_are_read_as_alone(kind: SequenceEncoder) -> None:
    """The window is shorter than some of them; what no sequence reaches is not read, and zero."""
    network, length = encoder(kind, 3), torch.tensor([9, 2, 5])
    states = network(CLICKS, length)
    for row, end in enumerate(length.tolist()):
        alone = network(CLICKS[row : row + 1, :end])
        torch.testing.assert_close(states[row, : end + 1], alone[0])
    assert (states[1, 4:] == 0.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_clicks_matters(kind: SequenceEncoder) -> None:
    network = encoder(kind, 9)
    turned = CLICKS[:, [1, 0, *range(2, 9)]]
    assert (network(turned)[:, 2] - network(CLICKS)[:, 2]).abs().amax() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_is_one_encoder(kind: SequenceEncoder) -> None:
    assert torch.equal(encoder(kind, 5)(CLICKS), encoder(kind, 5)(CLICKS))


def test_attention_by_hand() -> None:
    """Queries are zero, so that a click attends to all clicks so far alike."""
    block = AttentionBlock(2, 1, torch.Generator())
    fixed(block.projections, torch.cat([torch.zeros(4, 2), torch.eye(2)]))
    fixed(block.mix, torch.eye(2))
    fixed(block.wide, torch.zeros(2, 2))
    fixed(block.narrow, torch.zeros(2, 2))
    clicks = torch.tensor([[[3.0, 1.0], [0.0, 4.0]]])
    # normalised, the clicks are (1, -1) and (-1, 1); their mean is 0
    found = block(clicks)
    torch.testing.assert_close(found, torch.tensor([[[4.0, 0.0], [0.0, 4.0]]]), atol=1e-4, rtol=0)


def test_caser_by_hand() -> None:
    network = CaserEncoder(2, 1, torch.Generator())
    assert network.heights == (2,)
    fixed(network.horizontal[0], torch.ones(16, 2))  # type: ignore[arg-type]
    fixed(network.vertical, torch.tensor([[10.0, 1.0]] + [[0.0, 0.0]] * 3))
    fixed(network.output, torch.tensor([[1.0] + [0.0] * 3 + [0.5] + [0.0] * 15]))
    # the vertical filter adds 10 times the click before; half the sum of both is added
    assert network(torch.tensor([[[2.0], [3.0]]])).flatten().tolist() == [0.0, 3.0, 25.5]


def test_nextitnet_looks_twice_as_far_in_its_second_layer() -> None:
    network = NextItNetEncoder(9, 2, 1, torch.Generator())
    assert network.dilations == [1, 2]
    fixed(network.layers[0], torch.zeros(2, 6))  # type: ignore[arg-type]
    fixed(network.layers[1], torch.zeros(2, 6))  # type: ignore[arg-type]
    network.layers[1].weight.data[0, 0] = 1.0  # type: ignore[union-attr, operator]
    network.layers[0].weight.data[0, 4] = 1.0  # type: ignore[union-attr, operator]
    # the first layer keeps the first number of a normalised click, (1, -1) or (-1, 1), where it is
    # above 0; normalised again it is (1, -1), and the second layer adds it four clicks later
    clicks = torch.tensor([[[9.0, 1.0]] + [[1.0, 9.0]] * 4])
    before_norm = network.states(clicks)
    expected = torch.nn.functional.layer_norm(torch.tensor([2.0, 9.0]), (2,))
    torch.testing.assert_close(before_norm[0, 4], expected, atol=1e-4, rtol=0)


def test_states_after_some_clicks() -> None:
    states = torch.arange(12.0).reshape(2, 3, 2)
    found = states_after(states, torch.tensor([[0, 2], [1, 1]]))
    assert found.tolist() == [[[0.0, 1.0], [4.0, 5.0]], [[8.0, 9.0], [8.0, 9.0]]]
