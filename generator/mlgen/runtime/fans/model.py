"""What pods are told of tasks that run many times (decision 0031): parts of the TaskDocument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlgen.values import Type

if TYPE_CHECKING:  # of searches alone
    from mlgen.search.model import Search


@dataclass(frozen=True, slots=True)
class Late:
    """An out, or a fan's variable, of a late task. fan: whether of one; else of a single execution.

    pick: the metric, by which `highest` or lowest one item is chosen; None: all of them, as a list or folder.
    of: how many items there are; None: the run knows, and told so beside the outcomes.
    """

    task: str
    out: str
    fan: bool
    pick: str | None = None
    highest: bool = True
    of: int | None = 1

    def to_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "out": self.out,
            "fan": self.fan,
            **({"pick": self.pick, "highest": self.highest} if self.pick is not None else {}),
            "of": self.of,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Late:
        pick, highest = data.get("pick"), data.get("highest", True)
        return Late(data["task"], data["out"], data["fan"], pick, highest, data["of"])


@dataclass(frozen=True, slots=True)
class ListDocument:
    """What one variable of a fan goes through, where only the run knows: texts, or the json out "task.out".

    type: of a late out, as its task leaves it: of all items of a fan it is the list itself that is gone through.
    """

    source: str | tuple[str, ...]
    late: Late | None = None
    type: Type = Type.JSON

    def to_json(self) -> dict[str, Any]:
        if isinstance(self.source, tuple):
            return {"texts": list(self.source)}
        late = {"late": self.late.to_json(), "type": str(self.type)} if self.late else {}
        return {"from": self.source, **late}

    @staticmethod
    def from_json(data: dict[str, Any]) -> ListDocument:
        late = Late.from_json(data["late"]) if data.get("late") else None
        source = tuple(data["texts"]) if "texts" in data else data["from"]
        return ListDocument(source, late, Type(data.get("type", Type.JSON)))


@dataclass(frozen=True, slots=True)
class Count:
    """How many items a fan of the run has: results `for-<index>-…` (`runtime.fans.counting`).

    chunk: items of a full chunk. square: whether one of Tekton's tasks runs all full chunks. task: the fan's.
    lists: of its variables.
    """

    index: int
    task: str
    chunk: int
    square: bool
    lists: tuple[ListDocument, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "task": self.task,
            "chunk": self.chunk,
            "square": self.square,
            "lists": [one.to_json() for one in self.lists],
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Count:
        lists = tuple(map(ListDocument.from_json, data["lists"]))
        return Count(data["index"], data["task"], data["chunk"], data["square"], lists)


@dataclass(frozen=True, slots=True)
class FanDocument:
    """What staging knows of a fan: its variables, how many failed items it bears.

    pick: by what the best is chosen, "max auc". of: how many items it has; None: as many as there are combinations of
    `lists`, which hold one entry a variable.
    retries: of an item, since only its last attempt is counted as failed.
    coded: variables whose text a pod is told as JSON without any `$`. search: who proposes the values of each item.
    """

    variables: tuple[tuple[str, Type], ...]
    failures: int = 0
    pick: str | None = None
    of: int | None = None
    retries: int = 0
    lists: tuple[ListDocument, ...] = ()
    coded: tuple[str, ...] = ()
    search: Search | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "variables": [{"name": name, "type": str(type_)} for name, type_ in self.variables],
            "failures": self.failures,
            "pick": self.pick,
            "of": self.of,
            "retries": self.retries,
            **({"lists": [one.to_json() for one in self.lists]} if self.lists else {}),
            **({"coded": list(self.coded)} if self.coded else {}),
            **({"search": self.search.to_json()} if self.search else {}),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> FanDocument:
        return FanDocument(
            tuple((one["name"], Type(one["type"])) for one in data["variables"]),
            data["failures"],
            data["pick"],
            data["of"],
            data["retries"],
            tuple(map(ListDocument.from_json, data.get("lists", []))),
            tuple(data.get("coded", [])),
            _search(data["search"]) if data.get("search") else None,
        )


def _search(data: dict[str, Any]) -> Search:
    from mlgen.search.model import Search  # here: other fans load nothing of searches

    return Search.from_json(data)
