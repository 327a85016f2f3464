"""What is done to the node itself: processes of a container killed, the kubelet restarted."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import Any

from tests.e2e.settings import need

# A container's processes are found by its id in their cgroup's path, in cgroup v1 and v2 alike.
_KILL = """
for file in /proc/[0-9]*/cgroup; do
  if grep -q "$0" "$file" 2>/dev/null; then pid=${file#/proc/}; kill -9 "${pid%/cgroup}" && echo killed; fi
done"""


def run(*command: str, timeout_seconds: int = 60) -> str:
    """What a command prints that runs on the node as root."""
    whole = [*shlex.split(need("MLGEN_E2E_NODE_EXEC")), *command]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    assert done.returncode == 0, f"{shlex.join(whole)}: {done.stderr}"
    return done.stdout


def kill_container(pod: dict[str, Any], container: str) -> None:
    """Kill -9 every process of a running container, its entrypoint among them."""
    [status] = [c for c in pod["status"]["containerStatuses"] if c["name"] == container]
    assert "running" in status["state"], status["state"]
    container_id = status["containerID"].partition("://")[2]
    assert "killed" in run("sh", "-c", _KILL, container_id)


def restart_kubelet() -> None:
    """Restart the kubelet; its pods go on meanwhile."""
    command = os.environ.get("MLGEN_E2E_KUBELET_RESTART")
    if command:
        subprocess.run(command, shell=True, check=True, capture_output=True, timeout=120)
    else:
        run("systemctl", "restart", "kubelet")
