"""RecSim's worlds: draw by draw as RecSim itself, and in the long run too."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import recgym  # noqa: F401
from recgym.envs import SlateEnv
from recgym.errors import RecGymError
from recgym.simulators import Noise, Simulator, build
from tests.fixtures import recsim_reference as reference

STORED = np.load(reference.PATH)
SIMULATORS = {
    "InterestEvolution-v0": "interest-evolution",
    "InterestExploration-v0": "interest-exploration",
    "LongTermSatisfaction-v0": "long-term-satisfaction",
}
"""Environment id -> name of the simulator."""
HIDDEN: dict[str, Callable[[Any], list[float]]] = {
    "InterestEvolution-v0": lambda state: state["time_budget"].tolist(),
    "InterestExploration-v0": lambda state: state["affinity"][0].tolist(),
    "LongTermSatisfaction-v0": lambda state: [
        (state["time_budget"] - state["step"]).item(),
        state["net_positive_exposure"].item(),
    ],
}
"""Environment id -> what ``reference.World.hidden`` returns, from a state of one row."""
each_world = pytest.mark.parametrize("world", reference.WORLDS, ids=lambda world: world.name)
each_library = pytest.mark.parametrize("library", [np, torch])


def noise(uniform: Any, normal: Any = ()) -> Noise:
    """The noise of one row."""
    return Noise(np.array([uniform], np.float64), np.array([normal], np.float64))


def stored_trace(world: reference.World) -> dict[str, np.ndarray]:
    names = (*reference.RECORDED, "reset_uniform", "reset_normal")
    return {name: STORED[f"{world.name}/trace/{name}"] for name in names}


def check_against(world: reference.World, trace: Mapping[str, np.ndarray], library: Any) -> None:
    """Plays RecSim's session with its own draws: every number must come out again."""
    simulator = build(SIMULATORS[world.name], {})
    if library is torch:
        simulator = simulator.to("torch", "cpu")
    of = library.asarray
    state = simulator.reset(
        Noise(of(trace["reset_uniform"][None]), of(trace["reset_normal"][None]))
    )
    for step, slate in enumerate(trace["slate"]):
        expected = trace["observation"][step : step + 1]
        np.testing.assert_allclose(simulator.observe(state), expected, rtol=1e-5, atol=1e-5)
        hidden = HIDDEN[world.name](state)
        np.testing.assert_allclose(hidden, trace["hidden"][step], rtol=1e-5, atol=1e-6)
        drawn = Noise(of(trace["uniform"][step][None]), of(trace["normal"][step][None]))
        state, response = simulator.step(state, of(slate[None]), drawn)
        assert response.reward[0] == pytest.approx(trace["reward"][step], rel=1e-5)
        assert response.terminated[0] == trace["terminated"][step]
    np.testing.assert_allclose(
        simulator.observe(state)[0], trace["observation"][-1], rtol=1e-5, atol=1e-5
    )


@each_world
@each_library
def test_a_session_of_recsim_comes_out_again(world: reference.World, library: Any) -> None:
    trace = stored_trace(world)
    assert len(trace["reward"]) >= 50
    check_against(world, trace, library)


@each_world
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_so_do_other_sessions_of_recsim_where_it_is_installed(
    world: reference.World, seed: int
) -> None:
    if importlib.util.find_spec("recsim") is None:
        pytest.skip("needs pip install .[recsim]")
    check_against(world, reference.trace(world, seed), np)


def our_sessions(world: reference.World, policy: str, count: int = 10_000) -> np.ndarray:
    """The first session of each row: reward, length and clicks, (count, 3)."""
    env: Any = gymnasium.make_vec(world.name, count, horizon=world.horizon)
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    found, going = np.zeros((count, 3)), np.ones(count, bool)
    while going.any():
        if policy == "random":
            slates = env.action_space.sample()
        else:
            slates = reference.greedy(world, observation)
        observation, reward, terminated, truncated, info = env.step(slates)
        found[going] += np.stack([reward, np.ones(count), info["click"] >= 0], axis=1)[going]
        going &= ~(terminated | truncated)
    return found


@each_world
@pytest.mark.parametrize("policy", reference.POLICIES)
def test_sessions_are_distributed_as_those_of_recsim(world: reference.World, policy: str) -> None:
    """95% intervals of the differences of return, length and click rate lie within 2%."""
    theirs, ours = STORED[f"{world.name}/{policy}"].astype(float), our_sessions(world, policy)
    assert len(theirs) >= 2000
    for found in (theirs, ours):
        found[:, 2] /= found[:, 1]  # clicks of a slate
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    error = np.sqrt(ours.var(axis=0) / len(ours) + theirs.var(axis=0) / len(theirs))
    assert (abs(difference) + 1.96 * error <= 0.02 * theirs.mean(axis=0)).all()


