"""The containers of ours in a task's pod: stage-in and stage-out around the author's program, results beside it."""

from __future__ import annotations

from typing import cast

from mlgen import canonical
from mlgen.plan.model import Task
from mlgen.plan.pod import OUR_DISK, OURS, ours
from mlgen.render.emit import Shared
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.pod.invocation import told_to_ours
from mlgen.runtime.protocol import TaskDocument
from mlgen.spec.project import S3, Environment
from mlgen.spec.quantities import cpu_text, size_text

Data = dict[str, object]

STAGE_IN_INDEX, MAIN_INDEX = 0, 1  # among the steps: Tekton numbers its run folders so
SECRET_MODE = 0o440  # the pod's fsGroup reads it; ssh wants a copy of its own anyway

# Container fields of Pod Security `restricted`; the user stands in the PipelineRun's pod template.
SECURITY: Data = Shared(
    {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
)
_AMOUNTS = {
    **OURS,
    "record": OURS["results"],
    "lookup": OURS["results"],
    "published": OURS["results"],
    "start": OURS["results"],
    "reconcile": (100, 256 << 20),
}

# Thousandths of a core, in environments with `limit_cpu`: far above what ours ask for, since throttled to that they
# would take twenty times as long to hash and upload what a task leaves.
_CPU_LIMIT = 1000

WORK_VOLUME, STATE_VOLUME, LEDGER_VOLUME = "mlgen", "mlgen-state", "mlgen-ledger"
ROOT_MOUNT: Data = Shared({"name": WORK_VOLUME, "mountPath": pod.ROOT})
STATE_MOUNT: Data = Shared({"name": STATE_VOLUME, "mountPath": pod.STATE})
LEDGER_MOUNT: Data = Shared({"name": LEDGER_VOLUME, "mountPath": pod.LEDGER_SECRET, "readOnly": True})
RUN_MOUNTS: list[Data] = [
    Shared({"name": f"tekton-internal-run-{STAGE_IN_INDEX}", "mountPath": pod.STAGE_IN_RUN}),
    Shared({"name": f"tekton-internal-run-{MAIN_INDEX}", "mountPath": pod.MAIN_RUN}),
]

_RUN = {"MLGEN_RUN": "$(params.mlgen-run)", "MLGEN_RUN_UID": "$(params.mlgen-run-uid)"}
_TASK_RUN = {
    "MLGEN_TASK_RUN": "$(context.taskRun.name)",
    "MLGEN_TASK_RUN_UID": "$(context.taskRun.uid)",
    "MLGEN_NAMESPACE": "$(context.taskRun.namespace)",
}
_POD = {"MLGEN_POD": "metadata.name", "MLGEN_POD_UID": "metadata.uid"}
_ANNOTATIONS = {
    f"MLGEN_{name.upper().replace('-', '_')}": f"metadata.annotations['mlgen.dev/{name}']"
    for name in ("spec-digest", "plan-digest", "source", "commit", "repository")
}


def variable(name: str, text: str) -> Data:
    """An environment variable; Kubernetes stores none with an empty text otherwise than without a value."""
    return Shared({"name": name, "value": text} if text else {"name": name})


INDEX_VARIABLE = variable("MLGEN_INDEX", "$(params.mlgen-index)")
ROW_VARIABLE = variable("MLGEN_ROW", "$(params.mlgen-row)")

# Before all others, which refer to it.
DOLLAR_VARIABLE = variable(pod.DOLLAR, pod.escape("$"))


def secret_volume(name: str) -> Data:
    """The ledger's Secret, as files so that a pod that trains for hours sees a new token.

    Optional, so that a missing token holds no task back: its record waits in the spool.
    """
    secret = {"secretName": name, "defaultMode": SECRET_MODE, "optional": True}
    return {"name": LEDGER_VOLUME, "secret": secret}


def pod_security(environment: Environment) -> Data:
    """Pod fields of Pod Security `restricted`; those of containers are SECURITY."""
    return {
        "fsGroup": environment.user,
        "runAsNonRoot": True,
        "runAsUser": environment.user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def secret_variable(name: str, secret: str, key: str, *, optional: bool = False) -> Data:
    """optional: without the secret there is no variable, and otherwise no container."""
    reference: Data = {"name": secret, "key": key}
    if optional:
        reference["optional"] = True
    return Shared({"name": name, "valueFrom": {"secretKeyRef": reference}})


def secret_variables(task: Task) -> list[Data]:
    """A task's secrets for those of ours who make its record. A missing one is main's to fail of."""
    return [secret_variable(pod.SECRET + s.variable, s.secret, s.key, optional=True) for s in task.secrets]


def _of_pod(fields: dict[str, str]) -> list[Data]:
    return [Shared({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}) for name, path in fields.items()]


RUN_VARIABLES = [variable(name, text) for name, text in _RUN.items()] + _of_pod(_ANNOTATIONS)
# Of record alone: another task's Task has nothing that an edited label could change.
LABEL_VARIABLES = _of_pod(
    {
        "MLGEN_LABELS": "metadata.annotations['mlgen.dev/labels']",
        "MLGEN_OWNER": "metadata.labels['mlgen.dev/owner']",
        "MLGEN_RESUMES": "metadata.annotations['mlgen.dev/resumes']",
    }
)
EXECUTION_VARIABLES = [
    *RUN_VARIABLES[:2],
    *(variable(name, text) for name, text in _TASK_RUN.items()),
    *_of_pod(_POD),
    *RUN_VARIABLES[2:],
]


ADDRESS_VARIABLE = _of_pod({pod.ADDRESS: "status.podIP"})
RESUMES_VARIABLE = _of_pod({"MLGEN_RESUMES": "metadata.annotations['mlgen.dev/resumes']"})
NO_CACHE_VARIABLE = _of_pod({"MLGEN_NO_CACHE": "metadata.annotations['mlgen.dev/no-cache']"})


def document_variable(document: TaskDocument) -> Data:
    """MLGEN_TASK. A change of it is a change of the Task, so it holds nothing of a run."""
    return variable("MLGEN_TASK", pod.escape(canonical.encode(document.to_json()).decode()))


def platform(environment: Environment, *, inputs: bool, folds: bool) -> pod.Platform:
    """What a pod learns of its environment. inputs: whether it reads some. folds: whether it may write the ledger."""
    ledger = environment.ledger
    return pod.Platform(
        s3=_bucket(environment.s3),
        buckets=tuple((name, _bucket(s3)) for name, s3 in environment.buckets) if inputs else (),
        fold=pod.Fold(ledger.url, ledger.branch, ledger.interval_seconds, ledger.secret)
        if folds and ledger.url
        else None,
    )


def _bucket(s3: S3) -> pod.Bucket:
    return pod.Bucket(s3.endpoint, s3.region, s3.secret)


def credentials(s3: S3, prefix: str = "") -> list[Data]:
    """The variables of a bucket's keys; none where the pod's workload identity is meant."""
    if s3.secret is None:
        return []
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return [secret_variable(prefix + key, s3.secret, key) for key in keys]


def container(
    name: str,
    environment: Environment,
    arguments: list[str],
    env: list[Data],
    mounts: list[Data],
    *,
    amounts: tuple[int, int] | None = None,
) -> Data:
    """A container of ours: `mlgen-runtime` with arguments. name: a key of _AMOUNTS, unless amounts are given."""
    cpu, memory = amounts or _AMOUNTS[name]
    limited: Data = {"cpu": cpu_text(_CPU_LIMIT)} if environment.limit_cpu else {}
    data: Data = {
        "name": name,
        "image": environment.runtime_image,
        "command": ["mlgen-runtime"],
        "args": arguments,
        "env": env,
        "computeResources": {
            "requests": {"cpu": cpu_text(cpu), "memory": size_text(memory)},
            "limits": {**limited, "memory": size_text(memory)},
        },
    }
    return data | {"volumeMounts": mounts} if mounts else data


def execution_variables(document: TaskDocument, environment: Environment, *, lists: bool = False) -> list[Data]:
    """What stage-in, stage-out and results are told alike. lists: whether the results of other tasks, too."""
    told = [i for i in document.ins if told_to_ours(document, i)]
    ins = [variable(f"MLGEN_IN_{i.name}", f"$(params.{i.name})") for i in told]
    item = [INDEX_VARIABLE, *([ROW_VARIABLE] if document.fan.of is None else [])] if document.fan else []
    dollar = [DOLLAR_VARIABLE] if lists or any(i.kind == "value" for i in told) else []
    return [*dollar, document_variable(document), *EXECUTION_VARIABLES, *item, *ins, *credentials(environment.s3)]


def rank_variables(document: TaskDocument, environment: Environment) -> list[Data]:
    """The same of a rank that leaves no record: its TaskRun has no param that names the run, as those have that do."""
    run, *others = EXECUTION_VARIABLES
    told = [i for i in document.ins if told_to_ours(document, i)]
    ins = [variable(f"MLGEN_IN_{i.name}", f"$(params.{i.name})") for i in told]
    dollar = [DOLLAR_VARIABLE] if any(i.kind == "value" for i in told) else []
    rank = variable(pod.RANK, "$(params.mlgen-rank)")
    assert run["name"] == "MLGEN_RUN", "the first"
    name = _of_pod({"MLGEN_RUN": "metadata.labels['tekton.dev/pipelineRun']"})
    return [*dollar, document_variable(document), *name, *others, rank, *ins, *credentials(environment.s3)]


def with_disk(container: Data) -> Data:
    """A container of ours in the pod of a task with `disk`: what it may write is added to the author's amount."""
    resources = cast(dict[str, dict[str, str]], container["computeResources"])
    disk = {"ephemeral-storage": size_text(OUR_DISK[str(container["name"])])}
    return container | {"computeResources": {name: amounts | disk for name, amounts in resources.items()}}


def input_credentials(document: TaskDocument, environment: Environment) -> list[Data]:
    """The keys of the buckets that inputs lie in."""
    if document.platform is None or not document.platform.buckets:
        return []
    return [one for i, (_, s3) in enumerate(environment.buckets) for one in credentials(s3, f"MLGEN_BUCKET_{i}_")]


def stage_in(
    document: TaskDocument, environment: Environment, env: list[Data], item: list[str], *, values: bool = True
) -> Data:
    """Fetches code and inputs, verified. item: the values of a fan's variables. values: whether it is told those."""
    env = [*env, *input_credentials(document, environment), *(RESUMES_VARIABLE if document.checkpoint else ())]
    if document.statuses is not None:
        env = [*env, variable("MLGEN_TASKS", "$(params.mlgen-tasks)")]
    step = container("stage-in", environment, _arguments("stage-in", item, values), env, [ROOT_MOUNT, STATE_MOUNT])
    return step if document.cache is None else whether_to_run(step, *NO_CACHE_VARIABLE)


def whether_to_run(step: Data, *more: Data) -> Data:
    """A stage-in that says whether main is to run. more: variables for that."""
    env = [*cast(list[Data], step["env"]), variable("MLGEN_RUN_FILE", f"$(step.results.{pod.RUN}.path)"), *more]
    return step | {"env": env, "results": [{"name": pod.RUN, "type": "string"}]}


def _arguments(verb: str, item: list[str], values: bool) -> list[str]:
    return [verb, *item, *(["$(params.mlgen-values[*])"] if values else [])]


def stage_out(environment: Environment, env: list[Data], item: list[str], *, values: bool = True) -> Data:
    """Uploads what the author's program left, writes results and record, ends with the program's exit code."""
    env = [*env, variable("MLGEN_EXIT_CODE_FILE", "$(steps.step-main.exitCode.path)")]
    return container("stage-out", environment, _arguments("stage-out", item, values), env, [ROOT_MOUNT, STATE_MOUNT])


def results(
    task: Task,
    document: TaskDocument,
    environment: Environment,
    env: list[Data],
    item: list[str],
    *,
    values: bool = True,
) -> Data:
    """The sidecar: stage-in waits for it; writes the record, sees when the program cannot be followed by stage-out.

    No probe holds the steps back: the kubelet looks once a second, and a task took half of one longer.
    """
    mounts = [ROOT_MOUNT, STATE_MOUNT, *RUN_MOUNTS]
    if ledger_volume(document, environment):
        mounts.append(LEDGER_MOUNT)
    if document.nodes is not None:
        env = [*env, *ADDRESS_VARIABLE]
    arguments = _arguments("results", item, values)
    return {
        **container("results", environment, arguments, env, mounts, amounts=ours(task)["results"]),
        "securityContext": SECURITY,
    }


def ledger_volume(document: TaskDocument, environment: Environment) -> list[Data]:
    """The ledger's Secret; only where a pod may fold."""
    secret = environment.ledger.secret
    folds = document.platform is not None and document.platform.fold is not None
    return [secret_volume(secret)] if secret is not None and folds else []
