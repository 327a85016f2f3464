"""URLs. Source: k8s.io/apiserver/pkg/cel/library/urls.go, over Go's net/url; the plain part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote_plus

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import NotEvaluated, Wordless

# What every reader of URLs takes apart alike. The rest is Go's own: it is not guessed.
_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>[A-Za-z0-9._~-]*(?::[0-9]*)?|\[[0-9A-Fa-f:.]+\](?::[0-9]*)?))?"
    r"(?P<path>/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@/-]*)?(?:\?(?P<query>[A-Za-z0-9._~!$&'()*+,=:@/?%-]*))?"
)
_RELATIVE = re.compile(r"[A-Za-z0-9._~-]*")  # Go refuses what is neither a path from the root nor has a scheme
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    host: str
    path: str
    query: str
    cel_type: ClassVar[str] = "kubernetes.URL"


def _parse(text: str) -> Url | None:
    match = _URL.fullmatch(text)
    if match is None or not (match["scheme"] or match["path"]):
        if _RELATIVE.fullmatch(text):
            return None
        raise NotEvaluated(f"the URL {text} is not known to be read alike here")
    if match["query"] and _PERCENT.search(match["query"]):
        raise NotEvaluated(f"the URL {text} is not known to be read alike here")
    return Url((match["scheme"] or "").lower(), match["host"] or "", match["path"] or "", match["query"] or "")


def _url(text: str) -> Url:
    found = _parse(text)
    if found is None:
        raise Wordless(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return found


def _hostname(url: Url) -> str:
    if url.host.startswith("["):
        return url.host[1 : url.host.index("]")]
    return url.host.partition(":")[0]


def _port(url: Url) -> str:
    return url.host.rpartition("]")[2].partition(":")[2]


def _query(url: Url) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in url.query.split("&") if url.query else ():
        if part:
            key, _, value = part.partition("=")
            found.setdefault(unquote_plus(key), []).append(unquote_plus(value))
    return found


FUNCTIONS: dict[str, Implementation] = {
    "url(string) -> url": _url,
    "isURL(string) -> bool": lambda text: _parse(text) is not None,
    "<url>.getScheme() -> string": lambda url: url.scheme,
    "<url>.getHost() -> string": lambda url: url.host,
    "<url>.getHostname() -> string": _hostname,
    "<url>.getPort() -> string": _port,
    "<url>.getEscapedPath() -> string": lambda url: url.path,
    "<url>.getQuery() -> map(string,list(string))": _query,
}
