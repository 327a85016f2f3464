"""Kinds EventListener and Trigger of Tekton Triggers: what listens for an environment's events, and what each starts.

A Trigger holds its binding and its template: as objects of their own they would come and go one by one in a sync, and
an event in between would be lost. What it creates is a Job, whose pod creates the PipelineRun: a template can neither
name a run by a digest, nor judge a value, nor double a `$`.

What is empty, and a binding's kind, is there as Triggers' webhook stores it: else Argo CD sees a difference forever.
"""

from __future__ import annotations

from mlgen.plan.model import Plan
from mlgen.render import staging
from mlgen.render.cronjob import MAX_NAME, PROJECT_FILE, job_labels
from mlgen.render.manifests import MADE_BY, Manifest
from mlgen.render.names import manifest_path, of_environment, pipeline_labels
from mlgen.render.staging import Data
from mlgen.render.starting import Mounted, account_name, an_object, document, job_spec, pod_spec, rights
from mlgen.runtime.pod import event_start
from mlgen.spec.project import Environment
from mlgen.triggers import cel
from mlgen.triggers.matching import Param
from mlgen.triggers.model import Host, Kind, Trigger

GROUP = "triggers.tekton.dev"
VERSION = f"{GROUP}/v1beta1"
KINDS = ((GROUP, "EventListener"), (GROUP, "Trigger"))
MAX_LISTENER = 60  # its Service is called "el-" and this
_EVENT_VOLUME = "mlgen-event"
# Asked wrongly: an event whose values do not fit is told once, and not by four pods.
_REFUSED: Data = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}
_READ = ["get", "list", "watch"]
# Of an event listener: it keeps copies of all of these, and does not answer before it has them.
# Source: tektoncd/triggers v0.37 config/200-clusterrole.yaml, pkg/adapter.
_RULES: list[Data] = [
    {
        "apiGroups": [GROUP],
        "resources": ["eventlisteners", "interceptors", "triggerbindings", "triggers", "triggertemplates"],
        "verbs": _READ,
    },
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
]
_CLUSTER_RULES: list[Data] = [
    {"apiGroups": [GROUP], "resources": ["clusterinterceptors", "clustertriggerbindings"], "verbs": _READ}
]


def listener_manifests(environment: Environment) -> list[Manifest]:
    """What listens for an environment's events, where it asks for that: an EventListener, its account and its rights.

    Those for the whole cluster are for who keeps it to give, as what `argocd` asks for: they read two kinds of
    Triggers' own. The ClusterRole that Triggers brings would let every environment read all Secrets of the cluster.
    """
    if not environment.triggers:
        return []
    name = listener_name(environment.name)
    account = of_environment("mlgen-events", environment.name, MAX_LISTENER)
    comment = (
        f"{MADE_BY}{PROJECT_FILE} for the environment {environment.name}; do not edit:",
        f"change {PROJECT_FILE}, then `mlgen render --env {environment.name}`",
    )
    who, *what = rights(environment, account, _RULES)
    objects = [
        who | {"automountServiceAccountToken": True},  # its pod is of Triggers' making, and does not ask for it
        *what,
        an_object(environment, name, VERSION, "EventListener", spec=_listener(environment, account)),
    ]
    made = [Manifest(manifest_path(environment, str(o["kind"]), _called(o)), comment, o) for o in objects]
    keeper = ("", "For who keeps the cluster: `kubectl apply -f` this folder, once. Argo CD does not sync it.")
    for one in _of_cluster(environment, account):
        path = f"{environment.name}/cluster/{str(one['kind']).lower()}-{_called(one)}.yaml"
        made.append(Manifest(path, (*comment, *keeper), one))
    return made


def listener_name(environment: str) -> str:
    """What the EventListener of an environment is called; its Service is `el-` and this."""
    return of_environment("mlgen", environment, MAX_LISTENER)


def trigger_name(plan: Plan, trigger: Trigger, environment: str) -> str:
    """What a Trigger is called, and what the pod that it makes reads."""
    return of_environment(f"{plan.name}-{trigger.digest}", environment, MAX_NAME)


