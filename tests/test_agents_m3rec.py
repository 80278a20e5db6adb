"""M3Rec's recommender: what it knows of users, and what that is worth to two opposite kinds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.algorithms.m3rec import M3Rec, M3RecConfig
from recgym_agents.learning.user_loop import UserLoopConfig
from recgym_agents.learning.user_steps import UserBatch, UserSteps, steps_of_support
from recgym_agents.networks.context_policy import ContextEncoder, Normal
from recgym_agents.networks.encoders import Inputs
from recgym_agents.runs.assembly import loop_of
from recgym_agents.runs.evaluation import make_vector_env
from recgym_agents.user_support import Support
from recgym_agents.zoo import entry_of

ITEMS, STEPS = 8, 10
SPEC = EnvironmentSpec(ITEMS, slate_size=1, window=2, features=np.eye(ITEMS, dtype=np.float32))
NOBODY = np.full((1, 2), ITEMS)
LIKED, DISLIKED = 0.9, 0.1
"""How often users click an item of the half that they like, and of the other."""


def agent_of(name: str = "m3rec", **settings: Any) -> M3Rec:
    entry = entry_of(name, {"remove_clicked": False} | settings, {})
    found: M3Rec = entry.builder(entry.config, SPEC, 0)
    return found


def answered(slate: np.ndarray, half: np.ndarray, rng: np.random.Generator) -> Support:
    """What users of a half, 0 or 1, click of slates (U, 1, T, 1)."""
    liked = slate[..., 0] % 2 == half[:, None, None]
    clicked = rng.random(liked.shape) < np.where(liked, LIKED, DISLIKED)
    return Support(slate, np.where(clicked, 0, -1), clicked.astype(np.float32))


def random_support(half: np.ndarray, rng: np.random.Generator) -> Support:
    return answered(rng.integers(ITEMS, size=(len(half), 1, STEPS, 1)), half, rng)


def met_users(agent: M3Rec, rng: np.random.Generator, users: int = 64) -> UserBatch:
    """Support of new users, a tenth of it withheld, and what they do with what is drawn then."""
    half = rng.integers(2, size=users)
    support = random_support(half, rng)
    told = rng.random(users) >= 0.1
    support = support._replace(slate=np.where(told[:, None, None, None], support.slate, -1))
    adapted, nobody = agent.adapt(support), np.repeat(NOBODY, users, axis=0)
    slate = np.stack([adapted.act(nobody, 1.0) for _ in range(STEPS)], axis=1)[:, None]
    played = steps_of_support(answered(slate, half, rng), SPEC)
    unseen = np.full_like(played.observation, ITEMS)
    query: UserSteps = played._replace(observation=unseen, next_observation=unseen)
    return UserBatch(steps_of_support(support, SPEC), query)


def test_who_adapts_earns_what_who_knows_does_and_others_do_not() -> None:
    """With two kinds of users of opposite tastes; the oracle shows an item that she likes."""
    agent, rng = agent_of(learning_rate=0.01), np.random.default_rng(0)
    for _ in range(150):
        report = agent.update(met_users(agent, rng))
    assert np.isfinite(list(report.values())).all()
    half = np.arange(400) % 2
    nobody = np.repeat(NOBODY, 400, axis=0)
    adapted = agent.adapt(random_support(half, rng)).act(nobody)[:, 0]
    unknown = agent.act(nobody)[:, 0]
    earned, floor = (
        np.where(item % 2 == half, LIKED, DISLIKED).mean() for item in (adapted, unknown)
    )
    assert earned >= 0.9 * LIKED
    assert floor <= 0.7 * LIKED


def test_rewards_of_support_are_read_or_not() -> None:
    support = random_support(np.arange(20) % 2, np.random.default_rng(0))
    other = support._replace(reward=support.reward * 3.0)
    for reads in (True, False):
        agent = agent_of(reads_rewards=reads)
        found, again = (agent.adapt(one).knowledge["context"] for one in (support, other))
        assert bool((found != again).any()) == reads


def test_without_context_all_users_are_one() -> None:
    agent, rng = agent_of("m3rec-no-context"), np.random.default_rng(0)
    agent.update(met_users(agent, rng))
    support = random_support(np.arange(20) % 2, rng)
    assert not agent.adapt(support).knowledge["context"].any()


def test_without_context_it_learns_as_it_acts() -> None:
    agent, contexts = agent_of("m3rec-no-context"), []
    agent.learner.recommender.register_forward_pre_hook(
        lambda _, given: contexts.append(given[1].abs().max().item())
    )
    agent.update(met_users(agent, np.random.default_rng(0)))
    assert contexts == [0.0]


def test_steps_that_are_not_there_say_nothing_of_information() -> None:
    """Every other user leaves half-way; what is written of her after that changes nothing."""
    batch = met_users(agent_of(), np.random.default_rng(0), users=6)
    there = batch.query.there.copy()
    there[::2, :, STEPS // 2 :] = False
    found = []
    for item in (0, 5):
        observation = np.where(there[..., None], batch.query.observation, item)
        query = batch.query._replace(there=there, observation=observation)
        found.append(agent_of().update(batch._replace(query=query))["information"])
    assert found[0] == found[1] != 0.0


def test_one_user_alone_has_no_other_to_be_told_apart_from() -> None:
    agent, rng = agent_of(), np.random.default_rng(0)
    report = agent.update(met_users(agent, rng, users=1))
    assert report["information"] == 0.0
    assert np.isfinite(list(report.values())).all()


def test_a_context_does_not_depend_on_the_order_and_grows_surer() -> None:
    encoder = ContextEncoder(Inputs(3, 1.0), 8, 2, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    shown = torch.randn(4, 6, 2, 3, generator=generator)
    slot, reward = torch.tensor([[0, 1, 2, 2, 0, 1]] * 4), torch.rand(4, 6, generator=generator)
    whole = encoder(shown, slot, reward, torch.ones(4, 6))
    turned = encoder(shown.flip(1), slot.flip(1), reward.flip(1), torch.ones(4, 6))
    torch.testing.assert_close(whole, turned)
    half = encoder(shown, slot, reward, torch.tensor([[1.0] * 3 + [0.0] * 3]).expand(4, -1))
    assert (whole.variance < half.variance).all()
    none = encoder(shown, slot, reward, torch.zeros(4, 6))
    assert none.mean.tolist() == [[0.0, 0.0]] * 4
    assert none.variance.tolist() == [[1.0, 1.0]] * 4


def test_a_step_is_one_factor_of_the_posterior() -> None:
    """A factor N(m, 1/p) times N(0, 1) is N(p m / (1 + p), 1 / (1 + p))."""
    encoder = ContextEncoder(Inputs(1, 1.0), 4, 1, torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(encoder.mean.weight)
    torch.nn.init.constant_(encoder.mean.bias, 2.0)
    torch.nn.init.zeros_(encoder.log_precision.weight)
    torch.nn.init.constant_(encoder.log_precision.bias, float(np.log(3.0)))
    steps = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2)
    once = encoder(*steps, torch.tensor([[1.0, 0.0]]))
    assert (once.mean.item(), once.variance.item()) == pytest.approx((1.5, 0.25))
    twice = encoder(*steps, torch.ones(1, 2))
    assert (twice.mean.item(), twice.variance.item()) == pytest.approx((12.0 / 7.0, 1.0 / 7.0))


def test_divergence_from_the_prior() -> None:
    """KL(N(1, e^2) || N(0, 1)) = (1 + e^2 - 2 - 1) / 2; of N(0, 1) itself it is 0."""
    e2 = float(np.exp(2.0))
    found = Normal(torch.tensor([[1.0, 0.0]]), torch.tensor([[e2, 1.0]])).divergence
    assert found.item() == pytest.approx((e2 - 2.0) / 2.0)


def test_information_moves_the_recommender_alone_where_the_user_is_known() -> None:
    env = make_vector_env("M3Rec-v0", {"slate_size": 3, "window": 10}, 8, "disabled")
    spec, grown = EnvironmentSpec.of(env), {}
    for weight in (0.0, 10.0):
        entry = entry_of("m3rec", {"information": weight}, {})
        agent = entry.builder(entry.config, spec, 0)
        schedule = replace(entry.loop, num_envs=8, slates=5, batch_users=8, updates=1)
        assert isinstance(schedule, UserLoopConfig)
        before = {name: value.clone() for name, value in agent.meta_user.named_buffers()}
        loop = loop_of(agent, env, schedule, 1_000, (0, 0))
        for _ in range(12):
            report = loop.iterate()
        for name, value in agent.meta_user.named_buffers():
            torch.testing.assert_close(value, before[name], rtol=0.0, atol=0.0)
        assert not any("meta_user" in name for name in agent.policy()[0])
        grown[weight] = report["information"]
    assert grown[10.0] > grown[0.0]


def test_candidates_are_read_by_how_they_differ() -> None:
    arguments = {"population": "train", "observe": "clicks", "support": 1}
    env = make_vector_env("InterestExploration-v0", arguments, 4, "disabled")
    spec = EnvironmentSpec.of(env)
    entry = entry_of("m3rec", {}, {})
    observation, _ = env.reset(seed=0)
    read = entry.builder(entry.config, spec, 0).network.features(torch.as_tensor(observation))
    own = env.simulator.candidates(observation)
    mean, deviation = spec.candidate_scale
    np.testing.assert_allclose(read[:, :-1], (own - mean) / deviation, rtol=1e-4, atol=1e-5)
    assert 0.1 < deviation[0] < 0.4


def test_items_are_read_as_given_or_as_learned() -> None:
    """What the environment says of items stays as it is; an embedding of the agent's own moves."""
    rng = np.random.default_rng(0)
    given = agent_of()
    np.testing.assert_array_equal(given.network.items.table.detach(), SPEC.features)
    learned = agent_of(item_features="learned")
    before = learned.learner.items.table.detach().clone()
    learned.update(met_users(learned, rng))
    given.update(met_users(given, rng))
    assert (learned.learner.items.table.detach() != before).all()
    np.testing.assert_array_equal(given.learner.items.table.detach(), SPEC.features)


