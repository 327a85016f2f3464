"""`mlgen gc artifacts`, as people call it: of runs on this machine, and of a bucket with a ledger elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.gc.collected import collected
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import Entry
from mlgen.store import Folder, open_store
from tests import git_host
from tests import s3 as fake
from tests.git_host import GitHost, secret
from tests.ledger import records
from tests.ledger.test_imported import event
from tests.s3 import HANG, S3

GENERATOR = Path(__file__).parents[2] / "generator"
NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=50)
SPEC = """\
version: 1
name: demo
params: {word: {type: string}}
tasks:
  prepare:
    run: printf "$word" > "$data"
    in: [params.word]
    out: {data: dataset}
  train:
    run: mkdir "$parts" && cp "$data" "$parts/one" && cp "$data" "$model"
    in: [prepare.data]
    out: {parts: directory, model: model}
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def gc(capsys: Capture, *arguments: str, env: str = "local", code: int = 0) -> Any:
    """The answer, or what was said where there is none."""
    capsys.readouterr()
    assert mlgen(["gc", "artifacts", "--env", env, *arguments, "--format", "json"]) == code
    told = capsys.readouterr()
    return told.err if code else json.loads(told.out)


# On this machine


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "mlgen.yaml").write_text("version: 1\n")
    (root / "pipelines" / "demo.yaml").write_text(SPEC)
    monkeypatch.chdir(root)
    return root


def run(*names: str) -> None:
    for name in names:
        assert mlgen(["run", "pipelines/demo.yaml", "--name", name, "-p", f"word={name}"]) == 0


def age(root: Path) -> None:
    """As if all were written long ago."""
    for path in root.rglob("*"):
        os.utime(path, (OLD.timestamp(), OLD.timestamp()))


def files(root: Path) -> set[str]:
    """The artifacts of runs, without what makes their paths unique."""
    found = (p.relative_to(root / ".mlgen" / "artifacts" / "demo").parts for p in _artifacts(root) if p.is_file())
    return {"/".join((run, *rest)) for run, _, *rest in found}


def _artifacts(root: Path) -> Iterator[Path]:
    return (root / ".mlgen" / "artifacts" / "demo").rglob("*")


def test_runs_on_this_machine(project: Path, capsys: Capture) -> None:
    run("one", "two", "three")
    everything = files(project)
    assert gc(capsys, "--keep-runs", "1")["goes"]["artifacts"] == 0  # young
    age(project / ".mlgen" / "artifacts")
    found = gc(capsys, "--keep-runs", "1")
    assert (found["goes"]["artifacts"], found["kept"]["artifacts"], found["deleted"]) == (4, 5, False)
    assert found["goes"]["parts"] == [
        {"pipeline": "demo", "kind": "out", **{k: v for k, v in found["goes"].items() if k in SUMS}}
    ]
    assert files(project) == everything
    assert gc(capsys, "--keep-runs", "1", "--delete")["goes"] == found["goes"]
    assert files(project) == {"one/model", "two/model", "three/data", "three/model", "three/parts/one"}
    store = open_store(".mlgen/artifacts", base=project)
    assert {one["uri"] for one in found["goes"]["named"]} == set(collected(store))
    assert gc(capsys, "--keep-runs", "1", "--delete")["goes"]["artifacts"] == 0
    assert mlgen(["runs", "show", "one"]) == 0  # the record stays
    gone = gc(capsys, "--keep-runs", "1", "--models", "--delete", "--keep", "two")["goes"]
    assert gone["artifacts"] == 1
    assert files(project) == {"two/model", "three/data", "three/model", "three/parts/one"}


SUMS = ("artifacts", "objects", "sizeBytes", "oldest", "newest")


