"""Addresses and networks. Source: k8s.io/apiserver/pkg/cel/library/{ip,cidr}.go, over Go's net/netip."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, ClassVar

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import CelError, NotEvaluated, Wordless


@dataclass(frozen=True, slots=True)
class Ip:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    cel_type: ClassVar[str] = "net.IP"


@dataclass(frozen=True, slots=True)
class Cidr:
    """address: as written, with the bits of the host."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    bits: int
    cel_type: ClassVar[str] = "net.CIDR"

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network((self.address, self.bits), strict=False)


def _address(text: str) -> Ip | None:
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped else Ip(address)


def _ip(text: str) -> Ip:
    found = _address(text)
    if found is None:
        raise _refused("IP Address", text)
    return found


def _refused(what: str, text: str) -> CelError:
    # The API server's words go on with what Go's parser says of the text.
    return Wordless(f'{what} "{text}" parse error during conversion from string')


def _network(text: str) -> Cidr | None:
    head, slash, bits = text.partition("/")
    address = _address(head)
    if not slash or address is None or not bits.isascii() or not bits.isdigit():
        return None
    if (len(bits) > 1 and bits[0] == "0") or int(bits) > address.address.max_prefixlen:
        return None
    return Cidr(address.address, int(bits))


def _cidr(text: str) -> Cidr:
    found = _network(text)
    if found is None:
        raise _refused("network address", text)
    return found


def _other(found: Any) -> Any:
    if found is None:
        raise CelError("no such overload")
    return found


def _contains_ip(cidr: Cidr, ip: Ip) -> bool:
    return ip.address in cidr.network


def _contains_cidr(cidr: Cidr, other: Cidr) -> bool:
    return other.bits >= cidr.bits and other.address in cidr.network


def _global_unicast(ip: Ip) -> bool:
    a = ip.address
    if isinstance(a, ipaddress.IPv4Address) and a == ipaddress.IPv4Address("255.255.255.255"):
        return False
    return not (a.is_unspecified or a.is_loopback or a.is_multicast or a.is_link_local)


def _link_local_multicast(ip: Ip) -> bool:
    a = ip.address
    if isinstance(a, ipaddress.IPv4Address):
        return a in ipaddress.IPv4Network("224.0.0.0/24")
    return a.is_multicast and (int(a) >> 112) & 0xF == 2


def _canonical(text: str) -> bool:
    found = _address(text)
    if found is None:
        raise _refused("IP Address", text)
    if isinstance(found.address, ipaddress.IPv6Address) and "." in text:
        raise NotEvaluated("an IPv6 address that holds an IPv4 one")
    return str(found.address) == text


FUNCTIONS: dict[str, Implementation] = {
    "ip(string) -> ip": _ip,
    "isIP(string) -> bool": lambda text: _address(text) is not None,
    "ip.isCanonical(string) -> bool": _canonical,
    "<ip>.family() -> int": lambda ip: ip.address.version,
    "<ip>.isUnspecified() -> bool": lambda ip: ip.address.is_unspecified,
    "<ip>.isLoopback() -> bool": lambda ip: ip.address.is_loopback,
    "<ip>.isLinkLocalMulticast() -> bool": _link_local_multicast,
    "<ip>.isLinkLocalUnicast() -> bool": lambda ip: ip.address.is_link_local,
    "<ip>.isGlobalUnicast() -> bool": _global_unicast,
    "cidr(string) -> cidr": _cidr,
    "isCIDR(string) -> bool": lambda text: _network(text) is not None,
    "<cidr>.containsIP(ip) -> bool": _contains_ip,
    "<cidr>.containsIP(string) -> bool": lambda cidr, text: _contains_ip(cidr, _other(_address(text))),
    "<cidr>.containsCIDR(cidr) -> bool": _contains_cidr,
    "<cidr>.containsCIDR(string) -> bool": lambda cidr, text: _contains_cidr(cidr, _cidr(text)),
    "<cidr>.ip() -> ip": lambda cidr: Ip(cidr.address),
    "<cidr>.masked() -> cidr": lambda cidr: Cidr(cidr.network.network_address, cidr.bits),
    "<cidr>.prefixLength() -> int": lambda cidr: cidr.bits,
}
