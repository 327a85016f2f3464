"""Signing commits with an SSH key, so that `git verify-commit` takes them (gpg.format=ssh)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.git.commit_object import BEGIN, NAMESPACE, with_signature
from mlgen.git.keygen import keygen, words

IN_SECRET = "ssh-signingkey"  # the file of a ledger's Secret that holds the key
_MAX_KEY = 64 << 10  # bytes


def signer_of(
    secret: Path | None, secret_name: str = "", *, scratch: Path | None = None, environ: Mapping[str, str] | None = None
) -> Signer | None:
    """Who signs with the key of a Secret's folder; None where it has none. secret_name: what errors call it."""
    if secret is None or not (secret / IN_SECRET).is_file():
        return None
    shown = f'the secret "{secret_name}"' if secret_name else str(secret)
    return Signer(secret / IN_SECRET, f"{IN_SECRET} of {shown}", scratch, environ)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with a private key that has no passphrase: nobody is there to be asked for one, nor is an agent.

    key: the file; it is read at each signature, so a key that was renewed is the one that signs. shown: what errors
    call it. scratch: where a copy, of this user alone, may lie meanwhile; None: the system's folder for such.
    environ: the process's; None: its own.
    """

    key: Path
    shown: str
    scratch: Path | None = None
    environ: Mapping[str, str] | None = field(default=None, repr=False, compare=False)

    def sign(self, commit: bytes) -> bytes:
        """The commit object, signed. Raises CannotAnswer "signing-key"."""
        # ssh-keygen takes no key that others may read, and a mounted Secret is readable by the pod's group.
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="key-") as scratch:
            folder = Path(scratch)
            key = folder / "key"
            key.touch(0o600)
            key.write_bytes(self._bytes())
            # Not every format of a private key says its public one, and `-Y sign` then wants that beside it. This also
            # is what tells of a passphrase: `-Y sign` would ask for it, and take the commit for the answer.
            done = keygen(["-y", "-P", "", "-f", "key"], folder, self.environ)
            if done.returncode == 0:
                (folder / "key.pub").write_bytes(done.stdout)
                done = keygen(["-Y", "sign", "-n", NAMESPACE, "-f", "key"], folder, self.environ, commit)
        if done.returncode or not done.stdout.startswith(BEGIN):
            raise self._fault(done.stderr)
        return with_signature(commit, done.stdout)

    def _bytes(self) -> bytes:
        try:
            with self.key.open("rb") as file:
                data = file.read(_MAX_KEY + 1)
        except OSError as error:
            raise self._unusable(f"it cannot be read: {error.strerror}") from None
        if len(data) > _MAX_KEY:
            raise self._unusable(f"it has more than {_MAX_KEY:,} bytes: it is no key")
        return data + b"\n"  # ssh wants a newline at its end, and values of Secrets have often lost it

    def _fault(self, stderr: bytes) -> CannotAnswer:
        said, data = words(stderr), self._bytes().strip()
        if "passphrase" in said:
            return self._unusable("it has a passphrase, which nobody is there to type")
        if data.startswith((b"ssh-", b"ecdsa-", b"sk-")):
            return self._unusable("it is a public key; the private one signs")
        if not data.startswith(b"-----BEGIN"):
            return self._unusable("it is no private key")
        # What ssh-keygen says has names of files and libraries in it, and nothing of a key's text.
        return self._unusable(said or "ssh-keygen ended without a word")

    def _unusable(self, why: str) -> CannotAnswer:
        return CannotAnswer(
            "signing-key",
            f"{self.shown} is no key that the ledger's commits can be signed with",
            why=f"{why}; no commit is made unsigned in its place, and the records wait",
            fix="`ssh-keygen -t ed25519 -N '' -f FILE` makes one; keys of an agent or a security token cannot be used",
        )
