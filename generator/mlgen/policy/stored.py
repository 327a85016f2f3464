"""An object as mlgen renders it → as the API server has it when it asks its policies, defaults filled in.

Of what is rendered only jobs have defaults that are not written out, and only runs a name that is made. What nobody
knows before (uid, times) the engine holds for unknown. `tests/e2e/test_policy_pods.py` compares with a real API server.

Source: k8s.io/kubernetes pkg/apis/batch/v1/defaults.go and pkg/registry/batch/job/strategy.go; a controller-uid is
nought here, as in pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlgen.policy.containers import RANDOM, with_defaults
from mlgen.policy.filled import UID

Object = Mapping[str, Any]
Data = dict[str, Any]

_POD: Data = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_CRON_JOB: Data = {
    "concurrencyPolicy": "Allow", "failedJobsHistoryLimit": 1, "successfulJobsHistoryLimit": 3, "suspend": False,
}  # fmt: skip
_JOB: Data = {
    "backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1, "manualSelector": False, "parallelism": 1,
    "podReplacementPolicy": "TerminatingOrFailed", "suspend": False,
}  # fmt: skip
_MODES = ("configMap", "secret", "projected", "downwardAPI")  # of volumes, whose files have a mode


def stored(data: Data) -> Data:
    """The same object where there is nothing to fill in. Parts of the given one are in it; it is not changed."""
    metadata = data["metadata"]
    if "name" not in metadata and "generateName" in metadata:
        data = {**data, "metadata": {**metadata, "name": metadata["generateName"] + RANDOM}}
    match data["kind"]:
        case "CronJob":
            template = data["spec"]["jobTemplate"]
            inner = {**template["spec"], "template": _template(template["spec"]["template"], {})}
            return {
                **data,
                "spec": {**_CRON_JOB, **data["spec"], "jobTemplate": {**template, "spec": inner}},
                "status": {},
            }
        case "Job":
            labels = labels_of_job(metadata["name"])
            spec = {**_JOB, **data["spec"], "template": _template(data["spec"]["template"], labels)}
            spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}
            return {**data, "spec": spec, "status": {}}
    return data


def labels_of_job(name: str) -> dict[str, str]:
    """What the API server puts on the pods of a Job."""
    return {
        "batch.kubernetes.io/controller-uid": UID, "batch.kubernetes.io/job-name": name,
        "controller-uid": UID, "job-name": name,
    }  # fmt: skip


def _template(template: Object, labels: Mapping[str, str]) -> Data:
    spec: Data = {**_POD, **template["spec"]}
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for key in ("containers", "initContainers"):
        if key in spec:
            spec[key] = [with_defaults(one) for one in spec[key]]
    if "volumes" in spec:
        spec["volumes"] = [_volume(one) for one in spec["volumes"]]
    metadata = template.get("metadata", {})
    if labels:
        metadata = {**metadata, "labels": {**metadata.get("labels", {}), **labels}}
    return {**template, "metadata": metadata, "spec": spec}


def _volume(volume: Object) -> Data:
    return {key: {"defaultMode": 0o644, **one} if key in _MODES else one for key, one in volume.items()}
