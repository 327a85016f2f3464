"""What the README says is so: its commands run, in its order; its paths exist; its verbs are ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgen.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```sh(?P<kind> kind)?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks() -> list[str]:
    """The blocks of commands, but for those marked kind, which need a cluster."""
    return [match["text"] for match in BLOCK.finditer(README) if not match["kind"]]


def commands(block: str) -> Iterator[str]:
    for line in block.splitlines():
        yield re.split(r"\s{2,}#|\s#", line)[0].strip()


def environ() -> dict[str, str]:
    bin_ = str(Path(sys.executable).parent)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLGEN_", "GIT_"))}
    return {**kept, "PYTHONPATH": str(ROOT / "generator"), "PATH": os.pathsep.join([bin_, os.environ["PATH"]])}


def shell(command: str, cwd: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=environ(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


@pytest.fixture(autouse=True)
def _needs_the_command() -> None:
    if not (Path(sys.executable).parent / "mlgen").exists():
        pytest.skip("mlgen is not installed beside this Python: use `python3 generator/dev.py test`")


def test_the_first_block_is_what_ci_runs() -> None:
    demo, tests = commands(blocks()[0])
    assert (demo, tests) == ("python3 generator/dev.py demo", "python3 generator/dev.py test")
    assert re.search(rf"^timeout -k 10 \d+m {tests}", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_the_demo_shows_the_result_the_lineage_and_the_manifests(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn and matplotlib, as extra `demo` has them")
    subprocess.run(["git", "clone", "-q", "--no-local", str(ROOT), str(tmp_path / "clone")], check=True)
    # `dev.py demo` is this verb in an environment that it made first; CI calls dev.py itself.
    done = subprocess.run(
        ["just", "demo"],
        cwd=tmp_path / "clone",
        env=environ(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "COMPLETE" in done.stdout
    assert "raw  sha256:d1c759cb1101" in done.stdout
    assert "tekton/dev/manifests/" in done.stdout
    shown = [line.split()[-1] for line in done.stdout.splitlines() if line.endswith("/model")]
    assert (tmp_path / "clone" / shown[-1]).is_file()


def test_every_command_runs_in_a_new_folder(tmp_path: Path) -> None:
    (block,) = blocks()[1:]
    for command in commands(block):
        shell(command, tmp_path)
    assert (tmp_path / ".mlgen/ledger.git").is_dir()


def test_every_verb_named_is_ours() -> None:
    named = set(re.findall(r"`?mlgen ([a-z]+)\b", "\n".join([*blocks(), *re.findall(r"`mlgen [^`]*`", README)])))
    assert named - {"and"} <= VERBS.keys()


def test_every_path_named_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
