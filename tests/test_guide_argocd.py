"""What the guide of Argo CD says is so: its mlgen.yaml, its Role, the names that it gives, the files that it lists."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.cli.collecting import tasks as gc_tasks
from mlgen.cli.main import run
from mlgen.cli.verbs import VERBS
from mlgen.render import argocd
from mlgen.render.argocd import application_name
from tests.cli import lab
from tests.cli.test_gc_tasks import LONE, NEW, OLD, condition, pipeline, pipeline_run, resolved, task
from tests.cluster import apiserver

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "generator/guides/argocd.md").read_text()


APP = application_name("https://git.example/acme/ml", "", "prod")


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```yaml {re.escape(kind)}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_its_mlgen_yaml_renders_to_the_files_that_it_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environments = (ROOT / "mlgen.yaml").read_text().partition("\nenvironments:")[2]
    (tmp_path / "mlgen.yaml").write_text(f"version: 1\n{block('mlgen.yaml')}environments:{environments}")
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    monkeypatch.chdir(tmp_path)
    assert run(["render", "--env", "prod"]) == 0
    capsys.readouterr()
    named = [
        re.sub(r"<repository>-<env>-<digest>|<namespace>", lambda m: APP if "env" in m[0] else "ml-prod", row).replace(
            "….yaml", "*"
        )
        for row in re.findall(r"^\| `([a-z]+/[^`]+)` \|", GUIDE, re.MULTILINE)
    ]
    assert len(named) == 4
    assert [name for name in named if not list((tmp_path / "tekton/prod").glob(name))] == []
    text = (tmp_path / f"tekton/prod/argocd/application-{APP}.yaml").read_text()
    assert "name: prod-eu\n" in text


def test_its_role_has_what_gc_tasks_asks_for_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        (resource, verb)
        for rule in yaml.safe_load(block("role"))["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    lab.lay_down(tmp_path, s3="http://127.0.0.1:9", ledger="http://127.0.0.1:9/ledger.git")
    asked: set[tuple[str, str]] = set()
    with apiserver.running() as cluster:
        cluster.tasks += [task(OLD), task(NEW), task(LONE)]
        going_on = {"taskruns": {"spec": {"taskRef": {"name": NEW}}}, "pipelineruns": pipeline_run()}

        def fault(method: str, path: str) -> int:
            """Note what is asked; while one is deleted, everything else changes."""
            parts = path.split("namespaces/cron-lab/")[1].split("/")
            verb = "delete" if method == "DELETE" else "get" if parts[1:] else "list"
            asked.add((parts[0], verb))
            if verb == "delete":
                cluster.pipelines[:] = [
                    {**pipeline("churn", NEW), "metadata": {"name": "churn", "uid": "u", "resourceVersion": "9"}}
                ]
                run_, task_run = going_on["pipelineruns"], going_on["taskruns"]
                about = {"name": "x", "uid": "x", "resourceVersion": "1"}
                cluster.pipelineruns[:] = [{**run_, "metadata": about, "status": condition("Unknown", **resolved(NEW))}]
                cluster.taskruns[:] = [{**task_run, "metadata": about}]
            return 0

        cluster.fault = fault
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path)))
        assert run(["gc", "tasks", "--env", "lab", "--delete", "--format", "json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["goes"]] == [OLD, LONE]
    assert asked == given


def test_a_refusal_names_the_place_of_that_role() -> None:
    _, heading = re.findall(r'"([^"]*)"', gc_tasks.ROLE)
    assert f"\n## {heading}\n" in GUIDE


def test_its_policies_application_reads_what_policies_hold() -> None:
    project, application = yaml.safe_load_all(block("policies"))
    kinds = {
        (str(data["apiVersion"]).rpartition("/")[0], data["kind"])
        for file in (ROOT / "policies").glob("*.yaml")
        for data in yaml.safe_load_all(file.read_text())
        if data
    }
    spec: Any = project["spec"]
    allowed = [(one["group"], one["kind"]) for key in spec if "Whitelist" in key for one in spec[key]]
    assert kinds <= set(allowed)
    assert application["spec"]["project"] == project["metadata"]["name"]
    assert "FailOnSharedResource=true" in {*application["spec"]["syncPolicy"]["syncOptions"]} & {*argocd.SYNC_OPTIONS}


def test_its_commands_ask_for_the_application_that_is_rendered() -> None:
    assert set(re.findall(r"(?:argocd app [a-z-]+|get application) ([a-z0-9-]+)", GUIDE)) == {APP}


def test_every_verb_and_path_named_is_ours() -> None:
    assert set(re.findall(r"`mlgen ([a-z]+)\b", GUIDE)) <= VERBS.keys()
    links = [link for link in re.findall(r"\]\(([^)#]+)", GUIDE) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / "generator/guides" / link).exists()] == []
