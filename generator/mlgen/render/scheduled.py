"""Kind CronJob of a schedule: at each time its pod creates the PipelineRun of that time, once.

The CronJob's own concurrencyPolicy is about pods that are gone after a second. What it says of runs is done by the pod,
which therefore may also list them, and for `replace` cancel them; where runs may overlap it may create them, no more.
"""

from __future__ import annotations

from mlgen.plan.model import Plan
from mlgen.render.cronjob import MAX_NAME
from mlgen.render.names import of_environment, pipeline_labels
from mlgen.render.staging import Data
from mlgen.render.starting import account_name, an_object, document, job_spec, pod_spec
from mlgen.runtime.pod import start
from mlgen.schedules.model import Schedule
from mlgen.spec.project import Environment

_JOB_LABEL = "batch.kubernetes.io/job-name"


def schedule_objects(plan: Plan, environment: Environment) -> list[Data]:
    """A CronJob and its ConfigMap for each schedule of a plan that `check_limits` finds nothing against."""
    objects: list[Data] = []
    for schedule in plan.schedules:
        name = schedule_name(plan, schedule, environment.name)
        what: Data = {"cronJob": name, "schedule": schedule.to_json()}
        spec = _cron_job(plan, schedule, environment, name)
        objects += [
            document(plan, environment, start.LABEL, name, what),
            an_object(environment, name, "batch/v1", "CronJob", plan=plan, spec=spec),
        ]
    return objects


def schedule_name(plan: Plan, schedule: Schedule, environment: str) -> str:
    """What the CronJob of a schedule is called, and what its pod reads."""
    return of_environment(f"{plan.name}-{schedule.digest}", environment, MAX_NAME)


def _cron_job(plan: Plan, schedule: Schedule, environment: Environment, name: str) -> Data:
    job: Data = {"name": "MLGEN_JOB", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_JOB_LABEL}']"}}}
    pod = pod_spec(environment, name, account_name(plan, environment.name), env=[job])
    return {
        "schedule": schedule.cron,
        "timeZone": schedule.zone,
        "concurrencyPolicy": schedule.concurrency.capitalize(),
        "startingDeadlineSeconds": schedule.catch_up_seconds,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {
            "metadata": {"labels": pipeline_labels(plan, environment)},
            "spec": job_spec(plan, environment, {}, pod),
        },
    }