def test_candidates_cannot_be_learned() -> None:
    arguments = {"population": "train", "observe": "clicks", "support": 1}
    spec = EnvironmentSpec.of(make_vector_env("InterestExploration-v0", arguments, 4, "disabled"))
    with pytest.raises(RecGymError, match="item_features='learned': items are others at every"):
        M3Rec(M3RecConfig(item_features="learned"), spec, seed=0)


@pytest.mark.parametrize("setting", ["information", "likelihood", "context_divergence", "entropy"])
def test_settings_out_of_range(setting: str) -> None:
    with pytest.raises(RecGymError, match=f"{setting}=-1"):
        replace(entry_of("m3rec", {}, {}).config, **{setting: -1.0})


def test_parameters_decay_where_nothing_is_learned() -> None:
    """By the step size times the decay, at each update."""
    agent = M3Rec(M3RecConfig(learning_rate=0.01, weight_decay=0.5), SPEC, seed=0)
    before = [p.detach().clone() for p in agent.parameters]
    for parameter in agent.parameters:
        parameter.grad = torch.zeros_like(parameter)
    agent.optimizer.step()
    for old, new in zip(before, agent.parameters, strict=True):
        torch.testing.assert_close(new.detach(), old * (1.0 - 0.01 * 0.5))
    with pytest.raises(RecGymError, match=r"weight_decay=-0\.1: must be"):
        M3RecConfig(weight_decay=-0.1)
