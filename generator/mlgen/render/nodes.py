"""The other ranks of a task on several nodes as one of Tekton's tasks, a matrix of ranks (decision 0041).

Tekton starts all of a matrix at once, and in the same moment as rank 0, which waits for the same. One Task serves all.
"""

from __future__ import annotations

from dataclasses import replace

from mlgen.plan.model import Task
from mlgen.render import timeouts
from mlgen.render.staging import Data
from mlgen.runtime.nodes.model import NodesDocument
from mlgen.runtime.protocol import TaskDocument
from mlgen.spec.project import Environment

RANK = "mlgen-rank"  # the param that says which rank a TaskRun is


def matrix(task: Task) -> Data:
    """All ranks but 0."""
    return {"params": [{"name": RANK, "value": [str(rank) for rank in range(1, task.nodes)]}]}


def document_of(task: Task, environment: Environment) -> NodesDocument | None:
    """What the pods of a task are told of the others; None where there are none."""
    if task.nodes == 1:
        return None
    return NodesDocument(task.nodes, timeouts.meeting_seconds(task, environment), task.retries)


def of_other(document: TaskDocument) -> TaskDocument:
    """A task's document for its other ranks: they leave nothing, and rank 0 decides of attempts."""
    return replace(document, outs=(), evaluates=(), counts=(), cache=None, late=False, retry=None)