def test_the_words_say_the_same(project: Path, capsys: Capture) -> None:
    run("one", "two")
    age(project / ".mlgen" / "artifacts")
    capsys.readouterr()
    assert mlgen(["gc", "artifacts", "--env", "local", "--keep-runs", "1"]) == 0
    told = capsys.readouterr().out
    assert "would go  2 (6 B)" in told
    assert "1 of 2 kept" in told
    assert "nothing was deleted: --delete does it" in told
    assert mlgen(["gc", "artifacts", "--env", "local", "--keep-runs", "1", "--delete"]) == 0
    told = capsys.readouterr().out
    assert "deleted   2 (6 B)" in told
    assert "nothing was deleted" not in told


def test_old_folders_of_runs_go_with_their_logs(project: Path, capsys: Capture, monkeypatch: Any) -> None:
    run("one", "two")
    monkeypatch.setattr("mlgen.cli.gc.SystemClock.now", lambda _self: datetime.now(UTC) + timedelta(days=2))
    (project / ".mlgen" / "runs" / "mine.12345678").mkdir()  # no run of ours
    running = next((project / ".mlgen" / "runs").glob("one.*"))
    found = gc(capsys, "--keep-runs", "1", "--delete")
    assert found["goes"]["runFolders"] == [running.name]
    assert {path.name.partition(".")[0] for path in (project / ".mlgen" / "runs").iterdir()} == {"two", "mine"}


def test_a_run_that_goes_on_keeps_what_it_made(project: Path, capsys: Capture) -> None:
    run("one", "two")
    age(project / ".mlgen" / "artifacts")
    lock = next((project / ".mlgen" / "runs").glob("one.*")) / "run.lock"
    lock.write_text(str(os.getpid()))
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert gc(capsys, "--keep-runs", "1")["goes"]["artifacts"] == 0


def test_what_a_spec_names_is_kept(project: Path, capsys: Capture) -> None:
    run("one", "two")
    age(project / ".mlgen" / "artifacts")
    data = next(path for path in _artifacts(project) if path.name == "data" and "one" in path.parts)
    uses = SPEC.replace("name: demo", "name: other").replace("tasks:", "inputs: {raw: %s}\ntasks:", 1)
    (project / "pipelines" / "other.yaml").write_text(uses % data.relative_to(project))
    gc(capsys, "--keep-runs", "1", "--delete")
    assert data.exists()
    assert "one/parts/one" not in files(project)


def test_rules_that_keep_nothing_delete_nothing(project: Path, capsys: Capture) -> None:
    assert "nothing-kept" in gc(capsys, "--keep-runs", "1", "--delete", code=3)
    run("one")
    age(project / ".mlgen" / "artifacts")
    everything = files(project)
    assert "nothing-kept" in gc(capsys, "--keep-days", "0", "--orphans", "--delete", code=3)
    assert "unknown-run" in gc(capsys, "--keep", "nope", "--delete", code=2)
    assert files(project) == everything


def test_a_ledger_of_somebody_else_deletes_nothing(project: Path, capsys: Capture) -> None:
    run("one")
    age(project / ".mlgen" / "artifacts")
    everything = files(project)
    subprocess.run(["git", "--git-dir", ".mlgen/ledger.git", "update-ref", "-d", "refs/heads/ledger"], check=True)
    land(git.init_bare(project / ".mlgen" / "ledger.git"), project.parent, records.run("theirs"))
    found = gc(capsys, "--keep-runs", "1", "--delete")
    assert (found["goes"]["artifacts"], found["unknown"]["artifacts"]) == (0, 3)
    assert files(project) == everything


def test_a_record_that_cannot_be_read_deletes_nothing(project: Path, capsys: Capture) -> None:
    run("one", "two")
    age(project / ".mlgen" / "artifacts")
    everything = files(project)
    ledger = git.init_bare(project / ".mlgen" / "ledger.git")
    tip = ledger.tip("refs/heads/ledger")
    for path in ("runs/2026/11/28/local/x.12345678/train-0.12345678.json", "runs/2026/11/28/local/of-a-later-kind"):
        bad = ledger.commit({path: b"{}"}, parent=tip, message="m", seconds=1)
        ledger.move_ref("refs/heads/ledger", bad, old=ledger.tip("refs/heads/ledger"))
        assert "ledger-unread" in gc(capsys, "--keep-runs", "1", "--delete", code=3)
        ledger.move_ref("refs/heads/ledger", str(tip), old=bad)
    assert files(project) == everything


