"""The arguments that a run takes over from the one that it resumes, and what of them is another now."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.cli.ledgers.records import Records
from mlgen.diagnostic import Misuse
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.run import Given
from mlgen.plan.model import Input, InputRef, Param, Plan
from mlgen.plan.text import to_json
from mlgen.runtime import bundle, plans
from mlgen.runtime.texts import pointer
from mlgen.secrets import MASK
from mlgen.store import BUCKETS, measure
from mlgen.values import Type, parse, to_short_text, to_text


@dataclass(frozen=True, slots=True)
class Taken:
    """given: as on the command line, `name=value`, those of the earlier run among them. changed: see `known.know`.

    asked: the names of those that somebody gave, now or then. notes: of the others, what a person could overlook.
    """

    given: tuple[str, ...]
    changed: Mapping[str, str]
    asked: frozenset[str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """What a run was given, as far as that is known. read: each input as a task read it.

    params, inputs: of the plan that it ran by, as in its JSON; None where that is not kept. artifacts: where those of
    the environment lie.
    """

    run: str
    values: Mapping[str, Json]
    given: Given | None
    read: Mapping[str, Artifact]
    params: Mapping[str, Json] | None
    inputs: Mapping[str, Json] | None
    artifacts: str

    @classmethod
    def of(cls, records: Records, plan: Plan, run: Run) -> Before:
        """Raises CannotAnswer where the store cannot be asked for the plan."""
        record = run.record
        assert record is not None, "only runs that ended are resumed"
        planned: Mapping[str, Json] | None = None
        digests = {e.record.plan_digest for e in run.outcomes}
        if record.spec_digest == plan.spec_digest:
            planned = cast("Mapping[str, Json]", to_json(plan))
        elif record.given is None and len(digests) == 1:
            planned = plans.whole(digests.pop(), records.store)
        params, inputs = (None if planned is None else _mapping(planned.get(key)) for key in ("params", "inputs"))
        artifacts = records.environment.artifacts
        return cls(run.name, record.params, record.given, _read(plan, run), params, inputs, artifacts)

    def gave(self, param: Param) -> bool | None:
        """Whether somebody gave a param; None where nobody knows. What equals the default that it had is as good."""
        if self.given is not None:
            return param.name in self.given.params
        if self.params is None:
            return None
        was = _mapping(self.params.get(param.name))
        try:
            default = parse(Type(str(was["type"])), str(was["default"]))
        except (KeyError, ValueError):  # it had none
            return True
        return _differ(default, self.values[param.name])

    def gave_input(self, name: str) -> bool | None:
        """The same of an input."""
        if self.given is not None:
            return name in self.given.inputs
        if self.inputs is None or name not in self.read:
            return None
        was = _mapping(self.inputs.get(name)).get("uri")
        return was is None or not self.lies_at(str(was), self.read[name])

    def lies_at(self, uri: str, found: Artifact) -> bool:
        """Whether what a task read is what a spec names by this."""
        if "://" in uri:
            return found.uri == uri
        # A file of the repository: for runs on this machine, and for those in a cluster.
        key = bundle.input_key(found.digest, uri)
        return found.uri in (uri.rstrip("/"), f"{self.artifacts.rstrip('/')}/{key}")


def take(plan: Plan, before: Before, given: Sequence[str], *, project: Path, cwd: Path) -> Taken:
    """What a run is given that resumes another. given: on the command line, which goes before.

    project, cwd: as of `parse_arguments`. Raises Misuse "bad-argument" for what the ledger could not keep.
    """
    taking = _Taking(before, {text.partition("=")[0]: text.partition("=")[2] for text in given if "=" in text})
    for param in plan.params:
        taking.take_param(param)
    for item in plan.inputs:
        taking.take_input(item, project, cwd)
    return Taken((*given, *taking.texts), taking.changed, frozenset(taking.asked), tuple(taking.notes))


@dataclass
class _Taking:
    """again: name -> text, of what is given now. texts: what is taken over, `name=value`."""

    before: Before
    again: Mapping[str, str]
    texts: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def take_param(self, param: Param) -> None:
        name, text = param.name, self.again.get(param.name)
        if text is not None:
            self.asked.add(name)
        if name not in self.before.values:
            self.changed[f"params.{name}"] = f"param {name} is new"
            return
        old, run = self.before.values[name], self.before.run
        if text is None:
            gave = self.before.gave(param)
            if gave is not False or param.default is None:
                self.texts.append(f"{name}={_text(param, old)}")
                if gave:
                    self.asked.add(name)
                elif param.default is not None and _differ(default := _parsed(param, param.default), old):
                    taken = f"{name}={to_short_text(old)} is taken from {run}"
                    self.notes.append(f"{taken}; the spec's default is {to_short_text(default)}: -p {name}=… has it")
                return
        now = _parsed(param, param.default or "" if text is None else text)
        if _differ(now, old):
            is_now, was = to_short_text(now), to_short_text(old)
            self.changed[f"params.{name}"] = f"param {name} is {is_now}, was {was}"
            if text is None:
                self.notes.append(f"{name} is {is_now}, the spec's default; in {run} it was {was}")

    def take_input(self, item: Input, project: Path, cwd: Path) -> None:
        name, text, old = item.name, self.again.get(item.name), self.before.read.get(item.name)
        if text is None:
            text, is_asked = self._of_before(item, old, project)
            if text is not None:
                self.texts.append(f"{name}={text}")
        else:
            is_asked = True
        if is_asked:
            self.asked.add(name)
        if old is not None and _digest(item, text, cwd if name in self.again else project) != old.digest:
            self.changed[f"inputs.{name}"] = f"input {name} has other bytes"

    def _of_before(self, item: Input, old: Artifact | None, project: Path) -> tuple[str | None, bool]:
        """Where an input is taken from, None: where the spec says; and whether somebody gave it."""
        name, run, gave = item.name, self.before.run, self.before.gave_input(item.name)
        if old is None:
            if self.before.given is not None and name in self.before.given.inputs:
                return _absolute(name, self.before.given.inputs[name], project), True
            if gave is None and item.uri is not None:
                unknown = f"no task of {run} had read {name}, so that nobody knows where it was given"
                self.notes.append(f"{unknown}: it is {item.uri}, as the spec says; give another again: -p {name}=…")
            return None, False
        is_there = item.uri is not None and self.before.lies_at(item.uri, old)
        if is_there and item.path is not None:
            return None, bool(gave)  # whatever lies there now
        if gave is False and not (is_there and item.digest in (None, old.digest)):
            return None, False
        if gave is None and not is_there and item.uri is not None:
            self.notes.append(f"{name}={old.uri} is taken from {run}; the spec has {item.uri}: -p {name}=… has it")
        return _place(old, project), bool(gave)


def _absolute(name: str, text: str, project: Path) -> str:
    if MASK in text:
        raise _looks_secret("input", name)
    return text if text.startswith(BUCKETS) else os.path.join(project, text)


def _place(found: Artifact, project: Path) -> str:
    if found.uri.startswith(BUCKETS):
        return pointer(found.uri, found.digest)
    return os.path.join(project, found.uri)


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _differ(value: Json, other: Json) -> bool:
    return canonical.encode(value) != canonical.encode(other)  # as bytes: 1 is not True, nor 1.0


def _text(param: Param, value: canonical.Json) -> str:
    text = canonical.encode(value).decode() if param.type is Type.JSON else to_text(value)
    if MASK in text:
        raise _looks_secret("param", param.name)
    return text


def _looks_secret(what: str, name: str) -> Misuse:
    message = f'{what} "{name}" looked like a secret, so that the ledger does not have it'
    return Misuse("bad-argument", message, fix=f"give it again: -p {name}=…")


def _parsed(param: Param, text: str) -> canonical.Json:
    try:
        return parse(param.type, text)
    except ValueError:  # told by whoever takes the arguments
        return text


def _read(plan: Plan, run: Run) -> dict[str, Artifact]:
    """Each input as a task of that run read it."""
    names = {(t.name, i.name): i.source.name for t in plan.tasks for i in t.ins if isinstance(i.source, InputRef)}
    pairs = ((names.get((e.record.task, a.name)), a) for e in run.outcomes for a in e.record.inputs)
    return {name: artifact for name, artifact in pairs if name is not None}


def _digest(item: Input, text: str | None, below: Path) -> str | None:
    """The digest of what a run would read; None where only reading it would tell."""
    if text is None:
        return item.digest
    _, at, digest = text.rpartition("@sha256:")
    if at:
        return f"sha256:{digest}"
    if text.startswith(BUCKETS):
        return None
    try:
        return measure(below / text).digest
    except (OSError, ValueError):  # told by whoever takes the arguments
        return None
