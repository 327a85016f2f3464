"""Secrets of a run on this machine: where they may come from, and that nothing that is kept or printed has one."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from mlgen.cli.main import run
from tests.cli.test_run import GIT

HUNTER = "hunter/2+swordfish é"
SPEC = """\
version: 1
name: demo
tasks:
  use:
    run: |
      echo "plain $TOKEN" >&2
      printf %s "$TOKEN" > "$said"
      printf '{"x": "%s"}' "$TOKEN" > "$json"
      python3 -c 'import os, base64, urllib.parse as u; t = os.environ["TOKEN"]
      print(u.quote(t, safe=""), u.quote_plus(t), base64.b64encode(("me:" + t).encode()).decode())
      print(base64.urlsafe_b64encode(("." + t).encode()).decode(), t.encode("unicode_escape").decode())'
      test -n "$OTHER"
    out: {said: string, json: json}
    secrets: {TOKEN: hf/token, OTHER: hf/other}
  break:
    run: |
      mkdir "$x"
      mkfifo "$x/$OTHER"
    out: {x: directory}
    secrets: {OTHER: hf/other}
"""
Capture = pytest.CaptureFixture[str]
RUN = ["run", "pipelines/demo.yaml", "--name", "r"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / ".mlgen").mkdir()
    (root / "mlgen.yaml").write_text("version: 1\n")
    (root / ".gitignore").write_text(".mlgen/\n")
    (root / "pipelines" / "demo.yaml").write_text(SPEC)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*GIT, *command], check=True, cwd=root)
    monkeypatch.chdir(root)
    for name in ("TOKEN", "OTHER"):
        monkeypatch.delenv(name, raising=False)
    return root


def keep(root: Path, text: str) -> Path:
    file = root / ".mlgen" / "secrets.env"
    file.write_text(text)
    file.chmod(0o600)
    return file


def said(capsys: Capture, *arguments: str) -> tuple[int, str]:
    code = run(list(arguments))
    return code, "".join(capsys.readouterr())


def test_what_is_missing_is_told_at_once_with_where_it_may_come_from(root: Path, capsys: Capture) -> None:
    code, text = said(capsys, *RUN)
    assert code == 2
    assert "not set, neither in the environment nor in .mlgen/secrets.env: OTHER, TOKEN" in text
    assert "TOKEN is key token of secret hf in a cluster" in text
    assert not (root / ".mlgen" / "runs").exists()


def test_a_kept_secret_is_in_nothing_that_a_run_leaves(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Not in records, logs, run.json, the index, exports, nor in what any command prints: in no usual form."""
    keep(root, f"# mine\nTOKEN='{HUNTER}'\nOTHER=from-the-file-9\n")
    monkeypatch.setenv("OTHER", "correct horse battery")
    code, printed = said(capsys, *RUN, "--format", "json")
    assert code == 1
    assert '"use"' in printed  # it fails: what it hands on would be in its record
    for command in (
        ["logs", "r"], ["runs", "list", "--format", "json"], ["runs", "show", "r", "--format", "json"],
        ["ledger", "export", "--format", "openlineage"], ["ledger", "export", "--format", "csv", "--out", "told"],
        ["lineage", "r"], ["plan", "pipelines/demo.yaml", "--format", "json"], ["ledger", "index"],
    ):  # fmt: skip
        printed += said(capsys, *command)[1]
    assert "plain ***" in printed
    # In what the program itself wrote into an out it is, on this machine only: the task failed for it.
    files = [path for path in root.rglob("*") if path.is_file() and "out" not in path.parts]
    kept = [path for path in files if path.name != "secrets.env"]
    records = subprocess.run([*GIT, "log", "-p", "--all"], check=True, cwd=root, capture_output=True).stdout
    everything = b"\n".join([printed.encode(), records, *(path.read_bytes() for path in kept)])
    token, other = HUNTER.encode(), b"correct horse battery"
    forms = [token, other, quote(token, safe="").encode(), json.dumps(HUNTER)[1:-1].encode(), b64encode(token)[:12]]
    forms += [b64encode(b"me:" + token)[4:24], b"from-the-file-9", other.replace(b" ", b"%20"), b64encode(other)[:20]]
    assert [form for form in forms if form in everything] == []


def test_a_file_that_git_has_or_would_take_is_refused(root: Path, capsys: Capture) -> None:
    keep(root, "TOKEN=a\nOTHER=b\n")
    (root / ".gitignore").write_text("")
    (root / ".mlgen" / ".gitignore").unlink(missing_ok=True)
    code, text = said(capsys, *RUN)
    assert (code, "Git does not ignore .mlgen/secrets.env" in text) == (2, True)
    subprocess.run([*GIT, "add", "-f", ".mlgen/secrets.env"], check=True, cwd=root)
    code, text = said(capsys, *RUN)
    assert (code, "Git tracks .mlgen/secrets.env" in text, "revoke" in text) == (2, True, True)


def test_a_plan_without_secrets_does_not_open_it(root: Path, capsys: Capture) -> None:
    keep(root, "no line").chmod(0o644)
    (root / "pipelines" / "demo.yaml").write_text("version: 1\nname: demo\ntasks: {a: {run: echo}}\n")
    assert said(capsys, *RUN)[0] == 0
