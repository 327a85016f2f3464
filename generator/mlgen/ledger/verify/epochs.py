"""What the root of an epoch says of the history before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlgen.ledger import chain

_EPOCH = re.compile(r"^Mlgen-(Epoch|Prev-Tip): (\d{1,9}|[0-9a-f]{40}|[0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Epoch:
    """number: from 1. prev_tip: the id of the tip before it. prev: what the chain's value was there."""

    number: int
    prev_tip: str
    prev: str


def of_commit(commit: bytes) -> Epoch | None:
    """The epoch that a root begins; None of any other commit."""
    link = chain.of_commit(commit)
    found = _EPOCH.findall(commit.partition(b"\n\n")[2].decode(errors="replace").rstrip().rpartition("\n\n")[2])
    values = dict(found)
    if link is None or len(found) != 2 or len(values) != 2 or not values["Epoch"].isdigit():
        return None
    return Epoch(int(values["Epoch"]), values["Prev-Tip"], link.prev)
