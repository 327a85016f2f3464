"""Claims: who is asked to end has the claim, and nobody else whose number stands in an old file."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from mlgen.cli.due import claims

KIND, PIPELINE, RUN = "due", "p", "r"
SLEEP = [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(600)"]


@contextmanager
def process(*descriptors: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=descriptors) as found:
        try:
            assert found.stdout is not None
            found.stdout.readline()  # it has begun: Python turns SIGINT into its end
            yield found
        finally:
            found.kill()


def test_who_has_the_claim_is_asked_to_end(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with claims.claim(tmp_path, KIND, PIPELINE, RUN) as claim:
            assert claim is not None
            run = stack.enter_context(process(claim.descriptor))
            claim.held_by(run.pid)
        assert claims.going(tmp_path, KIND, PIPELINE, but="other") == [RUN]
        claims.end(tmp_path, KIND, PIPELINE, RUN)
        assert run.wait(60) in (-signal.SIGINT, 1)


def test_a_number_of_an_older_run_is_forgotten(tmp_path: Path) -> None:
    with process() as other:
        with claims.claim(tmp_path, KIND, PIPELINE, RUN) as claim:
            assert claim is not None
            claim.held_by(other.pid)
        with claims.claim(tmp_path, KIND, PIPELINE, RUN) as claim:
            assert claim is not None
            assert (tmp_path / claims.FOLDER / KIND / f"{PIPELINE}.{RUN}").read_text() == ""


def test_a_process_without_the_claim_is_left_alone(tmp_path: Path) -> None:
    with process() as other:
        with claims.claim(tmp_path, KIND, PIPELINE, RUN) as claim:
            assert claim is not None
            claim.held_by(other.pid)
        claims.end(tmp_path, KIND, PIPELINE, RUN)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
