"""What looks like a secret is found and masked, what records are full of is not, and nothing makes it slow."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records import entry
from mlgen.ledger.records.clean import clean_run, clean_task
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord, TaskStatus
from mlgen.ledger.records.task import Source, TaskRecord
from mlgen.secrets import Finding, find, look, search, words
from mlgen.secrets.masking import masked, scrub, scrub_values
from mlgen.secrets.plain import is_plain
from tests.ledger import records, secret_cases
from tests.ledger.secret_cases import as_data, cases

SEEDS = range(10)
TOKEN = "gh" + "p_" + "A1b2C3d4E5f6G7h8I9j0" + "K1l2M3n4O5p6Q7r8"
TEXTS = [case for seed in SEEDS for case in cases("secrets.txt", seed)]
HARMLESS = [case for seed in SEEDS for case in cases("harmless.txt", seed)]


def test_both_rates() -> None:
    """Printed with -s, for BENCHMARKS.md. What is missed: random strings that happen to be made of words."""
    found, missed = Counter[bool](), Counter[str]()
    for case in TEXTS:
        for data in as_data(case):
            found[bool(find(data))] += 1
            missed[case.kind] += not find(data)
    false = {case.kind for case in HARMLESS for data in as_data(case) if find(data)}
    looked = sum(len(as_data(case)) for case in HARMLESS)
    print(f"secrets found: {found[True]} of {found.total()}; false alarms: {len(false)} of {looked}")
    assert {kind for kind, count in missed.items() if count} <= {"random"}
    assert found[True] / found.total() >= 0.995
    assert not false


@pytest.mark.parametrize("record", [*records.every_kind(), records.run()], ids=lambda one: type(one).__name__)
def test_records_have_none(record: TaskRecord | RunRecord) -> None:
    assert find(entry.to_bytes(record)) == []


def test_no_finding_shows_the_secret() -> None:
    for case in TEXTS:
        for data in as_data(case):
            for found in find(data):
                assert not any(piece in str(found) for piece in case.text.split() if len(piece) > 12), case


def test_what_is_masked_is_found_no_more() -> None:
    for case in TEXTS:
        data = canonical.encode(scrub({"params": {case.name or "note": case.text}}))
        assert find(data) == [], case
        assert find(masked(case.text)) == [], case


def test_the_fast_look_sees_all_that_the_slow_one_does() -> None:
    for case in (*TEXTS, *HARMLESS):
        if case.name is None and list(search.spans(case.text)):
            assert not is_plain(f"note that {case.text} was there".encode())


FRAGMENTS = (
    "password=", "token: ", "Bearer ", "ghp_", "AKIA", "://u:", "@", '"', "\\", "***", "-----BEGIN PRIVATE KEY-----",
    "eyJ", ".", " ", "=", "\n", "api_key", "secret", "&sig=", "--user ", "%3A%2F%2F", "%40", "--token", "name", "key",
    "value", "-p", "mysql ", "Qm", "id=", "A1b2C3d4E5f6G7h8I9j0", "abcdefgh", "0123456789abcdef" * 3, "hunter2",
)  # fmt: skip
TOLD = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
NAMES = TOLD | st.sampled_from(["name", "value", "key", "username", "password", "x"])
NESTED = st.recursive(
    TOLD, lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=3), max_leaves=8
)


@given(value=NESTED)
@settings(max_examples=300, deadline=None)
@example(value={"--user =password=A1b2C3d4E5f6G7h8I9j0AKIA": "abcdefgh-abcdefgh1"})
def test_whatever_is_scrubbed_is_found_no_more(value: Json) -> None:
    assert find(canonical.encode({"params": scrub(value)})) == []
    assert find(canonical.encode({"params": scrub_values({"x": value, "name": "token", "value": value})})) == []


def test_where_it_is() -> None:
    data = {"run": {"facets": {"mlgen_task": {"params": {"a": [1, {"b": f"x {TOKEN} y"}]}}}}}
    assert find(canonical.encode(data)) == [Finding("run.facets.mlgen_task.params.a[1].b", "a GitHub token")]
    assert find(f"one\ntwo {TOKEN}\n") == [Finding("line 2", "a GitHub token")]


@pytest.mark.parametrize("data", [
    b'{"note":"' + TOKEN.replace("g", "\\u0067", 1).encode() + b'"}',  # escaped
    b'{"note":"' + TOKEN.encode() + b'","note":""}',  # under a name that a reader overlooks
    b'{"' + TOKEN.encode() + b'":1}',  # as a name
    b'[["' + TOKEN.encode() + b'"]]',
    b"\xff\xfe " + TOKEN.encode(),  # no JSON
    b'{"note": ' + TOKEN.encode(),
    b"[" * 100_000 + b'"' + TOKEN.encode() + b'"',
    json.dumps({"note": json.dumps({"password": "correct horse"})}).encode(),  # JSON in JSON
    json.dumps({"note": "token=\"" + "a1b2c3d4" * 4 + '"'}).encode(),
])  # fmt: skip
def test_it_cannot_hide(data: bytes) -> None:
    assert find(data)


@pytest.mark.parametrize(("value", "place"), [
    ({"env": [{"name": "DB_PASSWORD", "value": "correct horse"}]}, "env[0].value"),  # Kubernetes
    ({"env": [{"Name": "API_TOKEN", "Value": "0a1b2c3d" * 5}]}, "env[0].Value"),
    ({"db": {"user": "ml", "password": {"value": "correct horse"}}}, "db.password.value"),
    ({"args": ["--password", "correct horse", "--verbose"]}, "args[1]"),
    ({"args": ["run", "--token", "0a1b2c3d" * 5]}, "args[2]"),
    ({"passwords": ["correct horse"]}, "passwords[0]"),
    ({"kaggle": {"username": "anna", "key": "0a1b2c3d" * 4}}, "kaggle.key"),
])  # fmt: skip
def test_a_name_may_stand_elsewhere(value: dict[str, Any], place: str) -> None:
    assert [found.place for found in find(canonical.encode(value))] == [place]
    assert find(canonical.encode(scrub(value))) == []
    assert find(canonical.encode(scrub_values(value))) == []


@pytest.mark.parametrize("value", [
    {"env": [{"name": "MODE", "value": "correct horse"}, {"name": "DB_PASSWORD", "valueFrom": {"name": "db"}}]},
    {"params": [{"name": "pad_token", "value": "im4start2mid7fim9x"}]},
    {"args": ["--password", "--verbose", "--max-token", "5", "--tokenizer", "cl100k2base4edu"]},
    {"args": ["--run-id", "0ujtsYcgvSTl8PAuAdqWYSMnLOv"]},
    {"key": "customer_id", "value": 7, "default": "none"},
])  # fmt: skip
def test_a_name_elsewhere_that_is_harmless(value: dict[str, Any]) -> None:
    assert find(canonical.encode(value)) == []


def test_what_is_random_is_nearly_always_seen() -> None:
    random = Random(1)
    for length, most in {20: 0.10, 24: 0.07, 32: 0.04, 40: 0.02, 64: 0.01}.items():
        texts = ("".join(random.choices(secret_cases.BASE62, k=length)) for _ in range(1000))
        assert sum(not find(canonical.encode({"x": text})) for text in texts) <= most * 1000, length


def test_a_name_that_holds_one_is_not_shown() -> None:
    found = find(canonical.encode({"params": {TOKEN: {"password": "letmein"}}}))
    assert [str(one) for one in found] == [
        "a name in params looks like a GitHub token",
        "params.***.password looks like a password",
    ]
    assert scrub({TOKEN: {"password": "letmein"}}) == {"***": {"password": "***"}}


def test_only_the_secret_is_masked() -> None:
    assert masked(f"cannot clone https://ci:{TOKEN}@git.example/ml") == "cannot clone https://ci:***@git.example/ml"
    assert masked("login failed: password='s3cr3t!' on db") == "login failed: password='***' on db"
    assert masked("nothing here") == "nothing here"


@pytest.mark.parametrize("text", [
    "a" * 20, "A1b" * 7, "password", "password=", "token: ", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "eyJ",
    "eyJhbGci.", "://a:", "://", "://a:b", "@", "sk-", "xoxb-", "ghp_", "AKIA", "MIIEvIBADA", "wandb key", "Bearer ",
    "--token ", "&sig=", "A1" * 9 + "-", "ZXlK", "\\", "\"'", " ", "key=", "é", "\\u0067", "aA1" * 80 + " ", "[",
    '{"a":', "secret_", ".", "password='", "-----END ", " -u ", "--user a:", "1Q~", "ops_eyJ",
    "mysql -p", "mysql ", "%3A%2F%2Fa%3Ab%40", "%253A%252F%252F%2540", "login a password ", "-eyJaaaaaaaaaa", "glpat-",
    "docs.google.com/", ";base64,", "-----BEGIN CERTIFICATE-----", "username a key ",
])  # fmt: skip
def test_no_text_makes_it_slow(text: str) -> None:
    """Linear: eight times the text takes eight times as long, where squares would take sixty-four times."""
    small, large = ((text * n)[:n] for n in (1 << 13, 1 << 16))
    seconds = [_seconds(small), _seconds(large)]
    assert seconds[1] < 24 * seconds[0] + 0.2, seconds


@pytest.mark.parametrize("text", ["-eyJaaaaaaaaaa", "YWJjZGVmZ2hpamtsbW5vcHFyc3Q ", "token:", "-token "])
def test_the_largest_record_takes_seconds_at_worst(text: str) -> None:
    """1 s on a machine of its own; the clock is of this process, which others slow down all the same."""
    data = json.dumps({"note": (text * (1 << 20))[: 1 << 20]}).encode()
    started = time.process_time()
    find(data)
    assert time.process_time() - started < 5


def _seconds(text: str) -> float:
    started = time.process_time()
    find(text)
    find(json.dumps({"note": text}))
    masked(text)
    return time.process_time() - started


def test_findings_are_few() -> None:
    assert len(find(canonical.encode({f"n{at}": TOKEN for at in range(5000)}))) == look.MOST_FOUND


@pytest.mark.parametrize("changes", [
    {"params": {"note": TOKEN, "deep": {"password": ["letmein", 7]}}},
    {"metrics": {"auc": 1, "note": TOKEN}},
    {"values": {"url": "https://a:hunter2@b.example/c"}},
    {"error": f"401 for {TOKEN}"},
    {"source": Source("c" * 40, "pipelines/churn.yaml", f"https://ci:{TOKEN}@git.example/ml")},
    {"inputs": (records.artifact("raw", f"s3://data/raw.csv?X-Amz-Signature={'ab' * 32}"),)},
    {"image": f"registry.example/{TOKEN}:1"},
    {"usage": {"note": TOKEN}},
], ids=lambda changes: next(iter(changes)))  # fmt: skip
def test_a_record_is_masked_whatever_holds_it(changes: dict[str, Any]) -> None:
    record = records.task(**changes)
    clean = clean_task(record)
    assert clean.masked
    assert find(clean.data) == []
    assert entry.from_bytes(clean.data) == clean.entry
    assert clean.entry.path == record.path
    assert entry.to_bytes(record) == clean.data
    assert clean_task(clean.entry).data == clean.data


def test_a_run_is_masked() -> None:
    run = records.run(
        params={"note": TOKEN, "epochs": 3},
        labels={"team": "risk", "token": "a1b2c3d4" * 4},
        tasks={"train": TaskStatus("Failed", TOKEN)},
    )
    clean = clean_run(run)
    assert clean.entry == replace(
        run,
        params={"note": "***", "epochs": 3},
        labels={"team": "risk", "token": "***"},
        tasks={"train": TaskStatus("Failed", "***")},
    )
    assert entry.from_bytes(clean.data) == clean.entry


def test_a_name_cannot_be_masked() -> None:
    with pytest.raises(BadRecord, match="looks like a Databricks token"):
        entry.to_bytes(records.task(run="dapi" + "01ab45ef" * 4))


def test_ids_may_look_random() -> None:
    text = "1Bx" + "iMVs0XRA5nFMdKvBdBZjgmUUqptlbs74"
    assert find(canonical.encode({"drive_id": text})) == []
    [found] = find(canonical.encode({"drive": text}))
    assert found.is_guess
    assert scrub({"drive_id": text, "drive": text}) == {"drive_id": text, "drive": "***"}
    assert find(canonical.encode({"drive_id": TOKEN})), "a token is one under any name"


def test_text_in_base64_is_read() -> None:
    assert words.text_of_base64("eyJhIjoxfQ==") == '{"a":1}'
    assert words.text_of_base64("A" * 21) is None
