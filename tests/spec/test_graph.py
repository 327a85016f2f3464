"""Orders and cycles against brute force."""

from __future__ import annotations

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from mlgen.spec.graph import cycles, order

NODES = "abcdef"
GRAPHS = st.dictionaries(
    st.sampled_from(NODES), st.lists(st.sampled_from(NODES + "z"), max_size=3), max_size=len(NODES)
)  # z is no node: what is needed may not be there


def reach(needs: dict[str, list[str]], start: str) -> set[str]:
    """What a node waits for, itself only when it waits for itself."""
    found: set[str] = set()
    while True:
        more = {n for node in found | {start} for n in needs[node] if n in needs}
        if more <= found:
            return found
        found |= more


@given(GRAPHS)
def test_nodes_follow_what_they_need_by_name_among_equals(needs: dict[str, list[str]]) -> None:
    found = order(needs)
    waits = {node: reach(needs, node) for node in needs}
    assert set(found) == {node for node in needs if not any(n in waits[n] for n in waits[node] | {node})}
    left = set(found)
    for node in found:
        ready = {n for n in left if not waits[n] & left}
        assert node == min(ready)
        left.discard(node)


@given(GRAPHS, st.randoms(use_true_random=False))
def test_the_order_does_not_hang_on_the_file(needs: dict[str, list[str]], random: object) -> None:
    items = [(node, sorted(found, reverse=True)) for node, found in needs.items()]
    random.shuffle(items)  # type: ignore[attr-defined]
    assert order(dict(items)) == order(needs)


@given(GRAPHS)
def test_each_knot_is_told_once_by_its_shortest_cycle(needs: dict[str, list[str]]) -> None:
    waits = {node: reach(needs, node) for node in needs}
    knots = {frozenset(n for n in waits[node] if node in waits[n]) for node in needs if node in waits[node]}
    found = cycles(needs)
    firsts = [cycle[0] for cycle in found]
    assert firsts == [node for node in needs if any(node == next(n for n in needs if n in knot) for knot in knots)]
    for cycle in found:
        assert all(b in needs[a] for a, b in itertools.pairwise([*cycle, cycle[0]]))
        assert len(set(cycle)) == len(cycle) == shortest(needs, cycle[0])


def shortest(needs: dict[str, list[str]], start: str) -> int:
    """The length of the shortest way from a node to itself."""
    reached, steps = {start}, 0
    while True:
        reached, steps = {n for node in reached for n in needs[node] if n in needs}, steps + 1
        if start in reached:
            return steps


def test_large_knots_and_long_tails_are_no_trouble() -> None:
    size = 20_000
    ring = {str(i): [str((i + 1) % size)] for i in range(size)}
    tail = {"0": ["0"]} | {str(i): [str(i - 1)] for i in range(1, size)}
    pairs = {f"{i}{side}": [f"{i}{other}", f"{i + 1}a"] for i in range(size // 2) for side, other in ("ab", "ba")}
    begin = time.process_time()
    assert [len(cycle) for cycle in cycles(ring)] == [size]
    assert cycles(tail) == [["0"]]
    assert len(cycles(pairs)) == size // 2
    assert len(order(tail | {"0": []})) == size
    assert time.process_time() - begin < 10, "these are seconds where a way in squares takes minutes"
