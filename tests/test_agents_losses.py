from __future__ import annotations

import math

import pytest
import torch

from recgym_agents.choice_losses import hesitation_loss, logit_loss
from recgym_agents.losses import cascade_loss, q_target
from recgym_agents.policy_losses import (
    centred,
    discounted_returns,
    discriminator_loss,
    effective_sample_size,
    importance_weights,
    reinforce_loss,
    scored_reward,
    td_error,
    top_k_multiplier,
    user_loss,
    value_loss,
)


def test_target_is_reward_plus_discounted_value() -> None:
    y = q_target(
        r_t=torch.tensor([1.0, 2.0]),
        discount_t=torch.tensor([0.5, 0.0]),
        q_t=torch.tensor([4.0, 100.0], requires_grad=True),
    )
    assert y.tolist() == [3.0, 2.0]
    assert not y.requires_grad


def test_every_slot_fits_the_same_target() -> None:
    q = torch.tensor([[1.0, 3.0], [2.0, 0.0]], requires_grad=True)
    loss = cascade_loss(q, torch.tensor([2.0, 1.0]))
    assert loss.item() == ((1 + 1) + (1 + 1)) / 2
    loss.backward()
    assert q.grad is not None
    assert q.grad.tolist() == [[-1.0, 1.0], [1.0, -1.0]]


def test_a_return_sums_what_follows_discounted() -> None:
    reward = torch.tensor([[1.0, 0.0, 4.0], [2.0, 1.0, 0.0]])
    assert discounted_returns(reward, 0.5).tolist() == [[2.0, 2.0, 4.0], [2.5, 1.0, 0.0]]
    assert discounted_returns(reward, 0.0).tolist() == reward.tolist()
    assert discounted_returns(reward, 1.0).tolist() == [[5.0, 4.0, 4.0], [3.0, 1.0, 0.0]]


def test_returns_are_centred_over_the_episodes_that_have_the_step() -> None:
    returns = torch.tensor([[4.0, 3.0, 0.0], [2.0, 0.0, 0.0]])
    steps = torch.tensor([[True, True, False], [True, False, False]])
    assert centred(returns, steps).tolist() == [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]


def test_reinforce_weighs_log_probabilities_by_returns() -> None:
    log_pi = torch.tensor([[-1.0, -2.0], [-3.0, 0.0]], requires_grad=True)
    advantage = torch.tensor([[2.0, 1.0], [4.0, 0.0]], requires_grad=True)
    loss = reinforce_loss(log_pi, advantage)
    assert loss.item() == ((2 + 2) + 12) / 2
    loss.backward()
    assert log_pi.grad is not None
    assert log_pi.grad.tolist() == [[-1.0, -0.5], [-2.0, 0.0]]
    assert advantage.grad is None


def test_importance_weights_are_ratios_up_to_a_cap() -> None:
    log_pi = torch.tensor([0.5, 0.5, 0.1]).log().requires_grad_()
    weight = importance_weights(log_pi, torch.tensor([0.25, 0.1, 0.2]), cap=3.0)
    assert weight.tolist() == pytest.approx([2.0, 3.0, 0.5])
    assert not weight.requires_grad


def test_off_policy_reinforce_has_the_gradient_of_the_value_on_the_log() -> None:
    """Of V(pi) = sum_a mu(a) (pi(a) / mu(a)) r(a), over all actions of a logging policy mu."""
    scores = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64, requires_grad=True)
    mu = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    reward = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)
    log_pi = scores.log_softmax(0)
    (expected,) = torch.autograd.grad(-(log_pi.exp() * reward).sum(), scores, retain_graph=True)
    weight = importance_weights(log_pi, mu, cap=1e6)
    loss = reinforce_loss(log_pi[:, None], (3 * mu * weight * reward)[:, None])  # a mean of three
    (found,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(found, expected)


def test_effective_sample_size() -> None:
    assert effective_sample_size(torch.tensor([2.0, 2.0, 2.0])).item() == pytest.approx(3.0)
    assert effective_sample_size(torch.tensor([3.0, 1.0])).item() == pytest.approx(16 / 10)
    assert effective_sample_size(torch.tensor([])).item() == 0.0


@pytest.mark.parametrize("size", [1, 2, 5])
def test_top_k_multiplier_is_the_derivative_of_being_among_k_draws(size: int) -> None:
    pi = torch.tensor([0.0001, 0.1, 0.5, 0.9], dtype=torch.float64, requires_grad=True)
    among = 1 - (1 - pi) ** size
    (derivative,) = torch.autograd.grad(among.sum(), pi)
    found = top_k_multiplier(pi.log(), size)
    torch.testing.assert_close(found, derivative)
    assert not found.requires_grad


def test_top_k_multiplier_computed_by_hand() -> None:
    log_pi = torch.tensor([0.5, 0.2]).log()
    assert top_k_multiplier(log_pi, 3).tolist() == pytest.approx([0.75, 1.92])
    assert top_k_multiplier(torch.zeros(2), 1).tolist() == [1.0, 1.0]


def test_top_k_reinforce_has_the_gradient_of_the_chance_to_be_shown() -> None:
    """The gradient is pi lambda_K grad log pi = grad (1 - (1 - pi)^K), for a softmax."""
    scores = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64, requires_grad=True)
    log_pi = scores.log_softmax(0)
    among = 1 - (1 - log_pi.exp()[1]) ** 4
    (expected,) = torch.autograd.grad(-among, scores, retain_graph=True)
    weight = log_pi[1:2].exp().detach() * top_k_multiplier(log_pi[1:2], 4)
    (found,) = torch.autograd.grad(reinforce_loss(log_pi[1:2][None], weight[None]), scores)
    torch.testing.assert_close(found, expected)


