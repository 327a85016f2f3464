"""`mlgen publish`, as people call it, with an S3 that stands in for theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3
from tests.revisions import commit
from tests.s3 import HANG, S3, Answer

ROOT = Path(__file__).parents[2]
SPEC = """\
version: 1
name: churn
inputs:
  labels: data/labels.csv
  images: {uri: data/images, type: directory}
defaults: {image: "ghcr.io/acme/churn@sha256:DIGEST", code: src}
tasks:
  train: {run: "python train.py $labels $images", in: [inputs.labels, inputs.images]}
""".replace("DIGEST", "1" * 64)
PROJECT = """\
version: 1
environments:
  prod:
    namespace: ml-prod
    artifacts: s3://ml-artifacts/prod
    s3: {endpoint: "ENDPOINT", region: us-east-1, secret: s3-credentials}
    ledger: {url: "https://git.example/ledger.git"}
    runtime_image: ghcr.io/acme/mlgen-runtime@sha256:DIGEST
""".replace("DIGEST", "2" * 64)
FILES = {
    "pipelines/churn.yaml": SPEC,
    "src/train.py": "print(1)\n",
    "data/labels.csv": "id,label\n",
    "data/images/1.txt": "1",
    "data/images/2.txt": "2",
    ".gitignore": "cache/\n",
    "src/cache/big.bin": "not code",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    monkeypatch.setattr(s3, "BUCKET", "ml-artifacts")
    with s3.serve() as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, server: S3) -> Path:
    root = tmp_path / "p"
    for name, text in {**FILES, "mlgen.yaml": PROJECT.replace("ENDPOINT", server.endpoint)}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def start(*args: str, cwd: Path) -> subprocess.Popen[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MLGEN_", "AWS_"))}
    keys = {"AWS_ACCESS_KEY_ID": "key-id", "AWS_SECRET_ACCESS_KEY": "key-value"}
    return subprocess.Popen(
        [sys.executable, "-m", "mlgen", "publish", *args],
        cwd=cwd,
        env={**environ, **keys, "PYTHONPATH": str(ROOT / "generator"), "TMPDIR": str(cwd.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def publish(*args: str, cwd: Path) -> tuple[int, str, str]:
    process = start(*args, cwd=cwd)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_it_uploads_once_and_says_what(project: Path, server: S3) -> None:
    code, out, err = publish("--env", "prod", cwd=project)
    assert code == 0, err
    assert sorted(err.splitlines()) == [
        "uploaded code src",
        "uploaded input data/images",
        "uploaded input data/labels.csv",
    ]
    assert out.endswith("3 uploaded, 0 there already, in s3://ml-artifacts/prod\n")
    kept = dict(server.objects)
    assert len([key for key in kept if "/_plans/" in key]) == 1
    names = sorted(key.rpartition("/")[2][-10:] for key in kept if not key.endswith(".tar") and "/_plans/" not in key)
    assert names == ["1.txt", "2.txt", "files.json", "labels.csv"]
    assert all(b"not code" not in data for data in kept.values())

    server.asked.clear()
    code, out, err = publish("--env", "prod", "--format", "json", "pipelines/churn.yaml", cwd=project)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["uploaded"] == []
    assert [(item["kind"], item["paths"]) for item in answer["present"]] == [
        ("code", ["src"]),
        ("input", ["data/images"]),
        ("input", ["data/labels.csv"]),
    ]
    for item in answer["present"]:
        assert any(f"s3://ml-artifacts/{key}".startswith(item["uri"]) for key in kept)
    assert {method for method, _ in server.asked} <= {"GET", "HEAD"}


DEV = """\
  dev:
    namespace: ml-dev
    artifacts: s3://ml-artifacts/dev
    s3: {endpoint: "ENDPOINT", region: us-east-1, secret: s3-credentials}
    ledger: {url: "https://git.example/ledger.git"}
    runtime_image: ghcr.io/acme/mlgen-runtime@sha256:DIGEST
  local: {artifacts: here}
