"""Repositories with a history, made by real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def run_git(folder: Path, *arguments: str, data: bytes = b"") -> str:
    """What git prints, without the last line's end."""
    settings = ("-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | IDENTITY
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=folder, env=environ, input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")


def lay(root: Path, files: dict[str, str]) -> None:
    """Files below a folder."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def commit(root: Path, message: str = "x") -> str:
    """Commit all that lies in a work tree; the commit's id."""
    run_git(root, "add", "-A")
    run_git(root, "commit", "-q", "--allow-empty", "-m", message)
    return run_git(root, "rev-parse", "HEAD")


def repository(root: Path, files: dict[str, str], *, object_format: str = "sha1") -> str:
    """A repository with one commit; its id."""
    root.mkdir(parents=True, exist_ok=True)
    run_git(root, "init", "-q", f"--object-format={object_format}")
    lay(root, files)
    return commit(root)


def tree(root: Path, entries: list[tuple[str, str, str]]) -> str:
    """The id of a commit made by hand. entries: mode, id and name of each; what they are is asked of nobody."""
    data = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid) for mode, oid, name in entries)
    made = run_git(root, "hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=data)
    return run_git(root, "commit-tree", made, "-m", "x")


def blob(root: Path, text: str) -> str:
    """The id of a blob."""
    return run_git(root, "hash-object", "-w", "--stdin", data=text.encode())
