"""`mlgen lock`, as people and CI call it; the registries are on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.projects import locking, rewriting
from mlgen.review.change import short
from mlgen.spec.lock_text import HEAD
from tests.registry.hub import Asked, Hub, Reply, digest, image, push, real, serve

GENERATOR = Path(__file__).parents[2] / "generator"
A = "sha256:" + "a" * 64
ONE = digest(image("one").body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        hub.answer = lambda _: image("one")
        yield hub


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "tasks").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket can be made."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def spec(folder: Path, name: str, *images: str, default: str = "") -> None:
    tasks = "".join(f"  t{n}: {{run: echo, image: '{image}'}}\n" for n, image in enumerate(images))
    head = f"version: 1\nname: {name}\n" + (f"defaults: {{image: '{default}'}}\n" if default else "")
    (folder / f"pipelines/{name}.yaml").write_text(f"{head}tasks:\n{tasks}  last: {{run: echo}}\n")


def lock(folder: Path) -> str:
    return (folder / "mlgen.lock").read_text()


def test_a_lock_is_made_kept_mended_and_checked(project: Path, say: Any, hub: Hub) -> None:
    one, two = f"{hub.host}/acme/one:1", f"{hub.host}/acme/two:2"
    spec(project, "a", one, f"{hub.host}/acme/fixed:1@{A}", default=two)
    spec(project, "b", one)
    code, out, err = say("lock", "--check")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"missing  {one}  pipelines/a.yaml:5:26",
        f"missing  {two}  pipelines/a.yaml:3:19",
        "mlgen.lock: 2 missing, 0 kept; to mend: mlgen lock",
    ]
    assert hub.asked == []
    code, out, err = say("lock")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"added    {one}  {short(ONE)}",
        f"added    {two}  {short(ONE)}",
        "mlgen.lock: 2 added, 0 kept",
    ]
    assert lock(project) == f'{HEAD}  "{one}": {ONE}\n  "{two}": {ONE}\n'
    assert len(hub.asked) == 4  # HEAD and GET of each; of an image in two specs once
    assert say("check") == (0, "2 specs checked: nothing to mend\n", "")
    hub.asked.clear()
    assert say("lock") == (0, "mlgen.lock: 2 kept\n", "")
    assert say("lock", "--check") == (0, "mlgen.lock: 2 kept\n", "")
    assert hub.asked == []
    spec(project, "a", one)
    code, out, _ = say("lock", "--check")
    assert (code, out.splitlines()) == (
        1,
        [f"unused   {two}  mlgen.lock:6:3", "mlgen.lock: 1 unused, 1 kept; to mend: mlgen lock"],
    )
    assert say("lock", "pipelines/a.yaml") == (0, "mlgen.lock: 2 kept\n", "")  # one spec does not tell what is unused
    assert say("lock") == (0, f"removed  {two}\nmlgen.lock: 1 removed, 1 kept\n", "")
    assert lock(project) == f'{HEAD}  "{one}": {ONE}\n'


def test_upgrading_asks_for_all_or_for_some(project: Path, say: Any, hub: Hub) -> None:
    one, two = f"{hub.host}/acme/one:1", f"{hub.host}/acme/two:2"
    spec(project, "a", one, two)
    text = f"# ours\r\nversion: 1\r\nimages:\r\n    {two}: {A} # held\r\n    '{one}': \"{A}\"\r\n"
    (project / "mlgen.lock").write_bytes(text.encode())
    assert say("lock") == (0, "mlgen.lock: 2 kept\n", "")
    code, out, _ = say("lock", "--check", "--upgrade")
    assert code == 1
    assert out.splitlines()[0] == f"moved    {one}  sha256:{'a' * 12}… → {short(ONE)}"
    assert out.splitlines()[-1] == "mlgen.lock: 2 moved, 0 kept; to mend: mlgen lock --upgrade"
    assert (project / "mlgen.lock").read_bytes() == text.encode()
    assert say("lock", "--upgrade", one)[0] == 0
    assert (project / "mlgen.lock").read_bytes() == text.replace(f'"{A}"', f'"{ONE}"').encode()
    (project / "mlgen.lock").chmod(0o640)
    code, out, _ = say("lock", "--upgrade", "--format", "json")
    answer = json.loads(out)
    place = [{"file": "pipelines/a.yaml", "line": 5, "column": 26}]
    assert answer["changed"] == [{"image": two, "old": A, "new": ONE, "places": place}]
    assert [kept["image"] for kept in answer["kept"]] == [one]
    assert (answer["added"], answer["removed"], answer["failed"], answer["written"]) == ([], [], [], True)
    assert (project / "mlgen.lock").read_bytes() == text.replace(A, ONE).encode()
    assert (project / "mlgen.lock").stat().st_mode & 0o777 == 0o640
    assert not [path for path in project.rglob("*") if path.name == rewriting.PART]
    spec(project, "a", one, two, three := f"{hub.host}/acme/three:3")
    hub.asked.clear()
    code, out, _ = say("lock", "--upgrade", two)
    assert (code, out) == (0, "mlgen.lock: 2 kept\n")
    assert all(
        "/acme/two/" in line for line in hub.lines
    )  # a missing one, whose registry may be away, is not asked for
    code, out, _ = say("lock", "--upgrade", three, two)
    assert (code, out.splitlines()[0]) == (0, f"added    {three}  {short(ONE)}")
    assert not any("/acme/one/" in line for line in hub.lines)
    code, _, err = say("lock", two)
    assert (code, f"fix  mlgen lock --upgrade {two}, for what that image is now" in err) == (2, True)
    code, _, err = say("lock", "--upgrade", "acme/nowhere:1")
    assert (code, "no spec names such an image" in err) == (2, True)
    code, _, err = say("lock", "--upgrade", one, "pipelines/a.yaml")
    assert (code, "error[options]" in err) == (2, True)


def test_images_of_task_files_and_of_environments_are_locked(project: Path, say: Any, hub: Hub) -> None:
    shared, runtime = f"{hub.host}/acme/shared:1", f"{hub.host}/acme/runtime:1"
    (project / "tasks/shared.yaml").write_text(f"version: 1\nkind: task\nname: shared\nimage: '{shared}'\nrun: echo\n")
    (project / "pipelines/a.yaml").write_text("version: 1\nname: a\ntasks: {a: {use: tasks/shared.yaml}}\n")
    text = "version: 1\nenvironments:\n  dev:\n    namespace: ml\n    artifacts: s3://bucket/x\n"
    ledger = "    ledger: {url: 'https://git.example.com/l.git'}\n"
    (project / "mlgen.yaml").write_text(f"{text}{ledger}    runtime_image: '{runtime}'\n")
    code, out, _ = say("lock", "--check")
    assert f"missing  {runtime}  mlgen.yaml:7:20" in out
    assert f"missing  {shared}  tasks/shared.yaml:4:8" in out
    code, out, _ = say("check")
    assert f'mlgen.yaml:7:20: warning[unpinned-image]: "{runtime}" is not pinned\n' in out
    assert say("lock", "tasks/shared.yaml")[1].splitlines()[0] == f"added    {shared}  {short(ONE)}"
    assert say("lock")[0] == 0
    assert say("check") == (0, "1 spec checked: nothing to mend\n", "")
    code, out, _ = say("render", "--env", "dev", "--stdout")
    images = set(re.findall(r"image: \"?(\S+?)\"?$", out, re.MULTILINE))
    assert (code, images) == (0, {f"{shared}@{ONE}", f"{runtime}@{ONE}"})


def test_all_failures_are_told_at_once_and_what_is_known_is_written(project: Path, say: Any, hub: Hub) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/tags/list?n=1000"):
            return Reply(200, b'{"tags": ["1.8", "1.9", "2.0", "nightly"]}')
        return image("one") if "/good/" in asked.path else Reply(403 if "/closed/" in asked.path else 404)

    hub.answer = answer
    good, closed, lost, nobody = (f"{hub.host}/{name}/x:1.7" for name in ("good", "closed", "lost", "nobody"))
    nobody = "127.0.0.1:1/x:1"
    spec(project, "a", good, closed, lost)
    spec(project, "b", nobody, lost)
    code, out, err = say("lock")
    assert (code, out) == (3, f"added    {good}  {short(ONE)}\nmlgen.lock: 1 added, 3 not known, 0 kept\n")
    assert f'pipelines/a.yaml:5:26: error[registry-denied]: {hub.host} gave no digest of "{closed}"\n' in err
    assert f"   fix  `docker login {hub.host}`, with a user who may read it\n" in err
    assert f'pipelines/a.yaml:6:26: error[unknown-image]: "{lost}" is not there' in err
    assert "   fix  push it, or name another tag, such as 1.8, 1.9\n" in err
    assert f'   see  pipelines/b.yaml:5:26: "{lost}" is named here\n' in err
    assert "pipelines/b.yaml:4:26: error[registry-unreachable]" in err
    assert err.endswith("3 errors, 0 warnings\n")
    assert lock(project) == f'{HEAD}  "{good}": {ONE}\n'
    code, out, _ = say("lock", "--check")
    assert (code, [line.split()[:2] for line in out.splitlines()[:-1]]) == (
        1,
        [["missing", image] for image in sorted((closed, lost, nobody))],
    )
    (project / "mlgen.lock").unlink()
    spec(project, "a", lost)
    spec(project, "b", lost)
    code, out, err = say("lock", "--format", "json")
    answer_ = json.loads(out)
    assert (code, err, answer_["written"]) == (1, "", False)  # an answer: it is not there
    assert answer_.keys() == {"added", "changed", "removed", "kept", "unknown", "failed", "written"}
    assert [(one["image"], one["new"]) for one in answer_["unknown"]] == [(lost, None)]
    assert not (project / "mlgen.lock").exists()
    assert [(f["code"], f["line"]) for f in answer_["failed"]] == [("unknown-image", 4)]


def test_what_cannot_be_upgraded_stays_as_it_was(project: Path, say: Any, hub: Hub) -> None:
    good, closed = (f"{hub.host}/{name}/x:1" for name in ("good", "closed"))
    spec(project, "a", good, closed)
    (project / "mlgen.lock").write_text(f"version: 1\nimages:\n  {closed}: {A} # held\n  {good}: {A}\n  old:1: {A}\n")
    hub.answer = lambda asked: image("one") if "/good/" in asked.path else Reply(403)
    code, out, _ = say("lock", "--check", "--upgrade")
    assert (code, out.splitlines()[-1]) == (
        3,
        "mlgen.lock: 1 moved, 1 unused, 1 not known, 0 kept; to mend: mlgen lock --upgrade",
    )
    assert lock(project).count(A) == 3
    code, out, _ = say("lock", "--upgrade", "--format", "json")
    answer = json.loads(out)
    assert (code, answer["written"], answer["kept"]) == (3, True, [])
    assert [(one["image"], one["old"], one["new"]) for one in answer["unknown"]] == [(closed, A, None)]
    assert lock(project) == f"version: 1\nimages:\n  {closed}: {A} # held\n  {good}: {ONE}\n"


def test_a_host_that_is_not_there_is_told_once(project: Path, say: Any) -> None:
    images = [f"127.0.0.1:1/x{n}:1" for n in range(30)]
    spec(project, "a", *images)
    code, _, err = say("lock")
    assert (code, err.count("error[registry-unreachable]"), err.count("   see  ")) == (3, 1, 3)
    assert (
        'a.yaml:4:26: error[registry-unreachable]: 127.0.0.1:1 gave no digest of "127.0.0.1:1/x0:1" and 29 more' in err
    )
    assert '   see  pipelines/a.yaml:5:26: "127.0.0.1:1/x1:1" is named here\n' in err


def test_a_broken_spec_is_no_reason_to_drop_what_it_pins(project: Path, say: Any, hub: Hub) -> None:
    one = f"{hub.host}/acme/one:1"
    spec(project, "a", one)
    assert say("lock")[0] == 0
    before = lock(project)
    (project / "pipelines/a.yaml").write_text("version: 1\nname: a\ntasks: {a: {run: [}\n")
    code, _, err = say("lock")
    assert (code, lock(project)) == (1, before)
    assert "error[yaml-syntax]" in err
    (project / "mlgen.lock").write_text("version: 1\nimages: {a:1: x}\n")
    spec(project, "a", one)
    code, _, err = say("lock")
    assert (code, "mlgen.lock:2:15: error[bad-digest]" in err) == (1, True)


def test_a_lock_that_somebody_else_writes_meanwhile_is_left_alone(project: Path, say: Any, hub: Hub) -> None:
    spec(project, "a", f"{hub.host}/acme/one:1")

    def answer(_: Asked) -> Reply:
        (project / "mlgen.lock").write_text("version: 1\n")
        return image("one")

    (project / "mlgen.lock").write_text("version: 1 # before\n")
    hub.answer = answer
    code, _, err = say("lock")
    assert (code, "error[lock-changed]" in err) == (3, True)
    assert lock(project) == "version: 1\n"
    assert not [path for path in project.rglob("*") if path.name == rewriting.PART]


@pytest.mark.parametrize("own", [True, False])
def test_what_a_kill_left_is_in_nobodys_way(
    project: Path, say: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """own: its own folder is on the project's disk; else, as with a mount there, the file is made beside the other."""
    spec(project, "a", f"{hub.host}/acme/one:1")
    (project / ".mlgen").mkdir()
    if not own:
        monkeypatch.setattr(rewriting, "_beside", lambda path, _: path.parent)
    left = (project / ".mlgen" if own else project) / rewriting.PART
    left.write_text("half")
    assert say("lock")[0] == 0
    assert not left.exists()
    assert ONE in lock(project)


