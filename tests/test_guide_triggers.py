"""What the guide of triggers says is so: its spec, its event, its commands, the names in a cluster."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mlgen.cli.main import run
from mlgen.render.starting import account_name
from mlgen.render.triggered import listener_manifests, listener_name
from tests.spec.texts import plan_of
from tests.strategies import environment

GUIDE = (Path(__file__).parents[1] / "generator/guides/triggers.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def test_its_commands_do_what_it_says(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [spec], [event] = blocks("yaml"), blocks("json")
    (bare / "pipelines/ingest.yaml").write_text(spec)
    (bare / "event.json").write_text(event)
    said = []
    for line in (line for block in blocks("sh") for line in block.splitlines()):
        assert run(shlex.split(line, comments=True)[1:]) == 0, line
        said.append(capsys.readouterr().out)
    assert "would be started" in said[1]
    assert "COMPLETE" in said[2]
    assert "is there already" in said[3]
    assert run(["runs", "list", "--format", "json"]) == 0
    [one] = json.loads(capsys.readouterr().out)["runs"]
    assert run(["runs", "show", one["run"], "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["params"]
    assert found == {"file": "s3://ml-data/incoming/a.csv", "commit": "", "rows": 100}


def test_its_names_are_those_of_the_manifests() -> None:
    plan = plan_of(blocks("yaml")[0].encode(), name="ingest")
    names = {m.name for m in listener_manifests(environment(triggers=True))}
    assert {"mlgen-prod", "mlgen-events-prod"} <= names
    assert f"el-{listener_name('prod')}" in GUIDE
    assert account_name(plan, "prod") in GUIDE
