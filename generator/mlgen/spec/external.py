"""Where an environment's Secrets come from, and who its pods are in a cloud: as typed, frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REFRESH_SECONDS = 900
CLOUDS = ("aws", "gcp", "azure")
STORES = ("name", "aws", "gcp", "azure", "vault")
TOKENS = ("github", "ecr", "gcr", "acr")

Settings = tuple[tuple[str, str | tuple[str, ...]], ...]  # as mlgen.yaml has them, sorted by key


@dataclass(frozen=True, slots=True)
class Identity:
    """cloud: aws, gcp or azure. name: a role's ARN, a service account's e-mail, a client id."""

    cloud: str
    name: str


@dataclass(frozen=True, slots=True)
class Provider:
    """Who keeps secrets (kind of STORES) or issues a token (kind of TOKENS), and how it is asked."""

    kind: str
    settings: Settings

    def get(self, key: str) -> str | None:
        found = dict(self.settings).get(key)
        return found if isinstance(found, str) else None

    def listed(self, key: str) -> tuple[str, ...]:
        found = dict(self.settings).get(key, ())
        return found if isinstance(found, tuple) else ()


@dataclass(frozen=True, slots=True)
class ExternalSecrets:
    """secrets: Secret -> key -> place in the store, "path#property" or "path". tokens: Secret -> who issues it.

    identity: of the operator when it reads for this environment. others: Secrets that somebody else makes.
    """

    store: Provider | None = None
    identity: Identity | None = None
    refresh_seconds: int = REFRESH_SECONDS
    secrets: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    tokens: tuple[tuple[str, Provider], ...] = ()
    others: tuple[str, ...] = ()

    def keys(self, secret: str) -> tuple[str, ...] | None:
        """The keys that a Secret will have; none where that cannot be told; None for a Secret that nobody makes."""
        if secret in self.others:
            return ()
        token = dict(self.tokens).get(secret)
        if token is not None:
            return ("username", "password") if token.kind == "github" else (".dockerconfigjson",)
        found = dict(self.secrets).get(secret)
        return None if found is None else tuple(key for key, _ in found)


def identity(data: object) -> Identity | None:
    """What mlgen.yaml says; None where nothing can be read."""
    for cloud in CLOUDS:
        if isinstance(data, dict) and isinstance(data.get(cloud), str):
            return Identity(cloud, data[cloud])
    return None


def external_secrets(data: object, refresh_seconds: int | None) -> ExternalSecrets | None:
    """What mlgen.yaml says, as far as it can be read; None where the key is absent."""
    if not isinstance(data, dict):
        return None
    secrets = _map(data.get("secrets"))
    tokens = {name: _provider(value, TOKENS) for name, value in sorted(_map(data.get("tokens")).items())}
    others = data.get("others")
    return ExternalSecrets(
        _provider(data.get("store"), STORES),
        identity(data.get("identity")),
        refresh_seconds or REFRESH_SECONDS,
        tuple((name, _texts(_map(keys))) for name, keys in sorted(secrets.items())),
        tuple((name, token) for name, token in tokens.items() if token is not None),
        tuple(name for name in others if isinstance(name, str)) if isinstance(others, list) else (),
    )


def _provider(data: object, kinds: tuple[str, ...]) -> Provider | None:
    for kind in kinds:
        value = _map(data).get(kind)
        if kind == "name" and isinstance(value, str):
            return Provider(kind, (("name", value),))
        if isinstance(value, dict):
            lists = {k: tuple(i for i in v if isinstance(i, str)) for k, v in value.items() if isinstance(v, list)}
            settings: dict[str, str | tuple[str, ...]] = {**dict(_texts(value)), **lists}
            return Provider(kind, tuple(sorted(settings.items())))
    return None


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in sorted(data.items()) if isinstance(value, str))
