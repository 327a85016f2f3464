"""What a task's pod takes in all: Kubernetes adds up every container, though Tekton's steps run in turn.

Our own containers ask for little and fixed amounts; the author's are main's alone (design §2, Resources).
"""

from __future__ import annotations

from mlgen.plan.model import Task

MEBI = 1 << 20

# container: (cpu request in thousandths of a core, memory request = limit in bytes). Staging streams in bounded
# memory; what it needs does not grow with the artifact.
OURS: dict[str, tuple[int, int]] = {
    "stage-in": (50, 256 * MEBI),
    "stage-out": (50, 256 * MEBI),
    "results": (20, 128 * MEBI),
}

# container: what it may write where a task has `disk`, in bytes. A pod is evicted that has written more than all its
# containers may, whoever of them did: 44 MiB are Tekton's own program in an emptyDir (1.15, an idle pod), the rest the
# sidecar's scratch of a fold and room to spare, so that the author's amount is all the author's.
OUR_DISK: dict[str, int] = {"stage-in": 32 * MEBI, "stage-out": 32 * MEBI, "results": 64 * MEBI}


def ours(task: Task) -> dict[str, tuple[int, int]]:
    """Our containers in a task's pod, as OURS: the sidecar of one with a checkpoint moves bytes, too."""
    return OURS | {"results": (OURS["results"][0], OURS["stage-out"][1])} if task.checkpoint else OURS


def total(task: Task) -> tuple[int, int]:
    """The pod's requests: thousandths of a core, bytes of memory."""
    cpu = task.cpu_millis + sum(cpu for cpu, _ in ours(task).values())
    return cpu, task.memory.bytes + sum(memory for _, memory in ours(task).values())


def disk_bytes(task: Task) -> int | None:
    """What the pod may write; None where its task says nothing, and the node's disk is the limit."""
    return task.disk.bytes + sum(OUR_DISK.values()) if task.disk else None
