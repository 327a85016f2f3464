"""A branch of the Git server, and a prefix of the bucket, that no other test has."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlgen import git
from mlgen.git import Remote
from mlgen.ledger.folding.spool import FOLDER, Spool
from mlgen.store import open_store
from tests.e2e.settings import need
from tests.git_host import secret


@dataclass(frozen=True)
class Place:
    """root: a folder; with the files of a Secret in `secret`."""

    root: Path
    url: str
    branch: str
    bucket: str
    options: dict[str, str]

    def remote(self, scratch: str) -> Remote:
        return git.open_remote(self.url, secret=self.root / "secret", scratch=self.root / scratch)

    @property
    def spool(self) -> Spool:
        return Spool(open_store(self.bucket, options=self.options, base=self.root))


@contextmanager
def own_place(root: Path) -> Iterator[Place]:
    """Gone at the end, with all that was put there."""
    user, token = need("MLGEN_E2E_GIT_USER"), need("MLGEN_E2E_GIT_TOKEN")
    secret(root / "secret", (user, token))
    name = f"test-ledger-{uuid.uuid4().hex[:8]}"
    options = {
        "endpoint": need("MLGEN_E2E_S3_ENDPOINT"),
        "region": "us-east-1",
        "access_key_id": need("MLGEN_E2E_S3_ACCESS_KEY"),
        "secret_access_key": need("MLGEN_E2E_S3_SECRET_KEY"),
    }
    bucket = f"s3://{need('MLGEN_E2E_S3_BUCKET')}/{name}"
    place = Place(root, need("MLGEN_E2E_GIT_REPOSITORY"), name, bucket, options)
    try:
        yield place
    finally:
        store = place.spool.store
        store.delete_all(store.keys(FOLDER))
        if place.remote("end").tip(git.branch_ref(name)) is not None:
            scheme, _, rest = place.url.partition("://")
            url = f"{scheme}://{user}:{token}@{rest}"
            folder = root / "end" / "objects.git"
            subprocess.run(["git", "init", "-q", "--bare", folder], check=True)
            subprocess.run(["git", "--git-dir", folder, "push", "-q", url, f":{git.branch_ref(name)}"], check=True)
