"""After the author's program: its outs read, kept and told in a record, and the gates it decides evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlgen.canonical import Json
from mlgen.diagnostic import Fault
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.cache.recorded import digest_of
from mlgen.runtime.ending import STEP_FAILED, Ending, record_of
from mlgen.runtime.outs import Values, metrics_and_values, not_written, read_values, reason_of
from mlgen.runtime.protocol import Execution, Out, TaskDocument, Tree
from mlgen.runtime.secrets import masked
from mlgen.runtime.stage_in import staged_inputs
from mlgen.runtime.texts import pointer
from mlgen.store import BadArtifact, Missing, Store, StoreError, hold
from mlgen.values import parse

if TYPE_CHECKING:
    from mlgen.gates import Ref


@dataclass(frozen=True, slots=True)
class Staged:
    """What became of an execution. texts: by out name, None for an optional one not written, and `if-<n>`.

    Only a COMPLETE execution has texts: what a failed one left is never handed on.
    """

    record: TaskRecord
    texts: Mapping[str, str | None]


def stage_out(
    document: TaskDocument,
    execution: Execution,
    tree: Tree,
    store: Store,
    ending: Ending,
    *,
    secrets: Mapping[str, str] | None = None,
) -> Staged:
    """Read and keep what an execution left, and make its record.

    ending: how the program ended; one that ended well fails here, with exit code 0, when its outs are not what
    the spec says. Of one that failed, the values and metrics that can be read are recorded, and no artifact: half a
    model must have no lineage. secrets: name -> text that no value may hold and that no error shows.
    """
    execution, ending = _trial(document, execution, tree, ending)
    values, problems = read_values(document, tree, secrets or {})
    outputs: tuple[Artifact, ...] = ()
    cause = Cause.PROGRAM
    if ending.state is State.COMPLETE:
        artifacts = [out for out in document.outs if out.type.is_artifact]
        problems += [str(not_written(out)) for out in artifacts if not out.optional and not _exists(tree, out)]
        if not problems:
            outputs, problems, cause = _keep_all(document, execution, tree, store, artifacts)
        if problems:
            ending = replace(ending, state=State.FAIL, reason=STEP_FAILED, error="; ".join(problems), cause=cause)
            outputs = ()
    if ending.error is not None:
        ending = replace(ending, error=masked(ending.error, (secrets or {}).values()))
    metrics, others = metrics_and_values(document, values.parsed)
    record = record_of(
        document,
        execution,
        ending,
        inputs=staged_inputs(tree),
        outputs=outputs,
        metrics=metrics,
        values=others,
        cache_key=digest_of(document, tree),
    )
    if ending.state is not State.COMPLETE:
        return Staged(record, {})
    return Staged(record, _texts(document, execution, values, outputs, store))


def _trial(document: TaskDocument, execution: Execution, tree: Tree, ending: Ending) -> tuple[Execution, Ending]:
    """The same, but of a search's trial: what it reported, and whether it was pruned."""
    search = document.fan.search if document.fan else None
    if search is None or execution.item is None:
        return execution, ending
    from mlgen.runtime.fans import trials  # here: of searches alone

    metric = next(out for out in document.outs if out.name == search.metric)
    ending = trials.ended(search, tree, ending, has_metric=_exists(tree, metric))
    return replace(execution, item=replace(execution.item, reports=trials.reported(tree, ending))), ending


def prefix(document: TaskDocument, execution: Execution) -> str:
    """Where an execution keeps its artifacts, below the environment's: a place that no other one writes to."""
    unique = (execution.tekton or {}).get("podUid", execution.run_id)
    item = f".{execution.item.index}" if execution.item is not None else ""
    return f"{document.pipeline}/{execution.run}/{document.task}{item}.{unique[:8]}"


def evaluate(document: TaskDocument, gate_values: Mapping[str, str], parsed: Mapping[str, Json]) -> dict[str, str]:
    """The conditions that a task decides: `if-<index>` -> "true" or "false". parsed: its own values.

    gate_values: as in `Execution`.
    """
    if not document.evaluates:
        return {}
    from mlgen import gates  # here: most tasks decide no gate, and reading one loads a parser
    from mlgen.gates import parse_gate

    def read(ref: Ref) -> Json:
        if ref.owner == document.task:
            return parsed.get(ref.name)
        text = gate_values.get(str(ref))
        return None if text is None else parse(types[str(ref)], text)

    found = {}
    for evaluation in document.evaluates:
        types = dict(evaluation.types)
        found[f"if-{evaluation.index}"] = "true" if gates.evaluate(parse_gate(evaluation.gate), read) else "false"
    return found


def _exists(tree: Tree, out: Out) -> bool:
    try:
        with hold(tree.output(out.name), beneath=tree.root):
            return True
    except Missing:
        return False
    except (StoreError, OSError):  # why it cannot be looked at is told by the attempt to keep it
        return True


def _keep_all(
    document: TaskDocument, execution: Execution, tree: Tree, store: Store, artifacts: list[Out]
) -> tuple[tuple[Artifact, ...], list[str], Cause]:
    """What could be kept, what could not, and whose fault that was."""
    kept, problems, cause = [], [], Cause.PROGRAM
    for out in artifacts:
        if not _exists(tree, out):
            continue
        key = f"{prefix(document, execution)}/{out.name}"
        try:
            # A copy: a process that escaped may still hold what the author wrote open, and must not reach what is kept.
            content = store.put_artifact(key, tree.output(out.name), beneath=tree.root)
        except (StoreError, Fault, OSError) as error:
            problems.append(f'out "{out.name}" cannot be kept: {reason_of(error)}')
            if not isinstance(error, BadArtifact | Missing):  # those are what the program left
                cause = Cause.INFRASTRUCTURE
        else:
            uri = f"{store.uri}/{key}"
            kept.append(Artifact(out.name, uri, content.digest, content.size_bytes, content.media_type, str(out.type)))
    return tuple(kept), problems, cause


def _texts(
    document: TaskDocument, execution: Execution, values: Values, outputs: tuple[Artifact, ...], store: Store
) -> dict[str, str | None]:
    texts: dict[str, str | None] = {out.name: None for out in document.outs if out.type.is_artifact}
    for artifact in outputs:
        texts[artifact.name] = pointer(artifact.uri.removeprefix(f"{store.uri}/"), artifact.digest)
    return {**texts, **values.texts, **evaluate(document, execution.gate_values, values.parsed)}
