"""What a project of many pipelines costs at a revision: python bench/revisions.py [--pipelines 500]

CPU seconds of whole commands, git included, the least of the rounds: the same rendering from the files as they are and
from a pin, a promotion, and a check with and without a pinned environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import measure

SPEC = """\
version: 1
name: NAME
params: {epochs: 20, min_auc: 0.85}
defaults: {image: "ghcr.io/acme/NAME:1.8", code: src, memory: 2Gi}
tasks:
  prepare: {run: 'python prepare.py --out "$features"', out: {features: dataset}}
  train: {run: 'python train.py "$features" "$epochs"', in: [prepare.features, params.epochs], out: {auc: metric}}
  check: {run: 'echo "$auc"', in: [train.auc], out: {said: string}}
  tell: {run: echo, if: train.auc >= params.min_auc, in: [check.said]}
  done: {run: echo, after: [tell]}
"""
ENVIRONMENT = """\
  NAME:
    namespace: ml-NAME
    artifacts: s3://ml/NAME
    ledger: {url: "https://git.example/ledger.git"}
    runtime_image: ghcr.io/acme/mlgen-runtime@sha256:DIGEST
""".replace("DIGEST", "1" * 64)
MLGEN = [sys.executable, "-m", "mlgen"]


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipelines", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay(root, given.pipelines)
        render = [*MLGEN, "render", "--env", "prod", "--check"]
        subprocess.run([*MLGEN, "render"], cwd=root, check=True, stdout=subprocess.DEVNULL)
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "rendered")
        show("render --check, the files as they are", [*render], root, given.rounds)
        show("check, nothing pinned", [*MLGEN, "check"], root, given.rounds)
        show("promote --dry-run", [*MLGEN, "promote", "--to", "prod", "--dry-run"], root, given.rounds)
        subprocess.run([*MLGEN, "promote", "--to", "prod"], cwd=root, check=True, stdout=subprocess.DEVNULL)
        show("render --check, at a pin", [*render], root, given.rounds)
        show("check, prod pinned", [*MLGEN, "check"], root, given.rounds)


def lay(root: Path, pipelines: int) -> None:
    """A repository with one commit."""
    for name in (f"p{number:04}" for number in range(pipelines)):
        path = root / "pipelines" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SPEC.replace("NAME", name))
    (root / "src").mkdir()
    for number in range(50):
        (root / "src" / f"m{number}.py").write_text(f"print({number})\n" * 100)
    environments = "".join(ENVIRONMENT.replace("NAME", name) for name in ("dev", "prod"))
    (root / "mlgen.yaml").write_text(f"version: 1\nenvironments:\n{environments}")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")


def git(root: Path, *arguments: str) -> None:
    """Run git with an identity of its own."""
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, check=True)


def show(title: str, command: list[str | Path], root: Path, rounds: int) -> None:
    """Measure a command, and print the least of its rounds."""
    usages = [measure(command, cwd=root, env=dict(os.environ)) for _ in range(rounds)]
    least = min(usages, key=lambda usage: usage.cpu_seconds)
    print(f"{title:42} {least.cpu_seconds:6.2f} s cpu  {least.rss_bytes / (1 << 20):6.0f} MiB")


if __name__ == "__main__":
    main()
