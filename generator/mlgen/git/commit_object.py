"""What a commit object's bytes say: when it was made, its signature, and what that signs."""

from __future__ import annotations

from datetime import UTC, datetime

from mlgen.git.command import RefBroken

NAMESPACE = "git"  # of all that git signs: a signature made for something else is none of a commit
BEGIN, END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
# The header by the length of the repository's ids. Source: git's Documentation/technical/hash-function-transition.
_HEADERS = {40: b"gpgsig", 64: b"gpgsig-sha256"}


def committed_at(commit: bytes) -> datetime:
    """When a commit was made, by the clock of whoever made it. Raises RefBroken where it does not say.

    Source: git-commit-tree(1): `committer <name> <email> <seconds since 1970> <zone>` among the headers.
    """
    headers = commit.partition(b"\n\n")[0].splitlines()
    try:
        committer = next(line for line in headers if line.startswith(b"committer "))
        return datetime.fromtimestamp(int(committer.split()[-2]), UTC)
    except (StopIteration, IndexError, ValueError, OverflowError, OSError):
        raise RefBroken("a commit of it does not say when it was made") from None


def signature_of(commit: bytes) -> tuple[bytes, bytes | None]:
    """(what was signed, the signature) of a commit object; None where there is none.

    What was signed is the object without any signature's header. Two signatures are as good as none: readers would
    differ in which one counts. Source: git's parse_signed_commit, commit.c.
    """
    head, gap, message = commit.partition(b"\n\n")
    kept: list[bytes] = []
    found: list[tuple[bytes, list[bytes]]] = []
    into = kept
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            into.append(line if into is kept else line[1:])
            continue
        name, _, value = line.partition(b" ")
        if name in _HEADERS.values():
            found.append((name, [value]))
            into = found[-1][1]
        else:
            kept.append(line)
            into = kept
    tree = kept[0].partition(b" ")[2]
    signature = None
    if len(found) == 1 and found[0][0] == _HEADERS.get(len(tree)):
        signature = b"\n".join(found[0][1])
    return b"\n".join(kept) + gap + message, signature


def with_signature(commit: bytes, signature: bytes) -> bytes:
    """A commit object with a signature as its last header."""
    head, gap, message = commit.partition(b"\n\n")
    header = _HEADERS[len(head[len("tree ") :].partition(b"\n")[0])]
    lines = signature.rstrip(b"\n").replace(b"\n", b"\n ")
    return head + b"\n" + header + b" " + lines + gap + message
