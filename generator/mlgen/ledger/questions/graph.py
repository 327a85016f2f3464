"""The graph of a lineage: artifacts and the tasks that made or read them, with the runs that the tasks were part of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlgen.ledger.questions.jobs import JobRun
from mlgen.ledger.questions.query import summary
from mlgen.ledger.questions.read import ArtifactId, Execution, Run, id_of
from mlgen.ledger.records.artifact import Artifact

PRODUCED, USED = "produced", "used"
_MADE_BY = ("image", "imageDigest", "codeDigest", "specDigest", "planDigest", "source", "commit")


@dataclass(frozen=True, slots=True)
class Edge:
    """Data flows from `source` to `target`: a task produced an artifact, or an artifact was used by a task."""

    source: str
    target: str
    kind: str


@dataclass(slots=True)
class Graph:
    """nodes: by id, in the order in which they were met. roots: what was asked for. ledger: the commit it rests on.

    cut: whether there is more than the most nodes that were asked for.
    """

    ledger: str | None
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    cut: bool = False

    def add_artifact(self, artifact: Artifact) -> str:
        """The id of its node."""
        key = artifact_key(id_of(artifact))
        if key not in self.nodes:
            self.nodes[key] = {
                "id": key,
                "kind": "artifact",
                "name": artifact.name,
                "digest": artifact.digest or None,
                "uri": artifact.uri,
                "type": artifact.type or None,
                "mediaType": artifact.media_type or None,
                "sizeBytes": artifact.size_bytes if artifact.digest else None,
            }
        return key

    def add_job_run(self, job: JobRun) -> str:
        """The id of the node of another producer's job: a task that is of no run of mlgen's."""
        # Not as of a record: whoever writes events can give one the runId of an execution.
        key = f"imported:{job.run_id}"
        if key not in self.nodes:
            nothing = ("run", "attempt", "reason", "startedAt", *_MADE_BY)
            self.nodes[key] = {
                "id": key,
                "kind": "task",
                "name": f"{job.namespace}/{job.name}",
                "digest": job.digest,
                "uri": job.path,
                **dict.fromkeys(nothing),
                "state": job.state,
                "endedAt": job.event_time,
                "params": {},
                "metrics": {},
                "values": {},
                "runId": job.run_id,
                "producer": job.producer,
            }
        return key

    def add_task(self, run: Run, execution: Execution) -> str:
        """The id of an execution's node, and of its run's beside it."""
        record = execution.record
        key = f"task:{record.run_id}"
        if key not in self.nodes:
            self.nodes[key] = {
                "id": key,
                "kind": "task",
                "name": f"{record.pipeline}.{record.label}",
                "digest": execution.digest,
                "uri": execution.path,
                "run": self._add_run(run),
                "attempt": record.attempt,
                "state": str(record.state),
                "reason": record.reason,
                "startedAt": record.started_at,
                "endedAt": record.ended_at,
                "params": dict(record.params),
                "metrics": dict(record.metrics),
                "values": dict(record.values),
                **({"item": record.item.index, "variables": dict(record.item.values)} if record.item else {}),
                "image": record.image,
                "imageDigest": record.image_digest,
                "codeDigest": record.code_digest,
                "specDigest": record.spec_digest,
                "planDigest": record.plan_digest,
                "source": record.source.url if record.source else None,
                "commit": record.source.commit if record.source else None,
            }
        return key

    def _add_run(self, run: Run) -> str:
        key = f"run:{run.uid}"
        if key not in self.nodes:
            about = summary(run)
            named = {"id": key, "kind": "run", "name": run.name, "digest": None, "uri": None}
            self.nodes[key] = {
                **named,
                **{k: about[k] for k in about if k not in ("run", "uid", "tasks")},
                "uid": run.uid,
            }
        return key

    def add_input(self, task: str, artifact: Artifact) -> None:
        """The artifact that a task read."""
        self.edges[Edge(self.add_artifact(artifact), task, USED)] = None

    def add_output(self, task: str, artifact: Artifact) -> None:
        """The artifact that a task made."""
        self.edges[Edge(task, self.add_artifact(artifact), PRODUCED)] = None

    def to_json(self) -> dict[str, Any]:
        """Design §11. An edge's `from` is where the data came from; a task's `run` is the id of its run's node.

        `run` is null for the task of another producer; `digest` for an artifact that only such tell of.
        """
        return {
            "nodes": list(self.nodes.values()),
            "edges": [{"from": e.source, "to": e.target, "kind": e.kind} for e in self.edges],
            "cut": self.cut,
            "ledger": self.ledger,
        }


def artifact_key(artifact: ArtifactId) -> str:
    """The id of an artifact's node."""
    return f"artifact:{artifact.uri}@{artifact.digest}" if artifact.digest else f"artifact:{artifact.uri}"
