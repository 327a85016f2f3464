"""Whether a branch tells of an execution, or a run, already: at a record's path, or at another one.

The path is a function of the bytes. So other bytes of one execution may have another path: that of the next day, or of
another attempt. A ledger that has both is wrong for ever, as nothing leaves it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mlgen.git import Look
from mlgen.ledger.folding.waiting import Waiting, execution_of
from mlgen.ledger.records.entry import record_from_bytes
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.told import names_in

_END = len(".01234567.json")  # of a name, in which a task's record has its runId; "run.json" is shorter

Kept = tuple[str, bytes]  # path and bytes of a file of the branch
_Names = Mapping[str, Mapping[str, Sequence[str]]]  # of files, by folder and by their end


def on_branch(look: Look, tip: str, group: Sequence[Waiting]) -> dict[str, Kept]:
    """What a commit has of the executions of some records, by the records' keys: at their own paths, or at others.

    All is asked for at once, as each question costs a trip to the host; the folders are on the way to the paths.
    """
    folders = {folder for waiting in group for folder in waiting.folders}
    found = look.files(tip, [*(waiting.path for waiting in group), *sorted(folders)])
    kept = {waiting.key: (waiting.path, found[waiting.path]) for waiting in group if waiting.path in found}
    names = {folder: _by_end(names_in(folder, found[folder], len(tip) // 2)) for folder in folders & found.keys()}
    alike = {waiting: paths for waiting in group if waiting.key not in kept and (paths := list(_alike(waiting, names)))}
    files = look.files(tip, sorted({path for paths in alike.values() for path in paths})) if alike else {}
    for waiting, paths in alike.items():
        for path in paths:
            if path in files and _execution(files[path]) == waiting.execution:
                kept[waiting.key] = path, files[path]
    return kept


def rivals(group: Sequence[Waiting]) -> dict[str, Waiting]:
    """Of records that tell of the same execution at other paths, the first; by the keys of the others."""
    firsts: dict[str, Waiting] = {}
    found = {}
    for waiting in group:
        first = firsts.setdefault(waiting.execution or waiting.path, waiting)
        if first.path != waiting.path:
            found[waiting.key] = first
    return found


def _by_end(names: Iterable[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name in names:
        found[name[-_END:]].append(name)
    return found


def _alike(waiting: Waiting, names: _Names) -> Iterator[str]:
    """Paths of files whose names say that they may be of the same execution."""
    end = waiting.path.rpartition("/")[2][-_END:]
    for folder in waiting.folders:
        for name in names.get(folder, {}).get(end, ()):
            yield f"{folder}/{name}"


def _execution(data: bytes) -> str | None:
    try:
        return execution_of(record_from_bytes(data))
    except BadRecord:
        return None
