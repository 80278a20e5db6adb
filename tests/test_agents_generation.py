"""Episodes that an agent and a user model generate, and what a discriminator says of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from recgym.users.page_arrays import pages_of
from recgym.users.page_tensors import SessionTensors
from recgym.users.recurrent import RecurrentUserConfig
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.generated_sessions import Interaction, generate, monte_carlo_scores
from recgym_agents.algorithms.irecgan import IRecGAN, IRecGANConfig
from recgym_agents.algorithms.policy_networks import ClickPolicyNetwork
from recgym_agents.learning.episodes import EpisodeLog, Episodes
from recgym_agents.networks.discriminator import Discriminator
from recgym_agents.networks.user_network import UserNetwork
from tests.fixtures.slate_mdp_runs import random_log

N_ITEMS, WINDOW = 6, 3
SMALL = EnvironmentSpec(n_items=N_ITEMS, slate_size=2, window=WINDOW, features=None)


class Quiet(np.random.Generator):
    """Draws no noise: the likeliest slates and clicks, and a reward if it is likelier than not."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_exponential(self, size: Any = None, *rest: Any) -> Any:
        return np.ones(size, np.float32)

    def random(self, size: Any = None, *rest: Any) -> Any:
        return np.full(size, 0.5, np.float32)


def networks(
    cell: str = "gru", seed: int = 0, **changes: Any
) -> tuple[ClickPolicyNetwork, UserNetwork]:
    """An agent and a user model whose answers depend much on what was clicked."""
    settings = IRecGANConfig(cell=cell, layers=2, hidden=5, embedding=4, **changes)
    policy = ClickPolicyNetwork(settings, SMALL, torch.Generator().manual_seed(seed))
    shape = RecurrentUserConfig(cell, 2, 5, 4, changes.get("outside", "end"))
    user = UserNetwork(shape, N_ITEMS, "bernoulli", np.random.default_rng(seed))
    with torch.no_grad():
        policy.head.weight *= 8
        for parameter in policy.encoder.parameters():
            parameter *= 4
        user.items *= 40
    return policy, user


def discriminator(cell: str = "gru") -> Discriminator:
    made = Discriminator(N_ITEMS, 4, cell, 2, 5, torch.Generator().manual_seed(3))
    with torch.no_grad():
        made.items *= 3
        made.of_reward += 0.7
    return made


def histories(rows: int) -> np.ndarray:
    """What was observed before episodes: nothing, or a click or two."""
    history = np.full((rows, WINDOW), N_ITEMS)
    history[1::3, -1] = np.arange(rows)[1::3] % N_ITEMS
    history[2::3, -2:] = [4, 1]
    return history


def one(batch: Episodes, row: int) -> Episodes:
    """An episode alone, without what pads it."""
    length = int(batch.steps[row].sum())
    of_steps = {name: getattr(batch, name)[[row], :length] for name in ("slate", "item", "reward")}
    return batch._replace(
        history=batch.history[[row]],
        steps=batch.steps[[row], :length],
        terminated=batch.terminated[[row]],
        **of_steps,
    )


