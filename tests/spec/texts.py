"""From the text of a spec to its findings or its plan, without files."""

from __future__ import annotations

from collections.abc import Mapping

from mlgen import canonical, diagnostic
from mlgen.diagnostic import Diagnostic
from mlgen.plan.make import make
from mlgen.plan.model import Plan
from mlgen.spec.checks.context import Context
from mlgen.spec.document import read
from mlgen.spec.load import load_pipeline, load_task_file
from mlgen.spec.model import Pipeline
from mlgen.spec.project import Environment, GpuPool, Project
from tests.strategies import POOLS, Files

CONTEXT = Context(
    Files(), Project(environments=(Environment("local", gpus=tuple((p, GpuPool("nvidia.com/gpu")) for p in POOLS)),))
)


def loaded(
    data: bytes, *, name: str = "demo", task_files: Mapping[str, bytes] | None = None, context: Context = CONTEXT
) -> tuple[Pipeline | None, list[Diagnostic]]:
    """The pipeline and the findings of pipelines/<name>.yaml. task_files: by path."""
    files, found = {}, []
    for path, text in (task_files or {}).items():
        file, findings = load_task_file(read(path, text), context)
        found += findings
        if file is not None:
            files[path] = file
    pipeline, findings = load_pipeline(read(f"pipelines/{name}.yaml", data), files, context)
    return pipeline, [*findings, *found]


def told(data: bytes, **how: object) -> list[tuple[str, int, int]]:
    """(code, line, column) of each finding."""
    return [(d.code, d.span.line, d.span.column) for d in loaded(data, **how)[1]]  # type: ignore[arg-type]


def plan_of(data: bytes, **how: object) -> Plan:
    """The plan of a spec without errors."""
    pipeline, found = loaded(data, **how)  # type: ignore[arg-type]
    assert not diagnostic.failed(found), "\n".join(diagnostic.to_text(d, None) for d in found)
    assert pipeline is not None
    return make(pipeline, CONTEXT.files, {}, spec_digest=canonical.digest_bytes(data))