def interest_evolution(**arguments: Any) -> Simulator:
    """Two candidates of topics 0 and 1 of 4, of which slates of two are shown."""
    return build(
        "interest-evolution",
        {"num_candidates": 2, "slate_size": 2, "num_topics": 4, **arguments},
    )


def watching(**arguments: Any) -> tuple[Simulator, dict[str, Any]]:
    """That world, and a user with interests -.5, .2 in the topics of the candidates."""
    world = interest_evolution(**arguments)
    state = world.reset(Noise(np.zeros((1, world.reset_noise[0])), np.zeros((1, 2))))
    state |= {
        "user_interests": np.array([[-0.5, 0.2, 0.0, 0.0]]),
        "topic": np.array([[0, 1]]),
        "quality": np.array([[-2.0, 1.5]]),
    }
    return world, state


@pytest.mark.parametrize(
    ("choice", "up", "slot", "interest", "budget"),
    [
        # weights .5, 1.2 and 2, of 3.7; she stays 4 minutes and gets back .25 * 4 * quality
        (0.134, 0.24, 0, -0.5 + 0.15 * 1.5, 100 - 4 - 2),  # (.3 - .3 * .5) * 1.5, up below .25
        (0.134, 0.26, 0, -0.5 - 0.15 * 1.5, 100 - 4 - 2),
        (0.136, 0.59, 1, 0.2 + 0.24 * 0.8, 100 - 4 + 1.5),  # up below .6
        (0.458, 0.61, 1, 0.2 - 0.24 * 0.8, 100 - 4 + 1.5),
        (0.460, 0.0, -1, None, 100 - 0.5),
    ],
)
def test_a_step_of_interest_evolution_by_hand(
    choice: float, up: float, slot: int, interest: float | None, budget: float
) -> None:
    world, state = watching(time_budget=100, user_update_alpha=0.25)
    after, response = world.step(state, np.array([[0, 1]]), noise([choice, up, 0, 0.9], [0, 1]))
    assert (response.click[0], response.item[0]) == (slot, slot)
    assert response.reward[0] == (4.0 if slot >= 0 else 0.0)
    assert after["time_budget"][0] == pytest.approx(budget)
    expected = np.array([-0.5, 0.2, 0.0, 0.0])
    if interest is not None:
        expected[slot] = interest
    np.testing.assert_allclose(after["user_interests"], [expected])
    watched = np.zeros((2, 5))
    watched[:, 3:] = [[-2.0, 0], [1.5, 1]]  # quality and topic of both are shown
    if slot >= 0:
        watched[slot, :2] = 1, 4
    seen = world.observe(after)[0]
    np.testing.assert_allclose(seen, [1, 0, 0, 0, 0, 0, 0, 1, *expected, *watched.ravel()])
    # topics 0 and 3 of 4; of the qualities -3, 0, 0, 3 the second is a tenth higher by its draw
    assert after["topic"].tolist() == [[0, 3]]
    np.testing.assert_allclose(after["quality"], [[-3.0, 3.1]])


def test_what_is_left_of_the_budget_is_watched_and_ends_the_session() -> None:
    world, state = watching(time_budget=1.5, user_update_alpha=0.25, user_quality_factor=2.0)
    slate = np.array([[0, 1]])
    after, response = world.step(state, slate, noise([0.0, 0, 0, 0], [0, 0]))
    # the utility is her quality -2, and twice the weight .5
    assert response.reward[0] == 1.5
    assert after["time_budget"][0] == pytest.approx(0.25 * 1.5 * (-2.0 + 2 * 0.5))
    assert response.terminated[0]
    rich, response = world.step(state, slate, noise([0.2, 0, 0, 0], [0, 0]))
    assert rich["time_budget"][0] == pytest.approx(0.25 * 1.5 * (1.5 + 2 * 1.2))
    assert not response.terminated[0]


def test_the_logit_choice_weighs_by_exponentials() -> None:
    world, state = watching(choice_model="logit", user_quality_factor=1.0)
    weights = np.exp([-0.5, 0.2, 1.0])
    bounds = weights.cumsum() / weights.sum()
    for option, bound in enumerate(bounds[:2]):
        below, above = (
            world.step(state, np.array([[0, 1]]), noise([bound + by, 0, 0, 0], [0, 0]))[1]
            for by in (-1e-9, 1e-9)
        )
        assert below.click[0] == option
        assert above.click[0] == (option + 1 if option == 0 else -1)
    after, _ = world.step(state, np.array([[0, 1]]), noise([0.0, 0, 0, 0], [0, 0]))
    utility = -2.0 + weights[0] / (weights[0] + weights[2])
    assert after["time_budget"][0] == pytest.approx(200 - 4 + 0.9 / 3.4 * 4 * utility)


