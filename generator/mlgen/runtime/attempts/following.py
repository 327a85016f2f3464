"""What stage-in does for an attempt that follows another: it may refuse, waits for its turn, finds the checkpoint."""

from __future__ import annotations

from dataclasses import replace

from mlgen.runtime.attempts import notes as attempts
from mlgen.runtime.attempts.checkpoint import checkpoint_folder, checkpoint_of
from mlgen.runtime.attempts.notes import Refused
from mlgen.runtime.attempts.retrying import Policy, refusal
from mlgen.runtime.cache.key import make
from mlgen.runtime.pod.handover import IDENTITY
from mlgen.runtime.pod.post import Post
from mlgen.runtime.protocol import CacheDocument, CheckpointDocument, Execution
from mlgen.runtime.stage_in import staged_inputs

# For the word of the attempt before, whose sidecar may still tell, or save its checkpoint. Of one that was lost,
# nothing comes: that is what the loss of a node costs.
TELLING_SECONDS, SAVING_SECONDS = 5, 30


def refused(post: Post) -> Refused | None:
    """Why this attempt must not run, as far as that can be known before its bytes are here."""
    document, execution = post.document, post.execution
    policy = document.retry or Policy()
    if execution.attempt and (document.retry or document.checkpoint):
        _hear_predecessor(post, policy)
    if document.retry is None or (execution.attempt == 0 and policy.idempotent):
        return None
    return attempts.refuse(post.store, policy, document, execution)


def _hear_predecessor(post: Post, policy: Policy) -> None:
    """Wait until the attempt before has said how it ended, for a while."""
    until = post.clock.monotonic() + (SAVING_SECONDS if post.document.checkpoint else TELLING_SECONDS)
    while post.clock.monotonic() < until:
        last = attempts.before(post.store, post.document, post.execution)
        if last is not None and last.attempt == post.execution.attempt - 1:
            return
        if last is not None and refusal(policy, last.cause, last.exit_code, began=False) is not None:
            return  # those after it did nothing
        post.pause(1.0)


def wait(post: Post) -> None:
    """Wait for the rest of the backoff. The pod has its node already; nothing of ours runs before that."""
    document = post.document
    if document.retry is not None and post.execution.attempt:
        now = post.clock.now()
        seconds = attempts.wait_seconds(post.store, document.retry, document, post.execution, now)
        if seconds:
            post.say(f"tried again in {seconds:.0f} s, as its `backoff` says")
            post.pause(seconds)
    post.at("waited")


def restore(post: Post, execution: Execution) -> None:
    """Lay down what the attempt before saved; without any, what the runs saved that this one takes up.

    execution: with the texts of all ins.
    """
    document = post.document
    if document.checkpoint is not None:
        checkpoint = checkpoint_of(post.store, document, execution, post.tree)
        checkpoint.identity = _identity(post, execution, document.checkpoint)
        post.handover.tell(IDENTITY, checkpoint.identity or "")  # for the sidecar, which saves
        item = execution.item.index if execution.item else 0
        earlier = [checkpoint_folder(document.pipeline, uid, document.task, item) for uid in post.pod.resumes]
        found = checkpoint.restore(earlier)
        if found is not None:
            post.say(f"continues from its checkpoint: {found.files} files, {found.size_bytes:,} bytes")
        post.at("restored")


def _identity(post: Post, execution: Execution, asked: CheckpointDocument) -> str | None:
    """A digest of what the program computes from; None where its Task is of an mlgen that told no parts of it."""
    if not asked.parts:
        return None
    document = replace(post.document, cache=CacheDocument(asked.parts))
    staged = {artifact.name: artifact.digest for artifact in staged_inputs(post.tree)}
    return make(document, execution, staged).digest


def begin(post: Post) -> Refused | None:
    """Say that the program begins, where it may do so once."""
    policy = post.document.retry
    if policy is None or policy.idempotent:
        return None
    return attempts.begin(post.store, post.document, post.execution)
