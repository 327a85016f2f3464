"""A fan as Tekton's tasks (decision 0031): pieces of its items, each a matrix, in waves of what may run at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mlgen import canonical
from mlgen.plan.model import Fan, OutRef, Plan, Task
from mlgen.render.staging import Data
from mlgen.runtime import documents
from mlgen.runtime.fans.counting import Names, names
from mlgen.runtime.fans.items import CHUNK, MOST_OF_A_RUN
from mlgen.runtime.pod import contract as pod

OVER, ALL_FULL = "over", "all full"
ROW = "mlgen-row"  # how many times sixteen the index is to be more, of a list of the run
MATRIX = 256  # combinations that Tekton takes (config-defaults, default-max-matrix-combinations-count)
INDEX = "mlgen-index"  # the param that says which item a TaskRun is


@dataclass(frozen=True, slots=True)
class Piece:
    """Some items of a fan, as one of Tekton's tasks. after: the pieces that must have ended, by name.

    items: by number; of a list of the run OVER: those that are left when it is cut into full pieces, and ALL_FULL.
    """

    name: str
    items: range | str
    after: tuple[str, ...]


class Pieces:
    """The pieces of all fans of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._taken = {task.name for task in plan.all_tasks} | {gate.name for gate in plan.gate_tasks}
        self._taken |= {task.lookup_name for task in plan.tasks if task.looked_up}
        self._of = {task.name: self._cut(task.name, task.fan) for task in plan.tasks if task.fan}
        self.counting = {
            task.name: self._free(f"for-{task.name}", "-")
            for task in plan.tasks
            if task.fan and task.fan.of is None and documents.counter(task, plan) is None
        }
        # Of a task on several nodes, Tekton's task of all ranks but 0 (decision 0041).
        self.others = {task.name: self._free(f"{task.name}-n", "n") for task in plan.tasks if task.nodes > 1}

    def of(self, task: str) -> list[Piece]:
        """The pieces of a task; of one that runs once itself, of a fan without items none."""
        return self._of[task] if task in self._of else [Piece(task, OVER, ())]

    def entries(self, task: str) -> list[str]:
        """All of Tekton's tasks that have pods of a task with its resources, by name."""
        other = self.others.get(task)
        return [*(piece.name for piece in self.of(task)), *([other] if other else [])]

    def owner(self, entry: str) -> str:
        """The task of the plan that one of Tekton's is of; itself where it is of none."""
        return self._owners.get(entry, entry)

    @cached_property
    def _owners(self) -> dict[str, str]:
        return {entry: task.name for task in self.plan.all_tasks for entry in self.entries(task.name)}

    def ends(self, task: str) -> list[str]:
        """What ends last of a task: who waits for these waits for all of it."""
        pieces = self.of(task)
        waited_for = {name for piece in pieces for name in piece.after}
        return [piece.name for piece in pieces if piece.name not in waited_for]

    def waves(self, task: str) -> int:
        """How many pieces of a task run one after the other."""
        done: dict[str, int] = {}
        for piece in self.of(task):
            done[piece.name] = 1 + max((done[name] for name in piece.after), default=0)
        return max(done.values(), default=0)

    def _cut(self, task: str, fan: Fan) -> list[Piece]:
        of, size = (MOST_OF_A_RUN, documents.chunk_of(fan)) if fan.of is None else (fan.of, MATRIX)
        size = min(size, fan.parallel or size)
        at_once = fan.parallel // size if fan.parallel else None
        cuts: list[range | str] = [range(start, min(start + size, of)) for start in range(0, of, size)]
        if fan.of is None:
            cuts = [ALL_FULL] if documents.is_square(fan) else cuts
            cuts += [OVER] if size > 1 else []
        names = self._names(task, len(cuts))
        square = cuts[:1] == [ALL_FULL]
        wave: tuple[str, ...] = ()
        before: tuple[str, ...] = ()
        found = []
        for name, items in zip(names, cuts, strict=True):
            if at_once and not square and (len(wave) == at_once or (items == OVER and wave)):
                before, wave = wave, ()
            found.append(Piece(name, items, before))
            wave += (name,)
        return found

    def _names(self, task: str, count: int) -> list[str]:
        mark = "-c"
        while any(f"{task}{mark}{number}" in self._taken for number in range(1, count)):
            mark += "c"
        found = [task, *(f"{task}{mark}{number}" for number in range(1, count))][:count]
        self._taken |= set(found)
        return found

    def _free(self, name: str, mark: str) -> str:
        while name in self._taken:
            name += f"{mark}x" if mark == "-" else mark
        self._taken.add(name)
        return name


