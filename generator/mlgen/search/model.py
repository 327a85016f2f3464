"""What a search is: its space, who proposes, when a trial is stopped; and what it was told of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlgen.canonical import Json
from mlgen.values import Type, parse

SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "percentile", "halving", "hyperband")
Report = tuple[int, float]  # a step, and the metric that the trial had there


@dataclass(frozen=True, slots=True)
class Dimension:
    """What one variable is drawn from: `choices`, texts, or all numbers from low to high, both included."""

    name: str
    type: Type
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False


@dataclass(frozen=True, slots=True)
class Prune:
    """When a trial is stopped early.

    startup: trials that completed before any is stopped. warmup: steps of a trial before it may be.
    keep: of `percentile`, the per cent of trials that are kept; of `median` 50.
    first, last: of `halving` and `hyperband`, the step of the first look, and the last one; last None: the highest that
    a completed trial reported. reduction: of these, one in so many goes on.
    """

    name: str
    startup: int = 5
    warmup: int = 0
    keep: float = 50.0
    first: int = 1
    last: int | None = None
    reduction: int = 3


@dataclass(frozen=True, slots=True)
class Search:
    """trials: how many there are. parallel: trials of a wave. startup: trials drawn at random before `tpe` learns.

    metric: an out, whose number is sought, the highest or the lowest.
    """

    space: tuple[Dimension, ...]
    trials: int
    metric: str
    highest: bool
    parallel: int = 1
    seed: int = 0
    sampler: str = "tpe"
    startup: int = 10
    prune: Prune | None = None

    def wave(self, index: int) -> int:
        """The first trial of the wave that a trial is in: all before it have ended, and it knows of all of them."""
        return index - index % self.parallel

    def to_json(self) -> dict[str, Json]:
        """Of what differs from the defaults."""
        data: dict[str, Json] = {
            "space": [_dimension(d) for d in self.space],
            "trials": self.trials,
            "metric": self.metric,
            "highest": self.highest,
            "parallel": self.parallel,
            "seed": self.seed,
            "sampler": self.sampler,
            "startup": self.startup,
        }
        if self.prune is not None:
            p = self.prune
            data["prune"] = {
                "name": p.name,
                "startup": p.startup,
                "warmup": p.warmup,
                "keep": p.keep,
                "first": p.first,
                "last": p.last,
                "reduction": p.reduction,
            }
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Search:
        """The inverse."""
        return Search(
            space=tuple(_read_dimension(d) for d in data["space"]),
            trials=data["trials"],
            metric=data["metric"],
            highest=data["highest"],
            parallel=data["parallel"],
            seed=data["seed"],
            sampler=data["sampler"],
            startup=data["startup"],
            prune=Prune(**data["prune"]) if data.get("prune") else None,
        )


def _dimension(dimension: Dimension) -> dict[str, Json]:
    data: dict[str, Json] = {"name": dimension.name, "type": str(dimension.type)}
    if dimension.choices:
        return data | {"choices": list(dimension.choices)}
    return data | {"low": dimension.low, "high": dimension.high, "log": dimension.log}


def _read_dimension(data: Mapping[str, Any]) -> Dimension:
    return Dimension(
        data["name"],
        Type(data["type"]),
        tuple(data.get("choices", ())),
        float(data.get("low", 0)),
        float(data.get("high", 0)),
        data.get("log", False),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a trial. texts: of its values. score: of the metric; None: it failed, or was pruned.

    reports: by step, each once, as `reports.read` gives them.
    """

    index: int
    texts: Mapping[str, str]
    score: float | None = None
    pruned: bool = False
    reports: tuple[Report, ...] = field(default=())


def values(search: Search, texts: Mapping[str, str]) -> dict[str, Json]:
    """A trial's values, parsed, for its record."""
    return {d.name: parse(d.type, texts[d.name]) for d in search.space}