def test_td_error_is_the_advantage_of_a_step() -> None:
    v_t = torch.tensor([[4.0, 9.0]], requires_grad=True)
    v_tm1 = torch.tensor([[1.0, 2.0]], requires_grad=True)
    error = td_error(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.5, 0.0]]), v_t, v_tm1)
    assert error.tolist() == [[2.0, 1.0]]
    loss = value_loss(error, torch.tensor([[True, False]]))
    assert loss.item() == 2.0
    loss.backward()
    assert v_t.grad is None
    assert v_tm1.grad is not None
    assert v_tm1.grad.tolist() == [[-2.0, 0.0]]


def test_the_discriminators_loss_is_minus_the_log_likelihood_of_being_right() -> None:
    real = torch.tensor([math.log(3.0), 0.0], requires_grad=True)  # D is 3/4 and 1/2
    generated = torch.tensor([-math.log(4.0)])  # D is 1/5
    loss = discriminator_loss(real, generated)
    assert loss.item() == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2 - math.log(0.8))
    loss.backward()
    assert real.grad is not None
    assert real.grad.tolist() == pytest.approx([-0.25 / 2, -0.5 / 2])


def test_scores_rescale_the_rewards_of_their_own_steps() -> None:
    score = torch.tensor([[0.5, 0.8, 0.0]])
    reward = torch.tensor([[1.0, 0.0, 0.0]])
    rescaled = scored_reward(score, reward, 3.0)
    assert rescaled[0].tolist() == pytest.approx([0.5 * 4, 0.8, 0.0])
    returns = discounted_returns(rescaled, 0.5)  # R^a of Eq. 10
    assert returns[0].tolist() == pytest.approx([2.4, 0.8, 0.0])
    of_generation = discounted_returns(scored_reward(score, reward, 0.0), 0.5)  # Eq. 8
    assert of_generation[0].tolist() == pytest.approx([0.9, 0.8, 0.0])
    assert ((returns - of_generation) / 3)[0].tolist() == pytest.approx([0.5, 0.0, 0.0])  # Eq. 9


def test_the_user_models_loss_weighs_log_likelihoods_by_scores() -> None:
    likelihood = torch.tensor([[-1.0, -2.0], [-3.0, 0.0]], requires_grad=True)
    score = torch.tensor([[0.5, 0.25], [1.0, 0.0]], requires_grad=True)
    loss = user_loss(likelihood, score)
    assert loss.item() == (0.5 + 0.5 + 3) / 2
    loss.backward()
    assert likelihood.grad is not None
    assert likelihood.grad.tolist() == [[-0.25, -0.125], [-0.5, 0.0]]
    assert score.grad is None


def test_logit_loss_is_that_of_options_by_their_weights() -> None:
    attraction, none = torch.tensor([[0.0, 2.0]]).log1p(), torch.tensor([4.0]).log()
    # weights 1 and 3, none 4
    for slot, probability in ((0, 1 / 8), (1, 3 / 8), (2, 4 / 8)):
        loss = logit_loss(attraction, none, torch.tensor([slot]))
        assert loss.item() == pytest.approx(-math.log(probability), rel=1e-6)


def test_hesitation_loss_where_an_attracted_user_may_not_click() -> None:
    attraction, clicking = torch.tensor([[1.0, 3.0]]).log(), torch.tensor([[0.5, 0.2]]).logit()
    unclicked = 1 / 4 * 0.5 + 3 / 4 * 0.8
    for slot, probability in ((0, 1 / 4 * 0.5), (1, 3 / 4 * 0.2), (2, unclicked)):
        loss = hesitation_loss(attraction, clicking, torch.tensor([slot]))
        assert loss.item() == pytest.approx(-math.log(probability), rel=1e-5)
