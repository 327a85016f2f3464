"""References to images: how they are written, and what pulling adds to a short one."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

# A reference as the distribution project defines it: [host[:port]/]path[:tag][@digest].
IMAGE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HUB = "docker.io"
_HUB_API = "registry-1.docker.io"  # docker.io itself is a web site


@dataclass(frozen=True, slots=True)
class Reference:
    """What pulling an image asks for. host: with its port, where one is written. tag: "latest" where none is."""

    host: str
    repository: str
    tag: str

    @property
    def api_host(self) -> str:
        """The host that answers for the registry, with its port."""
        return _HUB_API if self.host == HUB else self.host

    @property
    def is_local(self) -> bool:
        """Whether the registry is this very machine, which everybody speaks plain HTTP with."""
        name = self.host.partition(":")[0].lower()
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"


def parse(reference: str) -> Reference:
    """Raises ValueError for what is no reference, or has a digest already."""
    match = IMAGE.fullmatch(reference)
    if match is None or match["digest"]:
        raise ValueError(f'"{reference[:80]}" is not an image by its tag')
    host, _, repository = with_registry(match["name"]).partition("/")
    return Reference(host, repository, match["tag"] or "latest")


def with_registry(reference: str) -> str:
    """The reference with what pulling adds to a short one. Source: distribution/reference, splitDockerDomain."""
    first, slash, rest = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        if first not in (HUB, f"index.{HUB}"):
            return reference
        reference, slash = rest, "/" if "/" in rest else ""
    return f"{HUB}/{reference}" if slash else f"{HUB}/library/{reference}"
