from __future__ import annotations

import numpy as np
import torch

from recgym_agents.networks.belief_encoder import GAIN, BeliefEncoder

NONE = 3
"""More than the ids of three items."""


def encoder() -> BeliefEncoder:
    return BeliefEncoder(3, 4, torch.Generator().manual_seed(0))


def test_with_the_matrices_of_a_hidden_markov_model_it_is_bayes_rule() -> None:
    """Two states; items 0 and 1 are clicked with chances (.8, .2) and (.1, .5)."""
    clicks = np.array([[0.8, 0.2], [0.1, 0.5]])
    moves = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.2, 0.8], [0.6, 0.4]]])
    network = BeliefEncoder(2, 2, torch.Generator())
    with torch.no_grad():
        network.start.copy_(torch.tensor([0.75, 0.25]).log())
        log_moves = np.log(clicks[:, :, None] * moves).reshape(2, 4) / GAIN
        network.log_moves.copy_(torch.as_tensor(log_moves))
    # After item 0: (.75 * .8, .25 * .2) = (.6, .05), that is (12, 1) / 13, before she moves on.
    after_0 = np.array([12 * 0.9 + 1 * 0.3, 12 * 0.1 + 1 * 0.7]) / 13
    seen_1 = after_0 * [0.1, 0.5]
    after_1 = seen_1 / seen_1.sum() @ moves[1]
    beliefs = network(torch.tensor([[2, 2], [2, 0], [0, 1]])).numpy(force=True)
    np.testing.assert_allclose(beliefs, [[0.75, 0.25], after_0, after_1], rtol=1e-5)


def test_beliefs_are_distributions_that_depend_on_the_order_of_clicks() -> None:
    beliefs = encoder()(torch.tensor([[0, 1, 2], [2, 1, 0], [1, 2, 0]]))
    torch.testing.assert_close(beliefs.sum(1), torch.ones(3))
    assert (beliefs >= 0).all()
    assert torch.cdist(beliefs, beliefs)[0, 1:].min() > 0.01


def test_a_row_does_not_depend_on_the_others_nor_on_where_its_clicks_stand() -> None:
    network = encoder()
    history = torch.tensor([[NONE, NONE, 0, 1], [2, 2, 1, 0], [NONE, NONE, NONE, NONE]])
    together = network(history)
    for row in range(3):
        torch.testing.assert_close(network(history[row : row + 1]), together[row : row + 1])
    apart = network(torch.tensor([[0, NONE, 1, NONE]]))
    torch.testing.assert_close(apart, together[:1])
    torch.testing.assert_close(together[2], network.start.softmax(0))


def test_every_click_has_a_gradient() -> None:
    network = encoder()
    network(torch.tensor([[0, 1, NONE], [NONE, NONE, 1]]))[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert network.start.grad is not None
    assert network.log_moves.grad is not None
    moved = network.log_moves.grad.abs().sum(1) > 0
    assert moved.tolist() == [True, True, False]


def test_a_belief_stays_a_distribution_however_far_its_matrices_have_gone() -> None:
    network = encoder()
    with torch.no_grad():
        network.log_moves[0], network.log_moves[1] = 50.0, -50.0
    beliefs = network(torch.tensor([[0, 0, 0], [1, 1, 1], [0, 1, 2]]))
    torch.testing.assert_close(beliefs.sum(1), torch.ones(3))
