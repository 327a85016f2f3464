"""What the guide of policies says is so: its files and commands, in a repository that `mlgen init` made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "generator/guides/policies.md").read_text()
FILES = dict(re.findall(r"^```yaml (\S+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def test_its_rule_and_its_cases_work(tmp_path: Path) -> None:
    project, program = tmp_path / "r", tmp_path / "bin" / "mlgen"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlgen "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    env = {**os.environ, "PYTHONPATH": str(ROOT / "generator"), "PATH": path}
    subprocess.run([program, "init", project], env=env, check=True, capture_output=True)
    for name, text in FILES.items():
        (project / name).write_text(text)
    (block,) = COMMANDS
    done = subprocess.run(["sh", "-ec", block], cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^(\d+) of \1 cases as expected, (\d+) of \2 rules tried both ways$", done.stdout, re.MULTILINE)
    spec = project / "pipelines" / "line.yaml"
    spec.write_text(spec.read_text().replace("timeout: 5m", "timeout: 48h"))
    done = subprocess.run([program, "check"], cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "a warning alone is a yes"
    assert "line.yaml:15:12: warning[policy-warning]: a step takes a day at most" in done.stdout
    assert "fix  lower `timeout`, or split the task" in done.stdout


def test_it_names_each_policy_of_the_starter_set() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+\.yaml)`", GUIDE, re.MULTILINE))
    assert listed == {path.name for path in (ROOT / "policies").glob("*.yaml")} - {"params.yaml"}


def test_its_commands_for_a_cluster_name_what_is_there() -> None:
    documents = [d for path in (ROOT / "policies").glob("*.yaml") for d in yaml.safe_load_all(path.read_text())]
    bindings = {d["metadata"]["name"] for d in documents if d["kind"] == "ValidatingAdmissionPolicyBinding"}
    (name,) = re.findall(r"delete validatingadmissionpolicybinding (\S+)", GUIDE)
    assert name in bindings
