"""The keys that a task and `defaults` share, each read to one type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlgen.diagnostic import Diagnostic
from mlgen.spec import quantities
from mlgen.spec.model import Place, Setting

SETTINGS = ("image", "code", "cpu", "memory", "disk", "shm", "gpu", "timeout", "retries", "env", "secrets")
RESOURCES = ("cpu", "memory", "disk", "shm", "gpu", "timeout", "retries")  # what the caller of a task file may set

# A reference as the distribution project defines it: [host[:port]/]path[:tag][@digest].
IMAGE = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_POOL = re.compile(r"(?:(?P<pool>[a-z]([a-z0-9-]{0,38}[a-z0-9])?):)?(?P<count>[1-9][0-9]{0,2})")
_SECRET = re.compile(r"(?P<secret>[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)/(?P<key>[A-Za-z0-9._-]{1,253})")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of bytes, with the text that Kubernetes stores."""

    text: str
    bytes: int


@dataclass(frozen=True, slots=True)
class GpuAsk:
    pool: str
    count: int


@dataclass(frozen=True, slots=True)
class SecretKey:
    secret: str
    key: str


def read_settings(data: dict[str, object], place: Place, found: list[Diagnostic]) -> dict[str, Setting]:
    """The settings in a task, a task file or `defaults`. What cannot be read is told and left out."""
    settings = {}
    for key in SETTINGS:
        if key in data and (setting := _read(key, data[key], place / key, found)) is not None:
            settings[key] = Setting(setting, place / key)
    return settings


def _read(key: str, value: object, place: Place, found: list[Diagnostic]) -> object:
    """The value by its key: image str · code tuple of (path, Place) · cpu int, millis · memory disk shm Amount ·
    gpu GpuAsk · timeout int, seconds · retries int · env dict of Setting · secrets dict of SecretKey Setting."""
    try:
        match key, value:
            case "image", str():
                if not IMAGE.fullmatch(value) or len(value) > 500:
                    raise ValueError(f'"{value[:80]}" is not an image reference')
                return value
            case "code", str():
                return ((value, place),)
            case "code", list():
                return tuple((path, place / i) for i, path in enumerate(value) if isinstance(path, str))
            case "cpu", int() | float() | str() if not isinstance(value, bool):
                return quantities.cpu_millis(place.document.text(place.route))
            case "memory" | "disk" | "shm", str():
                return Amount(*quantities.size(value))
            case "timeout", str():
                return quantities.duration_seconds(value)
            case "retries", int() if not isinstance(value, bool):
                return value if 0 <= value <= 9 else None  # else: the schema said so
            case "gpu", int() | str() if not isinstance(value, bool):
                return _gpu(str(value))
            case "env", dict():
                texts = {k: _scalar_text(v, place / k) for k, v in value.items()}
                return {k: Setting(text, place / k) for k, text in texts.items() if text is not None}
            case "secrets", dict():
                return dict(_secrets(value, place, found))
    except ValueError as error:
        found.append(place.finding(_CODE[key], str(error), fix=_FIX.get(key, "")))
    return None


_CODE = {
    "image": "bad-image", "cpu": "bad-quantity", "memory": "bad-quantity", "disk": "bad-quantity",
    "shm": "bad-quantity", "timeout": "bad-duration", "gpu": "bad-gpu",
}  # fmt: skip
_FIX = {
    "image": "write name:tag or name@sha256:<64 hex digits>, such as ghcr.io/acme/churn:1.8",
    "timeout": 'write hours, minutes and seconds, such as "6h" or "1h30m"',
    "gpu": "write a count, such as 1, or pool:count, such as a100:2",
}


def _gpu(text: str) -> GpuAsk:
    match = _POOL.fullmatch(text)
    if not match:
        raise ValueError(f'"{text[:40]}" is neither a count of GPUs nor pool:count')
    return GpuAsk(match["pool"] or "default", int(match["count"]))


def _scalar_text(value: object, place: Place) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return place.document.text(place.route) if isinstance(value, int | float) else None


def _secrets(data: dict[str, object], place: Place, found: list[Diagnostic]) -> Iterator[tuple[str, Setting]]:
    for variable, value in data.items():
        here = place / variable
        if not isinstance(value, str):
            continue
        match = _SECRET.fullmatch(value)
        if match:
            yield variable, Setting(SecretKey(match["secret"], match["key"]), here)
        else:
            # The value itself is not shown: it may be the secret.
            found.append(
                here.finding(
                    "bad-value",
                    f'secret "{variable}" is not a reference of the form secret/key',
                    "a spec names a secret, it never holds one",
                    "write the Secret's name and its key, such as hf/token",
                )
            )
