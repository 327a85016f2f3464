"""Step stage-in of a pod."""

from __future__ import annotations

from mlgen.diagnostic import CannotAnswer
from mlgen.runtime import bundle
from mlgen.runtime.handover import FAILED, STAGED, UNREACHABLE
from mlgen.runtime.outs import StagingError, sentence
from mlgen.runtime.post import Post
from mlgen.runtime.stage_in import OpenStore, stage_in


def bring(post: Post, open_at: OpenStore) -> None:
    """Step stage-in. Raises CannotAnswer "not-staged", and has left its words for the sidecar then.

    open_at: the store at a URI, for inputs.
    """
    handover = post.handover
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
