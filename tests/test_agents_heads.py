from __future__ import annotations

import pytest
import torch

from recgym_agents.networks.slate_heads import AdditiveHead, CascadeHead, score_eager, score_plain
from scan_speed import concatenated_greedy

FEATURES = torch.tensor([[1.0], [2.0], [3.0], [0.0]])
"""Three items with one feature each, and "no item"."""
STATE = torch.tensor([[1.0, -1.0]])
NOTHING = torch.empty(1, 0, dtype=torch.int64)


def cascade_by_hand() -> CascadeHead:
    """Q^1 = relu(s1 + f1) - relu(s2 + 2 f1 + 1), and Q^2 = relu(f1 - f2) + 2 relu(s1 + f2 - 2)."""
    head = CascadeHead(2, 2, 1, 2, torch.Generator())
    with torch.no_grad():
        head.state_weight.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]]))
        head.item_weight.zero_()
        head.item_weight[0, 0] = torch.tensor([[1.0, 2.0]])
        head.item_weight[1, 0] = torch.tensor([[1.0, 0.0]])
        head.item_weight[1, 1] = torch.tensor([[-1.0, 1.0]])
        head.bias.copy_(torch.tensor([[0.0, 1.0], [0.0, -2.0]]))
        head.output.copy_(torch.tensor([[1.0, -1.0], [1.0, 2.0]]))
    return head


def test_cascade_computes_equation_9() -> None:
    head = cascade_by_hand()
    slate = FEATURES[torch.tensor([[2, 0], [0, 2]])]
    # (3, 1): relu(1 + 3) - relu(-1 + 6 + 1) = -2; relu(3 - 1) + 2 relu(1 + 1 - 2) = 2.
    # (1, 3): relu(1 + 1) - relu(-1 + 2 + 1) = 0; relu(1 - 3) + 2 relu(1 + 3 - 2) = 4.
    assert head(STATE.expand(2, -1), slate).tolist() == [[-2.0, 2.0], [0.0, 4.0]]


def test_a_slots_value_does_not_see_later_slots() -> None:
    head = CascadeHead(2, 2, 1, 16, torch.Generator().manual_seed(0))
    one, other = (head(STATE, FEATURES[torch.tensor([[1, item]])]) for item in (0, 2))
    assert one[0, 0] == other[0, 0]
    assert one[0, 1] != other[0, 1]


def test_algorithm_1_picks_each_slot_given_those_before() -> None:
    head = cascade_by_hand()
    candidates = head.candidates(FEATURES[:3])
    # Q^1 = 0, -1, -2, so item 0 comes first. Then Q^2(0, 1) = 0 + 2 relu(1 + 2 - 2) = 2,
    # and Q^2(0, 2) = 0 + 2 * 2 = 4, so item 2 follows.
    assert head.greedy(STATE, NOTHING, candidates, score_eager).tolist() == [[0, 2]]
    # Without item 0: Q^1 picks 1; then Q^2(1, 2) = 0 + 4 is all there is.
    clicked = torch.tensor([[3, 0]])
    assert head.greedy(STATE, clicked, candidates, score_eager).tolist() == [[1, 2]]


def test_forced_items_are_shown_unless_they_repeat_a_slot_before() -> None:
    head = cascade_by_hand()
    candidates = head.candidates(FEATURES[:3])

    def greedy(*forced: int) -> list[list[int]]:
        slate = torch.tensor([list(forced)])
        return head.greedy(STATE, NOTHING, candidates, score_eager, slate).tolist()

    assert greedy(-1, -1) == [[0, 2]]
    assert greedy(-1, 1) == [[0, 1]]
    assert greedy(-1, 0) == [[0, 2]]  # 0 is there already
    # After item 2: Q^2(2, 0) = relu(3 - 1) + 0 = 2, and Q^2(2, 1) = relu(3 - 2) + 2 = 3.
    assert greedy(2, -1) == [[2, 1]]


@pytest.mark.parametrize("seed", range(3))
def test_the_table_form_finds_the_slates_of_the_concatenated_form(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    head = CascadeHead(4, 6, 3, 8, generator)
    features = torch.cat([torch.randn(40, 3, generator=generator), torch.zeros(1, 3)])
    state = torch.randn(16, 6, generator=generator)
    excluded = torch.randint(0, 41, (16, 5), generator=generator)
    with torch.no_grad():
        slate = head.greedy(state, excluded, head.candidates(features[:-1]), score_eager)
        expected = concatenated_greedy(head, state, excluded, features)
        # The slot's own score is what the network says of the slate.
        ours, theirs = (head(state, features[items]) for items in (slate, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert torch.equal(slate, expected)
    assert all(len(set(row)) == 4 for row in slate.tolist())
    assert not (slate[:, :, None] == excluded[:, None, :]).any()


def test_additive_value_is_the_sum_over_items_and_the_slate_is_the_top_k() -> None:
    head = AdditiveHead(2, 2, 1, 2, torch.Generator())
    with torch.no_grad():  # Q(s, a) = relu(s1 + f) - relu(2 f - 4 s1)
        head.state_weight.copy_(torch.tensor([[1.0, -4.0], [0.0, 0.0]]))
        head.item_weight.copy_(torch.tensor([[1.0, 2.0]]))
        head.bias.zero_()
        head.output.copy_(torch.tensor([1.0, -1.0]))
    # Items: 2 - 0 = 2, 3 - 0 = 3, 4 - 2 = 2 at s1 = 1; with s1 = 2: 3, 4, 5.
    state = torch.tensor([[1.0, 9.0], [2.0, 9.0]])
    slate = FEATURES[torch.tensor([[0, 1], [0, 2]])]
    assert head(state, slate).tolist() == [[5.0], [8.0]]
    candidates = head.candidates(FEATURES[:3])
    nothing = NOTHING.expand(2, 0)
    assert head.greedy(state, nothing, candidates, score_eager)[1].tolist() == [2, 1]
    clicked = torch.tensor([[0, 3], [2, 3]])
    slates = head.greedy(state, clicked, candidates, score_eager)
    assert slates.tolist() == [[1, 2], [1, 0]]
    forced = torch.tensor([[-1, 0], [1, 1]])  # the second is in its slate already
    assert head.greedy(state, nothing, candidates, score_eager, forced).tolist()[1] == [2, 1]


@pytest.mark.parametrize("head_type", [CascadeHead, AdditiveHead])
def test_every_row_may_have_candidates_of_its_own(
    head_type: type[CascadeHead] | type[AdditiveHead],
) -> None:
    generator = torch.Generator().manual_seed(0)
    head = head_type(2, 3, 4, 8, generator)
    state = torch.randn(5, 3, generator=generator)
    features = torch.randn(5, 6, 4, generator=generator)
    nothing = torch.empty(5, 0, dtype=torch.int64)
    with torch.no_grad():
        slates = head.greedy(state, nothing, head.candidates(features), score_plain)
        for row, slate in enumerate(slates):
            alone = head.candidates(features[row])
            one = head.greedy(state[row : row + 1], nothing[:1], alone, score_eager)
            assert slate.tolist() == one[0].tolist()
    assert len({tuple(slate) for slate in slates.tolist()}) > 1
