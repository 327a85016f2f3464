"""The guide of editors names what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from mlgen.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "generator/guides/editors.md").read_text()


def test_its_commands_and_files_exist() -> None:
    commands = re.findall(r"`mlgen ([a-z]+)(?: (--[a-z]+))?", GUIDE)
    assert {verb for verb, _ in commands} <= VERBS.keys()
    check = (ROOT / "generator/mlgen/cli/check.py").read_text()
    assert all(f'"{option}"' in check for verb, option in commands if verb == "check" and option)
    for path in re.findall(r"`(schemas/[a-z0-9.]+)`", GUIDE):
        assert (ROOT / path).is_file(), path
    assert (ROOT / "generator/guides/spec.md").is_file()


def test_the_extra_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "mlgen[lsp]" in GUIDE
    assert "lsp" in project["optional-dependencies"]


def test_helix_can_read_its_lines() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    config = tomllib.loads(text)
    assert config["language-server"]["mlgen"] == {"command": "mlgen", "args": ["lsp"]}


def test_files_that_mlgen_lays_down_name_their_schema() -> None:
    files = [ROOT / "mlgen.yaml", *(ROOT / "pipelines").glob("*.yaml")]
    files += [
        ROOT / "generator/mlgen/template/mlgen.yaml",
        *(ROOT / "generator/mlgen/template/pipelines").glob("*.yaml"),
    ]
    for file in files:
        first = file.read_text().split("\n")[0]
        match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert match, file
        above = ROOT / file.relative_to(ROOT / "generator/mlgen/template") if "template" in file.parts else file
        assert (above.parent / match[1]).resolve().is_file(), file
