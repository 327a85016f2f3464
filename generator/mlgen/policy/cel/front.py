"""Text of an expression → checked nodes, by Google's library; its errors with their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlgen.canonical import encode
from mlgen.policy.cel.library import DECLARATIONS, REPLACED
from mlgen.policy.cel.wire import Checked, Type, read

_ERROR = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_NOT_OURS = re.compile(r"recursion (?:depth|limit)", re.IGNORECASE)
DYN: Type = {"type_name": "dyn"}


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


class Checker:
    """Compiles expressions that see certain variables."""

    def __init__(self, variables: Mapping[str, Type]) -> None:
        # Here: the library takes 35 MB, which nobody pays who has no policy.
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_bindings, ext_optional

        configuration = {
            "stdlib": {"exclude_functions": [{"name": name} for name in REPLACED]},
            "functions": DECLARATIONS,
            "variables": [{"name": name, **kind} for name, kind in variables.items()],
        }
        self._env: Any = cel.NewEnv(
            config=cel.NewEnvConfigFromYaml(encode(configuration).decode()),  # JSON is YAML
            extensions=[ext_optional.ExtOptional(), ext_bindings.ExtBindings()],
        )

    def check(self, text: str) -> Checked:
        """The nodes of an expression. Raises Uncompiled."""
        try:
            return read(self._env.compile(text).serialize())
        except RuntimeError as error:
            raise _uncompiled(text, str(error)) from None


def _uncompiled(text: str, said: str) -> Uncompiled:
    known = not _NOT_OURS.search(said)
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    flaws = []
    for match in _ERROR.finditer(said):
        line, column = int(match[1]), int(match[2])
        start = starts[line - 1] + column - 1 if 0 < line < len(starts) and column > 0 else 0
        message = match[3].removesuffix(" [INVALID_ARGUMENT]").replace(" (in container '')", "")
        flaws.append(Flaw(message, min(start, len(text))))
    if not flaws:
        flaws = [Flaw(said.split("\n", maxsplit=1)[0].strip() or "the expression cannot be read", 0)]
    return Uncompiled(tuple(flaws), known)
