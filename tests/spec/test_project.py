"""mlgen.yaml and mlgen.lock: read whole, and refused where what is rendered from them could not be applied."""

from __future__ import annotations

import pytest

from mlgen.diagnostic import to_text
from mlgen.spec.document import read
from mlgen.spec.load import load_lock, load_project
from mlgen.spec.project import S3, Environment, GpuPool, Ledger, Limits, Project

DIGEST = "sha256:" + "0" * 64
WHOLE = """\
version: 1
repository: https://git.example/acme/ml
environments:
  local: {artifacts: .mlgen/artifacts, ledger: {branch: ledger}}
  prod:
    namespace: ml-prod
    artifacts: s3://ml-artifacts/prod
    s3: {endpoint: "https://s3.example", region: eu-1, secret: s3-credentials}
    buckets: {ml-data: {endpoint: "https://other.example", secret: data-readonly}}
    ledger:
      {url: "https://git.example/acme/ml-ledger.git", branch: runs, secret: ledger-token, fold: cron, interval: 1m}
    service_account: mlgen-runner
    user: 1001
    runtime_image: ghcr.io/acme/mlgen-runtime:1.0
    image_pull_secrets: [ghcr]
    gpus:
      a100:
        resource: nvidia.com/gpu
        node_selector: {pool: a100, cloud.google.com/gke-accelerator: a100}
        tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
        queue: 6h
    registries: [ghcr.io/acme/]
    limits: {gpu: 8, memory: 256Gi, timeout: 24h}
    queue: 2h
    staging: 30m
    labels: {team: risk}
"""
PROD = """\
version: 1
environments:
  prod:
    namespace: ml-prod
    artifacts: s3://ml-artifacts/prod
    runtime_image: ghcr.io/acme/mlgen-runtime:1.0
    ledger: {url: "https://git.example/acme/ml-ledger.git"}
"""


def project(text: str) -> tuple[Project, list[tuple[str, int, int]]]:
    found, findings = load_project(read("mlgen.yaml", text.encode()))
    return found, [(d.code, d.span.line, d.span.column) for d in findings]


def test_every_key_is_read() -> None:
    found, findings = project(WHOLE)
    assert findings == []
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    selector = (("cloud.google.com/gke-accelerator", "a100"), ("pool", "a100"))
    prod = Environment(
        name="prod",
        namespace="ml-prod",
        artifacts="s3://ml-artifacts/prod",
        s3=S3("https://s3.example", "eu-1", "s3-credentials"),
        buckets=(("ml-data", S3("https://other.example", None, "data-readonly")),),
        ledger=Ledger("https://git.example/acme/ml-ledger.git", "runs", "ledger-token", "cron", 60),
        service_account="mlgen-runner",
        user=1001,
        runtime_image="ghcr.io/acme/mlgen-runtime:1.0",
        image_pull_secrets=("ghcr",),
        gpus=(("a100", GpuPool("nvidia.com/gpu", selector, (toleration,), 21600)),),
        registries=("ghcr.io/acme/",),
        limits=Limits(8, 256 << 30, 86400),
        queue_seconds=7200,
        staging_seconds=1800,
        labels=(("team", "risk"),),
    )
    assert found == Project("https://git.example/acme/ml", (Environment("local"), prod))
    assert found.rendered == (prod,)


