"""Step stage-in of a pod."""

from __future__ import annotations

from mlgen.diagnostic import CannotAnswer
from mlgen.runtime import bundle
from mlgen.runtime.handover import FAILED, READY, STAGED, UNREACHABLE
from mlgen.runtime.outs import StagingError, sentence
from mlgen.runtime.post import Post
from mlgen.runtime.stage_in import OpenStore, stage_in

READY_SECONDS = 180  # until the sidecar must be ready; it gives up reaching the spool after 120


def bring(post: Post, open_at: OpenStore) -> None:
    """Step stage-in, once the sidecar is there to record what becomes of it.

    open_at: the store at a URI, for inputs. Raises CannotAnswer "not-staged", and has left its words for the sidecar
    then; "no-sidecar".
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
        if post.document.code_digest is not None or any(i.kind != "value" for i in post.document.ins):
            bundle.stage_code(post.document, post.tree, post.store)
            stage_in(post.document, post.execution, post.tree, post.store, open_at)
    except Exception as error:
        problem = sentence(error)
        handover.tell(FAILED, problem)
        handover.wake()
        raise CannotAnswer("not-staged", problem) from error
    handover.tell(STAGED)
    handover.wake()
