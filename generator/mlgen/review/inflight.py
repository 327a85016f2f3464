"""What is true for runs that began before a change was synced: only what applies to the change.

A PipelineRun has its account, params, timeouts and pod templates in its own spec, and from its first reconciliation
the whole Pipeline in its status; a TaskRun likewise its Task. Tasks are named by their content and never pruned. So a
run in flight is reached only by what lies outside of its objects: Secrets, accounts, what folds its records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlgen.plan.model import Plan
from mlgen.review.change import Sentence
from mlgen.review.objects import Act, Action, Pair
from mlgen.spec.project import Environment

MOST_NAMES = 10


def in_flight(
    before: Environment | None, after: Environment | None, pairs: Sequence[Pair], actions: Sequence[Action]
) -> Iterator[Sentence]:
    """What is to be known, as far as it applies."""
    if before is None:
        return
    if after is None:
        yield from _gone(before)
        return
    moved = after.namespace != before.namespace
    if moved:
        yield from _moved(before, after)
    elif any(a.kind == "Pipeline" and a.act is Act.CHANGE for a in actions):
        yield Sentence(
            "A run that began before the sync ends with its own version: its graph is in its status, its Tasks stay."
        )
    removed = sorted(old.name for old, new, _ in pairs if old and (new is None or new.name != old.name))
    if removed and not moved:
        yield Sentence(
            "Runs of {} in flight go on to their end; one that Tekton has not looked at yet fails with "
            "CouldntGetPipeline.",
            (_listed(removed),),
        )
    if lost := _secrets_lost(before, after, pairs):
        yield Sentence(
            "Runs in flight still read the Secrets {}, which this change refers to no more: keep them until those have "
            "ended.",
            (_listed(lost),),
        )
    if after.service_account != before.service_account:
        yield Sentence(
            "Runs in flight keep the account {}, also for pods that are still to come: keep it until they have ended.",
            (before.service_account,),
        )
    yield from _records(before, after)


def _gone(before: Environment) -> Iterator[Sentence]:
    yield Sentence(
        "The environment is gone, and with it the folder that Argo CD syncs: it prunes nothing of {}, and says "
        "ComparisonError. Runs in flight end and are recorded as ever. After that delete the Application, the "
        "AppProject and what is left in the namespace, by hand.",
        (before.namespace or "",),
    )


def _moved(before: Environment, after: Environment) -> Iterator[Sentence]:
    yield Sentence(
        "Everything is created anew in {}; in {} Pipelines and CronJob are pruned, where the AppProject permits that "
        "namespace, too, and Tasks stay. Runs in flight there go on to their end, but nobody reconciles them any more.",
        (after.namespace or "", before.namespace or ""),
    )
    yield Sentence("{} needs its Secrets and accounts before the sync.", (after.namespace or "",))


def _records(before: Environment, after: Environment) -> Iterator[Sentence]:
    """Where the records of runs in flight go, which their Tasks say, and where the CronJob looks for them."""
    if after.artifacts != before.artifacts:
        yield Sentence(
            "Runs in flight write artifacts and records below {}, and from the sync on the CronJob folds the spool "
            "below {} only: once they have ended, fold the old one from a revision that still names it.",
            (before.artifacts, after.artifacts),
        )
    old, new = before.ledger, after.ledger
    if (old.url, old.branch) != (new.url, new.branch):
        own = old.fold in ("task", "run")
        yield Sentence(
            "Records of runs in flight may land in two ledgers: their own pods write to {}, the CronJob to {} at once."
            if own
            else "Records of runs in flight land in the new ledger, {1}, not in {0}: only the CronJob writes them.",
            (f"{old.url} {old.branch}", f"{new.url} {new.branch}"),
        )
    if after.runtime_image != before.runtime_image:
        yield Sentence(
            "Runs in flight keep the runtime image {}: keep it in the registry. The CronJob has the new one with its "
            "next Job.",
            (before.runtime_image or "",),
        )


def _secrets_lost(before: Environment, after: Environment, pairs: Sequence[Pair]) -> list[str]:
    """The Secrets that a pipeline or the environment named and now does not; others may."""
    lost = secrets_of(before) - secrets_of(after)
    return sorted(lost.union(*(secrets_of_plan(old) - secrets_of_plan(new) for old, new, _ in pairs)))


def secrets_of_plan(plan: Plan | None) -> set[str]:
    """The Secrets that a plan's tasks name."""
    return {secret.secret for task in (plan.all_tasks if plan else ()) for secret in task.secrets}


def secrets_of(environment: Environment) -> set[str]:
    """The Secrets that an environment names."""
    buckets = [environment.s3, *(s3 for _, s3 in environment.buckets)]
    return {s for s in (*(b.secret for b in buckets), environment.ledger.secret, *environment.image_pull_secrets) if s}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
