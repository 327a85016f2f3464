"""`mlgen run --event FILE`: the runs that an event asks for, each once, as the cluster's listener would start them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.cli.due import claims
from mlgen.cli.due.due import Wanted, row_json, sound_plans, start_all, text
from mlgen.cli.due.starts import EVENTS, Due, known_of
from mlgen.cli.ledgers.records import Records
from mlgen.cli.options import Format
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Misuse, visible
from mlgen.plan.model import Plan
from mlgen.render.triggered import trigger_name
from mlgen.runtime.clock import Clock
from mlgen.runtime.pod.event_start import ANNOTATION, LABEL, MAX_IDENTITY
from mlgen.triggers.events import Event, read_json
from mlgen.triggers.matching import EVENT_NAME, Param, arguments, told
from mlgen.triggers.model import Host, Kind, Trigger

MAX_BYTES = 25 << 20  # as large as GitHub's webhooks may be
MAX_WORDS = 60  # characters of which event it is, in a table
FORMS = (
    "give a CloudEvent as JSON, a bucket's notification ({Records: …}), or a webhook as {headers: {…}, body: {…}}; "
    "- reads it from stdin"
)


@dataclass(frozen=True, slots=True)
class Given:
    """An event, and of which kinds it is. host: who sent it, of a webhook."""

    event: Event
    kinds: frozenset[Kind]
    host: Host | None = None


def start_told(
    workspace: Workspace, source: Workspace, records: Records, given: Given, wanted: Wanted, *, clock: Clock
) -> int:
    """Start what an event asks for; the exit code: 1 where a run failed, or a spec cannot run."""
    plans, unsound = sound_plans(source, records, wanted)
    found = asked([plan for plan in plans if plan.triggers], given, records.environment.name)
    if not records.in_cluster and not wanted.dry_run:
        claims.tidy(workspace.root, EVENTS, clock.now().timestamp())
    report = start_all(workspace, source, records, known_of(records, found), wanted)
    with answer_of_a_deed():
        if wanted.form is Format.JSON:
            rows = [_renamed(row_json(row)) for row in report.rows]
            answer_json({"env": records.environment.name, "started": rows})
        else:
            sys.stdout.write(text(report.rows, "no trigger is meant"))
    return report.code or unsound


def read(path: Path) -> Given:
    """The event of a file. Raises Misuse for what is none."""
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        return _given(read_json(data))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Misuse("bad-event", f"{visible(str(path))} is no event: {visible(why)}", fix=FORMS) from None


def _given(data: Json) -> Given:
    if not isinstance(data, dict):
        raise ValueError("it is no JSON map")
    headers, body = data.get("headers"), data.get("body")
    if isinstance(headers, dict) and "body" in data:
        event = Event(dict(_headers(headers)), body)
        kinds = {Kind.EVENT} if event.is_binary or _has(body, "specversion") else {Kind.WEBHOOK}
        kinds |= {Kind.OBJECT} if _has(body, "Records") else set()
        host = next((host for host in EVENT_NAME if EVENT_NAME[host] in event.headers), Host.BEARER)
        return Given(event, frozenset(kinds), Host(host))
    if "specversion" in data:
        return Given(Event({}, data), frozenset({Kind.EVENT}))
    if "Records" in data:
        return Given(Event({}, data), frozenset({Kind.OBJECT}))
    raise ValueError("it has neither `specversion`, nor `Records`, nor `headers` and `body`")


def _has(body: Json, key: str) -> bool:
    return isinstance(body, dict) and key in body


def _headers(headers: Mapping[str, Json]) -> Iterable[tuple[str, str]]:
    for name, value in headers.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str):
            yield name.lower(), first


def asked(plans: Iterable[Plan], given: Given, environment: str) -> list[Due]:
    """The runs that an event asks for. Raises Misuse for values that do not fit the params, before anything starts."""
    found: dict[tuple[str, str], Due] = {}
    problems = []
    for plan in plans:
        params = {p.name: Param(p.type, p.choices, p.minimum, p.maximum) for p in plan.params}
        for trigger in plan.triggers:
            try:
                runs = told(trigger, given.event) if _is_of(trigger, given) else []
            except ValueError as error:
                raise Misuse("bad-event", f"{plan.name}: {error}") from None
            note(f"{plan.name}: {trigger} {'is meant' if runs else 'is not meant'}")
            for one in runs:
                texts, wrong = arguments(trigger, params, one)
                problems += [f"{plan.name}: {visible(problem)}" for problem in wrong]
                due = Due(
                    plan,
                    trigger.run_name(plan.name, one.identity),
                    visible(" ".join(one.identity))[:MAX_WORDS],
                    EVENTS,
                    trigger.concurrency,
                    tuple(sorted(texts.items())),
                    (LABEL, trigger_name(plan, trigger, environment)),
                    ((ANNOTATION, canonical.encode(list(one.identity)).decode()[:MAX_IDENTITY]),),
                )
                found.setdefault((plan.name, due.run), due)
    if problems:
        fix = "change the params of the spec, or what its trigger takes"
        what = problems[0] if len(problems) == 1 else f"{len(problems)} values of the event do not fit"
        raise Misuse("bad-event", what, why="" if len(problems) == 1 else "\n".join(problems), fix=fix)
    return list(found.values())


def _is_of(trigger: Trigger, given: Given) -> bool:
    return trigger.kind in given.kinds and (trigger.kind is not Kind.WEBHOOK or trigger.what == given.host)


def _renamed(row: dict[str, object]) -> dict[str, object]:
    return {"event" if key == "scheduledFor" else key: value for key, value in row.items()}
