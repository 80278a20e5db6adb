"""A user's context, inferred from her logged sequences: p(c | tau) of M3Rec, as pure functions.

What the paper leaves open (Wang et al., section 4.1) is as in PEARL (Rakelly et al.,
ICML 2019, section 4.1): each logged step is a normal factor over c, and the posterior is the
product of the factors and of the prior N(0, I). So the order of the steps, of the sequences and of
the items of a page does not matter, any number of sequences can be read, none gives the prior, and
each one more makes the posterior narrower.
"""

from __future__ import annotations

from recgym.arrays import Array, clip, contiguous, namespace, rows
from recgym.users.gan import Params

LOG_PRECISION = (-8.0, 4.0)
"""Of a factor: from next to nothing, to a standard deviation of .14."""


def encoder_shapes(features: int, units: int, context: int) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the encoder's arrays.

    Args:
        features: D.
        units: of its hidden layer.
        context: C.
    """
    return {
        "encoder.weight": (units, 2 * features + 2),
        "encoder.bias": (units,),
        "encoder.mean": (context, units),
        "encoder.mean_bias": (context,),
        "encoder.log_precision": (context, units),
        "encoder.log_precision_bias": (context,),
        "encoder.reward": (2,),
    }


def encoder_tables(params: Params) -> Params:
    """Computes the tables that ``infer`` reads, beside the items' "features" (N + 1, D)."""
    tables = {name: params[name] for name in params if name.startswith("encoder.")}
    for name in ("encoder.weight", "encoder.mean", "encoder.log_precision"):
        tables[name] = contiguous(params[name].T)
    return tables


def infer(tables: Params, support: Array, reward: Array) -> tuple[Array, Array]:
    """Returns the mean and the variance of p(c | tau) of B users, both (B, C).

    A step tells what was clicked, how that differs from the mean of what was shown, whether nothing
    was clicked, and the reward, standardised by the mean and the spread of the log's clicks in
    "encoder.reward" (1 over the spread, 0 if rewards tell nothing as all clicks have the same).

    Args:
        tables: from ``meta.prepare``.
        support: (B, S, T, K + 1) int64: of S sequences and T steps the ids of the K items that were
            shown, and the slot that was clicked, -1 for none. -1 fills slots without an item, and
            steps that are not there. S may be 0.
        reward: (B, S, T) of each step, 0 without a click.
    """
    xp = namespace(support)
    n_users, slots = support.shape[0], support.shape[3] - 1
    steps = support.reshape(n_users, -1, slots + 1)
    shown, click = steps[:, :, :-1], steps[:, :, -1:]
    is_shown = shown >= 0
    no_item = tables["features"].shape[0] - 1
    ids = xp.where(is_shown, shown, no_item)
    here = xp.arange(slots, device=support.device) == click  # (B, M, K)
    clicked_id = xp.sum(xp.where(here, ids, 0), axis=2)
    clicked = click[:, :, 0] >= 0
    vector = rows(tables["features"], xp.where(clicked, clicked_id, no_item))  # (B, M, D)
    dtype = vector.dtype
    count = xp.asarray(xp.sum(xp.asarray(is_shown, dtype=dtype), axis=2), dtype=dtype)
    total = xp.sum(rows(tables["features"], ids), axis=2)
    mean_shown = total / xp.where(count > 0, count, xp.ones_like(count))[:, :, None]
    centre, scale = tables["encoder.reward"][0], tables["encoder.reward"][1]
    flag = xp.asarray(clicked, dtype=dtype)
    paid = (xp.asarray(reward.reshape(n_users, -1), dtype=dtype) - centre) * scale * flag
    told = [vector, vector - mean_shown, paid[:, :, None], (1.0 - flag)[:, :, None]]
    inputs = xp.concat(told, axis=2)
    hidden = xp.tanh(inputs @ tables["encoder.weight"] + tables["encoder.bias"])
    means = hidden @ tables["encoder.mean"] + tables["encoder.mean_bias"]
    logarithm = hidden @ tables["encoder.log_precision"] + tables["encoder.log_precision_bias"]
    there = xp.asarray(is_shown.any(axis=2), dtype=dtype)[:, :, None]
    precision = xp.exp(clip(logarithm, *LOG_PRECISION)) * there
    variance = 1.0 / (1.0 + xp.sum(precision, axis=1))
    return xp.sum(precision * means, axis=1) * variance, variance
