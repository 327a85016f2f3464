"""The cache as its users meet it: what is said of it, and what gc leaves of it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mlgen.cli.collecting.caching import Caching
from mlgen.cli.main import run
from mlgen.ledger.gc.keeping import Marks, place_of
from mlgen.ledger.gc.sweep import Judge
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.cache import entries as cache
from mlgen.runtime.cache import key as cache_key
from mlgen.runtime.cache.entries import Entry, Missed
from mlgen.runtime.protocol import Out
from mlgen.runtime.texts import pointer
from mlgen.store import Store, open_store
from mlgen.values import Type

SPEC = """version: 1
name: demo
params: {epochs: 20}
defaults: {cache: true, code: src}
tasks:
  prepare:
    run: sh prepare.sh > "$features"
    out: {features: dataset}
  train:
    run: cp "$features" "$model"; echo "$epochs" >> "$model"
    in: [prepare.features, params.epochs]
    out: {model: model}
  tell: {run: "true", in: [train.model]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("pipelines", "src"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pipelines" / "demo.yaml").write_text(SPEC)
    (tmp_path / "src" / "prepare.sh").write_text("echo 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["run", "--explain-cache", "pipelines/demo.yaml", *arguments, "--format", "json"]) == 0
    return {task["task"]: task for task in json.loads(capsys.readouterr().out)["tasks"]}


def test_what_would_run_and_which_part_of_the_key_changed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = explained(capsys)
    assert [task["answer"] for task in before.values()] == ["miss", "unknown", "runs"]
    assert not (project / ".mlgen" / "artifacts").exists(), "nothing is written"
    assert run(["run", "pipelines/demo.yaml", "--name", "first"]) == 0
    hits = explained(capsys)
    assert [(task["answer"], (task["entry"] or {}).get("run")) for task in hits.values()] == [
        ("hit", "first"), ("hit", "first"), ("runs", None),
    ]  # fmt: skip
    assert hits["prepare"]["key"] == before["prepare"]["key"]
    assert run(["run", "pipelines/demo.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "prepare  succeeded, cached" in err
    assert "cached: prepare of first made it (" in out
    train = explained(capsys, "-p", "epochs=3")["train"]
    assert (train["answer"], train["changes"]) == ("miss", [{"part": "in epochs", "before": '"20"', "after": '"3"'}])
    (project / "src" / "prepare.sh").write_text("echo 2\n")
    changed = explained(capsys)
    assert [change["part"] for change in changed["prepare"]["changes"]] == ["code prepare.sh"]
    assert changed["train"]["answer"] == "unknown"
    assert run(["run", "--explain-cache", "pipelines/demo.yaml"]) == 0
    assert "code prepare.sh: " in capsys.readouterr().out


def test_runs_show_and_lineage_lead_to_who_made_the_bytes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        assert run(["run", "pipelines/demo.yaml", "--name", name]) == 0
    capsys.readouterr()
    assert run(["runs", "show", "second"]) == 0
    assert "train  succeeded, cached: train of first made it (" in capsys.readouterr().out
    assert run(["lineage", "second", "--up", "--format", "json"]) == 0
    graph = json.loads(capsys.readouterr().out)
    runs = {node["name"] for node in graph["nodes"] if node["kind"] == "run"}
    assert runs == {"first", "second"}


def record(store: Store, run_name: str, key: cache_key.Key) -> TaskRecord:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    run_id, digest = str(uuid4()), "sha256:" + "0" * 64
    place = f"demo/{run_name}/train.{run_id[:8]}/model"
    store.put(place, b"x")
    return TaskRecord(
        run_id=run_id, env="local", pipeline="demo", run=run_name, run_uid=str(uuid4()), task="train", attempt=0,
        started_at=now, ended_at=now, state=State.COMPLETE, exit_code=0, reason="Succeeded", engine="local",
        spec_digest=digest, plan_digest=digest, cache_key=key.digest,
        outputs=(Artifact("model", f"{store.uri}/{place}", digest, 1, "text/plain", "model"),),
    )  # fmt: skip


def judge(before: datetime) -> Judge:
    return Judge(Marks(), Marks(), before)


def look(store: Store, key: cache_key.Key, claimant: str | None) -> Entry | Missed:
    now = datetime.now(UTC)
    outs = [Out("model", Type.MODEL, optional=True)]
    return cache.look_up(
        store, key, pipeline="demo", task="train", outs=outs, max_age_seconds=None, now=now, claimant=claimant
    )


def entry(store: Store, made: TaskRecord, key: cache_key.Key) -> Entry:
    texts = {a.name: pointer(a.uri.removeprefix(f"{store.uri}/"), a.digest) for a in made.outputs}
    return Entry(made, {"model": None, **texts}, key)


def test_an_entry_goes_before_its_bytes_and_what_is_claimed_stays(tmp_path: Path) -> None:
    store = open_store("artifacts", base=tmp_path)
    key = cache_key.of_parts("demo", "train", {"run": "a", "env": "local"})
    made = record(store, "first", key)
    cache.keep(store, entry(store, made, key))
    place = place_of(cache.places(store, made.outputs)[0])

    # The hit comes first: its claim keeps the bytes, though the entry goes.
    assert isinstance(look(store, key, str(uuid4())), Entry)
    collecting = Caching(store, judge(datetime.now(UTC) - timedelta(hours=1)))
    collecting.delete()
    assert collecting.gone == 1
    collecting.mark_claimed(collecting.judge.marked)
    assert collecting.judge.marked.covers(place)

    # gc comes first: the hit finds no entry, and runs.
    assert isinstance(look(store, key, str(uuid4())), Missed)

    # And between the claim and the look: the entry is seen to be gone.
    cache.keep(store, entry(store, made, key))

    class Racing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put(self, name: str, data: bytes) -> None:
            Caching(store, judge(datetime.now(UTC) - timedelta(hours=1))).delete()
            store.put(name, data)

    found = look(Racing(), key, str(uuid4()))
    assert isinstance(found, Missed)
    assert "thrown away" in found.why


def test_entries_of_kept_bytes_stay_and_old_claims_go(tmp_path: Path) -> None:
    store = open_store("artifacts", base=tmp_path)
    key = cache_key.of_parts("demo", "train", {"run": "a", "env": "local"})
    made = record(store, "first", key)
    cache.keep(store, entry(store, made, key))
    no_bytes = replace(made, run_id=str(uuid4()), outputs=())
    cache.keep(store, entry(store, no_bytes, key))
    assert isinstance(look(store, key, str(uuid4())), Entry)
    kept = judge(datetime.now(UTC) + timedelta(hours=1))
    kept.marked.add("demo/first")
    collecting = Caching(store, kept)
    collecting.delete()
    assert collecting.gone == 0
    assert len(cache.entries(store, "demo", "train")) == 2
    assert store.keys(cache.CLAIMS) == []


def test_an_empty_text_is_no_cache_key_at_run_either(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SPEC.replace("{epochs: 20}", "{epochs: 20, month: {type: string}}").replace(
        "out: {model: model}", "out: {model: model}\n    cache: {key: params.month}"
    )
    (project / "pipelines" / "demo.yaml").write_text(text)
    for given in ("", "  "):
        assert run(["run", "pipelines/demo.yaml", "-p", f"month={given}"]) == 2
        told = capsys.readouterr().err
        assert 'param "month": an empty text as the cache key of "train" would be the same for every run' in told
    assert not (project / ".mlgen" / "runs").exists()
    assert run(["run", "pipelines/demo.yaml", "-p", "month=may"]) == 0


EACH = """version: 1
name: demo
params: {depth: 3}
tasks:
  each: {run: 'echo "$i" > "$m"', for: {i: [4, 5]}, in: [params.depth], out: {m: integer}, cache: true}
  best:
    run: echo "$i" > "$top"
    sweep: {grid: {i: {range: 30}}}
    in: [each.m]
    pick: max top
    out: {top: metric}
    cache: true
  tell: {run: 'echo "$i" > "$n"', in: [best.i], out: {n: integer}, cache: true}
"""


def test_each_item_is_explained_and_who_reads_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = project / "pipelines" / "demo.yaml"
    spec.write_text(EACH)
    assert [task["answer"] for task in explained(capsys).values()] == ["miss", "unknown", "unknown"]
    assert run(["run", "pipelines/demo.yaml", "--name", "first"]) == 0
    hits = explained(capsys)
    assert [task["answer"] for task in hits.values()] == ["hit", "hit", "hit"]
    assert [item["entry"]["run"] for item in hits["each"]["items"]] == ["first", "first"]

    spec.write_text(EACH.replace("[4, 5]", "[4, 6]"))
    found = explained(capsys)
    assert (found["each"]["answer"], found["each"]["why"]) == ("miss", "1 of its 2 items, the others are cached")
    four, six = found["each"]["items"]
    assert (four["task"], four["answer"]) == ("each[0]", "hit")
    assert six["changes"] == [{"part": "item i", "before": '"5"', "after": '"6"'}]
    assert found["best"]["answer"] == "unknown"
    assert run(["run", "--explain-cache", "pipelines/demo.yaml"]) == 0
    assert capsys.readouterr().out.startswith(
        "each  runs: 1 of its 2 items, the others are cached\n  each[1]  runs: since first, "
    )

    spec.write_text(EACH.replace("range: 30", "range: 32"))
    assert run(["run", "--explain-cache", "pipelines/demo.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "best  runs: 2 of its 32 items, the others are cached" in lines
    assert "  and 22 items more: --format json has all" in lines
    assert sum(line.startswith("  best[") for line in lines) == 10


def test_no_cache_has_nothing_to_explain(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "--explain-cache", "--no-cache", "pipelines/demo.yaml"]) == 2
    assert "--explain-cache and --no-cache exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", ["--resume x", "--from train", "--only train", "--backfill day=2026-10-01..2026-10-02", "--parallel 2"]
)
def test_what_is_explained_is_a_whole_run(project: Path, capsys: pytest.CaptureFixture[str], more: str) -> None:
    assert run(["run", "--explain-cache", "pipelines/demo.yaml", *more.split()]) == 2
    assert "exclude --explain-cache" in capsys.readouterr().err


ENGINE = """#!/bin/sh
case "$1 $4 $5" in
info*) echo '{"OSType": "linux"}' ;;
image*) test -e TOLD && cat TOLD ;;
esac
"""


def test_what_would_run_in_containers_is_explained_by_their_images(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands for an engine answers which images it has; that its runs have the same keys is the same function."""
    (project / "bin").mkdir()
    (project / "bin/docker").write_text(ENGINE.replace("TOLD", str(project / "told")))
    (project / "bin/docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{project / 'bin'}:{os.environ['PATH']}")
    assert run(["run", "--explain-cache", "pipelines/demo.yaml", "--engine", "docker"]) == 2
    assert "no-image" in capsys.readouterr().err

    spec = SPEC.replace("code: src", "code: src, image: IMAGE")
    pinned = "quay.io/lab/python@sha256:" + "a" * 64
    (project / "pipelines/demo.yaml").write_text(spec.replace("IMAGE", pinned))
    here, inside = explained(capsys)["prepare"], explained(capsys, "--engine", "docker")["prepare"]
    assert here["key"] != inside["key"]
    (project / "pipelines/demo.yaml").write_text(spec.replace("IMAGE", pinned.replace("aaaa", "bbbb")))
    assert explained(capsys)["prepare"]["key"] == here["key"], "here no image runs"
    assert explained(capsys, "--engine", "docker")["prepare"]["key"] != inside["key"]

    (project / "pipelines/demo.yaml").write_text(spec.replace("IMAGE", "quay.io/lab/python:3"))
    assert run(["run", "--explain-cache", "pipelines/demo.yaml", "--engine", "docker"]) == 3
    assert "quay.io/lab/python:3 is not on this machine" in capsys.readouterr().err
    (project / "told").write_text(json.dumps([pinned]))
    assert explained(capsys, "--engine", "docker")["prepare"]["key"] == inside["key"]
    (project / "told").write_text("[]")
    assert explained(capsys, "--engine", "docker")["prepare"]["answer"] == "runs"
