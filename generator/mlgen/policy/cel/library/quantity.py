"""Kubernetes' quantities, exact. Source: apimachinery/pkg/api/resource, apiserver/pkg/cel/library/quantity.go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import MAX_INT, MIN_INT, CelError, NotEvaluated

# The first is what the API server names in its error; the second what it takes.
_SPLIT = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_QUANTITY = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


@dataclass(frozen=True, slots=True)
class Quantity:
    """unscaled * 10**scale, as the API server keeps it: small: by two integers of its own, else by a big decimal.

    What it can tell of a quantity depends on that: `1000m` and `1.5Gi` are no integers to it.
    """

    unscaled: int
    scale: int
    small: bool

    cel_type: ClassVar[str] = "kubernetes.Quantity"

    @property
    def value(self) -> Fraction:
        return self.unscaled * Fraction(10) ** self.scale

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def parse(text: str) -> Quantity | None:
    """The quantity of a text; None where there is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    if len(text) > 100:
        raise NotEvaluated("a quantity of over 100 characters")
    sign, (whole, _, fraction), suffix = match[1], match[2].partition("."), match[3] or ""
    whole = whole.lstrip("0")
    unscaled, scale, room = int(f"{whole}{fraction}" or "0"), -len(fraction), 18 - len(whole) - len(fraction)
    if suffix in _BINARY[1:]:
        power = 10 * _BINARY.index(suffix)
        unscaled <<= power
        room = -1 if fraction else 15 - len(whole) - int(power * 3 / 10) - 1
    elif suffix in _DECIMAL:
        scale += _DECIMAL[suffix]
    elif suffix:
        exponent = int(suffix[1:])
        if abs(exponent) > 100:
            raise NotEvaluated("a quantity with an exponent over 100")
        scale += exponent
    small = room >= 0 and scale >= -9 and unscaled <= MAX_INT
    if scale < -9:  # rounded away from zero, to whole billionths
        unscaled, scale = -(-unscaled // 10 ** (-9 - scale)), -9
    if unscaled * Fraction(10) ** scale > MAX_INT:
        raise NotEvaluated("a quantity beyond what 64 bits hold")
    return Quantity(-unscaled if sign == "-" else unscaled, scale, small)


def _quantity(text: str) -> Quantity:
    found = parse(text)
    if found is None:
        if re.fullmatch(_SPLIT, text, re.ASCII):
            raise CelError("unable to parse quantity's suffix")
        raise CelError(f"quantities must match the regular expression '{_SPLIT}'")
    return found


def _is_integer(quantity: Quantity) -> bool:
    return quantity.small and quantity.scale >= 0 and MIN_INT <= quantity.value <= MAX_INT


def _as_integer(quantity: Quantity) -> int:
    if not _is_integer(quantity):
        raise CelError("cannot convert value to integer")
    return int(quantity.value)


def _as_float(quantity: Quantity) -> float:
    return float(quantity.unscaled) * float(f"1e{quantity.scale}")


def _add(a: Quantity, b: Quantity) -> Quantity:
    if a.small and b.small:
        if not b.unscaled:
            return a
        if not a.unscaled:
            return b
    scale = min(a.scale, b.scale)
    total = a.unscaled * 10 ** (a.scale - scale) + b.unscaled * 10 ** (b.scale - scale)
    return Quantity(total, scale, a.small and b.small and MIN_INT <= total <= MAX_INT)


def _minus(q: Quantity) -> Quantity:
    return Quantity(-q.unscaled, q.scale, q.small)


def _of(number: int) -> Quantity:
    return Quantity(number, 0, True)


FUNCTIONS: dict[str, Implementation] = {
    "quantity(string) -> quantity": _quantity,
    "isQuantity(string) -> bool": lambda text: parse(text) is not None,
    "<quantity>.isInteger() -> bool": _is_integer,
    "<quantity>.asInteger() -> int": _as_integer,
    "<quantity>.asApproximateFloat() -> double": _as_float,
    "sign(quantity) -> int": lambda q: (q.unscaled > 0) - (q.unscaled < 0),
    "<quantity>.add(quantity) -> quantity": _add,
    "<quantity>.add(int) -> quantity": lambda a, b: _add(a, _of(b)),
    "<quantity>.sub(quantity) -> quantity": lambda a, b: _add(a, _minus(b)),
    "<quantity>.sub(int) -> quantity": lambda a, b: _add(a, _of(-b)),
    "<quantity>.compareTo(quantity) -> int": lambda a, b: (a.value > b.value) - (a.value < b.value),
    "<quantity>.isLessThan(quantity) -> bool": lambda a, b: a.value < b.value,
    "<quantity>.isGreaterThan(quantity) -> bool": lambda a, b: a.value > b.value,
}
