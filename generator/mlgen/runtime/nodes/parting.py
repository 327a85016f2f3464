"""How a program on several nodes ended, as stage-out of one of its pods finds it."""

from __future__ import annotations

from dataclasses import replace

from mlgen.diagnostic import Fault
from mlgen.ledger.records.task import State
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.ending import POD_STOPPED, STEP_FAILED, SUCCEEDED, TIMED_OUT, Ending, cause_of
from mlgen.runtime.nodes.board import blamed, board_of
from mlgen.runtime.nodes.model import End
from mlgen.runtime.outs import sentence
from mlgen.runtime.pod.handover import GROUP, KEPT, MAIN_AT, ROOT, TOLD_TO_END
from mlgen.runtime.pod.post import Post
from mlgen.store import StoreError

SETTLE_SECONDS = 3.0  # for a node that failed before this one, and whose word comes later
ANSWER_SECONDS = 90.0  # for rank 0's word, once another failed
PAUSE_SECONDS = 0.2
UNHEARD = "node 0 has not said how the attempt ended"


def ending_of(post: Post, own: Ending) -> Ending:
    """How the execution ended, of which this pod's program is one. own: how that ended.

    Of rank 0 it is the task's; of another it is what its TaskRun says.
    """
    try:
        return _of_other(post, own) if post.rank else _of_root(post, own)
    except (StoreError, Fault, OSError) as error:
        return _failed(own, STEP_FAILED, f"the other nodes cannot be told: {sentence(error)}", Cause.INFRASTRUCTURE)


def blames_another(post: Post) -> bool:
    """Whether it is another node that ended the attempt."""
    told = post.handover.told(GROUP)
    return told is not None and (end := End.loads(told)).rank != post.rank and not end.well


def _of_root(post: Post, own: Ending) -> Ending:
    handover, nodes = post.handover, post.document.nodes
    assert nodes is not None, "of a task on several nodes"
    board = board_of(post.store, post.document, post.execution)
    if own.state is State.COMPLETE:
        well = End(0, True, own.ended_at)
        if handover.tell(GROUP, well.to_bytes().decode()) or End.loads(handover.told(GROUP) or "").well:
            board.tell_end(well)  # the others have a while to end by themselves
            return own
    end = _first(post, own)
    handover.tell(GROUP, end.to_bytes().decode())
    board.tell_end(replace(end, rank=0, error=end.sentence(nodes.count)))
    return _of_end(post, own, end)


def _first(post: Post, own: Ending) -> End:
    """Who was the first to fail: a program may fail because another's did, and be heard of before."""
    handover, board = post.handover, board_of(post.store, post.document, post.execution)
    told = handover.told(GROUP)
    known = [End.loads(told)] if told is not None else []
    if own.state is not State.COMPLETE and handover.told(TOLD_TO_END) is None:
        known.append(_own_end(post, own))
    until = post.clock.monotonic() + SETTLE_SECONDS
    found: list[End] = []
    while post.clock.monotonic() < until:
        found = list(board.ends(board.look(), own.ended_at))
        post.pause(PAUSE_SECONDS)
    first = blamed([*found, *known])
    assert first is not None, "one has failed"
    return first


def _of_end(post: Post, own: Ending, end: End) -> Ending:
    assert post.document.nodes is not None, "of a task on several nodes"
    error = end.error if end.reason == TIMED_OUT else end.sentence(post.document.nodes.count)
    # Of a program here that ended with 0 all the same, no other exit code can be told: the cluster knows its own.
    code = None if own.exit_code == 0 else end.exit_code
    cause = Cause(end.cause) if end.cause else None
    return replace(own, state=State.FAIL, reason=end.reason or STEP_FAILED, exit_code=code, error=error, cause=cause)


def _of_other(post: Post, own: Ending) -> Ending:
    handover, nodes = post.handover, post.document.nodes
    assert nodes is not None, "of a task on several nodes"
    failed = own.state is not State.COMPLETE and handover.told(TOLD_TO_END) is None
    if failed:
        end = _own_end(post, own)
        board_of(post.store, post.document, post.execution).tell_end(end)
        handover.tell(GROUP, end.to_bytes().decode())
        handover.wake()
    root = _hear_root(post, ANSWER_SECONDS if failed else None)
    if root is None or not root.well:
        if failed:
            return own
        told = handover.told(GROUP)
        end = End.loads(told) if told is not None else root or End(0, False, own.ended_at, error=UNHEARD)
        error = f"ended with the others: {end.sentence(nodes.count)}"
        return _failed(own, POD_STOPPED, error, Cause.INFRASTRUCTURE)
    if post.execution.attempt < nodes.retries and not _is_kept(post):
        return _failed(own, POD_STOPPED, "what node 0 left was not kept", Cause.INFRASTRUCTURE)
    return Ending(State.COMPLETE, SUCCEEDED, 0, None, own.started_at, own.ended_at)


def _hear_root(post: Post, seconds: float | None) -> End | None:
    """How rank 0 says that all ended; None where it does not within so many seconds, or nobody here can hear it."""
    until = None if seconds is None else post.clock.monotonic() + seconds
    while (told := post.handover.told(ROOT)) is None:
        if post.handover.ended("results") or (until is not None and post.clock.monotonic() >= until):
            return None
        post.pause(PAUSE_SECONDS)
    return End.loads(told)


def _is_kept(post: Post) -> bool:
    """Whether rank 0's record is of a success: before that, all may have to run again."""
    while (told := post.handover.told(KEPT)) is None:
        if post.handover.ended("results"):
            return False
        post.pause(PAUSE_SECONDS)
    return told == "complete"


def _own_end(post: Post, own: Ending) -> End:
    at = post.handover.told(MAIN_AT) or own.ended_at
    cause = own.cause or cause_of(own.state, own.reason, own.exit_code)
    return End(
        post.rank, False, at, own.exit_code, own.reason, own.error or "", str(cause) if cause is not None else None
    )


def _failed(own: Ending, reason: str, error: str, cause: Cause) -> Ending:
    return replace(own, state=State.FAIL, reason=reason, exit_code=None, error=error, cause=cause)
