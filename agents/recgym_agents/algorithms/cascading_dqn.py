"""Deep Q-learning of whole slates (Chen et al., ICML 2019, section 5): cascading and additive."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from recgym.errors import RecGymError
from recgym.settings import AT_LEAST_0, AT_LEAST_1, POSITIVE, SHARE, check_ranges
from recgym.spaces import random_slates
from recgym_agents.agent import BaseAgent, Compile, EnvironmentSpec, Transitions
from recgym_agents.checkpointing import Arrays, arrays_of, load_arrays_into
from recgym_agents.losses import cascade_loss, q_target
from recgym_agents.networks.encoders import Activation, ObservationReader
from recgym_agents.networks.slate_heads import Candidates, SharedHead

if TYPE_CHECKING:
    from recgym_agents.networks.paper_heads import AdditiveHead, CascadeHead


@dataclass(frozen=True)
class SlateDQNConfig:
    """Configuration of ``cascading-dqn``, the paper's forms of it, and ``additive-dqn``."""

    head: Literal["shared", "cascade", "additive"] = "shared"
    """One Q-network for all slots; the paper's, one a slot; or one over items that is summed over
    the slate."""
    reward: Literal["environment", "click"] = "environment"
    """What is maximised: the environment's reward, or +1 for a click and -1 for none."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer; the heads "cascade" and "additive" have one."""
    rank: int = 64
    """Length of the two vectors whose product values an item, in the shared head."""
    window: int = 10
    """Last clicked items that the history encoder reads, m; fewer if fewer are observed."""
    weights: int = 4
    """Sets of position weights in the history encoder, n."""
    activation: Activation = "elu"
    """The history encoder's activation."""
    embedding: int = 16
    """Length of the learned item embedding, where the environment gives no features."""
    discount: float = 0.9
    """Discount of the next step's value, gamma."""
    learning_rate: float = 3e-3
    """Adam's step size at first."""
    slowing: int = 1000
    """Updates after which the step size has halved; it is the first one over 1 + updates / slowing;
    0 keeps it."""
    target_period: int = 1
    """Updates between moves of the target network towards the network."""
    target_rate: float = 0.01
    """How far the target network moves; 1 copies, less averages the networks of many updates."""
    double: bool = True
    """Choose the next slate with the network, and value it with the target network."""
    acts_by: Literal["network", "target"] = "target"
    """Which of the two chooses slates."""
    remove_clicked: bool = True
    """Items in the observed history are no candidates (Algorithm 1)."""

    def __post_init__(self) -> None:
        """Raises RecGymError for a setting out of its range."""
        counts = ("hidden", "rank", "window", "weights", "embedding", "target_period")
        ranges = dict.fromkeys(counts, AT_LEAST_1)
        shares = dict.fromkeys(("discount", "target_rate"), SHARE)
        check_ranges(self, ranges | shares | {"learning_rate": POSITIVE, "slowing": AT_LEAST_0})
        if not self.hidden or (self.head != "shared" and len(self.hidden) > 1):
            raise RecGymError(
                f"hidden={self.hidden!r}: must be one or more sizes, with head={self.head!r} one"
            )


class QNetwork(ObservationReader):
    """What is read of an observation, and a slate head."""

    def __init__(
        self, config: SlateDQNConfig, spec: EnvironmentSpec, generator: torch.Generator
    ) -> None:
        read = (config.window, config.weights, config.activation, config.embedding)
        super().__init__(spec, *read, generator)
        state, items = self.state_inputs, self.item_inputs
        self.head: SharedHead | CascadeHead | AdditiveHead
        if config.head == "shared":
            self.head = SharedHead(
                spec.slate_size, state, items, config.hidden, config.rank, generator
            )
        else:
            from recgym_agents.networks.paper_heads import AdditiveHead, CascadeHead

            head = CascadeHead if config.head == "cascade" else AdditiveHead
            sizes = (spec.slate_size, state.size, items.size, config.hidden[0])
            self.head = head(*sizes, generator)

    def forward(self, observation: Tensor, slate: Tensor) -> Tensor:
        """Returns the slate's values (B, K), or (B, 1) if additive; the last column is Q(s, A)."""
        items = self.features(observation)
        values: Tensor = self.head(self.encode(observation, items), slate, items)
        return values


