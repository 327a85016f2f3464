"""Experiments: taken by Katib's rules, and trials that print what Katib reads.

No Katib is on the test cluster. `refusals` carries the rules of its validating webhook, as they were read:
kubeflow/katib at 33c8ff4e, pkg/webhook/v1beta1/experiment/validator/validator.go.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.cli.main import run

PROJECT = """version: 1
environments:
  prod:
    namespace: ml-prod
    artifacts: s3://ml-artifacts/prod
    ledger: {url: "https://git.example/acme/ledger.git"}
    runtime_image: ghcr.io/acme/mlgen-runtime@sha256:0000000000000000000000000000000000000000000000000000000000000000
    gpus: {a100: {resource: nvidia.com/gpu, node_selector: {pool: a100}}}
"""
SPEC = """version: 1
name: k
params: {epochs: 5}
defaults: {image: python@sha256:0000000000000000000000000000000000000000000000000000000000000000}
tasks:
  train:
    run: |
      for step in 1 2; do echo "$step 0.$step" >> "$MLGEN_REPORT"; done
      sleep 0.3
      echo "$rate" > "$auc"; echo 3 > "$loss"
      printf '%s' "$note $epochs $depth $kind" > "$model"
    in: {epochs: params.epochs, note: {value: "a $HOME $(HOME) b"}}
    out: {auc: metric, loss: metric, model: model}
    gpu: a100:1
    sweep:
      search: {rate: {min: 0.001, max: 1.0, log: true}, depth: {min: 2, max: 8}, kind: [a, b]}
      trials: 12
      seed: 7
      prune: median
    parallel: 2
    failures: 3
    pick: max auc
"""
ALGORITHMS = {"random", "tpe", "multivariate-tpe", "grid", "hyperband", "bayesianoptimization", "cmaes", "sobol"}
Data = dict[str, Any]


def rendered(folder: Path, capsysbinary: pytest.CaptureFixture[bytes], spec: str = SPEC) -> Data:
    (folder / "pipelines").mkdir(parents=True)
    (folder / "mlgen.yaml").write_text(PROJECT)
    (folder / "pipelines/k.yaml").write_text(spec)
    code = run(["-C", str(folder), "render", "pipelines/k.yaml", "--env", "prod", "--target", "katib"])
    captured = capsysbinary.readouterr()
    assert code == 0, captured.err.decode() + captured.out.decode()
    found: Data = yaml.safe_load(captured.out)
    return found


def refusals(experiment: Data) -> list[str]:
    """What Katib's webhook says against an Experiment, of what it can say against one that is new."""
    spec, name = experiment["spec"], experiment["metadata"]["name"]
    most, failed, parallel = spec["maxTrialCount"], spec["maxFailedTrialCount"], spec["parallelTrialCount"]
    objective, collector = spec["objective"], spec["metricsCollectorSpec"]
    rules = {
        "name": bool(re.match("^[a-z]([-a-z0-9]*[a-z0-9])?", name)) and len(name) <= 40,
        "counts": failed >= 0 and most > 0 and parallel > 0 and failed <= most and parallel <= most,
        "objective": objective["type"] in ("minimize", "maximize") and bool(objective["objectiveMetricName"]),
        "metrics": objective["objectiveMetricName"] not in objective.get("additionalMetricNames", []),
        "algorithm": spec["algorithm"]["algorithmName"] in ALGORITHMS,
        "early stopping": spec.get("earlyStopping", {"algorithmName": "medianstop"})["algorithmName"] == "medianstop",
        "resume": spec["resumePolicy"] in ("", "Never", "LongRunning", "FromVolume"),
        "parameters": bool(spec["parameters"]) and all(map(_is_parameter, spec["parameters"])),
        "collector": collector["collector"]["kind"] in ("StdOut", "Push"),
    }
    return [rule for rule, holds in rules.items() if not holds] + _template_refusals(spec)


def _is_parameter(parameter: Data) -> bool:
    space, kind = parameter["feasibleSpace"], parameter["parameterType"]
    if kind in ("int", "double"):
        ends = isinstance(space["min"], str) and isinstance(space["max"], str) and bool(space["min"] and space["max"])
        return (
            ends and "list" not in space and space["distribution"] in ("uniform", "logUniform", "normal", "logNormal")
        )
    return kind in ("categorical", "discrete") and bool(space["list"]) and not {"min", "max", "step"} & set(space)


