"""The agents by name: the one place where an agent is entered.

A row says what builds an agent, with which configuration, and how it learns. ``register`` adds a
row from a package of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from recgym.errors import RecGymError
from recgym.lookup import Registry
from recgym.settings import changed
from recgym_agents.algorithms.baselines import (
    BaselineConfig,
    Popularity,
    RandomAgent,
    UserGreedy,
    UserGreedyConfig,
)
from recgym_agents.algorithms.cascading_dqn import SlateDQN, SlateDQNConfig
from recgym_agents.algorithms.cascading_dqn_maml import (
    CascadingDQNMAML,
    CascadingDQNMAMLConfig,
)
from recgym_agents.algorithms.irecgan import IRecGAN, IRecGANConfig
from recgym_agents.algorithms.linucb import LinUCB, LinUCBConfig
from recgym_agents.algorithms.m3rec import M3Rec, M3RecConfig
from recgym_agents.algorithms.melu import MeLU, MeLUConfig
from recgym_agents.algorithms.meta_lstm import MetaLSTM, MetaLSTMConfig
from recgym_agents.algorithms.meta_policy_gradient import (
    MetaPolicyGradient,
    MetaPolicyGradientConfig,
)
from recgym_agents.algorithms.offline_config import OfflinePolicyConfig
from recgym_agents.algorithms.offline_policy import OfflinePolicy
from recgym_agents.algorithms.policy_gradient import PolicyGradient, PolicyGradientConfig
from recgym_agents.algorithms.sequence_neighbours import Neighbours, NeighboursConfig
from recgym_agents.algorithms.slateq import SlateQ, SlateQConfig
from recgym_agents.algorithms.stable_baselines import (
    DQNConfig,
    MaskablePPOConfig,
    OnPolicyConfig,
    PPOConfig,
    SACConfig,
    StableBaselinesAgent,
    TD3Config,
)
from recgym_agents.learning.episode_loop import EpisodeLoopConfig
from recgym_agents.learning.loop import Schedule
from recgym_agents.learning.replay_loop import LoopConfig
from recgym_agents.learning.sequence_loop import SequenceLoopConfig
from recgym_agents.learning.user_loop import UserLoopConfig


@dataclass(frozen=True)
class Entry:
    """A row of ``AGENTS``."""

    builder: Callable[..., Any]
    """Called with the configuration, the ``EnvironmentSpec``, and a seed; for a library's agent,
    with the folder of its run instead of a seed."""
    config: Any
    """A frozen dataclass."""
    loop: Any = None
    """A ``Schedule``: how it learns, from transitions or whole episodes; None for one with nothing
    to learn, and for a library's agent."""
    about: str = ""
    """One line for the generated tables."""
    library: bool = False
    """Whether a library trains it, by its own loop, and keeps it in a file of its own."""
    env_args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the environment that it learns in, where they are not given."""

    @property
    def schedule(self) -> Schedule:
        """The loop's configuration; of one with nothing to learn, a loop of a single row."""
        found: Schedule = LoopConfig(num_envs=1) if self.loop is None else self.loop
        return found


