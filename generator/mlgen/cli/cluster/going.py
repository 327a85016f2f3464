"""A run in a cluster of which the ledger does not know the end: whether it goes on, and where it can be seen."""

from __future__ import annotations

from mlgen.cli.cluster.kube import connect
from mlgen.cluster import view
from mlgen.cluster.api import PIPELINE_RUNS, Api, ApiError, Object, Unreachable
from mlgen.cluster.belonging import readable
from mlgen.cluster.logs import ENV_LABEL, NAME
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.spec.project import Environment


def going(environment: Environment, run: str) -> Misuse | None:
    """What to say of a run of that name that the cluster has; None where it has none, or cannot be asked."""
    env, namespace = environment.name, environment.namespace
    if namespace is None or not NAME.fullmatch(run):
        return None
    try:
        found = _stored(connect(), namespace, run)
    except (CannotAnswer, Unreachable):  # the ledger answers without a cluster
        return None
    if found is None or (found["metadata"].get("labels") or {}).get(ENV_LABEL) != env:
        return None
    if view.condition(found)[0] is None:
        fix = f"`mlgen logs {run} --env {env} -f` shows how it goes on"
        return Misuse("unknown-run", f"{run} still runs: the ledger has all of it once it has ended", fix=fix)
    fix = f"the CronJob lands it each minute, or `mlgen ledger reconcile --env {env}`; `mlgen logs {run} --env {env}`"
    return Misuse("unknown-run", f"{run} has ended, and the ledger has not all of it yet", fix=fix)


def _stored(api: Api, namespace: str, run: str) -> Object | None:
    try:
        return next(readable([api.get(PIPELINE_RUNS, namespace, run)], []), None)
    except ApiError:
        return None
