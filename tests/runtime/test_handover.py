from __future__ import annotations

import os
import signal
from pathlib import Path

from mlgen.runtime.pod.handover import Handover


def test_what_is_told_first_stays(tmp_path: Path) -> None:
    one, other = Handover(tmp_path, "results"), Handover(tmp_path, "stage-out")
    assert one.told("x") is None
    assert one.tell("x", "first")
    assert not other.tell("x", "second")
    assert other.told("x") == "first"


def test_a_record_is_decided_once(tmp_path: Path) -> None:
    one, other = Handover(tmp_path, "results"), Handover(tmp_path, "stage-out")
    assert one.decided() is None
    assert one.decide(b"COMPLETE") == b"COMPLETE"
    assert other.decide(b"ABORT") == b"COMPLETE"
    assert os.listdir(tmp_path) == ["record.json"]


def test_what_a_kill_left_half_written_is_none(tmp_path: Path) -> None:
    (tmp_path / ".record.json.results").write_bytes(b"half")
    handover = Handover(tmp_path, "results")
    assert handover.decided() is None
    assert handover.decide(b"whole") == b"whole"


def test_the_end_of_a_process_is_seen_however_it_ends(tmp_path: Path) -> None:
    mine = Handover(tmp_path, "results")
    assert (mine.began("stage-out"), mine.ended("stage-out")) == (False, False)
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            Handover(tmp_path, "stage-out").begin()
            os.write(tell, b".")
            signal.pause()
        finally:
            os._exit(1)
    os.read(ready, 1)
    assert (mine.began("stage-out"), mine.ended("stage-out")) == (True, False)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (mine.began("stage-out"), mine.ended("stage-out")) == (True, True)


def test_nobody_to_wake_is_no_error(tmp_path: Path) -> None:
    handover = Handover(tmp_path, "stage-out")
    handover.wake()
    os.mkfifo(tmp_path / "wake")
    handover.wake()
