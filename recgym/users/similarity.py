"""How like an item is to what a user clicked: a term of her utility, as pure functions.

It is RecGym's own, and an option of the models of Chen et al. and of M3Rec: to the utility of an
item with features f is added

    sum_k w_k f_k' (f - m)

over the clicked items k of the window, with features f_k; m are the features of the mean item. The
networks of these models read the features of clicked items and of an item side by side, and would
have to learn their product, which takes more data than many logs have. Choices between items are
the same with m or without it; with it, the mean item gains nothing in any state, so that the term
says nothing of the level of rewards (see ``recgym.users.identified``).
"""

from __future__ import annotations

from recgym.arrays import Array, namespace, rows, weighted_clicks

Tables = dict[str, Array]
START = 0.1
"""w_k where a fit starts; what is learned is added to it, so that decay pulls w_k to it."""


def similarity_shapes(window: int) -> dict[str, tuple[int, ...]]:
    """Returns the shape of the weights, one a clicked item of the window."""
    return {"similarity.weight": (1, window)}


def similarity_tables(params: Tables, features: Array) -> Tables:
    """Computes the tables that ``similarity`` reads.

    Args:
        params: with the arrays of ``similarity_shapes``.
        features: (N, D) item feature vectors.

    Returns:
        Arrays by name, read beside the model's "features" (N + 1, D). The table of items, less the
        mean item, has two rows more, of zeros: for "no item" N, and for the mean item N + 1.
    """
    xp = namespace(features)
    centred = features - xp.mean(features, axis=0)[None, :]
    nothing = xp.zeros_like(features[:1])
    return {
        "similarity.weight": START + params["similarity.weight"],
        "similarity.items": xp.concat([centred, nothing, nothing], axis=0),
    }


def compared_with(tables: Tables, history: Array) -> Array:
    """Returns sum_k w_k f_k (B, D) of clicked items (B, W >= window), N where there is none."""
    return weighted_clicks(tables["features"], tables["similarity.weight"], history)[:, 0]


def similarity(tables: Tables, history: Array, slate: Array) -> Array:
    """Returns the term of every slot (B, K).

    Args:
        tables: of ``similarity_tables``, and "features".
        history: (B, W >= window) ids of clicked items.
        slate: (B, K) item ids, N for none, N + 1 for the mean item.
    """
    items = rows(tables["similarity.items"], slate)  # (B, K, D)
    return (items * compared_with(tables, history)[:, None, :]).sum(-1)
