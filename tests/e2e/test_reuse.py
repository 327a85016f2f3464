"""A nested pipeline and a task of another repository, in both engines, which know of neither."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests import git_host
from tests.e2e.cluster import BUSYBOX
from tests.e2e.lab import Lab, Project
from tests.e2e.test_two_engines import Case
from tests.git_host import READER

pytestmark = pytest.mark.together

SMALL = {"image": BUSYBOX, "cpu": "10m", "memory": "32Mi", "timeout": "3m"}
COUNT = """\
version: 1
kind: task
name: count
in: {lines: {type: dataset}, least: {type: integer, default: 1}}
out: {count: integer}
code: src/count
run: sh count.sh "$lines" "$least" > "$count"
"""
PREP = """\
params: {word: {type: string}, mode: {choices: [plain, odd], default: plain}}
outs: {lines: upper.lines, words: write.words}
tasks:
  write:
    run: printf "%s\\n" "$word" more > "$text"; echo 2 > "$words"
    in: [params.word]
    out: {text: dataset, words: integer}
  odd: {run: exit 1, if: params.mode == "odd"}
  upper: {run: 'tr a-z A-Z < "$text" > "$lines"', in: [write.text], out: {lines: dataset}, if: write.words > 1}
"""
SPEC = """\
params: {word: hello}
tasks:
  prep: {use: prep@1, in: {word: params.word}}
  count: {use: shared/count@1, in: {lines: prep.lines}, if: prep.words == 2}
  last: {run: 'test "$count" = 2', in: [count.count], after: [prep]}
"""


def test_a_nested_pipeline_and_a_task_of_another_repository(lab: Lab) -> None:
    project = lab.project("reuse")
    with git_host.serve(project.root.parent / "reuse-host") as host:
        url = _shared(project, host.repository("tasks"), host.url)
        config = yaml.safe_load((project.root / "mlgen.yaml").read_text())
        config["sources"] = {"shared": {"url": url, "ref": "v1"}}
        (project.root / "mlgen.yaml").write_text(yaml.safe_dump(config))
        (project.root / "tasks").mkdir()
        head = yaml.safe_dump({"version": 1, "name": "prep", "defaults": SMALL})
        (project.root / "tasks/prep@1.yaml").write_text(head + PREP)
        head = yaml.safe_dump({"version": 1, "name": "reuse", "defaults": SMALL})
        (project.root / "pipelines/reuse.yaml").write_text(head + SPEC)
        project.mlgen("lock")
    # From here on nobody answers at that URL.
    project.apply()
    found = Case(project, "reuse").compare()
    assert found.keys() == {"prep-write-0", "prep-upper-0", "count-0", "last-0", "run.json"}
    assert found["count-0"]["run"]["facets"]["mlgen_task"]["values"] == {"count": 2}


def _shared(project: Project, bare: Path, host: str) -> str:
    """Another repository with a task, at a URL that this project's git has the password for."""
    work = project.root.parent / "reuse-shared"
    files = {"tasks/count@1.yaml": COUNT + yaml.safe_dump(SMALL), "src/count/count.sh": "wc -l < $1\n"}
    for path, text in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    pushed = ("push", "-q", str(bare), "HEAD:refs/tags/v1")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "x"), pushed):
        subprocess.run([*git, *arguments], cwd=work, check=True)
    with (project.root / "home/credentials").open("a") as kept:
        kept.write(host.replace("://", f"://{READER[0]}:{READER[1]}@") + "\n")
    return f"{host}/tasks.git"
