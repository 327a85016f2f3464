"""A tree object's entries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """mode: as Git writes it, "40000" for a folder, "100644" or "100755" for a file, "120000" for a link, "160000" for
    a commit of another repository. oid: in hex."""

    mode: str
    oid: str


def read_entries(data: bytes, id_bytes: int) -> dict[str, Entry]:
    """A tree's files and folders, by name. id_bytes: 20 for SHA-1, 32 for SHA-256. Raises ValueError for no tree.

    Source: git's Documentation/gitformat-index and `git cat-file tree`: `<mode> <name>\\0<id>` for each.
    """
    entries, at = {}, 0
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, name = data[at:end].partition(b" ")
        at = end + 1 + id_bytes
        entries[name.decode(errors="surrogateescape")] = Entry(mode.decode(errors="replace"), data[end + 1 : at].hex())
    return entries


def read_tree(data: bytes, id_bytes: int) -> dict[str, str]:
    """The ids of a tree's files and folders, by name; as `read_entries`."""
    return {name: entry.oid for name, entry in read_entries(data, id_bytes).items()}
