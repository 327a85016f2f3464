"""One spec, two engines: runs here and in the cluster tell the same, but for what each has of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.alike import Json, told
from tests.e2e.cluster import BUSYBOX, ROOT, kubectl
from tests.e2e.lab import ENV, Lab, Project
from tests.e2e.settings import need

pytestmark = pytest.mark.together

CHURN = ROOT / "tests" / "examples" / "churn"
CUSTOMERS = "id,since,days\n1,2026-01-01,25\n2,2026-01-02,3\n3,2026-02-01,2\n4,2026-02-02,30\n5,2025-12-31,9\n"
# What a test cluster has little of; neither engine's records speak of it.
LARGE = re.compile(r"^ +(cpu|gpu|shm|disk|memory): .*\n", re.MULTILINE)
SMALL = "cpu: 10m\n  memory: 384Mi"

# Where engines could differ and no example goes: texts, types, folders, what is not written, what fails.
ODD = """\
params:
  text: "a $b ${c} $$ 'd' \\"e\\" \\\\n größe"
  many: {type: json, default: [1, {a: null}]}
  share: 1e-3
  truth: true
inputs:
  notes: data/notes
tasks:
  write:
    run: |
      printf '%s' "$text" > "$said"
      printf '%s\\n' "$many" > "$list"
      echo "$share" > "$part"
      mkdir -p "$files/deep/empty" && cp "$notes"/* "$files/deep" && echo '<svg/>' > "$files/a.svg"
      [ "$truth" = true ] && echo 7 > "$count"
      ls *.txt > "$files/code"
      if [ -e "$HOME/none" ]; then echo never > "$maybe"; fi
    in: [params.text, params.many, params.share, params.truth, inputs.notes]
    code: [src, more]
    out: {said: {type: string, max: 64}, list: {type: json, max: 32}, part: number, files: dataset, count: integer,
          maybe: {type: string, optional: true, max: 8}, picture: {type: plot, optional: true}}
  read:
    run: |
      [ -z "${maybe+set}" ] && [ -z "${picture+set}" ] || exit 9
      printf '%s|%s|%s|%s' "$said" "$list" "$part" "$count" > "$all"
      find "$files" -type f | sort | sed "s#$files##" > "$found"
    in: [write.said, write.list, write.part, write.count, write.files, write.maybe, write.picture]
    out: {all: file, found: file}
  gated: {run: "true", if: write.count > 7}
  both: {run: "true", if: write.count == 7 and write.part < 1}
finally:
  say:
    run: echo "$MLGEN_RUN_STATUS" > "$status"; echo "$MLGEN_TASKS" | tr , '\\n' | grep -c status > "$tasks_told"
    out: {status: string, tasks_told: integer}
"""
FAILING = """\
params: {code: 3}
tasks:
  again:
    run: |
      echo 0.5 > "$score"
      echo half > "$model"
      exit "$code"
    in: [params.code]
    out: {score: metric, model: model, note: string}
    retries: 1
  afterwards: {run: "true", after: [again]}
finally:
  say:
    run: echo "$MLGEN_RUN_STATUS" > "$status"
    out: {status: string}
"""


@dataclass(frozen=True)
class Case:
    """A pipeline of a project, and what its runs are given. exit_code: of `mlgen run`, in both engines."""

    project: Project
    pipeline: str
    arguments: tuple[str, ...] = ()
    exit_code: int = 0
    environ: tuple[tuple[str, str], ...] = ()

    def run(self, *where: str) -> str:
        """Run it, locally unless `where` says otherwise; the run's name."""
        given = [word for argument in self.arguments for word in ("-p", argument)]
        command = [sys.executable, "-m", "mlgen", "run", f"pipelines/{self.pipeline}.yaml", *given, *where]
        # The `python` of these tests, which has what the examples import.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            [*command, "--format", "json"],
            cwd=self.project.root,
            env={**self.project.environ(), **dict(self.environ), "PATH": path},
            capture_output=True,
            text=True,
            timeout=900,  # as long as a run takes where many others share the cores
            check=False,
        )
        assert done.returncode == self.exit_code, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        name: str = json.loads(done.stdout)["run"]
        return name

    def compare(self) -> dict[str, Json]:
        """Run it in both engines, and insist that they tell the same; what they tell."""
        here, there = self.run(), self.run("--env", ENV)
        local = told(_of(here, _on_branch(self.project.root, "ledger")))
        pods = told(_of(there, [*self.project.landed().values(), *self.project.spooled()]))
        assert pods.keys() == local.keys()
        for name, entry in local.items():
            assert pods[name] == entry, name
        return local


def test_hello(lab: Lab) -> None:
    case = Case(_example(lab, "hello", ROOT, "hello", BUSYBOX), "hello", ("whom=you, $you",))
    assert case.compare().keys() == {"greet-0", "count-0", "run.json"}


@pytest.mark.parametrize("argument", ["min_auc=0.98", "min_auc=0.9999"])
def test_breast_cancer(lab: Lab, argument: str) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn and matplotlib, as extra `demo` has them")
    image = need("MLGEN_E2E_SCIKIT_LEARN_IMAGE")
    case = Case(_example(lab, "cancer", ROOT, "breast-cancer", image), "breast-cancer", (argument,))
    last = "report-0" if argument == "min_auc=0.98" else "review-0"
    assert case.compare().keys() == {"prepare-0", "train-0", "validate-0", last, "tell-0", "run.json"}


@pytest.mark.parametrize("target", ["staging", "none"])
def test_churn(lab: Lab, target: str) -> None:
    image = need("MLGEN_E2E_PYTHON_IMAGE")
    project = _example(lab, "churn", CHURN, "churn", image)
    (project.root / "customers.csv").write_text(CUSTOMERS)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf", "namespace": project.name}}
    kubectl("create", "-f", "-", given={**secret, "stringData": {"token": "not-told"}})
    given = ("raw=customers.csv", "since=2026-01-01", f"target={target}")
    case = Case(project, "churn", given, environ=(("HF_TOKEN", "not-told"),))
    registered = {"register-0"} if target == "staging" else set()
    assert case.compare().keys() == {"prepare-0", "train-0", "draw-0", "tell-0", "run.json"} | registered


def test_what_no_example_shows(lab: Lab) -> None:
    project = lab.project("odd")
    files = {"src/one.txt": "1", "more/two.txt": "2", "data/notes/ü.csv": "a\n", "data/notes/b": "b"}
    for name, text in files.items():
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        (project.root / name).write_text(text)
    project.pipeline("odd", ODD)
    found = Case(project, "odd").compare()
    assert found.keys() == {"write-0", "read-0", "both-0", "say-0", "run.json"}
    values = found["write-0"]["run"]["facets"]["mlgen_task"]["values"]
    assert values["said"] == """a $b ${c} $$ 'd' "e" \\n größe"""


@pytest.mark.parametrize("code", ["3", "0"])
def test_what_fails(lab: Lab, code: str) -> None:
    """With exit code 0 it fails all the same, for want of an out."""
    project = lab.project("failing")
    project.pipeline("failing", FAILING)
    found = Case(project, "failing", (f"code={code}",), exit_code=1).compare()
    assert found.keys() == {"again-0", "again-1", "say-0", "run.json"}


def _example(lab: Lab, name: str, root: Path, pipeline: str, image: str) -> Project:
    """A project with an example that is as it stands, but for its image and what no test cluster has."""
    project = lab.project(name)
    skipped = shutil.ignore_patterns("__pycache__", "*.yaml", "expected")
    for folder in ("pipelines", *(() if root == ROOT else ("src", "data"))):
        shutil.copytree(root / folder, project.root / folder, ignore=skipped, dirs_exist_ok=True)
    text = (root / "pipelines" / f"{pipeline}.yaml").read_text()
    text = re.sub(r"^  image: .*$", f"  image: {image}\n  {SMALL}", LARGE.sub("", text), flags=re.MULTILINE)
    (project.root / "pipelines" / f"{pipeline}.yaml").write_text(text)
    project.apply()
    return project


def _of(run: str, entries: list[Json]) -> list[Json]:
    return [e for e in entries if (e["run"]["facets"]["mlgen_task"] if "eventType" in e else e)["run"] == run]


def _on_branch(repository: Path, branch: str) -> list[Json]:
    """What lies on a branch of a repository, read by Git alone."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True).stdout

    paths = git("ls-tree", "-r", "--name-only", "-z", branch, "runs").split("\0")
    found: list[Any] = [json.loads(git("show", f"{branch}:{path}")) for path in paths if path]
    return found
