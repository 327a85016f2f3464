"""What a pod tells `mlgen-runtime`: arguments and variables, read by the contract of `runtime.pod.contract`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlgen.canonical import Json
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.ledger.records.task import Item, pod_run_id
from mlgen.runtime.outs import StagingError
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.protocol import Execution, In, TaskDocument
from mlgen.runtime.texts import read_result
from mlgen.values import Type, parse

if TYPE_CHECKING:  # of `record` and of fans alone
    from mlgen.ledger.records.run import TaskStatus
    from mlgen.runtime.fans.model import FanDocument

VERBS = ("stage-in", "stage-out", "results", "lookup", "record", "published")
KEYS = {"AWS_ACCESS_KEY_ID": "access_key_id", "AWS_SECRET_ACCESS_KEY": "secret_access_key"}  # variable -> store option
_RETRY = re.compile(r".*-pod-retry([0-9]+)")


@dataclass(frozen=True, slots=True)
class TaskPod:
    """A start of stage-in, stage-out or results in a task's pod.

    item_texts: of the fan's variables that main's script reads from files. exit_code_file: where stage-out finds
    main's. run_file: where stage-in writes whether main is to run. look: whether the cache is asked. resumes: the uids
    of the run that this one takes up and of those before, told to stage-in of a task with a checkpoint. tasks: what
    Tekton says of the others, JSON, told to stage-in of a finally task. bucket_keys: name of a bucket of inputs ->
    store options. secrets: main's variable -> text, as far as they are there; known to stage-out and results.
    rank, address: of a task on several nodes; of the pod itself, known to results.
    """

    verb: str
    document: TaskDocument
    execution: Execution
    exit_code_file: str = ""
    item_texts: Mapping[str, str] = field(default_factory=dict)
    run_file: str = ""
    look: bool = True
    resumes: tuple[str, ...] = ()
    tasks: str = "{}"
    bucket_keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    rank: int = 0
    address: str = ""


@dataclass(frozen=True, slots=True)
class LookupPod:
    """A start of lookup. conditions: of the task's gate. look: whether the cache is asked. bucket_keys: as above."""

    document: TaskDocument
    execution: Execution
    conditions: tuple[str, ...]
    look: bool
    bucket_keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class GatePod:
    """A start of stage-out in a pod that only evaluates, or counts. values: text of each ref that was written.

    run_uid: where it reads what late tasks left, or tells how many items a fan has; else empty.
    """

    document: TaskDocument
    values: Mapping[str, str]
    run_uid: str = ""


