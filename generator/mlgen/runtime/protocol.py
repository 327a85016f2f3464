"""The protocol between an engine and what runs beside a task: one JSON document, one tree of folders.

A pod gets the document in the environment variable MLGEN_TASK, the local engine hands over the object. It holds
only what the spec and the environment say, so that a Task changes with nothing else; what a run decides (the text
of an in, ids, digests of spec and plan) comes beside it, in `Execution`; how a pod gets each: `runtime.pod.contract`.

    <root>/in/<name>     an artifact to read              <root>/out/<name>   what the author writes
    <root>/checkpoint    the folder that survives attempts, where a task has one
    <root>/work          working directory                <root>/home <root>/tmp
    <root>/alive         a FIFO that a script holds open while it runs (pods)
    <state>/             stage-in, stage-out and results only: the author's code cannot write here
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgen.ledger.records.task import Item
from mlgen.runtime.attempts.retrying import Policy
from mlgen.runtime.pod.contract import Platform
from mlgen.values import Type

if TYPE_CHECKING:  # a plain task has none of these: see `_late`
    from mlgen.runtime.fans.model import Count, FanDocument, Late
    from mlgen.runtime.nodes.model import NodesDocument

VERSION = 1


@dataclass(frozen=True, slots=True)
class In:
    """kind: "value", or for artifacts "out" (of another task) or "input" (existed before the run).

    late: what stage-in finds among the outcomes of a task, "value" or "out" all the same (decision 0031).
    """

    name: str
    kind: str
    type: Type
    optional: bool = False
    late: Late | None = None


@dataclass(frozen=True, slots=True)
class Out:
    name: str
    type: Type
    optional: bool = False
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A condition that stage-out decides: result `if-<index>`. types: of each reference, "params.x" or "task.out"."""

    index: int
    gate: str
    types: tuple[tuple[str, Type], ...]


@dataclass(frozen=True, slots=True)
class CacheDocument:
    """What staging knows of a task's cache (decision 0033). parts: of its key, as far as no run decides them.

    param: that is part of the key as well. max_age_seconds: None for any.
    """

    parts: tuple[tuple[str, str], ...]
    param: str | None = None
    max_age_seconds: int | None = None

    def to_json(self) -> dict[str, Any]:
        found = {"parts": dict(self.parts), "param": self.param, "maxAgeSeconds": self.max_age_seconds}
        return {key: value for key, value in found.items() if value is not None}

    @staticmethod
    def from_json(data: dict[str, Any]) -> CacheDocument:
        parts = tuple(sorted((str(name), str(text)) for name, text in data["parts"].items()))
        return CacheDocument(parts, data.get("param"), data.get("maxAgeSeconds"))


@dataclass(frozen=True, slots=True)
class CheckpointDocument:
    """A folder that survives attempts, at the variable `name`.

    parts: in a pod, what the program computes from, as far as no run decides it, named as in `CacheDocument`: a run
    that takes up another goes on from its save only where all of that is the same.
    """

    name: str
    every_seconds: int
    parts: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "everySeconds": self.every_seconds}
        return found | ({"parts": dict(self.parts)} if self.parts else {})

    @staticmethod
    def from_json(data: dict[str, Any]) -> CheckpointDocument:
        parts = tuple(sorted((str(name), str(text)) for name, text in data.get("parts", {}).items()))
        return CheckpointDocument(data["name"], data["everySeconds"], parts)


