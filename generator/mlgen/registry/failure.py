"""Why a registry gave no digest. Texts that a host sent are quoted, credentials never."""

from __future__ import annotations

from enum import StrEnum

QUOTED = 160  # characters of what a host or program said


class Kind(StrEnum):
    """unknown is an answer about the image; all others say that there was none."""

    UNKNOWN = "unknown-image"
    DENIED = "registry-denied"
    UNREACHABLE = "registry-unreachable"
    ODD = "registry-odd"


class Failure(Exception):
    """why: in a sentence. fix: what may mend it, "" where nothing is known. again_after: seconds, if worth a try."""

    def __init__(self, kind: Kind, why: str, fix: str = "", *, again_after: float | None = None) -> None:
        self.kind, self.why, self.fix, self.again_after = kind, why, fix, again_after
        super().__init__(why)
