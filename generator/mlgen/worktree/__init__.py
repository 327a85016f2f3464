"""The author's repository: the only room that reads what specs name. Nothing outside the repository is read.

`Worktree` reads the files as they lie there now, `Snapshot` as a commit has them; both judge links and names alike.
"""

from mlgen.worktree.disk import Worktree
from mlgen.worktree.names import MAX_SPEC_BYTES
from mlgen.worktree.snapshot import Snapshot
from mlgen.worktree.tree import Tree

__all__ = ["MAX_SPEC_BYTES", "Snapshot", "Tree", "Worktree"]
