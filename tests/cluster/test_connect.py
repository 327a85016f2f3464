"""How a user's cluster is found, and what is never shown of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlgen.cluster.api import PODS, Unreachable
from mlgen.cluster.connect import connect
from mlgen.cluster.refusals import fault_of
from mlgen.diagnostic import CannotAnswer
from tests.cluster import kubeconfig

ROOT = Path(__file__).parents[2]


def test_a_password_in_a_servers_url_is_not_shown(tmp_path: Path) -> None:
    api = connect(str(kubeconfig.write(tmp_path, "http://me:pa55word@127.0.0.1:9")), in_pod=False)
    assert api.server == "http://127.0.0.1:9"
    with pytest.raises(Unreachable) as raised:
        api.list(PODS, "ml")
    fault = fault_of(raised.value, api.server)
    assert "pa55word" not in f"{raised.value} {fault.message} {fault.why} {fault.fix}"


@pytest.mark.parametrize("text", ["root:x:0:0:root:/root:/bin/sh\n", "{", "- a\n", ""])
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(CannotAnswer) as raised:
        connect(str(tmp_path / "file"), in_pod=False)
    assert raised.value.code == "no-kubeconfig"
    assert "item assignment" not in raised.value.why


def test_what_the_library_logs_is_not_printed(tmp_path: Path) -> None:
    """A program that logs in and is not there: said once, in our words."""
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-program", "args": []}
    file = kubeconfig.write(tmp_path, "http://127.0.0.1:9", exec=login)
    code = f"from mlgen.cluster.connect import connect\nconnect({str(file)!r}, in_pod=False)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "generator"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ERROR:root" not in done.stderr
