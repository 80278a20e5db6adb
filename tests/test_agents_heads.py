from __future__ import annotations

from typing import Any

import pytest
import torch

from recgym_agents.networks.encoders import Inputs, with_no_item
from recgym_agents.networks.paper_heads import AdditiveHead, CascadeHead
from recgym_agents.networks.slate_heads import SharedHead
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
    slate = torch.tensor([[2, 0], [0, 2]])
    # (3, 1): relu(1 + 3) - relu(-1 + 6 + 1) = -2; relu(3 - 1) + 2 relu(1 + 1 - 2) = 2.
    # (1, 3): relu(1 + 1) - relu(-1 + 2 + 1) = 0; relu(1 - 3) + 2 relu(1 + 3 - 2) = 4.
    assert head(STATE.expand(2, -1), slate, FEATURES).tolist() == [[-2.0, 2.0], [0.0, 4.0]]


def test_a_slots_value_does_not_see_later_slots() -> None:
    head = CascadeHead(2, 2, 1, 16, torch.Generator().manual_seed(0))
    one, other = (head(STATE, torch.tensor([[1, item]]), FEATURES) for item in (0, 2))
    assert one[0, 0] == other[0, 0]
    assert one[0, 1] != other[0, 1]


def test_algorithm_1_picks_each_slot_given_those_before() -> None:
    head = cascade_by_hand()
    candidates = head.candidates(FEATURES)
    # Q^1 = 0, -1, -2, so item 0 comes first. Then Q^2(0, 1) = 0 + 2 relu(1 + 2 - 2) = 2,
    # and Q^2(0, 2) = 0 + 2 * 2 = 4, so item 2 follows.
    assert head.greedy(STATE, NOTHING, candidates).tolist() == [[0, 2]]
    # Without item 0: Q^1 picks 1; then Q^2(1, 2) = 0 + 4 is all there is.
    clicked = torch.tensor([[3, 0]])
    assert head.greedy(STATE, clicked, candidates).tolist() == [[1, 2]]


def test_forced_items_are_shown_unless_they_repeat_a_slot_before() -> None:
    head = cascade_by_hand()
    candidates = head.candidates(FEATURES)

    def greedy(*forced: int) -> list[list[int]]:
        slate = torch.tensor([list(forced)])
        return head.greedy(STATE, NOTHING, candidates, slate).tolist()

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
        slate = head.greedy(state, excluded, head.candidates(features))
        expected = concatenated_greedy(head, state, excluded, features)
        # The slot's own score is what the network says of the slate.
        ours, theirs = (head(state, items, features) for items in (slate, expected))
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
    slate = torch.tensor([[0, 1], [0, 2]])
    assert head(state, slate, FEATURES).tolist() == [[5.0], [8.0]]
    candidates = head.candidates(FEATURES)
    nothing = NOTHING.expand(2, 0)
    assert head.greedy(state, nothing, candidates)[1].tolist() == [2, 1]
    clicked = torch.tensor([[0, 3], [2, 3]])
    slates = head.greedy(state, clicked, candidates)
    assert slates.tolist() == [[1, 2], [1, 0]]
    forced = torch.tensor([[-1, 0], [1, 1]])  # the second is in its slate already
    assert head.greedy(state, nothing, candidates, forced).tolist()[1] == [2, 1]


def shared_by_hand() -> SharedHead:
    """Z = (s1 + 2 sum before + e_j, -s1 - e_j), e = (0, 1); u = relu(z), v = 5 relu(z1)."""
    head = SharedHead(2, Inputs(2, 1.0), Inputs(1, 1.0), [2], 2, torch.Generator())
    with torch.no_grad():
        head.state.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        head.before.weight.copy_(torch.tensor([[2.0], [0.0]]))
        head.slot.copy_(torch.tensor([[0.0, 0.0], [1.0, -1.0]]))
        head.psi[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))  # psi(f) = (relu(f), 3 - relu(f))
        head.psi[2].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        head.psi[2].bias.copy_(torch.tensor([0.0, 3.0]))
        head.context[-1].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]]))
        head.context[-1].bias.zero_()
    return head


def test_the_shared_head_multiplies_context_and_candidate() -> None:
    head = shared_by_hand()
    # s1 = 1: u = (1, 0) and v = 5, so Q^1(3) = 3 + 5. Then z = (1 + 6 + 1, -2): u = (8, 0) and
    # v = 40, so Q^2(3, 1) = 8 + 40.
    # s1 = -1.5: u = (0, 1.5) and v = 0, so Q^1(3) = 1.5 (3 - 3). Then z = (-1.5 + 6 + 1, 0.5):
    # u = (5.5, 0.5) and v = 27.5, so Q^2(3, 2) = 5.5 * 2 + 0.5 (3 - 2) + 27.5.
    state = torch.tensor([[1.0, 9.0], [-1.5, 9.0]])
    slate = torch.tensor([[2, 0], [2, 1]])
    assert head(state, slate, FEATURES).tolist() == [[8.0, 48.0], [0.0, 39.0]]
    # Greedy: the largest f first where s1 = 1, the smallest where s1 = -1.5; the largest after it.
    candidates, nothing = head.candidates(FEATURES), NOTHING.expand(2, 0)
    assert head.greedy(state, nothing, candidates).tolist() == [[2, 1], [0, 2]]
    forced = torch.tensor([[0, -1], [-1, 1]])
    assert head.greedy(state, nothing, candidates, forced).tolist() == [[0, 2], [0, 1]]


@pytest.mark.parametrize("own", [False, True])
def test_the_shared_heads_slates_are_greedy_in_what_the_network_says(own: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    head = SharedHead(3, Inputs(4, 2.0), Inputs(5, 2.0), [16, 8], 6, generator)
    features = with_no_item(torch.randn(*[7] * own, 9, 5, generator=generator))
    state = torch.randn(7, 4, generator=generator)
    excluded = torch.randint(0, 10, (7, 2), generator=generator)
    with torch.no_grad():
        slate = head.greedy(state, excluded, head.candidates(features))
        for row in range(7):
            table, shown = features[row] if own else features, slate[row].tolist()
            for j in range(3):
                possible = sorted({*range(9)} - {*excluded[row].tolist(), *shown[:j]})
                slates = torch.tensor([[*shown[:j], a, *shown[j + 1 :]] for a in possible])
                values = head(state[row].expand(len(slates), -1), slates, table)[:, j]
                assert possible[int(values.argmax())] == shown[j]


def make_shared(
    slate_size: int, state: int, features: int, hidden: int, generator: torch.Generator
) -> SharedHead:
    sizes = Inputs(state, 1.0), Inputs(features, 1.0)
    return SharedHead(slate_size, *sizes, [hidden], 4, generator)


@pytest.mark.parametrize("head_type", [CascadeHead, AdditiveHead, make_shared])
def test_every_row_may_have_candidates_of_its_own(head_type: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    head = head_type(2, 3, 4, 8, generator)
    state = torch.randn(5, 3, generator=generator)
    features = with_no_item(torch.randn(5, 6, 4, generator=generator))
    nothing = torch.empty(5, 0, dtype=torch.int64)
    with torch.no_grad():
        slates = head.greedy(state, nothing, head.candidates(features))
        for row, slate in enumerate(slates):
            alone = head.candidates(features[row])
            one = head.greedy(state[row : row + 1], nothing[:1], alone)
            assert slate.tolist() == one[0].tolist()
    assert len({tuple(slate) for slate in slates.tolist()}) > 1