@dataclass(frozen=True, slots=True)
class Statuses:
    """What a pod must know to say what became of each task of a run, where Tekton has others (decision 0031).

    counts: of fans of which only the run knew how many items they had, as they are cut. lookups: tasks that a pod of
    their own may have found in the cache.
    """

    counts: tuple[Count, ...] = ()
    lookups: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"counts": [count.to_json() for count in self.counts], "lookups": list(self.lookups)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Statuses:
        return Statuses(_counts(data["counts"]) if data["counts"] else (), tuple(data["lookups"]))


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """What a task is, as far as staging and records need it. Canonical JSON in MLGEN_TASK."""

    pipeline: str
    env: str
    task: str
    ins: tuple[In, ...]
    outs: tuple[Out, ...]
    evaluates: tuple[Evaluation, ...]
    artifacts: str  # URI or folder below which this environment's artifacts lie
    code_digest: str | None
    image: str | None
    image_digest: str | None
    timeout_seconds: int
    platform: Platform | None = None  # None: this machine
    fan: FanDocument | None = None
    cache: CacheDocument | None = None
    lookups: tuple[str, ...] = ()  # of record: tasks that a pod of their own may have found in the cache
    late: bool = False  # readers look for its outs in the bucket, though it is no fan
    retry: Policy | None = None
    checkpoint: CheckpointDocument | None = None
    counts: tuple[Count, ...] = ()
    statuses: Statuses | None = None  # of a finally task whose script is told what became of the others
    nodes: NodesDocument | None = None  # of a task on several

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "pipeline": self.pipeline,
            "env": self.env,
            "task": self.task,
            "in": [
                _named(
                    i.name,
                    type=str(i.type),
                    kind=i.kind,
                    optional=i.optional or None,
                    late=i.late.to_json() if i.late else None,
                )
                for i in self.ins
            ],
            "out": [
                _named(o.name, type=str(o.type), optional=o.optional or None, maxBytes=o.max_bytes) for o in self.outs
            ],
            "evaluates": [
                {"index": e.index, "gate": e.gate, "types": {ref: str(t) for ref, t in e.types}} for e in self.evaluates
            ],
            "artifacts": self.artifacts,
            "codeDigest": self.code_digest,
            "image": self.image,
            "imageDigest": self.image_digest,
            "timeoutSeconds": self.timeout_seconds,
            **({"platform": self.platform.to_json()} if self.platform else {}),
            **({"cache": self.cache.to_json()} if self.cache else {}),
            **({"late": True} if self.late else {}),
            **({"lookups": list(self.lookups)} if self.lookups else {}),
            **({"retry": self.retry.to_json()} if self.retry else {}),
            **({"checkpoint": self.checkpoint.to_json()} if self.checkpoint else {}),
            **({"fan": self.fan.to_json()} if self.fan else {}),
            **({"counts": [count.to_json() for count in self.counts]} if self.counts else {}),
            **({"statuses": self.statuses.to_json()} if self.statuses else {}),
            **({"nodes": self.nodes.to_json()} if self.nodes else {}),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> TaskDocument:
        """Raises ValueError when a newer mlgen wrote it; unknown keys are ignored."""
        if data["version"] != VERSION:
            raise ValueError(
                f"task document of version {data['version']}: this mlgen-runtime reads {VERSION}: upgrade it"
            )
        return TaskDocument(
            pipeline=data["pipeline"],
            env=data["env"],
            task=data["task"],
            ins=tuple(
                In(
                    i["name"],
                    i["kind"],
                    Type(i["type"]),
                    i.get("optional", False),
                    _late(i["late"]) if i.get("late") else None,
                )
                for i in data["in"]
            ),
            outs=tuple(
                Out(o["name"], Type(o["type"]), o.get("optional", False), o.get("maxBytes")) for o in data["out"]
            ),
            evaluates=tuple(
                Evaluation(e["index"], e["gate"], tuple((ref, Type(t)) for ref, t in sorted(e["types"].items())))
                for e in data["evaluates"]
            ),
            artifacts=data["artifacts"],
            code_digest=data["codeDigest"],
            image=data["image"],
            image_digest=data["imageDigest"],
            timeout_seconds=data["timeoutSeconds"],
            platform=Platform.from_json(data["platform"]) if data.get("platform") else None,
            cache=CacheDocument.from_json(data["cache"]) if data.get("cache") else None,
            late=data.get("late") is True,
            lookups=tuple(data.get("lookups", ())),
            retry=Policy.from_json(data["retry"]) if data.get("retry") else None,
            checkpoint=CheckpointDocument.from_json(data["checkpoint"]) if data.get("checkpoint") else None,
            fan=_fan(data["fan"]) if data.get("fan") else None,
            counts=_counts(data["counts"]) if data.get("counts") else (),
            statuses=Statuses.from_json(data["statuses"]) if data.get("statuses") else None,
            nodes=_nodes(data["nodes"]) if data.get("nodes") else None,
        )

    @staticmethod
    def loads(text: str) -> TaskDocument:
        return TaskDocument.from_json(json.loads(text))


# What tasks that run many times are told is loaded where a document has it: each start of a pod pays for all it loads.


def _late(data: dict[str, Any]) -> Late:
    from mlgen.runtime.fans.model import Late  # here: see above

    return Late.from_json(data)


def _fan(data: dict[str, Any]) -> FanDocument:
    from mlgen.runtime.fans.model import FanDocument  # here: see above

    return FanDocument.from_json(data)


def _counts(data: list[dict[str, Any]]) -> tuple[Count, ...]:
    from mlgen.runtime.fans.model import Count  # here: see above

    return tuple(map(Count.from_json, data))


def _nodes(data: dict[str, Any]) -> NodesDocument:
    from mlgen.runtime.nodes.model import NodesDocument  # here: see above

    return NodesDocument.from_json(data)


def with_parts(document: TaskDocument, parts: Mapping[str, str]) -> TaskDocument:
    """The document with more parts of its cache's key: of what runs the program here."""
    if document.cache is None:
        return document
    found = tuple(sorted({**dict(document.cache.parts), **parts}.items()))
    return replace(document, cache=replace(document.cache, parts=found))


def _named(name: str, **items: object) -> dict[str, object]:
    return {"name": name, **{key: value for key, value in items.items() if value is not None}}


GATE_TIMEOUT_SECONDS = 60
RECORD_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Execution:
    """What one run decides about one attempt of a task. ins: the text of each in, by name.

    A value's text is the value. An out of another task is `<path below artifacts>@sha256:<hex>`, an input a URI
    or path with or without `@sha256:<hex>`. Where the source is optional: empty when unwritten, else "+" and the rest.
    gate_values: texts of what `evaluates` reads besides the task's own outs ("params.x", "task.out"); what was not
    written is absent.
    """

    run: str  # the run's name
    run_uid: str
    run_id: str  # UUID of this execution: the record's idempotency key
    attempt: int
    ins: dict[str, str]
    gate_values: dict[str, str]
    params: dict[str, Any]  # of the run, parsed, for the record
    spec_digest: str
    plan_digest: str
    commit: str | None
    engine: str  # "local" or "tekton"
    tekton: dict[str, str] | None = None
    source: str = ""  # the spec's path below the repository
    repository: str | None = None  # its web URL, for the source location of records
    item: Item | None = None  # which of a fan's


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders of one execution."""

    root: Path
    state: Path

    def input(self, name: str) -> Path:
        return self.root / "in" / name

    def output(self, name: str) -> Path:
        return self.root / "out" / name

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"