def test_what_is_not_given_has_the_defaults() -> None:
    found, findings = project(PROD)
    prod = found.environment("prod")
    assert findings == []
    assert prod is not None
    assert (prod.ledger.branch, prod.ledger.fold, prod.ledger.interval_seconds) == ("ledger", "task", 10)
    assert (prod.service_account, prod.user, prod.queue_seconds, prod.staging_seconds) == ("default", 1000, 3600, 3600)
    assert (prod.limits, prod.gpus, prod.registries, prod.labels) == (Limits(), (), (), ())
    assert found.environment("local") == Environment("local")
    assert project("version: 1\n") == (Project(), [])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("namespace: ML", "bad-name"),
        ("namespace: " + "n" * 64, "bad-name"),
        ("artifacts: .mlgen/artifacts", "bad-uri"),
        ("artifacts: s3://b", "bad-uri"),
        ("artifacts: s3://ml-artifacts/../x", "bad-uri"),
        ("runtime_image: https://ghcr.io/x", "bad-image"),
        ("ledger: {url: nowhere}", "bad-uri"),
        ('ledger: {url: "ext::sh -c true"}', "bad-uri"),
        ('ledger: {url: "git://host/l.git"}', "bad-uri"),
        ('ledger: {url: "file:///srv/l.git"}', "bad-uri"),
        ('ledger: {url: "https://token@host/l.git"}', "bad-uri"),
        ('ledger: {url: "ssh://git:word@host/l.git"}', "bad-uri"),
        ('ledger: {url: "https://git.example/l.git", fold: never}', "bad-value"),
        ('ledger: {url: "https://git.example/l.git", interval: 5}', "wrong-type"),
        ('ledger: {url: "https://git.example/l.git", interval: 0s}', "bad-duration"),
        ('ledger: {url: "https://git.example/l.git", secret: A b}', "bad-name"),
        ('ledger: {url: "https://git.example/l.git", branch: a..b}', "bad-name"),
        ('ledger: {url: "https://git.example/l.git", branch: -f}', "bad-name"),
        ('ledger: {url: "https://git.example/l.git", branch: x.lock}', "bad-name"),
        ("service_account: mlgen_runner", "bad-name"),
        ("user: 0", "bad-value"),
        ("user: root", "wrong-type"),
        ("image_pull_secrets: [Ghcr]", "bad-name"),
        ("s3: {secret: S3}", "bad-name"),
        ("s3: {endpoint: s3.example}", "bad-uri"),
        ("buckets: {ml-data: {endpoint: s3.example}}", "bad-uri"),
        ("gpus: {A100: {resource: nvidia.com/gpu}}", "bad-name"),
        ("gpus: {a100: {resource: cpu}}", "bad-name"),
        ("gpus: {a100: {resource: requests.nvidia.com/gpu}}", "bad-name"),
        ("gpus: {a100: {resource: kubernetes.io/gpu}}", "bad-name"),
        ("gpus: {a100: {resource: nvidia.com/}}", "bad-name"),
        ("gpus: {a100: {}}", "missing-key"),
        ("gpus: {a100: {resource: nvidia.com/gpu, node_selector: {a b: c}}}", "bad-label"),
        ("gpus: {a100: {resource: nvidia.com/gpu, queue: soon}}", "bad-duration"),
        ("limits: {memory: 4GB}", "bad-quantity"),
        ("limits: {timeout: 1d}", "bad-duration"),
        ("queue: 1 h", "bad-duration"),
        ("labels: {a: b/c}", "bad-label"),
        ("labels: {app.kubernetes.io/name: x}", "bad-label"),
        ("registry: ghcr.io", "unknown-key"),
        ("ca: x", "reserved-key"),
    ],
)
def test_each_key_is_checked(line: str, code: str) -> None:
    key = line.split(":", maxsplit=1)[0]
    kept = [text for text in PROD.splitlines() if not text.startswith(f"    {key}:")]
    assert [c for c, _, _ in project("\n".join([*kept, f"    {line}\n"]))[1]] == [code]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("environments: {prod: {}}", [("missing-key", 2, 16)]),
        ("environments: {prod: {namespace: x, ledger: {}}}", [("missing-key", 2, 16)] * 3),
        ("environments: {prod: {namespace: x}}", [("missing-key", 2, 16)] * 3),
        ("environments: {prod: {namespac: x}}", [("unknown-key", 2, 23)]),
        ("environments: {prod: 5}", [("wrong-type", 2, 22)]),
        ("environments: [prod]", [("wrong-type", 2, 15)]),
        (
            "environments: {Prod: {namespace: 5}}",
            [("bad-name", 2, 16), *[("missing-key", 2, 16)] * 3, ("wrong-type", 2, 34)],
        ),
        ("environments: {local: {}}", []),
        ("environment: {}", [("unknown-key", 2, 1)]),
    ],
)
def test_what_an_environment_needs(text: str, found: list[tuple[str, int, int]]) -> None:
    assert project(f"version: 1\n{text}\n")[1] == found


