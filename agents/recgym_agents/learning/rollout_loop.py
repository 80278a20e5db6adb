"""The loop that plays episodes with the policy that it trains (on-policy)."""

from __future__ import annotations

import numpy as np

from recgym.envs import SlateVectorEnv
from recgym_agents.learning.episode_memory import EpisodeMemory
from recgym_agents.learning.episodes import EpisodeAgent, EpisodeLog
from recgym_agents.learning.loop import Loop, means


def roll_out(agent: EpisodeAgent, env: SlateVectorEnv, sessions: int) -> EpisodeLog:
    """Plays whole episodes with slates that the policy draws.

    Episodes are numbered in the order in which they begin, and the first of them are returned, so
    that short ones are not favoured. Rows whose episode is a later one are shown the first K items:
    nobody learns from them, and the policy need not be asked.

    Args:
        agent: draws the slates.
        env: made with ``autoreset_mode="disabled"``; all its rows begin anew.
        sessions: episodes.
    """
    observation, _ = env.reset()
    episode, begun = np.arange(env.num_envs), env.num_envs
    played = []
    unasked = np.tile(np.arange(agent.spec.slate_size), (env.num_envs, 1))
    while (wanted := episode < sessions).any():
        slate = unasked.copy()
        slate[wanted] = agent.act(observation[wanted], explore=1.0)
        after, reward, terminated, truncated, info = env.step(slate)
        step = (episode, observation, after, slate, info["item"], reward, terminated)
        played.append([part[wanted] for part in step])
        done = terminated | truncated
        if done.any():
            episode = episode.copy()
            episode[done] = begun + np.arange(done.sum())
            begun += int(done.sum())
            after, _ = env.reset(options={"reset_mask": done})
        observation = after
    number, seen, next_seen, slate, item, reward, left = map(
        np.concatenate, zip(*played, strict=True)
    )
    order = np.argsort(number, kind="stable")
    offsets = np.searchsorted(number[order], np.arange(sessions + 1))
    every = None
    if not agent.spec.ids:
        every = np.insert(seen[order], offsets[1:], next_seen[order][offsets[1:] - 1], axis=0)
    return EpisodeLog(
        history=seen[order][offsets[:-1]],
        offsets=offsets,
        terminated=left[order][offsets[1:] - 1],
        slate=slate[order],
        item=item[order],
        reward=reward[order],
        seen=every,
    )


class RolloutLoop(Loop):
    """Plays a round of episodes, learns from it once, and goes through those kept, if any are.

    Args:
        agent: what acts and learns.
        env: made with ``autoreset_mode="disabled"``.
        sessions: episodes that are played in a round.
        epochs: passes over all kept episodes after each round.
        steps: environment steps of the episodes that the whole training will learn from.
        seed: of the environment.
        memory: takes what is played, to be learned from again; None for learning online alone.
    """

    agent: EpisodeAgent
    kept = (*Loop.kept, "env", "memory")

    def __init__(
        self,
        agent: EpisodeAgent,
        env: SlateVectorEnv,
        sessions: int,
        epochs: int,
        steps: int,
        seed: int,
        memory: EpisodeMemory | None = None,
    ) -> None:
        super().__init__(agent, steps)
        self.env, self.sessions, self.epochs, self.memory = env, sessions, epochs, memory
        env.reset(seed=seed)

    def iterate(self) -> dict[str, float]:
        """Plays a round and learns; returns means over its steps and over the updates.

        Raises:
            RecGymError: a loss is no longer a finite number.
        """
        played = roll_out(self.agent, self.env, self.sessions)
        self.steps_done += len(played.reward)
        reports = [self.update(played.batch(np.arange(len(played))))]
        if self.memory is not None:
            self.memory.add(played)
            count = self.epochs * self.memory.batches
            reports += [self.update(self.memory.draw()) for _ in range(count)]
        return means(reports) | {
            "reward": float(played.reward.mean()),
            "click_rate": float((played.item >= 0).mean()),
        }
