from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen import git
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.git import RefLocked, RefMoved, Repository

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}


def call(folder: Path, *arguments: str, ok: bool = True) -> str:
    """Plain git, as the author would type it."""
    name = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", *name, *arguments], cwd=folder, env=ENVIRON, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0 or not ok, done.stderr
    return done.stdout


@pytest.fixture(params=["sha1", "sha256"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Repository:
    folder = tmp_path / "work"
    call(tmp_path, "init", "-q", "-b", "main", f"--object-format={request.param}", str(folder))
    (folder / "src").mkdir()
    (folder / "src" / "a.py").write_text("a")
    (folder / "b.txt").write_text("b")
    (folder / ".gitignore").write_text("*.log\n")
    call(folder, "add", ".")
    call(folder, "commit", "-q", "-m", "first")
    return found(folder)


def found(folder: Path) -> Repository:
    repository = git.discover(folder, ENVIRON)
    assert repository is not None
    return repository


def work_tree(repository: Repository) -> Path:
    assert repository.work_tree is not None
    return repository.work_tree


def test_discover(repository: Repository, tmp_path: Path) -> None:
    folder = work_tree(repository)
    assert folder == (tmp_path / "work").resolve()
    assert found(folder / "src") == repository
    assert git.discover(tmp_path, ENVIRON) is None
    call(folder, "worktree", "add", "-q", str(tmp_path / "linked"))
    assert found(tmp_path / "linked").head() == repository.head()


def test_discover_is_not_led_astray(repository: Repository, tmp_path: Path) -> None:
    folder = work_tree(repository)
    call(tmp_path, "init", "-q", "--bare", str(folder / "src" / "embedded"))
    assert git.discover(folder / "src" / "embedded", ENVIRON) is None  # a bare repository that was cloned with the rest
    environ = {**ENVIRON, "GIT_DIR": str(folder / "src" / "embedded"), "GIT_WORK_TREE": "/", "GIT_INDEX_FILE": "/x"}
    again = git.discover(folder, environ)
    assert again == repository
    assert again is not None
    assert not {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} & set(again.environ)


def test_a_repository_that_git_refuses(tmp_path: Path) -> None:
    call(tmp_path, "init", "-q", ".")
    (tmp_path / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 99\n")
    with pytest.raises(CannotAnswer, match="cannot use the repository") as error:
        git.discover(tmp_path, ENVIRON)
    assert error.value.code == "git-refused"
    assert "99" in error.value.why


def test_git_is_missing(tmp_path: Path) -> None:
    for use in (git.discover, git.init_bare):
        with pytest.raises(CannotAnswer) as error:
            use(tmp_path, {"PATH": str(tmp_path)})
        assert (error.value.code, error.value.exit_code) == ("git-missing", 3)
    with pytest.raises(FileNotFoundError):
        git.discover(tmp_path / "nothing", ENVIRON)


def test_bare_repositories_are_made_once(tmp_path: Path) -> None:
    made = git.init_bare(tmp_path / ".mlgen" / "ledger.git", ENVIRON)
    commit = made.commit({"runs/a.json": b"a"}, parent=None, message="one", seconds=0)
    made.move_ref("refs/heads/ledger", commit, old=None)
    again = git.init_bare(tmp_path / ".mlgen" / "ledger.git", ENVIRON)
    assert again.resolve("refs/heads/ledger") == commit
    assert again.checked_out("ledger") is None
    (tmp_path / "cut off").mkdir()
    (tmp_path / "cut off" / "objects").mkdir()
    assert git.init_bare(tmp_path / "cut off", ENVIRON).resolve("HEAD") is None


def test_commits_leave_the_work_tree_alone(repository: Repository) -> None:
    folder = work_tree(repository)
    (folder / "b.txt").write_text("changed")
    call(folder, "add", "b.txt")
    before = (
        call(folder, "status", "--porcelain"),
        (folder / ".git" / "index").read_bytes(),
        call(folder, "for-each-ref"),
    )
    one = repository.commit(
        {"runs/2026/a.json": b"a\n", "b.json": b"\x00\n\n"}, parent=None, message="one\n\nX: 1", seconds=9
    )
    two = repository.commit({"runs/2026/b.json": b""}, parent=one, message="two", seconds=10)
    assert (
        call(folder, "status", "--porcelain"),
        (folder / ".git" / "index").read_bytes(),
        call(folder, "for-each-ref"),
    ) == before
    repository.move_ref("refs/heads/ledger", two, old=None)
    assert call(folder, "log", "--format=%an <%ae> %at %s", "ledger").splitlines() == [
        "mlgen <mlgen@localhost> 10 two",
        "mlgen <mlgen@localhost> 9 one",
    ]
    assert call(folder, "log", "-1", "--format=%B", one).strip() == "one\n\nX: 1"
    assert [f.path for f in repository.tree_files(two, "runs")] == ["runs/2026/a.json", "runs/2026/b.json"]
    assert list(repository.tree_files(one, "nothing")) == []
    assert call(folder, "fsck", "--strict") == ""
    with pytest.raises(ValueError, match="no path"):
        repository.commit({'a" b': b""}, parent=None, message="x", seconds=0)


def test_refs_move_by_compare_and_swap(repository: Repository) -> None:
    one, two, three = (repository.commit({"a": b"%d" % n}, parent=None, message="m", seconds=n) for n in (1, 2, 3))
    ref = git.branch_ref("ledger")
    with pytest.raises(RefMoved):
        repository.move_ref(ref, two, old=one)
    repository.move_ref(ref, one, old=None)
    with pytest.raises(RefMoved):
        repository.move_ref(ref, two, old=None)
    with pytest.raises(RefMoved):
        repository.move_ref(ref, three, old=two)
    repository.move_ref(ref, two, old=one)
    assert repository.resolve(ref) == two
    lock = repository.git_dir / "refs" / "heads" / "ledger.lock"
    lock.touch()
    with pytest.raises(RefLocked) as error:
        repository.move_ref(ref, three, old=two)
    assert Path(error.value.lock) == lock
    assert repository.resolve(ref) == two


def test_reading_many_objects(repository: Repository) -> None:
    files = {f"runs/{n}.json": os.urandom(n * 37) for n in range(300)}
    with repository.reader() as reader:
        assert reader.get("refs/heads/ledger") is None
        commit = repository.commit(files, parent=None, message="m", seconds=0)
        repository.move_ref("refs/heads/ledger", commit, old=None)
        tip = reader.get("refs/heads/ledger")  # the reader started before there was a ledger
        assert tip is not None
        assert (tip.oid, tip.kind) == (commit, "commit")
        names = [*(f"{commit}:{path}" for path in files), f"{commit}:runs/300.json", "no-such-ref"]
        objects = list(reader.get_all(names))
        assert [o.data if o else None for o in objects] == [*files.values(), None, None]
        with pytest.raises(ValueError, match="no object"):
            reader.get("a\nb")
    by_oid = list(repository.tree_files(commit, "runs"))
    with repository.reader() as reader:
        assert [o.data if o else None for o in reader.get_all(f.oid for f in by_oid)] == [files[f.path] for f in by_oid]


def test_a_huge_object_is_told_not_read(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlgen.git.objects.LIMIT", 1000)
    commit = repository.commit({"a": b"x" * 5000, "b": b"y" * 1000}, parent=None, message="m", seconds=0)
    with repository.reader() as reader:
        huge, whole = reader.get_all([f"{commit}:a", f"{commit}:b"])
    assert huge is not None
    assert whole is not None
    assert (huge.size_bytes, huge.data, whole.data) == (5000, b"", b"y" * 1000)


def test_files_that_belong_to_a_folder(repository: Repository) -> None:
    folder = work_tree(repository)
    (folder / "src" / "new ü\n.py").touch()
    (folder / "src" / "deep").mkdir()
    (folder / "src" / "deep" / "c.py").touch()
    (folder / "src" / "train.log").touch()
    (folder / "src" / "a.py").unlink()
    assert repository.list_files(folder / "src") == ["a.py", "deep/c.py", "new ü\n.py"]
    assert repository.list_files(folder / "src" / "deep") == ["c.py"]


def test_clean_means_equal_to_head(repository: Repository) -> None:
    folder = work_tree(repository)
    assert repository.is_clean(["src", "b.txt"])
    assert repository.is_clean(["no/such/path"])
    (folder / "src" / "train.log").write_text("ignored")
    os.utime(folder / "b.txt", (1, 1))
    assert repository.is_clean(["src", "b.txt"])
    (folder / "src" / "new.py").touch()
    assert not repository.is_clean(["src"])
    assert repository.is_clean(["b.txt"])
    (folder / "src" / "new.py").unlink()
    (folder / "b.txt").write_text("c")
    assert not repository.is_clean(["b.txt"])
    call(folder, "add", "b.txt")
    assert not repository.is_clean(["b.txt"])
    call(folder, "rm", "-q", "--cached", "src/a.py")
    assert not repository.is_clean(["src"])


def test_nothing_is_clean_before_the_first_commit(tmp_path: Path) -> None:
    call(tmp_path, "init", "-q", ".")
    repository = found(tmp_path)
    assert repository.head() is None
    assert not repository.is_clean(["b.txt"])


def test_where_a_branch_is_checked_out(repository: Repository, tmp_path: Path) -> None:
    folder = work_tree(repository)
    assert repository.checked_out("main") == folder
    assert repository.checked_out("ledger") is None
    call(folder, "worktree", "add", "-q", "-b", "ledger", str(tmp_path / "linked"))
    assert repository.checked_out("ledger") == (tmp_path / "linked").resolve()
    call(folder, "checkout", "-q", "--orphan", "unborn")
    assert repository.checked_out("unborn") == folder


HOOKS = ("reference-transaction", "post-index-change", "pre-auto-gc", "post-checkout", "fsmonitor-watchman")


def test_a_hostile_repository_runs_nothing(repository: Repository, tmp_path: Path) -> None:
    folder = work_tree(repository)
    marks, trap = tmp_path / "ran", tmp_path / "trap"
    marks.mkdir()
    trap.write_text(f'#!/bin/sh\ntouch {marks}/"$(basename "$0")"."$$"\n')
    trap.chmod(0o755)
    for place in (folder / ".git" / "hooks", tmp_path / "hooks"):
        place.mkdir(exist_ok=True)
        for hook in HOOKS:
            (place / hook).unlink(missing_ok=True)
            (place / hook).symlink_to(trap)
    (folder / ".gitattributes").write_text("* filter=evil diff=evil\n*.py filter=a=b\n")
    for key, value in {
        "core.hooksPath": str(tmp_path / "hooks"),
        "core.fsmonitor": str(trap),
        "core.pager": str(trap),
        "core.editor": str(trap),
        "core.sshCommand": str(trap),
        "core.gitProxy": str(trap),
        "core.askPass": str(trap),
        "credential.helper": f"!{trap}",
        "diff.external": str(trap),
        "diff.evil.textconv": str(trap),
        "diff.evil.command": str(trap),
        "filter.evil.clean": str(trap),
        "filter.evil.smudge": str(trap),
        "filter.evil.process": str(trap),
        "filter.evil.required": "true",
        "filter.a=b.clean": str(trap),
        "gpg.program": str(trap),
        "log.showSignature": "true",
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{trap} %S",
        "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none",
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "alias.rev-parse": f"!{trap}",
        "gc.auto": "1",
    }.items():
        call(folder, "config", key, value)
    for name in ("b.txt", "src/a.py"):  # as long as before: git must read it, through its filter, to know
        (folder / name).write_text("x")

    call(folder, "status", ok=False)
    assert any(marks.iterdir()), "the traps do not work"
    for mark in marks.iterdir():
        mark.unlink()

    hostile = found(folder)
    missing = "1" * len(hostile.head() or "")
    assert not hostile.is_clean(["b.txt"])
    assert not hostile.is_clean(["src"])
    hostile.list_files(folder)
    hostile.checked_out("ledger")
    commit = hostile.commit({"a": b"a"}, parent=None, message="m", seconds=0)
    hostile.move_ref("refs/heads/ledger", commit, old=None)
    list(hostile.tree_files(commit, "a"))
    assert hostile.resolve(missing) is None
    with hostile.reader() as reader:
        assert reader.get(missing) is None
        assert reader.get("HEAD:b.txt") is not None
    assert list(marks.iterdir()) == []


@pytest.mark.parametrize(
    "branch", ["", "-x", "--exec=x", "a..b", "a.lock", "a/.b", "a//b", "a/", "a.", "a b", "a:b", "@{1}", "a\n"]
)
def test_bad_branches(branch: str) -> None:
    with pytest.raises(Misuse, match="no name for a branch"):
        git.branch_ref(branch)


@given(st.from_regex(r"[A-Za-z0-9./_+-]{1,12}", fullmatch=True))
@settings(max_examples=60, deadline=None)
def test_what_we_take_for_a_branch_git_takes(branch: str) -> None:
    try:
        ref = git.branch_ref(branch)
    except Misuse:
        return
    assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0
