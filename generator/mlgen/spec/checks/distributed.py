"""Tasks on several nodes: one execution, of as many processes (decision 0041)."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks.context import Context
from mlgen.spec.model import Pipeline, Setting, Task

# `runtime.nodes.variables` sets them. With one process a node, PyTorch's env:// needs no more.
VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE")


def nodes(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A group of nodes is one execution of one task, and what its processes are told of it has one meaning."""
    for task in pipeline.all_tasks:
        setting = task.settings.get("nodes")
        if setting is None or not isinstance(setting.value, int):
            continue
        yield from _whole(task, setting)
        for key in ("env", "secrets"):
            given = task.settings.get(key)
            values = given.value if given is not None and isinstance(given.value, dict) else {}
            for name, value in values.items():
                if name in VARIABLES and isinstance(value, Setting):
                    message = f'task "{task.name[:80]}" sets {name}, and so does `nodes`'
                    why = "it tells the processes of the nodes who they are, and where they meet"
                    yield value.place.key_finding("reserved-name", message, why, "remove it, or rename it")


def _whole(task: Task, setting: Setting) -> Iterator[Diagnostic]:
    if task.final:
        message = f'the finally task "{task.name[:80]}" runs on several nodes'
        why = "finally tasks tell how a run ended, and clean up"
        yield setting.place.finding("bad-nodes", message, why, "do its work in `tasks`")
    elif task.fan is not None:
        message = f'task "{task.name[:80]}" has `{task.fan.kind}`, and each item would be {setting.value} nodes'
        why = "a group of nodes is waited for and ended as one; several at once could each hold half of a cluster"
        fix = f"remove `nodes`, or `{task.fan.kind}`; GPUs of one node are `gpu: {setting.value}`"
        yield setting.place.finding("bad-nodes", message, why, fix)
