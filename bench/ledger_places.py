"""What the ledger's figures are measured with: a Git server, a spool, a project, and ledgers of many records."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ledgers

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "generator")]

from mlgen.store import Store, open_store  # noqa: E402 - the path to it is made above
from tests import git_host, s3  # noqa: E402

MLGEN = [sys.executable, "-m", "mlgen"]
OWN_BUCKET = "ml-artifacts"
DIGEST = f"sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class GitServer:
    """Serves the bare repositories of a folder by smart HTTP. host: of one in this process, which counts."""

    title: str
    root: Path
    url: str
    user: str
    token: str
    host: git_host.GitHost | None = None

    @contextmanager
    def repository(self, history: Path | None = None, *, single_objects: bool = True) -> Iterator[Path]:
        """A repository for one measurement, with the history of a ledger. single_objects: as with partial clones."""
        path = self.root / f"bench-{uuid.uuid4().hex[:12]}.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", ledgers.BRANCH, path], check=True)
        git = ["git", "--git-dir", str(path)]
        allowed = "true" if single_objects else "false"
        for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            subprocess.run([*git, "config", name, allowed], check=True)
        subprocess.run([*git, "config", "http.receivepack", "true"], check=True)
        subprocess.run([*git, "config", "gc.auto", "0"], check=True)  # as it is pushed; hosts do it at their leisure
        try:
            if history is not None:
                (path / "objects" / "info" / "alternates").write_text(f"{history.resolve()}/objects\n")
                ref = f"refs/heads/{ledgers.BRANCH}"
                tip = subprocess.run(["git", "--git-dir", history, "rev-parse", ref], check=True, capture_output=True)
                subprocess.run([*git, "update-ref", ref, tip.stdout.decode().strip()], check=True)
            yield path
        finally:
            subprocess.run(["rm", "-rf", path], check=True)


@contextmanager
def git_server(folder: Path, *, counting: bool = False) -> Iterator[GitServer]:
    """The server of the variables MLGEN_E2E_GIT_*; without them, or to count requests, one of our own."""
    told = os.environ
    if not counting and {"MLGEN_E2E_GIT_URL", "MLGEN_E2E_GIT_ROOT", "MLGEN_E2E_GIT_TOKEN"} <= told.keys():
        user, token = told["MLGEN_E2E_GIT_USER"], told["MLGEN_E2E_GIT_TOKEN"]
        root = Path(told["MLGEN_E2E_GIT_ROOT"])
        yield GitServer("git-http-backend, lighttpd", root, told["MLGEN_E2E_GIT_URL"], user, token)
        return
    user, token = git_host.WRITER
    if counting:
        with git_host.serve(folder / "git") as host:
            yield GitServer("git-http-backend", host.root, host.url, user, token, host)
        return
    with _own_process("git", folder / "git") as url:
        yield GitServer("git-http-backend", folder / "git", url, user, token)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a spool is: a URI, what mlgen.yaml says of it, and the variables with its keys."""

    title: str
    uri: str
    endpoint: str
    variables: Mapping[str, str]

    def store(self) -> Store:
        keys = {name.removeprefix("AWS_").lower(): value for name, value in self.variables.items()}
        options = {"endpoint": self.endpoint, "region": "us-east-1", **keys}
        return open_store(self.uri, options=options, base=Path("/"))


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A prefix of the bucket of the variables MLGEN_E2E_S3_*; without them, one in a small server of the tests."""
    told = os.environ
    name = f"bench-{uuid.uuid4().hex[:12]}"
    if "MLGEN_E2E_S3_ENDPOINT" not in told:
        with _own_process("s3") as endpoint:
            keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "value"}
            yield Bucket("the tests' S3", f"s3://{OWN_BUCKET}/{name}", endpoint, keys)
        return
    keys = {
        "AWS_ACCESS_KEY_ID": told["MLGEN_E2E_S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": told["MLGEN_E2E_S3_SECRET_KEY"],
    }
    uri = f"s3://{told['MLGEN_E2E_S3_BUCKET']}/{name}"
    made = Bucket("S3", uri, told["MLGEN_E2E_S3_ENDPOINT"], keys)
    try:
        yield made
    finally:
        store = made.store()
        for key in store.keys("_ledger"):
            store.delete(key)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with an mlgen.yaml whose environment `prod` is a ledger elsewhere; environ: for commands in it."""

    folder: Path
    environ: Mapping[str, str]


def project(folder: Path, server: GitServer, repository: Path, spool: Bucket, *, interval_seconds: int = 10) -> Project:
    """A project whose records wait in a bucket and land in a repository of a server, a push an interval."""
    folder.mkdir(parents=True)
    (folder / "mlgen.yaml").write_text(
        "version: 1\nenvironments:\n  prod:\n    namespace: ml-prod\n"
        f"    artifacts: {spool.uri}\n"
        f"    s3: {{endpoint: {spool.endpoint}, region: us-east-1, secret: s3}}\n"
        f"    runtime_image: registry.example/mlgen@{DIGEST}\n"
        f"    ledger: {{url: {server.url}/{repository.name}, secret: ledger-token, interval: {interval_seconds}s}}\n"
    )
    secret = git_host.secret(folder / "secret", (server.user, server.token))
    return Project(folder, {**clean(folder), **spool.variables, "MLGEN_LEDGER_SECRET": str(secret)})


def local_project(folder: Path, history: Path) -> Project:
    """A project, in no repository, whose local ledger is a copy of another: its files are shared where they can be."""
    folder.mkdir(parents=True)
    (folder / "mlgen.yaml").write_text("version: 1\n")
    ledger = folder / ".mlgen" / "ledger.git"
    subprocess.run(
        ["git", "clone", "-q", "--bare", "--single-branch", "-b", ledgers.BRANCH, history, ledger], check=True
    )
    return Project(folder, clean(folder))


def clean(folder: Path) -> dict[str, str]:
    """The variables of a command: nothing of ours or of Git's, and a cold cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS", "MLGEN", "PYTHON", "GIT"))}
    return {**kept, "PYTHONPATH": str(ROOT / "generator"), "XDG_CACHE_HOME": str(folder / "cache")}


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def history(folder: Path, records: int) -> Path | None:
    """The synthetic ledger of so many records, made where it is not there; None for no records."""
    if not records:
        return None
    exponent = len(str(records)) - 1
    path = folder / (f"1e{exponent}.git" if records == 10**exponent else f"{records}.git")
    if not path.exists():
        print(f"making a ledger of {records:,} records", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"making-{uuid.uuid4().hex[:8]}.git"
        ledgers.make(records, part)
        subprocess.run(["git", "--git-dir", part, "gc", "--quiet"], check=True)
        part.rename(path)
    return path


@contextmanager
def _own_process(*arguments: str | Path) -> Iterator[str]:
    """The URL of a server that another process is: this one is busy, and Python does one thing at a time."""
    command = [sys.executable, Path(__file__).resolve(), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()


def main() -> None:
    """A server for whoever started this, until its stdin ends; its URL is the first line."""
    if sys.argv[1] == "git":
        with git_host.serve(Path(sys.argv[2])) as host:
            print(host.url, flush=True)
            sys.stdin.read()
    else:
        s3.BUCKET = OWN_BUCKET
        with s3.serve() as served:
            print(served.endpoint, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
