"""The bytes that are hashed: JSON with sorted keys, UTF-8, no NaN, nothing between the tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def encode(value: object) -> bytes:
    """The canonical bytes of a JSON value.

    Raises ValueError for NaN and infinities, which no JSON reader has to accept.
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def digest(value: object) -> str:
    """The digest of a JSON value's canonical bytes: "sha256:" and 64 hex digits."""
    return digest_bytes(encode(value))


def digest_bytes(data: bytes) -> str:
    """The digest of bytes: "sha256:" and 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def folder_digest(files: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """The digest of a folder, from its files: posix path below the folder -> 64 hex digits of the bytes.

    sha256 of the sorted lines `<sha256>  <path>\\n`, as `sha256sum` prints them.
    """
    pairs = files.items() if isinstance(files, Mapping) else files
    lines = sorted(f"{sha256}  {path}\n" for path, sha256 in pairs)
    return digest_bytes("".join(lines).encode())
