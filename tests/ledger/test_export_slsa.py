"""Exported in-toto statements: what they say, and whether a verifier would take them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlgen.ledger.export import slsa
from mlgen.ledger.export.select import Selected, Selection, select
from mlgen.ledger.records.task import Source
from tests.ledger import records
from tests.ledger.exported import land, selected

PROVENANCE = json.loads((Path(__file__).parents[1] / "data/in-toto/provenance-statement.json").read_bytes())


def statements(every: list[Selected], artifact: str | None = None) -> list[dict[str, Any]]:
    return [json.loads(one.data) for one in slsa.statements(iter(every), artifact)]


def test_each_artifact_has_a_statement(every: list[Selected]) -> None:
    found = statements(every)
    assert [one["subject"][0]["name"] for one in found] == ["model", "data"]
    assert found[1]["subject"][0]["digest"] == {"sha256": "cd" * 32}
    assert len(statements(every, "cdcdcdcd")) == 1


def test_provenance_says_what_went_in(every: list[Selected]) -> None:
    build = statements(every)[0]["predicate"]["buildDefinition"]
    assert build["externalParameters"]["params"] == records.full().params
    digests = [one["digest"] for one in build["resolvedDependencies"]]
    assert {"gitCommit": "c" * 40} in digests
    assert {slsa.FOLDER_DIGEST: "ab" * 32} in digests
    assert [one.get("uri") for one in build["resolvedDependencies"]][3] == "oci://ghcr.io/acme/churn:1.8"


def test_a_folder_is_not_said_to_be_a_file(tmp_path: Path) -> None:
    folder = replace(records.artifact("model"), media_type=slsa.FOLDER_TYPE)
    repository, commit = land(tmp_path, [records.task(outputs=(folder,))])
    (one,) = slsa.statements(select(repository, commit, Selection(), lambda *_: None))
    assert json.loads(one.data)["subject"][0]["digest"] == {slsa.FOLDER_DIGEST: "ab" * 32}


def test_a_path_is_not_said_to_be_a_uri(every: list[Selected]) -> None:
    path, uri = (one["subject"][0] for one in (*statements(every, "abababab"), *statements(every, "cdcdcdcd")))
    assert uri["uri"] == "s3://b/data"
    assert path["uri"] == "s3://ml-artifacts/prod/churn/r1/train.0b/model"
    local = slsa._artifact(records.artifact("model"))
    assert "uri" not in local
    assert local["annotations"]["mlgen_path"] == ".mlgen/artifacts/churn/r1/model"


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("file:///a b#c", "file:///a%20b%23c"),
        ("s3://b", "s3://b"),
        ("gs://b/k?v=1", "gs://b/k%3Fv=1"),
    ],
)
def test_a_key_is_a_path(uri: str, written: str) -> None:
    assert slsa._artifact(records.artifact("model", uri))["uri"] == written


def test_what_no_standard_allows_is_not_said(tmp_path: Path) -> None:
    """A record may hold any text there."""
    odd = records.artifact("model", "s3://b/dt=1/a key %41 ü#f?q[x]")
    source = Source("not a commit", "x.yaml", "https://git.example/a b")
    record = records.task(outputs=(odd,), source=source, image="an image", image_digest="sha256:none")
    ledger = land(tmp_path, [record])
    (statement,) = statements(selected(ledger))
    assert faults(statement) == []
    assert statement["subject"][0]["uri"] == "s3://b/dt=1/a%20key%20%2541%20%C3%BC%23f%3Fq%5Bx%5D"
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert dependencies[1:] == [{"name": "image", "uri": "oci://an%20image"}]


def test_the_record_that_says_so_can_be_found(every: list[Selected]) -> None:
    (record,) = statements(every, "cdcdcdcd")[0]["predicate"]["runDetails"]["byproducts"]
    (one,) = [one for one in every if one.path == record["name"]]
    assert record["digest"]["sha256"] == hashlib.sha256(one.data).hexdigest()


def faults(statement: object) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(PROVENANCE).iter_errors(statement)]


def test_every_statement_is_what_the_specifications_ask(every: list[Selected]) -> None:
    assert [faults(one) for one in statements(every)] == [[], []]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s["subject"].clear(),
        lambda s: s["subject"][0].pop("digest"),
        lambda s: s["subject"][0]["digest"].update(sha256="AB" * 32),
        lambda s: s["subject"][0].update(uri="a/path"),
        lambda s: s["predicate"]["buildDefinition"].pop("buildType"),
        lambda s: s["predicate"]["buildDefinition"]["resolvedDependencies"].append({"name": "x"}),
        lambda s: s["predicate"]["runDetails"]["builder"].clear(),
        lambda s: s["predicate"]["runDetails"]["metadata"].update(startedOn="yesterday"),
    ],
)
def test_that_schema_would_notice(spoil: Any, every: list[Selected]) -> None:
    statement = statements(every)[0]
    spoil(statement)
    assert faults(statement)


def test_in_toto_s_library_reads_every_statement(every: list[Selected]) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format", reason="in-toto-attestation is not installed")
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    for one in slsa.statements(iter(every)):
        # Strict: a field that the specification does not know is an error, as is one of another type.
        statement = json_format.Parse(one.data, statement_pb2.Statement())
        Statement.copy_from_pb(statement).validate()
        data = json.loads(one.data)
        predicate = json_format.ParseDict(data["predicate"], provenance_pb2.Provenance())
        assert predicate.build_definition.build_type == slsa.BUILD_TYPE
        assert predicate.run_details.builder.id.startswith(slsa.BUILDER)
        assert predicate.run_details.metadata.started_on.ToJsonString() == "2026-11-28T10:00:00Z"
        assert json_format.MessageToDict(predicate) == without_empty(data["predicate"])
        for part in (*data["subject"], *data["predicate"]["buildDefinition"]["resolvedDependencies"]):
            assert part.get("uri") or part.get("digest") or part.get("content")


def without_empty(value: Any) -> Any:
    """As protobuf writes it: numbers of a Struct are doubles, and nothing more is lost."""
    if isinstance(value, dict):
        return {key: without_empty(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
