"""z_u of a fitted meta-level user model: what its users' choices follow from.

With similarity, they follow from the history beside it.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from recgym.users import meta
from recgym.users.gan import Params
from recgym.users.meta import MetaUserConfig
from recgym.users.meta_context import infer
from recgym_agents.agent import EnvironmentSpec


class MetaUserLatent(nn.Module):
    """One member of a meta-level user model, with nothing to learn; not part of what is saved.

    Args:
        config: the model's shape.
        tables: from ``meta.prepare``.
    """

    def __init__(self, config: MetaUserConfig, tables: Params) -> None:
        super().__init__()
        self.config = config
        for name, table in tables.items():
            buffer = torch.as_tensor(table)
            self.register_buffer(name.replace(".", "/"), buffer, persistent=False)

    @classmethod
    def of(cls, spec: EnvironmentSpec) -> Self | None:
        """Returns that of the model behind an environment, if it is one and ids are observed."""
        model = spec.user_model
        if not spec.ids or model is None or not isinstance(model.config, MetaUserConfig):
            return None
        params = model.members[spec.user_members[0]]
        return cls(model.config, meta.prepare(model.config, params, model.features))

    @torch.no_grad()
    def forward(self, history: Tensor, support: Tensor, users: Tensor) -> Tensor:
        """Returns the mean of q(z_u | s, c), (B, Z), with the mean of p_f(c | tau) for c.

        Args:
            history: ids of the last clicks (B, W), N where there is none.
            support: (U, S, T, K + 1), as environments hand it over; rewards are not read.
            users: whose history each is (B,), in 0 .. U - 1.
        """
        tables = {name.replace("/", "."): table for name, table in self.named_buffers()}
        mean_reward = (support[..., -1] >= 0) * tables["encoder.reward"][0]
        context, _ = infer(tables, support, mean_reward)
        missing = max(self.config.window - history.shape[1], 0)
        padding = history.new_full((len(history), missing), len(tables["features"]) - 1)
        state = {"history": torch.cat([padding, history], 1), "context": context[users]}
        z, _ = meta.latent(tables, meta.situations(tables, state))
        found: Tensor = z
        return found
