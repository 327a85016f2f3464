"""Why an attempt failed, in the words of who knows best: our own containers, the author's exit code, or Tekton."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from mlgen.cluster.events import Failure
from mlgen.cluster.view import COMPLETED, CONTINUED, MAIN, MAKE_FIX, PULL_FIX, Attempt, base_of
from mlgen.diagnostic import CannotAnswer
from mlgen.runtime.ending import CANCELLED, SIGNALLED, TIMED_OUT, ended_with

# How our programs in a pod tell what stopped them: a line, then its why and fix (`runtime.__main__`).
_OURS = re.compile(r"mlgen-runtime: error\[(?P<code>[a-z0-9-]+)\]: (?P<message>.*)")
_MORE = re.compile(r"\s+(?P<word>why|fix)\s+(?P<text>.*)")
_IMAGE = re.compile(r'the step "(?P<step>[^"]*)".*errored with the message: "(?P<pod>.*?)[". ]*', re.DOTALL)
_PULL = re.compile(r'[^"]*image "(?P<image>[^"]+)": .*: (?P<said>[^:]+)', re.DOTALL)
# How Tekton adds what it knew before, to why it ended a TaskRun itself: in a line of its own, in words about the pod.
_BEFORE = re.compile(
    r'\s*\n\s*Previous status: (?:\[\w+\] )?(?:pod status "\w+":"\w+"; message: )?"?(?P<told>.*?)[". ]*', re.DOTALL
)
SIGKILLED = 137  # the exit code of a container that was killed

STEP, SIDECAR = "step-", "sidecar-"  # how Tekton names containers
OUR_CONTAINERS = (f"{STEP}stage-in", f"{STEP}stage-out", f"{STEP}record", f"{SIDECAR}results")

NODE_FAILED = "node-failed"  # of a pod that was ended because another node of its task failed

ReadLog = Callable[[str], Iterable[str]]  # container -> its last lines; none where it has none (any more)


def explain(attempt: Attempt, read: ReadLog) -> Failure:
    """Why a failed attempt failed."""
    return _by_author(attempt) or _by_us(attempt, read) or _by_tekton(attempt)


def is_echo(node: str, failure: Failure | None) -> bool:
    """Whether a failure is of another rank that ended with the others: the task's own says why, once for all."""
    return failure is not None and failure.code == NODE_FAILED and node != base_of(node)


def _by_author(attempt: Attempt) -> Failure | None:
    """What the author's program, or the limits that its author set, ended."""
    main = attempt.step(MAIN)
    if main is None or main.exit_code is None:
        return None
    if main.reason == "TimeoutExceeded":
        return Failure("the program ran longer than its timeout", fix="give the task a longer `timeout`", log=MAIN)
    if "OOMKilled" in (attempt.message, main.reason):
        return Failure("the program was out of memory", fix="give the task more `memory`", log=MAIN)
    if main.reason != CONTINUED or main.exit_code == 0 or _says_otherwise(attempt, main.exit_code):
        return None
    ended = "the program was ended by a signal" if main.exit_code == SIGNALLED else ended_with(main.exit_code)
    return Failure(ended, exit_code=main.exit_code, log=MAIN)


def _says_otherwise(attempt: Attempt, exit_code: int) -> bool:
    """Whether stage-out, which ends as the program did, ended as one of ours that says why: as of several nodes."""
    stage_out = attempt.step("stage-out")
    return stage_out is not None and stage_out.exit_code == CannotAnswer.exit_code != exit_code


def _by_us(attempt: Attempt, read: ReadLog) -> Failure | None:
    """What our own containers could not do; where the program ran before, its log may say why."""
    main = attempt.step(MAIN)
    log = MAIN if main is not None and main.reason == COMPLETED else None
    return next((replace(ours, log=log) for container in OUR_CONTAINERS if (ours := told(read(container)))), None)


def told(lines: Iterable[str]) -> Failure | None:
    """The last error that a program of ours told in its log."""
    found: Failure | None = None
    for line in lines:
        if match := _OURS.search(line):
            found = Failure(match["message"], code=match["code"])
        elif found and (match := _MORE.fullmatch(line)):
            text = f"{getattr(found, match['word'])}\n{match['text']}".strip()
            why, fix = (text, found.fix) if match["word"] == "why" else (found.why, text)
            found = Failure(found.message, why, fix, found.code)
    return found


def _by_tekton(attempt: Attempt) -> Failure:
    main = attempt.step(MAIN)
    message = _in_one_line(attempt.message)
    why = next((step.message for step in attempt.steps if step.message), message)
    if main is not None and main.reason == "Error":  # not `Continued`: Tekton's own process could not go on
        if main.exit_code == SIGKILLED:
            return Failure(
                "the program was killed, its container with it", fix="is the node short of memory?", log=MAIN
            )
        return Failure("the program could not be started", fix="is the command in the image?", log=MAIN)
    if attempt.reason == "TaskRunImagePullFailed":
        parts = _IMAGE.fullmatch(attempt.message)
        whose = "its image" if parts is None or parts["step"] == MAIN else f"the image of {parts['step']}"
        return Failure(f"{whose} cannot be pulled", _pull(parts["pod"]) if parts else why, fix=PULL_FIX)
    words = _OF_REASON.get(attempt.reason)
    if words is None:
        return Failure(message or attempt.reason or "it failed", why=attempt.reason if message else "")
    return Failure(words[0], why, fix=words[1])


def _pull(message: str) -> str:
    """The image and what its registry said at last: in between, each layer of software repeats the image's name."""
    found = _PULL.fullmatch(message)
    return f"{found['image']}: {found['said']}" if found else message


def _in_one_line(message: str) -> str:
    head, newline, rest = message.partition("\n")
    before = _BEFORE.fullmatch(newline + rest)
    return (
        f"{head.rstrip('.')}; before that: {' '.join(before['told'].split())}" if before else " ".join(message.split())
    )


_OF_REASON = {
    CANCELLED: ("it was cancelled", ""),
    TIMED_OUT: (
        "it did not end in time, staging and the wait for a node included",
        "`timeout` of the task, `queue` and `staging` of the environment say how long it may take",
    ),
    "PodEvicted": ("its pod was evicted from the node", "ask for the memory and disk that it needs"),
    "CreateContainerConfigError": ("its container cannot be made", MAKE_FIX),
    "PodAdmissionFailed": ("the cluster did not take its pod", ""),
    "PodCreationFailed": ("the cluster did not take its pod", ""),
}
