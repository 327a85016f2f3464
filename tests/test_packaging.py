"""What is installed is what is locked, and a wheel holds all that mlgen reads at run time."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "generator" / "locks").glob("*.txt"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]


def pins(lock: Path) -> dict[str, str]:
    """Package -> version, of the first of several that are for different Pythons."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in reversed(found)}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_host_and_every_package_has_a_hash(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    packages = re.split(r"\n(?=\S)", text.strip())
    assert packages
    assert [p.splitlines()[0] for p in packages if "--hash=sha256:" not in p] == []


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("run.txt", ["dependencies"]), ("dev.txt", ["dependencies", "dev", "demo"]), ("build.txt", ["build-system"])],
)
def test_a_lock_fits_the_project(lock: str, wanted: list[str]) -> None:
    locked = pins(ROOT / "generator" / "locks" / lock)
    build = PYPROJECT["build-system"]["requires"]
    assert PYPROJECT["dependency-groups"]["build"] == build
    groups = {"dependencies": PROJECT["dependencies"], "build-system": build, **PROJECT["optional-dependencies"]}
    for requirement in (Requirement(line) for group in wanted for line in groups[group]):
        version = locked.get(canonicalize_name(requirement.name), "not locked")
        assert requirement.specifier.contains(version), f"{requirement} but {version}: run `just lock`"


def test_the_example_image_has_what_is_locked() -> None:
    image = (ROOT / "pipelines" / "images" / "scikit-learn" / "requirements.txt").read_text().splitlines()
    locked = (ROOT / "generator" / "locks" / "dev.txt").read_text()
    assert [line for line in image if f"\n{line} \\\n" not in locked] == []
    assert {Requirement(line).name for line in PROJECT["optional-dependencies"]["demo"]} <= {
        Requirement(line).name for line in image
    }


def test_the_runtime_image_has_the_programs_that_mlgen_starts() -> None:
    """git; ssh and ssh-keygen; and what both need for a user that has no name there."""
    text = (ROOT / "Containerfile").read_text()
    installed = re.search(r"apt-get install [^\\&]*", text)
    assert installed is not None
    assert {"git", "openssh-client", "libnss-wrapper"} <= set(installed[0].split())


def test_a_wheel_holds_the_data_of_the_package(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="needs hatchling, the build backend")
    build = f"from hatchling.build import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("mlgen-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("mlgen/")}
    package = ROOT / "generator"
    ours = {str(p.relative_to(package)) for p in (package / "mlgen").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert packed == ours
    assert "mlgen/py.typed" in packed
