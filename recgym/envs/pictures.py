"""What environments remember of their episodes for pictures, and the pictures."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from recgym.arrays import Array
from recgym.labels import Labels, load_labels
from recgym.rendering import Bars, Card, Scene, answer, render
from recgym.simulators.base import HasKinds, HasLiking, Kinds, Simulator, State
from recgym.simulators.made_up import made_up_title
from recgym.simulators.views import ItemByItem, View

MOST_BARS = 12


class Pictures:
    """The last answer of each of B rows, and the pictures of them.

    Args:
        world: the simulator, with its arrays in NumPy.
        titles: as in ``load_labels``; clusters, where there are none, are computed when needed.
        n_rows: B.

    Raises:
        RecGymError: titles that do not fit.
    """

    def __init__(self, world: Simulator, titles: str | None, n_rows: int) -> None:
        self._world = world
        self._titles = titles
        if titles is not None:
            _ = self._labels
        self._before: State = {}
        self._known, self._so_far = np.zeros(n_rows, np.bool_), np.zeros(n_rows)
        self._slate = self._click = self._reward = self._left = np.empty(0)

    @cached_property
    def _labels(self) -> Labels:
        return load_labels(self._titles, self._world.n_items, self._world.item_features)

    def begin(self, rows: np.ndarray) -> None:
        """Forgets the episodes of some rows, bool (B,)."""
        self._known[rows], self._so_far[rows] = False, 0.0

    def note(
        self,
        before: State,
        after: State,
        slate: np.ndarray,
        click: np.ndarray,
        reward: np.ndarray,
        left: np.ndarray,
    ) -> None:
        """Remembers a step; rows that began anew with it are at step 0.

        Args:
            before: the state that it was made in.
            after: the state that followed.
            slate: (B, K) items that were shown, -1 for none.
            click: (B,) slots, -1 for none.
            reward: (B,).
            left: which users have left, bool (B,).
        """
        self._before = before
        self._known = np.ones(len(slate), np.bool_)
        self._slate, self._click, self._left = slate, np.array(click), np.array(left)
        self._reward = np.array(reward, np.float64)
        began = _numpy(after["step"]) == 0
        self._so_far = np.where(began, 0.0, self._so_far + self._reward)

    def note_rewards(self, rows: np.ndarray, reward: np.ndarray) -> None:
        """Remembers of a step of some rows (R,) only its reward (R,)."""
        self._known[rows] = False
        self._so_far[rows] += reward

    def draw(self, mode: str, state: State) -> tuple[Any, ...]:
        """Returns the picture of each row of a state: text, or an image (height, width, 3).

        Args:
            mode: "ansi" or "rgb_array".
            state: of the B rows.
        """
        n_rows = len(state["step"])
        return tuple(render(mode, self._scene(state, row)) for row in range(n_rows))

    def _scene(self, state: State, row: int) -> Scene:
        now = _row(state, row)
        world = self._world.world if isinstance(self._world, View) else self._world
        step = now["step"].item()
        scene = Scene(
            step=step,
            horizon=world.horizon,
            slots=world.slate_size,
            user=self._user(now),
            so_far=float(self._so_far[row]),
            kinds=world.kinds(now).names if isinstance(world, HasKinds) else self._labels.kinds,
        )
        chosen = now["slate"][0] if isinstance(self._world, ItemByItem) else np.empty(0)
        chosen = chosen[chosen < world.n_items]
        if len(chosen):  # item by item, and the slate is not yet full
            outcome = f"choosing: {len(chosen)} of {world.slate_size} slots are filled"
            scene = scene._replace(cards=self._cards(world, now, chosen), outcome=outcome)
        elif step > 0 and not self._known[row]:
            scene = scene._replace(outcome="the last slate is not known")
        elif step > 0:
            before = _row(self._before, row)
            click = int(self._click[row])
            scene = scene._replace(
                cards=self._cards(world, before, self._slate[row]),
                click=click,
                outcome=answer(click, bool(self._left[row]), step >= world.horizon),
                reward=float(self._reward[row]),
            )
        shown = {kind for card in scene.cards for kind in card.kinds}
        return scene._replace(bars=self._bars(world, now, shown))

    def _user(self, state: State) -> str:
        """Returns who the user is, as far as infos say it."""
        world = self._world.world if isinstance(self._world, View) else self._world
        single = (name for name in world.info_names if state[name].ndim == 1)
        return ", ".join(f"{name} {state[name].item()}" for name in single)

    def _cards(self, world: Simulator, state: State, slate: np.ndarray) -> tuple[Card, ...]:
        """Returns the items (K,) as they were in the state in which they were shown."""
        kinds = world.kinds(state) if isinstance(world, HasKinds) else None
        return tuple(self._card(slot, int(item), kinds) for slot, item in enumerate(slate))

    def _card(self, slot: int, item: int, kinds: Kinds | None) -> Card:
        title = f"item {item}" if self._labels.titles is None else self._labels.titles[item]
        if kinds is None:
            return Card(slot, title, tuple(np.flatnonzero(self._labels.member[item]).tolist()))
        kind = int(kinds.of_items[0, item])
        if self._labels.titles is None:
            title = made_up_title(kinds.names[kind], item)
        note = "" if kinds.measures is None else f"{kinds.measure} {kinds.measures[0, item]:.2f}"
        return Card(slot, title, (kind,), note)

    def _bars(self, world: Simulator, state: State, shown: set[int]) -> Bars | None:
        """Returns what the user likes now: kinds of items if possible, single items if not.

        Where there are too many, those of the kinds that were shown, and the highest.
        """
        if not isinstance(world, HasLiking):
            return None
        liking = world.liking(state)
        what, names, values = liking.what, liking.names, liking.values[0]
        kinds, member = self._labels.kinds, self._labels.member
        if isinstance(world, HasKinds):
            found = world.kinds(state)
            kinds, member = found.names, found.of_items[0][:, None] == np.arange(len(found.names))
        if not names and kinds:
            what = f"mean {what}"
            names, values = kinds, values @ member / np.maximum(member.sum(axis=0), 1)
        elif not names:
            names = tuple(self._card(0, item, None).title for item in range(world.n_items))
        own = [kinds.index(name) if name in kinds else -1 for name in names]
        first = np.lexsort((-values, [kind not in shown for kind in own]))
        drawn = np.sort(first[:MOST_BARS]).tolist()
        if len(names) > MOST_BARS:
            what += f" ({MOST_BARS} of {len(names)})"
        return Bars(
            what=what,
            names=tuple(names[place] for place in drawn),
            values=tuple(values[drawn].tolist()),
            kinds=tuple(own[place] for place in drawn),
            low=liking.low,
            high=liking.high,
        )


def _row(state: State, row: int) -> State:
    """Returns one row of a state, in NumPy."""
    return {name: _numpy(values[row : row + 1]) for name, values in state.items()}


def _numpy(array: Array) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu())
