"""A tree object's entries."""

from __future__ import annotations


def read_tree(data: bytes, id_bytes: int) -> dict[str, str]:
    """The ids of a tree's files and folders, by name. id_bytes: 20 for SHA-1, 32 for SHA-256.

    Source: git's Documentation/gitformat-index and `git cat-file tree`: `<mode> <name>\\0<id>` for each.
    """
    entries, at = {}, 0
    while at < len(data):
        end = data.index(b"\0", at)
        name = data[data.index(b" ", at) + 1 : end]
        at = end + 1 + id_bytes
        entries[name.decode(errors="surrogateescape")] = data[end + 1 : at].hex()
    return entries
