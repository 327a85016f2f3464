"""A fold from a pod: what waits in the spool lands in the ledger's repository, as far as a few seconds go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from mlgen.git import open_remote, signer_of
from mlgen.ledger.fold import Expected, fold, last_fold_at
from mlgen.ledger.spool import Spool
from mlgen.runtime.pod import Fold
from mlgen.store import Store


def land(
    ledger: Fold,
    store: Store,
    *,
    env: str,
    secret: Path,
    scratch: Path,
    environ: Mapping[str, str],
    now: datetime,
    seconds: float,
    if_due: bool,
) -> None:
    """Fold the records of an environment, for so many seconds at most. if_due: only when the last fold is old enough.

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
    if if_due:
        last = last_fold_at(remote, ledger.branch)
        if last is not None and now - last < timedelta(seconds=ledger.interval_seconds):
            return
    fold(Spool(store), remote, ledger.branch, now=now, expected=Expected(frozenset({env}), None))
