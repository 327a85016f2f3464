"""One HTTP exchange with a host that may be hostile: where it may lead, how much it may send, how long it may take.

A reference in a spec names the host, and the host names others (token servers, redirects). Spec and hosts are not
trusted: they must not make this machine ask what only it can reach. urllib3 does the talking.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it on Linux

from mlgen.registry.failure import QUOTED, Failure, Kind

if TYPE_CHECKING:  # it takes 0.1 s, and only who asks a registry needs it
    import urllib3

MAX_BODY_BYTES = (
    4 << 20
)  # what registries themselves take as a manifest. Source: distribution-spec, "Pushing manifests"
CONNECT_SECONDS, READ_SECONDS = 10, 15
REDIRECTS = 5
MAX_CONNECTIONS = 8  # that are kept, to a host
_CHUNK_BYTES = 1 << 16

# Where clouds tell machines who they are; not every one of them is a link-local address.
_METADATA = {ipaddress.ip_address(a) for a in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Answer:
    """url: of the last redirect. headers: by their names in small letters; several of one name are a list."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes
    url: str

    def header(self, name: str) -> str:
        return next(iter(self.headers.get(name, ())), "")


@dataclass(frozen=True)
class Transport:
    """proxies: by scheme, as `getproxies_environment` has them. insecure: hosts (with port) that speak plain HTTP."""

    proxies: Mapping[str, str]
    insecure: frozenset[str] = frozenset()

    @cached_property
    def _peers(self) -> dict[tuple[str, int], Address]:
        return {}

    @cached_property
    def _managers(self) -> dict[tuple[str | None, bool], urllib3.PoolManager]:
        return {}

    def is_plain(self, host: str) -> bool:
        return host in self.insecure

    def is_inside(self, url: str) -> bool:
        """Whether a host that was spoken to is on an address of this network alone."""
        parts = urlsplit(url)
        peer = self._peers.get((parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)))
        return peer is not None and not peer.is_global

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        inside: bool,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, redirects followed. inside: whether the URL may lead to addresses of this network alone.

        Credentials go to the host of `url`, and to no other. Raises Failure when there is no whole answer.
        """
        sent = dict(headers)
        for _ in range(REDIRECTS + 1):
            answer = self._once(method, url, sent, inside, form)
            where = answer.header("location")
            if answer.status not in (301, 302, 303, 307, 308) or not where:
                return answer
            if form is not None:
                raise Failure(Kind.ODD, f"{origin(url)} sends the request for a token elsewhere")
            inside = inside and self.is_inside(url)
            before, url = url, _joined(url, where)
            if urlsplit(before).scheme == "https" and urlsplit(url).scheme != "https":
                raise Failure(Kind.ODD, f"{origin(before)} redirects from https to {urlsplit(url).scheme[:10]}")
            if origin(before) != origin(url):
                sent.pop("Authorization", None)
        raise Failure(Kind.ODD, f"{origin(url)} redirects more than {REDIRECTS} times")

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], inside: bool, form: Mapping[str, str] | None
    ) -> Answer:
        parts = checked(url)
        with suppress(ValueError):  # a name is judged by what it leads to, once it is connected
            self._judge(parts.netloc, _plain_address(parts.hostname or ""), inside)
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        fields: dict[str, Any] = {"fields": dict(form), "encode_multipart": False} if form is not None else {}
        try:
            response = self._manager(parts.scheme, parts.netloc, inside).request(
                method,
                url,
                headers={**headers, "Accept-Encoding": "identity", "User-Agent": "mlgen"},
                timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,  # a few bytes may unpack to gigabytes
                **fields,
            )
            try:
                body = _body(response, origin(url))
            finally:
                response.release_conn()
        except HTTPError as error:
            raise _told(error, url, plain=parts.scheme == "http") from None
        headers_ = {name.lower(): tuple(response.headers.getlist(name)) for name in response.headers}
        return Answer(response.status, headers_, body, url)

    def _manager(self, scheme: str, host: str, inside: bool) -> urllib3.PoolManager:
        proxy = self.proxies.get(scheme) or self.proxies.get("all")
        if proxy and proxy_bypass_environment(host, dict(self.proxies)):
            proxy = None
        key = (proxy, inside)
        if key not in self._managers:  # two threads may make one each: one of them is used by one request
            self._managers[key] = self._new_manager(proxy, inside)
        return self._managers[key]

    def _new_manager(self, proxy: str | None, inside: bool) -> urllib3.PoolManager:
        import urllib3
        from urllib3.connection import HTTPConnection, HTTPSConnection
        from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

        def judge(host: str, port: int, peer: str) -> None:
            address = _plain_address(peer)
            self._peers[host.strip("[]"), port] = address
            self._judge(host, address, inside)

        class Plain(HTTPConnection):
            def _new_conn(self) -> Any:
                return _judged(self, super()._new_conn(), judge)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> Any:
                return _judged(self, super()._new_conn(), judge)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        manager = _behind(proxy) if proxy else urllib3.PoolManager(maxsize=MAX_CONNECTIONS)
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
        return manager

    def _judge(self, host: str, address: Address, inside: bool) -> None:
        """Raises Failure for an address that is not to be spoken to.

        That of a connection, before anything is said: a name may lead elsewhere when it is looked up again.
        """
        if address.is_link_local or address.is_multicast or address in _METADATA:
            raise Failure(Kind.ODD, f"{host} is the address {address}, where no registry is")
        if not inside and not address.is_global:
            raise Failure(Kind.ODD, f"the registry leads to {host}, which is {address}, on this machine's own network")


def _behind(proxy: str) -> urllib3.PoolManager:
    """Connections through a proxy, with the login that its URL has."""
    import urllib3

    parts = urlsplit(proxy)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username is not None else None
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return urllib3.ProxyManager(bare, proxy_headers=headers, maxsize=MAX_CONNECTIONS)


def _judged(connection: Any, sock: Any, judge: Callable[[str, int, str], None]) -> Any:
    if connection.proxy is None:  # else the peer is the proxy, and what it may reach is its own affair
        try:
            judge(connection.host, connection.port, sock.getpeername()[0])
        except BaseException:
            sock.close()
            raise
    return sock


def _plain_address(peer: str) -> Address:
    address = ipaddress.ip_address(peer.partition("%")[0])
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def _body(response: urllib3.BaseHTTPResponse, host: str) -> bytes:
    parts, size = [], 0
    while part := response.read1(_CHUNK_BYTES, decode_content=False):
        size += len(part)
        if size > MAX_BODY_BYTES:
            response.close()
            raise Failure(Kind.ODD, f"{host} sends more than {MAX_BODY_BYTES >> 20} MiB, the most that a manifest has")
        parts.append(part)
    return b"".join(parts)


def _joined(url: str, where: str) -> str:
    """The URL of a redirect, which may be relative. Raises Failure."""
    try:
        found = urljoin(url, where)
    except ValueError:
        found = ""
    checked(found)
    return found


def checked(url: str) -> SplitResult:
    """The parts of a URL that may be asked. Raises Failure."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, fine = urlsplit(""), False
    if not fine or re.search(r"[\x00-\x20\x7f-\U0010ffff]", url):
        raise Failure(Kind.ODD, "the registry leads to what is no http URL")
    if parts.username is not None or parts.password is not None:
        raise Failure(Kind.ODD, f"the registry leads to {parts.hostname} with credentials in the URL")
    return parts


