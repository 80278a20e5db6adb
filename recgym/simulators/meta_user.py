"""Users of a meta-level user model, each with a context that agents know by her log alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recgym.arrays import Array
from recgym.errors import RecGymError
from recgym.simulators.arguments import one_of, whole
from recgym.simulators.base import Noise, State
from recgym.simulators.learned_user import LearnedUser
from recgym.spaces import draw_slates
from recgym.users.folder import FittedUserModel, load_user_model
from recgym.users.meta import MetaUserConfig

MOST_SEQUENCES = 1_000


class MetaUser(LearnedUser):
    """Users who are seen once: each has tastes of her own, and a short log that tells of them.

    ## User
    A user is shown K items and clicks one of them or none. All users share one model, fitted on a
    click log, and each has a context c that makes it hers (Wang et al., section 4.1). From c and
    the items she clicked last follows a latent variable z, and she clicks with the probabilities
    that a softmax of utilities u(z, a) gives to the items and to no click, of utility 0. A click
    joins her history, and so moves what she likes next. Where the log has no page without a click,
    something is always clicked. Where it never shows a user clicking an item twice, clicked items
    are spent: they fill their slot and cannot be clicked again.

    The users are synthetic: their contexts are drawn from a normal distribution with the mean and
    the covariance of the log's users. None of them is a user of the log.

    ## Action
    `MultiDiscrete([N] * K)`: the item in each slot, ids 0..N-1. K distinct items are always shown:
    a repeated id is replaced by the lowest id that is not in the slate, and `info["repaired"]`
    counts the replacements. An action of another shape, or an id out of range, is an error.

    ## Observation
    What was clicked last, the most recent last; the context is hidden. With `observe="features"` a
    `Box` of float32, `window * D`: the feature vectors of the last clicked items, zeros for fewer
    clicks; with `observe="items"` a `Box` of int64, `window`: their ids, N for fewer clicks. The
    features are the user model's item embedding, the same for both splits, in
    `simulator.item_features` (N, D).

    ## Reward
    For the clicked item, what a log fixes of r(s, a, c), which adversarial inverse reinforcement
    learning recovers from what users choose, without shaping; 0 without a click. It may be
    negative: an item that the user would rather not click. With `reward="raw"` it is r(s, a, c);
    with `reward="click"` a click is worth 1, as suits a model that was fitted without the game.

    Choices fix differences of rewards, and of their *level*, the reward l(s, c) of the mean item,
    what pages without a click say. An agent that is paid a level on which models of other users do
    not agree learns to lead users where it happens to be high. So the reward is r(s, a, c) - (1 -
    q) * (l(s, c) - m): m is the mean of l over the users that episodes begin with, or 0 where the
    log has no page without a click; q, as `user_model.level_share`, is the rank correlation of l in
    the models of training and test users (at least 0; 0 without such pages), for users of whom
    nothing but their clicks is known: the contexts of two models cannot be compared.

    ## Episode
    An episode is a user, drawn evenly, or named by `reset(options={"user": i})`. It begins with the
    synthetic history of what she clicked before. It terminates when she leaves, where the log shows
    users leaving, and is truncated after `horizon` slates.

    ## Info
    At every reset and step: `click` (slot, -1 for none), `item` (id, -1 for none), `repaired`,
    `user`; and what the same user did before, S sequences of at most T random slates, each of a
    session of its own: `support`, int64 (S, T, K + 1), the ids of the items shown and the slot that
    was clicked, -1 for none, and -1 in all places of a step that is not there; `support_reward`,
    float32 (S, T), what the clicks were worth in this world, which is not the reward of the log
    that a fit reads. A user's support is the same in every episode.

    ## Reference
    Wang, Ge, Li, Chen and Xu: M3Rec: an offline meta-level model-based reinforcement learning
    approach for cold-start recommendation.

    ## Versions
    v0: the first.

    Args:
        user_model: folder of a fitted meta-level user model, or the name of a shipped one.
        split: "train" for the users and the model of training users, in which agents learn; "test"
            for those of other users, in which they are scored.
        slate_size: items in a slate (K).
        horizon: slates in an episode.
        support: logged sequences of each user that agents are told (S), 1 at least.
        observe: "features" or "items".
        window: clicked items observed; when None, as many as the user model's configuration says,
            and with "items" one more for each slate of an episode if clicked items are spent, to
            know them all by.
        reward: "identified" for what a log of choices fixes of the reward, "raw" for the reward as
            the user model recovered it, or "click" for 1 a click.

    Raises:
        RecGymError: an argument out of its range, or a folder that holds no meta-level user model.
    """

    def __init__(
        self,
        user_model: str | Path | FittedUserModel = "m3rec",
        split: str = "train",
        slate_size: int = 5,
        horizon: int = 20,
        support: int = 1,
        observe: str = "features",
        window: int | None = None,
        reward: str = "identified",
    ) -> None:
        given = f"={str(user_model)!r}" if isinstance(user_model, str | Path) else ""
        if isinstance(user_model, str | Path):
            user_model = load_user_model(user_model)
        config = getattr(user_model, "config", None)
        if not isinstance(user_model, FittedUserModel) or not isinstance(config, MetaUserConfig):
            raise RecGymError(
                f"user_model{given}: must be a meta-level user model's folder (recgym fit"
                " --model m3rec), or a shipped one's name"
            )
        known = tuple(name for name in ("train", "test") if name in user_model.members)
        member = one_of("split", split, known)
        super().__init__(user_model, member, split, slate_size, horizon, observe, window, reward)
        self.n_sequences = whole("support", support, 1, MOST_SEQUENCES)
        self.n_steps = config.steps
        self.info_names = ("user", "support", "support_reward")
        self._starts |= self._logged(np.random.default_rng([0, split == "test"]))

    def reset(self, noise: Noise, users: Array | None = None) -> State:
        """Starts one episode a row, see ``Simulator.reset``."""
        state = super().reset(noise, users)
        shape = (-1, self.n_sequences, self.n_steps)
        state["support"] = state["support"].reshape(*shape, self.slate_size + 1)
        state["support_reward"] = state["support_reward"].reshape(shape)
        return state

    def _logged(self, rng: np.random.Generator) -> State:
        """Returns "support" and "support_reward" of every user, a row each."""
        every = np.arange(self.n_users)
        support, rewards = [], []
        for _ in range(self.n_sequences):
            state = {name: starts.copy() for name, starts in self._starts.items()}
            state["history"][:] = self.n_items
            state["step"] = np.zeros_like(every)
            gone = np.zeros(self.n_users, np.bool_)
            for _ in range(self.n_steps):
                slate = draw_slates(self.n_items, self.n_users, self.slate_size, rng)
                uniform = rng.random((self.n_users, self.step_noise[0]))
                state, answer = self.step(state, slate, Noise(uniform, uniform[:, :0]))
                told = np.column_stack([slate, answer.click])
                support.append(np.where(gone[:, None], -1, told))
                rewards.append(np.where(gone, np.float32(0.0), answer.reward))
                gone |= answer.terminated
        return {
            "support": np.concatenate(support, axis=1),
            "support_reward": np.stack(rewards, axis=1),
        }
