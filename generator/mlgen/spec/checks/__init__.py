"""What specs must mean, beyond their shape. A check is one function from a Pipeline to findings, listed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mlgen import diagnostic
from mlgen.diagnostic import Diagnostic, Severity
from mlgen.spec.checks import (
    arguments,
    attempts,
    caching,
    callers,
    distributed,
    fan_readers,
    fans,
    files,
    names,
    placing,
    platform,
    schedules,
    searches,
    secret_stores,
    triggers,
    types,
    wiring,
)
from mlgen.spec.checks.context import Context
from mlgen.spec.model import Pipeline
from mlgen.spec.reader import MAX_FINDINGS

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
    wiring.outs,
    wiring.finally_tasks,
    wiring.cycles,
    wiring.unused,
    wiring.redundant_after,
    types.gates,
    types.optional_ins,
    fans.items,
    fans.rows,
    fans.picks,
    fans.bounds,
    fans.names_of_variables,
    searches.searches,
    fan_readers.commands,
    fan_readers.ins,
    callers.task_files,
    caching.caches,
    files.code,
    files.task_files,
    platform.pools,
    secret_stores.secrets,
    platform.images,
    platform.scripts,
    platform.shebangs,
    platform.tekton_variables,
    attempts.spot,
    placing.places,
    distributed.nodes,
    schedules.schedules,
    triggers.triggers,
)


def check(pipeline: Pipeline, context: Context) -> list[Diagnostic]:
    """What is wrong with what a pipeline means, sorted by place; errors: MAX_FINDINGS and one are the most."""
    errors: set[Diagnostic] = set()
    warnings: set[Diagnostic] = set()
    for one in CHECKS:
        for finding in one(pipeline, context):
            (errors if finding.severity is Severity.ERROR else warnings).add(finding)
            if len(errors) > MAX_FINDINGS:  # the rest would take its time, and nobody reads it
                return diagnostic.sort(errors | warnings)
    return diagnostic.sort(errors | warnings)
