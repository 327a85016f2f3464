"""Policies, bindings and their params as frozen data; expressions compiled, each with its place in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlgen.diagnostic import Span
from mlgen.policy.cel.needs import Reading
from mlgen.policy.cel.steps import Step


@dataclass(frozen=True, slots=True)
class Expression:
    """text: as written. place: of the whole scalar. run: takes a frame, gives a value.

    fields: the paths that it reads of the object, such as ("spec", "steps"): what may have caused its verdict.
    variables: those that it reads, if it has no loop of its own: when they are known, it costs next to nothing.
    """

    text: str
    place: Span
    run: Step
    fields: frozenset[tuple[str, ...]] = frozenset()
    variables: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class MatchCondition:
    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Validation:
    """reason: Invalid, where the author gives none."""

    index: int
    expression: Expression
    message: str
    message_expression: Expression | None
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """spec: as in the file, for what is matched. param_kind: (apiVersion, kind). annotations: of its metadata.

    reading: what its expressions can rest on, or on less; None where that is not known.
    """

    name: str
    place: Span
    spec: Mapping[str, Any]
    annotations: Mapping[str, str]
    fail: bool
    param_kind: tuple[str, str] | None
    match_conditions: tuple[MatchCondition, ...]
    variables: tuple[Variable, ...]
    validations: tuple[Validation, ...]
    audits: tuple[Expression, ...] = ()
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """match: matchResources, if any. actions: Deny, Warn, Audit."""

    name: str
    place: Span
    policy: str
    actions: tuple[str, ...]
    param_ref: Mapping[str, Any] | None
    match: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Policies:
    """All that policy files hold, in the order of files and documents.

    objects: the rest, by (apiVersion, kind, namespace or "", name): params, mostly.
    places: of the names of all, by the same, and of each value of their `data`, by that and its key.
    """

    policies: tuple[Policy, ...] = ()
    bindings: tuple[Binding, ...] = ()
    objects: Mapping[tuple[str, str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    places: Mapping[tuple[str, ...], Span] = field(default_factory=dict)
