"""Secrets in a log, replaced while the log is written."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from mlgen.runtime import secrets as forms
from mlgen.secrets import MASK as MASK_TEXT

MASK = MASK_TEXT.encode()


def needles(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """What is looked for, as bytes. Longest first, as it must match."""
    found = {text.encode(errors="surrogateescape") for text in forms.needles(secrets)}
    return tuple(sorted(found, key=lambda needle: (-len(needle), needle)))


class Masker:
    """Replaces secrets in a stream of bytes, wherever the stream is cut into chunks.

    What `feed` and `close` return, joined, is what replacing in the whole stream would give.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._needles = needles(secrets)
        self._sorted = sorted(self._needles)
        self._longest = max(map(len, self._needles), default=1)
        # An empty alternation would match everywhere; this one matches nowhere.
        self._pattern = re.compile(b"|".join(map(re.escape, self._needles)) or b"(?!)")
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that can be told by now; the start of what may become a secret is held back."""
        held = self._held + chunk
        told, self._held = self._replace(held, self._certain(held))
        return told

    def close(self) -> bytes:
        """The rest."""
        told, rest = self._replace(self._held, len(self._held))
        self._held = b""
        return told + rest

    def _certain(self, held: bytes) -> int:
        """The offset up to which no further byte can change a match: where no tail is the beginning of a secret."""
        for start in range(max(0, len(held) - self._longest + 1), len(held)):
            if self._may_become_secret(held[start:]):
                return start
        return len(held)

    def _may_become_secret(self, tail: bytes) -> bool:
        """Whether a secret begins with it and goes on; in their order, all that begin alike stand together."""
        at = bisect_left(self._sorted, tail)
        if at < len(self._sorted) and self._sorted[at] == tail:
            at += 1
        return at < len(self._sorted) and self._sorted[at].startswith(tail)

    def _replace(self, held: bytes, certain: int) -> tuple[bytes, bytes]:
        told: list[bytes] = []
        end = 0
        for match in self._pattern.finditer(held):
            if match.start() >= certain:
                break
            told += held[end : match.start()], MASK
            end = match.end()
        told.append(held[end:certain])
        return b"".join(told), held[max(end, certain) :]
