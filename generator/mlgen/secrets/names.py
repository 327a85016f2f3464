"""What a name says of the value that stands under it: that it is secret, or that it may look random."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from mlgen.secrets.shapes import is_placeholder
from mlgen.secrets.words import unexplained

_PASSWORDS = frozenset(["password", "passwd", "pwd", "passphrase", "passwort"])
_SHORT = frozenset(["pass", "pw"])  # a password's, of an account; else also what goes over data for a second time
_ACCOUNTS = frozenset({
    "db", "database", "user", "admin", "root", "login", "mysql", "pg", "postgres", "redis", "mongo", "smtp", "mail",
    "ldap", "ftp", "ssh", "git", "registry", "proxy", "basic", "auth",
})  # fmt: skip
_TOKENS = frozenset(["token", "secret", "apikey", "credential", "credentials", "auth", "authorization", "accesskey"])
_KEYS = frozenset({
    "api", "access", "private", "secret", "signing", "encryption", "account", "auth", "service", "wandb", "openai",
    "anthropic", "hf", "huggingface", "neptune", "comet", "mlflow", "azure", "aws", "github", "gitlab", "kaggle",
})  # fmt: skip
_KINDS = {"token": "a token", "key": "a key", "apikey": "a key", "accesskey": "a key"}
_NAMES = _PASSWORDS | _SHORT | _TOKENS | {"key"}
# Of a language model's vocabulary, or of a list that is read in pages.
_HARMLESS_TOKENS = frozenset({
    "pad", "eos", "bos", "sep", "cls", "mask", "unk", "special", "stop", "start", "end", "first", "last", "next",
    "page", "continuation", "sync", "prefix", "image", "audio", "video",
})  # fmt: skip
# What is named so may look random.
_IDS = frozenset({
    "id", "uid", "uuid", "digest", "hash", "hashes", "checksum", "etag", "md5", "sha", "sha1", "sha256", "sha384",
    "sha512", "crc32", "integrity", "fingerprint", "revision", "version", "commit", "ref", "cursor",
})  # fmt: skip
_WRAPPINGS = frozenset(["value", "default", "text"])  # of what has its name elsewhere
_TELLING = 64  # characters of a value: a text may have as many values as words, one in another

_NAME_PART = re.compile(r"[A-Z]?[a-z]+[0-9]*|[A-Z]+(?![a-z])[0-9]*|[0-9]+")


def _ending(name: str) -> tuple[str, str]:
    """The last two words of a name, in lower case and the last one singular; "" where there are none."""
    *_, before, last = ("", "", *(part.lower() for part in _NAME_PART.findall(name[-40:])))
    one = last.removesuffix("s")
    # "tokens" alone are those of a text.
    is_plural = one in _IDS or (one in _NAMES and (one != "token" or before in _KEYS))
    return before, one if is_plural else last


def named(name: str, value: str, *, sentence: bool = False) -> str | None:
    """What a value is that stands under a name, if its name calls it secret; None if not.

    sentence: it may be a word of one, which a password is not taken for.
    """
    if not name or len(value) < 4:
        return None
    before, last = _ending(name)
    value = value[:_TELLING]
    if last not in _NAMES or is_placeholder(value):
        return None
    if last in _PASSWORDS or (last in _SHORT and before in _ACCOUNTS):
        return None if sentence and not unexplained(value) else "a password"
    is_token = last in _SHORT or (last in _TOKENS and before not in _HARMLESS_TOKENS)
    if not is_token and not (last == "key" and before in _KEYS):
        return None
    if len(value) < 8 or value.split() != [value] or unexplained(value) < 8:
        return None
    if last in _SHORT:
        return None if value in (value.lower(), value.upper()) else "a password"
    return _KINDS.get(last, "a secret")


def explains(name: str) -> bool:
    """Whether what stands under a name may look random: an id, a digest, where a list goes on."""
    before, last = _ending(name)
    return last in _IDS or (last == "token" and before in _HARMLESS_TOKENS)


def names_in_object(pairs: Collection[tuple[str, object]], name: str) -> Iterator[str]:
    """The name under which each value of an object stands that stands under one itself.

    Mostly its key. A container's environment has `{"name": "DB_PASSWORD", "value": …}`, others `{"password": {"value":
    …}}`; and what Kaggle gives its users to keep is `{"username": …, "key": …}`.
    """
    told = {key.lower(): value for key, value in pairs}
    subject = told.get("name", told.get("key"))
    for key, _ in pairs:
        match key.lower():
            case "key" if "username" in told:
                yield "api_key"
            case wrapping if wrapping in _WRAPPINGS:
                yield subject if isinstance(subject, str) else name or key
            case _:
                yield key


def names_in_list(items: Sequence[object], name: str) -> Iterator[str]:
    """The same of a list: its own name; of arguments of a program, the option before, as in ["--token", …]."""
    option = ""
    for item in items:
        is_option = isinstance(item, str) and item.startswith("-")
        yield name if is_option else option or name
        option = str(item) if is_option and "=" not in str(item) else ""
