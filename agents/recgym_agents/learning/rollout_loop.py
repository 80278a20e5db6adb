"""The loop that plays episodes with the policy that it trains (on-policy)."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym_agents.agent import Arrays, within
from recgym_agents.learning.episode_memory import EpisodeLoopConfig, EpisodeStore
from recgym_agents.learning.episodes import EpisodeAgent, EpisodeLog, Episodes
from recgym_agents.learning.loop import check_finite, means


def roll_out(agent: EpisodeAgent, env: SlateVectorEnv, sessions: int) -> EpisodeLog:
    """Plays whole episodes with slates that the policy draws.

    Episodes are numbered in the order in which they begin, and the first of them are returned, so
    that short ones are not favoured.

    Args:
        agent: draws the slates.
        env: made with ``autoreset_mode="disabled"``; all its rows begin anew.
        sessions: episodes.
    """
    observation, _ = env.reset()
    episode, begun = np.arange(env.num_envs), env.num_envs
    played = []
    while (episode < sessions).any():
        slate = agent.act(observation, explore=1.0)
        after, reward, terminated, truncated, info = env.step(slate)
        played.append((episode, observation, slate, info["item"], reward, terminated))
        done = terminated | truncated
        if done.any():
            episode = episode.copy()
            episode[done] = begun + np.arange(done.sum())
            begun += int(done.sum())
            after, _ = env.reset(options={"reset_mask": done})
        observation = after
    number, seen, slate, item, reward, left = map(np.concatenate, zip(*played, strict=True))
    order = np.argsort(number, kind="stable")[: np.count_nonzero(number < sessions)]
    offsets = np.searchsorted(number[order], np.arange(sessions + 1))
    return EpisodeLog(
        history=seen[order][offsets[:-1]],
        offsets=offsets,
        terminated=left[order][offsets[1:] - 1],
        slate=slate[order],
        item=item[order],
        reward=reward[order],
    )


class RolloutLoop:
    """Plays a round of episodes, learns from it once, and goes through those stored, if any are.

    Args:
        agent: what acts and learns.
        env: made with ``autoreset_mode="disabled"``.
        config: the schedule.
        steps: environment steps of the episodes that the whole training will learn from.
        seed: of the environment.
        store: takes what is played, to be learned from again; None for learning online alone.
    """

    def __init__(
        self,
        agent: EpisodeAgent,
        env: SlateVectorEnv,
        config: EpisodeLoopConfig,
        steps: int,
        seed: int,
        store: EpisodeStore | None = None,
    ) -> None:
        self.agent, self.env, self.config, self.steps, self.store = agent, env, config, steps, store
        self.steps_done, self.updates_done = 0, 0
        env.reset(seed=seed)

    def iterate(self) -> dict[str, float]:
        """Plays a round and learns; returns means over its steps and over the updates.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        played = roll_out(self.agent, self.env, self.config.sessions)
        self.steps_done += len(played.reward)
        reports = [self._update(played.batch(np.arange(len(played))))]
        if self.store is not None:
            self.store.add(played)
            count = self.config.epochs * self.store.batches
            reports += [self._update(self.store.draw()) for _ in range(count)]
        return means(reports) | {
            "reward": float(played.reward.mean()),
            "click_rate": float((played.item >= 0).mean()),
        }

    def _update(self, batch: Episodes) -> dict[str, float]:
        """Updates the agent once, and stops a training that diverges."""
        report = self.agent.update(batch)
        self.updates_done += 1
        check_finite(report, self.updates_done, self.steps_done)
        return report

    def state(self) -> tuple[Arrays, Any]:
        """Returns all of the loop but the agent."""
        arrays, env = self.env.get_state()
        arrays = {f"env.{name}": values for name, values in arrays.items()}
        info: dict[str, Any] = {"steps": self.steps_done, "updates": self.updates_done, "env": env}
        if self.store is not None:
            stored, info["store"] = self.store.state()
            arrays |= {f"store.{name}": values for name, values in stored.items()}
        return arrays, info

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        self.env.set_state(within(arrays, "env."), info["env"])
        self.steps_done, self.updates_done = info["steps"], info["updates"]
        if self.store is not None:
            self.store.set_state(within(arrays, "store."), info["store"])
