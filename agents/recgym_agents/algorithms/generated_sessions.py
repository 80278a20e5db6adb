"""Episodes that an agent and a user model generate, and how real each beginning of them looks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recgym.users import recurrent
from recgym_agents.algorithms.policy_networks import ClickPolicyNetwork
from recgym_agents.learning.episodes import Episodes, click_sequences
from recgym_agents.networks.discriminator import Discriminator
from recgym_agents.networks.encoders import features_of, with_no_item
from recgym_agents.networks.plackett_luce import gumbel_top_k
from recgym_agents.networks.user_network import UserNetwork

State = dict[str, Tensor]
"""What both have read of B sessions under way; each array has a row a session."""


class Interaction:
    """An agent and a user model that answer each other, in many sessions at once.

    Nothing is learned from: no gradients are kept, and changes of the networks are not seen.

    Args:
        network: of the agent, which draws slates.
        user: draws clicks among them and their rewards.
        rng: draws.
    """

    @torch.no_grad()
    def __init__(
        self, network: ClickPolicyNetwork, user: UserNetwork, rng: np.random.Generator
    ) -> None:
        self.network, self.user, self.rng = network, user, rng
        self.spec, self.remove_clicked = network.spec, network.config.remove_clicked
        self.tables = user.tables()
        self.items = with_no_item(network.items.table)

    @torch.no_grad()
    def begin(self, history: np.ndarray) -> State:
        """Returns the state of sessions before which ``history`` (B, W) was observed."""
        n_items, rows = self.spec.n_items, len(history)
        nothing = torch.full((rows, 1), n_items)
        state = recurrent.initial(self.user.config, self.tables, nothing)
        state["history"] = torch.full((rows, self.spec.window), n_items)
        state["clicks"] = torch.zeros(rows, dtype=torch.int64)
        config = self.network.config
        parts = ("agent.hidden", "agent.cell")[: 2 if config.cell == "lstm" else 1]
        state |= {part: torch.zeros(rows, config.layers, config.hidden) for part in parts}
        clicks, before = click_sequences(history, np.zeros((rows, 0), np.int64), n_items)
        for column in range(before.max(initial=0)):
            item = torch.as_tensor(clicks[:, column])
            state = self.advance(state, item.where(item < n_items, -1))
        return state

    @torch.no_grad()
    def advance(self, state: State, item: Tensor) -> State:
        """Returns the state after clicks (B,); -1 leaves a row as it was."""
        after = state | recurrent.advance(self.user.config, self.tables, state, item)
        clicked = item >= 0
        after["clicks"] = state["clicks"] + clicked
        parts = [part for part in ("agent.hidden", "agent.cell") if part in state]
        carried = [state[part].transpose(0, 1).contiguous() for part in parts]
        read = features_of(item.where(clicked, self.spec.n_items)[:, None], self.items)
        given = (carried[0], carried[1]) if len(carried) == 2 else carried[0]
        _, reached = self.network.encoder.read(read, given)
        new = (reached,) if isinstance(reached, Tensor) else reached
        for part, value in zip(parts, new, strict=True):
            after[part] = value.transpose(0, 1).where(clicked[:, None, None], state[part])
        return after

    @torch.no_grad()
    def step(self, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Draws slates (B, K), clicks on them (B,), -1 for none, and the clicks' rewards (B,)."""
        excluded = state["history"][:, : self.spec.window if self.remove_clicked else 0]
        logits = self.network.head(self._agent_units(state), excluded)
        slate = gumbel_top_k(logits, self._gumbel(logits), self.spec.slate_size)
        config = self.user.config
        units = state[f"hidden{config.layers - 1}"]
        choices, rewards = recurrent.score(config, self.tables, units, slate)
        slot = (choices + self._gumbel(choices)).argmax(1)
        clicked = slot < slate.shape[1]
        slot = slot.clamp(max=slate.shape[1] - 1)[:, None]
        reward = rewards.gather(1, slot)[:, 0]
        if self.user.reward == "bernoulli":
            draws = torch.as_tensor(self.rng.random(len(reward), np.float32))
            reward = (draws < reward.sigmoid()).float()
        return slate, slate.gather(1, slot)[:, 0].where(clicked, -1), reward * clicked

    def _agent_units(self, state: State) -> Tensor:
        """Returns the agent's units (B, H), of the last W clicks and no more (see its encoder)."""
        units = state["agent.hidden"][:, -1].clone()
        over = state["clicks"] > self.spec.window
        if not over.any():
            return units
        read, _ = self.network.encoder.read(features_of(state["history"][over], self.items))
        units[over] = read[:, -1]
        return units

    def _gumbel(self, like: Tensor) -> Tensor:
        """Returns standard Gumbel noise."""
        drawn = self.rng.standard_exponential(like.shape, np.float32)
        noise: Tensor = -torch.as_tensor(np.maximum(drawn, np.finfo(np.float32).tiny)).log()
        return noise


