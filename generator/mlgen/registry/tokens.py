"""The token dance: what a registry's 401 asks for, and the Authorization that answers it.

Sources: distribution docs, spec/auth/token.md and spec/auth/oauth.md; RFC 9110, 11.6.1 (WWW-Authenticate).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode, urlsplit
from urllib.request import parse_http_list

from mlgen.registry.credentials import Login
from mlgen.registry.failure import Failure, Kind
from mlgen.registry.transport import Answer, Transport, checked, origin

_VISIBLE = re.compile(r"[\x21-\x7e]{1,65536}")
_SCHEME = re.compile(r"(?:^|,)\s*(Basic|Bearer)(?=\s|,|$)", re.IGNORECASE)
CLIENT = "mlgen"


def challenges(headers: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(scheme in small letters, its parameters) of WWW-Authenticate headers; of others, nothing."""
    for header in headers:
        found = list(_SCHEME.finditer(header))
        ends = [*(match.start() for match in found[1:]), len(header)]
        for match, end in zip(found, ends, strict=False):
            pairs = (pair.partition("=") for pair in parse_http_list(header[match.end() : end]))
            given = {name.strip().lower(): _unquoted(value.strip()) for name, _, value in pairs if value}
            yield match[1].lower(), given


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def authorization(answer: Answer, scope: str, login: Login | None, transport: Transport) -> str:
    """The header that a 401 asks for. scope: what is to be done, where the registry does not say. Raises Failure."""
    asked = list(challenges(answer.headers.get("www-authenticate", ())))
    for scheme, given in asked:
        if scheme == "bearer" and given.get("realm"):
            return "Bearer " + _token(answer, given, scope, login, transport)
    if login is None:
        raise Failure(Kind.DENIED, f"{origin(answer.url)} wants a login, and none is kept here")
    if any(scheme == "basic" for scheme, _ in asked) and not login.identity_token:
        return login.basic
    raise Failure(Kind.ODD, f"{origin(answer.url)} wants a login of a kind that mlgen does not have")


def _token(answer: Answer, given: Mapping[str, str], scope: str, login: Login | None, transport: Transport) -> str:
    realm = given["realm"]
    if checked(realm).scheme != "https" and urlsplit(answer.url).scheme == "https":
        raise Failure(Kind.ODD, f"{origin(answer.url)} hands out its tokens without https")
    inside = transport.is_inside(answer.url)
    asks = {"service": given["service"]} if given.get("service") else {}
    asks["scope"] = given.get("scope") or scope
    accept = {"Accept": "application/json"}
    if login is not None and login.identity_token:
        form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": CLIENT, **asks}
        reply = transport.ask("POST", realm, accept, inside=inside, form=form)
    else:
        headers = accept | ({"Authorization": login.basic} if login else {})
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(asks)}"
        reply = transport.ask("GET", url, headers, inside=inside)
    if reply.status in (400, 401, 403, 404):
        kept = "the login that is kept here" if login else "asking without a login"
        raise Failure(Kind.DENIED, f"{origin(realm)}, which hands out tokens, refuses {kept} ({reply.status})")
    if reply.status != 200:
        raise busy(reply) or Failure(Kind.ODD, f"{origin(realm)}, which hands out tokens, answers {reply.status}")
    try:
        found = json.loads(reply.body)
        token = found.get("token") or found.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        token = None
    if not isinstance(token, str) or not _VISIBLE.fullmatch(token):  # it becomes a header
        raise Failure(Kind.ODD, f"{origin(realm)} hands out no token")
    return token


def busy(answer: Answer) -> Failure | None:
    """Whether a host is to be asked again: it has too much to do, or fails. Source: RFC 9110, 10.2.3 and 15.6."""
    if answer.status not in (429, 500, 502, 503, 504):
        return None
    wait = answer.header("retry-after")
    seconds = float(wait) if re.fullmatch(r"[0-9]{1,4}", wait) else 0
    if answer.status == 429:
        why = f"{origin(answer.url)} has had too many requests (429)"
        return Failure(Kind.UNREACHABLE, why, "wait, or log in: users may ask more often", again_after=seconds)
    return Failure(Kind.UNREACHABLE, f"{origin(answer.url)} fails ({answer.status})", "wait", again_after=seconds)