@pytest.mark.parametrize("url", ["https://bob:s3cret@git.example/l.git", "https://git.example/l.git?token=s3cret"])
def test_a_password_in_a_url_is_not_shown(url: str) -> None:
    text = WHOLE.replace("https://git.example/acme/ml-ledger.git", url)
    _, found = load_project(read("mlgen.yaml", text.encode()))
    [finding] = found
    assert finding.code == "bad-uri"
    assert "s3cret" not in to_text(finding, text.splitlines())


def test_a_newer_project_is_not_judged() -> None:
    assert project("version: 2\nenvs: 5\n") == (Project(), [("unknown-version", 1, 10)])


@pytest.mark.parametrize(
    ("text", "digests", "codes"),
    [
        (f"version: 1\nimages:\n  busybox:1.36: {DIGEST}\n", {"busybox:1.36": DIGEST}, []),
        (f"version: 1\nimages:\n  a:1: {DIGEST}\n  b:1: sha256:0\n", {"a:1": DIGEST}, ["4:8 bad-digest"]),
        (f"version: 1\nimages:\n  A:1: {DIGEST}\n", {}, ["3:3 bad-image"]),
        (f"images:\n  a:1: {DIGEST}\n", {"a:1": DIGEST}, ["1:1 missing-key"]),
        (f"version: 2\nimages:\n  a:1: {DIGEST}\n", {}, ["1:10 unknown-version"]),
        (f"version: 1\nimage:\n  a:1: {DIGEST}\n", {}, ["2:1 unknown-key"]),
        ("version: 1\nimages: {a:1: 5, b:1: {digest: x}}\n", {}, ["2:15 wrong-type", "2:23 wrong-type"]),
        ("version: 1\nimages: []\n", {}, ["2:9 wrong-type"]),
        ("version: 1\nimages:\n", {}, ["2:1 wrong-type"]),
        ("[]\n", {}, ["1:1 wrong-type"]),
        ("images: {a: b\n", {}, ["1:9 yaml-syntax"]),
        ("version: 1\n", {}, []),
    ],
)
def test_locks(text: str, digests: dict[str, str], codes: list[str]) -> None:
    found, findings = load_lock(read("mlgen.lock", text.encode()))
    assert (found, [f"{d.span.line}:{d.span.column} {d.code}" for d in findings]) == (digests, codes)


@pytest.mark.parametrize(
    ("artifacts", "codes"),
    [
        ("ftp://host/x", ["bad-uri"]),
        ("s3://", ["bad-uri"]),
        ("s3://bucket/x", []),
        ("../artifacts", []),
        ("file:///var/artifacts", []),
    ],
)
def test_artifacts_of_this_machine(artifacts: str, codes: list[str]) -> None:
    text = f"version: 1\nenvironments: {{local: {{artifacts: '{artifacts}'}}}}\n"
    assert [code for code, _, _ in project(text)[1]] == codes


ARGOCD = "repository: https://git.example/acme/ml\nargocd: {clusters: {%s}}\n"


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ("", ["shared-namespace"]),  # nobody knows whether the clusters are two
        (ARGOCD % "", ["name-collision"]),
        (ARGOCD % "prod: one, stage: one", ["name-collision"]),
        (ARGOCD % "prod: one, stage: two", []),
        (ARGOCD % "stage: two", []),
    ],
)
def test_two_environments_do_not_share_a_namespace(more: str, codes: list[str]) -> None:
    stage = PROD.partition("environments:\n")[2].replace("  prod:", "  stage:").replace("/prod", "/stage")
    _, findings = project(PROD + stage + more)
    assert [code for code, _, _ in findings] == codes
