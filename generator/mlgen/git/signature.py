"""Where a commit object has its signature, and what it signs, as `git commit -S` and `git verify-commit` have it."""

from __future__ import annotations

NAMESPACE = "git"  # of all that git signs: a signature made for something else is none of a commit
BEGIN, END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
# The header by the length of the repository's ids. Source: git's Documentation/technical/hash-function-transition.
_HEADERS = {40: b"gpgsig", 64: b"gpgsig-sha256"}


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
