"""How fast an agent scans its candidates: fused, in blocks, and against a memory's floor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from measurement import Figure, Section, alternate, compiled_already, milliseconds, ratio
from recgym_agents.networks.compiled_scan import compiled_score
from recgym_agents.networks.encoders import with_no_item
from recgym_agents.networks.paper_heads import (
    CascadeHead,
    ScoreFunction,
    score_eager,
    score_plain,
)
from recgym_agents.networks.slate_heads import exclude

FEATURES, STATE, UNITS = 16, 64, 64
"""D, the length of an encoded history, and H of the scanned networks."""


def scans(rounds: int) -> Section:
    """Greedy slates for a training update: fused, in eager blocks, and concatenated."""
    generator = torch.Generator().manual_seed(0)
    n_items, slate_size, batch = 1682, 5, 128
    features = torch.randn(n_items, FEATURES, generator=generator)
    state = torch.randn(batch, STATE, generator=generator)
    head = CascadeHead(slate_size, STATE, FEATURES, UNITS, generator).requires_grad_(False)
    candidates, nothing = (
        head.candidates(with_no_item(features)),
        torch.empty(batch, 0, dtype=torch.int64),
    )
    fused = compiled_score()

    def greedy(score: ScoreFunction) -> Tensor:
        head.score = score
        return head.greedy(state, nothing, candidates)

    ways: dict[str, Callable[[], Tensor]] = {
        "fused": lambda: greedy(fused),
        "eager": lambda: greedy(score_eager),
        "plain": lambda: greedy(score_plain),
        "concatenated": lambda: concatenated_greedy(head, state, nothing, candidates.features),
    }
    slates = [way() for way in ways.values()]
    with compiled_already():
        blocks = {name: milliseconds(way, 5) for name, way in ways.items()}
        measured = alternate(blocks, rounds)
    names = {
        "eager": "the table scanned eagerly in blocks",
        "plain": "the table scanned eagerly, written out",
        "concatenated": "feature vectors concatenated for every candidate",
    }
    floors = {"eager": 1.5, "concatenated": 10.0}
    section = Section(f"Greedy slates of {slate_size} from {n_items:,} items, batch {batch}")
    for name, text in names.items():
        figure = ratio(measured[name], measured["fused"])
        section.figures.append(
            Figure(f"fused, against {text}", "x faster", figure, floors.get(name))
        )
    section.figures.append(Figure("fused", "ms", measured["fused"]))
    section.figures += [Figure(text, "ms", measured[name]) for name, text in names.items()]
    agreement = min((slate == slates[0]).float().mean().item() for slate in slates)
    section.notes.append(f"The slates of all ways agree in {agreement:.2%} of their slots.")
    return section


def catalog(rounds: int) -> Section:
    """One slot over a million items, against reading its table once."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(1_000_000, UNITS, generator=generator)
    base, output = torch.randn(1, UNITS, generator=generator), torch.randn(UNITS)
    fused = compiled_score()
    ways: dict[str, Callable[[], Tensor]] = {
        "fused": lambda: fused(table, base, output).argmax(1),
        "eager": lambda: score_eager(table, base, output).argmax(1),
        "sum": table.sum,
        "norm": table.norm,
    }
    fused(table, base, output)
    with compiled_already():
        measured = alternate({name: milliseconds(way, 4) for name, way in ways.items()}, rounds)
    floor = [min(times) for times in zip(measured["sum"], measured["norm"], strict=True)]
    figures = [
        Figure("fused over its memory floor", "x", ratio(measured["fused"], floor), at_most=2.0),
        Figure("eager over its memory floor", "x", ratio(measured["eager"], floor)),
        Figure("fused", "ms", measured["fused"]),
        Figure("memory floor", "ms", floor),
    ]
    size = f"{table.nbytes / 1e6:,.0f} MB"
    note = (
        f"The floor is the faster of the table's sum and norm, each of which reads its {size} once."
    )
    return Section("A slot over 1,000,000 items, one row", figures, [note])


def concatenated_greedy(
    head: CascadeHead, state: Tensor, excluded: Tensor, features: Tensor
) -> Tensor:
    """Finds a cascade's greedy slate as Eq. 9 is written: every candidate's input is concatenated.

    What ``CascadeHead.greedy`` is tested against, and is many times faster than. Arguments as
    there; ``features`` are (N + 1, D), as ``Candidates`` holds them.
    """
    for j in range(head.slate_size):
        shown = features[excluded[:, excluded.shape[1] - j :]].flatten(1)  # (B, j * D)
        fixed = torch.cat([state, shown], 1)[:, None].expand(-1, len(features), -1)
        inputs = torch.cat([fixed, features.expand(len(state), -1, -1)], 2)
        first_layer = torch.cat([head.state_weight[j], head.item_weight[j, : j + 1].flatten(0, 1)])
        scores = torch.relu(inputs @ first_layer + head.bias[j]) @ head.output[j]
        excluded = torch.cat([excluded, exclude(scores, excluded).argmax(1, keepdim=True)], 1)
    return excluded[:, -head.slate_size :]
