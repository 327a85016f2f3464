"""The part of `mlgen ledger verify` that asks a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mlgen.cli.clock import SystemClock
from mlgen.cli.cluster.kube import connect
from mlgen.cli.ledgers.elsewhere import reached
from mlgen.cli.ledgers.records import Records
from mlgen.cluster.against import Against
from mlgen.cluster.api import ApiError, Unreachable
from mlgen.cluster.refusals import fault_of
from mlgen.cluster.shape import Unfit
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Repository
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.told import missing
from mlgen.ledger.verify.finding import Found


def against(repository: Repository, tip: str, records: Records, found: Found, grace: timedelta) -> dict[str, Any]:
    """What the answer says of the cluster; what is wrong is added to `found`. grace: since an end, to tell of it."""

    def not_told(entries: Sequence[Entry]) -> list[Entry]:
        # The branch as it is now: what was folded since the walk is in the spool no more.
        with reached(records.ledger) as remote:
            try:
                return missing(entries, records.spool, remote, records.branch)
            except CannotAnswer as fault:
                if fault.code != "ledger-waits":
                    raise
                asked.done.unfit.append(Unfit(f"{len(entries)} executions and runs", f"{fault.message}; {fault.why}"))
                return []

    namespace, api = records.environment.namespace, connect()
    assert namespace is not None
    asked = Against(api, namespace, records.environment.name, not_told, SystemClock().now(), grace, found)
    try:
        done = asked.compare(repository, tip)
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None
    unfit = [{"name": one.name, "reason": one.reason} for one in done.unfit]
    return {"cluster": {"runs": done.runs, "executions": done.executions, "gone": done.gone, "unfit": unfit}}
