"""`mlgen-runtime`: what runs beside a task in its pod. This file alone reads the process's arguments and variables."""

from __future__ import annotations

import os
import resource
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from mlgen.diagnostic import CannotAnswer, Fault, visible
from mlgen.runtime.clock import timestamp
from mlgen.runtime.pod.contract import Fold, Places
from mlgen.runtime.pod.invocation import (
    GatePod,
    Invocation,
    LookupPod,
    PublishedPod,
    RecordPod,
    TaskPod,
    read_invocation,
)
from mlgen.runtime.pod.post import Post
from mlgen.runtime.pod.stores import open_artifacts, open_input
from mlgen.runtime.protocol import TaskDocument

FINAL_FOLD_SECONDS = 60  # for all that a run has left


class SystemClock:
    """Fulfils `runtime.clock.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def main(places: Places | None = None, at: Callable[[str], None] = lambda _: None) -> int:
    """Run one verb; the exit code: 0 done, 2 asked wrongly, 3 could not, or the author's. at: see `Post`."""
    os.umask(0o007)  # all containers of a pod are of one user and group
    try:
        if sys.argv[1:] == ["start"]:  # no pod of a task: it has no document, and no place
            from mlgen.runtime.pod import start  # here: see `_run`

            _say(start.main())
            return 0
        invocation = read_invocation(sys.argv[1:], os.environ)
        try:
            return _run(invocation, places or Places(), at)
        finally:
            sys.stderr.write(_used(sys.argv[1]))
    except Fault as fault:
        return _told(fault)
    except Exception as error:  # the one boundary: a pod's log shows a line, not a traceback
        return _told(CannotAnswer("bug", f"a mistake in mlgen-runtime: {type(error).__name__}: {error}"))


def _told(fault: Fault) -> int:
    lines = [f"mlgen-runtime: error[{fault.code}]: {visible(fault.message)}"]
    lines += [f"   {word}  {visible(text)}" for word, text in (("why", fault.why), ("fix", fault.fix)) if text]
    sys.stderr.write("\n".join(lines) + "\n")
    return fault.exit_code


def _run(invocation: Invocation, places: Places, at: Callable[[str], None]) -> int:
    # What a verb runs is imported here: each start pays for one.
    match invocation:
        case TaskPod(verb="results"):
            from mlgen.runtime.pod.sidecar import FOLD_SECONDS, PATIENCE_SECONDS, Sidecar

            post = _post(invocation, places, at, patience_seconds=PATIENCE_SECONDS)
            ledger = _ledger(invocation.document)
            fold = partial(_land, ledger, post.document, places, FOLD_SECONDS) if ledger else None
            Sidecar(post, fold).run()
        case TaskPod(verb="stage-out"):
            from mlgen.runtime.pod import step_out

            return step_out.keep(_post(invocation, places, at))
        case TaskPod():
            from mlgen.runtime.pod import step_in

            post = _post(invocation, places, at)
            return step_in.bring(post, lambda uri: open_input(post.document, uri, invocation.bucket_keys))
        case LookupPod():
            from mlgen.runtime.cache import looking

            look_up = invocation
            looking.look(
                look_up,
                places,
                open_artifacts(look_up.document),
                lambda uri: open_input(look_up.document, uri, look_up.bucket_keys),
                clock=SystemClock(),
                say=_say,
            )
        case GatePod():
            _evaluate(invocation, places)
        case RecordPod():
            _record(invocation, places)
        case PublishedPod():
            from mlgen.runtime.pod import published

            document = invocation.document
            _say(published.check(invocation.pinned, open_artifacts(document), document.env))
    return 0


def _post(pod: TaskPod, places: Places, at: Callable[[str], None], **patience: float) -> Post:
    open_store = partial(open_artifacts, pod.document, **patience)
    return Post(pod, places, open_store, SystemClock(), time.sleep, _say, at)


def _evaluate(pod: GatePod, places: Places) -> None:
    from mlgen.runtime.outs import StagingError
    from mlgen.runtime.pod import step_out  # here: see `_run`

    try:
        step_out.evaluate(pod, places, partial(open_artifacts, pod.document))
    except StagingError as error:
        raise CannotAnswer("not-staged", str(error)) from None


def _record(pod: RecordPod, places: Places) -> None:
    from mlgen.runtime.outs import sentence
    from mlgen.runtime.pod import final  # here: see `_run`

    final.record(pod, open_artifacts(pod.document), timestamp(SystemClock().now()))
    ledger = _ledger(pod.document)
    if ledger is not None:
        try:
            _land(ledger, pod.document, places, FINAL_FOLD_SECONDS, patient=True)
        except Exception as error:  # whatever a fold meets fails no run: the records wait
            _say(f"the records wait in the spool: {sentence(error)}")


def _ledger(document: TaskDocument) -> Fold | None:
    return document.platform.fold if document.platform else None


def _land(ledger: Fold, document: TaskDocument, places: Places, seconds: float, *, patient: bool = False) -> None:
    from mlgen.ledger.folding.folded import alert  # here: only a pod that folds runs git
    from mlgen.runtime.pod.landing import Pace, land

    folded = land(
        ledger,
        open_artifacts(document),
        env=document.env,
        secret=places.ledger_secret,
        scratch=places.state / "ledger",
        environ=os.environ,
        pace=Pace(uuid.uuid4().hex, SystemClock(), time.sleep, patient),
        seconds=seconds,
    )
    line = alert(folded, document.env)
    if line is not None:
        _say(line)
    if patient and folded.later:
        _say(f"the records wait in the spool: {folded.later} or more wait for the ledger's next push")


def _used(verb: str) -> str:
    """What this program took, for whoever sizes clusters; of a fold's git processes, too.

    No note of ours about the task, which logs are searched for: those begin with "mlgen-runtime: ".
    """
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = sum(used.ru_utime + used.ru_stime for used in (own, children))
    return f"mlgen-runtime {verb}: {cpu_seconds:.2f} s of cpu, {max(own.ru_maxrss, children.ru_maxrss) // 1024} MiB\n"


def _say(line: str) -> None:
    sys.stderr.write(f"mlgen-runtime: {visible(line)}\n")


if __name__ == "__main__":
    sys.exit(main())
