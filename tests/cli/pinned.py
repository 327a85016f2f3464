"""A project in a repository, with two environments, as tests of pins and promotions want it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.revisions import commit, lay, repository

Say = Callable[..., tuple[int, str, str]]  # a command line, in this process: its exit code, stdout and stderr
DIGEST = "sha256:" + "1" * 64
SPEC = """\
version: 1
name: NAME
inputs: {rows: data/rows.csv}
defaults: {image: "ghcr.io/acme/NAME:1", code: src}
tasks:
  train: {run: 'python train.py "$rows" --epochs 1', in: [inputs.rows], memory: 2Gi}
  tell: {use: ./tasks/tell.yaml, after: [train]}
"""
TASK = """\
version: 1
kind: task
name: tell
image: "ghcr.io/acme/tell:1"
run: echo 1
"""
ENVIRONMENT = """\
  ENV:
    namespace: ml-ENV  # where pods run
    artifacts: s3://ml/ENV
    ledger: {url: "https://git.example/acme/ledger.git"}
    runtime_image: ghcr.io/acme/mlgen-runtime@sha256:1111111111111111111111111111111111111111111111111111111111111111
    limits: {memory: 4Gi}
"""
LOCK = "version: 1\nimages:\n" + "".join(
    f'  "ghcr.io/acme/{name}:1": "{DIGEST}"\n' for name in ("churn", "fraud", "tell")
)


def spec(name: str = "churn") -> str:
    """A spec, whole."""
    return SPEC.replace("NAME", name)


def project(**pins: str) -> str:
    """mlgen.yaml with `dev` and `prod`, pinned to commits."""
    blocks = ["version: 1\n# who changes this, asks the platform team\nenvironments:\n"]
    for name in ("dev", "prod"):
        block = ENVIRONMENT.replace("ENV", name)
        blocks.append(f'{block}    pin: "{pins[name]}"\n' if name in pins else block)
    return "\n".join(blocks)


FILES = {
    "mlgen.yaml": project(),
    "mlgen.lock": LOCK,
    "pipelines/churn.yaml": spec(),
    "pipelines/tasks/tell.yaml": TASK,
    "src/train.py": "print(1)\n",
    "data/rows.csv": "id\n",
    ".gitignore": ".mlgen/\n",
}


def make(root: Path) -> str:
    """The project in a repository of its own; its first commit."""
    return repository(root, FILES)


def change(root: Path, files: dict[str, str], message: str = "x") -> str:
    """A commit with these files written; its id."""
    lay(root, files)
    return commit(root, message)


def rendered(root: Path, env: str) -> dict[str, bytes]:
    """The files of an environment, by their paths below its folder."""
    folder = root / "tekton" / env
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.yaml")}
