"""Scenes for tests: a small project in memory, and cursors marked by `|`."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mlgen.editor.scene import Around, Scene, look
from mlgen.spec.checks.context import Context
from mlgen.spec.document import read
from mlgen.spec.load import load_project, load_task_file
from mlgen.spec.model import TaskFile

MARK = "¦"
REGISTER = """\
version: 1
kind: task
name: register
in: {model: {type: model}, stage: {choices: [staging, prod], description: "where it goes"}}
out: {receipt: report}
run: python register.py "$model"
image: a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""
PROJECT = """\
version: 1
environments:
  prod:
    namespace: ml
    artifacts: s3://ml-artifacts/p
    ledger: {url: "https://git.example/l.git"}
    runtime_image: ghcr.io/x/y@sha256:0000000000000000000000000000000000000000000000000000000000000000
    gpus: {a100: {resource: nvidia.com/gpu}, default: {resource: nvidia.com/gpu}}
"""
NAME, TASK = "pipelines/churn.yaml", "pipelines/tasks/register.yaml"
SPEC = """\
version: 1
name: churn
params: {target: {choices: [staging, prod], default: staging}}
tasks:
  train:
    run: echo > "$model"
    out: {model: model}
    image: a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000
  register:
    use: ./tasks/register.yaml
    in: {model: train.model, stage: params.target}
"""


@dataclass(frozen=True)
class Memory:
    """Files in memory, as mlgen.spec.model.Files has them."""

    texts: Mapping[str, str] = field(default_factory=dict)

    def kind(self, path: str) -> str | None:
        if path.startswith(".."):
            return "escape"
        if path in self.texts:
            return "file"
        return "folder" if any(name.startswith(f"{path}/") for name in self.texts) or path in ("", ".") else None

    def beside(self, path: str) -> Collection[str]:
        folder = posixpath.dirname(path)
        prefix = f"{folder}/" if folder else ""
        return sorted({name[len(prefix) :].split("/")[0] for name in self.texts if name.startswith(prefix)})

    def sha256(self, path: str) -> str:
        return "sha256:" + "0" * 64

    def listing(self, folder: str) -> Mapping[str, str]:
        return {}


FILES = Memory(
    {
        "pipelines/churn.yaml": "",
        "pipelines/tasks/register.yaml": REGISTER,
        "pipelines/tasks/notes.txt": "",
        "src/train.py": "",
        "data/labels.csv": "",
    }
)


def around(files: Memory = FILES) -> Around:
    def task_file(path: str) -> TaskFile | None:
        text = files.texts.get(path)
        return load_task_file(read(path, text.encode()), Context(files))[0] if text is not None else None

    document = read("mlgen.yaml", PROJECT.encode())
    return Around(
        files, load_project(document)[0], document, {"ghcr.io/acme/churn:1.8": "sha256:" + "a" * 64}, task_file
    )


def at(marked: str, file: str = "pipelines/churn.yaml") -> tuple[Scene, list[str], int, int]:
    """The scene of a text with one mark in it; its lines without the mark, the mark's line and column, from 0."""
    before, after = marked.split(MARK)
    text = before + after
    line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
    return look(file, text, around(), line=line), text.split("\n"), line, column
