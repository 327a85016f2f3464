"""What `mlgen diff` costs where one line of one spec among many changed, and where something changed that many name."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import specs
from measure import Usage, measure

TRIES = 3


def repository(folder: Path, count: int, tasks: int) -> None:
    """A repository with `count` rendered pipelines of `tasks` tasks, in one commit."""
    specs.pipelines(folder, tasks, count)
    (folder / "src").mkdir()
    (folder / "src" / "step.py").write_text("print('a step')\n")
    for spec in (folder / "pipelines").iterdir():
        spec.write_text(spec.read_text().replace("defaults:\n", "defaults:\n  code: src\n"))
    subprocess.run([sys.executable, "-m", "mlgen", "render"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def best(folder: Path, env: dict[str, str], *options: str) -> Usage:
    """The least of a few tries."""
    command = [sys.executable, "-m", "mlgen", "diff", *options]
    return min((measure(command, cwd=folder, env=env) for _ in range(TRIES)), key=lambda usage: usage.cpu_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipelines", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=5)
    given = parser.parse_args()
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[1] / "generator"), "LC_ALL": "C.UTF-8"}
    with TemporaryDirectory() as name:
        folder = Path(name)
        repository(folder, given.pipelines, given.tasks)
        told = f"{given.pipelines} pipelines of {given.tasks} tasks"
        spec = folder / "pipelines" / "bench-7.yaml"
        spec.write_text(spec.read_text().replace("memory: 2Gi", "memory: 3Gi"))
        for options in ((), ("--format", "markdown"), ("--format", "json")):
            used = best(folder, env, *options)
            print(f"one line of one spec, {told}, {' '.join(options) or 'text'}: {used.cpu_seconds:.2f} s cpu")
        subprocess.run([sys.executable, "-m", "mlgen", "render"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        print(f"the same with its manifests: {best(folder, env).cpu_seconds:.2f} s cpu")
        (folder / "src" / "step.py").write_text("print('another step')\n")
        used = best(folder, env, "--format", "markdown")
        print(f"a file of code that all name: {used.cpu_seconds:.2f} s cpu, {used.rss_bytes >> 20} MiB")


if __name__ == "__main__":
    main()
