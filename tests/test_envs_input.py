"""What the environments are given: slates that repeat items, and input that cannot be."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from recgym import RecGymError
from recgym.envs import SlateEnv, SlateVectorEnv, slate_repair
from recgym.simulators import SIMULATORS
from recgym_agents.runs.processes import start
from tests.fixtures.tiny_world import TinyWorld


@pytest.fixture(autouse=True)
def _tiny_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIMULATORS.entries, "tiny", TinyWorld)


def compiled_by(connection: Connection, compiler: Path) -> None:
    """Steps a compiled environment, and sends what it raises."""
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    with fresh_cache(), config.patch({"cpp.cxx": (str(compiler),)}):
        env: Any = gymnasium.make_vec("LongTermSatisfaction-v0", 3, backend="torch", compile=True)
        env.reset(seed=0)
        try:
            env.step(env.action_space.sample())
        except RecGymError as error:
            connection.send(str(error))


class TestBadInput:
    @pytest.mark.parametrize(
        ("action", "message"),
        [
            ([1, 2], r"action of shape \(2,\): must be \(3,\)"),
            ([[1, 2, 3]], r"action of shape \(1, 3\)"),
            (7, r"action of shape \(\)"),
            ([1.0, 2.0, 3.0], "action of type float64: item ids must be integers"),
            ([True, False, True], "action of type bool"),
            ([1, 2, 6], r"item id 6 in slot 2 is out of range; ids are 0\.\.5"),
            ([1, -1, 2], "item id -1 in slot 1"),
            (np.array([1, 2**63, 3], np.uint64), "item id 9223372036854775807 in slot 1"),
        ],
    )
    def test_actions(self, action: Any, message: str) -> None:
        env = SlateEnv("tiny")
        env.reset(seed=0, options={"user": 0})
        with pytest.raises(RecGymError, match=message) as error:
            env.step(action)
        assert "\n" not in str(error.value)
        assert env.step([0, 1, 2])[0].tolist() == [0, 1]

    @pytest.mark.parametrize("backend", ["numpy", "torch"])
    def test_actions_of_many_rows(self, backend: str) -> None:
        env = SlateVectorEnv("tiny", 2, backend=backend)
        env.reset(seed=0)
        arrays, rng = env.get_state()
        array: Any = np.array if backend == "numpy" else torch.tensor
        with pytest.raises(RecGymError, match=r"shape \(2, 2\): must be \(2, 3\)"):
            env.step(array([[0, 1], [2, 3]]))
        with pytest.raises(RecGymError, match="item id 9 in row 1, slot 2 is out of range"):
            env.step(array([[0, 1, 2], [0, 1, 9]]))
        with pytest.raises(RecGymError, match="must be integers"):
            env.step(array([[0.0, 1, 2], [0, 1, 2]]))
        after, rng_after = env.get_state()
        assert rng_after == rng
        assert all((after[name] == arrays[name]).all() for name in arrays)
        assert env.step(array([[0, 1, 2], [0, 1, 2]]))[0][:, 1].tolist() == [1, 1]

    @pytest.mark.parametrize("make", [SlateEnv, SlateVectorEnv])
    def test_arguments(self, make: Any) -> None:
        for arguments, message in [
            ({"horizons": 3}, "unexpected keyword argument 'horizons'.*knows: n_items, .*horizon"),
            ({"render_mode": "human"}, "render_mode='human': must be one of ansi, rgb_array"),
            ({"horizon": 3, "max_episode_steps": 4}, "give one of them"),
            ({"horizon": 0}, "horizon=0"),
        ]:
            with pytest.raises(RecGymError, match=message):
                make("tiny", **arguments)
        env = make("tiny", max_episode_steps=9)
        assert env.simulator.horizon == 9

    @pytest.mark.parametrize("make", [SlateEnv, SlateVectorEnv])
    def test_steps_of_an_episode_are_actions(self, make: Any) -> None:
        item_by_item: dict[str, Any] = {"view": "item-by-item", "slate_size": 3}
        assert make("tiny", max_episode_steps=6, **item_by_item).simulator.horizon == 2
        assert make("tiny", max_episode_steps=6, horizon=2, **item_by_item).simulator.horizon == 2
        for steps, message in [
            (7, "a multiple of the 3 actions"),
            ("6", "a multiple of"),
            (0, "horizon=0"),
        ]:
            with pytest.raises(RecGymError, match=message):
                make("tiny", max_episode_steps=steps, **item_by_item)

    @pytest.mark.parametrize("make", [SlateEnv, SlateVectorEnv])
    @pytest.mark.parametrize(
        "keys", ["obs", ["obs"], ["obs", "obs"], ["obs", 1], {"obs": "mask"}, []]
    )
    def test_mask_keys_are_two_names(self, make: Any, keys: Any) -> None:
        with pytest.raises(RecGymError, match="mask_keys=.*: must be two names"):
            make("tiny", view="item-by-item", mask_keys=keys)
        with pytest.raises(RecGymError, match="only view='item-by-item' has masks"):
            make("tiny", mask_keys=["obs", "mask"])

    def test_an_unknown_argument_is_of_pythons_kind(self) -> None:
        with pytest.raises(
            TypeError, match="got an unexpected keyword argument 'horizons'"
        ) as error:
            SlateEnv("tiny", horizons=3)
        assert isinstance(error.value, RecGymError)
        creator = " was raised from the environment creator for X"
        assert str(type(error.value)(f"one{creator}")) == "one"

    def test_arguments_of_the_vector_environment(self) -> None:
        for arguments, message in [
            ({"num_envs": 0}, "num_envs=0"),
            ({"autoreset_mode": "NoStep"}, "must be one of next-step, same-step, disabled"),
            ({"autoreset_mode": None}, "autoreset_mode=None: must be one of next-step"),
            ({"backend": "jax"}, "backend='jax': must be one of numpy, torch"),
            ({"compile": True}, "need backend='torch'"),
            ({"device": "cuda"}, "need backend='torch'"),
            ({"backend": "torch", "device": "nowhere"}, "device='nowhere': torch cannot use it"),
        ]:
            with pytest.raises(RecGymError, match=message) as error:
                SlateVectorEnv("tiny", **arguments)  # type: ignore[arg-type]
            assert "\n" not in str(error.value)

    def test_no_compiler(self) -> None:
        from torch._inductor import config

        with (
            config.patch({"cpp.cxx": ("no-such-compiler",)}),
            pytest.raises(RecGymError, match=r"compile=True needs a C\+\+ compiler") as error,
        ):
            SlateVectorEnv("tiny", backend="torch", compile=True)
        assert "\n" not in str(error.value)

    def test_a_compiler_that_fails(self, tmp_path: Path) -> None:
        """It names its version, as it is asked to when an environment is made, and no more.

        In a process of its own, as torch keeps for good what it finds out of a compiler.
        """
        compiler = tmp_path / "g++"
        compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1.0\n')
        compiler.chmod(0o755)
        process, connection = start(compiled_by, compiler)
        message = connection.recv()
        process.join()
        assert message.startswith("compile=True: torch.compile does not work here (")
        assert "\n" not in message

    @pytest.mark.parametrize("seed", [[1], [1, 2, 3], [1, None], [0.5, 1], [-1, 2]])
    def test_lists_of_seeds(self, seed: Any) -> None:
        with pytest.raises(RecGymError, match="seed must be one whole number, or 2 of them"):
            SlateVectorEnv("tiny", 2).reset(seed=seed)

    @pytest.mark.parametrize("make", [SlateEnv, SlateVectorEnv])
    def test_reset_options(self, make: Any) -> None:
        env = make("tiny")
        for options, message in [
            ({"usr": 1}, "reset option 'usr' is unknown; known: user"),
            ({"user": 7}, r"reset option 'user': .*7.* is out of range 0\.\.6"),
            ({"user": -1}, "out of range"),
            ({"user": 0.5}, "must be one whole number"),
            ({"user": [1, 2]}, "must be one whole number"),
        ]:
            with pytest.raises(RecGymError, match=message):
                env.reset(options=options)

    def test_reset_masks(self) -> None:
        env = SlateVectorEnv("tiny", 2)
        for mask in ([True], [False, False], [1, 0]):
            with pytest.raises(RecGymError, match="must be 2 bools"):
                env.reset(options={"reset_mask": np.array(mask)})
        with pytest.raises(RecGymError, match="first reset must be of all rows"):
            env.reset(options={"reset_mask": np.array([True, False])})
        with pytest.raises(RecGymError, match="call reset first"):
            env.step([[0, 1, 2]] * 2)
        with pytest.raises(RecGymError, match="call reset first"):
            env.get_state()


class TestRepair:
    @pytest.mark.parametrize(
        ("slate", "repaired"),
        [
            ([3, 1, 4], [3, 1, 4]),
            ([3, 3, 3], [3, 0, 1]),
            ([0, 0, 2], [0, 1, 2]),
            ([1, 0, 0], [1, 0, 2]),
            ([2, 5, 2], [2, 5, 0]),
        ],
    )
    def test_by_hand(self, slate: list[int], repaired: list[int]) -> None:
        shown, replaced = slate_repair.repaired(np.array([slate, [9, 8, 7]]), 10)
        assert shown.tolist() == [repaired, [9, 8, 7]]
        changed = sum(old != new for old, new in zip(slate, repaired, strict=True))
        assert replaced.tolist() == [changed, 0]

    @settings(deadline=None)
    @given(
        st_numpy.arrays(
            np.int64,
            st.tuples(st.integers(1, 5), st.integers(1, 7)),
            elements=st.integers(0, 8),
        )
    )
    def test_against_its_definition_in_both_libraries(self, slate: np.ndarray) -> None:
        expected = []
        for row in slate.tolist():
            shown: list[int] = []
            absent = iter(sorted(set(range(20)) - set(row)))
            for item in row:
                shown.append(next(absent) if item in shown else item)
            expected.append(shown)
        before = slate.copy()
        shown_numpy, replaced = slate_repair.repaired(slate, 20)
        shown_torch, replaced_torch = slate_repair.repaired(torch.tensor(slate), 20)
        assert shown_numpy.tolist() == shown_torch.tolist() == expected
        assert (slate == before).all()
        assert replaced.tolist() == (shown_numpy != slate).sum(axis=1).tolist()
        assert replaced.tolist() == replaced_torch.tolist()
