"""Signatures of commits: made here, accepted by git; made by git, accepted here; and what is neither."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Repository, Signer, Signers
from tests.ssh_keys import allowed, new_key

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECONDS = int(AT.timestamp())
FILES = {"runs/2026/11/28/prod/r1.00000000/t-0.00000000.json": b"{}\n"}


@pytest.fixture(params=["sha1", "sha256"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Repository:
    return git.init_bare(tmp_path / "l.git", ENVIRON, object_format=request.param)


def signer(key: Path, scratch: Path | None = None) -> Signer:
    return Signer(key, "the key", scratch, ENVIRON)


def commit(repository: Repository, key: Path | None, *, seconds: int = SECONDS, parent: str | None = None) -> str:
    by = replace(repository, signer=None if key is None else signer(key))
    return by.commit(FILES, parent=parent, message="ledger: 1 record\n\nMlgen-X: 1\n", seconds=seconds)


def data(repository: Repository, oid: str) -> bytes:
    return repository.run("cat-file", "commit", oid)


def git_says(repository: Repository, oid: str, signers: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What a person's own git says of a commit."""
    file = tmp_path / "signers-of-git"
    file.write_text(signers)
    settings = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={file}"]
    command = ["git", *settings, "--git-dir", str(repository.git_dir), "verify-commit", oid]
    return subprocess.run(command, env={**ENVIRON, "TZ": "UTC0"}, capture_output=True, text=True, check=False)


KINDS = ["ed25519", "ecdsa", "rsa", "rsa-pem", "ecdsa-pem"]


@pytest.mark.parametrize("kind", KINDS)
def test_git_accepts_what_we_sign(repository: Repository, tmp_path: Path, kind: str) -> None:
    key = new_key(tmp_path / "key", kind)
    signers = allowed(key, "mlgen@example.com", "")
    oid = commit(repository, key)
    said = git_says(repository, oid, signers, tmp_path)
    assert said.returncode == 0, said.stderr
    assert 'Good "git" signature for mlgen@example.com' in said.stderr
    assert Signers(signers, ENVIRON).check(data(repository, oid), AT).principal == "mlgen@example.com"
    unsigned = commit(repository, None)
    signed = data(repository, oid)
    assert git.signature_of(signed)[0] == data(repository, unsigned)
    assert repository.run("fsck", "--strict", "--no-dangling") == b""


def test_we_accept_what_git_signs(repository: Repository, tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    tree = repository.run("hash-object", "-t", "tree", "-w", "--stdin").decode().strip()
    settings = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", *settings, "--git-dir", str(repository.git_dir), "commit-tree", "-S", "-m", "by hand", tree]
    oid = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=True).stdout.strip()
    verdict = Signers(allowed(key, "*@example.com"), ENVIRON).check(data(repository, oid), AT)
    assert (verdict.principal, verdict.reason) == ("*@example.com", "")


def test_what_a_pod_sees_of_a_key(repository: Repository, tmp_path: Path) -> None:
    """A file that the group may read, without its last newline, without its public half; nothing is left behind."""
    key = new_key(tmp_path / "key")
    public = allowed(key, "mlgen")
    text = key.read_bytes().rstrip(b"\n")
    mounted = tmp_path / "ssh-signingkey"
    mounted.write_bytes(text)
    mounted.chmod(0o440)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    by = replace(repository, signer=signer(mounted, scratch))
    oid = by.commit(FILES, parent=None, message="m\n", seconds=SECONDS)
    assert Signers(public, ENVIRON).check(data(repository, oid), AT).principal == "mlgen"
    assert list(scratch.iterdir()) == []


SECRET = "correct horse battery"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("passphrase", "it has a passphrase"),
        ("passphrase-pem", "it has a passphrase"),
        ("public", "it is a public key"),
        ("text", "it is no private key"),
        ("empty", "no private key"),
        ("large", "more than 65,536 bytes"),
        ("missing", "cannot be read: No such file"),
        ("broken", "Load key"),
    ],
)
def test_a_key_that_cannot_sign_is_told_and_nothing_is_committed_unsigned(
    tmp_path: Path, kind: str, words: str
) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    key = tmp_path / "given"
    good = new_key(tmp_path / "key")
    if kind.startswith("passphrase"):
        key = new_key(tmp_path / "locked", "rsa-pem" if "pem" in kind else "ed25519", SECRET)
    elif kind == "public":
        key.write_bytes(good.with_suffix(".pub").read_bytes())
    elif kind == "broken":
        lines = good.read_text().splitlines()
        key.write_text("\n".join([*lines[:2], *lines[3:]]))
    elif kind != "missing":
        key.write_text({"text": f"{SECRET}\n", "empty": "", "large": "x" * (65 << 10)}[kind])
    with pytest.raises(CannotAnswer) as error:
        commit(repository, key)
    fault = error.value
    assert fault.code == "signing-key"
    assert words in fault.why
    told = f"{fault.message} {fault.why} {fault.fix}"
    assert SECRET not in told
    assert str(tmp_path) not in told
    assert not any(line in told for line in good.read_text().splitlines()[1:-1])


