"""Durations and amounts: read by the rules of specs, printed as Kubernetes prints them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgen.spec.quantities import MAX_SECONDS, cpu_millis, cpu_text, duration_seconds, duration_text, size, size_text

UNITS = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
}  # fmt: skip


def bytes_of(quantity: str) -> int:
    """A Kubernetes quantity, read naively."""
    digits = quantity.rstrip("KMGTPEki")
    return int(digits) * UNITS[quantity[len(digits) :]]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("30m", 1800),
        ("6h", 21600),
        ("1h30m", 5400),
        ("1h0m5s", 3605),
        ("0h1s", 1),
        ("007m", 420),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "0s", "0h0m0s", "5", "1d", "1m1h", "1h 5m", "1.5h", "-1h", "1H", "1h\n", "\u0663m", "9" * 99 + "h", "100000h"],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        duration_seconds(text)


@given(st.integers(1, MAX_SECONDS))
def test_a_duration_is_what_it_was_after_its_text(seconds: int) -> None:
    text = duration_text(seconds)
    assert duration_seconds(text) == seconds
    assert text.endswith("s"), "Go prints seconds always: what Tekton stores is what was written"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2Gi", "2Gi"), ("1024Mi", "1Gi"), ("1536Mi", "1536Mi"), ("1000Ki", "1000Ki"), ("2000k", "2M"),
        ("2048k", "2048k"),
        ("0010G", "10G"), ("4096Ti", "4Pi"), ("1024k", "1024k"), ("1M", "1M"),
    ],
)  # fmt: skip
def test_amounts_as_kubernetes_stores_them(text: str, stored: str) -> None:
    assert size(text) == (stored, bytes_of(text))


@given(st.integers(1, 10**7), st.sampled_from(["Ki", "Mi", "Gi", "k", "M", "G", "T"]))
def test_the_stored_amount_is_the_same_and_has_the_largest_unit(number: int, unit: str) -> None:
    if number * UNITS[unit] >= 2**63:
        return
    stored, found = size(f"{number}{unit}")
    assert found == bytes_of(stored) == number * UNITS[unit]
    base = 1024 if unit.endswith("i") else 1000
    assert int(stored.rstrip("KMGTPEki")) % base or stored.endswith("E")


@given(st.integers(1, 2**63 - 1))
def test_bytes_are_what_they_were_after_their_text(number: int) -> None:
    assert bytes_of(size_text(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "0Gi",
        "2gi",
        "2GB",
        "2 Gi",
        "1.5Gi",
        "-1Gi",
        "2Gi\n",
        "\uff12Gi",
        "9" * 40 + "Ti",
        "9000000Ti",
        "1Ei",
        "1e3M",
    ],
)
def test_no_amounts(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        size(text)


@pytest.mark.parametrize(
    ("text", "millis", "stored"),
    [
        ("1", 1000, "1"), ("0.5", 500, "500m"), ("500m", 500, "500m"), ("2000m", 2000, "2"), ("1.001", 1001, "1001m"),
        ("1e-3", 1, "1m"), (".25", 250, "250m"), ("2.0", 2000, "2"), ("1000", 10**6, "1k"), ("0x10", 16000, "16"),
    ],
)  # fmt: skip
def test_cpu(text: str, millis: int, stored: str) -> None:
    assert (cpu_millis(text), cpu_text(millis)) == (millis, stored)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0m",
        "-1",
        "0.0001",
        "1.0005",
        "half",
        "2 ",
        "1_000",
        "\uff12",
        "inf",
        "NaN",
        "1e99",
        "9" * 30,
        "1m1",
        "1e-99",
        "1e999990",  # a number of a million digits, were it written out
        "1e9999999",
        "1e-9999999",
    ],
)
def test_no_cpu(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        cpu_millis(text)


@given(st.integers(1, 10**9))
def test_cpu_is_what_it_was_after_its_text(millis: int) -> None:
    stored = cpu_text(millis)
    assert cpu_millis(str(Decimal(millis) / 1000)) == millis
    assert millis == (int(stored[:-1]) if stored.endswith("m") else bytes_of(stored) * 1000)
