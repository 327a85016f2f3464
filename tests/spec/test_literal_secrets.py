"""Secrets written into specs: each is told, with its place and without its text; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.diagnostic import to_json, to_text
from mlgen.spec.checks.literal_secrets import literal_secrets
from mlgen.spec.document import read
from tests.ledger.secret_cases import Case, cases

ROOT = Path(__file__).parents[2]
TOKEN = "gl" + "pat-" + "A1b2C3d4E5f6G7h8I9j0"


def told(text: str, kind: str = "pipeline") -> list[tuple[str, int, int]]:
    document = read("x.yaml", text.encode())
    return [(f.message, f.span.line, f.span.column) for f in literal_secrets(document, kind)]


@pytest.mark.parametrize(
    ("text", "place", "line", "column"),
    [
        (f"labels: {{a: b, c: {TOKEN}}}", '"labels.c"', 1, 19),
        (f"description: by {TOKEN}", '"description"', 1, 17),
        (f"tasks: {{a: {{run: [curl, --with, {TOKEN}]}}}}", '"tasks.a.run.2"', 1, 33),
        (f"tasks:\n  a:\n    run: |\n      x\n      y {TOKEN}\n", '"tasks.a.run"', 5, 9),
        (f"params: {{x: {{choices: [a, {TOKEN}]}}}}", '"params.x.choices.1"', 1, 27),
        (f"params: {{{TOKEN}: 5}}", "a name in params", 1, 10),
        (f"tasks: {{a: {{secrets: {{HF: {TOKEN}}}}}}}", '"tasks.a.secrets.HF"', 1, 27),
        (f"nonsense: {TOKEN}", '"nonsense"', 1, 11),
    ],
)
def test_a_token_is_told_wherever_it_stands(text: str, place: str, line: int, column: int) -> None:
    assert told(text) == [(f"{place} looks like a GitLab token", line, column)]


@pytest.mark.parametrize(
    "text",
    [
        "tasks: {a: {in: {password: params.db_pass}, out: {password: string}, secrets: {DB_PASSWORD: db/password}}}",
        'tasks: {a: {run: curl -H "Authorization: Bearer $TOKEN" -u "me:$PASSWORD" https://h.example}}',
        "params: {password: {type: string}, token: {type: string, description: of the registry}}",
        "tasks: {a: {env: {PGPASSWORD: postgres}}} # not a secret: of the database of this test",
        "inputs: {raw: s3://data/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74}",
        "labels: {a: sha256-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}",
    ],
)
def test_what_names_a_secret_or_is_none_is_not(text: str) -> None:
    assert told(text) == []


def test_a_project_names_secrets() -> None:
    text = "environments: {p: {s3: {secret: prod-Keys.9x7f2}, ledger: {secret: git-token-7f}}}"
    assert told(text, "project") == []
    text = f"environments: {{p: {{labels: {{by: {TOKEN}}}}}}}"
    assert told(text, "project") == [('"environments.p.labels.by" looks like a GitLab token', 1, 33)]


@pytest.mark.parametrize("folder", ["pipelines", "tests/examples", "tekton", "policies", "tasks"])
def test_our_own_files_hold_none(folder: str) -> None:
    for file in sorted((ROOT / folder).rglob("*.yaml")):
        found = list(literal_secrets(read(str(file), file.read_bytes()), "pipeline"))
        assert found == [] or "/policies/tests/" in str(file)


@given(st.sampled_from([case for seed in range(3) for case in cases("secrets.txt", seed)]), st.booleans())
def test_no_finding_shows_it(case: Case, in_a_script: bool) -> None:
    """Whatever shape it has; what is found at all is proved in tests/test_secrets.py."""
    text = case.text
    body = "\n".join(f"      {line}" for line in text.splitlines())
    spec = f"tasks:\n  a:\n    {'run' if in_a_script else 'description'}: |\n{body}\n"
    document = read("x.yaml", spec.encode())
    for finding in literal_secrets(document, "pipeline"):
        shown = f"{to_text(finding, document.lines)} {to_json(finding)}"
        assert not any(len(line) > 20 and line in shown for line in text.splitlines())


def test_time_is_linear() -> None:
    """A file of 1 MiB of names and values that might be secrets."""
    text = "env: {" + ", ".join(f"A_TOKEN_{i}: token=x{i}" for i in range(20_000)) + "}"
    assert told(text) == []
