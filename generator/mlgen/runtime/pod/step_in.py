"""Step stage-in of a pod."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgen.diagnostic import CannotAnswer
from mlgen.runtime.outs import StagingError, sentence
from mlgen.runtime.pod.handover import CALLED_OFF, FAILED, READY, REFUSED, STAGED, UNREACHABLE
from mlgen.runtime.pod.post import CalledOff, Post
from mlgen.runtime.protocol import Execution
from mlgen.runtime.stage_in import OpenStore, stage_in

if TYPE_CHECKING:  # of fans and their readers, and of tasks with a policy of retries
    from mlgen.runtime.attempts.notes import Refused
    from mlgen.runtime.fans.gathering import Gathering

READY_SECONDS = 180  # until the sidecar must be ready; it gives up reaching the spool after 120


def bring(post: Post, open_at: OpenStore) -> int:
    """Step stage-in, once the sidecar is there to record what becomes of it; its exit code.

    That is the program's of the attempt before, where this one must not run: the outcome of the task stays what it was.
    open_at: the store at a URI, for inputs. Raises CannotAnswer "not-staged", and has left its words for the sidecar
    then; "no-sidecar"; "called-off" for an item of a fan of which too many have failed.
    """
    handover = post.handover
    if post.hear(READY, READY_SECONDS) is None:  # no probe of Kubernetes waits for it: that would look once a second
        raise CannotAnswer(
            "no-sidecar",
            "the results sidecar was not ready, so that nothing of this execution would be recorded",
            why="it ended, or could not begin; the log of its container says why",
        )
    handover.begin()
    post.at("begun")
    try:
        unreachable = handover.told(UNREACHABLE)
        if unreachable is not None:
            raise StagingError(f"the records of this run cannot be kept: {unreachable}")
        refused = _bring(post, open_at)
    except CalledOff as reason:
        handover.tell(CALLED_OFF, str(reason))
        handover.wake()
        raise CannotAnswer("called-off", str(reason)) from None
    except Exception as error:
        problem = sentence(error)
        handover.tell(FAILED, problem)
        handover.wake()
        raise CannotAnswer("not-staged", problem) from error
    if refused is not None:
        handover.tell(REFUSED, refused.to_text())
        handover.wake()
        post.say(refused.error)
        return refused.step_exit_code
    handover.tell(STAGED)
    handover.wake()
    return 0


def _bring(post: Post, open_at: OpenStore) -> Refused | None:
    """Bring all that the program reads; why it must not run, where an attempt before says so."""
    # What a task has of its own is imported where it has it: each start of a pod pays for all it loads.
    document, gathering = post.document, None
    if document.statuses is not None:
        from mlgen.runtime.pod import final

        text, left_out = final.tasks_text(post.pod, document.statuses, post.store)
        if left_out:
            post.say(left_out)
        post.tree.input(final.TASKS).write_text(text, newline="")
    if document.fan is not None or any(one.late for one in document.ins):
        from mlgen.runtime.fans import arriving

        gathering = arriving.gathering_of(post)
        if document.fan is not None:
            arriving.check_failures(post, document.fan)
            arriving.tell_item(post, document.fan, gathering)
    if document.retry is None and document.checkpoint is None:
        if not _stage(post, open_at, _with_late(post, gathering)):
            _meet(post)
        return None
    from mlgen.runtime.attempts import following

    if post.rank == 0:
        refused = following.refused(post)
        if refused is not None:
            return refused
        following.wait(post)
    execution = _with_late(post, gathering)
    if _stage(post, open_at, execution) or not _meet(post):
        return None  # the program does not run
    following.restore(post, execution)  # of several nodes, all find the same save: none has begun to make another
    return following.begin(post)


def _meet(post: Post) -> bool:
    """Wait for the other nodes of a task on several; whether the program is to run here."""
    if post.document.nodes is None:
        return True
    from mlgen.runtime.nodes import meeting  # here: as above

    return meeting.meet(post)


def _with_late(post: Post, gathering: Gathering | None) -> Execution:
    """The execution with the texts of ins that only the bucket knows."""
    if gathering is None:
        return post.execution
    from mlgen.runtime.fans import arriving  # here: see `_bring`

    return replace(post.execution, ins={**post.execution.ins, **arriving.late_ins(post, gathering)})


def _stage(post: Post, open_at: OpenStore, execution: Execution) -> bool:
    """Whether what the program would make was found in the cache; else all that it reads is there."""
    document = post.document

    def bring_all() -> None:
        if document.code_digest is not None or any(i.kind != "value" for i in document.ins):
            _stage_code(post)
            stage_in(document, execution, post.tree, post.store, open_at)

    if document.cache is None:
        bring_all()
        return False
    from mlgen.runtime.cache.around import Asked, arrive  # here: see `_bring`

    asked = Asked(post.store, post.clock.now(), post.pod.look, post.say)
    hit = arrive(document, execution, post.tree, asked, bring_all)
    Path(post.pod.run_file).write_text("false" if hit else "true")
    if hit is not None and document.nodes is not None:
        from mlgen.runtime.nodes import meeting  # here: see `_bring`

        meeting.spare(post)
    return hit is not None


def _stage_code(post: Post) -> None:
    if post.document.code_digest is not None:
        from mlgen.runtime import bundle  # here: see `_bring`

        bundle.stage_code(post.document, post.tree, post.store)
