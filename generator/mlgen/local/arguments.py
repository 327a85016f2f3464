"""What one run of a plan is given: the texts of its params, and where its inputs lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlgen.canonical import Json
from mlgen.plan.model import Plan
from mlgen.values import parse


@dataclass(frozen=True, slots=True)
class Location:
    """Where an input's bytes lie. uri: of a bucket, or a path: absolute, or relative to the project's folder."""

    uri: str
    digest: str | None

    def __str__(self) -> str:
        return f"{self.uri}@{self.digest}" if self.digest else self.uri


@dataclass(frozen=True, slots=True)
class Arguments:
    """What one run is given. params: name -> text; inputs: name -> where they lie."""

    params: dict[str, str]
    inputs: dict[str, Location]

    def values(self, plan: Plan) -> dict[str, Json]:
        """The params, parsed, as records hold them."""
        return {p.name: parse(p.type, self.params[p.name]) for p in plan.params}


def recorded_path(path: Path, project: Path) -> str:
    """A path as records have it: from the project's folder where it lies below, so that two machines say the same."""
    # Not Path.resolve(): before Python 3.13 it raises RuntimeError for links in a circle.
    real, root = Path(os.path.realpath(path)), project.resolve()
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else str(real)