def trigger_objects(plan: Plan, environment: Environment) -> list[Data]:
    """A Trigger and a ConfigMap for each trigger of a plan, where the environment listens."""
    objects: list[Data] = []
    for trigger in plan.triggers if environment.triggers else ():
        name = trigger_name(plan, trigger, environment.name)
        params = {
            p.name: Param(p.type, p.choices, p.minimum, p.maximum).to_json()
            for p in plan.params
            if p.name in dict(trigger.fields)
        }
        what: Data = {"on": trigger.to_json(), "params": params}
        spec: Data = {
            "interceptors": _interceptors(trigger),
            "bindings": [{"name": "event", "value": f"$(extensions.{cel.EXTENSION})", "kind": "TriggerBinding"}],
            "template": {
                "spec": {
                    "params": [{"name": "event"}],
                    "resourcetemplates": [job(plan, environment, name)],
                }
            },
        }
        objects += [
            document(plan, environment, event_start.LABEL, name, what),
            an_object(environment, name, VERSION, "Trigger", plan=plan, spec=spec),
        ]
    return objects


def job(plan: Plan, environment: Environment, name: str) -> Data:
    """What a Trigger creates. The event is an annotation, which nobody expands, and a file: variables are short."""
    item: Data = {
        "path": event_start.EVENT_FILE,
        "fieldRef": {"fieldPath": f"metadata.annotations['{event_start.ANNOTATION}']"},
    }
    mount: Data = {"name": _EVENT_VOLUME, "mountPath": event_start.EVENT_FOLDER, "readOnly": True}
    volume: Data = {"name": _EVENT_VOLUME, "downwardAPI": {"items": [item]}}
    notes: Data = {"annotations": {event_start.ANNOTATION: "$(tt.params.event)"}}
    account = account_name(plan, environment.name)
    pod = pod_spec(environment, name, account, more=Mounted(mount, volume))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": environment.namespace,
            "labels": pipeline_labels(plan, environment),
        },
        "spec": {**job_spec(plan, environment, notes, pod), "podFailurePolicy": {"rules": [_REFUSED]}},
    }


def _interceptors(trigger: Trigger) -> list[Data]:
    """Who the sender is comes first: nobody else's event is looked at."""
    found: list[Data] = []
    if trigger.what in (Host.GITHUB, Host.GITLAB) and trigger.secret is not None:
        secret, key = trigger.secret
        params: Data = {"secretRef": {"secretName": secret, "secretKey": key}}
        params |= {"eventTypes": list(trigger.events)} if trigger.events else {}
        found.append(_interceptor(trigger.what, params))
    elif (known := cel.secret_filter(trigger)) is not None:
        found.append(_interceptor("cel", {"filter": known}))
    if trigger.kind is Kind.EVENT:
        found.append(_interceptor("cel", {"overlays": [{"key": cel.EVENT, "expression": cel.cloud_event()}]}))
    handed: Data = {"key": cel.EXTENSION, "expression": cel.document(trigger)}
    return [*found, _interceptor("cel", {"filter": cel.event_filter(trigger), "overlays": [handed]})]


def _interceptor(name: str, params: Data) -> Data:
    given: list[Data] = [{"name": key, "value": value} for key, value in params.items()]
    return {"ref": {"name": name, "kind": "ClusterInterceptor"}, "params": given}


def _listener(environment: Environment, account: str) -> Data:
    limited: Data = {"cpu": "1"} if environment.limit_cpu else {}
    container: Data = {
        "name": "",
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {**limited, "memory": "256Mi"}},
        "securityContext": {**staging.SECURITY, "readOnlyRootFilesystem": True},
    }
    pod: Data = {"containers": [container], "securityContext": staging.pod_security(environment)}
    template: Data = {"metadata": {"labels": job_labels(environment)}, "spec": pod}
    return {
        "serviceAccountName": account,
        "namespaceSelector": {},
        "labelSelector": {"matchLabels": {"mlgen.dev/env": environment.name}},
        "resources": {"kubernetesResource": {"serviceType": "ClusterIP", "spec": {"template": template}}},
    }


def _of_cluster(environment: Environment, account: str) -> list[Data]:
    group = "rbac.authorization.k8s.io"
    name = f"mlgen-events-{environment.namespace}-{environment.name}"
    metadata: Data = {"name": name, "labels": {"mlgen.dev/env": environment.name}}
    role: Data = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    subject: Data = {"kind": "ServiceAccount", "name": account, "namespace": environment.namespace}
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": _CLUSTER_RULES},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def _called(data: Data) -> str:
    metadata = data["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])
