"""Durations and amounts, as specs write them and as Kubernetes stores them."""

from __future__ import annotations

import re
from decimal import Decimal

from mlgen.values import FLOAT, INTEGER, parse_integer

_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,8})m)?(?:([0-9]{1,10})s)?")
_SIZE = re.compile(r"([0-9]{1,15})(Ki|Mi|Gi|Ti|k|M|G|T)")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("", "k", "M", "G", "T", "P", "E")
CPU_TEXT = re.compile(r"[0-9]+m|[0-9]+(\.[0-9]+)?")  # where it is a text: 1e-3 and 0x10 are numbers
_MILLI_CPU = re.compile(r"([0-9]{1,9})m")

DURATION_RULE = "write hours, minutes and seconds in this order, such as 6h or 1h30m"
SIZE_RULE = "write a whole number with Ki, Mi, Gi, Ti, k, M, G or T, such as 2Gi"
CPU_RULE = "write cores, or thousandths of one, such as 2, 0.5 or 500m"

MAX_SECONDS = 10 * 366 * 24 * 3600  # ten years: what Go and Kubernetes keep without overflow, and then some


def duration_seconds(text: str) -> int:
    """Seconds of `1h30m`. Raises ValueError with a sentence for people."""
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise ValueError(f'"{text[:40]}" is not a duration')
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total == 0:
        raise ValueError("the duration is zero")
    if total > MAX_SECONDS:
        raise ValueError("the duration is longer than ten years")
    return total


def duration_text(seconds: int) -> str:
    """Seconds as Go prints a duration and Tekton stores it: 1h30m0s, 45s."""
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def size(text: str) -> tuple[str, int]:
    """An amount of memory or disk: the quantity as Kubernetes stores it, and bytes. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f'"{text[:40]}" is not an amount of bytes')
    number, unit = int(match[1]), match[2]
    if number == 0:
        raise ValueError("the amount is zero")
    steps, base = (_BINARY, 1024) if unit.endswith("i") else (_DECIMAL, 1000)
    power = steps.index(unit)
    if number * base**power >= 2**63:
        raise ValueError("the amount is beyond what Kubernetes can count")
    return canonical(number, power, steps, base), number * base**power


def canonical(number: int, power: int, steps: tuple[str, ...], base: int) -> str:
    """The quantity with the largest unit that keeps it whole, as resource.Quantity prints it."""
    while number % base == 0 and power < len(steps) - 1:
        number, power = number // base, power + 1
    return f"{number}{steps[power]}"


def size_text(number_of_bytes: int) -> str:
    """Bytes as a quantity: 4294967296 is 4Gi, 250000000 is 250M."""
    steps, base = (_DECIMAL, 1000) if number_of_bytes % 1024 else (_BINARY, 1024)
    return canonical(number_of_bytes, 0, steps, base)


def cpu_millis(text: str) -> int:
    """Thousandths of a core of `2`, `0.5` or `500m`. Raises ValueError with a sentence for people."""
    match = _MILLI_CPU.fullmatch(text)
    if match:
        millis = Decimal(match[1])
    elif len(text) <= 20 and INTEGER.fullmatch(text):
        millis = Decimal(parse_integer(text)) * 1000
    elif len(text) <= 20 and FLOAT.fullmatch(text):
        cores = Decimal(text)
        millis = cores * 1000 if cores <= 10**6 else cores  # times 1000, 1e999999 would overflow
    else:
        raise ValueError(f'"{text[:40]}" is not an amount of cpu')
    if millis <= 0:
        raise ValueError("cpu must be more than zero")
    if millis > 10**6 * 1000:  # before int(): 1e999990 would be written out
        raise ValueError("no machine has a million cores")
    if millis != int(millis):
        raise ValueError("cpu is counted in thousandths of a core: nothing finer")
    return int(millis)


def cpu_text(millis: int) -> str:
    """Thousandths of a core as Kubernetes stores them: 500m, 2, 1k."""
    return f"{millis}m" if millis % 1000 else canonical(millis // 1000, 0, _DECIMAL, 1000)
