"""What a bucket's refusal means, in words for people: which store, whose secret, how to mend it.

obstore has the server's answer in the text of its errors, and there only. What is shown is made of what is known by
name in it: never the text itself, which may hold URLs with tokens, and what a server says of keys and signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from obstore.exceptions import BaseError, InvalidPathError

from mlgen.diagnostic import CannotAnswer
from mlgen.store.base import bucket_name


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket. uri: with its prefix. endpoint: without path and user, or "". secret: its Kubernetes name, or ""."""

    uri: str
    endpoint: str = ""
    secret: str = ""

    def __str__(self) -> str:
        return f"{self.uri} at {self.endpoint}" if self.endpoint else self.uri

    @property
    def bucket(self) -> str:
        return bucket_name(self.uri)


USUAL = "list, read and write"


@contextmanager
def refusals(place: Place, *, may: str = USUAL) -> Iterator[None]:
    """Raises CannotAnswer for what the bucket at a place refuses, or when it is not reached.

    may: what the credentials must be allowed to do, in words.
    """
    try:
        yield
    except BaseError as error:
        raise refused(place, error, may) from None
    except FileNotFoundError as error:
        if error.errno is not None:  # a file of this machine
            raise
        raise refused(place, error, may) from None


def is_bucket_missing(error: Exception) -> bool:
    """Whether "not found" is said of the bucket and not of an object."""
    return _code(str(error)) in NO_BUCKET


def is_about_identity(error: Exception) -> bool:
    """Whether no credentials could be had at all."""
    return bool(_IDENTITY.search(str(error)) or _HALF.search(str(error)))


def is_lost(error: Exception) -> bool:
    """Whether a connection broke, or nothing came in time.

    obstore repeats no conditional put whose answer did not come, and no request whose short answer was cut off.
    """
    return bool(_LOST.search(_connection(str(error))))


def is_damaged(error: Exception) -> bool:
    """Whether a body arrived with another checksum than it left with: it may arrive whole the next time."""
    return _code(str(error)) in DAMAGED


def spent_seconds(error: Exception) -> float:
    """For how long obstore repeated the request by itself; 0 where it did not."""
    found = _ELAPSED.search(_told(str(error)))
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def first_line(error: Exception) -> str:
    """The first line of an error that no server had a part in."""
    return str(error).split("\n", 1)[0][:200]


def refused(place: Place, error: Exception, may: str = USUAL) -> CannotAnswer:
    """The fault that an error of obstore's tells of. may: as for `refusals`."""
    text = str(error)
    if undeleted := _UNDELETED.search(text):  # S3 answers a request for many keys with yes, and no for one of them
        return _undeleted(place, undeleted[1], may)
    if isinstance(error, InvalidPathError):
        return _odd_key(place)
    code, status = _code(text), _status(text)
    if _HALF.search(text):
        return _no_credentials(place, "one of the two keys is given, and the other is not")
    if is_about_identity(error):
        answer = f"{status} {code}".rstrip() if status else _network(text)
        return _no_credentials(
            place, f"no keys were given, and where a workload's or machine's identity is asked for: {answer}"
        )
    if not status:
        return _other_region(place) if "incorrectly configured region" in text else _unreachable(place, _network(text))
    if status >= 500 or status == 429:
        return _unreachable(place, f"it answers {status} {code}".rstrip())
    return _answered(place, status, code, may) if code or "Error performing HEAD " in text else _no_store(place, status)


def _undeleted(place: Place, code: str, may: str) -> CannotAnswer:
    if code in DENIED:
        return _denied(place, code, may)
    return _unreachable(place, f"it answers {code}") if code in BUSY else _odd(place, code)


def _answered(place: Place, status: int, code: str, may: str) -> CannotAnswer:
    answer = f"{status} {code}".rstrip()
    if code in NO_BUCKET:
        return _no_bucket(place)
    if code in BAD_CREDENTIALS:
        return _bad_credentials(place, code)
    if code in OTHER_REGION:
        return _other_region(place)
    if code in DAMAGED:
        return _damaged(place, answer)
    return _denied(place, answer, may) if status in (401, 403) else _odd(place, answer)


DENIED = {"AccessDenied", "AllAccessDisabled"}  # of a key among many, whose answer has no status of its own
BUSY = {"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"}
NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest", "Md5Mismatch"}
OTHER_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
# code -> why. Source: "Error responses" of Amazon S3; "Common REST API error codes" of Azure Storage.
BAD_CREDENTIALS = {
    "InvalidAccessKeyId": "the store knows no such access key id",
    "SignatureDoesNotMatch": "the secret access key does not belong to the access key id",
    "RequestTimeTooSkewed": "the clock here and the store's are more than 15 minutes apart",
    "ExpiredToken": "the session's token has expired",
    "InvalidToken": "the store does not take the session's token",
    "TokenRefreshRequired": "the session's token must be renewed",
    "InvalidSecurity": "the store does not take the keys",
    "AuthenticationFailed": "the store does not take the credentials",
    "InvalidAuthenticationInfo": "the store does not take the credentials",
    "NoAuthenticationInformation": "the store got no credentials",
}
# A word of what obstore tells of a connection -> why. The first that is found counts.
NETWORK = {
    "dns error": "its name is not known here",
    "ConnectionRefused": "nothing listens there",
    "NetworkUnreachable": "there is no way to it from here",
    "HostUnreachable": "there is no way to it from here",
    "UnknownIssuer": "its certificate is of an authority that is not trusted here",
    "InvalidCertificate": "its certificate is not valid",
    "InvalidContentType": "what listens there does not speak HTTPS",
    "TimedOut": "no answer came in time",
    "kind: Timeout": "no answer came in time",
    "kind: Connect": "no connection to it can be made",
    "IncompleteMessage": "it ends connections without an answer",
    "IncompleteBody": "it ends connections in the middle of an answer",
    "ConnectionReset": "it ends connections without an answer",
    "BrokenPipe": "it ends connections without an answer",
}

