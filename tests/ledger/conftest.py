"""What several tests of the ledger share."""

from __future__ import annotations

import pytest

from mlgen.ledger.export.select import Selected
from tests.ledger.exported import Ledger, entries, land, selected


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A small ledger to export from."""
    return land(tmp_path_factory.mktemp("exported"), entries())


@pytest.fixture(scope="session")
def every(exported: Ledger) -> list[Selected]:
    """All that is exported of it."""
    return selected(exported)
