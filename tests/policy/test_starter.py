"""The starter set: what `mlgen init` lays down is what this repository itself lives by."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS, TEMPLATE = ROOT / "policies", ROOT / "generator" / "mlgen" / "template" / "policies"
PARAMS = "params.yaml"  # of each repository its own: its environments
NAMES = sorted(path.relative_to(OURS).as_posix() for path in OURS.rglob("*.yaml") if path.name != PARAMS)


@pytest.mark.parametrize("name", NAMES)
def test_users_get_our_own_policies(name: str) -> None:
    assert (TEMPLATE / name).read_bytes() == (OURS / name).read_bytes(), f"copy policies/{name} to {TEMPLATE}"


def test_users_get_no_other_policies() -> None:
    assert sorted(p.relative_to(TEMPLATE).as_posix() for p in TEMPLATE.rglob("*.yaml") if p.name != PARAMS) == NAMES
