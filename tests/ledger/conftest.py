"""What several tests of the ledger share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen.ledger.export.select import Selected
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.verify.span import Terms
from mlgen.store import Folder
from tests import git_host
from tests.git_host import GitHost
from tests.ledger import tampering
from tests.ledger.exported import Ledger, entries, land, selected
from tests.ledger.tampering import SECONDS, Lab, by, signers
from tests.ssh_keys import allowed, new_key


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    """A Git server with an empty repository `l`."""
    with git_host.serve(tmp_path / "host") as host:
        host.repository("l")
        yield host


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty one, in a folder."""
    return Spool(Folder(tmp_path / "artifacts", "artifacts"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A small ledger to export from."""
    return land(tmp_path_factory.mktemp("exported"), entries())


@pytest.fixture(scope="session")
def every(exported: Ledger) -> list[Selected]:
    """All that is exported of it."""
    return selected(exported)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lab]:
    """Four commits, of a run each; by the length of ids."""
    found = {}
    for form in ("sha1", "sha256"):
        lab = found[form] = Lab.make(tmp_path_factory.mktemp("base"), form)
        for run in ("r1", "r2", "r3", "r4"):
            lab.land(*tampering.entries(run))
    return found


@pytest.fixture
def lab(bases: dict[str, Lab], tmp_path: Path) -> Lab:
    return bases["sha1"].copy(tmp_path)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: new_key(folder / name) for name in ("alice", "bob", "mallory")}


@pytest.fixture
def signed(tmp_path: Path, keys: dict[str, Path]) -> Lab:
    """Two commits from before there were keys, two by alice, whose period ends then, and two by bob."""
    lab = Lab.make(tmp_path)
    lab.land(*tampering.entries("r1"))
    lab.land(*tampering.entries("r2"))
    for name, runs in (("alice", ("r3", "r4")), ("bob", ("r5", "r6"))):
        lab.signer = by(keys[name])
        for run in runs:
            lab.land(*tampering.entries(run))
        lab.seconds += 3 * 86_400
    ended = datetime.fromtimestamp(SECONDS + 86_400, UTC)
    text = allowed(keys["alice"], "alice", f'namespaces="git",valid-before="{ended:%Y%m%d%H%M%S}Z"')
    lab.terms = Terms(signers(text + allowed(keys["bob"], "bob")))
    return lab
