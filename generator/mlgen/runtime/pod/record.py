"""The record of an execution in this pod that its stage-out could not make, or must not."""

from __future__ import annotations

from mlgen.ledger.records.task import TaskRecord
from mlgen.runtime.cache.recorded import digest_of
from mlgen.runtime.ending import Ending, record_of
from mlgen.runtime.pod.post import Post
from mlgen.runtime.stage_in import staged_inputs


def without_outs(post: Post, ending: Ending) -> TaskRecord:
    """What was read, and how it ended."""
    inputs, cache_key = staged_inputs(post.tree), digest_of(post.document, post.tree)
    return record_of(post.document, post.execution, ending, inputs=inputs, cache_key=cache_key)
