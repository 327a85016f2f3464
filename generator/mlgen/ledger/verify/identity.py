"""Which records tell of the same execution, or run, among a million: eight bytes are kept of each, not its id.

A key is the first 62 bits of the id, and two that say which kind of record it is. Equal keys are only a suspicion:
the records themselves are compared then.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import pairwise

from mlgen.git import Repository
from mlgen.ledger.records.entry import Entry, run_id
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.ledger.stream import stream

Keys = array  # of unsigned 64-bit numbers
_TASK, _RUN, _RECONCILED = range(3)
MOST_LOOKED_INTO = 1000  # keys


def new_keys(values: Iterable[int] = ()) -> array[int]:
    """Keys, in eight bytes each."""
    return array("Q", values)


def key_of(entry: Entry) -> int:
    """The key of a record. A run may have a record of its own and one from outside: run.reconciled.json."""
    head = int(run_id(entry).replace("-", "")[:16], 16)
    return head & ~3 | _kind(entry)


def _kind(entry: Entry) -> int:
    if isinstance(entry, TaskRecord):
        return _TASK
    return _RECONCILED if entry.reconciled else _RUN


def merged(known: array[int], new: array[int]) -> tuple[array[int], set[int]]:
    """(all keys, sorted; those that are there more than once). known: sorted, without such."""
    ordered = new_keys(sorted(new))
    twice = {one for one, other in pairwise(ordered) if one == other}
    for one in ordered if known else ():
        at = bisect_left(known, one)
        if at < len(known) and known[at] == one:
            twice.add(one)
    return (new_keys(sorted([*known, *ordered])) if known else ordered), twice


def paths_of(repository: Repository, commit: str, keys: Collection[int]) -> list[tuple[str, list[str]]]:
    """(id, paths) of the executions and runs of some keys that have several records at a commit.

    Of more than MOST_LOOKED_INTO keys, the first.
    """
    wanted = set(sorted(keys)[:MOST_LOOKED_INTO])
    heads = {f".{key >> 32:08x}" for key in wanted}  # as names have them: of a file, or of a run's folder

    def may_be(path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return f".{name[-13:-5]}" in heads or folder[-9:] in heads

    found: dict[tuple[int, str], list[str]] = defaultdict(list)
    for stored in stream(repository, commit, wanted=may_be):
        try:
            entry = stored.entry()
        except BadRecord:
            continue
        if key_of(entry) in wanted:
            found[_kind(entry), run_id(entry)].append(stored.path)
    return [(one, paths) for (_, one), paths in found.items() if len(paths) > 1]
