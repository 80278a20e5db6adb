"""Made-up users: click histories drawn from a fitted model instead of rows of the log."""

from __future__ import annotations

import numpy as np

from recgym.arrays import Array
from recgym.spaces import draw_slates
from recgym.users.gan import Params
from recgym.users.kinds import UserConfig, functions_of


class SyntheticUsers:
    """Users of a fitted model, who start without a history and are shown random slates."""

    def __init__(
        self,
        config: UserConfig,
        params: Params,
        features: Array,
        repeat_clicks: bool,
        count: int,
        rng: np.random.Generator,
    ) -> None:
        """Starts ``count`` users.

        Args:
            config: the model's shape.
            params: one member's parameters.
            features: (N, D) item features.
            repeat_clicks: whether a user may click an item twice.
            count: U.
            rng: draws slates and clicks.
        """
        self.config = config
        self.n_items = len(features)
        self.functions = functions_of(config)
        self.tables = self.functions.prepare(config, params, features)
        self.rng = rng
        self.repeat_clicks = repeat_clicks
        nothing = np.full((count, config.window), self.n_items)
        self.state = self.functions.initial(config, self.tables, nothing)
        self.spent = np.zeros((count, self.n_items), bool)

    def click(self, slate_size: int, active: Array) -> Array:
        """Shows every active user one random slate.

        Returns:
            (U,) the clicked items; -1 where nothing was clicked, or the user is not active.
        """
        count = len(active)
        users = np.arange(count)
        slates = draw_slates(self.n_items, count, slate_size, self.rng)
        logits, _ = self.functions.respond(self.config, self.tables, self.state, slates)
        if not self.repeat_clicks:
            logits = logits.copy()
            logits[:, :-1][self.spent[users[:, None], slates]] = -np.inf
        # The largest of the logits plus Gumbel noise is a draw from their softmax (Eq. 3).
        choice = (logits + self.rng.gumbel(size=logits.shape)).argmax(axis=1)
        some = (choice < slate_size) & active & np.isfinite(logits.max(axis=1))
        items = np.where(some, slates[users, np.minimum(choice, slate_size - 1)], -1)
        self.state = self.functions.advance(self.config, self.tables, self.state, items)
        if not self.repeat_clicks:
            self.spent[users[some], items[some]] = True
        return items


def draw_histories(users: SyntheticUsers, slate_size: int, patience: int = 50) -> Array:
    """Returns (U, window) click histories of users who are shown random slates.

    Each is shown slates until she has clicked ``window`` times. After ``patience`` slates a wanted
    click on average, a history stays as short as it is.
    """
    window = users.config.window
    clicks = np.zeros(len(users.state["history"]), np.int64)
    for _ in range(patience * window):
        active = clicks < window
        if not active.any():
            break
        clicks += users.click(slate_size, active) >= 0
    return users.state["history"]


def random_click_rate(users: SyntheticUsers, slate_size: int, horizon: int) -> float:
    """Returns the share of random slates on which something is clicked, from where users stand.

    Users who may leave are shown no more once they have.

    Args:
        users: from where they stand.
        slate_size: items in a slate.
        horizon: slates that each user is shown at most.
    """
    active = np.ones(len(users.spent), bool)
    shown = clicked = 0
    for _ in range(horizon):
        clicks = users.click(min(slate_size, users.n_items), active) >= 0
        shown, clicked = shown + int(active.sum()), clicked + int(clicks.sum())
        if users.config.outside == "end":
            active &= clicks
    return clicked / shown
