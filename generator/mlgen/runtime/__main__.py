"""`mlgen-runtime`: what runs beside a task in its pod. This file alone reads the process's arguments and variables."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from mlgen.diagnostic import CannotAnswer, Fault, visible
from mlgen.runtime.clock import timestamp
from mlgen.runtime.invocation import GatePod, Invocation, RecordPod, TaskPod, read_invocation
from mlgen.runtime.pod import Places
from mlgen.runtime.post import Post
from mlgen.runtime.stores import open_artifacts, open_input


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
        return _run(read_invocation(sys.argv[1:], os.environ), places or Places(), at)
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
        case TaskPod():
            return _in_task(_post(invocation, places, at))
        case GatePod():
            from mlgen.runtime import steps

            steps.evaluate(invocation, places)
            return 0
        case RecordPod():
            from mlgen.runtime import final

            final.record(invocation, open_artifacts(invocation.document), timestamp(SystemClock().now()))
            return 0


def _post(pod: TaskPod, places: Places, at: Callable[[str], None]) -> Post:
    return Post(pod, places, partial(open_artifacts, pod.document), SystemClock(), time.sleep, at)


def _in_task(post: Post) -> int:
    if post.pod.verb == "results":
        from mlgen.runtime.sidecar import Sidecar  # here: see `_run`

        Sidecar(post).run()
        return 0
    from mlgen.runtime import steps  # here: see `_run`

    if post.pod.verb == "stage-out":
        return steps.keep(post)
    steps.bring(post, lambda uri: open_input(post.document, uri, post.pod.bucket_keys))
    return 0


if __name__ == "__main__":
    sys.exit(main())