@dataclass(frozen=True, slots=True)
class RecordPod:
    """A start of record. status: Tekton's `$(tasks.status)`. tasks: by name, of `tasks` only.

    chunks: of each fan that Tekton has as several of its tasks.
    """

    document: TaskDocument
    run: str
    run_uid: str
    params: Mapping[str, Json]
    spec_digest: str
    commit: str | None
    status: str
    tasks: Mapping[str, TaskStatus]
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    resumes: str | None = None
    chunks: Mapping[str, tuple[TaskStatus, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishedPod:
    """A start of published. pinned: key below the artifacts -> what it is, and of which pipeline."""

    document: TaskDocument
    pinned: Mapping[str, str]


Invocation = TaskPod | LookupPod | GatePod | RecordPod | PublishedPod


def read_invocation(arguments: Sequence[str], environ: Mapping[str, str]) -> Invocation:
    """Read what a pod was given. Raises Misuse for another command line, CannotAnswer for what is missing or torn."""
    if not arguments or arguments[0] not in VERBS:
        why, fix = "", ""
        if arguments and not arguments[0].startswith("-"):
            why = f"""it has no "{arguments[0][:80]}": the mlgen that rendered this is newer than the runtime image"""
            fix = "a `runtime_image` of its version in mlgen.yaml, and `mlgen render`"
        raise Misuse("usage", f"usage: mlgen-runtime {'|'.join(VERBS)}|start [REF:TYPE=TEXT]...", why=why, fix=fix)
    verb = arguments[0]
    try:
        document = TaskDocument.loads(_variable(environ, "MLGEN_TASK"))
        if verb == "published":
            return PublishedPod(document, dict(_pair(argument) for argument in arguments[1:]))
        conditions = [one.removeprefix(pod.WHEN) for one in arguments[1:] if one.startswith(pod.WHEN)]
        values = _Values.read([one for one in arguments[1:] if not one.startswith(pod.WHEN)])
        if verb == "record":
            return _record(document, values, environ)
        if verb == "stage-out" and document.image is None:
            return GatePod(document, values.texts, environ.get("MLGEN_RUN_UID", ""))
        look = environ.get("MLGEN_NO_CACHE", "") != "true"
        if verb == "lookup":
            execution, keys = _execution(document, values, environ), _bucket_keys(document, environ)
            return LookupPod(document, execution, tuple(conditions), look, keys)
        item, item_texts = _item(document.fan, values, environ) if document.fan else (None, {})
        return TaskPod(
            verb,
            document,
            replace(_execution(document, values, environ), item=item),
            _variable(environ, "MLGEN_EXIT_CODE_FILE") if verb == "stage-out" else "",
            item_texts,
            bucket_keys=_bucket_keys(document, environ) if verb == "stage-in" else {},
            run_file=environ.get("MLGEN_RUN_FILE", ""),
            look=look,
            resumes=pod.resumed_by(environ.get("MLGEN_RESUMES", "")),
            tasks=environ.get("MLGEN_TASKS", "{}"),
            secrets={
                name.removeprefix(pod.SECRET): text for name, text in environ.items() if name.startswith(pod.SECRET)
            },
            rank=_rank(document, environ),
            address=environ.get(pod.ADDRESS, ""),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, StagingError) as error:
        raise CannotAnswer(
            "bad-invocation",
            f"what this pod was given cannot be read: {error}",
            why="`mlgen render` and the runtime image that mlgen.yaml names must be of versions that fit",
        ) from None


def _rank(document: TaskDocument, environ: Mapping[str, str]) -> int:
    rank = int(environ.get(pod.RANK) or 0)
    if not 0 <= rank < (document.nodes.count if document.nodes else 1):
        raise ValueError(f"rank {rank} is none of its nodes")
    return rank


def told_to_ours(document: TaskDocument, item: In) -> bool:
    """Whether ours are told the text of an in: of artifacts, and of values by which the task is known again."""
    if item.late is not None:
        return False
    if item.kind != "value":
        return True
    told = [one.parts for one in (document.cache, document.checkpoint) if one is not None]
    return bool(told) and f"in {item.name}" not in dict(told[0])


def _pair(argument: str) -> tuple[str, str]:
    key, equals, text = argument.partition("=")
    if not equals:
        raise ValueError(f'"{argument[:80]}" is no KEY=TEXT')
    return key, text


@dataclass(frozen=True, slots=True)
class _Values:
    """texts: by ref, what was written. params: of the run, parsed."""

    texts: dict[str, str]
    params: dict[str, Json]

    @staticmethod
    def read(arguments: Sequence[str]) -> _Values:
        found = _Values({}, {})
        for argument in arguments:
            ref, type_, result, optional = pod.read_value(argument)
            text = read_result(result, optional=optional)
            if text is None:
                continue
            found.texts[ref] = text
            if ref.startswith("params."):
                found.params[ref.removeprefix("params.")] = parse(type_, text)
        return found


def _item(fan: FanDocument, values: _Values, environ: Mapping[str, str]) -> tuple[Item, dict[str, str]]:
    """Which item this is, and the texts that main's script is to find in files.

    Of lists that the bucket alone knows it has no values yet: `Post.execution` has.
    """
    from mlgen.runtime.fans import items  # here: a task that runs once has none

    index = int(_variable(environ, "MLGEN_INDEX"))
    if fan.search is not None:  # stage-in asks for its values
        return Item(index, fan.search.trials), {}
    if fan.of is None:
        index += items.CHUNK * int(environ.get("MLGEN_ROW") or 0)
        if any(one.late for one in fan.lists):
            return Item(index, index + 1), {}
        item, texts = items.of_lists(fan, index, lambda one: values.texts.get(str(one.source)))
        return item, texts | {"MLGEN_INDEX": str(index)}
    texts = {name: values.texts[f"{pod.ITEM}.{name}"] for name, _ in fan.variables}
    texts |= {name: str(parse(Type.JSON, texts[name])) for name in fan.coded}
    return items.of_row(fan, index, texts), {name: texts[name] for name in fan.coded}


def _execution(document: TaskDocument, values: _Values, environ: Mapping[str, str]) -> Execution:
    retry = _RETRY.fullmatch(_variable(environ, "MLGEN_POD"))
    names = ("NAMESPACE", "TASK_RUN", "TASK_RUN_UID", "POD", "POD_UID", "RUN", "RUN_UID")
    told = {name: _variable(environ, f"MLGEN_{name}") for name in names}
    return Execution(
        run=told["RUN"],
        run_uid=told["RUN_UID"],
        run_id=pod_run_id(told["TASK_RUN_UID"], told["POD_UID"]),
        attempt=int(retry[1]) if retry else 0,
        ins={i.name: _variable(environ, f"MLGEN_IN_{i.name}") for i in document.ins if told_to_ours(document, i)},
        gate_values=values.texts,
        params=values.params,
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


def _status(task: Mapping[str, str]) -> TaskStatus:
    from mlgen.ledger.records.run import TaskStatus  # here: of `record` alone

    return TaskStatus(task["status"], task["reason"])


def statuses_of(text: str) -> tuple[dict[str, TaskStatus], dict[str, tuple[TaskStatus, ...]]]:
    """Of MLGEN_TASKS: of each task what Tekton says, and of fans in several of Tekton's of each."""
    tasks = json.loads(text)
    chunks = {name: tuple(map(_status, task["chunks"])) for name, task in tasks.items() if "chunks" in task}
    return {name: _status(task) for name, task in tasks.items()}, chunks


def _record(document: TaskDocument, values: _Values, environ: Mapping[str, str]) -> RecordPod:
    tasks, chunks = statuses_of(_variable(environ, "MLGEN_TASKS"))
    return RecordPod(
        document,
        run=_variable(environ, "MLGEN_RUN"),
        run_uid=_variable(environ, "MLGEN_RUN_UID"),
        params=values.params,
        spec_digest=_variable(environ, "MLGEN_SPEC_DIGEST"),
        commit=environ.get("MLGEN_COMMIT") or None,
        status=_variable(environ, "MLGEN_RUN_STATUS"),
        tasks=tasks,
        chunks=chunks,
        labels={str(name): str(text) for name, text in json.loads(environ.get("MLGEN_LABELS") or "{}").items()},
        owner=environ.get("MLGEN_OWNER") or None,
        resumes=next(iter(pod.resumed_by(environ.get("MLGEN_RESUMES", ""))), None),
    )


def _bucket_keys(document: TaskDocument, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    buckets = document.platform.buckets if document.platform else ()
    found = {}
    for index, (name, _) in enumerate(buckets):
        prefix = f"MLGEN_BUCKET_{index}_"
        found[name] = {option: environ[prefix + key] for key, option in KEYS.items() if prefix + key in environ}
    return found


def _variable(environ: Mapping[str, str], name: str) -> str:
    if name not in environ:
        raise CannotAnswer(
            "not-in-a-pod",
            f"{name} is not set",
            why="mlgen-runtime is started by the Tasks that `mlgen render` writes, and by nobody else",
        )
    return environ[name]
