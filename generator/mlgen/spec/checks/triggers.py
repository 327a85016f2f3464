"""Triggers: events that can come, senders that are known, and runs that have all that a run must be given."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.checks.context import Context, a, listed
from mlgen.spec.checks.unattended import NOT_STARTED, inputs_without_uri, lacking, unknown_param
from mlgen.spec.model import Pipeline, Place, Trigger, TriggerParam
from mlgen.triggers.model import FIELDS, Field, Host, How, Kind, Root, Test
from mlgen.values import Type, argument_problem

MOST = 16  # triggers of a pipeline: each is judged at every event of its environment
MOST_VALUES, LONGEST = 50, 1024
MOST_STARS = 8  # in a pattern
_STARS = re.compile(r"\*{3}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EVENT_TYPE = re.compile(r"[!-~]{1,256}")


def triggers(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    for trigger in pipeline.triggers:
        yield from _keys(trigger)
        yield from _what(trigger)
        yield from _secret(trigger)
        for place, test in trigger.tests:
            yield from _test(place, test)
        for given in trigger.params:
            yield from _param(pipeline, given)
        yield from _required(pipeline, trigger)
    if pipeline.triggers:
        yield from inputs_without_uri(pipeline, pipeline.place / "on", "bad-trigger", "event")
    yield from _many(pipeline)
    yield from _listener(pipeline, context)


def _bad(place: Place, message: str, why: str = "", fix: str = "", related: tuple[Related, ...] = ()) -> Diagnostic:
    return place.finding("bad-trigger", message, why, fix, related)


def _keys(trigger: Trigger) -> Iterator[Diagnostic]:
    """Keys of one kind of event only, and of one at a time."""
    data = trigger.place.value
    if not isinstance(data, dict) or trigger.kind is None:
        return
    kinds = [kind for kind in Kind if kind in data]
    for other in kinds[1:]:
        related = (Related("the other", (trigger.place / kinds[0]).key_span),)
        why, fix = "a trigger is about one kind of event", "write a list of two triggers"
        message = f"the trigger has `{kinds[0]}` and `{other}`"
        yield (trigger.place / other).key_finding("bad-trigger", message, why, fix, related)
    if len(kinds) > 1:
        return
    allowed = {"source": trigger.kind is Kind.EVENT, "where": trigger.kind is not Kind.OBJECT}
    host = trigger.what.value if trigger.what and trigger.kind is Kind.WEBHOOK else None
    allowed |= {"events": host in (Host.GITHUB, Host.GITLAB), "id": host == Host.BEARER}
    whose = {"source": "a CloudEvent", "where": "a webhook or a CloudEvent", "events": "github and gitlab"}
    for key, is_allowed in allowed.items():
        if key in data and not is_allowed:
            why = f"`{key}` is for {whose.get(key, 'webhook: bearer')}"
            fix = (
                "remove it; the pattern of `object` says which objects" if trigger.kind is Kind.OBJECT else "remove it"
            )
            message = f"`{key}` says nothing of {_kind(trigger)}"
            yield (trigger.place / key).key_finding("bad-trigger", message, why, fix)


def _kind(trigger: Trigger) -> str:
    names = {Kind.OBJECT: "an object", Kind.EVENT: "a CloudEvent", Kind.WEBHOOK: "this webhook"}
    return names[trigger.kind] if trigger.kind else "it"


def _what(trigger: Trigger) -> Iterator[Diagnostic]:
    if trigger.what is None:
        return
    place, text = trigger.what.place, str(trigger.what.value)
    if trigger.kind is Kind.EVENT and not _EVENT_TYPE.fullmatch(text):
        fix = "write it as its sender does, such as dev.example.drift.detected.v1"
        yield _bad(place, f'"{text[:80]}" is no type of a CloudEvent', "it is ASCII without spaces", fix)
    if trigger.kind is Kind.OBJECT:
        yield from _object(place, text)


def _object(place: Place, text: str) -> Iterator[Diagnostic]:
    fix = "write s3://bucket/prefix/*.csv"
    scheme, sep, rest = text.partition("://")
    bucket, slash, key = rest.partition("/")
    if scheme in ("gs", "az") and sep:
        why = "its notifications are CloudEvents"
        kind = "google.cloud.storage.object.v1.finalized" if scheme == "gs" else "Microsoft.Storage.BlobCreated"
        yield _bad(place, f"`object` knows buckets of S3, no {scheme}:", why, f"write event: {kind}, and what it gives")
    elif scheme != "s3" or not sep:
        yield _bad(place, f'"{text[:80]}" names no object of a bucket', "an object is told of by its URI", fix)
    elif not _BUCKET.fullmatch(bucket):
        why = "a bucket's name is 3 to 63 lower-case letters, digits, hyphens and dots, and no pattern"
        yield _bad(place, f'no bucket can be called "{bucket[:80]}"', why, fix)
    elif not slash or not key or len(key) > LONGEST or not key.isprintable():
        why = "a key has 1 to 1,024 printable characters" if slash and key else "after the bucket there is a key"
        yield _bad(place, f'no object can be called "{key[:80]}"', why, fix)
    elif _STARS.search(key) or key.count("*") > MOST_STARS:
        yield _bad(place, "the pattern has more asterisks than it needs", "eight are allowed, two in a row", fix)


def _secret(trigger: Trigger) -> Iterator[Diagnostic]:
    data = trigger.place.value
    if trigger.kind is Kind.WEBHOOK and isinstance(data, dict) and not {"secret", Kind.EVENT} & data.keys():
        message = "the webhook has no `secret`"
        why = "whoever finds its address could start runs, with values of their own"
        fix = "add secret: NAME/KEY, of a Secret in the namespace that the sender knows too"
        yield trigger.place.finding("bad-trigger", message, why, fix)


def _test(place: Place, test: Test) -> Iterator[Diagnostic]:
    texts = [one for one in test.values if isinstance(one, str)]
    if len(test.values) > MOST_VALUES:
        yield _bad(place, f"{len(test.values)} values, {MOST_VALUES} are allowed", "", "write a prefix or a glob")
    elif any(len(text) > LONGEST for text in texts):
        yield _bad(place, f"a text of more than {LONGEST:,} characters", "", "write a prefix of it")
    elif test.field.root in (Root.HEADER, Root.EVENT) and len(texts) < len(test.values):
        message, why = f"{test.field} is a text, and is compared with a number or a boolean", "it would never fit"
        yield _bad(place, message, why, "write it in quotes")
    elif test.how is not How.IS and test.values == ("",):
        yield _bad(place, f"an empty {test.how}", "every text begins with it", "remove it, or write a text")
    elif test.how is How.GLOB and (_STARS.search(texts[0]) or texts[0].count("*") > MOST_STARS):
        why, fix = "eight are allowed, two in a row", "write * for a part between slashes, ** for any"
        yield _bad(place, "the pattern has more asterisks than it needs", why, fix)


def _param(pipeline: Pipeline, given: TriggerParam) -> Iterator[Diagnostic]:
    param = pipeline.params.get(given.name)
    if param is None:
        yield from unknown_param(pipeline, given, "trigger")
        return
    related = (Related("the param", param.place.key_span),)
    if given.field is not None:
        if param.type is not None and not _fits(given.field, param.type):
            message = f'"{param.name}" is {a(str(param.type))}, and {given.field} is a text'
            fix = f"write {param.name}: {{type: string}} in `params`"
            yield _bad(given.place, message, NOT_STARTED, fix, related)
    elif given.text is not None and (problem := argument_problem(param, given.text)):
        message = f'"{param.name}" of the trigger does not fit: {problem}'
        yield _bad(given.place, message, NOT_STARTED, "change it, or what the param allows", related)


def _fits(field: Field, kind: Type) -> bool:
    """Whether a field may be of a type: what an event holds is known when it comes, names and times are texts."""
    texts = field.root in FIELDS and field.path[0] != "size"
    if kind is Type.BOOLEAN:
        return field.root not in FIELDS
    return not texts or not kind.is_number


def _required(pipeline: Pipeline, trigger: Trigger) -> Iterator[Diagnostic]:
    examples = {Kind.OBJECT: "{object: uri}", Kind.EVENT: "{data: NAME}"}
    example = examples.get(trigger.kind or Kind.WEBHOOK, "{body: NAME}")
    for param in lacking(pipeline, trigger.params):
        message = f'the trigger does not give "{param.name}", which has no default'
        related = (Related("the param", param.place.key_span),)
        yield _bad(trigger.place, message, NOT_STARTED, f"give it: params: {{{param.name}: {example}}}", related)


def _many(pipeline: Pipeline) -> Iterator[Diagnostic]:
    if len(pipeline.triggers) > MOST:
        place = pipeline.triggers[MOST].place
        message = f"{len(pipeline.triggers)} triggers, {MOST} are allowed"
        yield _bad(place, message, "each looks at every event", "join some: a field may be one of a list")
    seen: dict[object, Trigger] = {}
    for trigger in pipeline.triggers:
        if trigger.kind is None or trigger.what is None:
            continue
        key = (
            trigger.kind,
            trigger.what.value,
            frozenset(str(one.value) for one in trigger.events),
            frozenset(test for _, test in trigger.tests),
            frozenset((given.name, given.text, given.field) for given in trigger.params),
        )
        if key in seen:
            related = (Related("the first", seen[key].place.span),)
            message = "the trigger stands here a second time"
            yield _bad(trigger.place, message, "its runs are those of the first", "remove it", related)
        seen.setdefault(key, trigger)


def _listener(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    clusters = [environment.name for environment in context.project.rendered]
    if pipeline.triggers and clusters and not any(e.triggers for e in context.project.rendered):
        message = "no environment of mlgen.yaml listens for events"
        why = f"`on` starts runs where one has `triggers`, and by `mlgen run --event`; there is: {listed(clusters)}"
        fix = f"add triggers: {{}} to {clusters[0]} in mlgen.yaml, where Tekton Triggers is installed"
        yield (pipeline.place / "on").key_finding("no-listener", message, why, fix)
