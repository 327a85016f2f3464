"""Which names are an author's, in a work tree and in a commit alike."""

from __future__ import annotations

import re

MAX_SPEC_BYTES = 1 << 20
OWN = {".git": "Git keeps", ".mlgen": "mlgen keeps"}
SKIPPED = frozenset({*OWN, "__pycache__"})  # never an author's, also where nobody told Git to ignore them

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(folder: str, name: str) -> None:
    """Raises ValueError for the path of a file, below a folder, that no digest could keep."""
    # A newline would make two different folders share one list of `<sha256>  <path>\n`, and so one digest.
    if _CONTROL.search(name):
        raise ValueError(f'"{folder}" holds a file with a newline or another control character in its name')
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f'"{folder}" holds a file whose name is not UTF-8') from None
