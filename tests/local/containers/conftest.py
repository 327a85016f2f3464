"""One engine a session: Podman, and Docker's own client where it can talk to Podman's service or to a daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.containers.engines import Here, Host, need, podman


@pytest.fixture(scope="session")
def podman_host() -> Host:
    return podman()


@pytest.fixture(scope="session")
def docker_host(podman_host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Docker's client, at the service in which Podman speaks Docker's API."""
    if shutil.which("docker") is None:
        need("docker's client is not installed")
    socket = Path("/tmp") / f"mlgen-{os.getpid()}.sock"  # a path of a socket has 107 bytes at most
    environ = {**podman_host.environ, "DOCKER_HOST": f"unix://{socket}"}
    service = subprocess.Popen(
        ["podman", "system", "service", "--time", "0", f"unix://{socket}"], stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 20
        while subprocess.run(["docker", "version"], env=environ, capture_output=True, check=False).returncode:
            if time.monotonic() > until or service.poll() is not None:
                need("podman's service does not answer docker's client")
            time.sleep(0.1)
        yield Host("docker", environ)
    finally:
        service.terminate()
        service.wait()
        socket.unlink(missing_ok=True)


@pytest.fixture(params=["podman", "docker"])
def host(request: pytest.FixtureRequest) -> Host:
    found: Host = request.getfixturevalue(f"{request.param}_host")
    return found


@pytest.fixture
def here(tmp_path: Path, host: Host) -> Iterator[Here]:
    before = set(host.containers())
    yield Here(tmp_path, host)
    left = [one for one in host.containers() if one not in before]
    if left:
        host.ask("rm", "--force", *left)
    assert not left, "a test left containers"