def test_a_step_of_long_term_satisfaction_by_hand() -> None:
    users = {"sensitivity": 2, "memory_discount": 0.5, "innovation_stddev": 0.1}
    users["time_budget"] = 1.5  # half a slate's time is enough for a slate
    means = {"choc_mean": 1, "choc_stddev": 0.5, "kale_mean": 3, "kale_stddev": 0.1}
    sizes = {"num_candidates": 3, "slate_size": 2}
    world = build("long-term-satisfaction", {**users, **means, **sizes})
    state = world.reset(noise([0.65, 1.0, 0.25, 0.0]))
    assert state["net_positive_exposure"][0] == pytest.approx(0.15 / 0.5)
    np.testing.assert_allclose(world.observe(state), [[1.0, 0.25, 0.0, 0, 0, 0, 0]])
    # a score of .25: the mean is 2.5 and the standard deviation .2, when fully satisfied
    state, response = world.step(state, np.array([[1, 0]]), noise([0.5, 0.6, 0.7], [0.5, -1.0]))
    engagement = np.exp(2.5 / (1 + np.exp(-2 * 0.3)) + 0.2 * 0.5)
    assert response.reward[0] == pytest.approx(engagement)
    assert state["net_positive_exposure"][0] == pytest.approx(0.5 * 0.3 + 0.5 - 0.1)
    assert (response.click[0], response.item[0], response.terminated[0]) == (0, 1, False)
    np.testing.assert_allclose(world.observe(state), [[0.5, 0.6, 0.7, 1, engagement, 0, 0]])
    # of what engaged her 100 is observed, and all is paid
    state, response = world.step(state, np.array([[2, 0]]), noise([0.5, 0.6, 0.7], [40.0, 0.0]))
    assert response.reward[0] > 1000
    assert world.observe(state)[0, 4] == 100
    assert response.terminated[0]


def test_a_step_of_interest_exploration_by_hand() -> None:
    world = build(
        "interest-exploration", {"num_candidates": 2, "slate_size": 2, "no_click_mass": 2}
    )
    drawn = [world.reset(noise([kind, 0.19, 0.21], [1.0, -1.0, 0.5, 0.0])) for kind in (0.29, 0.31)]
    np.testing.assert_allclose(drawn[0]["affinity"], np.exp([[0.2, 0.6]]))
    np.testing.assert_allclose(drawn[1]["affinity"], np.exp([[0.8, 0.0]]))
    quality = np.exp([0.85, 0.2])
    np.testing.assert_allclose(
        world.observe(drawn[0]), [[quality[0], 1, 0, quality[1], 0, 1, *[0] * 6]], rtol=1e-6
    )
    weights = np.exp([*np.exp([0.6, 0.2]) + quality[::-1], 2])
    bounds = weights.cumsum() / weights.sum()
    for uniform, click in ((0, 0), (bounds[0] + 1e-9, 1), (bounds[1] + 1e-9, -1)):
        after, response = world.step(
            drawn[0], np.array([[1, 0]]), noise([uniform, 0.19, 0.21], [0.5, 0.0])
        )
        item = {0: 1, 1: 0, -1: -1}[click]
        assert (response.click[0], response.item[0]) == (click, item)
        assert (response.reward[0], response.terminated[0]) == (float(click >= 0), False)
        shown = [float(click == 0), quality[1], 1, float(click == 1), quality[0], 0]
        np.testing.assert_allclose(world.observe(after)[0, 6:], shown, rtol=1e-6)
        assert (after["affinity"] == drawn[0]["affinity"]).all()


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("InterestEvolution-v0", "step_penalty"),
        ("InterestExploration-v0", "no_click_mass"),
        ("LongTermSatisfaction-v0", "sensitivity"),
    ],
)
def test_users_are_drawn_from_the_named_distribution(name: str, argument: str) -> None:
    env: Any = gymnasium.make_vec(name, 5000, **{argument: ["uniform", 2.0, 4.0]})
    env.reset(seed=0)
    drawn = env._state[argument].copy()
    assert 2.0 <= drawn.min() < 2.01 < 3.99 < drawn.max() < 4.0
    assert drawn.mean() == pytest.approx(3.0, abs=0.05)
    env.step(env.action_space.sample())
    assert (env._state[argument] == drawn).all()


@each_world
@each_library
def test_documents_that_are_not_resampled_are_the_same_in_every_episode(
    world: reference.World, library: Any
) -> None:
    backend = "numpy" if library is np else "torch"
    make = {"num_envs": 3, "backend": backend, "resample_documents": False}
    env: Any = gymnasium.make_vec(world.name, **make, document_seed=5)
    observation, _ = env.reset(seed=0)
    first = np.asarray(env.simulator.candidates(observation))
    assert (first == first[:1]).all()
    observation, *_ = env.step(env.action_space.sample())
    np.testing.assert_array_equal(env.simulator.candidates(observation), first)
    observation, _ = env.reset()
    np.testing.assert_array_equal(env.simulator.candidates(observation), first)
    other: Any = gymnasium.make_vec(world.name, **make, document_seed=6)
    assert (np.asarray(other.simulator.candidates(other.reset()[0])) != first).any()


