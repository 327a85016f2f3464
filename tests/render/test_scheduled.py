"""The CronJob of a schedule: its own words, the least rights, nothing of it where there is no schedule."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from mlgen.plan.model import Plan
from mlgen.render.argocd import KINDS
from mlgen.render.cronjob import MAX_NAME
from mlgen.render.manifests import manifests
from mlgen.render.rendering import render_all
from mlgen.render.starts import start_manifests
from mlgen.runtime.pod.start import FILE, Start
from tests.spec.texts import plan_of
from tests.strategies import environment

TASKS = "tasks: {tell: {run: echo, image: busybox, in: [params.since, params.word]}}\n"
SPEC = f"""\
version: 1
name: daily
params: {{since: {{type: string}}, word: none}}
schedule: SCHEDULE
{TASKS}"""
DATED = '{cron: "0 3 * * mon-fri", zone: Europe/Berlin, params: {since: {scheduled: date}}}'

DATED_LATE = DATED.replace("params", "catch_up: 36h, params")


def plan(schedule: str) -> Plan:
    return plan_of(SPEC.replace("SCHEDULE", schedule).encode(), name="daily")


def objects(schedule: str) -> dict[str, Any]:
    return {str(m.data["kind"]): yaml.safe_load(m.bytes) for m in start_manifests(plan(schedule), environment())}


def test_a_cron_job_says_what_the_spec_says() -> None:
    spec = objects(DATED_LATE)["CronJob"]["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("0 3 * * mon-fri", "Europe/Berlin")
    assert (spec["concurrencyPolicy"], spec["startingDeadlineSeconds"]) == ("Forbid", 36 * 3600)
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert (container["command"], container["args"]) == (["mlgen-runtime"], ["start"])
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["volumes"][0]["configMap"]["name"] == objects(DATED_LATE)["ConfigMap"]["metadata"]["name"]
    assert (
        pod["serviceAccountName"] == objects(DATED)["ServiceAccount"]["metadata"]["name"]
    )  # whatever it says of times


@pytest.mark.parametrize(
    ("concurrency", "verbs"),
    [("allow", ["create"]), ("forbid", ["create", "list"]), ("replace", ["create", "list", "patch"])],
)
def test_it_may_do_what_it_does_and_nothing_else(concurrency: str, verbs: list[str]) -> None:
    found = objects(DATED.replace("params", f"concurrency: {concurrency}, params"))
    assert found["Role"]["rules"] == [{"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": verbs}]
    [subject] = found["RoleBinding"]["subjects"]
    assert subject["name"] == found["ServiceAccount"]["metadata"]["name"] == "mlgen-start-daily-prod"
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    assert "annotations" not in found["ServiceAccount"]["metadata"]  # nobody in a cloud


def test_what_its_pod_reads_is_the_run_of_the_pipeline() -> None:
    made = plan(DATED)
    found = objects(DATED)
    what = Start.read(found["ConfigMap"]["data"][FILE].encode(), "")
    run = json.loads(json.dumps(manifests(made, environment())[-1].data))
    del run["metadata"]["generateName"]
    run["metadata"]["labels"]["mlgen.dev/schedule"] = found["CronJob"]["metadata"]["name"]
    assert what.run == run
    assert what.schedule == made.schedules[0]
    assert run["metadata"]["annotations"]["mlgen.dev/plan-digest"] == made.digest


def test_when_it_starts_changes_nothing_of_what_it_does() -> None:
    text = SPEC.replace("since: {type: string}", "since: now")
    one, other, none = (
        plan_of(text.replace("schedule: SCHEDULE\n", line).encode(), name="daily")
        for line in ('schedule: "0 3 * * *"\n', 'schedule: "0 4 * * *"\n', "")
    )
    assert one.digest == other.digest == none.digest
    assert start_manifests(none, environment()) == []
    names = {m.name for m in (*start_manifests(one, environment()), *start_manifests(other, environment()))}
    assert len(names) == 3  # two CronJobs, one account


@pytest.mark.parametrize("length", [1, 37, 40])
def test_names_fit_and_several_schedules_have_their_own(length: int) -> None:
    name = "d" * length
    two = (
        SPEC.replace("name: daily", f"name: {name}")
        .replace("tell:", "t:")
        .replace("SCHEDULE", f"[{DATED}, {DATED.replace('3', '4')}]")
    )
    found = start_manifests(plan_of(two.encode(), name=name), environment(name="production"))
    assert len({m.path for m in found}) == 7
    assert max(len(m.name) for m in found if m.data["kind"] == "CronJob") <= MAX_NAME
    assert max(len(m.name) for m in found) <= 63


def test_argo_cd_may_sync_every_kind_and_all_is_rendered() -> None:
    made = plan(DATED)
    groups = {
        (str(m.data["apiVersion"]).rpartition("/")[0], str(m.data["kind"]))
        for m in start_manifests(made, environment())
    }
    assert groups <= set(KINDS)
    files = render_all([made], [environment()]).files
    assert {m.path for m in start_manifests(made, environment())} <= files.keys()
