"""What the guide of images says is so: its commands are ours, its files are read, its hooks are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mlgen.cli.main import run
from mlgen.registry.credentials import Credentials

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "generator/guides/images.md").read_text()
DIGEST = "sha256:" + "0" * 64


def test_its_commands_take_their_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a lock that has all, and no registry that could answer: `--upgrade` asks, and the rest does not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    commands = [c for c in re.findall(r"`(mlgen lock[^`]*)`", GUIDE) if "HOST" not in c]
    assert len(set(commands)) >= 6
    image = "127.0.0.1:1/python:3.12-slim"
    (tmp_path / "pipelines/churn.yaml").write_text(
        f"version: 1\nname: churn\ntasks: {{a: {{run: echo, image: '{image}'}}}}\n"
    )
    (tmp_path / "mlgen.lock").write_text(f'version: 1\nimages:\n  "{image}": {DIGEST}\n')
    for command in commands:
        arguments = command.replace("python:3.12-slim", image).split()[1:]
        assert run(arguments) == (3 if "--upgrade" in arguments else 0), command
    capsys.readouterr()


def test_its_lock_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    lock = re.findall(r"^```yaml\n(version.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)[0]
    assert len(yaml.safe_load(lock)["images"]) == 2
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    (tmp_path / "mlgen.lock").write_text(re.sub(r"sha256:[0-9a-f]+…", DIGEST, lock))
    (tmp_path / "pipelines/a.yaml").write_text("version: 1\nname: a\ntasks: {a: {run: echo}}\n")
    assert run(["check"]) == 0, capsys.readouterr()


def test_logins_are_looked_for_in_its_order() -> None:
    environ = {"HOME": "~", "DOCKER_CONFIG": "$DOCKER_CONFIG", "XDG_RUNTIME_DIR": "$XDG_RUNTIME_DIR"}
    files = Credentials.of(environ | {"REGISTRY_AUTH_FILE": "$REGISTRY_AUTH_FILE"}).files
    places = [GUIDE.index(f"`{path}`") for path in files]
    assert places == sorted(places)


def test_its_hooks_are_there() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    told = re.findall(r"\{id: ([a-z-]+)\}", GUIDE)
    assert told == [hook["id"] for hook in hooks]
