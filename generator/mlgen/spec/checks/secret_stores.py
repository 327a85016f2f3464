"""`identity` and `external_secrets` of mlgen.yaml: it can be applied, and specs ask for what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.checks.names import rename
from mlgen.spec.external import ExternalSecrets
from mlgen.spec.model import Pipeline, Place, Setting
from mlgen.spec.project import Environment
from mlgen.spec.settings import SecretKey

KEYS = ("store", "identity", "refresh", "secrets", "tokens", "others")

_OBJECT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_REMOTE = re.compile(r"[^\s#]{1,512}(#[^\s#]{1,253})?")
_FORMS = {
    "aws": (
        re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}"),
        "arn:aws:iam::111122223333:role/NAME",
    ),
    "gcp": (
        re.compile(r"[a-z0-9-]{1,64}@[a-z0-9.:-]{1,100}\.gserviceaccount\.com"),
        "NAME@PROJECT.iam.gserviceaccount.com",
    ),
    "azure": (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "the client id, 32 hex digits with -"),
}
_URLS = (("azure", "vault"), ("vault", "server"))


def secret_stores(data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    """The findings of one environment. data: as it is written."""
    yield from _identity(data.get("identity"), place / "identity")
    if isinstance(data.get("identity"), dict) and data.get("service_account", "default") == "default":
        why = "every pod of the namespace runs as `default` that asks for no other account"
        fix = "add service_account: mlgen-runner"
        yield (place / "identity").key_finding("missing-key", "an identity needs a `service_account`", why, fix)
    external, here = data.get("external_secrets"), place / "external_secrets"
    if not isinstance(external, dict):
        return
    yield from _identity(external.get("identity"), here / "identity")
    yield from _store(external, here)
    secrets = _map(external, "secrets")
    for section in ("secrets", "tokens"):
        for name in _map(external, section):
            yield from _named(name, here / section / name)
            if section == "tokens" and name in secrets:
                message, why = f'"{name[:80]}" is a secret and a token', "one Secret would be made twice"
                yield (here / section / name).key_finding("name-collision", message, why, "remove one")
    if secrets and "store" not in external:
        yield here.key_finding("missing-key", "there are `secrets` and no `store`", "", "add store: {aws: {region: …}}")
    for name, keys in secrets.items():
        for key, remote in (keys if isinstance(keys, dict) else {}).items():
            yield from _remote(key, remote, here / "secrets" / name / key)


def _store(external: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    store = _map(external, "store")
    for kind, key in _URLS:
        url = _map(store, kind).get(key)
        if isinstance(url, str) and url and not re.fullmatch(r"https://[^\s/?#@]+(/[^\s?#@]*)?", url):
            where = place / "store" / kind / key
            yield where.finding("bad-uri", f'"{url[:80]}" is not the URL of a store', fix="write https://host")


def _identity(data: object, place: Place) -> Iterator[Diagnostic]:
    for cloud, (form, shown) in _FORMS.items():
        name = data.get(cloud) if isinstance(data, dict) else None
        if isinstance(name, str) and name and not form.fullmatch(name):
            message = f'"{name[:80]}" is no identity of {cloud}'
            yield (place / cloud).finding("bad-name", message, fix=f"write {shown}")


def _named(name: str, place: Place) -> Iterator[Diagnostic]:
    if not _OBJECT.fullmatch(name) or len(name) > 253:
        why = "small letters, digits and -, a letter or digit at both ends"
        yield place.key_finding("bad-name", f'"{name[:80]}" is not the name of a secret', why, rename(name, "-"))


def _remote(key: str, remote: object, place: Place) -> Iterator[Diagnostic]:
    if not _KEY.fullmatch(key):
        why = "letters, digits, - _ and ., at most 253"
        yield place.key_finding("bad-name", f'"{key[:80]}" is not a key of a secret', why, rename(key, "_"))
    if isinstance(remote, str) and remote and not _REMOTE.fullmatch(remote):
        fix = "write a name or path, and after one # a property in it, such as ml/prod/hf#token"
        yield place.finding("bad-value", "this is no place in a store", fix=fix)


def secrets(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """What a task asks for is a key of a Secret that each environment with `external_secrets` says where to find."""
    known = [(e, e.external_secrets) for e in context.project.rendered if e.external_secrets is not None]
    for task in pipeline.all_tasks if known else ():
        setting = task.settings.get("secrets")
        for asked in setting.value.values() if setting and isinstance(setting.value, dict) else ():
            if isinstance(asked, Setting) and isinstance(asked.value, SecretKey):
                yield from _lacking(asked.value, asked.place, known)


def _lacking(asked: SecretKey, place: Place, known: list[tuple[Environment, ExternalSecrets]]) -> Iterator[Diagnostic]:
    without = [(e, external) for e, external in known if not _has(external, asked)]
    if not without:
        return
    _, external = without[0]
    names = ", ".join(e.name for e, _ in without)
    keys = external.keys(asked.secret)
    if keys is None:
        every = sorted({*dict(external.secrets), *dict(external.tokens), *external.others})
        message, guess = f'nothing makes the secret "{asked.secret}" in {names}', near(asked.secret, every)
        why = f"`external_secrets` there has: {listed(every)}"
        fix = f"write {guess}/{asked.key}" if guess else f"add it there: {asked.secret}: {{{asked.key}: path#property}}"
    else:
        message, guess = f'the secret "{asked.secret}" has no key "{asked.key}" in {names}', near(asked.key, keys)
        why = f"its keys: {listed(sorted(keys))}"
        fix = f"write {asked.secret}/{guess or sorted(keys)[0]}, or add the key there"
    yield place.finding("unknown-secret", message, why, fix)


def _has(external: ExternalSecrets, asked: SecretKey) -> bool:
    keys = external.keys(asked.secret)
    return keys == () or (keys is not None and asked.key in keys)


def platform_secrets(environment: Environment, place: Place) -> Iterator[Diagnostic]:
    """What the platform itself asks for, too. place: of the environment."""
    external = environment.external_secrets
    if external is None:
        return
    asked: list[tuple[str | None, Place, tuple[tuple[str, ...], ...]]] = [
        (environment.s3.secret, place / "s3" / "secret", (_AWS,)),
        (environment.ledger.secret, place / "ledger" / "secret", (_BASIC, _SSH)),
    ]
    asked += [(s3.secret, place / "buckets" / name / "secret", (_AWS,)) for name, s3 in environment.buckets]
    pulls = enumerate(environment.image_pull_secrets)
    asked += [(name, place / "image_pull_secrets" / at, ((".dockerconfigjson",),)) for at, name in pulls]
    for name, token in external.tokens:
        app, _, key = (token.get("private_key") or "").partition("/")
        if app:
            asked.append((app, place / "external_secrets" / "tokens" / name / token.kind / "private_key", ((key,),)))
    for secret, where, choices in asked:
        keys = external.keys(secret) if secret is not None else ()
        if keys is None:
            why = "`external_secrets` of this environment does not have it"
            fix = "add it there, or to its `others` if somebody else makes it"
            yield where.finding("unknown-secret", f'nothing makes the secret "{secret}"', why, fix)
        elif keys and not any(set(choice) <= set(keys) for choice in choices):
            wanted = ", or ".join(" and ".join(choice) for choice in choices)
            fix = "give these keys their places in the store"
            yield where.finding("unknown-secret", f'the secret "{secret}" lacks keys', f"it needs {wanted}", fix)


_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_BASIC, _SSH = ("username", "password"), ("ssh-privatekey", "known_hosts")


def _map(data: dict[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}
