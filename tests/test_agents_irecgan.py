"""IRecGAN and its ablations: the turns of Algorithm 1, their losses, and what is learned."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.errors import RecGymError
from recgym.files import load_arrays
from recgym.users import recurrent
from recgym_agents.algorithms.irecgan import IRecGAN, IRecGANConfig
from recgym_agents.checkpointing import arrays_of
from recgym_agents.learning.episodes import Episodes
from recgym_agents.runs.run_metrics import describe_end, kept_report
from recgym_agents.runs.training import CHECKPOINT, METRICS, train
from recgym_agents.zoo import entry_of
from tests.fixtures.slate_mdp_runs import (
    Stop,
    assert_same_run,
    config,
    lines,
    random_log,
    stop_at,
)
from tests.test_agents_generation import N_ITEMS, SMALL, WINDOW, histories


def adversarial(**changes: Any) -> IRecGAN:
    """An agent that shows any item as likely as another, whatever was clicked."""
    settings: dict[str, Any] = {"remove_clicked": False, "hidden": 5, "embedding": 4}
    settings |= {"pretraining": 0, "discriminator_pretraining": 0, "discount": 0.5} | changes
    agent = IRecGAN(IRecGANConfig(**settings), SMALL, 0)
    with torch.no_grad():
        agent.network.head.weight.zero_()
    return agent


def episodes(item: list[list[int]], reward: list[list[float]]) -> Episodes:
    clicked = np.array(item)
    return Episodes(
        history=np.full((len(item), WINDOW), N_ITEMS),
        slate=np.tile([0, 1], (*clicked.shape, 1)),
        item=clicked,
        reward=np.array(reward, np.float32),
        steps=np.ones(clicked.shape, np.bool_),
        terminated=np.ones(len(item), np.bool_),
        propensity=None,
    )


@pytest.mark.parametrize("remove_clicked", [True, False])
def test_a_user_model_ranks_by_what_its_users_would_rather_click(remove_clicked: bool) -> None:
    settings = {"ranking": "user", "cell": "lstm", "remove_clicked": remove_clicked}
    agent = adversarial(**settings)
    with torch.no_grad():
        agent.user.items *= 30
    history = histories(9)
    tables, shape = agent.user.tables(), agent.user.config
    state = recurrent.initial(shape, tables, torch.as_tensor(history))
    every = torch.arange(N_ITEMS).expand(9, -1)
    with torch.no_grad():
        liking = recurrent.respond(shape, tables, state, every)[0][:, :-1].numpy()
    for row in range(9):
        order = np.argsort(-liking[row]).tolist()
        kept = [item for item in order if not (remove_clicked and item in history[row])]
        assert agent.act(history)[row].tolist() == kept[:2]
    real = episodes([[0, 1], [1, -1]], [[1, 0], [1, 0]])
    with torch.no_grad():
        expected = agent.user(real, 1.0).sum(1)
    np.testing.assert_allclose(agent.score(real), expected)
    drawn = agent.act(np.repeat(history, 50, axis=0), explore=1.0)
    assert len(np.unique(drawn, axis=0)) > len(np.unique(agent.act(history), axis=0))


def test_a_user_model_alone_learns_from_real_episodes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("recgym_agents.algorithms.irecgan.generate", None)
    entry = entry_of("user-lstm", {"pretraining": 1}, {})
    agent = entry.builder(entry.config, SMALL, 0)
    real = episodes([[0, 1], [1, -1]], [[1, 0], [1, 0]])
    idle = arrays_of(agent.network)
    losses = [agent.update(real)["user_loss"] for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    assert all((idle[name] == array).all() for name, array in arrays_of(agent.network).items())


@pytest.mark.parametrize("adversary", [True, False])
def test_the_losses_of_a_round_computed_by_hand(
    adversary: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = episodes([[0, 1], [1, -1]], [[1, 0], [1, 0]])
    generated = episodes([[1, -1]], [[1, 0]])
    score = torch.tensor([[0.5, 0.8]])
    monkeypatch.setattr("recgym_agents.algorithms.irecgan.generate", lambda *_: generated)
    monkeypatch.setattr("recgym_agents.algorithms.irecgan.monte_carlo_scores", lambda *_: score)
    agent = adversarial(adversary=adversary)
    of_real, of_generated = (agent.user(batch, 1.0) for batch in (real, generated))
    objective = agent.score(real)
    report = agent.update(real)
    # R^a of the first episode is 1 + 3 + (1 + 0) / 2 and 1; of the second 4.5 at its one click
    share = -math.log(N_ITEMS)
    returns = [4.5 + 1.0, 4.5, (0.5 * 4 + 0.5 * 0.8) if adversary else 4.5]
    assert report["loss"] == pytest.approx(-share * sum(returns) / 3)
    expected = -of_real.sum() / 2
    if adversary:
        expected = -(of_real.sum() + 0.5 * of_generated[0, 0] + 0.8 * of_generated[0, 1]) / 3
        assert report["score"] == pytest.approx(0.65)
        assert report["score_share"] == pytest.approx(1.3**2 / (0.5**2 + 0.8**2) / 2)
    assert report["user_loss"] == pytest.approx(expected.item())
    np.testing.assert_allclose(objective, [5.5 * share, 4.5 * share], rtol=1e-6)


def test_the_discriminator_learns_to_tell_real_episodes_from_generated_ones() -> None:
    agent = adversarial(discriminator_pretraining=200, discriminator_learning_rate=0.03)
    real = episodes([[0, 0, 0]] * 32, [[1, 1, 1]] * 32)
    policy = agent.network.head.bias.detach().clone()
    reports = [agent.update(real) for _ in range(100)]
    assert reports[-1]["discriminator_loss"] < 0.7 * reports[0]["discriminator_loss"]
    assert reports[-1]["discriminator_accuracy"] > 0.9
    assert reports[-1]["discriminator_score_real"] > 0.8
    assert reports[-1]["discriminator_score_generated"] < 0.2
    assert agent.pretraining
    assert torch.equal(agent.network.head.bias, policy)


@pytest.mark.parametrize(("longest", "slates"), [(0.0, 4), (2.0, 3), (1.0, 2), (9.0, 4)])
def test_generated_episodes_are_no_longer_than_a_multiple_of_the_real_ones(
    longest: float, slates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = episodes([[0, 1], [1, -1]], [[1, 0], [1, 0]])
    real.steps[1, 1] = False  # 1.5 slates in the mean
    generated = episodes([[1, -1]], [[1, 0]])
    horizons: list[int] = []

    def generate(*given: Any) -> Episodes:
        horizons.append(given[-1])
        return generated

    def scores(*given: Any) -> torch.Tensor:
        horizons.append(given[-1])
        return torch.tensor([[0.5, 0.8]])

    monkeypatch.setattr("recgym_agents.algorithms.irecgan.generate", generate)
    monkeypatch.setattr("recgym_agents.algorithms.irecgan.monte_carlo_scores", scores)
    adversarial(horizon=4, longest=longest).update(real)
    assert horizons == [slates] * 3  # the round's, their ends, and the discriminator's


def test_what_is_updated_follows_algorithm_1() -> None:
    agent = adversarial(pretraining=2, discriminator_pretraining=1)
    real = episodes([[0, 1], [1, -1]], [[1, 0], [1, 0]])
    moved = []
    for _ in range(4):
        modules = {"agent": agent.network, "user": agent.user, "d": agent.discriminator}
        before = {name: [p.clone() for p in m.parameters()] for name, m in modules.items()}
        was_pretraining = agent.pretraining
        agent.update(real)
        changed = {
            name
            for name, module in modules.items()
            if any((p != q).any() for p, q in zip(module.parameters(), before[name], strict=True))
        }
        moved.append((was_pretraining, changed))
        assert agent.ready == (not was_pretraining)
    first, rounds = {"agent", "user"}, {"agent", "user", "d"}
    assert moved == [(True, first), (True, first), (True, {"d"}), (False, rounds)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("log")
    random_log(200).save(folder)
    return str(folder)


def run(log: str, out: Path, **changes: Any) -> Any:
    small = {"hidden": 6, "embedding": 4, "remove_clicked": False, "horizon": 6}
    turns = {"pretraining": 8, "discriminator_pretraining": 4}
    base = config("offline", log, out, agent="irecgan", agent_args=small | turns)
    return replace(base, **changes)


def test_a_stopped_run_ends_as_one_that_was_not(log: str, tmp_path: Path) -> None:
    """In pre-training, while the discriminator is, and in the rounds."""
    whole = run(log, tmp_path / "whole", steps=1_200)
    train(whole)
    last = lines(tmp_path / "whole")[-1]
    assert {"score", "score_share", "discriminator_accuracy", "generated_length"} <= set(last)
    assert last["updates"] > 20
    for number in (3, 11, 20):
        out = tmp_path / str(number)
        with pytest.raises(Stop):
            train(replace(whole, out=str(out)), stop_at(number))
        train(replace(whole, out=str(out)))
        assert_same_run(out, tmp_path / "whole")


def test_another_seed_gives_another_run(log: str, tmp_path: Path) -> None:
    for seed in (3, 4):
        train(run(log, tmp_path / str(seed), seed=seed, validation_episodes=0))
    assert lines(tmp_path / "3") != lines(tmp_path / "4")


def test_pretraining_is_not_stopped_and_the_rounds_are(log: str, tmp_path: Path) -> None:
    wild = run(log, tmp_path, steps=20_000, reports=100)
    changes = wild.agent_args | {"learning_rate": 1.0, "pretraining": 40}
    settings = wild.loop_args | {"patience": 2}
    train(replace(wild, agent_args=changes, loop_args=settings))
    found = lines(tmp_path)
    assert len(found) < 100
    rounds = [line for line in found if line["updates"] > 44]
    assert len(rounds) >= 2
    assert not any(line["kept"] for line in found if line["updates"] <= 44)
    kept = [number for number, line in enumerate(found) if line["kept"]]
    assert kept[-1] == len(found) - 3
    assert kept_report(tmp_path) == found[kept[-1]]
    scores = [line["validation_score"] for line in rounds]
    assert found[kept[-1]]["validation_score"] == max(scores)
    ended, chosen = describe_end(tmp_path, 20_000)
    assert ended.startswith(f"ended after {found[-1]['steps']:,} of 20,000 steps: validation")
    assert chosen.startswith(f"kept the policy of step {found[kept[-1]]['steps']:,}, the best")


def test_a_run_that_never_leaves_pretraining_says_so(log: str, tmp_path: Path) -> None:
    short = run(log, tmp_path, steps=200, reports=2)
    train(replace(short, agent_args=short.agent_args | {"pretraining": 1_000}))
    assert kept_report(tmp_path) == lines(tmp_path)[-1]
    (found,) = describe_end(tmp_path, 200)
    assert found.startswith("kept the last policy: it is still of pre-training")


@pytest.mark.parametrize("name", ["user_loss", "discriminator_loss"])
def test_a_diverging_run_stops_and_keeps_its_checkpoint(
    name: str, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan(first: torch.Tensor, *rest: Any) -> torch.Tensor:
        calls.append(0)
        return first.sum() * (float("nan") if len(calls) == 10 else 1.0)

    calls: list[int] = []
    monkeypatch.setattr(f"recgym_agents.algorithms.irecgan.{name}", nan)
    with pytest.raises(RecGymError, match=f"{name} is nan at update [0-9]+, step"):
        train(run(log, tmp_path, steps=1_200, reports=20))
    arrays, _ = load_arrays(tmp_path / CHECKPOINT)
    assert all(np.isfinite(a).all() for a in arrays.values())
    assert (tmp_path / METRICS).stat().st_size > 0


def test_rewards_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(RecGymError, match="rewards of 0 to 2: .* set user_reward=normal"):
        adversarial(user_reward="bernoulli").update(episodes([[0, -1]], [[2, 0]]))
    report = adversarial(user_reward="normal").update(episodes([[0, -1]], [[2, 0]]))
    assert math.isfinite(report["user_loss"])


@pytest.mark.parametrize(
    ("items", "rewards", "users_end", "users_reward"),
    [
        ([[0, -1]], [[1, 0]], True, "bernoulli"),
        ([[0, 1]], [[1, 2.5]], True, "normal"),
        ([[-1, 1]], [[0, 1]], False, "bernoulli"),
    ],
)
def test_what_users_do_is_taken_from_the_first_episodes(
    items: list[list[int]], rewards: list[list[float]], users_end: bool, users_reward: str
) -> None:
    agent = adversarial()
    agent.update(episodes(items, rewards))
    assert (agent.users_end, agent.users_reward) == (users_end, users_reward)
    other = adversarial()
    other.set_state(*agent.state())
    assert (other.users_end, other.users_reward) == (users_end, users_reward)
    agent.update(episodes([[0, -1]], [[1, 0]]))
    assert agent.users_end == users_end


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rollouts": 0}, "rollouts=0: must be at least 1"),
        ({"generated": -0.1}, "generated=-0.1: must be at least 0"),
        ({"generated": 0.0}, "generated=0: it is generated episodes .* or adversary to false"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
    ],
)
def test_settings_have_ranges(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message):
        IRecGANConfig(**settings)
