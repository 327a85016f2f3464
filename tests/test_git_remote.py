"""A repository elsewhere, over real HTTP: `git http-backend` behind a server that can be made to fail."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgen import git
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.git import RefMoved, Remote
from mlgen.git.host import Host
from tests import git_host
from tests.git_host import READER, WRITER, GitHost, secret

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
REF = git.branch_ref("ledger")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with git_host.serve(tmp_path / "host") as host:
        yield host


@pytest.fixture
def token(tmp_path: Path) -> Path:
    return secret(tmp_path / "secret")


def remote(host: GitHost, folder: Path, token: Path | None, name: str = "l", **more: object) -> Remote:
    url = f"{host.url}/{name}.git"
    more = {"environ": ENVIRON, "secret_name": "ledger-token" if token else "", **more}
    return git.open_remote(url, secret=token, scratch=folder, **more)  # type: ignore[arg-type]


def call(git_dir: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "--git-dir", git_dir, *arguments], env=ENVIRON, capture_output=True, text=True, check=True
    )
    return done.stdout


def add(far: Remote, files: dict[str, bytes], *, seconds: int = 0) -> str:
    """One commit of files on the branch, as a fold makes it."""
    with far.reader() as reader:
        tip = reader.get(REF)
        if tip is not None:
            reader.files(tip.oid, files)
        commit = far.commit(files, parent=tip.oid if tip else None, message="m", seconds=seconds)
        far.move_ref(REF, commit, old=tip.oid if tip else None)
    return commit


def seed(git_dir: Path, count: int) -> dict[str, bytes]:
    """A ledger of so many records, ten a run, in the repository itself."""
    files = {}
    for n in range(count):
        run = n // 10
        day = f"{run // 28 % 12 + 1:02}/{run % 28 + 1:02}"
        files[f"runs/2026/{day}/prod/r{run}.00000000/t{n % 10}-0.00000000.json"] = b"%d" % n
    here = git.init_bare(git_dir, ENVIRON)
    here.move_ref(REF, here.commit(files, parent=None, message="seed", seconds=0), old=here.tip(REF))
    return files


SETTINGS: dict[str, dict[str, str]] = {
    "single": {},
    "no filter": {"uploadpack_allowFilter": "false"},
    "old protocol": {},
    "sha256": {"object_format": "sha256"},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_reading_and_writing_without_a_clone(host: GitHost, tmp_path: Path, token: Path, kind: str) -> None:
    there = host.repository("l", **SETTINGS[kind])
    far = remote(host, tmp_path / "a", token)
    host.old = kind == "old protocol"
    assert far.tip(REF) is None
    if kind == "sha256":
        with pytest.raises(RefMoved):  # only a push tells what an empty repository has: look again
            add(far, {"x": b"x"})
    one = add(far, {"runs/a/x.json": b"x", "README": b"r"})
    two = add(far, {"runs/a/y.json": b"y"}, seconds=9)
    three = add(remote(host, tmp_path / "b", token), {"runs/b/deep/z.json": b"z"})
    assert far.tip(REF) == three
    for where in (far, remote(host, tmp_path / "c", token)):
        with where.reader() as reader:
            tip = reader.get(REF)
            assert tip is not None
            assert tip.oid == three
            paths = ["runs/a/x.json", "runs/a/none.json", "none/a", "runs/b/deep/z.json", "README"]
            assert reader.files(three, paths) == {
                "runs/a/x.json": b"x",
                "runs/b/deep/z.json": b"z",
                "README": b"r",
            }
    assert call(there, "log", "--format=%H", "ledger").split()[:3] == [three, two, one]
    assert call(there, "fsck", "--strict", "--no-dangling") == ""


def test_the_cost_does_not_grow_with_the_ledger(host: GitHost, tmp_path: Path, token: Path) -> None:
    cost = []
    for name, count in (("few", 300), ("many", 20_000)):
        seed(host.repository(name), count)
        host.requests.clear()
        host.sent_bytes = 0
        far = remote(host, tmp_path / name, token, name)
        add(far, {"runs/2026/01/03/prod/new.00000000/t-0.00000000.json": b"n"})
        objects = call(tmp_path / name / "objects.git", "count-objects", "-v").splitlines()
        here = sum(int(line.split()[1]) for line in objects if line.startswith(("count:", "in-pack:")))
        cost.append((len(host.requests), here, host.sent_bytes))
    few, many = cost
    assert many[:2] == few[:2]
    assert many[2] < few[2] + 4000, "only the open path's trees may be larger"


def test_a_host_without_filters_sends_all_files_once(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l", uploadpack_allowFilter="false")
    seed(there, 2000)
    far = remote(host, tmp_path / "a", token)
    with far.reader() as reader:
        reader.get(REF)
    once, host.sent_bytes = host.sent_bytes, 0
    assert once > 50_000
    for n in range(2):  # by this process and by the next with the same scratch
        add(remote(host, tmp_path / "other", token), {f"runs/{n}.json": b"n"})
        host.sent_bytes = 0
        add(far, {f"runs/mine/{n}.json": b"n"})
        assert host.sent_bytes < 10_000
        far = remote(host, tmp_path / "a", token)


def test_a_host_without_filters_whose_files_are_too_many(host: GitHost, tmp_path: Path, token: Path) -> None:
    """They do not come in the time that there is: then what to mend is the host, and not the way to it."""
    seed(host.repository("l", uploadpack_allowFilter="false"), 20)

    def slow(path: str) -> str:
        if path.endswith("/git-upload-pack") and sum("POST" in request for request in host.requests) > 1:
            time.sleep(3)
        return ""

    host.fault = slow
    far = remote(host, tmp_path / "s", token, timeout_seconds=1.5)
    with far.reader() as reader, pytest.raises(CannotAnswer) as error:
        reader.get(REF)
    assert error.value.code == "git-no-filter"
    assert "uploadpack.allowFilter" in error.value.fix


def test_two_writers_and_one_branch(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l")
    a, b = (remote(host, tmp_path / name, token) for name in "ab")
    first = a.commit({"a": b"a"}, parent=None, message="m", seconds=0)
    second = b.commit({"b": b"b"}, parent=None, message="m", seconds=0)
    a.move_ref(REF, first, old=None)
    with pytest.raises(RefMoved):
        b.move_ref(REF, second, old=None)
    with pytest.raises(RefMoved):
        b.move_ref(REF, second, old="1" * 40)
    assert call(there, "rev-parse", "ledger").strip() == first
    a.move_ref(REF, first, old=None)  # said twice is once


def test_an_answer_that_is_lost(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l")
    far = remote(host, tmp_path / "a", token)
    commit = far.commit({"a": b"a"}, parent=None, message="m", seconds=0)
    host.fault = lambda path: "late" if path.endswith("/git-receive-pack") else ""
    far.move_ref(REF, commit, old=None)
    assert call(there, "rev-parse", "ledger").strip() == commit
    other = far.commit({"b": b"b"}, parent=commit, message="m", seconds=0)
    host.fault = lambda path: "drop" if path.endswith("/git-receive-pack") else ""
    with pytest.raises(CannotAnswer) as error:
        far.move_ref(REF, other, old=commit)
    assert error.value.code == "git-unreachable"
    assert call(there, "rev-parse", "ledger").strip() == commit


def test_what_a_hook_refuses(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l")
    hook = there / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'this branch is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(CannotAnswer) as error:
        add(remote(host, tmp_path / "a", token), {"a": b"a"})
    assert error.value.code == "git-push-refused"
    assert "this branch is protected" in error.value.why
    assert 'the secret "ledger-token"' in error.value.fix


FAULTS = {
    "nowhere": ("", WRITER, "git-no-repository"),
    "wrong token": ("", ("mlgen", "wr0ng-token"), "git-denied"),
    "no token": ("", None, "git-denied"),
    "forbidden": ("403", WRITER, "git-denied"),
    "broken": ("500", WRITER, "git-unreachable"),
    "moved": ("301", WRITER, "git-no-repository"),
    "silent": ("drop", WRITER, "git-unreachable"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_refusal_names_what_to_mend(host: GitHost, tmp_path: Path, case: str) -> None:
    fault, user, code = FAULTS[case]
    name = "nothing" if case == "nowhere" else "l"
    host.repository("l")
    host.fault = lambda _path: fault
    token = secret(tmp_path / "secret", user) if user else None
    far = remote(host, tmp_path / "a", token, name)
    with pytest.raises(CannotAnswer) as error:
        far.tip(REF)
    told = error.value
    assert told.code == code
    assert f"{host.url}/{name}.git" in told.message
    assert told.why
    assert told.fix
    if code == "git-denied":
        assert ('the secret "ledger-token"' if user else "this user") in told.message
        assert ("a token" if user else "git config --global credential.helper") in told.fix
    if user:
        assert user[1] not in f"{told.message}{told.why}{told.fix}"
    assert all("/elsewhere/" not in request for request in host.requests), "a redirect was followed"


SSH_END = """
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists."""
CURL = "fatal: unable to access 'https://h/l.git/': "
# What well-known hosts, ssh and curl say.
SAID = {
    "git-denied": [
        "remote: Invalid username or token. Password authentication is not supported for Git operations.\n"
        "fatal: Authentication failed for 'https://github.com/a/b.git/'",
        "remote: Permission to a/b.git denied to bot.\n"
        "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 403",
        "remote: HTTP Basic: Access denied. The provided password or token is incorrect.\n"
        "fatal: Authentication failed for 'https://gitlab.com/a/b.git/'",
        "remote: You are not allowed to upload code to this project.\nfatal: the remote end hung up unexpectedly",
        "remote: User permission denied for writing.\nfatal: the remote end hung up unexpectedly",
        "git@github.com: Permission denied (publickey)." + SSH_END,
        "ERROR: The key you are authenticating with has been marked as read only." + SSH_END,
        "No user exists for uid 1000" + SSH_END,
        "error: RPC failed; HTTP 401 curl 22 The requested URL returned error: 401\n"
        "send-pack: unexpected disconnect while reading sideband packet\nfatal: the remote end hung up unexpectedly",
    ],
    "git-untrusted": [
        CURL + "SSL certificate problem: self-signed certificate in certificate chain",
        CURL + "server certificate verification failed. CAfile: none CRLfile: none",
        CURL + "SSL: no alternative certificate subject name matches target host name",
        "Host key verification failed." + SSH_END,
        "@@@@@@@@@@\n"
        + "It is also possible that a host key has just been changed.\n" * 20
        + "Host key verification failed."
        + SSH_END,
    ],
    "git-no-repository": [
        "remote: Repository not found.\nfatal: repository 'https://github.com/a/b.git/' not found",
        "ERROR: Repository not found." + SSH_END,
        "remote: The project you were looking for could not be found or you don't have permission to view it.\n"
        "fatal: repository 'https://gitlab.com/a/b.git/' not found",
        "remote: TF401019: The Git repository with name l does not exist or you do not have permissions.\n"
        "fatal: the remote end hung up unexpectedly",
        "fatal: '/srv/l.git' does not appear to be a git repository" + SSH_END,
    ],
    "git-unreachable": [
        CURL + "Could not resolve host: h",
        CURL + "gnutls_handshake() failed: An unexpected TLS packet was received.",
        CURL + "GnuTLS recv error (-54): Error in the pull function.",
        CURL + "The requested URL returned error: 429",
        CURL + "Operation too slow. Less than 100 bytes/sec transferred",
        "ssh: connect to host h port 22: Connection refused" + SSH_END,
        "ssh: Could not resolve hostname h: Name or service not known" + SSH_END,
        "error: RPC failed; curl 56 Recv failure: Connection reset by peer\nfatal: the remote end hung up unexpectedly",
        "fatal: protocol error: early EOF",
    ],
    "disk-full": ["error: unable to write file objects/pack/tmp_pack_x: No space left on device\nfatal: unpack failed"],
    "git-refused": [
        "fatal: Out of memory, malloc failed (tried to allocate 400000097 bytes)\nfatal: invalid index-pack",
        "fatal: bad object refs/heads/x",
        "remote: fatal: No space left on device",
    ],
}


@pytest.mark.parametrize(("code", "said"), [(code, said) for code, texts in SAID.items() for said in texts])
def test_what_hosts_say_is_understood(tmp_path: Path, code: str, said: str) -> None:
    host = Host.at(
        "https://h/l.git",
        secret=None,
        secret_name="ledger-token",
        scratch=tmp_path,
        environ=ENVIRON,
        timeout_seconds=None,
    )
    told = host.fault(said.encode(), "read")
    assert isinstance(told, CannotAnswer)
    assert told.code == code
    assert "\n" not in f"{told.message}{told.why}{told.fix}"


def test_a_branch_that_cannot_be(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l")
    seed(there, 10)
    call(there, "branch", "-m", "ledger", "ledger/old")
    with pytest.raises(CannotAnswer, match="refuses a push") as error:
        add(remote(host, tmp_path / "a", token), {"a": b"a"})
    assert error.value.code == "git-push-refused"
    assert "refs/heads/ledger/old" in error.value.why
    assert sum(request.endswith("/git-receive-pack") for request in host.requests if "POST" in request) <= 6


def test_a_push_while_another_holds_the_branch(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l")
    lock = there / "refs" / "heads" / "ledger.lock"
    lock.touch()
    pushes = 0

    def release(path: str) -> str:
        nonlocal pushes
        pushes += path.endswith("/git-receive-pack")
        if pushes == 2:
            lock.unlink(missing_ok=True)
        return ""

    host.fault = release
    commit = add(remote(host, tmp_path / "a", token), {"a": b"a"})
    assert call(there, "rev-parse", "ledger").strip() == commit


def test_a_token_that_may_only_read(host: GitHost, tmp_path: Path) -> None:
    seed(host.repository("l"), 10)
    far = remote(host, tmp_path / "a", secret(tmp_path / "secret", READER))
    with pytest.raises(CannotAnswer) as error:
        add(far, {"a": b"a"})
    assert error.value.code == "git-denied"
    assert 'does not let the secret "ledger-token" push' in error.value.message


def test_a_token_that_was_renewed(host: GitHost, tmp_path: Path) -> None:
    host.repository("l")
    far = remote(host, tmp_path / "a", secret(tmp_path / "secret", ("mlgen", "old")))
    with pytest.raises(CannotAnswer):
        far.tip(REF)
    secret(tmp_path / "secret")
    assert far.tip(REF) is None


def test_a_secret_without_its_files(host: GitHost, tmp_path: Path) -> None:
    host.repository("l")
    (tmp_path / "secret").mkdir()
    with pytest.raises(CannotAnswer) as error:
        remote(host, tmp_path / "a", tmp_path / "secret").tip(REF)
    assert error.value.code == "git-denied"
    assert "neither username and password" in error.value.why


def test_a_host_that_says_nothing(tmp_path: Path, token: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        far = git.open_remote(
            f"http://127.0.0.1:{silent.getsockname()[1]}/l.git",
            secret=token,
            scratch=tmp_path / "a",
            environ=ENVIRON,
            timeout_seconds=0.5,
        )
        began = time.monotonic()
        for _ in range(2):  # the second finds its time used up
            with pytest.raises(CannotAnswer, match="cannot be reached") as error:
                far.tip(REF)
            assert "no answer in 0.5 s" in error.value.why
        assert time.monotonic() - began < 3


SSH = """#!/bin/sh
# Stands where ssh would: notes how it was called and what the key's file was like, then runs the command here.
for argument; do
    case $argument in
        -oIdentityFile=*) key=${argument#-oIdentityFile=}; stat -c %a "$key" >>"$LOG"; cat "$key" >>"$LOG" ;;
    esac
    command=$argument
done
echo "$@" >>"$LOG"
exec sh -c "$command"
"""


def test_a_key_is_presented(host: GitHost, tmp_path: Path) -> None:
    there = host.repository("l")
    log, programs, token = tmp_path / "log", tmp_path / "programs", tmp_path / "secret"
    for folder in (programs, token):
        folder.mkdir()
    (programs / "ssh").write_text(SSH.replace("$LOG", str(log)))
    (programs / "ssh").chmod(0o755)
    (token / "ssh-privatekey").write_text("-----KEY-----")
    (token / "ssh-privatekey").chmod(0o644)
    (token / "known_hosts").write_text("git.example ssh-ed25519 AAAA\n")
    environ = {**ENVIRON, "PATH": f"{programs}:{ENVIRON['PATH']}", "GIT_SSH_COMMAND": "false"}
    far = git.open_remote(f"ssh://git@git.example{there}", secret=token, scratch=tmp_path / "a", environ=environ)
    commit = add(far, {"a": b"a"})
    assert call(there, "rev-parse", "ledger").strip() == commit
    mode, key, called = log.read_text().splitlines()[:3]
    assert (mode, key) == ("600", "-----KEY-----")
    assert f"-oUserKnownHostsFile={token}/known_hosts" in called
    assert "-oStrictHostKeyChecking=yes" in called
    assert "-F /dev/null" in called
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["objects.git"], "the copy of the key is gone"


def test_a_user_without_a_secret_is_asked_as_git_asks(host: GitHost, tmp_path: Path) -> None:
    there = host.repository("l")
    askpass = tmp_path / "askpass"
    askpass.write_text(f'#!/bin/sh\ncase "$1" in Username*) echo {WRITER[0]} ;; *) echo {WRITER[1]} ;; esac\n')
    askpass.chmod(0o755)
    commit = add(remote(host, tmp_path / "a", None, environ={**ENVIRON, "GIT_ASKPASS": str(askpass)}), {"a": b"a"})
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[credential]\n\thelper = "!f() {{ echo username={WRITER[0]}; echo password={WRITER[1]}; }}; f"\n'
    )
    helped = remote(host, tmp_path / "b", None, environ={**ENVIRON, "GIT_CONFIG_GLOBAL": str(config)})
    assert helped.tip(REF) == commit == call(there, "rev-parse", "ledger").strip()


def test_what_takes_too_long_is_ended_whole(tmp_path: Path) -> None:
    """git starts a program that talks to the host; neither is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/l.git"
        far = git.open_remote(url, secret=None, scratch=tmp_path / "a", environ=ENVIRON, timeout_seconds=0.3)
        with pytest.raises(CannotAnswer):
            far.tip(REF)
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            left.append((process / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    assert not [command for command in left if url in command]


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch x",
        "-u",
        "file:///srv/l.git",
        "/srv/l.git",
        "../l.git",
        "git://host/l.git",
        "ftp://host/l.git",
        "https://host/a b.git",
        "https://host/\x1b[0m.git",
        "https://user:s3cret@host/l.git",
        "https://s3cret@host/l.git",
        "https://user:a@s3cret@host/l.git",
        "https://user:a/s3cret@host/l.git",
        "https://-x/l.git",
        "-x@host:l.git",
        "https://host",
        "ssh://git:s3cret@host/l.git",
        "https://host/l.git?token=s3cret",
        "",
    ],
)
def test_urls_that_git_is_not_given(tmp_path: Path, url: str) -> None:
    with pytest.raises(Misuse) as error:
        git.open_remote(url, secret=None, scratch=tmp_path / "a", environ=ENVIRON)
    assert error.value.code == "bad-git-url"
    assert "s3cret" not in f"{error.value.message}{error.value.why}{error.value.fix}"


@pytest.mark.parametrize(
    "url",
    ["https://host/l.git", "http://h:3000/a/l", "ssh://git@host:22/l.git", "git@host:a/l.git", "https://[::1]:3000/l"],
)
def test_urls_that_git_is_given(tmp_path: Path, url: str) -> None:
    assert git.open_remote(url, secret=None, scratch=tmp_path / "a", environ=ENVIRON).shown


def test_the_token_is_seen_by_nobody_else(host: GitHost, tmp_path: Path, token: Path) -> None:
    """Neither in what git writes to disk, nor on the command line of a process, nor in what a process inherits."""
    host.repository("l")
    seen: list[str] = []

    def look(path: str) -> str:
        for process in Path("/proc").glob("[0-9]*"):
            for about in ("cmdline", "environ"):
                try:
                    seen.append((process / about).read_bytes().decode(errors="replace"))
                except OSError:
                    continue
        return ""

    host.fault = look
    add(remote(host, tmp_path / "a", token), {"a": b"a"})
    assert any("receive-pack" in request for request in host.requests)
    assert any("remote-http" in text for text in seen)
    assert not [text for text in seen if WRITER[1] in text]
    for path in (tmp_path / "a").rglob("*"):
        assert not path.is_file() or WRITER[1].encode() not in path.read_bytes()


def test_a_hostile_repository_around_runs_nothing(host: GitHost, tmp_path: Path, token: Path) -> None:
    """The scratch, and the folder that the command stands in, lie in a clone whose config names programs."""
    host.repository("l")
    clone, marks, trap = tmp_path / "clone", tmp_path / "ran", tmp_path / "trap"
    marks.mkdir()
    trap.write_text(f'#!/bin/sh\ntouch {marks}/"$$"\n')
    trap.chmod(0o755)
    subprocess.run(["git", "init", "-q", clone], check=True)
    for key, value in {
        "core.sshCommand": str(trap),
        "core.gitProxy": str(trap),
        "core.askPass": str(trap),
        "credential.helper": f"!{trap}",
        "core.fsmonitor": str(trap),
        "core.hooksPath": str(tmp_path),
        "http.proxy": "http://127.0.0.1:1",
        "url.ext::trap.insteadOf": host.url,
        "remote.mlgen-ledger.uploadpack": str(trap),
        "remote.mlgen-ledger.receivepack": str(trap),
        "remote.mlgen-ledger.vcs": "ext",
        "remote.mlgen-ledger.url": f"ext::{trap}",
        "protocol.ext.allow": "always",
        "remote.mlgen-ledger.proxy": "http://127.0.0.1:1",
    }.items():
        subprocess.run(["git", "-C", clone, "config", key, value], check=True)
    environ = {**ENVIRON, "GIT_DIR": str(clone / ".git"), "GIT_SSH_COMMAND": str(trap), "GIT_ASKPASS": str(trap)}
    far = remote(host, clone / ".mlgen" / "scratch", token, environ=environ)
    add(far, {"a": b"a"})
    add(far, {"b": b"b"})
    assert git.refresh(far, "ledger").tip(REF) == far.tip(REF)
    assert list(marks.iterdir()) == []


def test_a_mirror_is_kept_up(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l")
    far = remote(host, tmp_path / "mirror", token)
    assert git.refresh(far, "ledger").tip(REF) is None
    assert git.kept(far, "ledger") is None
    files = seed(there, 1000)
    here = git.refresh(far, "ledger")
    tip = here.tip(REF)
    assert tip is not None
    assert {f.path for f in here.tree_files(tip, "runs")} == set(files)
    host.requests.clear()
    git.refresh(far, "ledger")
    assert [r for r in host.requests if r.startswith("POST")] == [
        "POST /l.git/git-upload-pack"
    ]  # the branch's tip only

    host.sent_bytes = 0
    new = add(remote(host, tmp_path / "a", token), {"runs/new.json": b"new"})
    host.sent_bytes = 0
    again = git.refresh(remote(host, tmp_path / "mirror", token), "ledger")
    assert again.tip(REF) == new
    assert host.sent_bytes < 5000, "only what is new was sent"
    assert call(again.git_dir, "show", "ledger:runs/new.json") == "new"

    host.fault = lambda _path: "drop"
    lost = remote(host, tmp_path / "mirror", token)
    with pytest.raises(CannotAnswer):
        git.refresh(lost, "ledger")
    known = git.kept(lost, "ledger")
    assert known is not None
    assert known[0].tip(REF) == new

    host.fault = git_host.no_fault
    call(there, "update-ref", "-d", "refs/heads/ledger")
    assert git.refresh(far, "ledger").tip(REF) is None


def test_a_mirror_stays_small(host: GitHost, tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlgen.git.mirror._PACKS", 2)
    host.repository("l")
    writer, far = remote(host, tmp_path / "a", token), remote(host, tmp_path / "mirror", token)
    for n in range(5):
        add(writer, {f"runs/{n}.json": b"%d" % n})
        here = git.refresh(far, "ledger")
    assert len(list((here.git_dir / "objects" / "pack").glob("*.pack"))) <= 3
    assert [call(here.git_dir, "show", f"ledger:runs/{n}.json") for n in range(5)] == list("01234")


def test_a_mirror_that_was_broken_is_fetched_anew(host: GitHost, tmp_path: Path, token: Path) -> None:
    there = host.repository("l")
    seed(there, 100)
    far = remote(host, tmp_path / "mirror", token)
    objects = git.refresh(far, "ledger").git_dir
    tip = call(there, "rev-parse", "ledger").strip()

    (objects / "shallow.lock").touch()  # of a git that was killed
    (objects / "refs" / "heads" / "ledger.lock").touch()
    new = add(remote(host, tmp_path / "a", token), {"runs/new.json": b"new"})
    assert git.refresh(remote(host, tmp_path / "mirror", token), "ledger").tip(REF) == new

    for path in objects.rglob("*.pack"):
        path.unlink()
    again = git.refresh(remote(host, tmp_path / "mirror", token), "ledger")
    assert call(again.git_dir, "show", "ledger:runs/new.json") == "new"
    (objects / "refs" / "heads" / "ledger").write_text("garbage\n")
    assert git.refresh(remote(host, tmp_path / "mirror", token), "ledger").tip(REF) == new
    assert tip != new


WATCHED = """
import resource, sys
from pathlib import Path
from mlgen import git
from mlgen.git import RefBroken
far = git.open_remote(sys.argv[1], secret=Path(sys.argv[2]), scratch=Path(sys.argv[3]), secret_name="ledger-token")
try:
    with far.reader() as reader:
        reader.files(reader.get("refs/heads/ledger").oid, ["runs/a"])
except RefBroken as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""


@pytest.mark.parametrize("kind", ["commit", "tree", "blob"])
def test_little_that_becomes_much_is_not_read(host: GitHost, tmp_path: Path, token: Path, kind: str) -> None:
    """A branch's tip, its folder or a file in it, of 80 MB that are 80 KB on their way."""
    there, much = host.repository("l", core_bigFileThreshold="1m"), 80_000_000

    def write(what: str, data: bytes) -> str:
        arguments = ["git", "--git-dir", str(there), "hash-object", "-t", what, "-w", "--literally", "--stdin"]
        return (
            subprocess.run(arguments, env=ENVIRON, input=data, capture_output=True, check=True).stdout.decode().strip()
        )

    blob = write("blob", bytes(much) if kind == "blob" else b"")
    name = b"a" * (much if kind == "tree" else 1)
    folder = write("tree", b"100644 " + name + b"\0" + bytes.fromhex(blob))
    root = write("tree", b"40000 runs\0" + bytes.fromhex(folder))
    who = b"a <a@b> 0 +0000"
    message = b"a" * (much if kind == "commit" else 1)
    tip = write("commit", b"tree %s\nauthor %s\ncommitter %s\n\n%s" % (root.encode(), who, who, message))
    call(there, "update-ref", REF, tip)
    arguments = [f"{host.url}/l.git", str(token), str(tmp_path / "a")]
    environ = {**ENVIRON, "PYTHONPATH": str(Path(git.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], env=environ, capture_output=True, text=True, check=True
    )
    *said, peak = done.stdout.splitlines()
    assert int(peak) < 75, "MiB of the largest process"
    assert bool(said) == (kind != "blob"), done.stdout
    assert all("more memory than it may have" in line for line in said[:1])


def test_a_host_that_drips(host: GitHost, tmp_path: Path, token: Path) -> None:
    """It says where the branch is, and then sends a few bytes a second, which is no silence."""
    seed(host.repository("l"), 10)
    host.fault = lambda path: "drip" if path.endswith("git-upload-pack") else ""
    began = time.monotonic()
    with (
        pytest.raises(CannotAnswer, match="cannot be reached"),
        remote(host, tmp_path / "a", token, timeout_seconds=2.0).reader() as reader,
    ):
        reader.get(REF)
    assert time.monotonic() - began < 10


def test_a_host_that_wants_to_know_the_length_of_a_push(host: GitHost, token: Path, tmp_path: Path) -> None:
    """As some web servers do before a CGI program. More than git's buffer holds is refused: a fold halves it then."""
    host.repository("l")
    host.chunked = False
    far = remote(host, tmp_path / "scratch", token)
    commit = add(far, {"runs/a": os.urandom(3 << 20)})
    assert far.tip(REF) == commit
    with pytest.raises(CannotAnswer) as fault:
        add(far, {"runs/b": os.urandom(17 << 20)})
    assert fault.value.code == "git-push-refused"
    assert "411" in fault.value.why
