"""A run is created once; every refusal says what it is and how to mend it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from mlgen.cluster.start import create
from mlgen.diagnostic import CannotAnswer, Fault, Misuse
from tests.cluster.scripted import Answer, Asked, Json, serving, status

DIGEST = {"annotations": {"mlgen.dev/plan-digest": "sha256:1"}}
RUN: Json = {
    "metadata": {"name": "demo-x", "namespace": "ml", **DIGEST},
    "spec": {"params": [{"name": "n", "value": "3"}]},
}


def created(folder: Path, *answers: Answer) -> tuple[Json | Fault, list[Asked]]:
    """What comes of creating RUN where the server gives these answers, one after the other."""
    left = list(answers)
    with serving(lambda _asked: left.pop(0)) as server:
        try:
            return create(server.api(folder), copy.deepcopy(RUN), pause=lambda _seconds: None), server.asked
        except Fault as fault:
            return fault, server.asked


def test_a_request_whose_answer_was_lost_makes_one_run(tmp_path: Path) -> None:
    stored = {**RUN, "metadata": {**RUN["metadata"], "uid": "u"}}
    found, asked = created(tmp_path, Answer(), status(409, "already exists"), Answer(body=stored))
    assert found == stored
    assert [one.method for one in asked] == ["POST", "POST", "GET"]


def test_a_server_that_is_away_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    found, _ = created(tmp_path, status(503, "starting"), status(429, "slowly"), Answer(201, RUN))
    assert found == RUN


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    found, _ = created(tmp_path, status(409, "already exists"))
    assert isinstance(found, Misuse)
    assert found.code == "run-exists"


def test_a_name_that_is_taken_by_another_run_after_a_lost_answer(tmp_path: Path) -> None:
    other = {**RUN, "spec": {"params": [{"name": "n", "value": "4"}]}}
    found, _ = created(tmp_path, Answer(), status(409, "already exists"), Answer(body=other))
    assert isinstance(found, Misuse)


WEBHOOK = 'admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: bad'
POLICY = (
    "pipelineruns.tekton.dev \"demo-x\" is forbidden: ValidatingAdmissionPolicy 'mlgen-plan' with binding "
    "'mlgen-plan' denied request: only runs by mlgen"
)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (status(401, "Unauthorized"), "cluster-unauthorized", "log in"),
        (
            status(403, 'pipelineruns is forbidden: User "x" cannot create resource'),
            "cluster-forbidden",
            "create pipelineruns",
        ),
        (status(400, WEBHOOK), "cluster-refused", "validation failed: bad"),
        (status(403, POLICY), "cluster-refused", "only runs by mlgen"),
        (Answer(404, "404 page not found"), "no-tekton", "Tekton"),
        (status(422, "spec.params: Invalid"), "cluster-refused", "422: spec.params: Invalid"),
        (Answer(200, "<html>a login page</html>"), "cluster-unreachable", "is it an API server"),
    ],
)
def test_a_refusal_is_one_fault(tmp_path: Path, answer: Answer, code: str, said: str) -> None:
    found, _ = created(tmp_path, *[answer] * 4)
    assert isinstance(found, CannotAnswer)
    assert found.code == code
    assert found.fix
    assert said in f"{found.message} {found.why} {found.fix}"
    assert "secret-token" not in f"{found.message} {found.why} {found.fix}"