def _template_refusals(spec: Data) -> list[str]:
    template = spec["trialTemplate"]
    text, said = json.dumps(template["trialSpec"]), []
    names = [p["name"] for p in template["trialParameters"]]
    references = [p["reference"] for p in template["trialParameters"]]
    if len(set(names)) < len(names) or len(set(references)) < len(references):
        said.append("duplicated")
    if not set(references) <= {p["name"] for p in spec["parameters"]}:
        said.append("a reference that does not exist")
    for name in names:
        if f"${{trialParameters.{name}}}" not in text:
            said.append(f"{name} is not found in the template")
        text = text.replace(f"${{trialParameters.{name}}}", "test-value")
    if re.search(r"\$\{trialParameters\..+?\}", text):
        said.append("not replaced")
    job = template["trialSpec"]
    if "name" in job.get("metadata", {}) or "namespace" in job.get("metadata", {}):
        said.append("metadata.name and metadata.namespace must be omitted")
    if not job["apiVersion"] or not job["kind"] or not template["successCondition"] or not template["failureCondition"]:
        said.append("must be specified")
    containers = [c["name"] for c in job["spec"]["template"]["spec"]["containers"]]
    if template["primaryContainerName"] not in containers:
        said.append("no primary container")
    return said


def test_katib_would_take_it(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    experiment = rendered(tmp_path / "a", capsysbinary)

    assert refusals(experiment) == []
    spec = experiment["spec"]
    assert spec["objective"]["type"] == "maximize"
    assert spec["algorithm"]["algorithmName"] == "multivariate-tpe"
    assert spec["earlyStopping"]["algorithmName"] == "medianstop"
    assert (spec["parallelTrialCount"], spec["maxTrialCount"], spec["maxFailedTrialCount"]) == (2, 12, 3)
    assert [p["parameterType"] for p in spec["parameters"]] == ["double", "int", "categorical"]

    other = SPEC.replace("prune: median", "sampler: random").replace("max auc", "min loss")
    experiment = rendered(tmp_path / "b", capsysbinary, other)
    assert refusals(experiment) == []
    assert experiment["spec"]["algorithm"]["algorithmName"] == "random"
    assert experiment["spec"]["objective"]["type"] == "minimize"
    assert "earlyStopping" not in experiment["spec"]


def test_a_pod_of_a_trial_is_restricted_and_goes_to_its_gpu(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    pod = rendered(tmp_path / "a", capsysbinary)["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]

    assert pod["nodeSelector"] == {"pool": "a100"}
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_trial_prints_what_katib_reads(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The container as Kubernetes starts it, its command wrapped as by Katib (pkg/webhook/v1beta1/pod/utils.go)."""
    template = rendered(tmp_path / "a", capsysbinary)["spec"]["trialTemplate"]["trialSpec"]
    text = json.dumps(template).replace("/mlgen", str(tmp_path / "pod"))
    for name, value in {"rate": "0.25", "depth": "3", "kind": "b"}.items():
        text = text.replace(f"${{trialParameters.{name}}}", value)
    container = json.loads(text)["spec"]["template"]["spec"]["containers"][0]
    env = {v["name"]: v.get("value", "").replace("$$", "$") for v in container["env"]}
    log = tmp_path / "metrics.log"
    shell, flag, *rest = container["command"]
    command = " ".join([*(part.replace("$$", "$") for part in rest), f"1>{log} 2>&1", "&&", "echo completed"])

    with (tmp_path / "stdout").open("w") as out:
        pod = subprocess.Popen(
            [shell, flag, command], env={"PATH": os.environ["PATH"], **env}, stdout=out, start_new_session=True
        )
        pod.wait(30)
        os.killpg(pod.pid, signal.SIGKILL)  # what a container's first process leaves behind ends with it

    assert (tmp_path / "stdout").read_text() == "completed\n", log.read_text()
    default_filter = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"  # of the collector
    found = [match[:2] for match in re.findall(default_filter, log.read_text())]
    assert found == [("auc", "0.1"), ("auc", "0.2"), ("auc", "0.25"), ("loss", "3")]
    assert (tmp_path / "pod/out/model").read_text() == "a $HOME $(HOME) b 5 3 b"


def test_a_trial_that_fails_fails(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    spec = SPEC.replace("sleep 0.3", "false").replace("prune: median", "sampler: random")
    template = rendered(tmp_path / "a", capsysbinary, spec)["spec"]["trialTemplate"]["trialSpec"]
    container = template["spec"]["template"]["spec"]["containers"][0]
    folder = str(tmp_path / "pod")
    texts = {v["name"]: v.get("value", "").replace("/mlgen", folder).replace("$$", "$") for v in container["env"]}
    command = container["command"][2].replace("/mlgen", folder).replace("$$", "$")
    env = {"PATH": os.environ["PATH"], **texts}

    assert subprocess.run(["sh", "-c", f"{command} && true"], env=env, check=False).returncode != 0
