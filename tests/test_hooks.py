"""`.pre-commit-hooks.yaml`: its entries are commands of ours that do in any folder what their names say.

pre-commit itself would install mlgen from an index; `pre-commit try-repo` does that by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.cli.main import run

HOOKS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / ".pre-commit-hooks.yaml").read_text())
KEYS = {"id", "name", "description", "entry", "language", "always_run", "pass_filenames"}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_is_a_command_of_ours(
    hook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hook.keys() == KEYS
    assert (hook["language"], hook["always_run"], hook["pass_filenames"]) == ("python", True, False)
    program, *arguments = hook["entry"].split()
    assert program == "mlgen"
    assert hook["id"] == "-".join(word.strip("-") for word in ("mlgen", *arguments))
    folder = tmp_path / "ml"

    def call(*command: str) -> int:
        monkeypatch.chdir(tmp_path)  # -C leaves it
        return run([*command, "-C", "ml"])  # as `args: [-C, ml]` does

    folder.mkdir()
    assert call("init") == 0
    spec, project = (folder / "pipelines/line.yaml"), (folder / "mlgen.yaml")
    good = spec.read_text().replace("python:3.12-slim", f"python:3.12-slim@sha256:{'0' * 64}")
    spec.write_text(f"{good}\nodd: 1\n")
    assert call(*arguments) == 1
    spec.write_text(good)
    project.write_text(project.read_text().replace("mlgen-runtime:0.1.0", f"mlgen-runtime@sha256:{'0' * 64}"))
    assert call("render") == 0
    assert call(*arguments) == 0, capsys.readouterr()


def test_the_ids_are_those_that_people_wrote_down() -> None:
    assert [hook["id"] for hook in HOOKS] == ["mlgen-check", "mlgen-render-check", "mlgen-lock-check"]
