"""How methods of IRecGAN's Figure 2 learn from a log: one training, and what each score selects."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.data import Dataset
from recgym_agents.agent import EnvironmentSpec
from recgym_agents.experiments.experiment import Budget
from recgym_agents.learning.episode_loop import EpisodeLoopConfig
from recgym_agents.learning.episode_memory import EpisodeMemory
from recgym_agents.learning.episodes import EpisodeLog
from recgym_agents.learning.log_loop import LogLoop
from recgym_agents.learning.loop import means
from recgym_agents.runs.devices import CPU, on_device
from recgym_agents.zoo import entry_of


class Selected:
    """A method, and the policy of the report that its own score likes best.

    Args:
        loop: of the method's agent; it scores, and trains if the method is the one that learns.
    """

    def __init__(self, loop: LogLoop) -> None:
        self.loop = loop
        self.best, self.waited = -np.inf, 0
        self.policy = loop.agent.policy()
        self.report: dict[str, float] = {}
        """What training reported when the policy was as it is kept."""

    def look(self, held_out: EpisodeLog, report: dict[str, float]) -> None:
        """Scores the policy as it is now, and keeps it if it is the best so far."""
        score = self.loop.score(held_out)
        self.waited += 1
        if score > self.best:
            self.best, self.waited = score, 0
            self.policy, self.report = self.loop.agent.policy(), report


def learn_from_log(
    agents: dict[str, str],
    dataset: Dataset,
    spec: EnvironmentSpec,
    agent_args: dict[str, Any],
    budget: Budget,
    seed: int,
) -> dict[str, tuple[Any, dict[str, float]]]:
    """Trains once from a log, and selects for each of several methods.

    The first agent learns. The others share its user model and rank by that. Each method ends with
    the policy that its score on the log's validation sessions likes best, from reports after
    pre-training until ``patience`` of them in a row were no better: what it would end with if it
    were trained alone with the same seed.

    Args:
        agents: name of a method -> the zoo's name of its agent.
        dataset: the log.
        spec: of the world.
        agent_args: of all of these agents.
        budget: "updates" (of batches of mean length), "reports", "patience", and "device" if any.
        seed: of networks and batches.

    Returns:
        For each method an agent on the CPU with the policy that was selected, and what training
        reported then, with the "updates" until then.
    """
    device = budget.get("device", CPU)
    own, order = (int(one) for one in np.random.SeedSequence(seed).generate_state(2))
    entries = [entry_of(agent, agent_args, {}) for agent in agents.values()]

    def build() -> list[Any]:
        return [entry.builder(entry.config, spec, own) for entry in entries]

    learner, *others = ranking = build()
    for other in others:
        other.user = learner.user
    log, held_out = (
        EpisodeLog.of_sessions(dataset.pages(split), spec.window, spec.n_items)
        for split in ("train", "validation")
    )
    size = EpisodeLoopConfig.batch_size
    rng = np.random.default_rng(order)
    memory = EpisodeMemory(log, spec.n_items, size, "frequency", rng)
    pages = dataset.sessions.n_pages / dataset.n_users
    steps = round(budget["updates"] * size * pages)
    period = -(-steps // budget["reports"])
    for agent in ranking:
        agent.to(device)
    selected = [Selected(LogLoop(agent, memory, steps)) for agent in ranking]
    loop, going_on = selected[0].loop, selected
    with on_device(device):
        while loop.steps_done < steps and going_on:
            goal = min((loop.steps_done // period + 1) * period, steps)
            reports = []
            while loop.steps_done < goal:
                reports.append(loop.iterate())
            if learner.ready:
                report = means(reports) | {"updates": loop.updates_done}
                for one in going_on:
                    one.look(held_out, report)
                going_on = [one for one in going_on if one.waited < budget["patience"]]
    learned = {}
    for name, agent, one in zip(agents, build(), selected, strict=True):
        agent.load_policy(*one.policy)
        learned[name] = (agent, one.report)
    return learned
