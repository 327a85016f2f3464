"""The author's program in a pod: step main."""

from __future__ import annotations

from typing import cast

from mlgen.plan.model import Command, Image, In, OutRef, Script, Task, Value
from mlgen.render import fans, timeouts
from mlgen.render.staging import DOLLAR_VARIABLE, ROOT_MOUNT, WORK_VOLUME, Data, secret_variable, variable
from mlgen.runtime.nodes.variables import ADDRESS, PORT, PORT_NAME, variables
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.prelude import prelude
from mlgen.search.reports import FILE, STOP_FILE, STOP_VARIABLE, VARIABLE
from mlgen.spec.project import Environment
from mlgen.spec.quantities import cpu_text, duration_text

SHM_VOLUME = "shm"
TASKS = "MLGEN_TASKS"

# The runtime makes a missing working directory itself, as root's; a sub-path the kubelet makes for the pod's group.
WORK_MOUNT: Data = {"name": WORK_VOLUME, "mountPath": f"{pod.ROOT}/work", "subPath": "work"}


def main(task: Task, environment: Environment, *, final: bool, cached: bool = False, rank: str = "0") -> Data:
    """Step main. final: a finally task, which is told how the run went. cached: it runs unless stage-in found a hit.

    rank: of a task on several nodes, as the program is told it.
    """
    step: Data = {"name": "main", "image": reference(task.image)}
    if cached:
        step["when"] = [{"input": f"$(steps.stage-in.results.{pod.RUN})", "operator": "in", "values": ["true"]}]
    match task.run:
        case Script(text=text):
            step["script"] = _prelude(task) + text
        case Command(args=(command, *arguments)):
            step["command"] = [pod.escape(command)]
            if arguments:
                step["args"] = [pod.escape(argument) for argument in arguments]
    if task.code:
        step["workingDir"] = f"{pod.ROOT}/work"
    return step | {
        "env": _env(task, final=final, rank=rank),
        "computeResources": resources(task, environment),
        "volumeMounts": [ROOT_MOUNT, *([WORK_MOUNT] if task.code else []), *shm_mount(task)],
        "onError": "continue",  # stage-out runs all the same, and ends with the program's exit code
        "timeout": duration_text(timeouts.of_main(task)),
    }


def told_by_file(step: Data, name: str) -> Data:
    """The step, whose script is told a variable by a file that stage-in writes."""
    script = str(step["script"])
    head, line = prelude(alive=pod.ALIVE), prelude(late=[(name, f"{pod.ROOT}/in/{name}")]).splitlines(keepends=True)[-1]
    assert script.startswith(head), "each begins so"
    env = [one for one in cast(list[Data], step["env"]) if one["name"] != name]
    return step | {"script": head + line + script.removeprefix(head), "env": env}


def reference(image: Image | None) -> str:
    """What a pod pulls: with tag and digest, of which the digest counts.

    Raises ValueError without an image: `limits.check_limits` finds that before.
    """
    if image is None:
        raise ValueError("a task without an image cannot be rendered")
    if image.digest is None or image.reference.endswith(image.digest):
        return image.reference
    return f"{image.reference}@{image.digest}"


def volumes(task: Task) -> list[Data]:
    """The memory at /dev/shm, if asked for."""
    return [{"name": SHM_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": task.shm.text}}] if task.shm else []


def shm_mount(task: Task) -> list[Data]:
    """Where it is seen."""
    return [{"name": SHM_VOLUME, "mountPath": "/dev/shm"}] if task.shm else []


def _prelude(task: Task) -> str:
    optional = [i for i in task.ins if i.optional]
    return prelude(
        optional_values=[i.name for i in optional if not i.type.is_artifact and not i.late],
        optional_artifacts=[i.name for i in optional if i.type.is_artifact],
        late=[(name, f"{pod.ROOT}/in/{name}") for name in [*_late_values(task), *fans.by_file(task), *_meeting(task)]],
        alive=pod.ALIVE,
        end=pod.END if task.nodes > 1 or timeouts.are_borne(task) else None,
    )


def _meeting(task: Task) -> list[str]:
    """What only the pods of a task on several nodes find out."""
    return [ADDRESS] if task.nodes > 1 else []


def _env(task: Task, *, final: bool, rank: str) -> list[Data]:
    texts = pod.HOME | {name: pod.escape(text) for name, text in task.env}
    late = _late_values(task)
    texts |= {i.name: _text(i) for i in task.ins if i.name not in late}
    if task.fan:
        texts |= {"MLGEN_INDEX": f"$(params.{fans.INDEX})"} if task.fan.of is not None else {}
        texts |= {name: f"$(params.{name})" for name in fans.by_param(task) if name not in fans.by_file(task)}
        texts |= {VARIABLE: f"{pod.ROOT}/{FILE}", STOP_VARIABLE: f"{pod.ROOT}/{STOP_FILE}"} if task.fan.search else {}
    texts |= {out.name: f"{pod.ROOT}/out/{out.name}" for out in task.outs}
    if task.nodes > 1:
        texts |= variables(rank, task.nodes) | {PORT_NAME: str(PORT)}
    if task.checkpoint:
        texts[task.checkpoint.name] = f"{pod.ROOT}/checkpoint"
    if final:
        texts |= {"MLGEN_RUN_STATUS": "$(params.mlgen-run-status)", "MLGEN_TASKS": "$(params.mlgen-tasks)"}
    secrets = {s.variable: secret_variable(s.variable, s.secret, s.key) for s in task.secrets}
    plain = [variable(name, text) for name, text in texts.items() if name not in secrets]
    results = any(isinstance(i.source, OutRef) and not i.type.is_artifact and not i.late for i in task.ins)
    return [*([DOLLAR_VARIABLE] if results else []), *plain, *secrets.values()]


def _late_values(task: Task) -> list[str]:
    """The ins whose text only stage-in finds out."""
    return [i.name for i in task.ins if i.late and not i.type.is_artifact]


def _text(item: In) -> str:
    if item.type.is_artifact:
        return f"{pod.ROOT}/in/{item.name}"
    if isinstance(item.source, Value):
        return pod.escape(item.source.text)
    return f"$(params.{item.name})"


def resources(task: Task, environment: Environment) -> Data:
    """Requests and limits of the author's container."""
    requests: Data = {"cpu": cpu_text(task.cpu_millis), "memory": task.memory.text}
    limits: Data = {"memory": task.memory.text}
    if environment.limit_cpu:
        limits["cpu"] = cpu_text(task.cpu_millis)
    if task.disk:
        requests["ephemeral-storage"] = limits["ephemeral-storage"] = task.disk.text
    if task.gpu:
        pool = environment.pool(task.gpu.pool)
        if pool is None:
            raise ValueError(f"{environment.name} has no GPU pool {task.gpu.pool}")
        # In limits alone, and in main's alone: requests follow, and every other step would ask for GPUs of its own.
        limits[pool.resource] = cpu_text(task.gpu.count * 1000)
    return {"requests": requests, "limits": limits}