# A bucket, and a ledger elsewhere


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key-value")
    monkeypatch.setattr(fake, "BUCKET", "bucket")  # mlgen.yaml takes no name of one letter
    with fake.serve() as server:
        yield server


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHost]:
    monkeypatch.setenv("MLGEN_LEDGER_SECRET", str(secret(tmp_path / "secret")))
    with git_host.serve(tmp_path / "host") as host:
        yield host


ENVIRONMENT = """\
  {name}:
    namespace: ml
    artifacts: s3://bucket/{prefix}
    s3: {{endpoint: "{endpoint}", region: us-east-1, secret: s3}}
    runtime_image: ghcr.io/acme/runtime@{digest}
    ledger: {{url: "{url}/{ledger}.git", secret: ledger-token}}
"""


@pytest.fixture
def away(project: Path, s3: S3, host: GitHost) -> Path:
    """Three environments: two share a bucket's prefix, and each has a ledger of its own."""
    about = {"endpoint": s3.endpoint, "url": host.url, "digest": records.DIGEST}
    text = "version: 1\nenvironments:\n"
    for name, prefix in {"prod": "p", "twin": "p", "dev": "d"}.items():
        text += ENVIRONMENT.format(name=name, prefix=prefix, ledger=name, **about)
        host.repository(name)
    (project / "mlgen.yaml").write_text(text)
    return project


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def made(name: str, *, env: str = "prod", at: datetime = OLD, reads: tuple[str, ...] = ()) -> list[Entry]:
    """The records of a run that made `data`."""
    inputs = tuple(records.artifact("x", uri) for uri in reads)
    out = records.artifact("data", uri_of(name))
    told = records.task(name, env=env, ended_at=stamp(at), inputs=inputs, outputs=(out,))
    return [told, records.run(name, env=env, ended_at=stamp(at))]


def key_of(run: str) -> str:
    return f"p/churn/{run}/train.12345678/data"


def uri_of(run: str) -> str:
    return f"s3://bucket/{key_of(run)}"


def keep(s3: S3, *keys: str, at: datetime = OLD) -> None:
    for key in keys:
        s3.objects[key], s3.times[key] = b"123", at


def land(ledger: git.Repository, scratch: Path, *entries: Entry) -> None:
    spool = Spool(Folder(scratch / "spool", "spool"))
    for entry in entries:
        spool.put(entry)
    fold(spool, ledger, "ledger", now=NOW)


def ledger(host: GitHost, name: str) -> git.Repository:
    return git.init_bare(host.root / f"{name}.git")


def left(s3: S3) -> set[str]:
    return {key for key in s3.objects if not key.startswith("p/_ledger/")}


