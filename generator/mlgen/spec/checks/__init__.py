"""What specs must mean, beyond their shape. A check is one function from a Pipeline to findings, listed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mlgen import diagnostic
from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks import arguments, files, names, platform, types, wiring
from mlgen.spec.checks.context import Context
from mlgen.spec.model import Pipeline

Check = Callable[[Pipeline, Context], Iterable[Diagnostic]]

CHECKS: tuple[Check, ...] = (
    names.pipeline_name,
    names.argument_names,
    names.task_names,
    names.variables,
    names.labels,
    arguments.params,
    arguments.inputs,
    wiring.references,
    wiring.finally_tasks,
    wiring.cycles,
    wiring.unused,
    wiring.redundant_after,
    types.gates,
    types.optional_ins,
    types.task_files,
    files.code,
    platform.pools,
    platform.images,
    platform.scripts,
    platform.tekton_variables,
)


def check(pipeline: Pipeline, context: Context) -> list[Diagnostic]:
    """Everything that is wrong with what a pipeline means, sorted by place."""
    return diagnostic.sort(finding for one in CHECKS for finding in one(pipeline, context))
