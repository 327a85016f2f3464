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
    needs, and so on, until the next would be the first again."""
    done = set(order(needs))
    left = {
        node: [n for n in found if n in needs and n not in done] for node, found in needs.items() if node not in done
    }
    found, seen = [], set[str]()
    for start in left:
        if start in seen:
            continue
        path = _way_back(left, start)
        if path:
            found.append(path)
            seen |= _reach(left, start)
    return found


def _reach(needs: Mapping[str, list[str]], start: str) -> set[str]:
    reached, todo = {start}, [start]
    while todo:
        for need in needs[todo.pop()]:
            if need not in reached:
                reached.add(need)
                todo.append(need)
    return reached


def _way_back(needs: Mapping[str, list[str]], start: str) -> list[str]:
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
            if need not in parent:
                parent[need] = node
                todo.append(need)
    return []