""".replace("DIGEST", "2" * 64)


def test_without_an_environment_it_is_done_for_all_that_are_rendered(project: Path, server: S3) -> None:
    config = project / "mlgen.yaml"
    config.write_text(config.read_text() + DEV.replace("ENDPOINT", server.endpoint))
    code, out, err = publish("--format", "json", cwd=project)
    assert code == 0, err
    kept = dict(server.objects)
    uploaded = [(item["env"], item["uri"].split("/_")[0]) for item in json.loads(out)["uploaded"]]
    assert uploaded == [("dev", "s3://ml-artifacts/dev")] * 3 + [("prod", "s3://ml-artifacts/prod")] * 3
    code, out, err = publish(cwd=project)
    assert [line.partition(", in ") for line in out.splitlines()] == [
        ("0 uploaded, 3 there already", ", in ", f"s3://ml-artifacts/{env}") for env in ("dev", "prod")
    ]
    assert server.objects == kept


def test_of_several_one_that_cannot_be_meant_keeps_all_from_being_uploaded(project: Path, server: S3) -> None:
    config = project / "mlgen.yaml"
    pools = "    gpus: {default: {resource: nvidia.com/gpu}}\n"
    config.write_text(config.read_text() + pools + DEV.replace("ENDPOINT", server.endpoint))
    spec = SPEC.replace("code: src", "code: src, gpu: 1")
    (project / "pipelines" / "churn.yaml").write_text(spec)
    code, out, err = publish(cwd=project)
    assert (code, out, server.objects) == (1, "", {}), err
    assert "unknown-pool" in err


def test_without_an_environment_that_has_pods_nothing_is_published(project: Path, server: S3) -> None:
    (project / "mlgen.yaml").write_text("version: 1\nenvironments: {local: {artifacts: here}}\n")
    code, out, err = publish(cwd=project)
    assert (code, out) == (2, "")
    assert "no environment has pods that would fetch anything" in err


def test_a_spec_that_one_environment_has_not_yet_is_published_for_the_others(project: Path, server: S3) -> None:
    first = commit(project)
    config = project / "mlgen.yaml"
    config.write_text(
        config.read_text().replace("  prod:", f'  prod:\n    pin: "{first}"') + DEV.replace("ENDPOINT", server.endpoint)
    )
    (project / "pipelines" / "new.yaml").write_text(SPEC.replace("name: churn", "name: new"))
    code, out, err = publish("pipelines/new.yaml", cwd=project)
    assert code == 0, err
    assert "prod has no pipelines/new.yaml" in err
    assert "nothing is published there" in err
    assert out.splitlines()[-1] == "3 uploaded, 0 there already, in s3://ml-artifacts/dev"
    assert {key.split("/")[0] for key in server.objects} == {"dev"}


def test_the_manifests_read_what_was_published(project: Path, server: S3) -> None:
    publish("--env", "prod", cwd=project)
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    command = [sys.executable, "-m", "mlgen", "render", "--env", "prod", "--stdout"]
    rendered = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=True).stdout
    keys = [key for key in server.objects if key.startswith("prod/_inputs/") and key.endswith("labels.csv")]
    assert f"s3://ml-artifacts/{keys[0]}@sha256:" in rendered
    codes = [key for key in server.objects if key.startswith("prod/_code/")]
    assert f'"codeDigest":"sha256:{Path(codes[0]).stem}"' in rendered


def test_of_a_pinned_environment_what_its_commit_has_is_uploaded(project: Path, server: S3) -> None:
    first = commit(project)
    publish("--env", "prod", cwd=project)
    once = dict(server.objects)
    (project / "mlgen.yaml").write_text(
        (project / "mlgen.yaml").read_text().replace("  prod:", f'  prod:\n    pin: "{first}"')
    )
    (project / "src/train.py").write_text("print(2)\n")
    (project / "data/labels.csv").unlink()
    (project / "data/images/3.txt").write_text("3")
    server.objects.clear()
    code, out, err = publish("--env", "prod", cwd=project)
    assert (code, server.objects) == (0, once), err
    assert out.endswith("3 uploaded, 0 there already, in s3://ml-artifacts/prod\n")
    assert not list(project.parent.glob("mlgen-publish-*"))


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
def test_killed_at_an_upload_it_is_done_again(nth: int, project: Path, server: S3) -> None:
    puts = 0
    process: subprocess.Popen[str] | None = None

    def kill(method: str, _target: str) -> s3.Trouble:
        nonlocal puts
        puts += method == "PUT"
        if method == "PUT" and puts == nth and process is not None:
            process.kill()
        return None

    server.trouble = kill
    process = start("--env", "prod", cwd=project)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    process = None
    assert publish("--env", "prod", cwd=project)[0] == 0
    once = dict(server.objects)
    server.objects.clear()
    assert publish("--env", "prod", cwd=project)[0] == 0
    assert server.objects == once


def test_interrupted_it_ends_at_once_and_leaves_no_copy(project: Path, server: S3) -> None:
    hanging = threading.Event()

    def hang(method: str, _target: str) -> s3.Trouble:
        if method == "PUT":
            hanging.set()
            return HANG
        return None

    server.trouble = hang
    process = start("--env", "prod", cwd=project)
    assert hanging.wait(30)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not list(project.parent.glob("mlgen-publish-*"))


def test_a_refused_upload_is_told(project: Path, server: S3) -> None:
    def refuse(method: str, _target: str) -> s3.Trouble:
        return Answer(403, "AccessDenied") if method == "PUT" else None

    server.trouble = refuse
    code, _, err = publish("--env", "prod", cwd=project)
    assert code == 3
    assert "s3://ml-artifacts/prod" in err
    assert "key-value" not in err


@pytest.mark.parametrize(
    ("args", "edit", "code", "said"),
    [
        (["--env", "local"], ("", ""), 2, "no pods that would fetch"),
        (["--env", "prd"], ("", ""), 2, "did you mean prod"),
        ([], ("inputs.labels", "inputs.label"), 1, "unknown-input"),
        (["--env", "prod"], ("inputs.labels", "inputs.label"), 1, "unknown-input"),
        (["--env", "prod"], ("code: src", "gpu: a100:1"), 1, "unknown-pool"),
        (["--env", "prod"], (SPEC, SPEC.replace("image", "env: {A: b}, #")), 1, "yaml-syntax"),
    ],
)
def test_what_cannot_be_meant_uploads_nothing(
    project: Path, server: S3, *, args: list[str], edit: tuple[str, str], code: int, said: str
) -> None:
    (project / "pipelines" / "churn.yaml").write_text(SPEC.replace(*edit) if edit[0] else SPEC)
    found, out, err = publish(*args, cwd=project)
    assert (found, out) == (code, "")
    assert said in err
    assert server.objects == {}