COUNTING = LoopConfig(fresh=True, capacity=1, warm_up=0, explore_end=1.0)
"""Random slates throughout, each step counted once."""
FROM_EPISODES = EpisodeLoopConfig()
AS_PRINTED = SlateDQNConfig(
    head="cascade",
    hidden=(64,),
    slowing=0,
    target_period=50,
    target_rate=1.0,
    double=False,
    acts_by="network",
)
"""Chen et al. (ICML 2019), section 5."""
SMALL_LOOP = LoopConfig(
    num_envs=64, batch_size=128, capacity=100_000, explore_end=0.05, explore_share=0.5
)
"""The settings that the pages of the GAN user model were made with."""
IN_LARGE_ROUNDS = EpisodeLoopConfig(num_envs=256, sessions=256)
"""A clicked item says little of one episode; with more of them an update can be larger."""
OFFLINE: dict[str, tuple[OfflinePolicyConfig, str]] = {
    "logging": (
        OfflinePolicyConfig(),
        "the logging policy, as sequences of items show it: what is clicked next",
    ),
    "reward-weighted": (
        OfflinePolicyConfig(weight="reward"),
        "the same, what was done weighed by its reward",
    ),
    "ips": (
        OfflinePolicyConfig(weight="reward", importance=True),
        "weighed by its reward and by how much likelier the policy makes it",
    ),
    "lpi-cb": (
        OfflinePolicyConfig(weight="improvement", values="q", discount=0.0),
        "local policy improvement, of the next reward",
    ),
    "lpi-rl": (
        OfflinePolicyConfig(weight="improvement", values="q"),
        "local policy improvement, of the rewards to come",
    ),
    "pg-offline": (
        OfflinePolicyConfig(weight="return"),
        "a policy gradient on logged returns, without correction",
    ),
    "ips-pg": (
        OfflinePolicyConfig(weight="return", importance=True),
        "a policy gradient on logged returns, with capped importance weights",
    ),
    "sqn": (
        OfflinePolicyConfig(values="q"),
        "next items, with Q-learning beside them (self-supervised Q-learning)",
    ),
    "sqn-supervised": (
        OfflinePolicyConfig(values="history"),
        "next items, with a count of past ones beside them in place of Q-learning",
    ),
    "sac-ss": (
        OfflinePolicyConfig(weight="value", values="q", warm_up=100),
        "next items, weighed by their values (self-supervised actor-critic)",
    ),
    "snqn": (
        OfflinePolicyConfig(values="q", negatives=10),
        "next items, with Q-learning that also sees items drawn at random",
    ),
    "sa2c": (
        OfflinePolicyConfig(
            weight="advantage", values="q", negatives=10, weight_cap=10.0, warm_up=100
        ),
        "next items, weighed by their values above those of items drawn at random",
    ),
    "bcq": (
        OfflinePolicyConfig(values="q", support=0.3, acts_by="value"),
        "Q-learning among the items that are likely in the log (batch-constrained)",
    ),
    "cql": (
        OfflinePolicyConfig(weight="none", values="q", conservative=1.0, acts_by="value"),
        "Q-learning that pushes down the values of what was not done (conservative)",
    ),
    "rem": (
        OfflinePolicyConfig(
            weight="none", values="q", members=4, mixture=True, negatives=10, acts_by="value"
        ),
        "Q-learning of random mixtures of an ensemble",
    ),
    "ensemble-ucb": (
        OfflinePolicyConfig(
            weight="none", values="q", members=4, negatives=10, acts_by="value", optimism=1.0
        ),
        "Q-learning of an ensemble, which tries items that its members disagree on",
    ),
    "decision-transformer": (
        OfflinePolicyConfig(conditioned=True, discount=1.0),
        "next items, given the return that is to follow",
    ),
}
"""Agents that learn from logged sequences: what each learns, and a line about it."""
FLOORS: dict[str, tuple[NeighboursConfig, str]] = {
    "click-count": (NeighboursConfig(), "the items clicked most often in a log"),
    "last-item": (NeighboursConfig(rank="last"), "the items that this user clicked last"),
    "item-knn": (
        NeighboursConfig(rank="items"),
        "the items clicked in sessions with the last one",
    ),
    "v-sknn": (
        NeighboursConfig(rank="sessions"),
        "the items of the sessions most like this one, late clicks weighing more",
    ),
}
"""What learned agents must beat on logs."""
NEARLY_ON_POLICY = UserLoopConfig(kept_users=192, batch_users=32, updates=12)
"""Updates by what the policy itself showed to the users of the last three rounds."""
TELLING_USERS_APART = UserLoopConfig(without=0.2, kept_users=640, batch_users=64, updates=12)
"""Larger updates, by what was shown to users of the last ten rounds: what tells users apart is seen
in many."""

