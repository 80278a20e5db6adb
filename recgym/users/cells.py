"""Recurrent cells, gates in torch's order, written against the array API standard."""

from __future__ import annotations

from recgym.arrays import Array, namespace


def sigmoid(x: Array) -> Array:
    """Returns 1 / (1 + exp(-x)), which overflows for no x."""
    return 0.5 + 0.5 * namespace(x).tanh(0.5 * x)


def lstm_cell(gates: Array, cell: Array) -> tuple[Array, Array]:
    """One step of an LSTM (Hochreiter and Schmidhuber, 1997).

    Args:
        gates: (B, 4 * units) input, forget, candidate and output gate before their activations.
        cell: (B, units).

    Returns:
        The new hidden units and the new cell, both (B, units).
    """
    xp = namespace(gates)
    units = cell.shape[1]
    opened = 1.0 / (1.0 + xp.exp(-gates))
    update = opened[:, :units] * xp.tanh(gates[:, 2 * units : 3 * units])
    new_cell = opened[:, units : 2 * units] * cell + update
    return opened[:, 3 * units :] * xp.tanh(new_cell), new_cell


def gru_cell(inputs: Array, recurrent: Array, hidden: Array) -> Array:
    """One step of a gated recurrent unit (Cho et al., 2014), as torch has it.

    Args:
        inputs: (B, 3 * units) reset gate, update gate and candidate: the share of the input.
        recurrent: (B, 3 * units) the share of the hidden units, which the reset gate weighs in the
            candidate.
        hidden: (B, units).

    Returns:
        The new hidden units (B, units).
    """
    units = hidden.shape[1]
    opened = sigmoid(inputs[:, : 2 * units] + recurrent[:, : 2 * units])
    weighed = opened[:, :units] * recurrent[:, 2 * units :]
    candidate = namespace(inputs).tanh(inputs[:, 2 * units :] + weighed)
    return candidate + opened[:, units:] * (hidden - candidate)
