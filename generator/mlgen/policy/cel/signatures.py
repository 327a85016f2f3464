"""Signatures of functions: one line of text says what the checker knows of a function and what its values are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mlgen.policy.cel.values import Duration, NotEvaluated, Optional, Partial, Timestamp, TypeValue, Uint

Type = dict[str, object]
Implementation = Callable[..., Any]

NAMES = {
    "quantity": "kubernetes.Quantity",
    "url": "kubernetes.URL",
    "format": "kubernetes.NamedFormat",
    "semver": "kubernetes.Semver",
    "ip": "net.IP",
    "cidr": "net.CIDR",
    "authorizer": "kubernetes.authorization.Authorizer",
    "path": "kubernetes.authorization.PathCheck",
    "group": "kubernetes.authorization.GroupCheck",
    "resource": "kubernetes.authorization.ResourceCheck",
    "decision": "kubernetes.authorization.Decision",
    "optional": "optional_type",
    "null": "null_type",
}
_SIGNATURE = re.compile(r"(?:<(?P<target>.+)>\.)?(?P<name>[^\s(]+)\((?P<args>.*)\) -> (?P<result>\S+)")
_TYPE = re.compile(r"\s*(?P<name>\w+)(?P<open>\()?")

_PYTHON: dict[str, type] = {
    "bool": bool,
    "int": int,
    "uint": Uint,
    "double": float,
    "string": str,
    "bytes": bytes,
    "null_type": type(None),
    "list": list,
    "map": dict,
    "timestamp": Timestamp,
    "duration": Duration,
    "type": TypeValue,
    "optional_type": Optional,
}


@dataclass(frozen=True, slots=True)
class Overload:
    """target None: not called on a value. args: without the target."""

    name: str
    target: Type | None
    args: tuple[Type, ...]
    result: Type
    implementation: Implementation

    @property
    def all(self) -> tuple[Type, ...]:
        return self.args if self.target is None else (self.target, *self.args)


def parse(signature: str, implementation: Implementation) -> Overload:
    """`<list(A)>.indexOf(A) -> int`: on a list; `quantity(string) -> quantity`: on nothing. One capital: any type."""
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise ValueError(signature)
    target = _types(match["target"])[0] if match["target"] else None
    return Overload(match["name"], target, tuple(_types(match["args"])), _types(match["result"])[0], implementation)


def _types(text: str) -> list[Type]:
    found, at = _list(text, 0)
    if at != len(text):
        raise ValueError(text)
    return found


def _list(text: str, at: int) -> tuple[list[Type], int]:
    found: list[Type] = []
    while at < len(text) and text[at] != ")":
        match = _TYPE.match(text, at)
        if match is None:
            raise ValueError(text)
        name, at = match["name"], match.end()
        kind: Type = {"type_name": NAMES.get(name, name)}
        if len(name) == 1:
            kind = {"type_name": name, "is_type_param": True}
        if match["open"]:
            params, at = _list(text, at)
            kind["params"], at = params, at + 1
        found.append(kind)
        if text[at : at + 1] == ",":
            at += 1
    return found, at


def declarations(overloads: Iterable[Overload]) -> list[dict[str, object]]:
    """The overloads as the configuration of an environment has them."""
    functions: dict[str, list[dict[str, object]]] = {}
    for number, overload in enumerate(overloads):
        entry: dict[str, object] = {"id": f"k8s_{number}", "args": list(overload.args), "return": overload.result}
        if overload.target is not None:
            entry["target"] = overload.target
        functions.setdefault(overload.name, []).append(entry)
    return [{"name": name, "overloads": found} for name, found in functions.items()]


_KEEPING = frozenset({"dyn", "optional.of"})  # what gives its value as it is


class Table:
    """The implementations, by name and by whether there is a target; which of them, by the types of the values."""

    def __init__(self, overloads: Iterable[Overload], kinds: Mapping[str, type]) -> None:
        self._kinds = {**_PYTHON, **kinds}
        self._overloads: dict[tuple[str, bool], list[Overload]] = {}
        for overload in overloads:
            self._overloads.setdefault((overload.name, overload.target is not None), []).append(overload)

    def has(self, name: str, member: bool) -> bool:
        return (name, member) in self._overloads

    def by_elements(self, name: str, member: bool) -> bool:
        """Whether an overload asks what a list holds."""
        kinds = [kind for overload in self._overloads[name, member] for kind in overload.all]
        return any(
            str(element["type_name"]) in self._kinds
            for kind in kinds
            if kind["type_name"] == "list"
            for element in cast("list[Type]", kind.get("params", []))
        )

    def find(self, name: str, member: bool, values: list[Any]) -> Implementation | None:
        """The implementation for these values; None where no overload takes them."""
        part = next((v for v in values if type(v) is Partial), None)
        if part is not None and name not in _KEEPING:
            raise NotEvaluated(f"{part.name} is known in part only")
        for overload in self._overloads.get((name, member), ()):
            wanted = overload.all
            if len(wanted) == len(values) and all(map(self._takes, wanted, values)):
                return overload.implementation
        return None

    def _takes(self, wanted: Type, value: Any) -> bool:
        """As cel-go looks at run time: of a list's elements, at the first."""
        kind = self._kinds.get(str(wanted["type_name"]))
        if kind is None:
            return True
        if type(value) is not kind:
            return False
        if kind is not list or not value or "params" not in wanted:
            return True
        element = cast("list[Type]", wanted["params"])[0]
        return self._takes(element, cast("list[Any]", value)[0])
