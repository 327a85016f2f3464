"""The only room that runs git: few processes, a scrubbed environment, nothing that a repository's config could start.

A clone of a fork, or an unpacked archive with a `.git` in it, is hostile: its config may name programs (hooks,
fsmonitor, filters, transports). What we run here is plumbing that starts none of them, or is told not to.
"""

from mlgen.git.ancestry import Ancestry, Rewritten, rewritten
from mlgen.git.base import Branches, Look
from mlgen.git.command import GitError, RefBroken, RefLocked, RefMoved
from mlgen.git.commit_object import committed_at, signature_of, with_signature
from mlgen.git.host import MEMORY_MIB
from mlgen.git.mirror import kept, refresh
from mlgen.git.objects import Measured, Object, Reader, blob_id
from mlgen.git.remote import PushRefused, Remote, open_remote
from mlgen.git.repository import Repository, TreeFile, branch_ref, discover, init_bare
from mlgen.git.signers import Signers, Verdict
from mlgen.git.signing import Signer, signer_of
from mlgen.git.url import check_url

__all__ = [
    "MEMORY_MIB",
    "Ancestry",
    "Branches",
    "GitError",
    "Look",
    "Measured",
    "Object",
    "PushRefused",
    "Reader",
    "RefBroken",
    "RefLocked",
    "RefMoved",
    "Remote",
    "Repository",
    "Rewritten",
    "Signer",
    "Signers",
    "TreeFile",
    "Verdict",
    "blob_id",
    "branch_ref",
    "check_url",
    "committed_at",
    "discover",
    "init_bare",
    "kept",
    "open_remote",
    "refresh",
    "rewritten",
    "signature_of",
    "signer_of",
    "with_signature",
]
