"""Kind Experiment of kubeflow.org/v1beta1: one for each search of a plan. Its trials are batch Jobs.

Katib replaces `${trialParameters.<name>}` in a trial's JSON, and reads the metric from lines `<name>=<number>` that the
container prints; so the script runs as it is, and what it left and reported is printed. Source: kubeflow/katib at
33c8ff4e, pkg/apis/controller/experiments/v1beta1 and pkg/webhook/v1beta1.
"""

from __future__ import annotations

from mlgen.plan.model import Command, ParamRef, Plan, Script, Task, Value
from mlgen.render import main, staging
from mlgen.render.emit import emit
from mlgen.render.katib.limits import name_of
from mlgen.render.names import given_labels
from mlgen.render.staging import Data
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.prelude import prelude
from mlgen.search.model import Dimension, Prune, Search
from mlgen.search.reports import STOP_VARIABLE, VARIABLE
from mlgen.spec.project import Environment
from mlgen.values import Type, to_text

CONTAINER = "main"
_TRIAL = "MLGEN_TRIAL"  # the script: Katib adds to a command's text, and so it must be one line
_OUT, _REPORT = f"{pod.ROOT}/out", f"{pod.ROOT}/report"


def experiments(plan: Plan, environment: Environment) -> list[bytes]:
    """The Experiments of a plan that `check_katib` found nothing against, as YAML documents."""
    comment = (
        f"made by mlgen from {plan.source} for the environment {environment.name}: change the spec, not this",
        "Starts a search: `kubectl create -f`. Its trials are Katib's: no record of them is in the ledger, and no",
        "artifact is kept. `mlgen run --env` searches by the same spec, with both.",
    )
    return [
        emit(_experiment(plan, task, task.fan.search, environment), comment)
        for task in plan.tasks
        if task.fan and task.fan.search
    ]


def _experiment(plan: Plan, task: Task, search: Search, environment: Environment) -> Data:
    assert task.fan is not None, "of searches"
    early = {"earlyStopping": _early_stopping(search.prune)} if search.prune else {}
    labels = {**given_labels(plan, environment), **trial_labels(plan, task, environment)}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name_of(plan, task), "namespace": environment.namespace, "labels": labels},
        "spec": {
            "objective": _objective(task, search),
            "algorithm": _algorithm(search),
            **early,
            "parallelTrialCount": search.parallel,
            "maxTrialCount": search.trials,
            "maxFailedTrialCount": task.fan.failures,
            "resumePolicy": "Never",
            "parameters": [_parameter(dimension) for dimension in search.space],
            "metricsCollectorSpec": {"collector": {"kind": "StdOut"}},
            "trialTemplate": {
                "primaryContainerName": CONTAINER,
                "successCondition": 'status.conditions.#(type=="Complete")#|#(status=="True")#',
                "failureCondition": 'status.conditions.#(type=="Failed")#|#(status=="True")#',
                "trialParameters": [{"name": d.name, "reference": d.name} for d in search.space],
                "trialSpec": _job(plan, task, search, environment),
            },
        },
    }


def trial_labels(plan: Plan, task: Task, environment: Environment) -> dict[str, str]:
    """Whose it is."""
    return {"mlgen.dev/pipeline": plan.name, "mlgen.dev/task": task.name, "mlgen.dev/env": environment.name}


def _objective(task: Task, search: Search) -> Data:
    others = [o.name for o in task.outs if o.type is Type.METRIC and o.name != search.metric]
    end = "max" if search.highest else "min"
    found: Data = {"type": f"{end}imize", "objectiveMetricName": search.metric}
    if others:
        found["additionalMetricNames"] = others
    # Reports come before the metric that the task leaves, which is the last of all.
    return found | {"metricStrategies": [{"name": name, "value": "latest"} for name in (search.metric, *others)]}


def _algorithm(search: Search) -> Data:
    if search.sampler == "random":
        return {"algorithmName": "random", "algorithmSettings": _settings(random_state=search.seed)}
    settings = _settings(n_startup_trials=search.startup, random_state=search.seed)
    return {"algorithmName": "multivariate-tpe", "algorithmSettings": settings}


def _early_stopping(rule: Prune) -> Data:
    """Katib counts reports from 1, and stops by the median of averages, where ours goes by each step's values."""
    settings = _settings(min_trials_required=max(rule.startup, 1), start_step=max(rule.warmup, 1))
    return {"algorithmName": "medianstop", "algorithmSettings": settings}