AGENTS: Registry[Entry] = Registry(
    "agent",
    {
        "cascading-dqn": Entry(
            SlateDQN,
            SlateDQNConfig(),
            LoopConfig(),
            "deep Q-learning of slates, slot by slot, one Q-network for all slots",
        ),
        "cascading-dqn-paper": Entry(
            SlateDQN,
            AS_PRINTED,
            SMALL_LOOP,
            "cascading DQN as the paper has it, one Q-network a slot",
        ),
        "cascading-dqn-click": Entry(
            SlateDQN,
            replace(AS_PRINTED, reward="click"),
            SMALL_LOOP,
            "the paper's cascading DQN, paid +1 for a click and -1 for none",
        ),
        "additive-dqn": Entry(
            SlateDQN,
            replace(AS_PRINTED, head="additive"),
            SMALL_LOOP,
            "deep Q-learning, the values of a slate's items added up",
        ),
        "mopo": Entry(
            SlateDQN,
            SlateDQNConfig(),
            LoopConfig(),
            "cascading DQN in user models fitted to a log, paid less where they disagree",
            env_args={"ensemble": 5, "pessimism": 1.0},
        ),
        "slateq": Entry(
            SlateQ,
            SlateQConfig(),
            LoopConfig(),
            "deep Q-learning of items, under a learned model of which item of a slate is clicked",
        ),
        "slateq-sarsa": Entry(
            SlateQ,
            SlateQConfig(target="sarsa", slates="greedy"),
            LoopConfig(),
            "SlateQ that values items by the slates that followed",
        ),
        "slateq-belief": Entry(
            SlateQ,
            SlateQConfig(beliefs=16, window=40, slowing=4_000),
            LoopConfig(),
            "SlateQ for users whose state is hidden: a learned belief about it reads their clicks",
        ),
        "slateq-user": Entry(
            SlateQ,
            SlateQConfig(choice="user-model", window=20, discount=0.9, slowing=3_000),
            LoopConfig(batch_size=128),
            "SlateQ that knows the environment's user model, and learns what comes later",
        ),
        "reinforce": Entry(
            PolicyGradient,
            PolicyGradientConfig(),
            FROM_EPISODES,
            "REINFORCE on slates drawn without replacement",
        ),
        "reinforce-slate": Entry(
            PolicyGradient,
            PolicyGradientConfig(log_probability="slate", advantage="centred"),
            FROM_EPISODES,
            "REINFORCE on the whole slate's probability, with a batch's mean return as baseline",
        ),
        "reinforce-is": Entry(
            PolicyGradient,
            PolicyGradientConfig(importance=True),
            FROM_EPISODES,
            "REINFORCE with importance weights for logged steps",
        ),
        "reinforce-top-k": Entry(
            PolicyGradient,
            PolicyGradientConfig(importance=True, top_k=True, hidden=128, learning_rate=4e-3),
            IN_LARGE_ROUNDS,
            "REINFORCE with importance weights and the top-K correction",
        ),
        "actor-critic": Entry(
            PolicyGradient,
            PolicyGradientConfig(advantage="critic"),
            FROM_EPISODES,
            "the policy of REINFORCE, with a critic that values states",
        ),
        "gan-pg": Entry(
            PolicyGradient,
            PolicyGradientConfig(),
            IN_LARGE_ROUNDS,
            "REINFORCE in large rounds: trained in RecGAN-v0, the GAN-PG that M3Rec is held to",
        ),
        "irecgan": Entry(
            IRecGAN,
            IRecGANConfig(),
            FROM_EPISODES,
            "a policy, a user model and a discriminator, trained together",
        ),
        "pgu": Entry(
            IRecGAN,
            IRecGANConfig(adversary=False),
            FROM_EPISODES,
            "IRecGAN without the discriminator",
        ),
        "acu": Entry(
            IRecGAN,
            IRecGANConfig(adversary=False, advantage="critic"),
            FROM_EPISODES,
            "IRecGAN without the discriminator, with a critic",
        ),
        "user-lstm": Entry(
            IRecGAN,
            IRecGANConfig(ranking="user", cell="lstm", adversary=False, generated=0.0),
            FROM_EPISODES,
            "the items that IRecGAN's user model, fitted alone, would click",
        ),
        "user-lstm-d": Entry(
            IRecGAN,
            IRecGANConfig(ranking="user", cell="lstm"),
            FROM_EPISODES,
            "the items that IRecGAN's user model would click",
        ),
        **{
            name: Entry(OfflinePolicy, config, SequenceLoopConfig(), about)
            for name, (config, about) in OFFLINE.items()
        },
        **{
            name: Entry(Neighbours, config, SequenceLoopConfig(patience=0), about)
            for name, (config, about) in FLOORS.items()
        },
        "cascading-dqn-maml": Entry(
            CascadingDQNMAML,
            CascadingDQNMAMLConfig(),
            UserLoopConfig(),
            "cascading DQN that adapts to each user by a few gradient steps",
        ),
        "meta-pg": Entry(
            MetaPolicyGradient,
            MetaPolicyGradientConfig(),
            NEARLY_ON_POLICY,
            "REINFORCE that adapts to each user by policy-gradient steps",
        ),
        "meta-lstm": Entry(
            MetaLSTM,
            MetaLSTMConfig(),
            NEARLY_ON_POLICY,
            "REINFORCE, told by an LSTM what a user did before",
        ),
        "m3rec": Entry(
            M3Rec,
            M3RecConfig(),
            TELLING_USERS_APART,
            "a variational policy, told by a context what a user did before",
        ),
        "m3rec-no-mi": Entry(
            M3Rec,
            M3RecConfig(information=0.0),
            TELLING_USERS_APART,
            "M3Rec without the information between user and recommender",
        ),
        "m3rec-no-context": Entry(
            M3Rec,
            M3RecConfig(adapts=False),
            TELLING_USERS_APART,
            "M3Rec that reads no support",
        ),
        "melu": Entry(
            MeLU,
            MeLUConfig(),
            UserLoopConfig(explore=1.0, updates=8),
            "estimated clicks, by decision layers that adapt to each user",
        ),
        "linucb": Entry(
            LinUCB,
            LinUCBConfig(),
            COUNTING,
            "a bandit with hybrid linear models, and upper confidence bounds",
        ),
        "user-greedy": Entry(
            UserGreedy,
            UserGreedyConfig(),
            about="the items of the highest reward in the environment's user model",
        ),
        "user-greedy-ensemble": Entry(
            UserGreedy,
            UserGreedyConfig(bagged=True),
            about="the items of the highest mean reward in bagged user models",
        ),
        "popularity": Entry(
            Popularity, BaselineConfig(), COUNTING, "the items clicked most often when shown"
        ),
        "random": Entry(RandomAgent, BaselineConfig(), about="items drawn uniformly at random"),
        **{
            name: Entry(StableBaselinesAgent.load, config, about=about, library=True)
            for name, config, about in (
                ("sb3-ppo", PPOConfig(), "PPO of Stable-Baselines3"),
                ("sb3-a2c", OnPolicyConfig(), "A2C of Stable-Baselines3"),
                ("sb3-dqn", DQNConfig(), "DQN of Stable-Baselines3, choosing item by item"),
                (
                    "sb3-sac",
                    SACConfig(),
                    "SAC of Stable-Baselines3, choosing a point among the items",
                ),
                (
                    "sb3-td3",
                    TD3Config(),
                    "TD3 of Stable-Baselines3, choosing a point among the items",
                ),
                (
                    "sb3-maskable-ppo",
                    MaskablePPOConfig(),
                    "MaskablePPO of sb3-contrib, item by item",
                ),
            )
        },
    },
    lambda found: isinstance(found, Entry),
)
"""The zoo. Variants of one family are rows, not classes."""