def test_no_ssh_keygen(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    with pytest.raises(CannotAnswer) as error:
        Signer(key, "the key", environ={"PATH": str(tmp_path)}).sign(b"tree " + b"0" * 40 + b"\n\nm")
    assert error.value.code == "no-ssh-keygen"


def test_an_agent_and_a_question_are_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the user's environment nothing reaches ssh-keygen but where programs are."""
    trap = tmp_path / "sprung"
    program = tmp_path / "ask"
    program.write_text(f"#!/bin/sh\ntouch {trap}\necho {SECRET}\n")
    program.chmod(0o755)
    for name in ("SSH_ASKPASS", "SSH_SK_HELPER", "SSH_SK_PROVIDER"):
        monkeypatch.setenv(name, str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(CannotAnswer, match="is no key"):
        Signer(new_key(tmp_path / "locked", "ed25519", SECRET), "the key").sign(b"tree " + b"0" * 40 + b"\n\nm")
    assert not trap.exists()


def test_periods_and_rotation(tmp_path: Path) -> None:
    """A key is judged at the commit's time: what the old one signed in its period stays good."""
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    old, new = new_key(tmp_path / "old"), new_key(tmp_path / "new", "ecdsa")
    signers = Signers(
        allowed(old, "mlgen-1", 'namespaces="git",valid-before="20261201000000Z"')
        + allowed(new, "mlgen-2", 'namespaces="git",valid-after="20261201000000Z"'),
        ENVIRON,
    )
    before, after = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
    found = {}
    for key in (old, new):
        for at in (before, after):
            one = commit(repository, key, seconds=int(at.timestamp()))
            verdict = signers.check(data(repository, one), at)
            found[key.name, at] = verdict.principal
            assert (git_says(repository, one, signers.text, tmp_path).returncode == 0) is (
                verdict.principal is not None
            )
            assert ("is not allowed to sign at" in verdict.reason) is (verdict.principal is None)
    assert found == {("old", before): "mlgen-1", ("old", after): None, ("new", before): None, ("new", after): "mlgen-2"}
    boundary = signers.check(data(repository, commit(repository, old)), datetime(2026, 12, 1, tzinfo=UTC))
    assert boundary.principal == "mlgen-1"


def test_a_key_that_was_taken_away(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    old, new = new_key(tmp_path / "old"), new_key(tmp_path / "new")
    oid = commit(repository, old)
    verdict = Signers(allowed(new, "mlgen"), ENVIRON).check(data(repository, oid), AT)
    assert (verdict.principal, verdict.is_signed) == (None, True)
    said = subprocess.run(["ssh-keygen", "-l", "-f", f"{old}.pub"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] in verdict.reason


def test_what_is_no_signature_of_this_commit(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    key, other = new_key(tmp_path / "key"), new_key(tmp_path / "other")
    signers = Signers(allowed(key, "mlgen"), ENVIRON)
    unsigned, signed = data(repository, commit(repository, None)), data(repository, commit(repository, key))
    head, _, message = signed.partition(b"\n\n")
    header = head[head.index(b"gpgsig ") :]
    foreign = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", key], input=unsigned, capture_output=True, check=True
    ).stdout
    cases = {
        "unsigned": unsigned,
        "another message": signed.replace(b"1 record", b"2 record"),
        "another committer": signed.replace(b"committer mlgen", b"committer other"),
        "another key": data(repository, commit(repository, other)),
        "two": head + b"\n" + header + b"\n\n" + message,
        "the other header": signed.replace(b"gpgsig ", b"gpgsig-sha256 "),
        "PGP": signed.replace(b"SSH SIGNATURE", b"PGP SIGNATURE"),
        "cut": signed.replace(b"\n -----END SSH SIGNATURE-----", b""),
        "no base64": signed.replace(b"\n U1NI", b"\n !1NI", 1),
        "of a file": git.with_signature(unsigned, foreign),
        "in the message": unsigned + b"\n" + header,
        "huge": git.with_signature(unsigned, foreign.replace(b"\nU1NI", b"\nU1NI" + b"A" * 10_000_000)),
    }
    assert signers.check(signed, AT).principal == "mlgen"
    for name, one in cases.items():
        verdict = signers.check(one, AT)
        assert verdict.principal is None, name
        assert verdict.reason, name
        assert verdict.is_signed is (name not in ("unsigned", "in the message")), name


@pytest.mark.parametrize("text", ["", "# nobody\n", "garbage\n", "mlgen ssh-ed25519 !!!\n", "\0\n"])
def test_signers_that_name_nobody(tmp_path: Path, text: str) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    oid = commit(repository, new_key(tmp_path / "key"))
    assert Signers(text, ENVIRON).check(data(repository, oid), AT).principal is None


def test_many_side_by_side(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    key, other = new_key(tmp_path / "key"), new_key(tmp_path / "other")
    signers = Signers(allowed(key, "a") + allowed(other, "b"), ENVIRON)
    commits = [data(repository, commit(repository, (key, other, None)[n % 3], seconds=n)) for n in range(9)]
    found = [verdict.principal for verdict in signers.check_all((one, AT) for one in commits)]
    assert found == ["a", "b", None] * 3
