"""The command line that runs an author's program in a container, with the folders and variables that a pod has."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from mlgen.local import guardian
from mlgen.local.containers.client import LABEL, Client
from mlgen.plan.model import Image, Script, Task
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.protocol import Tree

INSIDE = Tree(Path(pod.ROOT), Path(pod.STATE))
SCRIPT = f"{pod.STATE}/script"
MOUNTED = ("in", "out", "work", "home", "tmp")


def reference(image: Image) -> str:
    """What is pulled and run: by digest alone where there is one, for tag and digest together Podman 4 refuses."""
    if image.digest is None:
        return image.reference
    name, at, _ = image.reference.partition("@")
    if not at:
        head, colon, tag = name.rpartition(":")
        name = head if colon and "/" not in tag else name
    return f"{name}@{image.digest}"


def command(
    client: Client,
    task: Task,
    *,
    image: str,
    name: str,
    uid: str,
    tree: Tree,
    script: Path,
    variables: Mapping[str, str],
    secrets: Container[str],
) -> list[str]:
    """`docker run …` or `podman run …`, attached: its end is the container's.

    image: what to run, which is there already. name: of the container. uid: of the run. tree, script: of the attempt,
    on this machine. variables: of the program. secrets: names of those whose text stays out of the command line, which
    every user of the machine can read.
    """
    folders = [*MOUNTED, *(["checkpoint"] if task.checkpoint else [])]
    mounts = [f"{tree.root / folder}:{pod.ROOT}/{folder}" for folder in folders]
    is_script = isinstance(task.run, Script)
    if is_script:
        mounts.append(f"{script}:{SCRIPT}:ro")
    program, *arguments = ["/bin/sh", SCRIPT] if isinstance(task.run, Script) else task.run.args
    return [
        *(client.program, "run", "--name", name, "--label", f"{LABEL}={uid}", "--pull", "never"),
        *("--log-driver", "none", "--user", client.user, *client.flags),
        # As in a pod: nothing that a program gains by being in a container. No labels of SELinux: they would be
        # written onto the author's files.
        *("--cap-drop", "all", "--security-opt", "no-new-privileges", "--security-opt", "label=disable"),
        *_resources(client, task),
        *(part for mount in mounts for part in ("--volume", mount)),
        *(("--workdir", f"{pod.ROOT}/work") if task.code else ()),
        *(
            part
            for variable, text in sorted(variables.items())
            for part in ("--env", variable if variable in secrets else f"{variable}={text}")
        ),
        *("--entrypoint", program, image, *arguments),
    ]


def environment(client: Client, secrets: Mapping[str, str], uid: str) -> dict[str, str]:
    """What the client is started with: its own variables, the secrets that it hands on by name, and the run's uid.

    No variable of a spec: the likes of DOCKER_HOST, LD_PRELOAD or TMPDIR would change what happens outside.
    """
    return {**secrets, **client.environ, guardian.VARIABLE: uid}


def _resources(client: Client, task: Task) -> list[str]:
    found = []
    if client.limits:
        found += ["--memory", f"{task.memory.bytes}b", "--memory-swap", f"{task.memory.bytes}b"]
    if task.shm:
        found += ["--shm-size", f"{task.shm.bytes}b"]
    if task.gpu and client.name == "docker":
        found += ["--gpus", str(task.gpu.count)]
    elif task.gpu:  # by the Container Device Interface, which NVIDIA's toolkit writes
        found += [part for n in range(task.gpu.count) for part in ("--device", f"nvidia.com/gpu={n}")]
    return found
