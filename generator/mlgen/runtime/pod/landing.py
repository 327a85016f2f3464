"""A fold from a pod: what waits in the spool lands in the ledger's repository, as far as a few seconds go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from mlgen.git import open_remote, signer_of
from mlgen.ledger.folding.fold import Expected, Folded, Load, fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.folding.turns import Paced, Turns, Unpaced, ahead
from mlgen.runtime.clock import Clock
from mlgen.runtime.pod.contract import Fold
from mlgen.store import Store

LOAD = Load(records=1000, size_bytes=4 << 20)  # in a container of 128 MiB, of which git may have half


@dataclass(frozen=True, slots=True)
class Pace:
    """How a pod waits for its turn to push. who: a text that no other process has.

    patient: it makes pushes ahead of their time, and waits for more; else it has the push of this moment, or none.
    """

    who: str
    clock: Clock
    sleep: Callable[[float], None]
    patient: bool


def land(
    ledger: Fold,
    store: Store,
    *,
    env: str,
    secret: Path,
    scratch: Path,
    environ: Mapping[str, str],
    pace: Pace,
    seconds: float,
) -> Folded:
    """Fold the records of an environment, for so many seconds at most; what became of them.

    secret: the folder where the ledger's Secret is mounted; with a signing key in it, commits are signed. scratch: as
    in `open_remote`.
    Records of others that share the spool stay: what their ledgers are, a pod does not know.
    Raises CannotAnswer, Misuse, StoreError; what waits then goes on waiting.
    """
    remote = open_remote(
        ledger.url,
        secret=secret,
        scratch=scratch,
        environ=environ,
        timeout_seconds=seconds,
        secret_name=ledger.secret or "",
        signer=signer_of(secret, ledger.secret or "", scratch=scratch, environ=environ),
    )
    turns = _turns(ledger, store, pace, seconds)
    if not pace.patient and not turns.is_free():  # most pods end here, and have asked for one key
        return Folded()
    now = pace.clock.now().astimezone(UTC)
    expected = Expected(frozenset({env}), None)
    return fold(Spool(store), remote, ledger.branch, now=now, expected=expected, load=LOAD, turns=turns)


def _turns(ledger: Fold, store: Store, pace: Pace, seconds: float) -> Turns:
    """until: a push that is begun later would not be through in time."""
    if not ledger.interval_seconds:
        return Unpaced()
    return Paced(
        store,
        f"{ledger.url}\n{ledger.branch}",
        ledger.interval_seconds,
        pace.who,
        pace.clock,
        pace.sleep,
        until=pace.clock.monotonic() + seconds / 2,
        ahead=ahead(ledger.interval_seconds) if pace.patient else 0,
    )
