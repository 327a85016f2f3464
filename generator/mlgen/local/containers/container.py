"""One container of an attempt: its name, how it ended, and its removal."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mlgen.local.containers.client import LABEL, Client


@dataclass(frozen=True, slots=True)
class End:
    """exit_code: of the program, None where the engine does not know one. started: whether it ever ran."""

    exit_code: int | None
    started: bool
    out_of_memory: bool


@dataclass(frozen=True, slots=True)
class Container:
    """A container by its name, which no other one has: it carries the execution's id."""

    client: Client
    name: str

    def end(self) -> End:
        """How it ended; afterwards it is gone, even where its client was killed and it still ran."""
        done = self.client.ask("container", "inspect", "--format", "{{json .State}}", self.name)
        self.client.ask("rm", "--force", self.name)
        try:
            state = json.loads(done.stdout) if done.returncode == 0 else {}
        except ValueError:
            state = {}
        status = state.get("Status")
        code = state.get("ExitCode")
        return End(
            code if isinstance(code, int) and status in ("exited", "stopped", "dead") else None,
            bool(state) and status not in ("created", "configured", "initialized"),
            state.get("OOMKilled") is True,
        )


def name(run: str, task: str, execution: str) -> str:
    """Of a container: told to people by `docker ps`, and unique by the execution's id."""
    return f"mlgen-{run[:60]}-{task}-{execution.replace('-', '')[:12]}"


def sweep(client: Client, uid: str) -> int:
    """Remove all containers of a run; how many there were."""
    found = client.ask("ps", "--all", "--quiet", "--filter", f"label={LABEL}={uid}").stdout.split()
    if found:
        client.ask("rm", "--force", *found)
    return len(found)
