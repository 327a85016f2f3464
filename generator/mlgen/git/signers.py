"""The SSH keys that may sign a ledger's commits, and whether one of them signed a commit."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path

from mlgen.git.commit_object import BEGIN, END, NAMESPACE, signature_of
from mlgen.git.keygen import keygen, words

_MAGIC = b"SSHSIG"  # source: openssh's PROTOCOL.sshsig
_MAX_SIGNATURE = 16 << 10  # bytes; an RSA key of 16,384 bits signs in 5 KiB
_AT_ONCE, _WINDOW = 4, 256
_TIME = re.compile(r"valid-(?:after|before)=\"?(\d{8})(\d{4})?(\d\d)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who signed a commit. principal: as the allowed signers call the key; None: nobody who may.

    is_signed: whether there is a signature, good or not. reason: why there is no principal; else "".
    """

    principal: str | None
    is_signed: bool
    reason: str = ""


UNSIGNED = Verdict(None, False, "it is not signed")


@dataclass(frozen=True, slots=True)
class Signers:
    """The keys that may sign, and when: the text of an allowed_signers file.

    Its times are UTC's here: ssh-keygen takes one without a Z for the machine's own, so write the Z.
    Source: ssh-keygen(1), ALLOWED SIGNERS.
    """

    text: str
    environ: Mapping[str, str] | None = field(default=None, repr=False, compare=False)
    _known: dict[tuple[bytes, int], str] = field(default_factory=dict, repr=False, compare=False)

    def check(self, commit: bytes, at: datetime) -> Verdict:
        """Who signed a commit object, by the keys that were allowed at a time: the commit's own, as git does it.

        Safe to call from several threads. Raises CannotAnswer "no-ssh-keygen".
        """
        payload, signature = signature_of(commit)
        if signature is None:
            again = any(line.startswith(b"gpgsig") for line in commit.partition(b"\n\n")[0].split(b"\n"))
            return Verdict(None, True, "its signature is not where git looks for it, once") if again else UNSIGNED
        key = _public_key(signature)
        if key is None:
            return Verdict(None, True, "its signature is not an SSH key's")
        with tempfile.TemporaryDirectory(prefix="mlgen-signers-") as scratch:
            folder = Path(scratch)
            (folder / "allowed_signers").write_text(self.text)
            (folder / "signature").write_bytes(signature + b"\n")
            return self._check(folder, payload, key, at.astimezone(UTC))

    def check_all(self, commits: Iterable[tuple[bytes, datetime]]) -> Iterator[Verdict]:
        """As `check`, for many commits in their order, some side by side: each takes a process, for 0.01 s."""
        from concurrent.futures import ThreadPoolExecutor  # here: pods, which check nothing, load this file too

        waiting = iter(commits)
        with ThreadPoolExecutor(_AT_ONCE, "signatures") as pool:
            while window := list(islice(waiting, _WINDOW)):
                yield from pool.map(lambda one: self.check(*one), window)

    def _check(self, folder: Path, payload: bytes, key: bytes, at: datetime) -> Verdict:
        files = ["-f", "allowed_signers", "-s", "signature", f"-Overify-time={at:%Y%m%d%H%M%S}"]
        # Whose a key is changes only where a period begins or ends: asked for once, that halves the processes.
        period = (key, self._period(at))
        if (principal := self._known.get(period)) is None:
            found = keygen(["-Y", "find-principals", *files], folder, self.environ)
            names = found.stdout.decode(errors="replace").splitlines()
            if found.returncode or not names:
                said = words(found.stderr)
                reason = f"{_fingerprint(key)} is not allowed to sign at {at:%Y-%m-%dT%H:%M:%SZ}"
                return Verdict(None, True, f"{reason}{said and f': {said}'}")
            principal = self._known[period] = names[0]
        arguments = ["-Y", "verify", "-n", NAMESPACE, "-I", principal, *files]
        done = keygen(arguments, folder, self.environ, payload)
        if done.returncode:
            return Verdict(
                None, True, f"the signature of {_fingerprint(key)} is not of this commit: {words(done.stderr)}"
            )
        return Verdict(principal, True)

    def _period(self, at: datetime) -> int:
        """Which of the times that the text names are past: between two of them, the same keys are allowed."""
        times = {"".join(match.groups("")).ljust(14, "0") for match in _TIME.finditer(self.text)}
        now = f"{at:%Y%m%d%H%M%S}"
        return sum(2 if time < now else 1 if time == now else 0 for time in times)


def _fingerprint(key: bytes) -> str:
    """Of a public key's bytes, as `ssh-keygen -l` and Git hosts show it."""
    return "SHA256:" + base64.b64encode(sha256(key).digest()).decode().rstrip("=")


def _public_key(signature: bytes) -> bytes | None:
    """The bytes of the key that a signature says it is of. Source: openssh's PROTOCOL.sshsig."""
    body = signature.strip()
    if len(body) > _MAX_SIGNATURE or not body.startswith(BEGIN) or not body.endswith(END):
        return None
    try:
        data = base64.b64decode(body[len(BEGIN) : -len(END)].replace(b"\n", b""), validate=True)
    except binascii.Error:
        return None
    start = len(_MAGIC) + 4  # after it the version
    size = int.from_bytes(data[start : start + 4])
    key = data[start + 4 : start + 4 + size]
    return key if data.startswith(_MAGIC) and size and len(key) == size else None
