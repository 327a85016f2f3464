"""What the guide of running again says is so: its commands, its words, its table."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mlgen.cli.main import run
from mlgen.plan.known import _AROUND
from mlgen.runtime.plans import key

GUIDE = (Path(__file__).parents[1] / "generator/guides/rerun.md").read_text()
LINE = """\
version: 1
name: line
tasks:
  make: {run: 'echo 1 > "$rows"', out: [rows]}
  train: {run: 'cp "$rows" "$model"', in: [make.rows], out: {model: model}}
  judge: {run: 'cat "$model"; exit 7', in: [train.model]}
  report: {run: 'true', after: [judge]}
"""
DAILY = """\
version: 1
name: daily
params: {since: {type: string}}
tasks: {make: {run: 'echo "$since"', in: [params.since]}}
"""


@pytest.fixture(name="project")
def _project(bare: Path) -> Path:
    (bare / "pipelines/line.yaml").write_text(LINE)
    (bare / "pipelines/daily.yaml").write_text(DAILY)
    return bare


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines()]


def test_its_commands_do_what_they_say(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *others, backfill = commands()
    assert run(first) == 1
    (project / "pipelines/line.yaml").write_text(LINE.replace("exit 7", "true"))
    capsys.readouterr()
    assert run(second) == 0
    told, *_ = re.findall(r"^```text\n(from first: .*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert capsys.readouterr().err.startswith(told)
    for command in others:
        assert run(command) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert run([*backfill, "--format", "json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [one["run"] for one in runs] == re.findall(r"^2026-\S+  (\S+)  ", GUIDE, re.MULTILINE)


def test_trials_that_succeeded_are_taken_from_the_cache(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = "{each: {run: 'test $n != 2 && echo $n > \"$m\"', for: {n: [1, 2, 3]}, out: {m: integer}, cache: true}}"
    spec = project / "pipelines/line.yaml"
    spec.write_text(f"version: 1\nname: line\ntasks: {tasks}\n")
    assert run(["run", "pipelines/line.yaml", "--name", "first"]) == 1
    done = capsys.readouterr().err.count("  succeeded  (")
    assert done
    spec.write_text(spec.read_text().replace("for: {n: [1, 2, 3]}", "failures: 1, for: {n: [1, 2, 3]}"))
    assert run(["run", "pipelines/line.yaml", "--name", "second"]) == 0
    assert f"each  2 succeeded, 1 failed ({done} cached)\n" in capsys.readouterr().out


def test_its_facts_are_those_of_the_code() -> None:
    [named] = re.findall(r"Not compared: (.*)\.$", GUIDE.replace(". So a task", ".\n"), re.MULTILINE)
    written = {"cpu": "cpuMillis", "timeout": "timeoutSeconds"}
    assert {written.get(word, word) for word in re.findall("`([a-z]+)`", named)} <= _AROUND
    assert key("sha256:<digest>") in GUIDE
