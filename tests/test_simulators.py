"""Simulators: users answer as the user model says, from the noise they are given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recgym import RecGymError
from recgym.simulators import Noise, build, choose
from recgym.simulators.learned_user import learned_user
from recgym.simulators.spent_items import UNROLLED
from recgym.users import gan, recurrent
from tests.fixtures.simulator_noise import noise_of, slates, start, uniforms
from tests.fixtures.user_model import random_user_model


class TestChoose:
    def test_inverts_the_distribution_function(self) -> None:
        weights = np.array([[1.0, 2.0, 1.0]] * 5)
        uniform = np.array([[0.0], [0.24], [0.25], [0.74], [0.75]])
        assert choose(weights, uniform).tolist() == [0, 0, 1, 1, 2]

    def test_never_chooses_weight_zero(self) -> None:
        weights = np.array([[0.0, 1.0, 0.0, 1.0, 0.0]] * 3)
        uniform = np.array([[0.0], [0.5], [np.nextafter(1.0, 0.0)]])
        assert choose(weights, uniform).tolist() == [1, 3, 3]

    def test_a_row_of_zeros_takes_the_last_option(self) -> None:
        assert choose(np.zeros((1, 4)), np.array([[0.3]])).tolist() == [3]

    @settings(deadline=None)
    @given(
        weights=st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=9).filter(any),
        uniform=st.floats(0, 1, exclude_max=True),
    )
    def test_chooses_a_positive_weight_in_both_libraries(
        self, weights: list[float], uniform: float
    ) -> None:
        row, draw = np.array([weights]), np.array([[uniform]])
        option = choose(row, draw)[0]
        assert weights[option] > 0
        assert choose(torch.tensor(row), torch.tensor(draw))[0] == option


class TestLearnedUser:
    def test_clicks_have_the_softmax_probabilities_of_the_user_model(self) -> None:
        model = random_user_model(eta=0.5)
        simulator = learned_user(model, slate_size=3, reward="raw")
        one = start(simulator, 1)
        slate = np.array([[4, 9, 2]])
        tables = gan.prepare(model.config, model.members["train"], model.features)
        logits, rewards = gan.respond(model.config, tables, one, slate)
        expected = np.exp(logits[0].astype(np.float64))
        expected[[item in one["history"] for item in slate[0]] + [False]] = 0.0
        expected /= expected.sum()
        rows = 40_000
        many = {name: np.repeat(values, rows, axis=0) for name, values in one.items()}
        noise = uniforms(rows, *simulator.step_noise[:1])
        _, response = simulator.step(many, np.repeat(slate, rows, axis=0), noise)
        shares = np.bincount(response.click % 4, minlength=4) / rows
        error = np.sqrt(expected * (1 - expected) / rows)
        assert (abs(shares - expected) <= 4 * error).all()
        np.testing.assert_allclose(response.reward, rewards[0][response.click % 4], rtol=1e-5)
        assert (response.item == np.append(slate[0], -1)[response.click]).all()
        assert not response.terminated.any()

    @pytest.mark.parametrize(
        ("no_click", "agreement", "share"),
        [(True, None, 0.0), (True, 0.25, 0.25), (True, -0.3, 0.0), (False, 0.25, 0.0)],
    )
    def test_identified_rewards_keep_the_share_of_levels_that_others_confirm(
        self, no_click: bool, agreement: float | None, share: float
    ) -> None:
        """The rest of every level is the mean of the users'."""
        model = random_user_model(no_click=no_click)
        if agreement is not None:
            model = replace(model, scores={"agreement": {"levels": agreement}})
        assert model.level_share == share
        raw, identified = learned_user(model, reward="raw"), learned_user(model)
        state, slate, noise = start(raw, 50), slates(raw, 50), noise_of(raw, 50)
        _, paid = raw.step(state, slate, noise)
        _, answer = identified.step(state, slate, noise)
        assert (answer.click == paid.click).all()
        tables = gan.prepare(model.config, model.members["train"], model.features)
        tables["reward.items"][-1] = tables["reward.items"][:-1].mean(axis=0)  # as the id N

        def levels(histories: np.ndarray) -> np.ndarray:
            at = gan.initial(model.config, tables, histories)
            mean_item = np.full((len(histories), 1), 30)
            return gan.respond(model.config, tables, at, mean_item)[1][:, 0]

        held = levels(model.histories["train"]).mean() if no_click else 0.0
        expected = paid.reward - (1.0 - share) * (levels(state["history"]) - held)
        clicked = paid.click >= 0
        np.testing.assert_allclose(answer.reward[clicked], expected[clicked], atol=1e-5)
        assert (answer.reward[~clicked] == 0.0).all()

    def test_rewards_of_a_recurrent_model_are_identified_as_they_are(self) -> None:
        model = random_user_model(kind="recurrent", units=8)
        answers = []
        for reward in ("raw", "identified"):
            simulator = learned_user(model, reward=reward)
            noise = noise_of(simulator, 50)
            answers.append(simulator.step(start(simulator, 50), slates(simulator, 50), noise)[1])
        assert (answers[0].reward == answers[1].reward).all()

    @pytest.mark.parametrize("reward", ["bernoulli", "expectation"])
    def test_sessions_end_and_rewards_are_those_of_the_recurrent_model(self, reward: Any) -> None:
        model = random_user_model(kind="recurrent", units=8, reward=reward, repeat_clicks=True)
        simulator = learned_user(model, slate_size=3)
        assert simulator.step_noise == (4 + (reward == "bernoulli"), 0)
        one = start(simulator, 1)
        slate = np.array([[4, 9, 2]])
        tables = recurrent.prepare(model.config, model.members["train"], model.features)
        logits, rewards = recurrent.respond(model.config, tables, one, slate)
        odds = np.exp(logits[0].astype(np.float64))
        rows = 40_000
        many = {name: np.repeat(values, rows, axis=0) for name, values in one.items()}
        noise = uniforms(rows, *simulator.step_noise[:1])
        after, response = simulator.step(many, np.repeat(slate, rows, axis=0), noise)
        expected = odds / odds.sum()
        shares = np.bincount(response.click % 4, minlength=4) / rows
        assert (abs(shares - expected) <= 4 * np.sqrt(expected * (1 - expected) / rows)).all()
        left = response.click < 0
        assert left.any()
        assert (response.terminated == left).all()
        assert (response.reward[left] == 0).all()
        assert response.reward.dtype == np.float32
        for name in ("history", "hidden0", "cell0", "hidden1", "cell1"):
            assert (after[name][left] == many[name][left]).all()
            assert (after[name][~left] != many[name][~left]).any(axis=1).all()
        for slot in range(3):  # rewarded by the item that was clicked, not by the likeliest
            paid, chance = response.reward[response.click == slot], float(rewards[0, slot])
            if reward == "expectation":
                np.testing.assert_allclose(paid, chance, rtol=1e-5)
            else:
                assert set(paid) == {0.0, 1.0}
                error = np.sqrt(chance * (1 - chance) / len(paid))
                assert abs(paid.mean() - chance) <= 4 * error

    @pytest.mark.parametrize("outside", ["no_click", None])
    def test_sessions_that_the_log_does_not_end_are_truncated_alone(self, outside: Any) -> None:
        model = random_user_model(
            kind="recurrent", units=8, outside=outside, repeat_clicks=True, n_users=1
        )
        simulator = learned_user(model, slate_size=3)
        assert simulator.info_names == ()  # one user for all is no user
        _, response = simulator.step(
            start(simulator, 500), slates(simulator, 500), noise_of(simulator, 500)
        )
        assert not response.terminated.any()
        assert (response.click < 0).any() == (outside == "no_click")

    def test_a_click_joins_the_history_and_nothing_else_does(self) -> None:
        simulator = learned_user(random_user_model(repeat_clicks=True))
        state = start(simulator, 200)
        after, response = simulator.step(state, slates(simulator, 200), noise_of(simulator, 200))
        clicked = response.click >= 0
        assert clicked.any()
        assert not clicked.all()
        assert (after["history"][clicked, -1] == response.item[clicked]).all()
        assert (after["history"][clicked, :-1] == state["history"][clicked, 1:]).all()
        assert (after["history"][~clicked] == state["history"][~clicked]).all()
        assert (after["step"] == state["step"] + 1).all()
        assert (after["user"] == state["user"]).all()
        assert (response.reward[~clicked] == 0).all()

    @pytest.mark.parametrize("repeat_clicks", [False, True])
    def test_spent_items_cannot_be_clicked_again(self, repeat_clicks: bool) -> None:
        model = random_user_model(n_items=12, repeat_clicks=repeat_clicks)
        simulator = learned_user(model, slate_size=6, horizon=30)
        state = start(simulator, 20)
        held = [set(row[row < 12].tolist()) for row in state["history"]]
        again = 0
        for step in range(simulator.horizon):
            noise = noise_of(simulator, 20, seed=step)
            state, response = simulator.step(state, slates(simulator, 20, seed=step), noise)
            for row, item in enumerate(response.item.tolist()):
                again += item in held[row]
                held[row] |= {item} - {-1}
        assert (again > 0) == repeat_clicks

    def test_without_the_no_click_option_something_is_clicked_until_all_is_spent(self) -> None:
        model = random_user_model(n_items=6, n_users=1, no_click=False, window=2)
        simulator = learned_user(model, slate_size=6, horizon=9)
        state = start(simulator, 1)
        unspent = 6 - (state["history"] < 6).sum()
        items = []
        for step in range(9):
            noise = noise_of(simulator, 1, seed=step)
            state, response = simulator.step(state, np.arange(6)[None], noise)
            items.append(response.item[0])
        assert sorted(items[:unspent]) == sorted(set(items[:unspent]))
        assert min(items[:unspent]) >= 0
        assert items[unspent:] == [-1] * (9 - unspent)

    def test_one_user_spends_as_among_others(self) -> None:
        model = random_user_model(n_items=12, repeat_clicks=False, window=2)
        simulator = learned_user(model, slate_size=6, horizon=30)
        states = [start(simulator, 20)]
        alone = [{name: values[:1] for name, values in states[0].items()}]
        clicks = []
        for step in range(simulator.horizon):
            noise, slate = noise_of(simulator, 20, seed=step), slates(simulator, 20, seed=step)
            after, response = simulator.step(states[-1], slate, noise)
            own = Noise(noise.uniform[:1], noise.normal[:1])
            after_one, one = simulator.step(alone[-1], slate[:1], own)
            assert (one.click[0], one.item[0]) == (response.click[0], response.item[0])
            states.append(after)
            alone.append(after_one)
            clicks.append(one.item[0])
        assert len({item for item in clicks if item >= 0}) > 6  # more than half are spent

    @pytest.mark.parametrize("history", ["position-weight", "lstm"])
    def test_rows_do_not_depend_on_each_other(self, history: Any) -> None:
        simulator = learned_user(random_user_model(history=history))
        noise, slate = noise_of(simulator, 30, seed=5), slates(simulator, 30)
        state = start(simulator, 30)
        after, response = simulator.step(state, slate, noise)
        for row in range(30):
            one = {name: values[row : row + 1] for name, values in state.items()}
            own = Noise(noise.uniform[row : row + 1], noise.normal[row : row + 1])
            after_one, response_one = simulator.step(one, slate[row : row + 1], own)
            assert response_one.click[0] == response.click[row]
            np.testing.assert_allclose(response_one.reward[0], response.reward[row], atol=1e-5)
            for name, values in after_one.items():
                np.testing.assert_allclose(values[0], after[name][row], atol=1e-5)

    def test_arguments_are_left_as_they_were(self) -> None:
        simulator = learned_user(random_user_model(), ensemble=2)
        state = start(simulator, 8)
        before = {name: values.copy() for name, values in state.items()}
        slate = slates(simulator, 8)
        shown = slate.copy()
        simulator.step(state, slate, noise_of(simulator, 8))
        simulator.observe(state)[:] = 0
        assert (slate == shown).all()
        for name, values in before.items():
            assert (state[name] == values).all()

    def test_user_i_begins_with_row_i_of_the_splits_histories(self) -> None:
        model = random_user_model()
        for split in ("train", "test"):
            simulator = learned_user(model, split=split, observe="items", window=10)
            state = simulator.reset(uniforms(3, 1), np.array([5, 0, -1]))
            assert (simulator.observe(state)[:2] == model.histories[split][[5, 0]]).all()
            assert 0 <= state["user"][2] < 20

    def test_users_are_drawn_evenly(self) -> None:
        simulator = learned_user(random_user_model(n_users=4))
        grid = np.arange(8)[:, None] / 8
        state = simulator.reset(Noise(grid, np.empty((8, 0))))
        assert state["user"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]

    @pytest.mark.parametrize("window", [3, 10, 14])
    def test_observations_are_the_last_clicks_and_lie_in_their_space(self, window: int) -> None:
        model = random_user_model()
        ids = learned_user(model, observe="items", window=window)
        features = learned_user(model, window=window)
        state = start(ids, 6)
        for step in range(4):
            seen = ids.observe(state)
            assert seen.shape == (6, window)
            expected = np.vstack([model.features, np.zeros((1, 16))])[seen].reshape(6, -1)
            np.testing.assert_array_equal(features.observe(state), expected.astype(np.float32))
            for row in range(6):
                assert ids.observation_space.contains(seen[row])
                assert features.observation_space.contains(features.observe(state)[row])
            state, _ = ids.step(state, slates(ids, 6), noise_of(ids, 6, seed=step))

    def test_the_splits_are_different_users_over_the_same_features(self) -> None:
        model = random_user_model()
        train, test = learned_user(model, split="train"), learned_user(model, split="test")
        assert train.item_features is test.item_features
        state, slate = start(train, 50), slates(train, 50)
        _, first = train.step(state, slate, noise_of(train, 50))
        _, second = test.step(state, slate, noise_of(train, 50))
        assert (first.click != second.click).any()

    @pytest.mark.parametrize(
        "config", [{}, {"history": "lstm"}, {"no_click": False}, {"regularizer": "l2"}]
    )
    @pytest.mark.parametrize("horizon", [5, UNROLLED])
    def test_torch_answers_as_numpy_does(self, config: dict[str, Any], horizon: int) -> None:
        simulator = learned_user(random_user_model(**config), ensemble=2, horizon=horizon)
        moved = simulator.to("torch", "cpu")
        noise = uniforms(40, 2)
        state = simulator.reset(noise)
        state_torch = moved.reset(Noise(*map(torch.tensor, noise)))
        for step in range(4):
            noise = noise_of(simulator, 40, seed=step)
            slate = slates(simulator, 40, seed=step)
            state, answer = simulator.step(state, slate, noise)
            state_torch, answer_torch = moved.step(
                state_torch, torch.tensor(slate), Noise(*map(torch.tensor, noise))
            )
            for ours, theirs in zip(answer, answer_torch, strict=True):
                np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
            np.testing.assert_array_equal(
                simulator.observe(state), moved.observe(state_torch).numpy()
            )


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"slate_size": 0}, "slate_size=0: must be a whole number in 1..30"),
            ({"slate_size": 31}, "slate_size=31"),
            ({"slate_size": True}, "slate_size=True"),
            ({"horizon": 0}, "horizon=0: must be a whole number at least 1"),
            ({"horizon": 2.5}, "horizon=2.5"),
            ({"window": 0}, "window=0"),
            ({"observe": "ids"}, "observe='ids': must be one of features, items"),
            ({"split": "validation"}, "split='validation': must be one of train, test"),
            ({"ensemble": 4}, r"ensemble=4: must be a whole number in 0\.\.3"),
            ({"ensemble": 2, "split": "test"}, "use split='train'"),
            ({"reward": "centred"}, "reward='centred': must be one of identified, raw"),
            ({"pessimism": 1.0}, "pessimism=1.0: needs an ensemble"),
            ({"pessimism": -1, "ensemble": 2}, "pessimism=-1: must be a number at least 0"),
            ({"pessimism": "1", "ensemble": 2}, "pessimism='1': must be a number at least 0"),
            ({"entropy_bonus": -1}, "entropy_bonus=-1: must be a number at least 0"),
            ({"entropy_bonus": 1, "ensemble": 2}, "entropy_bonus=1.0: goes with pessimism"),
        ],
    )
    def test_arguments_out_of_range(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(RecGymError, match=message) as error:
            learned_user(random_user_model(), **arguments)
        assert "\n" not in str(error.value)

    def test_a_model_of_which_nothing_is_known_about_next_clicks(self) -> None:
        model = replace(random_user_model(), next_click_entropy=None)
        learned_user(model, ensemble=2, pessimism=1.0)
        with pytest.raises(
            RecGymError, match=r"entropy_bonus=0.1: .* fit it again with recgym fit"
        ):
            learned_user(model, ensemble=2, pessimism=1.0, entropy_bonus=0.1)

    def test_no_user_model_there(self, tmp_path: Path) -> None:
        with pytest.raises(
            RecGymError, match="no such folder, and not one of: recgan, recgan-lstm"
        ):
            learned_user(str(tmp_path / "absent"))

    def test_unknown_simulator_or_argument(self) -> None:
        with pytest.raises(RecGymError, match="simulator 'typo': unknown; there are learned-user"):
            build("typo", {})
        with pytest.raises(RecGymError, match="'no_such_module:world' cannot be imported"):
            build("no_such_module:world", {})
        with pytest.raises(RecGymError, match=r"unexpected keyword argument 'slates'.*slate_size"):
            build("learned-user", {"slates": 3})
