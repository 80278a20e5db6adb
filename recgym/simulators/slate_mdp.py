"""A Markov decision process over slates, whose optimal policy can be computed."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from gymnasium import spaces

from recgym.arrays import Array, beside, in_backend, namespace, pick, remember, rows
from recgym.errors import RecGymError
from recgym.simulators.arguments import one_of, whole
from recgym.simulators.base import Kinds, Liking, Noise, Options, Response, State, choose, invert
from recgym.simulators.made_up import topic_names
from recgym.simulators.slate_mdp_beliefs import KINDS, BeliefPolicy, following
from recgym.simulators.slate_mdp_delayed import DelayedPlanner, best_coverage, clicks
from recgym.simulators.slate_mdp_planning import Plan, SlatePlanner
from recgym.spaces import SlateSpace


class SlateMDP:
    """A Markov decision process over slates, whose optimal policy can be computed.

    ## User
    A user is in one of M hidden states, at first in state 0. Of the K items that she is shown, one
    becomes the click candidate, with a probability in proportion to its reward r(s, a) in her
    state. She clicks it with probability r(s, a), and moves to the next state, drawn from
    P(s' | s, a); otherwise she leaves. Rewards are uniform in [0, 1).

    ## Action
    `MultiDiscrete([N] * K)`: the item in each slot, ids 0..N-1. K distinct items are always shown:
    a repeated id is replaced by the lowest id that is not in the slate, and `info["repaired"]`
    counts the replacements. An action of another shape, or an id out of range, is an error.

    ## Observation
    With `observe="features"` a `Box` of float32, `window * N`: the last clicked items, the most
    recent last, as one-hot vectors, zeros for fewer clicks; with `observe="items"` a `Box` of
    int64, `window`: their ids, N for fewer clicks. The state is hidden in both. With
    `observe="state"` a `Box` of float32, M: the state as a one-hot vector.

    ## Reward
    1 for a click, else 0.

    ## Episode
    It terminates when the user leaves, and is truncated after `horizon` slates.

    ## Info
    At every reset and step: `click` (slot, -1 for none), `item` (id, -1 for none), `repaired`,
    `state` (of the user; hidden from agents).

    ## Reference
    Bai, Guan and Wang: A model-based reinforcement learning with adversarial training for online
    recommendation. NeurIPS 2019, section 7.1. Transition rows are softmaxes of uniform draws, as in
    the authors' code: nearly uniform, so that a slate hardly moves its user.

    ## Versions
    v0: the first.

    Args:
        n_states: hidden states of a user (M).
        n_items: items (N).
        slate_size: items in a slate (K).
        horizon: slates in an episode.
        mdp_seed: draws rewards and transitions; the same seed is the same world.
        concentration: when None, transition rows are softmaxes of uniforms; otherwise they are
            drawn from a Dirichlet distribution with this parameter: the smaller it is, the more a
            click decides the next state.
        observe: "features", "items" or "state".
        window: clicked items observed.

    Raises:
        RecGymError: an argument out of its range.
    """

    info_names: tuple[str, ...] = ("state",)
    reset_noise = (0, 0)
    step_noise = (3, 0)
    n_users = 1

    def __init__(
        self,
        n_states: int = 10,
        n_items: int = 50,
        slate_size: int = 10,
        horizon: int = 40,
        mdp_seed: int = 0,
        concentration: float | None = None,
        observe: str = "features",
        window: int = 5,
    ) -> None:
        self.n_states = whole("n_states", n_states, 1)
        self.n_items = whole("n_items", n_items, 1)
        self.slate_size = whole("slate_size", slate_size, 1, self.n_items)
        self.slots_read = self.slate_size
        self.horizon = whole("horizon", horizon, 1)
        self.view = one_of("observe", observe, ("features", "items", "state"))
        self.window = whole("window", window, 1)
        generator = np.random.default_rng(whole("mdp_seed", mdp_seed, 0))
        self.click_rewards = generator.random((self.n_states, self.n_items))
        """r(s, a), the probability of a click on the candidate, (M, N)."""
        self.transition_probs = _transitions(generator, self.n_states, self.n_items, concentration)
        """P(s' | s, a), (M, N, M)."""
        self.item_features = np.eye(self.n_items, dtype=np.float32)
        self.observation_space = self._space()
        self.action_space: spaces.Space[Any] = SlateSpace(self.n_items, self.slate_size)
        self._rewards: Array = self.click_rewards.reshape(-1, 1)
        self._reached: Array = self.transition_probs.reshape(-1, self.n_states).cumsum(axis=1)
        no_item = np.zeros((1, self.n_items), np.float32)
        self._one_hot_items: Array = np.concatenate([self.item_features, no_item])
        self._one_hot_states: Array = np.eye(self.n_states, dtype=np.float32)

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one episode a row, in state 0; see ``Simulator.reset``."""
        xp = namespace(noise.uniform)
        n_rows, device = len(noise.uniform), noise.uniform.device
        zeros = xp.zeros(n_rows, dtype=xp.int64, device=device)
        nothing = xp.full((n_rows, self.window), self.n_items, dtype=xp.int64, device=device)
        return {"state": zeros, "history": nothing, "step": xp.asarray(zeros, copy=True)}

    def observe(self, state: State) -> Array:
        """Returns the last clicked items, (B, window * N) or (B, window), or the state (B, M)."""
        if self.view == "state":
            return rows(self._one_hot_states, state["state"])
        if self.view == "items":
            return namespace(state["history"]).asarray(state["history"], copy=True)
        return rows(self._one_hot_items, state["history"]).reshape(-1, self.window * self.n_items)

    def step(self, state: State, slate: Array, noise: Noise) -> tuple[State, Response]:
        """Shows the slates and returns the answers, see ``Simulator.step``."""
        xp = namespace(slate)
        pair = state["state"][:, None] * self.n_items + slate  # rows of (state, item) tables
        rewards = rows(self._rewards, pair)[:, :, 0]
        candidate = choose(rewards, noise.uniform[:, :1])
        clicked = noise.uniform[:, 1] < pick(rewards, candidate)
        reached = rows(self._reached, pick(pair, candidate))
        following = invert(reached, noise.uniform[:, 2:])
        item = xp.where(clicked, pick(slate, candidate), -1)
        after = {
            "state": xp.where(clicked, following, state["state"]),
            "history": remember(state["history"], item),
            "step": state["step"] + 1,
        }
        click = xp.where(clicked, candidate, -1)
        reward = xp.asarray(clicked, dtype=xp.float32)
        return after, Response(click, item, reward, ~clicked, slate)

    def options(self, state: State, items: Array) -> Options:
        """Returns what users would do with items (B, M), see ``HasOptions``.

        To take an item is to make it the click candidate; who does not click it leaves.
        """
        pair = state["state"][:, None] * self.n_items + items
        chances = beside(rows(self._rewards, pair)[:, :, 0], 0.0)
        return Options(chances, chances, chances)

    def follow(self, state: State, item: Array, noise: Noise) -> State:
        """Returns the state of users who clicked an item (B,), see ``HasOptions``."""
        pair = state["state"] * self.n_items + item
        return {
            "state": invert(rows(self._reached, pair), noise.uniform[:, 2:]),
            "history": remember(state["history"], item),
            "step": state["step"] + 1,
        }

    def remaining(self, state: State) -> Array:
        """Returns the slates that are left, (B,)."""
        return self.horizon - state["step"]

    def kinds(self, state: State) -> Kinds:
        """Returns for each item the state that rewards it most; there is a topic for each state."""
        best = self.click_rewards.argmax(axis=0)
        names = topic_names(self.n_states)
        return Kinds(names, np.broadcast_to(best, (len(state["step"]), self.n_items)))

    def liking(self, state: State) -> Liking:
        """Returns the click probabilities of all candidates in the users' states."""
        rewards = self.click_rewards[state["state"]]
        return Liking("chance of a click on the candidate", (), rewards, 0.0, 1.0)

    def to(self, backend: str, device: str) -> Self:
        """Returns this simulator with its arrays in "numpy" or "torch", on ``device``."""
        moved = copy.copy(self)
        for name in ("_rewards", "_reached", "_one_hot_items", "_one_hot_states"):
            setattr(moved, name, in_backend(getattr(self, name), backend, device))
        return moved

    def optimal_policy(self, gamma: float, horizon: int | None = None) -> Plan:
        """Returns the best slate in every state, and what it is worth; see ``SlatePlanner``."""
        return self._planner().optimal_policy(gamma, horizon)

    def policy_value(self, slates: Array, gamma: float, horizon: int | None = None) -> Array:
        """Returns what slates are worth in every state; see ``SlatePlanner``."""
        return self._planner().policy_value(slates, gamma, horizon)

    def best_fixed_slate(self, gamma: float, horizon: int | None = None) -> Plan:
        """Returns the best slate for a user whose state is not seen; see ``SlatePlanner``."""
        return self._planner().best_fixed_slate(gamma, horizon)

    def best_start_and_fixed_slate(self, gamma: float, horizon: int | None = None) -> Plan:
        """Returns the best first slate and the one to show ever after; see ``SlatePlanner``."""
        return self._planner().best_start_and_fixed_slate(gamma, horizon)

    def click_bound(self, gamma: float, horizon: int | None = None) -> float:
        """Returns the discounted clicks that no policy of slates and clicks alone exceeds.

        It is what a policy earns that sees the state one step late; see ``DelayedPlanner``, whose
        search may fall a little short of the best slates.

        Args:
            gamma: discount.
            horizon: slates in an episode; endless when None.

        Raises:
            RecGymError: gamma is not in 0..1, or the horizon is not positive.
        """
        planner = self._planner()
        return DelayedPlanner(planner, clicks(planner), gamma).plan(horizon).value

    def belief_policy(
        self, kind: str = "delayed", gamma: float = 1.0, horizon: int | None = None
    ) -> BeliefPolicy:
        """Returns a policy that knows this world and sees only slates and clicks.

        Args:
            kind: what it takes to follow a click. "myopic": nothing. "qmdp": what the optimal
                policy earns, which sees the state (QMDP; Littman, Cassandra and Kaelbling, ICML
                1995). "delayed": what the policy of ``click_bound`` earns.
            gamma: discount.
            horizon: slates in an episode that is planned for; endless when None.

        Raises:
            RecGymError: no such kind, gamma is not in 0..1, or the horizon is not positive.
        """
        one_of("kind", kind, KINDS)
        planner = self._planner()
        delayed = DelayedPlanner(planner, clicks(planner), gamma)
        return BeliefPolicy(delayed, following(kind, delayed, horizon), self.horizon)

    def coverage_bound(self, rank: int, horizon: int | None = None) -> float:
        """Returns the coverage@rank that no policy of slates and clicks alone exceeds.

        Coverage is the share of the ``rank`` most rewarding items in the user's state that her
        slate held, mean over all slates of all episodes (Bai et al., section 7.1); the bound is
        that of a policy that sees the state one step late, as in ``click_bound``.

        Args:
            rank: 1..N.
            horizon: slates in an episode; endless when None.

        Raises:
            RecGymError: rank is out of its range, or the horizon is not positive.
        """
        whole("rank", rank, 1, self.n_items)
        return best_coverage(self._planner(), rank, horizon).coverage

    def coverage_policy(self, rank: int, horizon: int | None = None) -> BeliefPolicy:
        """Returns a policy of the highest coverage@rank that sees only slates and clicks.

        Args:
            rank: 1..N.
            horizon: slates in an episode that is planned for; endless when None.

        Raises:
            RecGymError: rank is out of its range, or the horizon is not positive.
        """
        whole("rank", rank, 1, self.n_items)
        _, aim, plan = best_coverage(planner := self._planner(), rank, horizon)
        return BeliefPolicy(DelayedPlanner(planner, aim, 1.0), plan.following, self.horizon)

    def _planner(self) -> SlatePlanner:
        return SlatePlanner(self.click_rewards, self.transition_probs, self.slate_size)

    def _space(self) -> spaces.Box:
        if self.view == "items":
            return spaces.Box(0, self.n_items, (self.window,), np.int64)
        size = self.n_states if self.view == "state" else self.window * self.n_items
        return spaces.Box(0.0, 1.0, (size,), np.float32)


def _transitions(
    generator: np.random.Generator, n_states: int, n_items: int, concentration: float | None
) -> Array:
    """Draws P(s' | s, a), (M, N, M)."""
    if concentration is None:
        odds = np.exp(generator.random((n_states, n_items, n_states)))
    elif isinstance(concentration, int | float) and concentration > 0:
        odds = generator.standard_gamma(concentration, (n_states, n_items, n_states))
        odds += np.finfo(np.float64).tiny  # all of a row may underflow
    else:
        raise RecGymError(f"concentration={concentration!r}: must be None or a positive number")
    shares: Array = odds / odds.sum(axis=2, keepdims=True)
    return shares
