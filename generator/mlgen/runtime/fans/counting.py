"""How many items a fan has, where only the run knows: told in results for Tekton, in the bucket for readers."""

from __future__ import annotations

from dataclasses import dataclass

from mlgen import canonical
from mlgen.runtime.fans import gathering
from mlgen.runtime.fans.items import MOST_OF_A_RUN, Counted, ReadList, counted
from mlgen.runtime.fans.model import Count
from mlgen.store import Store


@dataclass(frozen=True, slots=True)
class Names:
    """The results of a `Count`. full: how many chunks are full. over: how many items are left after these; rest: their
    numbers, an array. rows: the numbers of the full chunks, an array that only a square has.
    """

    full: str
    over: str
    rest: str
    rows: str | None

    @property
    def arrays(self) -> list[str]:
        return [self.rest, *([self.rows] if self.rows else [])]

    @property
    def all(self) -> list[str]:
        return [self.full, self.over, *self.arrays]


def names(index: int, *, square: bool) -> Names:
    """The names for the `Count` of an index."""
    start = f"for-{index}"
    return Names(f"{start}-full", f"{start}-over", f"{start}-rest", f"{start}-rows" if square else None)


def tell(count: Count, read: ReadList, store: Store, pipeline: str, run_uid: str) -> dict[str, str]:
    """The results, once readers can know. Raises StagingError, StoreError, Fault."""
    found = counted(count, read)
    gathering.put_count(store, pipeline, run_uid, count.task, found.of)
    return as_results(count, found)


def as_results(count: Count, found: Counted) -> dict[str, str]:
    named = names(count.index, square=count.square)
    told = {named.full: str(found.full), named.over: str(len(found.rest)), named.rest: _array(found.rest)}
    return told | ({named.rows: _array(range(found.full))} if named.rows else {})


def longest(count: Count) -> dict[str, str]:
    """The results, each as long as it may get."""
    rest = range(MOST_OF_A_RUN - count.chunk + 1, MOST_OF_A_RUN)
    return as_results(count, Counted(MOST_OF_A_RUN, MOST_OF_A_RUN // count.chunk, rest))


def _array(numbers: range) -> str:
    return canonical.encode([str(number) for number in numbers]).decode()
