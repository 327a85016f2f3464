"""The images of a run: there before its first task starts, each known by its digest."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace

from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.local.containers.client import Client
from mlgen.local.containers.command import reference
from mlgen.plan.model import Image, Plan

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def check(plan: Plan) -> None:
    """Raises Misuse where a task names no image, or asks for what one container on one machine cannot be."""
    missing = [task.name for task in plan.all_tasks if task.image is None]
    if missing:
        raise Misuse(
            "no-image",
            f"without an image, so in no container: {', '.join(missing)}",
            why="--engine runs each task in the image that its spec names",
            fix="write `image:` at the task or in `defaults`, or leave --engine out",
        )
    several = [task.name for task in plan.all_tasks if task.nodes > 1]
    if several:
        raise Misuse(
            "nodes-in-containers",
            f"on several nodes, so in no container of this machine: {', '.join(several)}",
            why="containers here have a network each, and the nodes of a task would not meet",
            fix="leave --engine out: the nodes are then processes that meet at 127.0.0.1",
        )


def bring(plan: Plan, client: Client, tell: Callable[[str], None]) -> dict[Image, Image]:
    """Each image of a plan as it is here: pulled where it was not, its digest told where the engine knows one.

    tell: a line for people, before each download. Raises CannotAnswer "image-pull" for one that cannot be had.
    """
    images = {task.image for task in plan.all_tasks if task.image is not None}
    return {image: _bring(image, client, tell) for image in sorted(images, key=lambda i: i.reference)}


def here(plan: Plan, client: Client) -> dict[Image, Image]:
    """Each image of a plan as it is here, and none is pulled.

    Raises CannotAnswer "image-pull" for one that is not here, where only the engine could tell its digest.
    """
    found = dict[Image, Image]()
    for image in {task.image for task in plan.all_tasks if task.image is not None}:
        told = _inspect(reference(image), client) if image.digest is None else []
        if told is None:
            message = f"{reference(image)} is not on this machine, so nobody knows here which image its tag means"
            fix = f"`{client.name} pull {reference(image)}`, or `mlgen lock`, which pins it"
            raise CannotAnswer("image-pull", message, fix=fix)
        found[image] = image if image.digest else replace(image, digest=_digest(image, told))
    return found


def _bring(image: Image, client: Client, tell: Callable[[str], None]) -> Image:
    name = reference(image)
    told = _inspect(name, client)
    if told is None:
        tell(f"pulling {name}")
        done = subprocess.run(
            [client.program, "pull", "--quiet", name],
            env=dict(client.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        told = _inspect(name, client)
        if done.returncode or told is None:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise CannotAnswer(
                "image-pull",
                f"{client.name} cannot pull {name}",
                why=lines[-1][:500] if lines else "",
                fix=f"try `{client.name} pull {name}`; `{client.name} login` where the registry asks who you are",
            )
    return image if image.digest else replace(image, digest=_digest(image, told))


def _inspect(name: str, client: Client) -> list[str] | None:
    """The digests under which registries have an image that is here; None: it is not here."""
    done = client.ask("image", "inspect", "--format", "{{json .RepoDigests}}", name)
    if done.returncode:
        return None
    try:
        told = json.loads(done.stdout)
    except ValueError:
        return []
    return [str(one) for one in told] if isinstance(told, list) else []


def _digest(image: Image, told: list[str]) -> str | None:
    """Of an image that only a tag names: the one of its own repository. One that was built here has none."""
    repository = reference(replace(image, digest="")).rstrip("@")
    for one in told:
        name, _, digest = one.partition("@")
        if _DIGEST.fullmatch(digest) and (name == repository or name.endswith(f"/{repository}")):
            return digest
    return None
