"""`mlgen check --watch`: a process that answers again after each change. Nothing here rests on how fast it does."""

from __future__ import annotations

import json
import os
import pty
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from mlgen.cli import watching
from mlgen.worktree import Worktree
from tests.editor.scenes import PROJECT

GENERATOR = Path(__file__).parents[2] / "generator"
LONG = 60.0  # seconds after which a round is not coming
SPEC = "version: 1\nname: one\nowner: me\ntasks:\n  a: {run: echo, code: src}\n"


class Watch:
    """A `check --watch` under way."""

    def __init__(self, root: Path, *arguments: str, stdout: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlgen", "check", "--watch", *arguments],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(GENERATOR)},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.told: queue.Queue[str] = queue.Queue()
        pairs = ((self.process.stdout, self.lines), (self.process.stderr, self.told))
        self._threads = [threading.Thread(target=_read, args=pair, daemon=True) for pair in pairs if pair[0]]
        for thread in self._threads:
            thread.start()

    def until(self, text: str, where: queue.Queue[str] | None = None) -> str:
        """What is printed up to and with a line that has a text."""
        found = ""
        while text not in (line := (where or self.lines).get(timeout=LONG)):
            found += line
        return found + line

    def codes(self) -> list[str]:
        """The codes of the errors of the next round, as JSON."""
        data = json.loads(self.lines.get(timeout=LONG))
        return [finding["code"] for finding in data["findings"] if finding["severity"] == "error"]

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=LONG)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=LONG)
        for thread in self._threads:
            thread.join(timeout=LONG)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _read(stream: IO[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.py").write_text("")
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    (tmp_path / "pipelines/one.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def watches() -> Iterator[list[Watch]]:
    started: list[Watch] = []
    yield started
    for watch in started:
        watch.close()


def replaced(path: Path, text: str) -> None:
    """As editors save: beside it, then renamed."""
    part = path.with_name(f".{path.name}.swp")
    part.write_text(text)
    part.replace(path)


def test_each_change_of_what_is_looked_at_is_a_round(root: Path, watches: list[Watch]) -> None:
    watches.append(watch := Watch(root, "--format", "json"))
    assert watch.codes() == []
    (root / "pipelines/one.yaml").write_text(SPEC.replace("owner: me", "owner: Me Too"))
    assert watch.codes() == ["bad-label"]
    replaced(root / "pipelines/one.yaml", SPEC)
    assert watch.codes() == []
    (root / "pipelines/two.yaml").write_text("version: 1\nname: two\n")
    assert watch.codes() == ["missing-key"]
    (root / "pipelines/two.yaml").unlink()
    assert watch.codes() == []
    (root / "mlgen.yaml").write_text("version: 1\nenvironment: {}\n")
    assert watch.codes() == ["unknown-key"]
    (root / "mlgen.yaml").write_text("version: 1\n")
    assert watch.codes() == []
    (root / "mlgen.lock").write_text("version: 1\nimages: {x: z}\n")
    assert watch.codes() == ["bad-digest"]
    (root / "mlgen.lock").unlink()
    assert watch.codes() == []
    (root / "src/link.py").symlink_to("main.py")  # code that cannot be pinned
    assert watch.codes() == ["path-escape"]
    (root / "src/link.py").unlink()
    assert watch.codes() == []
    assert watch.end() == 130


def test_a_policy_that_changes_is_a_round(root: Path, watches: list[Watch]) -> None:
    (root / "mlgen.yaml").write_text(PROJECT)
    watches.append(watch := Watch(root, "--format", "json"))
    watch.codes()
    (root / "policies").mkdir()
    (root / "policies/own.yaml").write_text("kind: [\n")
    assert "yaml-syntax" in watch.codes()
    (root / "policies/own.yaml").unlink()
    assert "yaml-syntax" not in watch.codes()
    assert watch.end() == 130


def test_what_cannot_be_read_for_a_while_ends_nothing(root: Path, watches: list[Watch]) -> None:
    watches.append(watch := Watch(root, "--format", "json"))
    assert watch.codes() == []
    shutil.rmtree(root / "pipelines")
    watch.until("no-specs", watch.told)
    (root / "pipelines").mkdir()
    (root / "pipelines/one.yaml").write_text(SPEC)
    assert watch.codes() == []
    assert watch.end(signal.SIGTERM) == 130


def test_people_see_what_changed(root: Path, watches: list[Watch]) -> None:
    watches.append(watch := Watch(root, "pipelines/one.yaml"))
    assert "1 spec checked: nothing to mend" in watch.until("checked")
    (root / "pipelines/one.yaml").write_text(SPEC.replace("code: src", "code: srk"))
    told = watch.until("checked")
    assert told.startswith("\n== pipelines/one.yaml changed ==\n\npipelines/one.yaml:5:")
    assert "code: srk}" in told  # the line as it is now
    assert watch.end() == 130


def test_a_terminal_is_cleared(root: Path, watches: list[Watch]) -> None:
    ours, theirs = pty.openpty()
    watches.append(watch := Watch(root, stdout=theirs))
    os.close(theirs)
    seen = b""
    while b"checked" not in seen:
        seen += os.read(ours, 4096)
    assert seen.startswith(b"\x1b[2J\x1b[3J\x1b[H")
    assert watch.end() == 130
    os.close(ours)


def test_a_form_of_one_answer_is_refused(root: Path, watches: list[Watch]) -> None:
    watches.append(watch := Watch(root, "--format", "sarif"))
    assert watch.process.wait(timeout=LONG) == 2
    watch.until("error[options]", watch.told)


def test_a_change_while_files_are_read_is_not_lost(root: Path) -> None:
    seen = watching.Seen(Worktree(root))
    seen.read("pipelines/one.yaml")
    (root / "pipelines/one.yaml").write_text(SPEC + "# more\n")
    assert seen.read("pipelines/one.yaml").endswith(b"# more\n")
    assert watching.wait(seen, sleep=lambda _: None) == ["pipelines/one.yaml"]


def test_many_changes_are_one_round(root: Path) -> None:
    seen = watching.Seen(Worktree(root))
    seen.read("pipelines/one.yaml")
    seen.listing("src")
    writes = iter(range(5))

    def sleep(_seconds: float) -> None:
        for number in writes:
            (root / f"src/{number}.py").write_text("")
            return

    assert watching.wait(seen, sleep) == [f"src/{number}.py" for number in range(5)]


def test_what_an_editor_keeps_for_itself_is_no_change(root: Path) -> None:
    seen = watching.Seen(Worktree(root))
    seen.beside("pipelines/")
    seen.listing("src")
    for name in (".one.yaml.swp", "one.yaml~", "4913", "#one.yaml#"):
        (root / "pipelines" / name).write_text("")
        (root / "src" / name).write_text("")
    (root / "src/__pycache__").mkdir()
    assert seen.now() == seen.states
