"""The engine says what the real API server says: thousands of objects under policies, by server-side dry run.

Some expressions, among them each function and operator: MLGEN_PARITY=… is the seed by which the rest is chosen, and
MLGEN_PARITY=all takes all, which is three minutes; what was said of all of them once is compared without a cluster.
With MLGEN_ACCEPT=1, which takes all, what the API server said is kept in tests/policy/data.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import api, sentinel
from tests.policy import corpus, verdicts
from tests.policy.case import Case, Json
from tests.policy.verdicts import Answer

POLICIES = f"/apis/{corpus.API}/validatingadmissionpolicies"
BINDINGS = f"/apis/{corpus.API}/validatingadmissionpolicybindings"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SEED = "all" if os.environ.get("MLGEN_ACCEPT") == "1" else os.environ.get("MLGEN_PARITY") or "mlgen"
SOME = 250  # expressions
FLOOR = 2_000 if SEED == "all" else 500  # comparisons: fewer, and the corpus was not run
ACTIVE_SECONDS = 120  # a policy is asked a second or so after it is stored


@dataclass(frozen=True)
class Place:
    """namespace: also what the names of policies begin with."""

    namespace: str

    @property
    def things(self) -> str:
        return f"/apis/{corpus.GROUP}/v1/namespaces/{self.namespace}/things"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    sentinel.keep()
    found = Place(f"mlgen-e2e-engine-{uuid.uuid4().hex[:6]}")
    namespace = corpus.namespace_object(found.namespace)
    api.send("POST", "/api/v1/namespaces", namespace)
    api.send("POST", CRDS, corpus.crd())  # 409, where another session has made it
    yield found
    for path in (BINDINGS, POLICIES):
        for item in api.get(path)["items"]:
            if item["metadata"]["name"].startswith(f"{found.namespace}-"):
                api.send("DELETE", f"{path}/{item['metadata']['name']}")
    api.send("DELETE", f"/api/v1/namespaces/{found.namespace}")
    if not any(n["metadata"]["name"].startswith("mlgen-e2e-engine-") for n in _living()):
        api.send("DELETE", f"{CRDS}/things.{corpus.GROUP}")


def _living() -> list[Json]:
    items: list[Json] = api.get("/api/v1/namespaces")["items"]
    return [n for n in items if "deletionTimestamp" not in n["metadata"]]


def test_the_engine_says_what_the_api_server_says(place: Place) -> None:
    cases = list(corpus.cases()) if SEED == "all" else corpus.some(SEED, SOME)
    sentinel = Case("sentinel", {"validations": [{"expression": "false", "message": "here"}]})
    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(lambda case: _store(case, place), cases))
        assert _store(sentinel, place) == ""
        _wait(sentinel, place)
        things = {name: _as_stored(data, place) for name, data in corpus.things().items()}
        asked = [(c, name) for c, refused in zip(cases, stored, strict=True) if not refused for name in c.objects]
        answers = list(pool.map(lambda job: _answer(job[0], job[1], things, place), asked))
    said: dict[str, Json] = {c.name: {"case": c.name, "refused": r} for c, r in zip(cases, stored, strict=True) if r}
    for (case, name), answer in zip(asked, answers, strict=True):
        entry = said.setdefault(case.name, {"case": case.name, "answers": {}})
        entry["answers"][name] = _plain(answer, place)
    if os.environ.get("MLGEN_ACCEPT") == "1":
        lines = [json.dumps(said[c.name], ensure_ascii=False, sort_keys=True) for c in cases]
        verdicts.RECORDED.write_text("\n".join(lines) + "\n")
    tally = verdicts.compare(said, cases)
    print(f"\nparity of {SEED}: {tally.summary()}")
    assert not tally.different, "\n".join(tally.different)
    assert tally.compared >= FLOOR


def _store(case: Case, place: Place) -> str:
    """Store a case's files; what the API server says against it, if it refuses one."""
    for document in corpus.documents(case, place.namespace, place.namespace):
        kind = document["kind"]
        paths = {"ValidatingAdmissionPolicy": POLICIES, "ValidatingAdmissionPolicyBinding": BINDINGS}
        path = paths.get(kind, f"/api/v1/namespaces/{place.namespace}/configmaps")
        status, body, _ = api.send("POST", f"{path}?fieldValidation=Strict", document)
        if status != 201 and not (kind == "ConfigMap" and status == 409):
            return str(body["message"]).replace(place.namespace, verdicts.PREFIX)
    return ""


def _wait(case: Case, place: Place) -> None:
    """Until the last policy is asked; then those before it are, too, within a moment."""
    end = time.monotonic() + ACTIVE_SECONDS
    data = corpus.labelled(corpus.things()["bare"], case.name, place.namespace)
    while api.send("POST", f"{place.things}?dryRun=All", data)[0] == 201:
        assert time.monotonic() < end, "no policy is asked"
        time.sleep(0.2)
    time.sleep(3)


_GIVEN = ("uid", "creationTimestamp", "managedFields", "generation")


def _as_stored(data: Json, place: Place) -> Json:
    """An object as the API server has it, without what it alone gives."""
    metadata = {**data["metadata"], "namespace": place.namespace}
    status, body, _ = api.send("POST", f"{place.things}?dryRun=All", {**data, "metadata": metadata})
    assert status == 201, body
    body["metadata"] = {key: value for key, value in body["metadata"].items() if key not in _GIVEN}
    return body


def _answer(case: Case, name: str, things: dict[str, Json], place: Place) -> Answer:
    data = corpus.labelled(things[name], case.name, place.namespace)
    status, body, warnings = api.send("POST", f"{place.things}?dryRun=All", data)
    if status == 201:
        return Answer(status, warnings=tuple(warnings))
    return Answer(status, str(body.get("reason", "")), str(body["message"]))


def _plain(answer: Answer, place: Place) -> Json:
    """An answer without the session's names."""

    def plain(text: str) -> str:
        return text.replace(place.namespace, verdicts.PREFIX)

    found: dict[str, Any] = {"status": answer.status}
    if answer.message:
        found |= {"reason": answer.reason, "message": plain(answer.message)}
    if answer.warnings:
        found["warnings"] = [plain(w) for w in answer.warnings]
    return found
