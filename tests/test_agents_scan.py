from __future__ import annotations

import pytest
import torch

from recgym_agents.networks import paper_heads, slate_heads


def random_scan(n_rows: int, n_items: int, hidden: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(n_rows + n_items + hidden)
    shapes = ((n_items, hidden), (n_rows, hidden), (hidden,))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def test_a_score_is_the_network_of_one_pair() -> None:
    table = torch.tensor([[1.0, -1.0], [0.0, 2.0]])
    base = torch.tensor([[1.0, 0.0], [-1.0, -3.0]])
    output = torch.tensor([3.0, 5.0])
    # Row 0: relu(2, -1) . (3, 5) = 6, relu(1, 2) . (3, 5) = 13. Row 1: relu(0, -4), relu(-1, -1).
    expected = torch.tensor([[6.0, 13.0], [0.0, 0.0]])
    assert torch.equal(paper_heads.score_plain(table, base, output), expected)
    assert torch.equal(paper_heads.score_eager(table, base, output), expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 50, 8), (7, 33, 64)])
@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_the_blocked_scan_is_the_plain_one(
    shape: tuple[int, int, int], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = random_scan(*shape)
    expected = paper_heads.score_plain(*arguments)
    monkeypatch.setattr(paper_heads, "BLOCK", block)
    torch.testing.assert_close(paper_heads.score_eager(*arguments), expected, atol=1e-5, rtol=1e-5)


def test_one_compiled_function_serves_every_shape() -> None:
    """Traced, not compiled to machine code, which would need a compiler and half a minute."""
    fused = torch.compile(paper_heads.score_plain, dynamic=True, backend="eager")
    shapes = [(96, 2048, 64), (128, 1683, 64), (64, 1683, 64), (64, 1683, 32), (250, 30, 8)]
    fused(*random_scan(*shapes[0]))
    with torch._dynamo.config.patch(error_on_recompile=True):
        for shape in shapes[1:]:
            arguments = random_scan(*shape)
            torch.testing.assert_close(fused(*arguments), paper_heads.score_plain(*arguments))


def test_excluded_items_and_no_item_score_minus_infinity() -> None:
    scores = slate_heads.exclude(torch.zeros(2, 4), torch.tensor([[0, 3], [3, 3]]))
    infinite = torch.isinf(scores)
    assert infinite.tolist() == [[True, False, False, True], [False, False, False, True]]


def test_the_table_is_the_candidates_share_of_the_first_layer() -> None:
    features = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    weight = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    table = paper_heads.candidate_table(features, weight, torch.tensor([0.5, 0.0, -1.0]))
    assert table.tolist() == [[1.5, 2.0, 3.0], [0.5, 0.0, -1.0]]