def test_a_bucket(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    scratch = away.parent
    land(ledger(host, "prod"), scratch, *made("old"), *made("read-by-dev"), *made("read-by-waiting"), *made("twins"))
    land(ledger(host, "prod"), scratch, *made("new", at=NOW), *made("young"))
    land(ledger(host, "twin"), scratch, *made("other", env="twin", at=NOW, reads=(uri_of("twins"),)))
    land(ledger(host, "dev"), scratch, *made("d", env="dev", reads=(uri_of("read-by-dev"),)))
    (waits, _) = made("waits", at=NOW, reads=(uri_of("read-by-waiting"),))
    Spool(open_store("s3://bucket/p", options=s3.options, base=away)).put(waits)
    runs = ("old", "read-by-dev", "read-by-waiting", "twins", "new", "other", "waits", "stranger")
    keep(s3, *map(key_of, runs), f"p/churn/old/started.{records.uid('old')[:8]}.json", "p/odd")
    keep(s3, key_of("young"), at=NOW)
    everything = left(s3)
    found = gc(capsys, "--keep-days", "30", env="prod")
    assert [one["uri"] for one in found["goes"]["named"] if one["kind"] == "out"] == [uri_of("old")]
    counts = {fate: found[fate]["artifacts"] for fate in ("goes", "kept", "young", "unknown", "foreign")}
    assert counts == {"goes": 2, "kept": 6, "young": 1, "unknown": 1, "foreign": 1}
    assert left(s3) == everything
    assert [one["commit"] is not None for one in found["ledgers"]] == [False, True, True, True]  # of `local`, none
    gc(capsys, "--keep-days", "30", "--delete", env="prod")
    assert everything - left(s3) == {key_of("old"), f"p/churn/old/started.{records.uid('old')[:8]}.json"}
    store = open_store("s3://bucket/p", options=s3.options, base=away)
    assert set(collected(store)) == {uri_of("old")}


def test_what_spark_read_is_kept(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    """It has names of its own for S3; and its event waits for the ledger of another environment."""
    land(ledger(host, "prod"), away.parent, *made("old"), *made("read-a"), *made("read-n"), *made("new", at=NOW))
    read = [uri_of("read-a").replace("s3://", "s3a://"), uri_of("read-n").replace("s3://", "S3N://")]
    told = event(inputs=[dict(zip(("namespace", "name"), re.split("(?<=bucket)/", uri), strict=True)) for uri in read])
    Spool(open_store("s3://bucket/d", options=s3.options, base=away)).put_bytes(imported.mark(told, "dev"))
    keep(s3, key_of("old"), key_of("read-a"), key_of("read-n"))
    gc(capsys, "--keep-days", "30", "--delete", env="prod")
    assert {key for key in left(s3) if key.startswith("p/")} == {key_of("read-a"), key_of("read-n")}


def test_a_ledger_that_cannot_be_read_deletes_nothing(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    """Also when a mirror of it is here: what it does not have yet may refer to anything."""
    land(ledger(host, "prod"), away.parent, *made("old"), *made("new", at=NOW))
    for name in ("twin", "dev"):
        land(ledger(host, name), away.parent, *made(name, env=name, at=NOW))
    keep(s3, key_of("old"))
    assert gc(capsys, "--keep-days", "30", env="prod")["goes"]["artifacts"] == 1
    for of in ("prod", "twin", "dev"):
        host.fault = lambda path, of=of: "503" if f"/{of}.git" in path else ""  # type: ignore[misc]
        told = gc(capsys, "--keep-days", "30", "--delete", env="prod", code=3)
        assert "git-unreachable" in told
        assert (f"if mlgen.yaml has {of} for nothing, take it out there" in told) is (of != "prod")
    assert left(s3) == {key_of("old")}


def test_who_may_not_delete_is_told_so(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    land(ledger(host, "prod"), away.parent, *made("old"), *made("new", at=NOW))
    keep(s3, key_of("old"))
    s3.trouble = lambda method, _key: fake.Answer(403, "AccessDenied") if method == "POST" else None
    told = gc(capsys, "--keep-days", "30", "--delete", env="prod", code=3)
    assert "store-denied" in told
    assert "allow it to delete below s3://bucket/p" in told


def test_a_kill_half_way_and_again(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    """1,500 objects go in two requests; the second one is never answered."""
    land(ledger(host, "prod"), away.parent, *made("old"), *made("new", at=NOW))
    many = [f"p/churn/old/train.12345678/o{at}" for at in range(1500)]
    keep(s3, *many, key_of("new"))
    asked = []

    def trouble(method: str, _target: str) -> str | None:
        if method == "POST":
            asked.append(method)
        return HANG if len(asked) > 1 else None

    s3.trouble = trouble
    arguments = ["gc", "artifacts", "--env", "prod", "--keep-days", "30", "--delete"]
    environ = {**os.environ, "PYTHONPATH": str(GENERATOR)}
    process = subprocess.Popen([sys.executable, "-m", "mlgen", *arguments], cwd=away, env=environ)
    while len(asked) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(left(s3)) == 501
    store = open_store("s3://bucket/p", options=s3.options, base=away)
    s3.trouble = lambda _method, _target: None
    assert len(collected(store)) == 1500
    assert gc(capsys, "--keep-days", "30", "--delete", env="prod")["goes"]["artifacts"] == 500
    assert left(s3) == {key_of("new")}


def test_a_record_that_lands_meanwhile(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    """It lands after the ledger was read, while the bucket is being listed."""
    land(ledger(host, "prod"), away.parent, *made("old"), *made("older"), *made("new", at=NOW))
    keep(s3, key_of("old"), key_of("older"))
    late = made("late", at=NOW, reads=(uri_of("old"),))

    def trouble(method: str, target: str) -> None:
        if method == "GET" and "list-type" in target and "prefix=p%2F&" in f"{target}&" and late:
            land(ledger(host, "prod"), away.parent, *late)
            late.clear()

    s3.trouble = trouble
    found = gc(capsys, "--keep-days", "30", "--delete", env="prod")
    assert not late
    assert (found["goes"]["artifacts"], found["kept"]["artifacts"]) == (1, 1)
    assert left(s3) == {key_of("old")}


def test_artifacts_below_those_of_another_environment(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    """A pipeline of the inner one looks like a run of the outer one."""
    land(ledger(host, "prod"), away.parent, *made("old"), *made("new", at=NOW))
    keep(s3, key_of("old"))
    path = away / "mlgen.yaml"
    path.write_text(path.read_text().replace("s3://bucket/d", "s3://bucket/p/churn"))
    for env in ("prod", "dev"):
        assert "artifacts-nested" in gc(capsys, "--keep-days", "30", "--delete", env=env, code=3)
    assert left(s3) == {key_of("old")}


def test_code_and_inputs_that_a_manifest_pins_are_kept(away: Path, s3: S3, host: GitHost, capsys: Capture) -> None:
    pinned, used, published = (f"{digit}" * 64 for digit in "abc")
    old = records.task("old", env="prod", ended_at=stamp(OLD), code_digest=f"sha256:{used}")
    older = records.task("older", env="prod", ended_at=stamp(OLD), code_digest=f"sha256:{pinned}")
    both = tuple(records.artifact("raw", f"s3://bucket/p/_inputs/{hex_}/raw.csv") for hex_ in (used, pinned))
    read = records.task("read", env="prod", ended_at=stamp(OLD), inputs=both)
    ended = [records.run(name, env="prod", ended_at=stamp(OLD)) for name in ("old", "older", "read")]
    land(ledger(host, "prod"), away.parent, old, older, read, *ended, *made("new", at=NOW))
    manifests = away / "tekton" / "prod" / "manifests"
    manifests.mkdir(parents=True)
    (manifests / "task.yaml").write_text(f"""value: '{{"codeDigest":"sha256:{pinned}","env":"prod"}}'\n""")
    for hex_ in (pinned, used, published):
        keep(s3, f"p/_code/{hex_}.tar", f"p/_inputs/{hex_}/raw.csv")
    found = gc(capsys, "--keep-days", "30", "--delete", env="prod")
    assert {key.partition("/_")[2] for key in left(s3)} == {
        f"{kind}/{hex_}{end}"
        for hex_ in (pinned, published)
        for kind, end in (("code", ".tar"), ("inputs", "/raw.csv"))
    }
    assert found["unknown"]["artifacts"] == 2  # published, and never used
    told = collected(open_store("s3://bucket/p", options=s3.options, base=away))
    assert set(told) == {f"s3://bucket/p/_code/{used}.tar", f"s3://bucket/p/_inputs/{used}/raw.csv"}
