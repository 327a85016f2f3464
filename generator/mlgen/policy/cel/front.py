"""Text of an expression → checked nodes, by Google's library; its errors with their places."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from mlgen.canonical import encode
from mlgen.policy.cel import pairs
from mlgen.policy.cel.library import DECLARATIONS, REPLACED
from mlgen.policy.cel.retold import Untold, tellings
from mlgen.policy.cel.wire import Checked, Node, Type, read

_ERROR = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_NOT_OURS = re.compile(r"recursion (?:depth|limit)", re.IGNORECASE)
DYN: Type = {"type_name": "dyn"}
_SIMPLE = frozenset({"dyn", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"})
TYPE_NAMES = frozenset({"bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"})


@dataclass(frozen=True, slots=True)
class Flaw:
    """An error of an expression. start: the offset of the character in its text."""

    message: str
    start: int


class Uncompiled(Exception):
    """The expression is none. known: the cluster would refuse it too; else our library's limits are met."""

    def __init__(self, flaws: tuple[Flaw, ...], known: bool) -> None:
        self.flaws, self.known = flaws, known
        super().__init__(flaws[0].message)


@dataclass(frozen=True, slots=True)
class Compiled:
    """root: what is evaluated. checked: the same, with the types of its nodes; None where it was told otherwise.

    retold: all tellings that type-check; places in them are none in what was written.
    """

    root: Node
    checked: Checked | None
    retold: tuple[Checked, ...] = ()


# The checker puts what is declared by a path in place of that path, also where `has` asks for it, and then takes the
# type of what is asked for. Its places must stay: blanks follow.
_ASKED = re.compile(r"\bhas\s*\(\s*((?:variables|request|namespaceObject)(?:\s*\.\s*\w+)+)\s*\)")


class Checker:
    """Compiles expressions that see certain variables.

    variables: by name, or by path (`request.kind.group`). Types are found with those paths; what is evaluated is read
    from an environment without them, where `has(request.name)` stays what it is.
    """

    def __init__(self, variables: Mapping[str, Type]) -> None:
        objects = {path[:end] for path in variables for end, c in enumerate(path) if c == "."}
        self._objects, self._paths = objects, objects | variables.keys()
        self._names = frozenset(name.partition(".")[0] for name in variables) | TYPE_NAMES
        self._typed = _environment(variables)
        self._plain = _plain()

    def check(self, text: str) -> Compiled:
        """The nodes of an expression. Raises Uncompiled."""
        flaws = []
        for match in _ASKED.finditer(text):
            path = re.sub(r"\s", "", match[1])
            if path not in self._paths and path.rpartition(".")[0] in self._objects:
                flaws.append(Flaw(f"undefined field '{path.rpartition('.')[2]}'", match.start(1)))
        if flaws:
            raise Uncompiled(tuple(flaws), True)
        try:
            checked = read(self._typed.compile(_ASKED.sub(_as_bool, text)).serialize())
            return Compiled(read(self._plain.compile(text, disable_check=True).serialize()).root, checked)
        except RuntimeError as error:
            root = self._of_pairs(text)
            if root is not None:
                return Compiled(root, None, self._retold(root))
            raise _uncompiled(text, str(error)) from None

    def _retold(self, root: Node) -> tuple[Checked, ...]:
        """Type-check an expression with macros of two variables. Raises Uncompiled where it is mistyped."""
        refused: list[Uncompiled] = []
        found: list[Checked] = []
        try:
            for told in tellings(root):
                try:
                    found.append(read(self._typed.compile(_ASKED.sub(_as_bool, told)).serialize()))
                except RuntimeError as error:
                    refused.append(_uncompiled(told, str(error)))
        except Untold:
            raise Uncompiled((Flaw("its macros of two variables cannot be checked here", 0),), False) from None
        if found:
            return tuple(found)
        # Places in what was told are none in what was written.
        known = all(one.known for one in refused)
        raise Uncompiled(tuple(Flaw(flaw.message, 0) for flaw in refused[0].flaws[:1]), known)

    def _of_pairs(self, text: str) -> Node | None:
        """An expression with macros of two variables, which the library cannot check."""
        try:
            root = read(self._plain.compile(text, disable_check=True).serialize()).root
        except RuntimeError:
            return None
        known = self._names | {"google", "ip", "format", "optional", "sets", "strings"}
        return root if pairs.found(root) and not any(pairs.free(root, known)) else None


@lru_cache(maxsize=64)
def checker(variables: bytes) -> Checker:
    """The checker of these variables, as canonical JSON: most policies share theirs."""
    return Checker(json.loads(variables))


def _as_bool(match: re.Match[str]) -> str:
    blank = re.sub(r"[^\n]", " ", match[0])
    return "true" + blank[4:] if "\n" not in match[0][:4] else match[0]


@cache
def _plain() -> Any:
    return _environment({})


def _environment(variables: Mapping[str, Type]) -> Any:
    # Here: the library takes 35 MB, which nobody pays who has no policy.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional

    known = {name: found for name, kind in variables.items() if (found := _given(cel, kind)) is not None}
    others = tuple(sorted(variables.keys() - known.keys()))
    configuration = _configuration(encode({name: variables[name] for name in others}))
    return cel.NewEnv(config=configuration, variables=known, extensions=[ext_optional.ExtOptional()])


@lru_cache(maxsize=64)
def _configuration(variables: bytes) -> Any:
    """All functions, and what variables the library cannot be given otherwise; to read it takes 8 ms."""
    from cel_expr_python import cel  # as above

    configuration = {
        "stdlib": {"exclude_functions": [{"name": name} for name in REPLACED]},
        "functions": DECLARATIONS,
        "variables": [{"name": name, **kind} for name, kind in json.loads(variables).items()],
    }
    return cel.NewEnvConfigFromYaml(encode(configuration).decode())  # JSON is YAML


def _given(cel: Any, kind: Type) -> Any:
    """A type as the library has it; None for one that only its configuration can say."""
    name, params = str(kind["type_name"]), kind.get("params")
    if isinstance(params, list):
        inner = [_given(cel, part) for part in params]
        if any(part is None for part in inner) or name not in ("list", "map"):
            return None
        return cel.Type.List(*inner) if name == "list" else cel.Type.Map(*inner)
    return getattr(cel.Type, name.upper()) if name in _SIMPLE else None


def _uncompiled(text: str, said: str) -> Uncompiled:
    known = not _NOT_OURS.search(said)
    starts = [0]
    for written in text.split("\n"):
        starts.append(starts[-1] + len(written) + 1)
    flaws = []
    for match in _ERROR.finditer(said):
        line, column = int(match[1]), int(match[2])
        start = starts[line - 1] + column - 1 if 0 < line < len(starts) and column > 0 else 0
        message = match[3].removesuffix(" [INVALID_ARGUMENT]").replace(" (in container '')", "")
        flaws.append(Flaw(message, min(start, len(text))))
    if not flaws:
        flaws = [Flaw(said.split("\n", maxsplit=1)[0].strip() or "the expression cannot be read", 0)]
    return Uncompiled(tuple(flaws), known)
