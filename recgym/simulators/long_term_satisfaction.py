"""RecSim's long-term satisfaction: what engages at once wears its users out."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array, beside, clip, namespace, pick
from recgym.simulators.arguments import whole
from recgym.simulators.base import Kinds, Liking, Noise, Options, Response, State
from recgym.simulators.distributions import Columns, Distribution, Given, noise_of
from recgym.simulators.recsim_parts import HORIZON, draw_noise, moved, repeated
from recgym.spaces import SlateSpace

MOST_ENGAGEMENT = 100.0
"""Greatest engagement that is observed; the reward is not bounded."""
LONGEST_MEMORY = 0.999
"""Greatest memory discount: the range of the first exposure is 1 / (1 - memory_discount)."""


class LongTermSatisfaction:
    """RecSim's long-term satisfaction: what engages at once wears its users out.

    ## User
    Every document has a clickbait score c, uniform in [0, 1): at 1 it is all chocolate, at 0 all
    kale. The user always clicks the first slot. Her engagement is log-normal: its logarithm has the
    mean (c * `choc_mean` + (1 - c) * `kale_mean`) * s, and the standard deviation
    c * `choc_stddev` + (1 - c) * `kale_stddev`. Her satisfaction s is the logistic function of
    `sensitivity` * x, where x is her net positive exposure. It begins uniform
    in a range of width 1 / (1 - `memory_discount`) around 0, and after each slate becomes
    `memory_discount` * x - 2 * (c - 0.5), plus normal noise of the standard deviation
    `innovation_stddev`. A slate costs 1 of `time_budget`.

    ## Action
    `MultiDiscrete([N] * K)`: the candidate in each slot, positions 0..N-1. The N candidates are new
    at every step, unless documents are not resampled. K distinct ones are always shown: a repeated
    position is replaced by the lowest that is not in the slate, and `info["repaired"]` counts the
    replacements. An action of another shape, or a position out of range, is an error.

    ## Observation
    A `Box` of float32, N + K * 2. First the candidates' clickbait scores, which
    `simulator.candidates(observations)` gives as (B, N, 1). Nothing is shown of the user. Then,
    slot by slot of the last slate, whether it was clicked, and the engagement, at most 100; zeros
    before the first slate.

    ## Reward
    The engagement.

    ## Episode
    It terminates when the budget is spent. It is truncated after `horizon` slates, by default as
    late as RecSim's own runner would, long after the default budget.

    ## Info
    At every reset and step: `click` (slot: 0, and -1 at reset), `item` (position of the clicked
    candidate, -1 at reset), `repaired`.

    ## Reference
    Ie et al.: RecSim: a configurable simulation platform for recommender systems. 2019; the
    environment "Choc vs. Kale". Defaults are those of `create_environment` in RecSim 0.2.

    ## Versions
    v0: the first.

    Args:
        num_candidates: candidates at every step (N).
        slate_size: documents in a slate (K).
        horizon: slates after which an episode is truncated.
        resample_documents: whether the candidates are drawn anew for every slate; otherwise they
            are the same in all episodes.
        document_seed: draws the candidates that are not resampled.
        memory_discount: in 0..0.999. A number, or a distribution that each user draws her own
            from: `["uniform", low, high]`, `["normal", mean, sd]`, `["lognormal", mean, sd]` (of
            the logarithm), or `["choice", value, ...]`; so is all that follows.
        sensitivity: how much exposure changes satisfaction.
        innovation_stddev: at least 0.
        choc_mean: of the logarithm of engagement, fully satisfied, like the next three.
        choc_stddev: at least 0.
        kale_mean: see `choc_mean`.
        kale_stddev: at least 0.
        time_budget: slates, at least 0.

    Raises:
        RecGymError: an argument out of its range.
    """

    info_names: tuple[str, ...] = ()
    item_features = None
    n_users = 1

    def __init__(
        self,
        num_candidates: int = 10,
        slate_size: int = 3,
        horizon: int = HORIZON,
        resample_documents: bool = True,
        document_seed: int = 0,
        memory_discount: Given = 0.7,
        sensitivity: Given = 0.01,
        innovation_stddev: Given = 0.05,
        choc_mean: Given = 5.0,
        choc_stddev: Given = 1.0,
        kale_mean: Given = 4.0,
        kale_stddev: Given = 1.0,
        time_budget: Given = 60,
    ) -> None:
        self.n_items = whole("num_candidates", num_candidates, 1)
        self.slate_size = whole("slate_size", slate_size, 1, self.n_items)
        self.horizon = whole("horizon", horizon, 1)
        self.slots_read = 1
        limits: dict[str, tuple[Any, ...]] = {
            "memory_discount": (memory_discount, 0.0, LONGEST_MEMORY),
            "sensitivity": (sensitivity,),
            "innovation_stddev": (innovation_stddev, 0.0),
            "choc_mean": (choc_mean,),
            "choc_stddev": (choc_stddev, 0.0),
            "kale_mean": (kale_mean,),
            "kale_stddev": (kale_stddev, 0.0),
            "time_budget": (time_budget, 0.0),
        }
        self._users = {name: Distribution(name, *given) for name, given in limits.items()}
        self._kept: State = {}
        if not resample_documents:
            self._kept = {"clickbait": draw_noise(self.n_items, 0, document_seed).uniform}
        documents = (self.n_items if resample_documents else 0, 0)
        users = [distribution.noise for distribution in self._users.values()]
        self.reset_noise = noise_of(*users, (1, 0), documents)
        self.step_noise = noise_of((0, 2), documents)
        self._most: Array = np.array([MOST_ENGAGEMENT])
        high = np.tile(np.array([1.0, MOST_ENGAGEMENT], np.float32), self.slate_size)
        high = np.concatenate([np.ones(self.n_items, np.float32), high])
        self._width = len(high)
        self.observation_space = spaces.Box(np.zeros_like(high), high, dtype=np.float32)
        self.action_space: spaces.Space[Any] = SlateSpace(self.n_items, self.slate_size)

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one session a row, of a new user; see ``Simulator.reset``."""
        xp = namespace(noise.uniform)
        n_rows, device = len(noise.uniform), noise.uniform.device
        columns = Columns(noise)
        user = {name: drawn.draw(columns) for name, drawn in self._users.items()}  # (B, 1) each
        one, innovation = columns.full(1, 1.0), user["innovation_stddev"]
        kale = xp.concat([user["kale_mean"], one, user["kale_stddev"], innovation], axis=1)
        choc = xp.concat([user["choc_mean"], -one, user["choc_stddev"], innovation], axis=1)
        memory = user["memory_discount"][:, 0]
        exposure = (columns.uniform(1)[:, 0] - 0.5) / (1.0 - memory)
        step = xp.zeros(n_rows, dtype=xp.int64, device=device)
        if self._kept:
            documents = repeated(self._kept, step)
        else:
            documents = {"clickbait": xp.asarray(columns.uniform(self.n_items), copy=True)}
        slates = clip(xp.ceil(user["time_budget"][:, 0]), 0.0, self.horizon + 1.0)  # fits an int
        return documents | {
            "kale": kale,
            "choc_over_kale": choc - kale,
            "memory_discount": memory,
            "sensitivity": user["sensitivity"][:, 0],
            "time_budget": xp.asarray(slates, dtype=xp.int64),
            "net_positive_exposure": exposure,
            "engagement": xp.zeros_like(exposure),
            "step": step,
        }

    def observe(self, state: State) -> Array:
        """Returns the candidates and what was made of the last slate, (B, N + K * 2)."""
        xp = namespace(state["clickbait"])
        engagement, step = state["engagement"], state["step"]
        seen = xp.zeros((len(step), self._width), dtype=xp.float32, device=step.device)
        seen[:, : self.n_items] = state["clickbait"]
        seen[:, self.n_items] = xp.sign(engagement)  # 1 after every slate
        seen[:, self.n_items + 1] = xp.minimum(engagement, self._most)
        return seen

    def candidates(self, observation: Array) -> Array:
        """Returns the candidates' features (B, N, 1) in observations (B, ...)."""
        return observation[:, : self.n_items, None]

    def step(self, state: State, slate: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates and returns the answers, see ``Simulator.step``."""
        xp = namespace(slate)
        first = slate[:, 0]
        after = self.follow(state, first, noise)
        click = first - first  # slot 0
        reward = xp.asarray(after["engagement"], dtype=xp.float32)
        ends = after["step"] >= state["time_budget"]
        return after, Response(click, first + click, reward, ends, slate)

    def options(self, state: State, items: Array) -> Options:
        """Returns what users would do with items (B, M), see ``HasOptions``: the first is taken."""
        clickbait = pick(state["clickbait"], items)[:, :, None]
        parameters = state["kale"][:, None] + clickbait * state["choc_over_kale"][:, None]
        means = parameters[:, :, 0] / self._dissatisfaction(state)[:, None]
        xp = namespace(means)
        engagement = xp.exp(means + 0.5 * parameters[:, :, 2] ** 2)
        taken = beside(xp.ones_like(means), 0.0)
        return Options(taken, beside(engagement, 0.0), xp.ones_like(taken))

    def follow(self, state: State, item: Array, noise: Noise) -> State:
        """Returns the state of users who took an item (B,), see ``HasOptions``."""
        xp = namespace(item)
        clickbait = pick(state["clickbait"], item)
        # of the logarithm of engagement and of exposure: means, and standard deviations
        parameters = state["kale"] + clickbait[:, None] * state["choc_over_kale"]
        spread = parameters[:, 2:] * noise.normal
        means = parameters[:, 0] / self._dissatisfaction(state)
        kept = state["memory_discount"] * state["net_positive_exposure"]
        after = state | {
            "net_positive_exposure": kept + (parameters[:, 1] + spread[:, 1]),
            "engagement": xp.exp(means + spread[:, 0]),
            "step": state["step"] + 1,
        }
        if not self._kept:
            after["clickbait"] = noise.uniform
        return after

    def remaining(self, state: State) -> Array:
        """Returns the slates that are left, (B,)."""
        limit = clip(state["time_budget"], 0, self.horizon)
        return limit - state["step"]

    def _dissatisfaction(self, state: State) -> Array:
        """Returns 1 / satisfaction, (B,)."""
        exposure = state["net_positive_exposure"]
        return 1.0 + namespace(exposure).exp(-state["sensitivity"] * exposure)

    def kinds(self, state: State) -> Kinds:
        """Returns which candidates are chocolate, and their clickbait scores."""
        clickbait = state["clickbait"]
        kind = (clickbait > 0.5).astype(np.int64)
        return Kinds(("Kale", "Chocolate"), kind, "clickbait", clickbait)

    def liking(self, state: State) -> Liking:
        """Returns the users' satisfaction, exposure as a share of its bound, and time left."""
        exposure = state["net_positive_exposure"]
        satisfaction = 1.0 / (1.0 + np.exp(-state["sensitivity"] * exposure))
        bounded = exposure * (1.0 - state["memory_discount"])
        left = 1.0 - state["step"] / np.maximum(state["time_budget"], 1)
        values = np.stack([satisfaction, bounded, left], axis=1)
        names = ("satisfaction", "exposure", "time left")
        return Liking("exposure: -1 chocolate, 1 kale", names, values, -1.0, 1.0)

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""
        return moved(self, ("_kept", "_most"), backend, device)
