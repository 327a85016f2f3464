"""How stage-in of a task on several nodes waits for the others, through the sidecar, which alone hears them."""

from __future__ import annotations

from pathlib import Path

from mlgen.diagnostic import Fault
from mlgen.runtime.clock import timestamp
from mlgen.runtime.nodes.board import board_of
from mlgen.runtime.nodes.model import End
from mlgen.runtime.nodes.variables import ADDRESS
from mlgen.runtime.outs import StagingError
from mlgen.runtime.pod.handover import GROUP, HERE, MEET, NOT_RUN
from mlgen.runtime.pod.post import Post
from mlgen.store import StoreError

PAUSE_SECONDS = 0.1


def meet(post: Post) -> bool:
    """Wait until all nodes have their bytes, and note where rank 0 is; whether the program is to run.

    It is not on another rank than 0 where rank 0 needs nobody: it found a hit in the cache, or has ended. Raises
    StagingError where a node ended before all met, or was not there in time.
    """
    handover = post.handover
    handover.tell(HERE)
    handover.wake()
    post.at("here")
    assert post.document.nodes is not None, "of a task on several nodes"
    until = post.clock.monotonic() + post.document.nodes.wait_seconds
    while (address := handover.told(MEET)) is None or handover.told(GROUP) is not None:
        told = handover.told(GROUP)
        if told is not None:
            return _ended(post, End.loads(told))
        if handover.ended("results"):
            raise StagingError("the results sidecar ended while this node waited for the others")
        if post.clock.monotonic() >= until:
            raise StagingError(_missing(post))
        post.pause(PAUSE_SECONDS)
    post.tree.input(ADDRESS).write_text(address)
    if post.rank:
        Path(post.pod.run_file).write_text("true")
    post.at("met")
    return True


def spare(post: Post) -> None:
    """Rank 0 needs no other, as it takes what another execution made: let them end. Raises StoreError, Fault."""
    end = End(0, True, timestamp(post.clock.now()))
    post.handover.tell(GROUP, end.to_bytes().decode())
    board_of(post.store, post.document, post.execution).tell_end(end)


def _ended(post: Post, end: End) -> bool:
    assert post.document.nodes is not None, "of a task on several nodes"
    if not end.well or post.rank == 0:
        raise StagingError(end.error if end.rank == post.rank else end.sentence(post.document.nodes.count))
    post.handover.tell(NOT_RUN)
    Path(post.pod.run_file).write_text("false")
    post.say("node 0 needs no other: the program does not run here")
    return False


def _missing(post: Post) -> str:
    """Which nodes were not there, and what to look at."""
    nodes = post.document.nodes
    assert nodes is not None, "of a task on several nodes"
    try:
        there = board_of(post.store, post.document, post.execution).look().ready
        lacking = [rank for rank in range(nodes.count) if rank not in there and rank != post.rank]
        which = "node " + ", ".join(map(str, lacking[:5])) + (", …" if lacking[5:] else "")
    except (StoreError, Fault, OSError):
        which = "another node"
    run = post.execution.run
    return (
        f"{which} of {nodes.count} was not there within {nodes.wait_seconds:,} s: the cluster has no room for its pod, "
        f"or the pod cannot start: `kubectl get pods -l tekton.dev/pipelineRun={run}` says which"
    )