@each_world
def test_candidates_are_new_at_every_step_and_lie_in_their_space(world: reference.World) -> None:
    env: Any = gymnasium.make(world.name, num_candidates=30, slate_size=4)
    observation, _ = env.reset(seed=0)
    before = env.unwrapped.simulator.candidates(observation[None])
    assert before.shape == (1, 30, world.width)
    for _ in range(5):
        observation, *_ = env.step(env.action_space.sample())
        assert observation in env.observation_space
        after = env.unwrapped.simulator.candidates(observation[None])
        assert (after != before).any()
        before = after


@each_library
def test_a_budget_beyond_all_numbers_is_not_spent(library: Any) -> None:
    """e^50 slates are more than a 64-bit integer holds."""
    backend = "numpy" if library is np else "torch"
    budget = {"time_budget": ["lognormal", 50, 1], "horizon": 3, "backend": backend}
    env: Any = gymnasium.make_vec("LongTermSatisfaction-v0", 4, **budget)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(3)]
    assert not any(terminated.any() for terminated, _ in ends)
    assert [bool(truncated.all()) for _, truncated in ends] == [False, False, True]


@each_world
def test_a_session_is_cut_off_at_its_horizon(world: reference.World) -> None:
    env = SlateEnv(SIMULATORS[world.name], horizon=2)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(2)]
    assert ends == [(False, False), (False, True)]


@each_world
@pytest.mark.parametrize("view", ["item-by-item", "scores", "enumerated"])
def test_its_views_step(world: reference.World, view: str) -> None:
    env: Any = gymnasium.make_vec(world.name, 4, view=view)
    env.reset(seed=0)
    for _ in range(4):
        observation, *_ = env.step(env.action_space.sample())
        assert observation in env.observation_space
    with pytest.raises(RecGymError, match="have no features"):
        gymnasium.make(world.name, view="proto-action")


@each_world
@pytest.mark.usefixtures("compiler")
def test_a_compiled_batch_steps(world: reference.World) -> None:
    torch._dynamo.reset()
    env: Any = gymnasium.make_vec(world.name, 4, backend="torch", compile=True)
    env.reset(seed=0)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(3):
            observation, *_ = env.step(env.action_space.sample())
    assert observation.numpy() in env.observation_space


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("InterestEvolution-v0", {"num_candidates": 2}, r"slate_size=3: must be .* in 1\.\.2"),
        ("InterestEvolution-v0", {"choice_model": "cascade"}, "one of proportional, logit"),
        ("InterestEvolution-v0", {"min_normalizer": 0.0}, "min_normalizer=0.0: .* at most -1"),
        ("InterestEvolution-v0", {"no_click_mass": -2}, "no_click_mass=-2: every value must be"),
        ("InterestEvolution-v0", {"user_interests": ["normal", 0, 1]}, r"number in -1\.\.1"),
        ("InterestEvolution-v0", {"video_length": 101}, r"video_length=101: .* in 0\.\.100"),
        ("InterestEvolution-v0", {"document_seed": -1, "resample_documents": False}, "seed=-1"),
        ("LongTermSatisfaction-v0", {"memory_discount": 1}, r"number in 0\.\.0\.999"),
        ("LongTermSatisfaction-v0", {"kale_stddev": -1}, "kale_stddev=-1: .* at least 0"),
        ("LongTermSatisfaction-v0", {"horizon": 0}, "horizon=0"),
        ("InterestExploration-v0", {"topic_distribution": [0.5, 0.6]}, "must sum to 1"),
        ("InterestExploration-v0", {"topic_distribution": []}, r"topic_distribution=\[\]"),
        ("InterestExploration-v0", {"topic_quality_mean": [1, 2, 3]}, "must hold 2 numbers"),
        ("InterestExploration-v0", {"topic_quality_stddev": [1, -1]}, "each a number at least 0"),
        (
            "InterestExploration-v0",
            {"user_type_distribution": [1.0]},
            "user_document_mean_affinity_matrix=.*: must hold 1 x 2 numbers",
        ),
    ],
)
def test_bad_arguments(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecGymError, match=message) as error:
        gymnasium.make(name, **arguments)
    assert "\n" not in str(error.value)


def test_with_logits_no_click_may_weigh_anything() -> None:
    arguments = {"choice_model": "logit", "no_click_mass": ["normal", -5.0, 1.0]}
    state = build("interest-evolution", arguments).reset(noise([0.0] * 30, [-2.0] + [0.0] * 10))
    assert state["no_click_mass"].tolist() == [-7.0]