class SlateDQN(BaseAgent):
    """Q-learning over slates with replay, a target network, and exploration slot by slot.

    While exploring, each slot shows a random item with probability ``explore``, and the slots after
    it are chosen greedily given that item. A first slot's value, Q^1(s, a_1), is then learned
    mostly from slates that continue well, as its definition asks for; wholly random slates would
    teach it the value of continuing at random.

    References:
        - Chen et al.: Generative adversarial user model for reinforcement learning based
          recommendation system. ICML 2019, section 5, Algorithm 1.
        - Yu et al.: MOPO: model-based offline policy optimization. NeurIPS 2020 (``mopo``).
        - Gao et al.: Alleviating Matthew effect of offline reinforcement learning in interactive
          recommendation. SIGIR 2023 (DORL: ``mopo`` with ``entropy_bonus`` in ``--env-args``).
    """

    kept = ("network", "target", "optimizer", "rng", "updates")

    def __init__(
        self,
        config: SlateDQNConfig,
        spec: EnvironmentSpec,
        seed: int,
    ) -> None:
        spec.check_candidates(config.remove_clicked)
        self.config, self.spec = config, spec
        self.rng = np.random.default_rng(seed)
        self.network = QNetwork(config, spec, torch.Generator().manual_seed(seed))
        self.target: QNetwork = copy.deepcopy(self.network).requires_grad_(False)
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)
        self.updates = 0
        self._candidates: dict[QNetwork, Candidates] = {}

    def act(self, observation: np.ndarray, explore: float = 0.0) -> np.ndarray:
        """Returns greedy slates (B, K); each slot is random with probability ``explore``."""
        forced = None
        if explore > 0.0:
            excluded = self.spec.excluded(observation, self.config.remove_clicked)
            items = random_slates(
                self.rng, self.spec.n_items, self.spec.slate_size, len(observation), excluded
            )
            items[self.rng.random(items.shape) >= explore] = -1
            forced = torch.as_tensor(items)
        slate = self.greedy(self._acting, torch.as_tensor(observation), forced)
        found: np.ndarray = slate.numpy(force=True)
        return found

    def update(self, batch: Transitions) -> dict[str, float]:
        """Takes one gradient step on ``sum_j (y - Q^j)^2`` (Eq. 11)."""
        reward = batch.reward
        if self.config.reward == "click":
            reward = np.where(batch.item >= 0, np.float32(1.0), np.float32(-1.0))
        discount = np.where(batch.terminated, 0.0, self.config.discount).astype(np.float32)
        observed = np.int64 if self.spec.ids else np.float32
        observation = torch.as_tensor(batch.observation.astype(observed))
        after = torch.as_tensor(batch.next_observation.astype(observed))
        slate = torch.as_tensor(batch.slate.astype(np.int64))
        with torch.no_grad():
            chooser = self.network if self.config.double else self.target
            next_value = self.target(after, self.greedy(chooser, after))[:, -1]
        y = q_target(torch.as_tensor(reward), torch.as_tensor(discount), next_value)
        q = self.network(observation, slate)
        loss = cascade_loss(q, y)
        if self.config.slowing:
            slower = 1.0 + self.updates / self.config.slowing
            self.optimizer.param_groups[0]["lr"] = self.config.learning_rate / slower
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.updates += 1
        self._candidates.pop(self.network, None)
        if self.updates % self.config.target_period == 0:
            pairs = zip(self.target.parameters(), self.network.parameters(), strict=True)
            for averaged, current in pairs:
                averaged.lerp_(current.detach(), self.config.target_rate)
            self._candidates.pop(self.target, None)
        return {"loss": loss.item(), "q": q[:, -1].mean().item()}

    @torch.no_grad()
    def greedy(
        self, network: QNetwork, observation: Tensor, forced: Tensor | None = None
    ) -> Tensor:
        """Returns a network's greedy slates (B, K), but for the ``forced`` items."""
        own = self.spec.candidate_features > 0
        candidates = None if own else self._candidates.get(network)
        if candidates is None:
            candidates = network.head.candidates(network.features(observation))
            if not own:
                self._candidates[network] = candidates
        state = network.encode(observation, candidates.features)
        excluded = self.spec.excluded(observation, self.config.remove_clicked)
        return network.head.greedy(state, excluded, candidates, forced)

    @property
    def _acting(self) -> QNetwork:
        """The network that chooses slates."""
        acting: QNetwork = self.target if self.config.acts_by == "target" else self.network
        return acting

    def policy(self) -> tuple[Arrays, Any]:
        """Returns all that greedy slates depend on: copies of the acting network's parameters."""
        return arrays_of(self._acting), {}

    def load_policy(self, arrays: Arrays, info: Any) -> None:
        """Acts with the parameters ``arrays``."""
        load_arrays_into(self._acting, arrays)
        self._candidates.clear()

    def set_state(self, arrays: Arrays, info: Any) -> None:
        """Goes on from what ``state`` returned."""
        super().set_state(arrays, info)
        self._candidates.clear()

    def compile(self, mode: Compile, device: str, rows: float) -> None:
        """Fuses the scan of the candidates; see ``BaseAgent.compile``."""
        if self.config.head == "shared":
            return super().compile(mode, device, rows)
        scans = self.spec.slate_size if self.config.head == "cascade" else 1
        units = rows * scans * self.spec.n_items * self.config.hidden[0]
        from recgym_agents.networks.compiled_scan import score_function

        score = score_function(mode, device, units)
        for network in (self.network, self.target):
            if score is not None:
                network.head.score = score
