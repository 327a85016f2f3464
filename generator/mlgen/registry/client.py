"""The digest that a tag has, asked of its registry. Source: OCI distribution-spec 1.1, "Pulling manifests"."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mlgen.registry.credentials import Credentials, Login
from mlgen.registry.failure import Failure, Kind
from mlgen.registry.reference import DIGEST, Reference
from mlgen.registry.tokens import authorization, busy
from mlgen.registry.transport import Answer, Transport, origin

# The index first: a node takes from it what its processor needs. A digest of one platform's manifest would not run on
# the others.
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
PAUSES_SECONDS = (0.5, 1, 2)  # between tries
LONGEST_PAUSE_SECONDS = 20
MAX_TAGS = 1000

T = TypeVar("T")


@dataclass(frozen=True)
class Registries:
    """All registries, as one user asks them. Threads may share it. pauses: seconds between tries."""

    transport: Transport
    credentials: Credentials
    pauses: tuple[float, ...] = PAUSES_SECONDS
    # (host, repository) -> the Authorization that worked
    _known: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def digest(self, image: Reference, known: str | None = None) -> str:
        """The digest of a tag: of the index, where the image is there for several platforms. Raises Failure.

        known: a digest that was verified before: where the tag still has it, its bytes are not asked for again.
        """
        return self._patiently(lambda: self._digest(image, known))

    def tags(self, image: Reference) -> tuple[str, ...] | None:
        """Tags of the image's repository, 1,000 at most; None where there is no such repository. Raises Failure."""
        answer = self._patiently(lambda: self._ask(image, "GET", f"tags/list?n={MAX_TAGS}"))
        if answer.status != 200:
            return None
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            return ()
        tags = found.get("tags") if isinstance(found, dict) else None
        return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()

    def _patiently(self, ask: Callable[[], T]) -> T:
        for pause in self.pauses:
            try:
                return ask()
            except Failure as failure:
                if failure.again_after is None or failure.again_after > LONGEST_PAUSE_SECONDS:
                    raise
                time.sleep(max(pause, failure.again_after))
        return ask()

    def _digest(self, image: Reference, known: str | None) -> str:
        head = self._ask(image, "HEAD", f"manifests/{image.tag}")
        said = head.header("docker-content-digest") if head.status == 200 else ""
        if said and said == known:
            return said
        # Some registries answer no HEAD, or do not name the digest: then the bytes tell it.
        body = self._ask(image, "GET", f"manifests/{said if DIGEST.fullmatch(said) else image.tag}")
        if body.status == 404:
            raise Failure(Kind.UNKNOWN, f"{image.host} has no {image.repository}:{image.tag}")
        _check(body)
        found = f"sha256:{hashlib.sha256(body.body).hexdigest()}"
        for claimed in (said, body.header("docker-content-digest")):
            if claimed and claimed != found:
                what = f"says that {image.repository}:{image.tag} is {claimed[:80]}, and sends {found}"
                raise Failure(Kind.ODD, f"{image.host} {what}")
        return found

    def _ask(self, image: Reference, method: str, path: str) -> Answer:
        key = (image.host, image.repository)
        answer = self._once(image, method, path, self._known.get(key))
        if answer.status == 401:
            scope = f"repository:{image.repository}:pull"
            login = self.credentials.find(image)
            self._known[key] = authorization(answer, scope, login, self.transport)
            answer = self._once(image, method, path, self._known[key])
        if answer.status in (401, 403):
            self._known.pop(key, None)
            # Many answer the same of what is not there: who may not read must not learn what there is.
            why = f"{image.host} does not let {_who(self.credentials.find(image))} read {image.repository}"
            raise Failure(Kind.DENIED, f"{why}, or has none ({answer.status})")
        if failure := busy(answer):
            raise failure
        return answer

    def _once(self, image: Reference, method: str, path: str, authorized: str | None) -> Answer:
        scheme = "http" if image.is_local or self.transport.is_plain(image.host) else "https"
        url = f"{scheme}://{image.api_host}/v2/{image.repository}/{path}"
        headers = {"Accept": ", ".join(MANIFESTS)} | ({"Authorization": authorized} if authorized else {})
        answer = self.transport.ask(method, url, headers, inside=True)
        if answer.status == 401 and origin(answer.url) != origin(url):
            # Whom a registry leads to, by a redirect that anybody may have put there, is not whom the login is for.
            why = f"{image.host} leads to {origin(answer.url)}, which wants a login: that of {image.host} stays here"
            raise Failure(Kind.DENIED, why, "name the image at the host that has it, if you trust that one")
        return answer


def _who(login: Login | None) -> str:
    return "the login that is kept here" if login else "everybody"


def _check(answer: Answer) -> None:
    """Raises Failure for what is no manifest of a kind that is pulled by its digest."""
    kind = answer.header("content-type").partition(";")[0].strip()
    if answer.status != 200:
        raise Failure(Kind.ODD, f"{origin(answer.url)} answers {answer.status}, as no registry does")
    if kind not in MANIFESTS:
        shown = kind[:80] or "of no kind"
        raise Failure(Kind.ODD, f"{origin(answer.url)} sends no image, but {shown}")
