"""Simulators of several models of users: who answers, and who rewards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recgym.simulators import Noise
from recgym.simulators.ensemble import lower_bound
from recgym.simulators.learned_user import LearnedUser, learned_user
from tests.fixtures.simulator_noise import noise_of, slates, start, uniforms
from tests.fixtures.user_model import random_user_model


class TestEnsemble:
    def test_each_episode_is_answered_by_its_own_member(self) -> None:
        model = random_user_model(history="lstm")
        simulator = learned_user(model, ensemble=3)
        alone = [
            LearnedUser(model, f"bag{number}", "train", 5, 20, "features", None)
            for number in range(3)
        ]
        reset_noise, noise = uniforms(60, 2), noise_of(simulator, 60, seed=1)
        slate = slates(simulator, 60)
        state = simulator.reset(reset_noise)
        after, response = simulator.step(state, slate, noise)
        assert set(state["member"].tolist()) == {0, 1, 2}
        assert (after["member"] == state["member"]).all()
        for number, member in enumerate(alone):
            rows = state["member"] == number
            own = member.reset(Noise(reset_noise.uniform[:, :1], reset_noise.normal))
            own_after, own_response = member.step(own, slate, noise)
            assert (own_response.click[rows] == response.click[rows]).all()
            np.testing.assert_array_equal(own_after["hidden"][rows], after["hidden"][rows])


class TestPessimisticEnsemble:
    @pytest.mark.parametrize("reward", ["identified", "raw"])
    @pytest.mark.parametrize("history", ["position-weight", "lstm"])
    def test_two_members_reward_with_their_mean_less_half_their_difference(
        self, history: Any, reward: str
    ) -> None:
        """One of them answers, as in an ensemble without pessimism."""
        model = random_user_model(history=history)
        simulator = learned_user(model, ensemble=2, reward=reward, pessimism=0.4)
        plain = learned_user(model, ensemble=2, reward=reward)
        alone = [
            LearnedUser(model, name, "train", 5, 20, "features", None, reward)
            for name in ("bag0", "bag1")
        ]
        reset_noise = uniforms(60, 2)
        state, plain_state = simulator.reset(reset_noise), plain.reset(reset_noise)
        own = [one.reset(Noise(reset_noise.uniform[:, :1], reset_noise.normal)) for one in alone]
        for step in range(3):  # each member reads the same clicks
            noise, slate = noise_of(simulator, 60, seed=step), slates(simulator, 60, seed=step)
            state, response = simulator.step(state, slate, noise)
            plain_state, answer = plain.step(plain_state, slate, noise)
            assert (response.click == answer.click).all()
            rows, click = np.arange(60), response.click
            scores = zip(alone, own, strict=True)
            one, other = (user.score(at, slate)[1][rows, click] for user, at in scores)
            expected = (one + other) / 2 - 0.4 * abs(one - other) / 2
            np.testing.assert_allclose(response.reward, expected, atol=1e-5)
            assert (response.reward[click < 0] == 0.0).all()
            own = [
                user.follow(at, response.item, noise) for user, at in zip(alone, own, strict=True)
            ]
        if history == "lstm":
            np.testing.assert_array_equal(state["hidden.1"], own[1]["hidden"])
        assert set(state["member"].tolist()) == {0, 1}

    @pytest.mark.parametrize("backend", ["numpy", "torch"])
    def test_a_bonus_for_what_follows_the_last_click(self, backend: str) -> None:
        """Of the click on the slate, or the one before it; nothing else changes."""
        model = random_user_model()
        arguments = {"ensemble": 2, "pessimism": 0.4}
        plain = learned_user(model, **arguments).to(backend, "cpu")
        paid = learned_user(model, **arguments, entropy_bonus=0.5).to(backend, "cpu")

        def given(array: np.ndarray) -> Any:
            return array if backend == "numpy" else torch.tensor(array)

        start_noise = Noise(*map(given, uniforms(60, 2)))
        state, plain_state = paid.reset(start_noise), plain.reset(start_noise)
        for step in range(3):
            noise = Noise(*map(given, noise_of(plain, 60, seed=step)))
            slate = given(slates(plain, 60, seed=step))
            state, response = paid.step(state, slate, noise)
            last = np.asarray(state["history"])[:, -1]
            plain_state, answer = plain.step(plain_state, slate, noise)
            np.testing.assert_array_equal(response.click, answer.click)
            more = np.asarray(response.reward) - np.asarray(answer.reward)
            np.testing.assert_allclose(more, 0.5 * last / 30, atol=1e-6)  # of item i, i / 30
        assert (np.asarray(answer.click) < 0).any()

    def test_three_arrays_by_hand(self) -> None:
        rewards = [np.array([1.0, 2.0]), np.array([2.0, 2.0]), np.array([6.0, 2.0])]
        # 1, 2, 6: mean 3, variance (4 + 1 + 9) / 3
        found = lower_bound(rewards, 1.5)
        np.testing.assert_allclose(found, [3.0 - 1.5 * np.sqrt(14 / 3), 2.0])
        torched = lower_bound([torch.tensor(one) for one in rewards], 1.5)
        np.testing.assert_allclose(torched.numpy(), found)

    def test_no_pessimism_is_the_mean(self) -> None:
        model = random_user_model(kind="recurrent", units=8, n_users=1)
        simulator = learned_user(model, ensemble=3, pessimism=0)
        alone = [LearnedUser(model, name, "train", 5, 20, "features", None) for name in model.bags]
        state, slate, noise = start(simulator, 40), slates(simulator, 40), noise_of(simulator, 40)
        _, response = simulator.step(state, slate, noise)
        chances = np.mean([one.score(start(one, 40), slate)[1] for one in alone], axis=0)
        expected = chances[np.arange(40), response.click]
        np.testing.assert_allclose(response.reward, expected, rtol=1e-5)  # not drawn
        assert (response.click >= 0).any()

    @pytest.mark.parametrize("config", [{}, {"history": "lstm"}])
    def test_torch_answers_as_numpy_does(self, config: dict[str, Any]) -> None:
        simulator = learned_user(random_user_model(**config), ensemble=2, pessimism=1.0)
        moved = simulator.to("torch", "cpu")
        noise = uniforms(40, 2)
        state = simulator.reset(noise)
        state_torch = moved.reset(Noise(*map(torch.tensor, noise)))
        for step in range(3):
            noise, slate = noise_of(simulator, 40, seed=step), slates(simulator, 40, seed=step)
            state, answer = simulator.step(state, slate, noise)
            state_torch, answer_torch = moved.step(
                state_torch, torch.tensor(slate), Noise(*map(torch.tensor, noise))
            )
            for ours, theirs in zip(answer, answer_torch, strict=True):
                np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
