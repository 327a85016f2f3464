"""Schedules: they fire, their zone is one, and their runs have all that a run must be given."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.schedules import cron, zones
from mlgen.schedules.cron import Cron, CronError
from mlgen.schedules.model import Scheduled
from mlgen.spec.checks.context import Context, a, near
from mlgen.spec.checks.unattended import NOT_STARTED, inputs_without_uri, lacking, unknown_param
from mlgen.spec.model import Pipeline, Place, Schedule, ScheduledParam
from mlgen.values import Type, argument_problem

MOST = 8  # schedules of a pipeline: each is a CronJob with an account of its own
LEAST_SECONDS, MOST_SECONDS = 60, 31 * 24 * 3600  # Kubernetes looks every ten seconds; mlgen goes through every time
_SAMPLE = {Scheduled.DATE: "2026-10-31", Scheduled.TIME: "2026-10-31T02:00:00Z"}


def schedules(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    for schedule in pipeline.schedules:
        read = None
        if schedule.cron is not None:
            try:
                read = cron.parse(str(schedule.cron.value))
            except CronError as error:
                yield _bad_cron(schedule.cron.place, str(schedule.cron.value), error)
        yield from _zone(schedule)
        yield from _catch_up(schedule)
        for given in schedule.params:
            yield from _param(pipeline, given)
        yield from _dates(schedule, read)
        yield from _required(pipeline, schedule)
    if pipeline.schedules:
        yield from inputs_without_uri(pipeline, pipeline.place / "schedule", "bad-schedule", "schedule")
    yield from _many(pipeline)


def _bad_cron(place: Place, text: str, error: CronError) -> Diagnostic:
    start, end = error.at
    span = place.inner(start, end) if (start, end) != (0, len(text)) else place.span
    return Diagnostic("bad-cron", error.message, span, error.why, error.fix)


def _zone(schedule: Schedule) -> Iterator[Diagnostic]:
    if schedule.zone is not None and schedule.zone.value not in zones.names():
        name = str(schedule.zone.value)
        guess = near(name, zones.names())
        why = "zones are those of the IANA database, such as Europe/Berlin"
        fix = f"write {guess}" if guess else "write UTC, or AREA/CITY"
        yield schedule.zone.place.finding("bad-schedule", f'"{name[:80]}" is no time zone', why, fix)


def _catch_up(schedule: Schedule) -> Iterator[Diagnostic]:
    seconds = schedule.catch_up.value if schedule.catch_up else None
    if schedule.catch_up and isinstance(seconds, int) and not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        less = seconds < LEAST_SECONDS
        why = "a start is often some seconds late" if less else "older times are run by --backfill"
        fix = "write 1m, or more" if less else "write 744h, or less"
        message = f"`catch_up` is too {'short' if less else 'long'}"
        yield schedule.catch_up.place.finding("bad-schedule", message, why, fix)


def _param(pipeline: Pipeline, given: ScheduledParam) -> Iterator[Diagnostic]:
    param = pipeline.params.get(given.name)
    if param is None:
        yield from unknown_param(pipeline, given, "schedule")
        return
    text = _SAMPLE[given.of_time] if given.of_time else given.text
    if text is None:
        return
    if given.of_time and param.type not in (Type.STRING, None):
        message = f'"{param.name}" is {a(str(param.type))}, and is given a {given.of_time}'
        fix = f"write {param.name}: {{type: string}} in `params`"
        yield given.place.finding("bad-schedule", message, "a date and a time are texts", fix)
    elif problem := argument_problem(param, text):
        related = (Related("the param", param.place.key_span),)
        message = f'"{param.name}" of the schedule does not fit: {problem}'
        why = NOT_STARTED
        fix = "change it, or what the param allows"
        yield given.place.finding("bad-schedule", message, why, fix, related)


def _dates(schedule: Schedule, read: Cron | None) -> Iterator[Diagnostic]:
    """A run that is known by its date is one a day."""
    whats = [given.of_time for given in schedule.params if given.of_time]
    if read is not None and whats == [Scheduled.DATE] and not read.at_most_daily and schedule.cron is not None:
        given = next(given for given in schedule.params if given.of_time)
        message = "the schedule may fire several times on a day, whose runs would all get the same date"
        why = "the run of a date is one, whoever starts it"
        fix = f"write {given.name}: {{scheduled: time}}, or one minute and one hour"
        related = (Related("how often it fires", schedule.cron.place.span),)
        yield given.place.finding("bad-schedule", message, why, fix, related)


def _required(pipeline: Pipeline, schedule: Schedule) -> Iterator[Diagnostic]:
    for param in lacking(pipeline, schedule.params):
        message = f'the schedule does not give "{param.name}", which has no default'
        why, related = NOT_STARTED, (Related("the param", param.place.key_span),)
        fix = f"give it: params: {{{param.name}: …}}"
        if param.type is Type.STRING:
            fix += f", or the day: params: {{{param.name}: {{scheduled: date}}}}"
        yield schedule.place.finding("bad-schedule", message, why, fix, related)


def _many(pipeline: Pipeline) -> Iterator[Diagnostic]:
    if len(pipeline.schedules) > MOST:
        place = pipeline.schedules[MOST].place
        message = f"{len(pipeline.schedules)} schedules, {MOST} are allowed"
        yield place.finding("bad-schedule", message, "each is a CronJob", "join some: 0 6,18 * * * is two times")
    seen: dict[object, Schedule] = {}
    for schedule in pipeline.schedules:
        key = (
            schedule.cron and schedule.cron.value,
            schedule.zone and schedule.zone.value,
            tuple((given.name, given.text, given.of_time) for given in schedule.params),
        )
        if key in seen:
            related = (Related("the first", seen[key].place.span),)
            message = "the schedule stands here a second time"
            yield schedule.place.finding(
                "bad-schedule", message, "its runs are those of the first", "remove it", related
            )
        seen.setdefault(key, schedule)