_STATUS = re.compile(r"status code: (\d{3})\b")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
_UNDELETED = re.compile(r'DeleteFailed \{\s+path: "[^"\n]*",\s+code: "([A-Za-z0-9]{1,64})"')
_ELAPSED = re.compile(r"\belapsed: ([0-9.]+)(s|ms|µs|ns),")  # a Duration, as Rust prints it
_UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
_LOST = re.compile(r"kind: (Interrupted|Timeout)|IncompleteMessage|IncompleteBody|ConnectionReset|BrokenPipe")
# Where providers hand out the identity of a machine or workload: link-local addresses, and services by name.
_IDENTITY = re.compile(
    r"Error performing [A-Z]+ https?://"
    r"(169\.254\.|\[fd00:ec2:|metadata\.google\.internal|(sts|oauth2|iamcredentials|login)\.[a-z]|[^/\s]+/latest/api/token\b)"
)
_HALF = re.compile(r"Missing (AccessKeyId|SecretAccessKey)\b")


def _code(text: str) -> str:
    found = _CODE.search(text)
    return found[1] if found else ""


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1]) if found else 0


def _connection(text: str) -> str:
    """What became of the connection: the last part of the text, behind the names of keys, which authors choose."""
    return text[text.rfind("HttpError {") :]


def _told(text: str) -> str:
    """What obstore tells of its tries: between the names of keys and the connection's part."""
    return text[text.rfind("max_retries: ") :]


def _network(text: str) -> str:
    told = _connection(text)
    return next((words for sign, words in NETWORK.items() if sign in told), "it cannot be spoken with")


def _keys(place: Place) -> str:
    if place.secret:
        return f'put the right AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the secret "{place.secret}"'
    if place.uri.startswith("s3://"):
        return "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, with keys that this bucket knows"
    return "see that the identity of this workload, or the credentials in its variables, are good"


def _owner(place: Place) -> str:
    return f'of the secret "{place.secret}"' if place.secret else "that are in use here"


def _no_credentials(place: Place, why: str) -> CannotAnswer:
    return CannotAnswer("store-credentials", f"there are no credentials for {place}", why=why, fix=_keys(place))


def _bad_credentials(place: Place, code: str) -> CannotAnswer:
    message = f"{place} refuses the credentials {_owner(place)}: {code}"
    return CannotAnswer("store-credentials", message, why=BAD_CREDENTIALS[code], fix=_keys(place))


def _denied(place: Place, answer: str, may: str) -> CannotAnswer:
    return CannotAnswer(
        "store-denied",
        f"{place} denies access to the credentials {_owner(place)}: {answer}",
        why="the store knows who asks, and that one may not do this",
        fix=f"allow it to {may} below {place.uri}, or see that the name of the bucket is right",
    )


def _no_bucket(place: Place) -> CannotAnswer:
    return CannotAnswer(
        "no-bucket",
        f'there is no bucket "{place.bucket}" ({place})',
        fix="create it, or correct its name in `artifacts` or the input's URI, or the endpoint in `s3`, of mlgen.yaml",
    )


def _other_region(place: Place) -> CannotAnswer:
    fix = "set `region` of `s3` in mlgen.yaml to the bucket's own"
    return CannotAnswer("store-region", f"{place} is in another region than it was asked for in", fix=fix)


def _no_store(place: Place, status: int) -> CannotAnswer:
    return CannotAnswer(
        "not-a-store",
        f"what answers for {place} is no object store: it says {status} and no more",
        why="an object store tells a code with each error; a web server, a proxy or a login page does not",
        fix="correct `endpoint` of `s3` in mlgen.yaml: the address of the store's API, not of its console",
    )


def _damaged(place: Place, answer: str) -> CannotAnswer:
    return CannotAnswer(
        "store-broken",
        f"bytes arrive at {place} as others than were sent: {answer}",
        why="the store compares each body with its SHA-256; several tries ended in this way",
        fix="look for a proxy or a network card that alters what passes",
    )


def _odd(place: Place, answer: str) -> CannotAnswer:
    return CannotAnswer(
        "store-odd",
        f"{place} answers {answer}, which mlgen does not expect",
        fix="look that code up in the manual of the store",
    )


def _odd_key(place: Place) -> CannotAnswer:
    return CannotAnswer(
        "store-odd",
        f"{place} keeps an object whose key no file could have, so what lies beside it cannot be listed",
        why='it has an empty part, "." or "..", or a control character; mlgen puts none of these',
        fix="find it with the store's own tools, and give it another name",
    )


def _unreachable(place: Place, why: str) -> CannotAnswer:
    return CannotAnswer(
        "store-unreachable",
        f"{place} cannot be used: {why}",
        why="it was asked again and again for as long as this may take",
        fix="see that the store is up, that `endpoint` is right, and that it is reached from here",
    )
