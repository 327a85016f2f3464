"""How a bucket is reached: its client, how long it keeps trying, and what it is called when it cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from mlgen.diagnostic import Misuse
from mlgen.store import refusal
from mlgen.store.refusal import Place

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig  # they exist for types only

REQUEST_SECONDS = 60.0  # with the body: enough for four parts of 8 MiB at once over 5 Mbit/s
CREDENTIALS_SECONDS = 5.0


def connect(uri: str, options: Mapping[str, str], *, patience_seconds: float) -> tuple[ObjectStore, Place]:
    """The bucket at a URI, with or without a prefix.

    patience_seconds: how long one request is repeated while the store is away or answers 429 or 5xx, from its first
    try on; a last try, of at most half of it, may come on top. Without keys among the options obstore looks for its
    own: variables, a workload's identity, the machine's. Raises Misuse for options that mean nothing, CannotAnswer
    "store-credentials" where there are no keys at all.
    """
    config: dict[str, Any] = {name: value for name, value in options.items() if name != "secret"}
    if uri.startswith("s3://"):
        # Each body has its SHA-256 with it, as a checksum and in the signature, and the server refuses another one.
        config.setdefault("checksum_algorithm", "SHA256")
    place = Place(uri.rstrip("/"), _shown(options.get("endpoint", "")), options.get("secret", ""))
    if "access_key_id" not in options:
        _look_for_credentials(_open(place, config, CREDENTIALS_SECONDS), place)
    return _open(place, config, patience_seconds), place


def _open(place: Place, config: Any, patience_seconds: float) -> ObjectStore:
    client: ClientConfig = {"timeout": timedelta(seconds=min(REQUEST_SECONDS, patience_seconds / 2))}
    if str(config.get("endpoint", "")).startswith("http://"):
        client["allow_http"] = True
    # obstore repeats what is safe to repeat: 5xx, 429, refused and dropped connections, timeouts of reads and of plain
    # puts; and it goes on with a body that was cut off. Its pauses grow, with jitter. Time is the limit, not a count.
    retry: RetryConfig = {
        "max_retries": 10_000,
        "retry_timeout": timedelta(seconds=patience_seconds),
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    try:
        return from_url(place.uri, config=config, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        if refusal.is_about_identity(error):  # one of the two keys alone
            raise refusal.refused(place, error) from None
        raise Misuse(
            "bad-store",
            f"{place.uri} cannot be meant: {refusal.first_line(error)}",
            fix="see `artifacts`, `s3` and `buckets` of the environment in mlgen.yaml",
        ) from None


def _look_for_credentials(objects: ObjectStore, place: Place) -> None:
    """Ask once, soon done: where no identity is to be had, a patient client would ask the machine's for minutes."""
    try:
        obstore.get(objects, "mlgen")
    except BaseError as error:
        if refusal.is_about_identity(error):
            raise refusal.refused(place, error) from None
    except FileNotFoundError:
        pass


def _shown(endpoint: str) -> str:
    """Scheme, host and port: what else stands in a URL may be a password."""
    parts = urlsplit(endpoint)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme and host else ""
