"""What the fuzzer starts from: valid files of each kind, between them every key of the schemas."""

from __future__ import annotations

from pathlib import Path

import yaml

from mlgen.spec.shape import Kind
from tests.spec.mutations import VALID

_PIPELINES = Path(__file__).parents[2] / "pipelines"

TASK_FILE = b"""\
version: 1
kind: task
name: t
in: {model: {type: model}, stage: {choices: [none, staging, prod]}, n: {type: integer, minimum: 0}}
out: {card: report, score: {type: metric, optional: true}}
run: [python, t.py, "$model"]
image: busybox:1
"""

_RICH = b"""\
version: 1
name: x
description: "Weekly \\u00e9"
owner: risk-team
labels: {cost-center: cc-4411}
params:
  epochs: 20
  min_auc: {type: number, default: 0.85, minimum: 0, maximum: 1, description: gate}
  target: {choices: [none, staging, prod], default: none}
  since: {type: string}
  flag: true
  list: [1, "a", {b: 1e-3}]
inputs:
  raw: s3://ml-data/churn/2026-10.csv
  labels: {uri: data/labels.csv, type: dataset}
  later: {type: model}
defaults: {image: "ghcr.io/acme/churn:1.8", code: src, cpu: 1, memory: 2Gi, timeout: 30m, retries: 1}
tasks:
  prepare:
    run: |
      python prepare.py "$raw" --since "$since"
      echo done
    in: [inputs.raw, params.since, inputs.labels]
    out: {features: dataset, rows: integer, note: {type: string, max: 40}, big: {type: json, optional: true}}
  train:
    run: python train.py "$features" --epochs "$epochs"
    in: {features: prepare.features, epochs: params.epochs, big: prepare.big, w: {value: [1, "two"]}, z: 0.5, f: false}
    out: {model: model, auc: metric, curve: {type: plot, optional: true}}
    gpu: a100:2
    memory: 64Gi
    shm: 16Gi
    disk: 100Gi
    env: {OMP_NUM_THREADS: "8", N: 3}
    secrets: {HF_TOKEN: hf/token}
    code: [src, lib]
  register:
    if: train.auc >= params.min_auc and params.target != "none" and not (prepare.rows in [1, 2] or params.flag == false)
    use: ./tasks/t.yaml
    in: {model: train.model, stage: params.target, n: prepare.rows}
    cpu: 500m
    retries: 0
  report: {run: [python, report.py], out: [page], after: [register], gpu: 1}
finally:
  tell: {run: "python tell.py", in: [params.target], if: 'params.target in ["prod", "staging"]'}
"""

_PROJECT = b"""\
version: 1
repository: https://git.example/acme/ml
environments:
  local: {artifacts: .mlgen/artifacts, ledger: {branch: ledger}}
  prod:
    namespace: ml-prod
    artifacts: s3://ml-artifacts/prod
    s3: {endpoint: "https://s3.example", region: eu-1, secret: s3-credentials}
    buckets: {ml-data: {endpoint: "https://other.example", secret: data-readonly}}
    ledger: {url: "https://git.example/ledger.git", branch: ledger, secret: ledger-token, fold: task, interval: 10s}
    service_account: mlgen-runner
    user: 1000
    runtime_image: ghcr.io/acme/mlgen-runtime:1
    image_pull_secrets: [ghcr]
    gpus:
      a100: {resource: nvidia.com/gpu, node_selector: {pool: a100}, queue: 2h,
             tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule, tolerationSeconds: 3}]}
    registries: [ghcr.io/acme/]
    limits: {gpu: 8, memory: 256Gi, timeout: 24h}
    queue: 1h
    staging: 1h
    labels: {team: risk}
"""


def _text(kind: Kind) -> bytes:
    return yaml.safe_dump(VALID[kind], sort_keys=False).encode()


SEEDS: dict[Kind, tuple[bytes, ...]] = {
    "pipeline": (_RICH, _text("pipeline"), *(path.read_bytes() for path in sorted(_PIPELINES.glob("*.yaml")))),
    "task": (TASK_FILE, _text("task")),
    "project": (_PROJECT, _text("project")),
}
