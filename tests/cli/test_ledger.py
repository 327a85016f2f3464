"""`mlgen runs`, `mlgen lineage` and `mlgen ledger` as people and scripts call them, after real runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.ledger.folding.spool import Spool
from mlgen.store import Folder
from tests.ledger import records

ROOT = Path(__file__).parents[2]
SPEC = """\
version: 1
name: demo
params:
  word: {type: string}
  fail: {choices: ["no", "yes"], default: "no"}
inputs:
  raw: data.txt
tasks:
  prepare:
    run: cat "$raw" > "$data" && echo 7 > "$rows"
    in: [inputs.raw]
    out: {data: dataset, rows: integer}
  train:
    run: |
      test "$fail" = no || { echo broken >&2; exit 7; }
      { cat "$data"; echo "$word"; } > "$model"
      echo 0.9 > "$auc"
    in: [prepare.data, params.word, params.fail]
    out: {model: model, auc: metric}
  ship:
    if: train.auc > 2
    run: "true"
    in: [train.model]
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with an edit that is staged and one that is not."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "mlgen.yaml").write_text("version: 1\n")
    (root / "pipelines" / "demo.yaml").write_text(SPEC)
    (root / "data.txt").write_text("bytes\n")
    (root / ".gitignore").write_text(".mlgen/\n")
    for command in ("init -q -b main", "add -A", "-c user.name=a -c user.email=a@example.com commit -qm x"):
        subprocess.run(["git", *command.split()], cwd=root, check=True)
    monkeypatch.chdir(root)
    return root


def run(capsys: Capture, name: str, *params: str, code: int = 0) -> None:
    assert mlgen(["run", "pipelines/demo.yaml", "--name", name, *params]) == code
    capsys.readouterr()


