"""SSH keys to test with, made by the real ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path


def new_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A private key; the public one lies beside it. kind: its type, and "-pem" for OpenSSL's format."""
    name, _, form = kind.partition("-")
    options = ["-m", "PEM"] if form else []
    bits = ["-b", "2048"] if name == "rsa" else []
    command = ["ssh-keygen", "-q", "-t", name, *bits, *options, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def allowed(key: Path, principal: str, options: str = 'namespaces="git"') -> str:
    """The line of an allowed_signers file for a key."""
    public = " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])
    return f"{principal} {options}{' ' if options else ''}{public}\n"
