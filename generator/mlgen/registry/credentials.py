"""Credentials of registries, where `docker login` and `podman login` keep them; programs that hold them are asked."""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mlgen.registry.failure import QUOTED, Failure, Kind
from mlgen.registry.reference import HUB, Reference

HELPER_SECONDS = 30
MAX_CONFIG_BYTES = 1 << 20
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB_KEY = "https://index.docker.io/v1/"  # what `docker login` calls Docker Hub
_NO_USER = "<token>"  # the user of an identity token. Source: docker-credential-helpers, README


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password, or an identity token: one that is exchanged for others. Neither is ever shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Credentials:
    """files: those that may hold logins; the first with one for an image is meant."""

    files: tuple[Path, ...] = ()
    _told: dict[tuple[str, str], Login | None] = field(default_factory=dict, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @staticmethod
    def of(environ: Mapping[str, str]) -> Credentials:
        """Where docker and podman look. Sources: docker-login(1), containers-auth.json(5)."""
        home = Path(environ["HOME"]) if environ.get("HOME") else None
        files = [Path(environ["REGISTRY_AUTH_FILE"])] if environ.get("REGISTRY_AUTH_FILE") else []
        if environ.get("DOCKER_CONFIG"):
            files.append(Path(environ["DOCKER_CONFIG"], "config.json"))
        if environ.get("XDG_RUNTIME_DIR"):
            files.append(Path(environ["XDG_RUNTIME_DIR"], "containers/auth.json"))
        if home:
            files += [home / ".config/containers/auth.json", home / ".docker/config.json"]
        return Credentials(tuple(files))

    @cached_property
    def _configs(self) -> list[tuple[Path, dict[str, Any]]]:
        return [(path, config) for path in self.files if (config := _read(path))]

    def find(self, image: Reference) -> Login | None:
        """The login for an image; None: it is asked for as by anybody. Raises Failure for what cannot be read."""
        for path, config in self._configs:
            if login := self._in(path, config, image):
                return login
        return None

    def _in(self, path: Path, config: dict[str, Any], image: Reference) -> Login | None:
        keys = list(_keys(image))
        helpers, auths, store = _map(config, "credHelpers"), _map(config, "auths"), config.get("credsStore")
        for key in keys:
            if isinstance(program := helpers.get(key), str):
                return self._asked(program, key)
        hub = image.host == HUB
        if isinstance(store, str) and store and (login := self._asked(store, _HUB_KEY if hub else image.host)):
            return login
        for key in keys:
            if isinstance(auth := auths.get(key), dict) and (login := _login(path, auth)):
                return login
        return None

    def _asked(self, program: str, key: str) -> Login | None:
        """What a program says of a registry. It is asked once, and by one thread: it may ask the user, or take long."""
        with self._turn:
            if (program, key) not in self._told:
                self._told[program, key] = _asked(program, key)
            return self._told[program, key]


def _read(path: Path) -> dict[str, Any]:
    fix = "mend or remove it: `docker login` writes it anew"
    try:
        with path.open("rb") as stream:
            config = json.loads(stream.read(MAX_CONFIG_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Failure(Kind.DENIED, f"{path}, with the logins of registries: {error.strerror}", fix) from None
    except (ValueError, RecursionError):  # its text is not shown: it holds passwords
        raise Failure(Kind.DENIED, f"{path}, with the logins of registries, is not JSON", fix) from None
    return config if isinstance(config, dict) else {}


def _map(config: dict[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _keys(image: Reference) -> Iterator[str]:
    """What a login for an image may be filed under, the closest first: a repository, a folder of them, the host."""
    parts = [image.host, *image.repository.split("/")]
    for end in range(len(parts), 0, -1):
        yield "/".join(parts[:end])
    if image.host == HUB:
        yield from (_HUB_KEY, f"index.{HUB}", image.api_host)
    yield from (f"https://{image.host}{path}" for path in ("", "/", "/v1/", "/v2/"))


def _login(path: Path, auth: dict[str, Any]) -> Login | None:
    user, password, token = (auth.get(key) for key in ("username", "password", "identitytoken"))
    if isinstance(encoded := auth.get("auth"), str) and encoded:
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().rstrip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            why = f"an `auth` in {path} is not base64 of user:password"
            raise Failure(Kind.DENIED, why, "log in again: `docker login` writes it anew") from None
    token = token if isinstance(token, str) else ""
    if not token and not (isinstance(user, str) and user and isinstance(password, str)):
        return None
    if not _is_text(user, password, token):
        why = f"a login in {path} is not text: half of a character stands alone in it"
        raise Failure(Kind.DENIED, why, "log in again: `docker login` writes it anew")
    return Login(str(user or ""), str(password or ""), token)


def _is_text(*values: object) -> bool:
    """Whether it can be sent: JSON may have half of a character, as an escape, which no encoding has."""
    return all(c < "\ud800" or c > "\udfff" for value in values for c in str(value or ""))


def _asked(program: str, key: str) -> Login | None:
    """What a program says of a registry. Source: docker-credential-helpers, `get`."""
    name = f"docker-credential-{program}"
    if not _PROGRAM.fullmatch(program):
        raise Failure(Kind.DENIED, "the name of a credential helper in docker's config cannot be one", "mend it there")
    try:
        done = subprocess.run(
            [name, "get"], input=key.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        why = f"{name}, which keeps the login, did not answer in {HELPER_SECONDS} s"
        raise Failure(Kind.DENIED, why, f"see what it waits for: echo {key} | {name} get") from None
    except OSError as error:
        why = f"{name}, which keeps the login by docker's config, cannot be started: {error.strerror}"
        raise Failure(Kind.DENIED, why, "install it, or take it out of the config") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        if "credentials not found" in said or "no credentials" in said:
            return None
        why = f"{name}, which keeps the login, says: {said[:QUOTED] or f'exit {done.returncode}'}"
        raise Failure(Kind.DENIED, why, f"log in again, or see: echo {key} | {name} get")
    try:
        found = json.loads(done.stdout)
        user, secret = found["Username"], found["Secret"]
        if not _is_text(user, secret):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):  # what it printed may be a password: it is not shown
        raise Failure(Kind.DENIED, f"{name} printed no Username and Secret as JSON", "upgrade it") from None
    return Login("", "", str(secret)) if user == _NO_USER else Login(str(user), str(secret))