def test_the_discriminator_computed_by_hand() -> None:
    made = Discriminator(2, 1, "gru", 1, 3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        made.items.copy_(torch.tensor([[1.0], [2.0], [0.5]]))  # the last is not to click
        made.weight.zero_()
        made.bias.fill_(0.1)  # over the temperature: an item's liking is its embedding
        made.of_reward.fill_(3.0)
        made.of_step.fill_(-1.0)
    batch = Episodes(
        history=np.array([[2], [2]]),
        slate=np.array([[[0, 1], [1, 0]], [[0, -1], [-1, -1]]]),
        item=np.array([[1, -1], [0, -1]]),
        reward=np.array([[1, 0], [0, 0]], np.float32),
        steps=np.array([[True, True], [True, False]]),
        terminated=np.array([True, False]),
        propensity=None,
    )
    odds = {e: math.exp(e) for e in (1.0, 2.0, 0.5)}
    both = sum(e * w for e, w in odds.items()) / sum(odds.values())
    first = (1.0 * odds[1.0] + 0.5 * odds[0.5]) / (odds[1.0] + odds[0.5])
    expected = [(both * 2.0 * (3.0 - 1.0) + both * 0.5 * -1.0) / 2, first * 1.0 * -1.0]
    assert made(batch).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_what_pads_an_episode_is_not_read(cell: str) -> None:
    policy, user = networks(cell)
    batch = generate(Interaction(policy, user, np.random.default_rng(1)), histories(12), 7)
    assert len(set(batch.steps.sum(1))) > 2
    whole, terms = discriminator(cell)(batch), user(batch, 1.0)
    for row in range(12):
        alone = one(batch, row)
        length = alone.steps.shape[1]
        torch.testing.assert_close(discriminator(cell)(alone)[0], whole[row])
        torch.testing.assert_close(user(alone, 1.0)[0], terms[row, :length])
        assert not terms[row, length:].any()


def test_the_discriminator_reads_the_clicks_before_a_step() -> None:
    batch = generate(Interaction(*networks(), np.random.default_rng(1)), histories(12), 7)
    other = batch._replace(history=np.where(batch.history == N_ITEMS, 2, batch.history))
    assert (discriminator()(batch) - discriminator()(other)).abs().min() > 1e-6


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("remove_clicked", [False, True])
@pytest.mark.parametrize("outside", ["end", "no_click"])
def test_generated_episodes_are_what_observing_agents_and_users_would_play(
    cell: str, remove_clicked: bool, outside: str
) -> None:
    """Without noise; also where more is clicked than observed, and the states are read again."""
    policy, user = networks(cell, remove_clicked=remove_clicked, outside=outside)
    batch = generate(Interaction(policy, user, Quiet()), histories(9), 8)
    assert batch.steps.sum(1).max() == 8 or outside == "end"
    agent = IRecGAN(policy.config, SMALL, 0)
    agent.network, tables = policy, user.tables()
    for row in range(9):
        history = batch.history[row].tolist()
        clicks = [item for item in history if item < N_ITEMS]
        for step in range(int(batch.steps[row].sum())):
            observed = ([N_ITEMS] * WINDOW + clicks)[-WINDOW:]
            slate = agent.act(np.array([observed]))[0]
            np.testing.assert_array_equal(batch.slate[row, step], slate)
            read = np.array([[*clicks, N_ITEMS]])
            units = user.units(tables, read, np.array([[len(clicks)]]))[0]
            heads = units @ tables["heads"] + tables["heads.bias"]
            items = tables["features"][torch.as_tensor(slate)]
            choices = torch.cat([items @ heads[0, :4], heads[0, 8:]])
            slot = int(choices.argmax())
            item = int(slate[slot]) if slot < 2 else -1
            assert batch.item[row, step] == item
            paid = item >= 0 and bool(tables["features"][item] @ heads[0, 4:8] > 0)
            assert batch.reward[row, step] == paid
            clicks += [item] if item >= 0 else []
        last = int(batch.steps[row].sum()) - 1
        ended = batch.item[row, last] < 0 and outside == "end"
        assert batch.terminated[row] == ended
        assert ended or last == 7
    assert not batch.slate[~batch.steps].max(initial=-1) >= 0


def test_clicks_and_rewards_are_drawn_as_likely_as_they_are_said_to_be() -> None:
    """The expected gradient of a distribution's log-likelihood of its own draws is zero."""
    policy, user = networks(seed=2)
    with torch.no_grad():  # clicks are far from certain, and rewards far from each other
        user.items /= 8
        user.own["reward/bias"] *= 8
    interaction = Interaction(policy, user, np.random.default_rng(0))
    gradients = []
    for _ in range(60):
        batch = generate(interaction, histories(60), 6)
        likelihood = user(batch, 1.0).sum(1).mean()
        found = torch.autograd.grad(likelihood, list(user.parameters()))
        gradients.append(torch.cat([part.ravel() for part in found]))
    every = torch.stack(gradients)
    error = every.std(0) / len(every) ** 0.5
    assert (every.mean(0).abs() < 5 * error + 1e-7).all()
    assert error.max() > 1e-3


def plain_scores(
    policy: ClickPolicyNetwork,
    user: UserNetwork,
    rng: np.random.Generator,
    made: Discriminator,
    batch: Episodes,
    rollouts: int,
    horizon: int,
) -> list[tuple[int, int, np.ndarray]]:
    """D of the ends played from each beginning, one at a time: (row, step, scores)."""
    interaction, found = Interaction(policy, user, rng), []
    for row in range(len(batch.steps)):
        alone = one(batch, row)
        length = alone.steps.shape[1]
        for last in range(length - 1):
            scores = []
            for _ in range(rollouts):
                kept = [alone.slate[0], alone.item[0], alone.reward[0]]
                slates, items, paid = (part[: last + 1].tolist() for part in kept)
                state = interaction.begin(alone.history)
                for item in items:
                    state = interaction.advance(state, torch.tensor([item]))
                while len(items) < horizon:
                    shown, item, reward = interaction.step(state)
                    slates.append(shown[0].tolist())
                    items.append(int(item))
                    paid.append(float(reward))
                    if item < 0:
                        break
                    state = interaction.advance(state, item)
                whole = Episodes(
                    alone.history,
                    np.array([slates]),
                    np.array([items]),
                    np.array([paid], np.float32),
                    np.ones((1, len(items)), np.bool_),
                    np.ones(1, np.bool_),
                    None,
                )
                with torch.no_grad():
                    scores.append(made(whole).sigmoid().item())
            found.append((row, last, np.array(scores)))
        with torch.no_grad():
            found.append((row, length - 1, np.array([made(alone).sigmoid().item()])))
    return found


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_scores_of_beginnings_are_those_of_a_plain_loop(cell: str) -> None:
    policy, user = networks(cell, remove_clicked=False)
    made, horizon = discriminator(cell), 6
    batch = generate(Interaction(policy, user, np.random.default_rng(4)), histories(24), horizon)
    scores = monte_carlo_scores(Interaction(policy, user, Quiet()), made, batch, 2, horizon)
    plain = plain_scores(policy, user, Quiet(), made, batch, 1, horizon)
    assert len(plain) == batch.steps.sum() > 30
    expected = np.zeros(batch.steps.shape)
    for row, last, found in plain:
        expected[row, last] = found.mean()
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert len(np.unique(expected.round(4))) > 15


def test_scores_are_means_over_ends_that_differ() -> None:
    policy, user = networks(remove_clicked=False)
    made, horizon = discriminator(), 5
    batch = generate(Interaction(policy, user, np.random.default_rng(6)), histories(4), horizon)
    interaction = Interaction(policy, user, np.random.default_rng(7))
    scores = monte_carlo_scores(interaction, made, batch, 2_000, horizon)
    rng = np.random.default_rng(8)
    deviations = []
    for row, last, found in plain_scores(policy, user, rng, made, batch, 30, horizon):
        error = found.std() / len(found) ** 0.5
        assert abs(scores[row, last] - found.mean()) < 5 * error + 1e-5
        deviations.append(found.std())
    assert max(deviations) > 0.02


def test_the_user_network_says_of_a_log_what_the_fitted_model_would() -> None:
    log = random_log(30, n_items=N_ITEMS, slate_size=2)
    _, user = networks()
    pages = pages_of(user.config, log.sessions, N_ITEMS)
    tensors = SessionTensors(user.config, pages, 0.5)
    params = {name.replace("/", "."): value for name, value in user.own.items()}
    expected = tensors.log_likelihood(params, user.items, torch.arange(pages.n_pages))
    batch = EpisodeLog.of_sessions(log.sessions, WINDOW, N_ITEMS).batch(np.arange(30))
    found = user(batch, 0.5)[torch.as_tensor(batch.steps)]
    torch.testing.assert_close(found, expected)


def test_rewards_may_be_any_numbers() -> None:
    batch = generate(Interaction(*networks(), np.random.default_rng(1)), histories(9), 4)
    shape = RecurrentUserConfig("gru", 1, 5, 4)
    user = UserNetwork(shape, N_ITEMS, "normal", np.random.default_rng(0))
    with torch.no_grad():  # the reward that it expects is 3 times the item's embedding, summed
        user.own["reward/weight"].zero_()
        user.own["reward/bias"].fill_(3.0)
    paid = batch._replace(reward=np.where(batch.item >= 0, np.float32(2.5), np.float32(0.0)))
    item, clicked = torch.as_tensor(batch.item), torch.as_tensor(batch.item >= 0)
    expected = 3.0 * user.items.sum(1)[item.clamp(min=0)]
    terms = torch.where(clicked, -0.5 * (2.5 - expected).square(), 0.0)
    torch.testing.assert_close(user(paid, 1.0) - user(paid, 0.0), terms)
