"""What one run of a plan is given: the texts of its params, and where its inputs lie."""

from __future__ import annotations

from dataclasses import dataclass

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