def register(
    name: str, builder: Callable[..., Any], config: Any, loop: Schedule | None, about: str = ""
) -> None:
    """Enters an agent of one's own, for ``train``, the commands, and ``load_agent``.

    Args:
        name: what it is called; ``package:name`` elsewhere, so that the package is imported first.
        builder: called with the configuration, the ``EnvironmentSpec``, and a seed; what it returns
            has the methods of ``recgym_agents.protocols.Agent`` (``BaseAgent`` has half of them).
        config: a frozen dataclass, whose fields ``--agent-args`` change.
        loop: how it learns: a ``LoopConfig``, an ``EpisodeLoopConfig``, or a ``Schedule`` of one's
            own; None if it learns nothing.
        about: one line that says what it is.

    Raises:
        RecGymError: the name is taken.
    """
    AGENTS.register(name, Entry(builder, config, loop, about))


def entry_of(agent: str, agent_args: Mapping[str, Any], loop_args: Mapping[str, Any]) -> Entry:
    """Returns the row of an agent, with some settings changed.

    Args:
        agent: its name, or ``module:name`` of one that a module registers when it is imported.
        agent_args: fields of its configuration, by name.
        loop_args: fields of its loop's configuration; none for one without.

    Raises:
        RecGymError: no such agent, no such field, or a value that does not fit.
    """
    entry = AGENTS.find(agent)
    if entry.loop is None and loop_args:
        why = "all its settings are agent_args" if entry.library else "it learns nothing"
        raise RecGymError(f"{agent}: has no loop_args ({why}); leave them out")
    config = changed(entry.config, agent_args, agent)
    loop = None if entry.loop is None else changed(entry.loop, loop_args, "loop")
    return replace(entry, config=config, loop=loop)
