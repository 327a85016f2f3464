"""Records without what looks like a secret in them: in each field whose text is another's."""

from __future__ import annotations

from dataclasses import replace

from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.run import Given, RunRecord, TaskStatus
from mlgen.ledger.records.task import Source, TaskRecord
from mlgen.secrets.masking import masked, scrub_values


def masked_task(record: TaskRecord) -> TaskRecord:
    """The record of an execution, masked. What makes its path stays."""
    source = record.source
    return replace(
        record,
        reason=masked(record.reason),
        inputs=tuple(map(_masked_artifact, record.inputs)),
        outputs=tuple(map(_masked_artifact, record.outputs)),
        params=scrub_values(record.params),
        metrics=scrub_values(record.metrics),
        values=scrub_values(record.values),
        error=_optional(record.error),
        source=source and Source(source.commit, masked(source.path), _optional(source.repository)),
        image=_optional(record.image),
        usage=record.usage and scrub_values(record.usage),
        tekton=record.tekton and scrub_values(record.tekton),
        item=record.item and replace(record.item, values=scrub_values(record.item.values)),
    )


def _masked_artifact(artifact: Artifact) -> Artifact:
    return replace(artifact, uri=masked(artifact.uri))


def _optional(text: str | None) -> str | None:
    return None if text is None else masked(text)


def masked_run(record: RunRecord) -> RunRecord:
    """A run, masked. What makes its path stays."""
    return replace(
        record,
        params=scrub_values(record.params),
        labels={name: str(text) for name, text in scrub_values(record.labels).items()},
        owner=_optional(record.owner),
        given=record.given
        and Given(
            tuple(map(masked, record.given.params)), {name: masked(text) for name, text in record.given.inputs.items()}
        ),
        tasks={name: TaskStatus(masked(one.status), masked(one.reason)) for name, one in record.tasks.items()},
    )