def _settings(**numbers: int) -> list[Data]:
    return [{"name": name, "value": str(number)} for name, number in numbers.items()]


def _parameter(dimension: Dimension) -> Data:
    if dimension.choices:
        space: Data = {"list": list(dict.fromkeys(dimension.choices))}
        return {"name": dimension.name, "parameterType": "categorical", "feasibleSpace": space}
    whole = dimension.type is Type.INTEGER
    low, high = (str(int(n)) if whole else to_text(n) for n in (dimension.low, dimension.high))
    space = {"min": low, "max": high, "distribution": "logUniform" if dimension.log else "uniform"}
    return {"name": dimension.name, "parameterType": "int" if whole else "double", "feasibleSpace": space}


def _job(plan: Plan, task: Task, search: Search, environment: Environment) -> Data:
    container: Data = {
        "name": CONTAINER,
        "image": main.reference(task.image),
        "command": ["sh", "-c", _command(task, search)],
        "env": _env(plan, task, search),
        "resources": main.resources(task, environment),
        "securityContext": staging.SECURITY,
        "volumeMounts": [staging.ROOT_MOUNT, *main.shm_mount(task)],
    }
    pool = environment.pool(task.gpu.pool) if task.gpu else None
    placed: Data = {}
    if pool is not None and pool.node_selector:
        placed["nodeSelector"] = dict(pool.node_selector)
    if pool is not None and pool.tolerations:
        placed["tolerations"] = [dict(one) for one in pool.tolerations]
    if environment.image_pull_secrets:
        placed["imagePullSecrets"] = [{"name": name} for name in environment.image_pull_secrets]
    spec: Data = {
        "restartPolicy": "Never",
        "serviceAccountName": environment.service_account,
        "automountServiceAccountToken": False,
        "securityContext": staging.pod_security(environment),
        **placed,
        "containers": [container],
        "volumes": [{"name": staging.WORK_VOLUME, "emptyDir": {}}, *main.volumes(task)],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {
            "backoffLimit": task.retries,
            "activeDeadlineSeconds": task.timeout_seconds * (task.retries + 1) + environment.queue_seconds,
            "template": {"metadata": {"labels": trial_labels(plan, task, environment)}, "spec": spec},
        },
    }


def _command(task: Task, search: Search) -> str:
    """One line, of one group: Katib appends a redirection, and commands after && and ||."""
    metrics = [o.name for o in task.outs if o.type is Type.METRIC]
    made = f'mkdir -p {_OUT} {pod.ROOT}/home {pod.ROOT}/tmp && : > "${VARIABLE}"'
    follow = f'tail -n +1 -f "${VARIABLE}" | while read -r _ value; do echo "{search.metric}=$value"; done &'
    told = "".join(f'; if [ -e "${name}" ]; then echo "{name}=$$(cat "${name}")"; fi' for name in metrics)
    watched = f"{follow} " if search.prune else ""
    return f'{{ {made} && {{ {watched}sh -e -c "${_TRIAL}"; }} && {{ true{told}; }}; }}'


def _env(plan: Plan, task: Task, search: Search) -> list[Data]:
    assert isinstance(task.run, Script | Command), "a task runs something"
    text = task.run.text if isinstance(task.run, Script) else ""
    texts = pod.HOME | {name: pod.escape(value) for name, value in task.env}
    for item in task.ins:
        default = plan.param(item.source.name).default if isinstance(item.source, ParamRef) else None
        texts[item.name] = pod.escape(item.source.text if isinstance(item.source, Value) else default or "")
    texts |= {d.name: f"${{trialParameters.{d.name}}}" for d in search.space}
    texts |= {out.name: f"{_OUT}/{out.name}" for out in task.outs}
    texts |= {VARIABLE: _REPORT, STOP_VARIABLE: f"{pod.ROOT}/prune"}
    texts[_TRIAL] = pod.escape(prelude().removeprefix("#!/bin/sh\n") + text)
    secrets = [staging.secret_variable(s.variable, s.secret, s.key) for s in task.secrets]
    hidden = {s.variable for s in task.secrets}
    return [*(staging.variable(name, text) for name, text in texts.items() if name not in hidden), *secrets]
