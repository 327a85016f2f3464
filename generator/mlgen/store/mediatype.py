"""What kind of file bytes are: a guess for people, the same on every machine."""

from __future__ import annotations

import re

# By the name where it has a suffix: an out's name has none, an input's often.
_SUFFIXES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "html": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "parquet": "application/vnd.apache.parquet",
    "svg": "image/svg+xml",
}
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"\x1f\x8b", "application/gzip"),
    (b"(\xb5/\xfd", "application/zstd"),
    (b"PK\x03\x04", "application/zip"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"ARROW1", "application/vnd.apache.arrow.file"),
    (b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (b"\x93NUMPY", "application/x-npy"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
_TEXTS = (
    (r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg\b", "image/svg+xml"),
    (r"<!doctype html|<html\b", "text/html"),
)


def media_type(name: str, head: bytes) -> str:
    """A guess at the type of a file, from its name and its first bytes."""
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if found is not None:
        return found
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    text = head.decode("utf-8", errors="ignore")
    if not head or b"\x00" in head or len(text.encode()) < len(head) - 3:  # a character may be cut at the end
        return "application/octet-stream"
    return next(
        (kind for form, kind in _TEXTS if re.match(form, text.lstrip(), re.IGNORECASE | re.DOTALL)), "text/plain"
    )
