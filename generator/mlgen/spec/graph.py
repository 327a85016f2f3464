"""Orders and cycles of a graph given as node -> what it needs. Iterative: specs may be thousands of tasks deep."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping


def order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes so that each follows what it needs, by name among equals; nodes of cycles are left out."""
    waiting = {node: set(needs[node]) & needs.keys() for node in needs}
    readers: dict[str, list[str]] = {node: [] for node in needs}
    for node, found in waiting.items():
        for need in found:
            readers[need].append(node)
    ready = [node for node, found in waiting.items() if not found]
    heapq.heapify(ready)
    done = []
    while ready:
        node = heapq.heappop(ready)
        done.append(node)
        for reader in readers[node]:
            waiting[reader].discard(node)
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    return done


def cycles(needs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """One cycle for each knot of nodes that wait for each other: its first node by `needs`' order, then what that
    needs, and so on by the shortest way, until the next would be the first again. Knots by their first node."""
    done = set(order(needs))
    left = {
        node: [n for n in found if n in needs and n not in done] for node, found in needs.items() if node not in done
    }
    knots: dict[int, list[str]] = {}
    of = _knots(left)
    for node in left:
        knots.setdefault(of[node], []).append(node)
    found = (_way_back(left, of, members[0]) for members in knots.values())
    return [way for way in found if way]


def _knots(needs: Mapping[str, list[str]]) -> dict[str, int]:
    """Node -> the number of its knot: nodes that reach each other have one number.

    Source: R. E. Tarjan, Depth-first search and linear graph algorithms, 1972; with a stack of its own.
    """
    seen: dict[str, int] = {}
    low: dict[str, int] = {}
    knot: dict[str, int] = {}
    open_nodes: list[str] = []
    for start in needs:
        if start in seen:
            continue
        path = [(start, iter(needs[start]))]
        seen[start] = low[start] = len(seen)
        open_nodes.append(start)
        while path:
            node, rest = path[-1]
            need = next(rest, None)
            if need is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == seen[node]:
                    while (member := open_nodes.pop()) != node:
                        knot[member] = seen[node]
                    knot[node] = seen[node]
            elif need not in seen:
                seen[need] = low[need] = len(seen)
                open_nodes.append(need)
                path.append((need, iter(needs[need])))
            elif need not in knot:
                low[node] = min(low[node], seen[need])
    return knot


def _way_back(needs: Mapping[str, list[str]], knot: Mapping[str, int], start: str) -> list[str]:
    """The shortest way from a node to itself, without its end; empty when there is none."""
    parent: dict[str, str] = {}
    todo = [start]
    for node in todo:  # grows while it is walked: breadth first
        for need in needs[node]:
            if need == start:
                way = [node]
                while way[-1] != start:
                    way.append(parent[way[-1]])
                return way[::-1]
            if need not in parent and knot[need] == knot[start]:
                parent[need] = node
                todo.append(need)
    return []
