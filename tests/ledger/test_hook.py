"""The pre-receive hook on a real server: folds and signed epochs pass, and each refusal says what to do."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Signer
from mlgen.ledger import chain, epoch
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import to_bytes
from mlgen.store import Folder
from tests import git_host
from tests.git_host import GitHost, secret
from tests.ledger import records
from tests.ssh_keys import allowed, new_key

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
REF = git.branch_ref("ledger")
NOW = int(time.time())
FIRST, SECOND = records.task(), records.task(name="b")


class Lab:
    """A server with the hook, and what somebody with the right to push does from a clone."""

    def __init__(self, host: GitHost, folder: Path, object_format: str) -> None:
        self.server = host.repository("l", object_format=object_format)
        self.folder, self._host = folder, host
        self.token = secret(folder / "secret")
        self.here = git.init_bare(folder / "clone.git", ENVIRON, object_format=object_format)
        self.key, self.thief = new_key(folder / "key"), new_key(folder / "thief")
        self.signer: Signer | None = None

    def by(self, key: Path) -> Lab:
        """The lab, whose commits are signed with a key from now on."""
        self.signer = Signer(key, "the key", environ=ENVIRON)
        return self

    def allow(self, text: str) -> None:
        (self.folder / "signers").write_text(text)
        self.configure("mlgen.signers", str(self.folder / "signers"))

    def configure(self, name: str, value: str) -> None:
        subprocess.run(["git", "--git-dir", self.server, "config", name, value], check=True)

    def remote(self) -> git.Remote:
        scratch = self.folder / "scratch"
        url = f"{self._host.url}/l.git"
        return git.open_remote(url, secret=self.token, scratch=scratch, environ=ENVIRON, signer=self.signer)

    def fold(self, *names: str) -> str:
        spool = Spool(Folder(self.folder / "artifacts", "artifacts"))
        for name in names:
            spool.put(records.task(name=name))
        commit = fold(spool, self.remote(), "ledger", now=datetime.now(UTC)).commit
        assert commit is not None
        self._fetch()
        return commit

    def _fetch(self) -> None:
        settings = ["-c", "protocol.file.allow=always"]
        command = ["git", *settings, f"--git-dir={self.here.git_dir}", "fetch", "-q", str(self.server), f"+{REF}:{REF}"]
        subprocess.run(command, check=True, env=ENVIRON)

    def commit(self, files: Mapping[str, bytes], parent: str | None, *, seconds: int = NOW, trailers: str = "") -> str:
        before = None if parent is None else chain.of_commit(self.here.run("cat-file", "commit", parent))
        text = f"ledger: by hand\n\n{trailers or chain.link(files, before).trailers}"
        here = git.Repository(self.here.git_dir, None, self.here.object_format, self.here.environ, self.signer)
        return here.commit(files, parent=parent, message=text, seconds=seconds)

    def by_hand(self, tree: Mapping[str, bytes], *parents: str, mode: str = "100644") -> str:
        """A commit of just these files, as no method of ours would make it."""
        index = {**ENVIRON, "GIT_INDEX_FILE": str(self.folder / "index"), "GIT_DIR": str(self.here.git_dir)}
        (self.folder / "index").unlink(missing_ok=True)
        for path, data in tree.items():
            oid = self.here.run("hash-object", "-w", "--stdin", data=data).decode().strip()
            subprocess.run(
                ["git", "update-index", "--add", "--cacheinfo", f"{mode},{oid},{path}"], env=index, check=True
            )
        made = subprocess.run(
            ["git", "write-tree"], env=index, check=True, capture_output=True, text=True
        ).stdout.strip()
        lines = [f"tree {made}", *(f"parent {one}" for one in parents)]
        lines += [f"{who} a <a@b> {NOW} +0000" for who in ("author", "committer")]
        commit = "\n".join([*lines, "", "by hand", "", chain.link(tree, None).trailers])
        return self.here.run("hash-object", "-t", "commit", "-w", "--stdin", data=commit.encode()).decode().strip()

    def link(self, path: str, tip: str) -> str:
        """A commit that adds a link."""
        oid = self.here.run("hash-object", "-w", "--stdin", data=b"/etc/passwd").decode().strip()
        stream = f"feature done\ncommit refs/x\nmark :1\ncommitter a <a@b> {NOW} +0000\ndata 1\nx\nfrom {tip}\n"
        text = f"ledger: a link\n\n{chain.link({}, None).trailers}"
        stream = stream.replace("data 1\nx\n", f"data {len(text)}\n{text}\n")
        stream += f"M 120000 {oid} {path}\nget-mark :1\ndone\n"
        return self.here.run("fast-import", "--quiet", data=stream.encode()).decode().strip()

    def push(self, new: str, *more: str) -> str:
        """What the server says about it; "" where it takes it."""
        url = f"{self._host.url}/l.git".replace("http://", f"http://{git_host.WRITER[0]}:{git_host.WRITER[1]}@")
        command = ["git", f"--git-dir={self.here.git_dir}", "push", "-q", "--force", url, f"{new}:{REF}", *more]
        done = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is ("remote: mlgen ledger:" not in done.stderr), done.stderr
        if done.returncode:
            assert "remote:    fix  " in done.stderr, "each refusal helps"
        return done.stderr if done.returncode else ""

    def tip(self) -> str | None:
        return git.init_bare(self.server, ENVIRON).tip(REF)


@pytest.fixture
def form() -> str:
    return "sha1"


@pytest.fixture
def lab(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    with git_host.serve(tmp_path / "host") as host:
        lab = Lab(host, tmp_path, form)
        assert mlgen(["ledger", "hook"]) == 0
        hook = lab.server / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(capsys.readouterr().out)
        hook.chmod(0o755)
        yield lab


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_folds_and_signed_epochs_pass(lab: Lab) -> None:
    lab.fold("a", "b")
    first = lab.fold("c")
    lab.allow(allowed(lab.key, "keeper"))
    lab.by(lab.key)
    tip = lab.fold("d")
    assert first != tip
    gone = records.task(name="a").path
    new = begin(lab, tip, [gone])
    assert lab.push(new) == ""
    assert lab.tip() == new
    assert lab.fold("e") == lab.tip()
    server = git.init_bare(lab.server, ENVIRON)
    assert gone not in {file.path for file in server.tree_files(REF, "")}


def begin(lab: Lab, tip: str, gone: list[str], prev_tip: str = "") -> str:
    files = {
        f.path: lab.here.run("cat-file", "blob", f.oid) for f in lab.here.tree_files(tip, "") if f.path not in gone
    }
    before = chain.of_commit(lab.here.run("cat-file", "commit", tip))
    assert before is not None
    about = epoch.Epoch(1, prev_tip or tip, before.next_prev)
    text = epoch.message(about, chain.link(files, None).batch, dropped=len(gone))
    here = git.Repository(lab.here.git_dir, None, lab.here.object_format, lab.here.environ, lab.signer)
    return here.epoch(tip, gone, message=text, seconds=NOW)


def files_of(lab: Lab, tip: str) -> dict[str, bytes]:
    return {f.path: lab.here.run("cat-file", "blob", f.oid) for f in lab.here.tree_files(tip, "")}


def adding(path: str) -> Callable[[Lab, str], str]:
    return lambda lab, tip: lab.by_hand({**files_of(lab, tip), path: b"{}"}, tip)


GOOD = {SECOND.path: to_bytes(SECOND)}
THIRD = {(third := records.task(name="c")).path: to_bytes(third)}
# What is pushed, given the tip -> what the server says.
REFUSED: dict[str, tuple[Callable[[Lab, str], str], str]] = {
    "a record changed": (lambda lab, tip: lab.commit({FIRST.path: b"{}"}, tip), f"{FIRST.path} would be changed"),
    "a record deleted": (lambda lab, tip: lab.by_hand(GOOD, tip), f"{FIRST.path} would be changed or deleted"),
    "a record moved": (
        lambda lab, tip: lab.by_hand({**GOOD, FIRST.path.replace("/28/", "/27/"): to_bytes(FIRST)}, tip),
        f"{FIRST.path} would be changed or deleted",
    ),
    "a path elsewhere": (lambda lab, tip: lab.commit({"README": b"x"}, tip), "README has no path of a record"),
    "a path that is none": (
        lambda lab, tip: lab.commit({"runs/x.json": b"x"}, tip),
        "runs/x.json has no path of a record",
    ),
    "a strange name": (
        lambda lab, tip: lab.by_hand({**files_of(lab, tip), SECOND.path.replace("/b-", '/"\n-'): b"x"}, tip),
        "has no path of a record",
    ),
    **{
        f"the path {path}": (adding(path), "has no path of a record")
        for path in (
            SECOND.path.replace("/b-", "/evil") + "x.json",
            "runs/2026/11/28/local/r1.6afccdfe/evil.json",
            SECOND.path.replace("/11/28/", "/13/28/"),
            SECOND.path.replace("/11/28/", "/11/99/"),
            SECOND.path.replace("/local/", "/..local/"),
            SECOND.path.replace("/r1.", "/r 1."),
            SECOND.path.replace("/b-", "/B-"),
            f"imported/2026/11/28/{'a' * 36}.json",
        )
    },
    "a chain that does not go on": (
        lambda lab, tip: lab.commit(GOOD, tip, trailers=chain.link(GOOD, None).trailers),
        "does not go on with the chain",
    ),
    "a chain that breaks later": (
        lambda lab, tip: lab.commit(THIRD, lab.commit(GOOD, tip), trailers=chain.Link("ab" * 32, chain.START).trailers),
        "does not go on with the chain",
    ),
    "a link": (
        lambda lab, tip: lab.link(SECOND.path, tip),
        "is no plain file",
    ),
    "no trailers": (lambda lab, tip: lab.commit(GOOD, tip, trailers="\n"), "no trailer Mlgen-Batch-Sha256"),
    "trailers elsewhere": (
        lambda lab, tip: lab.commit(GOOD, tip, trailers=f"{chain.link(GOOD, None).trailers}\nbye\n"),
        "no trailer Mlgen-Batch-Sha256",
    ),
    "a trailer twice": (
        lambda lab, tip: lab.commit(GOOD, tip, trailers=chain.link(GOOD, None).trailers * 2),
        "no trailer Mlgen-Batch-Sha256, or more than one",
    ),
    "nothing added": (lambda lab, tip: lab.commit({}, tip), "adds no record"),
    "too large": (lambda lab, tip: lab.commit({SECOND.path: b"x" * (1 << 20 | 1)}, tip), "more than 1048576 bytes"),
    "a merge": (
        lambda lab, tip: lab.by_hand({**files_of(lab, tip), **GOOD}, tip, lab.commit(GOOD, tip)),
        "does not follow on the one before it alone",
    ),
    "a time long ago": (lambda lab, tip: lab.commit(GOOD, tip, seconds=NOW - 200_000), "at another time than now"),
    "a rewritten history": (lambda lab, _: lab.commit(GOOD, None), "would be rewritten, and"),
    "a fork": (lambda lab, tip: lab.commit(GOOD, lab.commit({FIRST.path: b"x"}, None)), "would be rewritten"),
    "an epoch without signers": (lambda lab, tip: begin(lab, tip, [FIRST.path]), "this server knows no signers"),
    "a second commit that is bad": (
        lambda lab, tip: lab.commit({"README": b"x"}, lab.commit(GOOD, tip)),
        "README has no path of a record",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(lab: Lab, what: str) -> None:
    tip = lab.fold("train")  # FIRST
    make, said = REFUSED[what]
    assert said in lab.push(make(lab, tip))
    assert lab.tip() == tip


def test_the_branch_is_not_deleted_and_others_are_free(lab: Lab) -> None:
    tip = lab.fold("train")
    assert "would be deleted" in lab.push("")
    assert lab.push(tip, f"{lab.commit({'README': b'x'}, tip)}:refs/heads/other") == ""
    lab.configure("mlgen.branch", "other")
    assert lab.push(lab.commit({"README": b"x"}, tip)) == ""


def test_no_other_name_leads_to_the_branch_or_hides_it(lab: Lab) -> None:
    first = lab.fold("train")
    tip = lab.fold("b")
    server, gone = git.init_bare(lab.server, ENVIRON), lab.by_hand(GOOD, tip)
    for ref in (f"refs/replace/{tip}", "refs/tags/ledger"):
        assert f"{ref} would hide what is on ledger" in lab.push(tip, f"{first}:{ref}")
        server.move_ref(ref, first, old=None)
        assert lab.push(tip, f":{ref}") == "", "it may be taken away"
    server.run("symbolic-ref", "refs/heads/alias", REF)
    assert f"{FIRST.path} would be changed or deleted" in lab.push(tip, f"{gone}:refs/heads/alias")
    server.move_ref("refs/heads/main", tip, old=None)
    server.run("symbolic-ref", REF, "refs/heads/main")
    assert f"{FIRST.path} would be changed or deleted" in lab.push(tip, f"{gone}:refs/heads/main")
    assert server.tip(REF) == tip


SIGNED: dict[str, tuple[Callable[[Lab, str], str], str]] = {
    "unsigned": (lambda lab, tip: lab.commit(GOOD, tip), "is not signed by a key that may sign here"),
    "by a thief": (
        lambda lab, tip: lab.by(lab.thief).commit(GOOD, tip),
        "is not signed by a key that may sign here",
    ),
    "an epoch by a thief": (
        lambda lab, tip: begin(lab.by(lab.thief), tip, [FIRST.path]),
        "is not signed by a key that may sign here",
    ),
    "an epoch of another tip": (
        lambda lab, tip: begin(lab.by(lab.key), tip, [FIRST.path], "0" * 40),
        "and the tip is",
    ),
    "an epoch with more": (
        lambda lab, tip: begin(lab.by(lab.key), lab.commit(GOOD, tip), [FIRST.path], tip),
        f"changes or adds {SECOND.path}",
    ),
    "an old key, back in its time": (
        lambda lab, tip: lab.by(lab.thief).commit(GOOD, tip, seconds=NOW - 40 * 86_400),
        "at another time than now",
    ),
    "an old key, now": (
        lambda lab, tip: lab.by(lab.thief).commit(GOOD, tip),
        "is not signed by a key that may sign here",
    ),
}


@pytest.mark.parametrize("what", SIGNED)
def test_what_is_refused_where_signers_are_named(lab: Lab, what: str) -> None:
    tip = lab.fold("train")
    text = allowed(lab.key, "keeper")
    if what.startswith("an old key"):
        until = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(NOW - 30 * 86_400))
        text += allowed(lab.thief, "old", f'namespaces="git",valid-before="{until}"')
    lab.allow(text)
    make, said = SIGNED[what]
    assert said in lab.push(make(lab, tip))
    assert lab.tip() == tip


def test_signers_that_cannot_be_read_let_nothing_pass(lab: Lab) -> None:
    lab.configure("mlgen.signers", str(lab.folder / "none"))
    lab.by(lab.key)
    with pytest.raises(CannotAnswer) as error:
        lab.fold("a")
    assert "allowed signers cannot be read on the server" in error.value.why
    assert lab.tip() is None


def test_an_old_ledger_moves_to_a_new_server(lab: Lab) -> None:
    """What was made long ago is taken by an empty server, if it is a ledger."""
    first = lab.commit({FIRST.path: to_bytes(FIRST)}, None, seconds=1_000_000_000)
    second = lab.commit(GOOD, first, seconds=1_000_000_010)
    assert "has no path of a record" in lab.push(lab.commit({"x": b"x"}, second))
    assert lab.push(second) == ""
