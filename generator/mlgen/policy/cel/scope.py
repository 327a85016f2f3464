"""What an expression sees: the request's variables, and those of its policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlgen.policy.cel.steps import Step
from mlgen.policy.cel.values import NONE, CelError, NotEvaluated


@dataclass(slots=True)
class Scope:
    """What expressions see. roots: by name; a NotEvaluated among them is raised when it is read.

    variables: by name, each evaluated when it is first read; `done` holds what was found.
    """

    roots: Mapping[str, Any]
    variables: Mapping[str, Step]
    done: dict[str, Any] = field(default_factory=dict)

    def variable(self, name: str) -> Any:
        found = self.done.get(name, NONE)
        if found is NONE:
            try:
                found = self.variables[name]([self])
            except CelError as error:
                found = CelError(f'composited variable "{name}" fails to evaluate: {error}')
            except NotEvaluated as unknown:
                found = unknown
            self.done[name] = found
        if isinstance(found, CelError | NotEvaluated):
            raise found
        return found