def answer(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert mlgen(arguments) == code
    return capsys.readouterr().out


def answer_json(capsys: Capture, *arguments: str, code: int = 0) -> Any:
    return json.loads(answer(capsys, *arguments, "--format", "json", code=code))


def tip(project: Path, name: str = "ledger") -> str:
    return subprocess.run(
        ["git", "rev-parse", name], cwd=project, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_two_runs_listed_shown_and_compared(project: Path, capsys: Capture) -> None:
    run(capsys, "one", "-p", "word=hi")
    run(capsys, "two", "-p", "word=hi", "-p", "fail=yes", code=1)
    listed = answer_json(capsys, "runs", "list")
    assert [(r["run"], r["state"]) for r in listed["runs"]] == [("two", "FAIL"), ("one", "COMPLETE")]
    assert listed["ledger"] == tip(project)
    text = answer(capsys, "runs", "list", "--limit", "1")
    assert "two" in text
    assert "one" not in text
    assert "1 before these" in text

    shown = answer_json(capsys, "runs", "show", "two")
    assert shown["tasks"]["train"]["status"] == "Failed"
    assert [event["run"]["facets"]["mlgen_task"]["task"] for event in shown["records"]] == ["prepare", "train"]
    text = answer(capsys, "runs", "show", listed["runs"][1]["uid"][:8])
    assert "metric   auc = 0.9" in text
    assert "ship  skipped: its gate was false: train.auc > 2 (0.9 > 2)" in text
    assert f"ledger  {tip(project)}" in text
    assert re.search("^train  failed, exit code 7, ", answer(capsys, "runs", "show", "two"), re.MULTILINE)

    compared = answer_json(capsys, "runs", "compare", "one", "two")
    assert compared["params"]["fail"] == {"a": "no", "b": "yes"}
    assert compared["metrics"] == {"train.auc": {"a": 0.9, "b": None}}
    text = answer(capsys, "runs", "compare", "one", "two")
    assert "*    fail" in text
    assert "*    train.auc" in text
    assert re.search(r"^\*  state +COMPLETE +FAIL$", text, re.MULTILINE)
    assert re.search(r"^     pipeline +demo +demo$", text, re.MULTILINE)
    assert re.search(r"^\*    train +succeeded +failed$", text, re.MULTILINE)
    assert re.search(r"^\*    ship +skipped: its gate was false +not started$", text, re.MULTILINE)


def metrics_of(count: int) -> str:
    names = [f"measure_{n}" for n in range(count)]
    run = "; ".join(f"echo 0.9777777777{n} > ${name}" for n, name in enumerate(names))
    outs = ", ".join(f"{name}: metric" for name in names)
    return f"version: 1\nname: many\ntasks: {{score: {{run: '{run}', out: {{{outs}}}}}}}\n"


def test_a_list_fits_the_terminal(project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pipelines" / "many.yaml").write_text(metrics_of(5))
    assert mlgen(["run", "pipelines/many.yaml", "--name", "r" * 30]) == 0
    capsys.readouterr()
    piped = answer(capsys, "runs", "list").splitlines()
    assert piped[0].split() == ["RUN", "PIPELINE", "STATE", "ENDED", "TOOK", "METRICS"]
    assert piped[1].count("=0.977778") == 5
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for columns, shown in ((240, 5), (140, 2), (100, 0), (60, 0)):
        monkeypatch.setenv("COLUMNS", str(columns))
        *table, ledger = answer(capsys, "runs", "list").splitlines()
        assert max(map(len, table)) <= columns
        assert table[1].count("score.measure_") == table[1].count("=0.977778") == shown
        assert table[1].endswith("…") is (shown < 5)
        assert ledger.startswith("ledger  ")


def test_runs_that_differ_in_what_made_them(project: Path, capsys: Capture) -> None:
    spec = project / "pipelines" / "demo.yaml"
    (project / "src").mkdir()
    (project / "src" / "lib.py").write_text("1\n")
    spec.write_text(SPEC + "defaults: {code: src}\n")
    run(capsys, "one", "-p", "word=hi")
    run(capsys, "two", "-p", "word=hi")
    text = answer(capsys, "runs", "compare", "one", "two")
    assert "*" not in text
    assert "\nno differences\n" in text
    assert re.search(r"^ +commit +(none: uncommitted changes, or outside Git *){2}$", text, re.MULTILINE)
    (project / "src" / "lib.py").write_text("2\n")
    (project / "data.txt").write_text("other\n")
    spec.write_text(spec.read_text() + "# a word\n")
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "y"], check=True)
    run(capsys, "three", "-p", "word=hi")
    text = answer(capsys, "runs", "compare", "two", "three")
    starred = [line[1:].split()[0] for line in text.splitlines() if line.startswith("*")]
    assert starred == ["commit", "plan", "spec", "prepare.raw", "prepare", "train", "prepare.data", "train.model"]
    assert "no differences" not in text
    compared = answer_json(capsys, "runs", "compare", "two", "three")
    assert set(compared["madeBy"]) == {"pipeline", "commit", "specDigest", "planDigest"}
    assert compared["code"]["train"]["a"] != compared["code"]["train"]["b"]


def test_a_run_without_a_commit_says_so(project: Path, capsys: Capture) -> None:
    (project / "data.txt").write_text("edited\n")
    assert "\ncommit  none: uncommitted changes\n" in answer(
        capsys, "run", "pipelines/demo.yaml", "-p", "word=hi", "--name", "one"
    )
    assert "commit    none: uncommitted changes, or outside Git\n" in answer(capsys, "runs", "show", "one")
    assert ", no commit\n" in answer(capsys, "lineage", "demo/train/model")


def test_where_a_model_came_from(project: Path, capsys: Capture) -> None:
    run(capsys, "one", "-p", "word=hi")
    graph = answer_json(capsys, "lineage", "demo/train/model")
    named = {node["id"]: node["name"] for node in graph["nodes"]}
    assert {(named[e["from"]], named[e["to"]], e["kind"]) for e in graph["edges"]} == {
        ("raw", "demo.prepare", "used"),
        ("demo.prepare", "data", "produced"),
        ("data", "demo.train", "used"),
        ("demo.train", "model", "produced"),
    }
    assert graph["ledger"] == tip(project)
    raw = next(node for node in graph["nodes"] if node["name"] == "raw")
    assert raw["uri"] == "data.txt"
    model = next(node for node in graph["nodes"] if node["name"] == "model")
    assert (project / model["uri"]).read_text() == "bytes\nhi\n"
    by_digest = answer_json(capsys, "lineage", model["digest"][7:19], "--up")
    assert by_digest["edges"] == graph["edges"]
    text = answer(capsys, "lineage", "data.txt", "--down")
    assert text.index("demo.prepare") < text.index("demo.train") < text.index("model")
    assert "demo.train" not in answer(capsys, "lineage", "data.txt", "--down", "--depth", "1")
    assert answer(capsys, "lineage", "one", "--format", "mermaid").startswith("flowchart LR\n")
    assert answer(capsys, "lineage", "one", "--format", "dot").startswith("digraph lineage {\n")


def test_in_a_plain_clone_it_is_said_where_the_ledger_is(
    project: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "one", "-p", "word=hi")
    subprocess.run(["git", "clone", "-q", project, tmp_path / "clone"], check=True)
    monkeypatch.chdir(tmp_path / "clone")
    assert mlgen(["runs", "list"]) == 0
    told = capsys.readouterr()
    command = "git branch ledger origin/ledger"
    assert told.err == f'"ledger" is no branch here, origin/ledger is one: `{command}`\n'
    subprocess.run(command.split(), check=True)
    assert "one" in answer(capsys, "runs", "list")


def test_a_path_is_found_however_it_is_spelt(project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    run(capsys, "one", "-p", "word=hi")
    asked = answer_json(capsys, "lineage", "data.txt")
    for spelling in ("./data.txt", f"{project}/data.txt", f"file://{project}/data.txt", "pipelines/../data.txt"):
        assert answer_json(capsys, "lineage", spelling) == asked
    monkeypatch.chdir(project / "pipelines")
    Path("circle").symlink_to("circle")
    for spelling in ("../data.txt", "data.txt"):
        assert answer_json(capsys, "lineage", spelling) == asked
    for wrong in ("../dat.txt", "../elsewhere/data.txt", "circle", "a" * 5000):
        assert mlgen(["lineage", wrong]) == 2
        told = capsys.readouterr().err
        assert ("did you mean data.txt?" in told) is wrong.endswith(".txt")


def test_an_out_of_a_task_that_did_not_run(project: Path, capsys: Capture) -> None:
    spec = project / "pipelines" / "demo.yaml"
    spec.write_text(SPEC.replace("    in: [train.model]\n", "    in: [train.model]\n    out: {where: file}\n"))
    run(capsys, "one", "-p", "word=hi")
    run(capsys, "two", "-p", "word=hi", "-p", "fail=yes", code=1)
    for wanted, says in {
        "demo/ship/where@one": "ship was skipped in one, or not started",
        "demo/train/model@two": "train failed in two, so nothing that it wrote was kept",
        "demo/train/modell@one": 'train made no artifact "modell" in one',
        "demo/other/x@one": "the ledger knows of no task other in one",
    }.items():
        assert mlgen(["lineage", wanted]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs", "show", "onn"], "did you mean one?"),
        (["runs", "compare", "one", "none"], 'no run "none"'),
        (["lineage", "demo/train/auc"], "a value, not an artifact"),
        (["lineage", "demo/train/modell"], "did you mean demo/train/model"),
        (["lineage", "one", "--depth", "0"], "--depth"),
        (["runs", "list", "--env", "prod"], 'no environment "prod"'),
        (["ledger", "fold", "--what"], "No such option"),
    ],
)
def test_what_is_asked_wrongly(project: Path, capsys: Capture, arguments: list[str], says: str) -> None:
    run(capsys, "one", "-p", "word=hi")
    assert mlgen(arguments) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.out == ""


def test_questions_before_any_run(project: Path, capsys: Capture) -> None:
    assert answer_json(capsys, "runs", "list") == {"runs": [], "more": 0, "ledger": None}
    assert "no runs yet" in answer(capsys, "runs", "list")
    assert mlgen(["lineage", "demo/train/model"]) == 2
    assert "no artifacts yet" in capsys.readouterr().err
    status = answer_json(capsys, "ledger", "fold", "--status")
    assert status == {"waiting": 0, "oldestSeconds": None, "dead": 0, "refused": [], "strays": 0, "ledger": None}


def test_a_killed_run_is_told_by_the_next_question(project: Path, capsys: Capture) -> None:
    spec = project / "pipelines" / "demo.yaml"
    spec.write_text(spec.read_text().replace('cat "$raw"', 'touch started; sleep 60; cat "$raw"'))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    command = [sys.executable, "-m", "mlgen", "run", "pipelines/demo.yaml", "-p", "word=hi", "--name", "cut"]
    engine = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while engine.poll() is None and not list(project.glob(".mlgen/runs/*/*/**/started")):
        time.sleep(0.01)
    engine.kill()
    engine.wait()
    graph = answer_json(capsys, "lineage", "cut")
    states = {node["name"]: node["state"] for node in graph["nodes"] if node["kind"] != "artifact"}
    assert states == {"cut": "ABORT", "demo.prepare": "ABORT"}
    assert answer_json(capsys, "runs", "show", "cut")["state"] == "ABORT"


def test_what_waits_is_landed_by_hand(project: Path, capsys: Capture) -> None:
    spool = Spool(Folder(project / ".mlgen/artifacts", ".mlgen/artifacts"))
    assert answer(capsys, "ledger", "fold") == "nothing waited\nledger  empty\n"
    assert answer(capsys, "ledger", "fold", "--status") == "waiting  none\nrefused  none\nledger  empty\n"
    spool.put(records.task())
    status = answer_json(capsys, "ledger", "fold", "--status")
    assert (status["waiting"], status["ledger"]) == (1, None)
    assert re.search(r"^waiting  1, the oldest for \d+ s$", answer(capsys, "ledger", "fold", "--status"), re.MULTILINE)
    folded = answer_json(capsys, "ledger", "fold")
    assert (folded["landed"], folded["ledger"]) == ([records.task().path], tip(project))
    spool.put(records.task(reason="Other"))
    assert mlgen(["ledger", "fold"]) == 1
    told = capsys.readouterr()
    assert "a record never changes" in told.err
    assert told.out == f"1 set aside: the branch has other bytes at their paths\nledger  {tip(project)}\n"
    assert answer_json(capsys, "ledger", "fold", "--status")["dead"] == 1


@pytest.mark.parametrize("artifacts", [".mlgen/artifacts", "kept"])
def test_records_that_a_clone_brought_do_not_land(project: Path, capsys: Capture, artifacts: str) -> None:
    (project / "mlgen.yaml").write_text(f"version: 1\nenvironments: {{local: {{artifacts: {artifacts}}}}}\n")
    run(capsys, "mine", "-p", "word=hi")
    before = tip(project)
    spool = Spool(Folder(project / artifacts, artifacts))
    key = spool.put(records.task())
    subprocess.run(["git", "add", "-f", f"{artifacts}/{key}"], cwd=project, check=True)
    assert mlgen(["runs", "list"]) == 0
    told = capsys.readouterr()
    assert "mine" in told.out
    assert "git rm -r --cached" in told.err
    assert mlgen(["ledger", "fold"]) == 3
    assert "a clone may carry forged records" in capsys.readouterr().err
    assert (tip(project), spool.waiting()) == (before, [key])
    subprocess.run(["git", "rm", "-rq", "--cached", artifacts], cwd=project, check=True)
    assert answer(capsys, "ledger", "fold").startswith("1 landed")


def test_a_bad_file_on_the_branch_hides_no_other(project: Path, capsys: Capture) -> None:
    run(capsys, "mine", "-p", "word=hi")
    repository = git.discover(project)
    assert repository is not None
    path = records.task().path
    commit = repository.commit({path: b"{}"}, parent=tip(project), message="by hand", seconds=0)
    repository.move_ref("refs/heads/ledger", commit, old=tip(project))
    for arguments in (["runs", "list"], ["lineage", "mine"]):
        assert mlgen(arguments) == 0
        told = capsys.readouterr()
        assert "mine" in told.out
        assert f"1 file of the ledger cannot be read here: {path}: " in told.err
        assert told.err.count("\n") == 1


@pytest.mark.parametrize("ref", ["1" * 40, "garbage", "", "blob"])
def test_a_broken_ledger_is_not_an_empty_one(project: Path, capsys: Capture, ref: str) -> None:
    path = project / ".git/refs/heads/ledger"
    if ref == "blob":
        ref = tip(project, "HEAD:data.txt")
    path.write_text(f"{ref}\n")
    key = (spool := Spool(Folder(project / ".mlgen/artifacts", ".mlgen/artifacts"))).put(records.task())
    for arguments in (["runs", "list"], ["lineage", "x"], ["ledger", "fold"]):
        assert mlgen(arguments) == 3
        assert "ledger-broken" in capsys.readouterr().err
    assert mlgen(["ledger", "fold", "--status"]) == 3
    assert spool.waiting() == [key]


def test_a_ledger_without_its_objects(project: Path, capsys: Capture) -> None:
    run(capsys, "mine", "-p", "word=hi")
    oid = tip(project, "ledger:runs")
    for pack in (packs := project / ".git/objects/pack").glob("*.pack"):  # fast-import may have made one
        data = pack.read_bytes()
        for part in packs.iterdir():
            part.unlink()
        subprocess.run(["git", "unpack-objects", "-q"], cwd=project, input=data, check=True)
    (project / ".git/objects" / oid[:2] / oid[2:]).unlink()
    assert mlgen(["runs", "list"]) == 3
    assert "ledger-broken" in capsys.readouterr().err


def test_records_of_an_unknown_environment_are_set_aside(project: Path, capsys: Capture) -> None:
    spool = Spool(Folder(project / ".mlgen/artifacts", ".mlgen/artifacts"))
    spool.put(records.task())
    key = spool.put(records.task(env="forged", name="forged"))
    folded = answer_json(capsys, "ledger", "fold", code=1)
    assert folded["landed"] == [records.task().path]
    assert [refused["key"] for refused in folded["refused"]] == [key]
    assert "of the environment forged" in folded["refused"][0]["message"]


def test_a_name_that_is_no_text_is_told(project: Path, capsys: Capture) -> None:
    run(capsys, "mine", "-p", "word=hi")
    (project / os.fsdecode(b".mlgen/artifacts/_ledger/spool/\xff\n")).write_text("")
    for arguments in (["runs", "list"], ["ledger", "fold"], ["ledger", "fold", "--format", "json"]):
        assert mlgen(arguments) == 0
        assert "in the spool" in (err := capsys.readouterr().err) or "no record's name" in err
