"""What a record says of the cache: the key of a task that is cached. Apart from `key`: a plain task has none."""

from __future__ import annotations

from mlgen.runtime.protocol import TaskDocument, Tree


def digest_of(document: TaskDocument, tree: Tree) -> str | None:
    """The digest of an execution's key, as stage-in found it; None where it did not come so far, or has none."""
    if document.cache is None:
        return None
    from mlgen.runtime.cache.key import of_tree  # here: see above

    key = of_tree(document, tree)
    return None if key is None else key.digest
