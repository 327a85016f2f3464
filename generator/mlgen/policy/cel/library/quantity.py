"""Kubernetes' quantities, exact. Source: apimachinery/pkg/api/resource, apiserver/pkg/cel/library/quantity.go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import MAX_INT, MIN_INT, CelError, NotEvaluated

# The first is what the API server names in its error; the second what it takes.
_SPLIT = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_QUANTITY = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?")
_BINARY = {f"{letter}i": 1024 ** (n + 1) for n, letter in enumerate("KMGTPE")}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Quantity:
    """value: rounded up to whole billionths, as the API server keeps it."""

    value: Fraction

    cel_type: ClassVar[str] = "kubernetes.Quantity"


def parse(text: str) -> Quantity | None:
    """The quantity of a text; None where there is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    sign, digits, suffix = match[1], match[2], match[3] or ""
    if len(text) > 200:
        raise NotEvaluated("a quantity of over 200 characters")
    value = Fraction(Decimal(digits))
    if suffix in _BINARY:
        value *= _BINARY[suffix]
    elif suffix in _DECIMAL:
        value *= Fraction(10) ** _DECIMAL[suffix]
    elif suffix:
        exponent = int(suffix[1:])
        if abs(exponent) > 100:
            raise NotEvaluated("a quantity with an exponent over 100")
        value *= Fraction(10) ** exponent
    value = Fraction(-((-value * _NANO) // 1), _NANO)  # rounded away from zero
    if value > MAX_INT:
        value = Fraction(MAX_INT)
    return Quantity(-value if sign == "-" else value)


def _quantity(text: str) -> Quantity:
    found = parse(text)
    if found is None:
        raise CelError(f"quantities must match the regular expression '{_SPLIT}'")
    return found


def _as_integer(quantity: Quantity) -> int:
    if quantity.value.denominator != 1 or not MIN_INT <= quantity.value <= MAX_INT:
        raise CelError("cannot convert value to integer")
    return int(quantity.value)


def _is_integer(quantity: Quantity) -> bool:
    return quantity.value.denominator == 1 and MIN_INT <= quantity.value <= MAX_INT


FUNCTIONS: dict[str, Implementation] = {
    "quantity(string) -> quantity": _quantity,
    "isQuantity(string) -> bool": lambda text: parse(text) is not None,
    "<quantity>.isInteger() -> bool": _is_integer,
    "<quantity>.asInteger() -> int": _as_integer,
    "<quantity>.asApproximateFloat() -> double": lambda q: float(q.value),
    "<quantity>.sign() -> int": lambda q: (q.value > 0) - (q.value < 0),
    "<quantity>.add(quantity) -> quantity": lambda a, b: Quantity(a.value + b.value),
    "<quantity>.add(int) -> quantity": lambda a, b: Quantity(a.value + b),
    "<quantity>.sub(quantity) -> quantity": lambda a, b: Quantity(a.value - b.value),
    "<quantity>.sub(int) -> quantity": lambda a, b: Quantity(a.value - b),
    "<quantity>.compareTo(quantity) -> int": lambda a, b: (a.value > b.value) - (a.value < b.value),
    "<quantity>.isLessThan(quantity) -> bool": lambda a, b: a.value < b.value,
    "<quantity>.isGreaterThan(quantity) -> bool": lambda a, b: a.value > b.value,
}