@dataclass(frozen=True)
class Counted:
    """Where a fan over lists of the run is told how many items it has. producer: Tekton's task."""

    producer: str
    index: int
    most: int  # full pieces
    square: bool

    @cached_property
    def _results(self) -> Names:
        return names(self.index, square=self.square)

    def when(self, piece: Piece, at: int) -> Data:
        """What is true where a piece has items: more full pieces than there are before it; or some are over.

        Tekton compares texts, so that all numbers that it may be are written down, or all that it may not.
        """
        full, over = self._results.full, self._results.over
        if piece.items == OVER:
            return {"input": self._ref(over), "operator": "notin", "values": ["0"]}
        few, many = range(at + 1), range(at + 1, self.most + 1)
        operator, numbers = ("notin", few) if len(few) <= len(many) else ("in", many)
        return {"input": self._ref(full), "operator": operator, "values": [str(number) for number in numbers]}

    @property
    def rest(self) -> str:
        """The numbers of the items that are over."""
        return self._ref(f"{self._results.rest}[*]")

    @property
    def rows(self) -> str:
        """The numbers of the full pieces."""
        return self._ref(f"{self._results.rows}[*]")

    def _ref(self, result: str) -> str:
        return f"$(tasks.{self.producer}.results.{result})"


def counted(task: Task, plan: Plan, pieces: Pieces) -> Counted | None:
    """None where a fan's items are known beforehand."""
    if task.fan is None or task.fan.of is not None:
        return None
    most = MOST_OF_A_RUN // documents.chunk_of(task.fan)
    if task.name in pieces.counting:
        return Counted(pieces.counting[task.name], 0, most, documents.is_square(task.fan))
    producer = documents.counter(task, plan)
    assert producer is not None, "else a task of its own counts"
    index = next(count.index for count in documents.counts(producer, plan) if count.task == task.name)
    return Counted(producer, index, most, documents.is_square(task.fan))


def matrix(fan: Fan, piece: Piece, counts: Counted | None) -> Data:
    """The matrix of a piece: its items, and of each the texts of its variables where they are known."""
    if isinstance(piece.items, str):
        assert counts is not None, "else all is known"
        if piece.items == OVER:
            return {"params": [{"name": INDEX, "value": [counts.rest]}]}
        column = [str(number) for number in range(CHUNK)]
        return {"params": [{"name": ROW, "value": [counts.rows]}, {"name": INDEX, "value": column}]}
    coded = documents.coded(fan)
    return {"include": [{"params": list(_item(fan, index, coded))} for index in piece.items]}


def _item(fan: Fan, index: int, coded: tuple[str, ...]) -> Iterator[Data]:
    yield {"name": INDEX, "value": str(index)}
    if fan.rows is not None:
        for variable, text in zip(fan.variables, fan.rows[index], strict=True):
            yield {"name": variable.name, "value": _coded(text) if variable.name in coded else pod.escape(text)}


def _coded(text: str) -> str:
    """Without any `$`, for Tekton takes what follows one for a variable of its own; `invocation` reads it."""
    return canonical.encode(text).decode().replace("$", "\\u0024")


def by_file(task: Task) -> list[str]:
    """The variables of a fan that the author's script reads from files that stage-in wrote."""
    if task.fan is None:
        return []
    if task.fan.rows is not None:
        return list(documents.coded(task.fan))
    names = [v.name for v in task.fan.variables]
    return names if task.fan.search else [*names, "MLGEN_INDEX"]


def by_param(task: Task) -> list[str]:
    """The variables of a fan that are params of its Task."""
    return [v.name for v in task.fan.variables] if task.fan and task.fan.rows is not None else []


def list_refs(task: Task, plan: Plan) -> list[OutRef]:
    """The outs whose lists a fan goes through, and whose texts are results."""
    lists = task.fan.lists if task.fan and task.fan.of is None else ()
    return [one for one in dict.fromkeys(lists) if isinstance(one, OutRef) and not plan.task(one.task).late]
