"""What git-fast-import is told to make a commit that no branch knows of yet. Source: git-fast-import(1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mlgen.git.command import IDENTITY

_PATH = re.compile(r"[A-Za-z0-9._/-]+")  # of a file that is added: nothing that fast-import would want quoted


def commit(changes: bytes, *, message: str, seconds: int, object_format: str) -> bytes:
    """The stream of a commit, whose id is printed. changes: what follows the commit's message."""
    # The branch lives only inside fast-import: a reset to the null id, at the end, keeps it from being written.
    text = message.encode()
    committer = f"committer {IDENTITY[0]} <{IDENTITY[1]}> {seconds} +0000\n".encode()
    head = b"feature done\ncommit refs/mlgen/new\nmark :1\n%sdata %d\n%s\n" % (committer, len(text), text)
    null = b"0" * (64 if object_format == "sha256" else 40)
    return head + changes + b"get-mark :1\nreset refs/mlgen/new\nfrom %s\n\ndone\n" % null


def added(files: Mapping[str, bytes], parent: str | None) -> bytes:
    """A parent's files, by its id, and others, by path."""
    lines = [] if parent is None else [b"from %s\n" % parent.encode()]
    lines += [b"M 100644 inline %s\ndata %d\n%s\n" % (_path(path), len(data), data) for path, data in files.items()]
    return b"".join(lines)


def without(tree: bytes, paths: Iterable[str]) -> bytes:
    """A tree, by its id, less some files, and no parent."""
    return b'M 040000 %s ""\n' % tree + b"".join(b'D "%s"\n' % _quoted(path) for path in paths)


def _path(path: str) -> bytes:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path[:80]!r} is no path of a record")
    return path.encode()


def _quoted(path: str) -> bytes:
    """A path as C writes a string, whatever it has in it: others may have put files of any name there."""
    return re.sub(rb"[^ !#-\[\]-~]", lambda byte: b"\\%03o" % ord(byte[0]), path.encode(errors="surrogateescape"))
