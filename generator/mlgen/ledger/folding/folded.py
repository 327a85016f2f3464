"""What a fold did, and the one line about it that somebody must see."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

ALERT = "ledger-alert:"  # how the line begins, wherever it is printed: logs are searched for it


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that went to `_ledger/dead/`. code: why, in a word. path: where it would have been, if it has a path."""

    key: str
    code: str
    message: str
    path: str | None = None


@dataclass(slots=True)
class Folded:
    """What a fold did. commit: the tip that the paths were read back from; None: there is no ledger yet.

    landed: paths that this fold added. already: paths that were there with the same bytes. conflicts: records that
    met other bytes at their path. refused: others that can never land. left: what stays: records that only a newer
    mlgen can place, those of another ledger, what is too large to be one, and what has no record's name.
    later: how many could land, and wait for a push that may be made later; so many were looked at, there may be more.
    by_others: whether some of what waited was gone when its turn came: another fold landed it.
    """

    commit: str | None = None
    landed: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    conflicts: list[Refused] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    left: list[Refused] = field(default_factory=list)
    later: int = 0
    by_others: bool = False


def alert(folded: Folded, env: str) -> str | None:
    """One line where records were set aside, for logs that are searched for ALERT; None where all went well.

    It has no record's words: `ledger-alert: env=prod dead=3 git-push-refused=2 ledger-conflict=1`, and what to do.
    """
    dead = [*folded.conflicts, *folded.refused]
    if not dead:
        return None
    counts = " ".join(f"{code}={count}" for code, count in sorted(Counter(one.code for one in dead).items()))
    return f"{ALERT} env={env} dead={len(dead)} {counts}; `mlgen ledger fold --dead --env {env}` tries them again"