def origin(url: str) -> str:
    """Scheme and host, to be compared and shown: queries and paths may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _told(error: Exception, url: str, *, plain: bool) -> Failure:
    """What the errors of urllib3 mean to people; a host's words are cut, and nothing else of them is shown."""
    from urllib3 import exceptions as e

    where, host = origin(url), urlsplit(url).netloc
    why, fix, kind, again_after = (
        f"{where} breaks off its answer",
        "see whether it speaks https",
        Kind.UNREACHABLE,
        None,
    )
    match error:
        case e.NameResolutionError():
            why, fix = f"there is no host {host}", "mend the name, or the network"
        case e.ProxySchemeUnknown():
            why, fix = "the proxy of this environment is none for http", "see HTTPS_PROXY, ALL_PROXY"
        case e.ProxyError():
            why, fix = f"{where} is not reached through the proxy", "see HTTPS_PROXY, NO_PROXY"
        case e.NewConnectionError():
            reason = str(error).rpartition(": ")[2]
            why, fix = f"{where}: {reason[:QUOTED]}", "see whether it is up, and the network"
        case e.ConnectTimeoutError():  # the kernel tried several times already
            why, fix = (
                f"{where} does not answer: no connection in {CONNECT_SECONDS} s",
                "see the network, and its proxy",
            )
        case e.TimeoutError():
            why, fix, again_after = f"{where} does not answer in time", "", 0
        case e.SSLError() if "WRONG_VERSION_NUMBER" in str(error) or "record layer" in str(error):
            why, fix = f"{host} does not speak https", f"--insecure-registry {host}, if you trust the network between"
        case e.SSLError():
            why = f"the certificate of {where} is not trusted: {str(error)[:QUOTED]}"
            fix = "SSL_CERT_FILE may name a file with the registry's authority"
        case e.LocationValueError():
            why, fix = f"{host} is no name that a host can have", "mend the name"
        case e.InvalidHeader():
            why, fix, kind = f"{where} answers what is no HTTP", "", Kind.ODD
        case _:
            fix, again_after = fix if plain else "", 0
    return Failure(kind, why, fix, again_after=again_after)
