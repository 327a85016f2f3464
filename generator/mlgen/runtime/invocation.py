"""What a pod tells `mlgen-runtime`: arguments and variables, read by the contract of `runtime.pod`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlgen.canonical import Json
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.ledger.record import pod_run_id
from mlgen.runtime import pod
from mlgen.runtime.protocol import Execution, TaskDocument
from mlgen.runtime.texts import read_result
from mlgen.values import parse

VERBS = ("stage-in", "stage-out", "results", "record")
_RETRY = re.compile(r".*-pod-retry([0-9]+)")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One start of `mlgen-runtime` in a task's pod."""

    verb: str
    document: TaskDocument
    execution: Execution


def read_invocation(arguments: Sequence[str], environ: Mapping[str, str]) -> Invocation:
    """Read what a pod was given. Raises Misuse for another command line, CannotAnswer for what is missing or torn."""
    if not arguments or arguments[0] not in VERBS:
        raise Misuse("usage", f"usage: mlgen-runtime {'|'.join(VERBS)} [REF:TYPE=TEXT]...")
    try:
        document = TaskDocument.loads(_variable(environ, "MLGEN_TASK"))
        return Invocation(arguments[0], document, _execution(document, arguments[1:], environ))
    except (KeyError, TypeError, ValueError) as error:
        raise CannotAnswer(
            "bad-invocation",
            f"what this pod was given cannot be read: {error}",
            why="`mlgen render` and the runtime image that mlgen.yaml names must be of versions that fit",
        ) from None


def _execution(document: TaskDocument, values: Sequence[str], environ: Mapping[str, str]) -> Execution:
    params: dict[str, Json] = {}
    gate_values: dict[str, str] = {}
    for argument in values:
        ref, type_, result, optional = pod.read_value(argument)
        text = read_result(result, optional=optional)
        if text is None:
            continue
        gate_values[ref] = text
        if ref.startswith("params."):
            params[ref.removeprefix("params.")] = parse(type_, text)
    retry = _RETRY.fullmatch(_variable(environ, "MLGEN_POD"))
    names = ("NAMESPACE", "TASK_RUN", "TASK_RUN_UID", "POD", "POD_UID", "RUN", "RUN_UID")
    told = {name: _variable(environ, f"MLGEN_{name}") for name in names}
    return Execution(
        run=told["RUN"],
        run_uid=told["RUN_UID"],
        run_id=pod_run_id(told["TASK_RUN_UID"], told["POD_UID"]),
        attempt=int(retry[1]) if retry else 0,
        ins={i.name: _variable(environ, f"MLGEN_IN_{i.name}") for i in document.ins if i.kind != "value"},
        gate_values=gate_values,
        params=params,
        spec_digest=_variable(environ, "MLGEN_SPEC_DIGEST"),
        plan_digest=_variable(environ, "MLGEN_PLAN_DIGEST"),
        commit=environ.get("MLGEN_COMMIT") or None,
        engine="tekton",
        tekton={
            "namespace": told["NAMESPACE"],
            "pipelineRun": told["RUN"],
            "pipelineRunUid": told["RUN_UID"],
            "taskRun": told["TASK_RUN"],
            "taskRunUid": told["TASK_RUN_UID"],
            "pod": told["POD"],
            "podUid": told["POD_UID"],
        },
        source=environ.get("MLGEN_SOURCE", ""),
        repository=environ.get("MLGEN_REPOSITORY") or None,
    )


def _variable(environ: Mapping[str, str], name: str) -> str:
    if name not in environ:
        raise CannotAnswer(
            "not-in-a-pod",
            f"{name} is not set",
            why="mlgen-runtime is started by the Tasks that `mlgen render` writes, and by nobody else",
        )
    return environ[name]
