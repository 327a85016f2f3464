"""A TaskRecord as the OpenLineage RunEvent (2-0-2) that ends an execution, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlgen import __version__, canonical
from mlgen.canonical import Json
from mlgen.ledger.records.artifact import of_dataset, to_dataset
from mlgen.ledger.records.fields import DIGEST, NAME, RUN_ID, TASK, BadRecord, Fields, NewerFormat
from mlgen.ledger.records.task import Item, RecordTooLarge, Source, State, TaskRecord, most_bytes

FORMAT = 1
MAX_MESSAGE = 4000  # characters of an error message that a record keeps: the last ones, where programs say why

PRODUCER = f"https://mlgen.dev/mlgen/{__version__}"
OPENLINEAGE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_OPENLINEAGE_FACETS = "https://openlineage.io/spec/facets"
OUR_FACETS = "https://mlgen.dev/spec/facets"
_FACET_URL = re.compile(re.escape(OUR_FACETS) + r"/(\d{1,6})/.*")


def to_json(record: TaskRecord) -> dict[str, object]:
    """The RunEvent. What is not known is null, so that every record has the same keys, but for those of the few:
    `reconciled`, `item`, `cause`, `cached` with `originalRunId`."""
    r = record
    job = {"namespace": f"mlgen/{r.env}", "name": f"{r.pipeline}.{r.task}", "facets": {}}
    if r.source is not None:
        job["facets"] = {"sourceCodeLocation": _source_facet(r.source)}
    about = {
        **_facet(f"{OUR_FACETS}/{FORMAT}/MlgenTaskRunFacet.json"),
        "env": r.env,
        "pipeline": r.pipeline,
        "run": r.run,
        "task": r.task,
        "attempt": r.attempt,
        "startedAt": r.started_at,
        "endedAt": r.ended_at,
        "exitCode": r.exit_code,
        "state": str(r.state),
        "reason": r.reason,
        "image": r.image,
        "imageDigest": r.image_digest,
        "params": r.params,
        "metrics": r.metrics,
        "values": r.values,
        "specDigest": r.spec_digest,
        "planDigest": r.plan_digest,
        "codeDigest": r.code_digest,
        "cacheKey": r.cache_key,
        "engine": r.engine,
        "usage": r.usage,
        "tekton": r.tekton,
        **({"reconciled": True} if r.reconciled else {}),
        **({"item": _item_json(r.item)} if r.item else {}),
        **({"cause": r.cause} if r.cause is not None else {}),
        **({"cached": True, "originalRunId": r.original_run_id} if r.original_run_id is not None else {}),
    }
    facets: dict[str, object] = {"mlgen_task": about, "parent": _parent_facet(r)}
    if r.error is not None:
        facets["errorMessage"] = _error_facet(r.error)
    artifact_facet = _facet(f"{OUR_FACETS}/{FORMAT}/MlgenArtifactDatasetFacet.json")
    return {
        "eventTime": r.ended_at,
        "eventType": str(r.state),
        "producer": PRODUCER,
        "schemaURL": OPENLINEAGE,
        "run": {"runId": r.run_id, "facets": facets},
        "job": job,
        "inputs": [to_dataset(a, artifact_facet) for a in r.inputs],
        "outputs": [to_dataset(a, artifact_facet) for a in r.outputs],
    }


def _facet(schema: str) -> dict[str, object]:
    return {"_producer": PRODUCER, "_schemaURL": schema}


def _parent_facet(r: TaskRecord) -> dict[str, object]:
    return {
        **_facet(f"{_OPENLINEAGE_FACETS}/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"),
        "run": {"runId": r.run_uid},
        "job": {"namespace": f"mlgen/{r.env}", "name": r.pipeline},
    }


def _error_facet(message: str) -> dict[str, object]:
    return {
        **_facet(f"{_OPENLINEAGE_FACETS}/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet"),
        "message": message[-MAX_MESSAGE:],
        "programmingLanguage": "unknown",  # required there; a task's program may be in any language
    }


def _source_facet(source: Source) -> dict[str, object]:
    return {
        **_facet(f"{_OPENLINEAGE_FACETS}/1-1-0/SourceCodeLocationJobFacet.json#/$defs/SourceCodeLocationJobFacet"),
        "type": "git",
        "url": source.url,
        **({"repoUrl": source.repository} if source.repository is not None else {}),
        "path": source.path,
        "version": source.commit,
    }


def to_bytes(record: TaskRecord) -> bytes:
    """The bytes that are kept: canonical JSON and a newline.

    Raises RecordTooLarge over 64 KiB, BadRecord for a record that no reader would take.
    """
    try:
        data = canonical.encode(to_json(record)) + b"\n"
    except ValueError as error:  # NaN, or text that is not Unicode
        raise BadRecord(f"the record of {record.task} cannot be written: {error}") from None
    if len(data) > most_bytes(record):
        raise RecordTooLarge(_too_large(record, len(data)))
    return data


def _too_large(record: TaskRecord, size: int) -> str:
    parts = {
        f"{kind} {name}": value
        for kind in ("params", "metrics", "values")
        for name, value in getattr(record, kind).items()
    }
    if record.item is not None:
        parts |= {f"value {name}": value for name, value in record.item.values.items()}
    sizes = {name: len(canonical.encode(value)) for name, value in parts.items()}
    sizes["the list of ins and outs"] = 500 * (len(record.inputs) + len(record.outputs))
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    return (
        f"the record of {record.label} would have {size:,} bytes, more than {most_bytes(record):,}: shorten "
        f"{', '.join(largest)}, or make it an artifact"
    )


def of_fields(data: Fields) -> TaskRecord:
    """The record that a RunEvent is. Unknown fields are ignored. Raises BadRecord, NewerFormat."""
    run = data.object("run")
    facets = run.object("facets")
    about = facets.object("mlgen_task")
    _check_format(about)
    parent = facets.object("parent")
    job = data.object("job")
    record = TaskRecord(
        run_id=run.text("runId", RUN_ID),
        env=about.text("env", NAME),
        pipeline=about.text("pipeline", TASK),
        run=about.text("run", NAME),
        run_uid=parent.object("run").text("runId", RUN_ID),
        task=about.text("task", TASK),
        attempt=about.integer("attempt"),
        started_at=about.time("startedAt"),
        ended_at=about.time("endedAt"),
        state=_state(about.text("state")),
        exit_code=about.optional_integer("exitCode"),
        reason=about.text("reason"),
        engine=about.text("engine"),
        spec_digest=about.text("specDigest", DIGEST),
        plan_digest=about.text("planDigest", DIGEST),
        inputs=tuple(of_dataset(d) for d in data.objects("inputs")),
        outputs=tuple(of_dataset(d) for d in data.objects("outputs")),
        params=about.mapping("params"),
        metrics=about.mapping("metrics"),
        values=about.mapping("values"),
        error=facets.object("errorMessage").text("message") if facets.get("errorMessage") is not None else None,
        source=_source(job),
        image=about.optional_text("image"),
        image_digest=about.optional_text("imageDigest"),
        code_digest=about.optional_text("codeDigest", DIGEST),
        cache_key=about.optional_text("cacheKey"),
        usage=about.optional_mapping("usage"),
        tekton=about.optional_mapping("tekton"),
        reconciled=about.get("reconciled") is True,
        item=_item(about),
        cause=about.optional_text("cause"),
        original_run_id=about.text("originalRunId", RUN_ID) if about.get("cached") is True else None,
    )
    # What a standard reader sees and what ours sees must be the same.
    said = {
        "eventTime": (data.text("eventTime"), record.ended_at),
        "eventType": (data.text("eventType"), str(record.state)),
        "job.namespace": (job.text("namespace"), f"mlgen/{record.env}"),
        "job.name": (job.text("name"), f"{record.pipeline}.{record.task}"),
    }
    for place, (found, wanted) in said.items():
        if found != wanted:
            raise BadRecord(f"{place} is {found[:80]!r}, and mlgen_task says {wanted!r}")
    for place in ("producer", "schemaURL"):
        data.text(place)
    return record


def _check_format(about: Fields) -> None:
    match = _FACET_URL.fullmatch(about.text("_schemaURL"))
    if match is None:
        raise BadRecord("run.facets.mlgen_task._schemaURL is not of mlgen")
    if int(match[1]) > FORMAT:
        raise NewerFormat(f"the record has format {match[1]}, and this mlgen reads up to {FORMAT}: upgrade mlgen")


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise BadRecord(f"state is {text[:40]!r}, not one of {', '.join(State)}") from None


def _item_json(item: Item) -> Json:
    found: dict[str, Json] = {"index": item.index, "of": item.of, "values": dict(item.values)}
    found |= {"pick": item.pick} if item.pick is not None else {}
    return found | ({"reports": [list(report) for report in item.reports]} if item.reports else {})


def _item(about: Fields) -> Item | None:
    if about.get("item") is None:
        return None
    item = about.object("item")
    index, of = item.integer("index"), item.integer("of")
    if not 0 <= index < of:
        raise BadRecord(f"it is item {index} of {of}")
    return Item(index, of, item.mapping("values"), item.optional_text("pick"), tuple(_reports(item)))


def _reports(item: Fields) -> Iterator[tuple[int, float]]:
    """What a newer mlgen writes otherwise is not read: it is about how a trial went, and decides nothing."""
    found = item.get("reports")
    for report in found if isinstance(found, list) else ():
        if isinstance(report, list) and list(map(type, report)) in ([int, float], [int, int]):
            yield report[0], float(report[1])


def _source(job: Fields) -> Source | None:
    if job.get("facets") is None or job.object("facets").get("sourceCodeLocation") is None:
        return None
    facet = job.object("facets").object("sourceCodeLocation")
    return Source(facet.text("version"), facet.text("path"), facet.optional_text("repoUrl"))
