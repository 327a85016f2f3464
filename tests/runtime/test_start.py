"""What a CronJob's pod does: the run of a time, once, whatever else goes on and however the server answers."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.runtime.pod.api_server import InCluster
from mlgen.runtime.pod.start import Start, start
from mlgen.schedules.model import Concurrency, Schedule, Scheduled

NOW = datetime(2026, 10, 31, 2, 0, 20, tzinfo=UTC)
RUNS = "/apis/tekton.dev/v1/namespaces/ml/pipelineruns"
RUN = {
    "kind": "PipelineRun",
    "metadata": {
        "namespace": "ml",
        "labels": {"mlgen.dev/pipeline": "daily", "mlgen.dev/env": "prod"},
        "annotations": {"mlgen.dev/plan-digest": "d"},
    },
    "spec": {"params": [{"name": "n", "value": "1"}], "pipelineRef": {"name": "daily"}},
}


@dataclass
class Server:
    """An API server that holds runs. answers: what it says first, an exception or a status."""

    runs: dict[str, Any] = field(default_factory=dict)
    answers: list[OSError | int] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, path))
        if self.answers:
            first = self.answers.pop(0)
            if isinstance(first, OSError):
                raise first
            return first, {"message": "no"}
        if method == "GET":
            return 200, {"items": list(self.runs.values())}
        if method == "PATCH":
            self.runs[path.rpartition("/")[2]]["spec"] |= json.loads(json.dumps(body))["spec"]
            return 200, {}
        made = json.loads(json.dumps(body))
        if made["metadata"]["name"] in self.runs:
            return 409, {}
        self.runs[made["metadata"]["name"]] = made
        return 201, made


def what(concurrency: Concurrency = Concurrency.ALLOW, job: str = "by-hand", **more: Any) -> Start:
    given = {"scheduled": (("since", Scheduled.DATE),), "params": (("word", "a$b"),), **more}
    schedule = Schedule("0 3 * * *", "Europe/Berlin", concurrency, 3600, **given)
    return Start("daily-abc-prod", "daily", schedule, RUN, job)


def test_a_start_that_is_told_twice_is_one_run() -> None:
    server = Server()
    said = [start(what(), server, NOW) for _ in range(2)]
    [(name, run)] = server.runs.items()
    assert name.endswith("-2026-10-31")
    assert said == [
        f"{name} is started, for 2026-10-31T02:00:00Z",
        f"{name} is there already, for 2026-10-31T02:00:00Z",
    ]
    assert run["spec"]["params"] == [
        {"name": "n", "value": "1"},
        {"name": "since", "value": "2026-10-31"},
        {"name": "word", "value": "a$$b"},
    ]
    assert run["metadata"]["annotations"] == {
        "mlgen.dev/plan-digest": "d",
        "mlgen.dev/scheduled-for": "2026-10-31T02:00:00Z",
    }


@pytest.mark.parametrize(
    ("job", "date"),
    [
        (f"daily-abc-prod-{int(datetime(2026, 10, 30, 2, tzinfo=UTC).timestamp()) // 60}", "2026-10-30"),  # a late pod
        ("daily-abc-prod-29872345", "2026-10-31"),  # a number of somebody's own: no time of the schedule
        ("by-hand", "2026-10-31"),
        ("", "2026-10-31"),
    ],
)
def test_a_pod_is_for_the_time_of_its_job(job: str, date: str) -> None:
    server = Server()
    start(what(job=job), server, NOW)
    assert [name[-10:] for name in server.runs] == [date]


def other(ended: bool) -> dict[str, Any]:
    status = {"completionTime": "2026-10-30T03:00:00Z"} if ended else {}
    return {"metadata": {"name": "other"}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("concurrency", "ended", "started", "cancelled"),
    [
        (Concurrency.FORBID, False, False, False),
        (Concurrency.FORBID, True, True, False),
        (Concurrency.ALLOW, False, True, False),
        (Concurrency.REPLACE, False, True, True),
        (Concurrency.REPLACE, True, True, False),
    ],
)
def test_others_that_go_on(concurrency: Concurrency, *, ended: bool, started: bool, cancelled: bool) -> None:
    server = Server({"other": other(ended)})
    said = start(what(concurrency), server, NOW)
    assert (len(server.runs) == 2) is started
    assert ("status" in server.runs["other"]["spec"]) is cancelled
    assert ("other" in said) is (not ended and concurrency is not Concurrency.ALLOW)
    if concurrency is Concurrency.ALLOW:
        assert [method for method, _ in server.asked] == ["POST"]  # it may do no more


def test_a_run_that_is_there_is_not_in_its_own_way() -> None:
    server = Server()
    start(what(Concurrency.REPLACE), server, NOW)
    assert "there already" in start(what(Concurrency.REPLACE), server, NOW)
    assert "status" not in next(iter(server.runs.values()))["spec"]


def test_a_server_that_is_away_is_asked_again() -> None:
    server, pauses = Server(answers=[OSError("refused"), 503, 429]), list[float]()
    assert "is started" in start(what(), server, NOW, pauses.append)
    assert len(pauses) == 3
    with pytest.raises(CannotAnswer, match="does not answer: refused"):
        start(what(), Server(answers=[OSError("refused")] * 9), NOW, pauses.append)


@pytest.mark.parametrize(("status", "fix"), [(403, "RoleBinding"), (404, "install Tekton"), (422, "")])
def test_a_refusal_is_told_and_not_repeated(status: int, fix: str) -> None:
    server = Server(answers=[status])
    with pytest.raises(CannotAnswer, match="the cluster refuses the run") as found:
        start(what(), server, NOW)
    assert fix in found.value.fix
    assert len(server.asked) == 1


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"cronJob": "a", "pipeline": "p", "run": {}, "schedule": {}}'])
def test_what_another_version_wrote(data: bytes) -> None:
    with pytest.raises(CannotAnswer, match="cannot be read"):
        Start.read(data, "")


def test_outside_of_a_cluster(tmp_path: Path) -> None:
    environs: list[Mapping[str, str]] = [{}, {"KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "443"}]
    for environ in environs:
        with pytest.raises(CannotAnswer, match="no pod with an account"):
            InCluster(environ, tmp_path)


def test_the_token_is_sent_and_the_answer_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            seen.update({key.lower(): value for key, value in self.headers.items()}, path=self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"not json")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.handle_request, daemon=True).start()
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: cafile)
    plain = http.client.HTTPConnection
    monkeypatch.setattr(
        http.client, "HTTPSConnection", lambda host, port, context, timeout: plain(host, port, timeout=timeout)
    )
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.server_port)}
    assert InCluster(environ, tmp_path).ask("PATCH", f"{RUNS}/a", {}) == (200, {"message": "not json"})
    server.server_close()
    assert seen["authorization"] == "Bearer secret"
    assert seen["content-type"] == "application/merge-patch+json"
