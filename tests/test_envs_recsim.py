"""RecSimEnv: any environment of RecSim, its own and a user's, as Gymnasium wants one."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_of_stable_baselines

from recgym.envs.recsim import LARGEST, RecSimEnv
from recgym.errors import RecGymError

MODULES = ("interest_evolution", "interest_exploration", "long_term_satisfaction")


def test_without_the_package_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['recsim'] = None\n"
        "from recgym import RecGymError\n"
        "from recgym.envs.recsim import RecSimEnv\n"
        "try: RecSimEnv(None)\n"
        "except RecGymError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("RecSimEnv needs RecSim (")
    assert found.stdout.endswith('): pip install "recgym[recsim]"\n')


@pytest.fixture
def recsim() -> Any:
    """The package; where it is not installed the test is skipped."""
    return pytest.importorskip("recsim", reason="needs pip install .[recsim]")


def own(module: str, **config: Any) -> Any:
    """Makes one of RecSim's own environments."""
    world = importlib.import_module(f"recsim.environments.{module}")
    given = {"num_candidates": 5, "slate_size": 2, "resample_documents": True, "seed": 0}
    return world.create_environment(given | config)


def written() -> Any:
    """An environment that a user of RecSim might write: every kind of space, and two clicks."""
    from gym import spaces
    from recsim import document, user
    from recsim.simulator import environment, recsim_gym

    kinds = spaces.Dict({
        "topic": spaces.Discrete(3), "words": spaces.MultiBinary(2),
        "place": spaces.Tuple((spaces.MultiDiscrete([2, 4]), spaces.Box(-np.inf, 2.0, (1, 2)))),
    })  # fmt: skip

    class Document(document.AbstractDocument):
        def __init__(self, doc_id: int, topic: int) -> None:
            super().__init__(doc_id)
            self.topic = topic

        def create_observation(self) -> Any:
            place = ([1, 3], np.array([[-1e9, 7.0]]))
            return {"topic": self.topic, "words": [0, 1], "place": place}

        @staticmethod
        def observation_space() -> Any:
            return kinds

    class Sampler(document.AbstractDocumentSampler):
        count = 0

        def sample_document(self) -> Any:
            self.count += 1
            return Document(self.count, self._rng.randint(3))

    class State(user.AbstractUserState):
        def __init__(self) -> None:
            self.mood = 0.25

        def create_observation(self) -> Any:
            return np.array([self.mood])

        @staticmethod
        def observation_space() -> Any:
            return spaces.Box(0.0, 1.0, (1,))

    class Users(user.AbstractUserSampler):
        def sample_user(self) -> Any:
            return self._user_ctor()

    class Response(user.AbstractResponse):
        click = 0

        def create_observation(self) -> Any:
            return {"click": self.click}

        @staticmethod
        def response_space() -> Any:
            return spaces.Dict({"click": spaces.Discrete(2)})

    class Model(user.AbstractUserModel):
        def __init__(self) -> None:
            super().__init__(Response, Users(State), 3)

        def simulate_response(self, documents: Any) -> Any:
            responses = [Response() for _ in documents]
            for one in responses[1:]:
                one.click = 1
            return responses

        def update_state(self, documents: Any, responses: Any) -> None:
            self._user_state.mood += 0.5

        def is_terminal(self) -> bool:
            return bool(self._user_state.mood > 1)

    inner = environment.SingleUserEnvironment(Model(), Sampler(Document), 4, 3)
    return recsim_gym.RecSimGymEnv(inner, lambda responses: np.float32(len(responses)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("module", [*MODULES, "written"])
@pytest.mark.parametrize("resample", [True, False])
def test_it_passes_both_checkers_without_a_warning(
    recsim: Any, module: str, resample: bool
) -> None:
    inner = written() if module == "written" else own(module, resample_documents=resample)
    env = RecSimEnv(inner)
    check_env(env)
    check_env_of_stable_baselines(env, skip_render_check=False)


def test_what_a_user_wrote_is_laid_out_in_order(recsim: Any) -> None:
    env = RecSimEnv(written(), render_mode="ansi")
    assert env.observation_space.shape == (4 * 7 + 1 + 3,)
    document = [1, 3, -LARGEST, 2]  # place, before topic and words; out of bounds is clipped
    observation, info = env.reset(seed=0)
    assert info == {"click": -1, "item": -1, "repaired": 0}
    topics = [one.topic for one in env.env.environment.candidate_set.get_all_documents()]
    rows = [[*document, topic, 0, 1] for topic in topics]
    assert env.candidates(observation).tolist() == rows
    assert observation[28:].tolist() == [0.25, 0, 0, 0]
    observation, reward, terminated, truncated, info = env.step(np.array([2, 2, 3]))
    assert observation[28:].tolist() == [0.75, 0, 1, 1]
    assert info == {"click": 1, "item": 0, "repaired": 1}  # the second 2 became 0
    assert (reward, type(reward), terminated, truncated) == (3.0, float, False, False)
    assert ">  2 item 0" in env.render()
    observation, _, terminated, truncated, _ = env.step(np.array([0, 1, 2]))
    assert observation[28] == 1.0  # 1.25 is beyond the space
    assert (terminated, truncated) == (True, False)
    with pytest.raises(RecGymError, match="call reset first"):
        env.step(np.array([0, 1, 2]))
    env = RecSimEnv(written(), horizon=1)
    env.reset()
    assert env.step(np.array([0, 1, 2]))[2:4] == (False, True)


@pytest.mark.parametrize("module", MODULES)
def test_the_seed_decides_an_episode(recsim: Any, module: str) -> None:
    env, again = (RecSimEnv(own(module)) for _ in range(2))

    def play(env: RecSimEnv, seed: int | None) -> list[Any]:
        seen = [env.reset(seed=seed)[0]]
        for _ in range(10):
            observation, reward, *_ = env.step(np.array([0, 1]))
            seen += [observation, np.array([reward])]
        return seen

    first, same, other = play(env, 3), play(again, 3), play(env, 4)
    assert all((one == two).all() for one, two in zip(first, same, strict=True))
    assert any((one != two).any() for one, two in zip(first, other, strict=True))
    following = play(env, None)
    assert any((one != two).any() for one, two in zip(other, following, strict=True))


def test_it_shows_what_recsim_shows(recsim: Any) -> None:
    inner = own("interest_evolution")
    env = RecSimEnv(inner)
    observation, _ = env.reset(seed=0)
    state = inner.environment.user_model._user_state
    np.testing.assert_allclose(observation[100:120], state.user_interests, rtol=1e-6)
    shown = [one.features for one in inner.environment.candidate_set.get_all_documents()]
    assert env.candidates(observation).tolist() == np.array(shown).tolist()


def test_stable_baselines_trains_in_it(recsim: Any) -> None:
    from stable_baselines3 import PPO

    env = RecSimEnv(own("long_term_satisfaction"))
    PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(32)


def test_bad_input(recsim: Any) -> None:
    from gym import spaces

    inner = own("interest_evolution")
    with pytest.raises(RecGymError, match="NoneType is not a RecSimGymEnv"):
        RecSimEnv(None)
    with pytest.raises(RecGymError, match="SingleUserEnvironment is not a RecSimGymEnv"):
        RecSimEnv(inner.environment)
    with pytest.raises(RecGymError, match="render_mode='human': must be one of ansi, rgb_array"):
        RecSimEnv(inner, render_mode="human")
    with pytest.raises(RecGymError, match="horizon=0"):
        RecSimEnv(inner, horizon=0)
    env = RecSimEnv(inner)
    with pytest.raises(RecGymError, match="reset option 'user' is unknown; known: none"):
        env.reset(options={"user": 1})
    env.reset()
    with pytest.raises(RecGymError, match="item id 5 in slot 1 is out of range"):
        env.step(np.array([0, 5]))
    state = type(inner.environment.user_model._user_state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "observation_space", staticmethod(lambda: spaces.Box(0, 1, (3,))))
        short = RecSimEnv(inner)
        with pytest.raises(RecGymError, match="shows 130 numbers, and its .* has 113"):
            short.reset()
        patch.setattr(state, "observation_space", staticmethod(lambda: spaces.Text(3)))
        with pytest.raises(RecGymError, match="cannot show a space of the kind Text"):
            RecSimEnv(inner)
