"""A ledger on a real repository, and what somebody with the right to push, or to write its files, could do to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mlgen import git
from mlgen.git import Repository, Signer, Signers
from mlgen.ledger import chain
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.verify.remembered import Memory
from mlgen.ledger.verify.span import Terms
from mlgen.ledger.verify.verify import Asked, Verified, verify
from mlgen.store import Folder
from tests.ledger import records

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
REF = "refs/heads/ledger"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
FILE, PROGRAM, LINK, REPOSITORY = "100644", "100755", "120000", "160000"
GONE = None
RIGHT = "right"  # trailers as a fold would write them

Files = Mapping[str, bytes | tuple[str, str] | None]  # by path: bytes, (mode, id), or GONE


def entries(run: str) -> list[Entry]:
    """What a run leaves, each commit's."""
    return [records.task(run, "prepare"), records.task(run, "train", attempt=0), records.run(run)]


@dataclass
class Lab:
    """repository: with a ledger of as many commits as `land` was called. author: who signs raw commits, if anybody."""

    repository: Repository
    folder: Path
    signer: Signer | None = None
    terms: Terms = field(default_factory=Terms)
    seconds: int = SECONDS

    @staticmethod
    def make(folder: Path, object_format: str = "sha1") -> Lab:
        return Lab(git.init_bare(folder / "ledger.git", ENVIRON, object_format=object_format), folder)

    def copy(self, folder: Path) -> Lab:
        """The same ledger, to do with it what one likes."""
        shutil.copytree(self.repository.git_dir, folder / "ledger.git")
        return replace(self, repository=replace(self.repository, git_dir=folder / "ledger.git"), folder=folder)

    def land(self, *landed: Entry) -> str:
        """A commit as mlgen makes it."""
        spool = Spool(Folder(self.folder / "artifacts", "artifacts"))
        for entry in landed:
            spool.put(entry)
        self.seconds += 60
        at = datetime.fromtimestamp(self.seconds, UTC)
        found = fold(spool, replace(self.repository, signer=self.signer), "ledger", now=at)
        assert found.commit is not None
        return found.commit

    @property
    def tip(self) -> str:
        return self.git("rev-parse", REF)

    @property
    def commits(self) -> list[str]:
        return self.git("rev-list", "--reverse", REF).split()

    def git(self, *arguments: str, data: bytes | None = None, index: Path | None = None) -> str:
        environ = {**ENVIRON, **({"GIT_INDEX_FILE": str(index)} if index else {})}
        command = ["git", "--git-dir", str(self.repository.git_dir), *arguments]
        done = subprocess.run(command, env=environ, input=data, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def blob(self, data: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", data=data)

    def file(self, commit: str, path: str) -> bytes:
        return self.repository.run("cat-file", "blob", f"{commit}:{path}")

    def paths(self, commit: str) -> list[str]:
        """What a commit adds."""
        return self.git("diff-tree", "--root", "--no-commit-id", "--name-only", "-r", commit).splitlines()

    def data(self, commit: str) -> bytes:
        return self.repository.run("cat-file", "commit", commit)

    def tree(self, base: str | None, files: Files) -> str:
        """A tree: that of a commit, with other files."""
        index = self.folder / "index"
        index.unlink(missing_ok=True)
        self.git("read-tree", *([base] if base else ["--empty"]), index=index)
        none = ("0", "0" * (64 if self.repository.object_format == "sha256" else 40))
        told = {path: none if what is None else what for path, what in files.items()}
        new = {path: what if isinstance(what, tuple) else (FILE, self.blob(what)) for path, what in told.items()}
        lines = "".join(f"{mode} {oid}\t{path}\n" for path, (mode, oid) in new.items())
        self.git("update-index", "--index-info", data=lines.encode(), index=index)
        return self.git("write-tree", index=index)

    def commit(
        self,
        files: Files,
        *,
        parent: str | None = "tip",
        parents: Sequence[str] = (),
        trailers: str = RIGHT,
        seconds: int | None = None,
        tree: str | None = None,
        signed: bool = True,
    ) -> str:
        """A commit by plumbing, with just what is said. parent "tip": the branch's. parents: more of them."""
        base = self.tip if parent == "tip" else parent
        if trailers == RIGHT:
            added = {path: data for path, data in files.items() if isinstance(data, bytes)}
            trailers = chain.link(added, chain.of_commit(self.data(base)) if base else None).trailers
        head = [f"tree {tree or self.tree(base, files)}"]
        head += [f"parent {one}" for one in ([base] if base else []) + list(parents)]
        at = self.seconds + 60 if seconds is None else seconds
        who = f"mlgen <mlgen@localhost> {at} +0000"
        text = "\n".join([*head, f"author {who}", f"committer {who}", "", f"ledger: by hand\n\n{trailers}"]).encode()
        data = self.signer.sign(text) if self.signer and signed else text
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=data)

    def move(self, commit: str) -> str:
        self.git("update-ref", REF, commit)
        return commit

    def again(self, commits: Sequence[str], parent: str | None, *, right: bool) -> str:
        """The same additions once more on another parent. right: with trailers that follow; else their own ones."""
        for one in commits:
            added = {path: self.file(one, path) for path in self.paths(one)}
            own = chain.of_commit(self.data(one))
            assert own is not None
            parent = self.commit(added, parent=parent, trailers=RIGHT if right else own.trailers)
        assert parent is not None
        return parent

    def verify(
        self,
        memory: Memory | None = None,
        *,
        since: str | datetime | None = None,
        expect: str | None = None,
        full: bool = False,
        jobs: int = 1,
    ) -> Verified:
        asked = Asked(since, expect, full, memory)
        now = datetime.fromtimestamp(self.seconds, UTC)
        return verify(self.repository, self.tip, self.terms, asked, now=now, jobs=jobs)


def signers(text: str) -> Signers:
    return Signers(text, ENVIRON)


@dataclass(frozen=True)
class Shown:
    """What an attack must be found by: a finding's code, the commit and the file that show it ("" where none does)."""

    code: str
    commit: str = ""
    path: str = ""


def object_file(lab: Lab, oid: str) -> Path:
    return lab.repository.git_dir / "objects" / oid[:2] / oid[2:]


def forge(lab: Lab, oid: str, kind: str, data: bytes) -> None:
    path = _loose(lab, oid)
    path.unlink()
    path.write_bytes(zlib.compress(b"%s %d\0%s" % (kind.encode(), len(data), data)))


def _loose(lab: Lab, oid: str) -> Path:
    """The file of an object, which a fold left in a pack or not."""
    path = object_file(lab, oid)
    if not path.exists():
        packs = lab.repository.git_dir / "objects" / "pack"
        for pack in packs.glob("*.pack"):
            data = pack.read_bytes()
            for other in packs.glob(f"{pack.stem}.*"):
                other.unlink()
            lab.git("unpack-objects", "-q", data=data)
    return path


def shown(lab: Lab, memory: Memory | None = None) -> list[Shown]:
    return [Shown(one.code, one.commit, one.path) for one in lab.verify(memory).found.kept]


def by(key: Path) -> Signer:
    return Signer(key, "the key", None, ENVIRON)
