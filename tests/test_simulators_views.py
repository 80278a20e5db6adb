"""Views: slates given in other ways, around a world whose answers are known."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector.utils import batch_space
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import recgym  # noqa: F401
from recgym.errors import RecGymError
from recgym.simulators import Noise, views
from recgym.simulators.slate_mdp import SlateMDP
from recgym.spaces import SlateSpace
from tests.fixtures.tiny_world import TinyWorld

WORLD: dict[str, Any] = {"n_items": 9, "slate_size": 3, "n_states": 3, "horizon": 6, "window": 2}
each_view = pytest.mark.parametrize("view", views.VIEWS)


def test_slates_are_numbered_in_lexicographic_order() -> None:
    view = views.EnumeratedSlates(SlateMDP(n_items=4, slate_size=2))
    assert view.action_space == gymnasium.spaces.Discrete(6)
    assert view.slates(np.arange(6)).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_too_many_slates_are_refused_with_their_number() -> None:
    with pytest.raises(RecGymError, match="50 items make 10,272,278,170 slates of 10"):
        gymnasium.make("SlateMDP-v0", view="enumerated")


@settings(max_examples=50, deadline=None)
@given(
    st_numpy.arrays(np.float32, (3, 7), elements=st.floats(-1, 1, width=16)),
    st.integers(1, 7),
)
def test_the_highest_scores_are_shown_in_order(scores: np.ndarray, size: int) -> None:
    expected = [sorted(range(7), key=lambda item: (-row[item], item))[:size] for row in scores]
    assert views.top(scores, size).tolist() == expected
    assert views.top(torch.tensor(scores), size).tolist() == expected


def test_a_point_shows_the_items_of_the_highest_inner_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = TinyWorld(n_items=4, slate_size=2)
    world.item_features = np.array([[1, 0], [0, 1], [-1, 0], [0.5, 0.5]], np.float32)
    view = views.ProtoAction(world)  # type: ignore[arg-type]
    points = np.array([[1.0, 0.1], [-1.0, -0.2], [0.0, 1.0]], np.float32)
    assert view.slates(points).tolist() == [[0, 3], [2, 1], [1, 3]]
    monkeypatch.setattr(views, "BLOCK", 1)
    assert view.slates(points).tolist() == [[0, 3], [2, 1], [1, 3]]
    with pytest.raises(RecGymError, match="have no features"):
        views.ProtoAction(TinyWorld())  # type: ignore[arg-type]


def noise(uniform: float, rows: int = 1) -> Noise:
    return Noise(np.full((rows, 1), uniform), np.zeros((rows, 1)))


def test_a_slate_is_filled_item_by_item() -> None:
    view = views.ItemByItem(TinyWorld(horizon=1))  # type: ignore[arg-type]
    state = view.reset(noise(0.5))
    assert view.observe(state).tolist() == [[3, 0, 6, 6, 6]]
    assert view.action_masks(state).all()
    state, response = view.step(state, np.array([4]), noise(0.3))
    assert response.slate.tolist() == [[-1, -1, -1]]
    assert (response.click[0], response.item[0], response.reward[0]) == (-1, -1, 0.0)
    assert view.observe(state).tolist() == [[3, 0, 4, 6, 6]]
    assert view.action_masks(state).tolist() == [[True, True, True, True, False, True]]
    state, response = view.step(state, np.array([4]), noise(0.3))  # again: becomes item 0
    assert (state["slate"].tolist(), state["repaired"].tolist()) == ([[4, 0, 6]], [1])
    state, response = view.step(state, np.array([2]), noise(0.3))  # slot floor(.3 * 4) is clicked
    assert response.slate.tolist() == [[4, 0, 2]]
    assert (response.click[0], response.item[0]) == (1, 0)
    assert (state["step"][0], state["slate"].tolist()) == (1, [[6, 6, 6]])


@pytest.mark.filterwarnings("error")
def test_items_without_features_are_observed_by_their_ids() -> None:
    """Beside numbers as beside ids; an empty slot is N."""
    world = TinyWorld(n_items=5)
    world.observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    space = views.ItemByItem(world).observation_space  # type: ignore[arg-type]
    assert space == gymnasium.spaces.Box(
        np.zeros(5, np.float32), np.array([1, 1, 5, 5, 5], np.float32)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 7), st.sampled_from([np, torch]))
def test_what_is_shown_never_repeats_an_item(seed: int, n_items: int, library: Any) -> None:
    """Rows at different slots of their slates, in a world with hardly more items than slots."""
    generator = np.random.default_rng(seed)
    view = views.ItemByItem(TinyWorld(n_items=n_items, horizon=100))  # type: ignore[arg-type]
    of = np.asarray if library is np else torch.as_tensor
    state = {name: of(values) for name, values in view.reset(noise(0.1, 4)).items()}
    given_to_world: list[Any] = []
    step = view.world.step

    def record(before: Any, slate: Any, luck: Any) -> Any:
        given_to_world.append(slate)
        return step(before, slate, luck)

    view.world.step = record  # type: ignore[method-assign]
    for _ in range(7):
        action = of(generator.integers(n_items, size=4))
        luck = noise(generator.random(), 4)
        state, _ = view.step(state, action, Noise(of(luck.uniform), of(luck.normal)))
    for slates in given_to_world:
        assert all(len(set(slate)) == 3 for slate in slates.tolist())
        assert 0 <= slates.min() <= slates.max() < n_items


@each_view
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_view_of_many_rows_shows_the_slates_that_its_actions_name(
    view: str, backend: str
) -> None:
    """The same luck with the slates given as they are: the same answers."""
    viewed: Any = gymnasium.make_vec("SlateMDP-v0", 5, view=view, backend=backend, **WORLD)
    plain: Any = gymnasium.make_vec("SlateMDP-v0", 5, backend=backend, **WORLD)
    for env in (viewed, plain):
        env.reset(seed=1)
    action = viewed.action_space.sample()
    if view == "item-by-item":
        slates = np.array([[3, 1, 4], [1, 5, 0], [2, 6, 5], [3, 5, 8], [7, 4, 0]])
        for item in slates.T[:2]:
            assert (np.asarray(viewed.step(item)[4]["click"]) == -1).all()
            plain._backend.draw(5, plain.simulator.step_noise)  # as much luck
        action = slates.T[2]
    else:
        tensor = action if backend == "numpy" else torch.as_tensor(action)
        slates = np.asarray(viewed.simulator.slates(tensor))
    ours, theirs = viewed.step(action), plain.step(slates)
    for name in ("click", "item", "state"):
        assert ours[4][name].tolist() == theirs[4][name].tolist()
    assert ours[1].tolist() == theirs[1].tolist()


def test_masks_are_for_item_by_item() -> None:
    env: Any = gymnasium.make("SlateMDP-v0", view="item-by-item", **WORLD).unwrapped
    with pytest.raises(RecGymError, match="call reset first"):
        env.action_masks()
    env.reset(seed=0)
    env.step(5)
    assert np.flatnonzero(~env.action_masks()).tolist() == [5]
    assert env.step(5)[4]["repaired"] == 1
    vector: Any = gymnasium.make_vec("SlateMDP-v0", 2, view="item-by-item", **WORLD)
    vector.reset(seed=0)
    assert vector.action_masks().shape == (2, 9)
    with pytest.raises(RecGymError, match="only view='item-by-item'"):
        gymnasium.make("SlateMDP-v0").unwrapped.action_masks()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("view", "action", "message"),
    [
        ("item-by-item", 9, r"9 in row 0 is not in 0\.\.8"),
        ("item-by-item", -1, "-1 in row 0"),
        ("item-by-item", 0.5, "item ids must be integers"),
        ("item-by-item", [1, 2], r"action of shape \(2,\): must be \(\), one whole number"),
        ("enumerated", 84, r"84 in row 0 is not in 0\.\.83"),
        ("scores", np.full(9, np.nan), r"nan in row 0 is not in -1\.\.1"),
        ("scores", np.full(9, 1.5), r"1.5 in row 0 .*gymnasium\.wrappers\.ClipAction"),
        ("scores", np.zeros(8), r"action of shape \(8,\): must be \(9,\)"),
        ("proto-action", np.zeros(9, bool), "must be numbers"),
    ],
)
def test_bad_actions_are_one_line(view: str, action: Any, message: str) -> None:
    env = gymnasium.make("SlateMDP-v0", view=view, **WORLD)
    env.reset(seed=0)
    with pytest.raises(RecGymError, match=message) as error:
        env.step(action)
    assert "\n" not in str(error.value)


def test_no_such_view() -> None:
    with pytest.raises(RecGymError, match="view 'slates': unknown; there are item-by-item"):
        gymnasium.make("SlateMDP-v0", view="slates")


def test_sampled_slates_repeat_no_item() -> None:
    space = SlateSpace(5, 4, seed=0)
    batch = batch_space(space, 50)
    for slates in (np.stack([space.sample() for _ in range(50)]), batch.sample()):
        assert all(len(set(slate)) == 4 for slate in slates.tolist())
        assert len({tuple(slate) for slate in slates.tolist()}) > 20
    assert space == gymnasium.spaces.MultiDiscrete([5] * 4)
    assert batch == gymnasium.spaces.Box(0, 4, (50, 4), np.int64)
    masked = space.sample(mask=tuple(np.array([0, 0, 1, 0, 0], np.int8) for _ in range(4)))
    assert masked.tolist() == [2, 2, 2, 2]
    one, same = (gymnasium.make("SlateMDP-v0").action_space for _ in range(2))
    one.seed(3), same.seed(3)
    assert one.sample().tolist() == same.sample().tolist()
