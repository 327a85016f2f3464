"""A namespace that lives as long as the tests of one file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import kubectl


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"mlgen-e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