def generate(interaction: Interaction, history: np.ndarray, horizon: int) -> Episodes:
    """Returns whole generated episodes, all of them played at once.

    Args:
        interaction: who plays.
        history: observed before the first step (B, W).
        horizon: the longest episode.
    """
    rows, size = len(history), interaction.spec.slate_size
    begun = Episodes(
        history=history,
        slate=np.full((rows, 0, size), -1),
        item=np.full((rows, 0), -1),
        reward=np.zeros((rows, 0), np.float32),
        steps=np.zeros((rows, 0), np.bool_),
        terminated=np.zeros(rows, np.bool_),
        propensity=None,
    )
    return _continued(interaction, interaction.begin(history), begun, horizon)


def _continued(interaction: Interaction, state: State, begun: Episodes, horizon: int) -> Episodes:
    """Plays on episodes that have begun until users leave, or to the horizon."""
    ahead = max(horizon - begun.steps.shape[1], 0)
    width = ((0, 0), (0, ahead))
    slate = np.pad(begun.slate, (*width, (0, 0)), constant_values=-1)
    item = np.pad(begun.item, width, constant_values=-1)
    reward, steps = np.pad(begun.reward, width), np.pad(begun.steps, width)
    terminated = np.zeros(len(steps), np.bool_)
    at = steps.sum(1)
    row = np.flatnonzero(at < horizon)
    state = {name: values[torch.as_tensor(row)] for name, values in state.items()}
    while len(row):
        shown, clicked, paid = interaction.step(state)
        where = (row, at[row])
        answered = clicked.numpy(force=True)
        slate[where], item[where] = shown.numpy(force=True), answered
        reward[where] = paid.numpy(force=True)
        steps[where] = True
        at[row] += 1
        if interaction.user.config.outside == "end":
            terminated[row] = answered < 0
        stays = ~terminated[row] & (at[row] < horizon)
        if not stays.all():
            kept = torch.as_tensor(stays)
            state = {name: values[kept] for name, values in state.items()}
            row, clicked = row[stays], clicked[kept]
        if len(row):
            state = interaction.advance(state, clicked)
    longest = at.max(initial=1)
    return Episodes(
        begun.history,
        slate[:, :longest],
        item[:, :longest],
        reward[:, :longest],
        steps[:, :longest],
        terminated,
        None,
    )


@torch.no_grad()
def monte_carlo_scores(
    interaction: Interaction,
    discriminator: Discriminator,
    batch: Episodes,
    rollouts: int,
    horizon: int,
) -> Tensor:
    """Returns q_D of every beginning of every episode (B, T), 0 after the end (Bai et al., Eq. 6).

    The mean of D over N ends played from each step but the last, whose score is D of the episode
    itself. All beginnings and all their ends are played at once.

    Args:
        interaction: who plays.
        discriminator: D.
        batch: generated episodes.
        rollouts: N.
        horizon: the longest episode.
    """
    steps = batch.steps
    scores: Tensor = discriminator(batch).sigmoid()[:, None] * torch.as_tensor(steps)
    state, states, begun = interaction.begin(batch.history), [], []
    for last in range(steps.shape[1] - 1):
        state = interaction.advance(state, torch.as_tensor(batch.item[:, last]))
        row = np.flatnonzero(steps[:, last + 1])
        states.append({name: values[torch.as_tensor(row)] for name, values in state.items()})
        begun.append(np.stack([row, np.full_like(row, last)]))
    if not begun:
        return scores
    row, last = np.concatenate(begun, 1).repeat(rollouts, axis=1)
    played = {
        name: torch.cat([some[name] for some in states]).repeat_interleave(rollouts, 0)
        for name in state
    }
    kept = np.arange(steps.shape[1]) <= last[:, None]
    beginnings = Episodes(
        history=batch.history[row],
        slate=np.where(kept[:, :, None], batch.slate[row], -1),
        item=np.where(kept, batch.item[row], -1),
        reward=np.where(kept, batch.reward[row], np.float32(0.0)),
        steps=kept,
        terminated=np.zeros(len(row), np.bool_),
        propensity=None,
    )
    whole = _continued(interaction, played, beginnings, horizon)
    found = discriminator(whole).sigmoid().reshape(-1, rollouts).mean(1)
    scores[row[::rollouts], last[::rollouts]] = found
    return scores
