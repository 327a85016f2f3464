"""A run followed to its end: what is new is told, a server that is away is waited for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from queue import Empty

from mlgen.cluster import failure, view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, TASK_RUNS, Api, ApiError, Object, Unreachable
from mlgen.cluster.events import Ended, Failure, Noted, OnEvent, Outcome, Printed, Started
from mlgen.cluster.known import Known
from mlgen.cluster.patience import Patience
from mlgen.cluster.printing import Printing, lines
from mlgen.cluster.refusals import fault_of
from mlgen.cluster.telling import Teller
from mlgen.cluster.view import FAILED, MAIN, NONE, Attempt
from mlgen.cluster.watch import Broke, Listed, Lost, News, Refused, Watch
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State
from mlgen.runtime.clock import Clock

TAIL_LINES = 12  # of a failed attempt's log
OUR_LINES = 200  # of our containers' logs, in which their last error is looked for
TAKE_UP_SECONDS = 20.0  # in which Tekton takes up a run, if it is there
LAST_LINES_SECONDS = 10.0  # of silence, until a log is given up
LOOK_SECONDS = 1.0

CANCEL = {"spec": {"status": "CancelledRunFinally"}}  # `record` and the author's finally tasks run all the same


class Follower:
    """A run that was created. tasks, finals: names of the plan's tasks and finally tasks, for the outcome.

    logs: whether what a task prints is told.

    `follow` may be left by an exception, such as KeyboardInterrupt, and called again.
    """

    def __init__(
        self,
        api: Api,
        run: Object,
        *,
        tasks: Collection[str],
        finals: Collection[str],
        on_event: OnEvent,
        clock: Clock,
        logs: Callable[[str], bool] = lambda _task: False,
    ) -> None:
        self._api, self._on_event, self._clock = api, on_event, clock
        self._tasks, self._finals = tuple(tasks), tuple(finals)
        self._known = Known(run)
        self._watch = Watch(api, self._known.namespace)
        self._teller = Teller(self._explain)
        self._logs, self._printing = logs, Printing(api, self._known.namespace, self._watch.tell)
        self._patience = Patience(api.server)
        self._endings: dict[str, Ended] = {}
        self._odd: set[str] = set()  # names of what was left out, and told
        self._since: float | None = None
        self._told_waiting = False

    def follow(self) -> Outcome:
        """Tell what happens until the run has ended; what became of it.

        Raises CannotAnswer when it was deleted, may not be read, or the server does not come back.
        """
        if self._since is None:
            self._since = self._clock.monotonic()
            for watched in self._known.watched:
                self._watch.start(watched)
        while view.condition(self._known.run)[0] is None:
            self._hear()
            self._tell()
        self._watch.close()
        self._catch_up()
        self._tell()
        self._tell_last_lines()
        return self._outcome()

    def cancel(self) -> None:
        """Ask for the run to end, its finally tasks to run. Nothing comes of it where it has ended.

        Raises Fault.
        """
        try:
            self._api.patch(PIPELINE_RUNS, self._known.namespace, self._known.name, CANCEL)
        except (ApiError, Unreachable) as error:
            raise fault_of(error, self._api.server) from None

    def said(self, task: str, step: str) -> tuple[str, ...]:
        """The last lines that a step of a task's last attempt printed; none where it has no log (any more)."""
        ended = self._endings.get(task)
        attempt = self._known.attempt(task, ended.attempt) if ended else None
        return self._log(attempt.pod, failure.STEP + step, OUR_LINES) if attempt else ()

    def _hear(self) -> None:
        """Wait a moment for news, and take in all that there is."""
        with suppress(Empty):
            self._take(self._watch.news.get(timeout=LOOK_SECONDS))
        self._drain()
        try:
            self._note(*self._patience.waited(self._clock.monotonic()))
        except Unreachable as reason:
            raise fault_of(reason, self._api.server) from None
        self._note_waiting()

    def _drain(self) -> None:
        with suppress(Empty):
            while True:
                self._take(self._watch.news.get_nowait())

    def _tell_last_lines(self) -> None:
        """What is still being read of logs, as long as something comes: a log may be as large as it likes."""
        heard_at = self._clock.monotonic()
        while self._printing.goes_on and self._clock.monotonic() - heard_at < LAST_LINES_SECONDS:
            with suppress(Empty):
                self._take(self._watch.news.get(timeout=LOOK_SECONDS / 10))
                heard_at = self._clock.monotonic()
        self._printing.close()
        self._drain()

    def _take(self, news: News | Printed) -> None:
        match news:
            case Printed():
                self._on_event(news)
            case Lost(reason=reason):
                self._patience.lost(reason, self._clock.monotonic())
            case Broke(reason=broke):
                raise broke
            case Refused(resource=resource, reason=refused):
                if resource is not PODS:
                    raise fault_of(refused, self._api.server)
                self._note(f"what its pods wait for is not told: {refused.message}")
            case _:
                if isinstance(news, Listed):
                    self._note(*self._patience.answered())
                self._known.take(news)
                self._note_odd()

    def _note(self, *texts: str) -> None:
        for text in texts:
            self._on_event(Noted(text))

    def _note_odd(self) -> None:
        """What cannot be read, each object once: it may change as often as it likes."""
        for one in self._known.odd:
            if one.name not in self._odd:
                self._odd.add(one.name)
                self._note(f"{one.name} is left out: {one.reason}")
        self._known.odd.clear()

    def _note_waiting(self) -> None:
        """A run without any status is one that no controller saw."""
        waited = self._clock.monotonic() - (self._since or 0.0)
        if not self._told_waiting and waited > TAKE_UP_SECONDS and not self._known.run.get("status"):
            self._told_waiting = True
            self._note(
                "Tekton has not taken up the run yet: does its controller run? (kubectl -n tekton-pipelines get pods)"
            )

    def _tell(self) -> None:
        for event in self._teller.news(self._known.objects):
            if isinstance(event, Started | Ended) and self._logs(event.task):
                # Also of one that has ended: it may have begun and ended between two looks.
                attempt = self._known.attempt(event.task, event.attempt)
                if attempt is not None:
                    self._printing.start(attempt)
            if isinstance(event, Ended):
                self._endings[event.task] = event
            self._on_event(event)

    def _explain(self, attempt: Attempt) -> tuple[Failure, tuple[str, ...]]:
        found = failure.explain(attempt, lambda container: self._log(attempt.pod, container, OUR_LINES))
        is_shown = found.log is None or self._logs(attempt.task)
        return found, () if is_shown else self._log(attempt.pod, failure.STEP + MAIN, TAIL_LINES)

    def _log(self, pod: str, container: str, count: int) -> tuple[str, ...]:
        """The last lines of a container's log; none where it is not there, or no more."""
        if not pod:
            return ()
        try:
            return tuple(lines(self._api.log(self._known.namespace, pod, container, tail_lines=count)))
        except (ApiError, Unreachable):
            return ()

    def _catch_up(self) -> None:
        """The TaskRuns as they are now that the run has ended: their watch may be a moment behind."""
        with suppress(ApiError, Unreachable):
            [_, watched, _] = self._known.watched
            found = self._api.list(TASK_RUNS, self._known.namespace, labels=watched.labels)
            self._known.take(Listed(TASK_RUNS, tuple(found.get("items") or ())))

    def _outcome(self) -> Outcome:
        objects = self._known.objects
        status = objects.run["status"]
        found = view.settled(objects, [*self._tasks, *map(view.task_of, objects.task_runs), *self._finals])
        tasks = {name: found.get(name, TaskStatus(NONE, "")) for name in self._tasks}
        others = {name: status for name, status in found.items() if name not in tasks}
        succeeded, reason, message = view.condition(objects.run)
        state = view.state_of(objects.run, [found.get(name) for name in self._tasks])
        told = state is State.ABORT or any(one.status == FAILED for one in found.values())
        return Outcome(
            run=self._known.name,
            uid=self._known.uid,
            state=state,
            tasks=tasks,
            others=others,
            endings=self._endings,
            results={view.node_of(one): view.results(one) for one in objects.task_runs},
            ended_at=str(status.get("finallyStartTime") or status.get("completionTime") or ""),
            error=None if succeeded or told else f"{reason}: {message}",
        )
