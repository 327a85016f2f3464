"""`mlgen ledger export` as people and scripts call it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.main import run as mlgen
from mlgen.ledger.export import slsa
from tests.ledger import marquez, records
from tests.ledger.exported import LATER, entries, land

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project in no repository, with a ledger; and the ledger's commit."""
    root = tmp_path_factory.mktemp("project")
    (root / "pipelines").mkdir()
    (root / "mlgen.yaml").write_text("version: 1\n")
    (root / ".mlgen").mkdir()
    _, commit = land(root / ".mlgen", entries())
    return root, commit


@pytest.fixture
def project(made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made[0])
    return made[0]


def export(capsys: Capture, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert mlgen(["ledger", "export", *arguments]) == code
    told = capsys.readouterr()
    return told.out, told.err


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_stdout_has_the_answer_and_stderr_its_commit(project: Path, made: tuple[Path, str], capsys: Capture) -> None:
    out, err = export(capsys, "openlineage")
    assert len(events(out)) == 8
    assert err == f"4 records; of the ledger at {made[1]}\n"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--run", "r2"], 2),
        (["--run", "r2", "--run", "r1"], 8),
        (["--since", LATER], 2),
        (["--since", "2026-11-29"], 2),
        (["--artifact", "sha256:CDCDCDCD"], 2),
    ],
)
def test_a_part_of_it(options: list[str], count: int, project: Path, capsys: Capture) -> None:
    assert len(events(export(capsys, "openlineage", *options)[0])) == count


def test_since_its_own_tip_there_is_nothing(project: Path, made: tuple[Path, str], capsys: Capture) -> None:
    out, err = export(capsys, "openlineage", "--since", made[1][:12])
    assert out == ""
    assert err.startswith("0 records")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["openlineage", "--table", "runs"], "options"),
        (["csv", "--table", "runs", "--artifact", "abcdef01"], "options"),
        (["csv", "--artifact", "abc"], "bad-option"),
        (["csv", "--since", "yesterday"], "bad-option"),
        (["csv", "--since", "2026-02-30"], "bad-option"),
        (["slsa", "--artifact", "00000000"], "unknown-artifact"),
        (["csv", "--run", "r9"], "unknown-run"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], code: str, project: Path, capsys: Capture) -> None:
    out, err = export(capsys, *arguments, code=2)
    assert f"error[{code}]" in err
    assert out == ""


def test_a_file_appears_when_it_is_whole(project: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("old")
    export(capsys, "csv", "--run", "r9", "--out", str(path), code=2)
    assert path.read_text() == "old"
    export(capsys, "csv", "--table", "runs", "--out", str(path))
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["run"], row["state"]) == ("r1", "COMPLETE")
    assert os.listdir(tmp_path) == ["runs.csv"]


def test_statements_may_be_files(project: Path, tmp_path: Path, capsys: Capture) -> None:
    for _ in range(2):
        export(capsys, "slsa", "--out", str(tmp_path / "attestations"))
    found = sorted((tmp_path / "attestations").iterdir())
    assert [path.name[:8] for path in found] == ["abababab", "cdcdcdcd"]
    for path in found:
        subject = json.loads(path.read_bytes())["subject"][0]
        assert path.name.startswith(subject["digest"]["sha256"])


def test_parquet_into_a_file(project: Path, tmp_path: Path, capsys: Capture) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'mlgen[parquet]'")
    export(capsys, "parquet", "--table", "metrics", "--out", str(tmp_path / "m.parquet"))
    assert pq.read_table(tmp_path / "m.parquet").column("value").to_pylist() == [0.91, None, -1.5e-07]


def test_without_the_extra_parquet_says_how_to_get_it(
    project: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    _, err = export(capsys, "parquet", "--out", str(tmp_path / "m.parquet"), code=2)
    assert "pip install 'mlgen[parquet]'" in err
    assert os.listdir(tmp_path) == []


def test_no_ledger_is_no_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert export(capsys, "csv") == ("", "the ledger has no records yet\n")


def test_what_waits_is_landed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from mlgen.ledger.folding.spool import Spool
    from mlgen.store import Folder

    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    Spool(Folder(tmp_path / ".mlgen" / "artifacts", "artifacts")).put(records.run())
    assert len(events(export(capsys, "openlineage")[0])) == 2


SPEC = """\
version: 1
name: demo
tasks:
  make:
    run: |
      echo bytes > "$model"
      mkdir -p "$data/b" && echo 1 > "$data/b/x" && echo 2 > "$data/a y"
    out: {model: model, data: dataset}
  read:
    run: cat "$model" "$data/b/x" > "$joined"
    in: [make.model, make.data]
    out: {joined: file}
"""


def test_after_a_real_run_statements_name_the_bytes_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    (tmp_path / "pipelines" / "demo.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    assert mlgen(["run", "pipelines/demo.yaml", "--name", "r1"]) == 0
    capsys.readouterr()
    statements = {one["subject"][0]["name"]: one for one in events(export(capsys, "slsa")[0])}
    assert statements.keys() == {"model", "data", "joined"}
    subjects = {name: one["subject"][0] for name, one in statements.items()}
    model = tmp_path / subjects["model"]["annotations"]["mlgen_path"]
    assert subjects["model"]["digest"] == {"sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    # As the guide says it, for whoever has the folder and no mlgen.
    command = "find . -type f | cut -c3- | xargs -d '\\n' sha256sum | LC_ALL=C sort | sha256sum"
    folder = tmp_path / subjects["data"]["annotations"]["mlgen_path"]
    said = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert subjects["data"]["digest"] == {slsa.FOLDER_DIGEST: said.split()[0]}
    spec = hashlib.sha256(SPEC.encode()).hexdigest()
    build = statements["joined"]["predicate"]["buildDefinition"]
    assert build["externalParameters"]["spec"] == {"name": "demo.yaml", "digest": {"sha256": spec}}
    read = [one for one in build["resolvedDependencies"] if one["name"] in subjects]
    assert [one["digest"] for one in read] == [subjects[one["name"]]["digest"] for one in read]
    assert len(read) == 2
    assert [marquez.refusals(one) for one in events(export(capsys, "openlineage")[0])] == [[]] * 6


def test_a_reader_that_leaves_is_no_fault(project: Path) -> None:
    """With the pipe closed after a line, as by `head -1`."""
    command = [sys.executable, "-m", "mlgen", "ledger", "export", "openlineage"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "generator")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, cwd=project) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 0
    assert b"error" not in err


def test_of_a_table_the_rows_are_counted(project: Path, capsys: Capture) -> None:
    out, err = export(capsys, "csv", "--table", "params")
    assert err.startswith(f"{out.count(chr(10)) - 1} row")