def test_on_a_terminal_it_is_counted(
    project: Path, say: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec(project, "a", f"{hub.host}/acme/one:1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, _, err = say("lock")
    assert (code, err.count("\n")) == (0, 0)
    assert err.split("\r")[1:] == [f"registries asked for {n} of 1 images" for n in (0, 1)] + ["\x1b[K"]


def test_a_link_to_a_lock_stays_one(project: Path, say: Any, hub: Hub) -> None:
    spec(project, "a", f"{hub.host}/acme/one:1")
    (project / "locks").mkdir()
    (project / "locks/ours").write_text("version: 1\n")
    (project / "mlgen.lock").symlink_to("locks/ours")
    assert say("lock")[0] == 0
    assert (project / "mlgen.lock").is_symlink()
    assert ONE in (project / "locks/ours").read_text()
    (project / "mlgen.lock").unlink()
    (project / "mlgen.lock").symlink_to("/nowhere/at/all")
    code, _, err = say("lock")
    assert (code, "error[path-escape]" in err) == (1, True)


def test_what_a_registry_says_moves_no_cursor(project: Path, say: Any, hub: Hub) -> None:
    spec(project, "a", f"{hub.host}/acme/one:1")
    hub.answer = lambda _: Reply(
        200, b"x", {"Content-Type": "text/\x1b[2J::error::x", "Docker-Content-Digest": "\x1b[2J"}
    )
    code, _, err = say("lock")
    assert (code, "\x1b" in err, "registry-odd" in err) == (3, False, True)
    code, out, _ = say("lock", "--format", "json")
    assert (code, "\x1b" in out) == (3, False)
    assert "\x1b" not in json.loads(out)["failed"][0]["why"]


def test_ctrl_c_ends_it_at_once_and_nothing_is_written(project: Path, hub: Hub) -> None:
    spec(project, "a", f"{hub.host}/acme/one:1", f"{hub.host}/acme/hangs:1")
    came = threading.Event()

    def answer(asked: Asked) -> Reply:
        if "hangs" not in asked.path:
            return image("one")
        came.set()
        return Reply(hang=True)

    hub.answer = answer
    environ = {**os.environ, "PYTHONPATH": str(GENERATOR)}
    with subprocess.Popen([sys.executable, "-m", "mlgen", "lock"], env=environ, stderr=subprocess.PIPE) as process:
        assert came.wait(120)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, b"Traceback" in err) == (130, False)
    assert not (project / "mlgen.lock").exists()


def test_an_odd_layout_is_not_touched(project: Path, say: Any, hub: Hub) -> None:
    spec(project, "a", f"{hub.host}/acme/one:1")
    text = f"version: 1\nimages: {{a:1: {A}, # why\n  b:1: {A}}}\n"
    (project / "mlgen.lock").write_text(text)
    code, _, err = say("lock")
    assert (code, lock(project)) == (3, text)
    assert "error[lock-layout]" in err


def test_check_asks_nobody(project: Path, say: Any, offline: None) -> None:
    spec(project, "a", "ghcr.io/acme/churn:1.8")
    assert say("lock", "--check")[0] == 1
    assert say("check")[0] == 0
    (project / "mlgen.lock").write_text(f"version: 1\nimages:\n  ghcr.io/acme/churn:1.8: {A}\n")
    assert say("lock", "--check")[0] == 0
    assert say("lock")[0] == 0
    assert say("check")[0] == 0


@pytest.mark.parametrize("command", [["check"], ["lock", "--check"], ["lock"], ["plan", "pipelines/a.yaml"]])
def test_what_asks_nobody_loads_nothing_that_could(project: Path, command: list[str]) -> None:
    spec(project, "a", "ghcr.io/acme/churn:1.8")
    (project / "mlgen.lock").write_text(f"version: 1\nimages:\n  ghcr.io/acme/churn:1.8: {A}\n")
    program = (
        "import sys; from mlgen.cli.main import run; code = run(sys.argv[1:]);"
        "print(sorted({'urllib3', 'requests', 'http.client', 'ssl'} & sys.modules.keys()), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        env={**os.environ, "PYTHONPATH": str(GENERATOR)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_an_insecure_registry_must_be_named(project: Path, say: Any, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    asked = locking.registries(["registry.example.com:5000"])
    assert asked.transport.is_plain("registry.example.com:5000")
    assert not asked.transport.is_plain("registry.example.com")
    spec(project, "a", f"{hub.host}/acme/one:1")
    assert say("lock", "--insecure-registry", hub.host)[0] == 0


def test_a_tag_that_moves_in_a_real_registry(project: Path, say: Any) -> None:
    with real(project) as host:
        image_ = f"{host}/acme/churn:1.8"
        first = push(host, "acme/churn", "1.8", "one")
        spec(project, "a", image_)
        assert say("lock")[1].splitlines()[0] == f"added    {image_}  {short(first)}"
        second = push(host, "acme/churn", "1.8", "two")
        assert say("lock") == (0, "mlgen.lock: 1 kept\n", "")
        assert say("lock", "--check")[0] == 0
        code, out, _ = say("lock", "--check", "--upgrade")
        assert (code, out.splitlines()[0]) == (1, f"moved    {image_}  {short(first)} → {short(second)}")
        assert say("lock", "--upgrade")[1].splitlines()[0] == f"changed  {image_}  {short(first)} → {short(second)}"
        spec(project, "a", f"{host}/acme/churn:1.9")
        code, _, err = say("lock")
        assert (code, "name another tag, such as 1.8" in err) == (1, True)
    code, _, err = say("lock")
    assert (code, "error[registry-unreachable]" in err, "Connection refused" in err) == (3, True, True)
