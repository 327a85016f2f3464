"""Real container engines for tests, and an image that none of them has to download."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

BUSYBOX = Path("/bin/busybox")  # Debian's package busybox-static: one program, of which an image can be made
IMAGE = "localhost/mlgen-tests:1"
REQUIRED = "MLGEN_E2E_REQUIRED"
LINE = "mlgen.dev/run-uid"


def need(what: str) -> None:
    """Skip with the reason; where everything must be there, fail."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, and {REQUIRED} is set")
    pytest.skip(what)


@dataclass(frozen=True)
class Host:
    """An engine's name, and the variables with which its client is asked."""

    name: str
    environ: dict[str, str]

    def ask(self, *arguments: str) -> str:
        done = subprocess.run([self.name, *arguments], env=self.environ, capture_output=True, text=True, check=True)
        return done.stdout

    def containers(self) -> list[str]:
        """All containers of mlgen's runs, whatever became of them."""
        return self.ask("ps", "--all", "--quiet", "--filter", f"label={LINE}").split()


@dataclass(frozen=True)
class Here:
    """A project's folder, and mlgen in it, as a process of its own."""

    root: Path
    host: Host

    def write(self, spec: str, name: str = "p") -> None:
        (self.root / "mlgen.yaml").write_text("version: 1\n")
        (self.root / "pipelines").mkdir(exist_ok=True)
        (self.root / f"pipelines/{name}.yaml").write_text(spec)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mlgen", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**self.host.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def mlgen(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        return self.mlgen("run", "pipelines/p.yaml", "--engine", self.host.name, *arguments, **variables)

    def records(self) -> dict[str, dict[str, Any]]:
        """Of the run: the facet of each task's record."""
        code, out, err = self.mlgen("runs", "list", "--format", "json")
        assert code == 0, err
        run = json.loads(out)["runs"][0]["run"]
        found = json.loads(self.mlgen("runs", "show", run, "--format", "json")[1])
        facets = [record["run"]["facets"]["mlgen_task"] for record in found["records"]]
        return {facet["task"]: facet for facet in facets}

    def log(self, task: str) -> str:
        (log,) = self.root.glob(f".mlgen/runs/*/{task}-0/log")
        return log.read_text()


def podman() -> Host:
    """Podman, with the image loaded."""
    if shutil.which("podman") is None:
        need("podman is not installed")
    if not BUSYBOX.exists():
        need("no /bin/busybox of which to make an image (Debian: busybox-static)")
    host = Host("podman", {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "generator")})
    done = subprocess.run(["podman", "import", "-", IMAGE], input=rootfs(), capture_output=True, check=False)
    if done.returncode:
        need(f"podman cannot import an image: {done.stderr.decode(errors='replace').strip()}")
    return host


def rootfs() -> bytes:
    """A file system in which a shell and the usual small programs are, as tar."""
    held = BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for folder in ("bin", "tmp", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(BUSYBOX.resolve(), "bin/busybox")
        for program in ("sh", "cat", "id", "env", "sleep", "wc", "kill", "ls"):
            entry = tarfile.TarInfo(f"bin/{program}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return held.getvalue()
