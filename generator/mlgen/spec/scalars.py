"""Plain scalars by YAML 1.2's core schema, without those that YAML readers understand differently."""

from __future__ import annotations

import re

from mlgen.values import FLOAT, INTEGER, NOT_FINITE, parse_number

Scalar = None | bool | int | float | str

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BOOLEANS_OF_YAML_1_1 = {"y": "true", "yes": "true", "on": "true", "n": "false", "no": "false", "off": "false"}

_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")
_UNDERSCORE = re.compile(r"[-+]?[0-9][0-9]*_[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")


class Refused(Exception):
    """A plain value that is not read: the code of the finding, what is wrong, why, how to mend it."""

    def __init__(self, code: str, message: str, why: str, fix: str) -> None:
        super().__init__(message)
        self.code, self.message, self.why, self.fix = code, message, why, fix


def read_plain(text: str) -> Scalar:
    """The value of a plain scalar. Raises Refused.

    Source: YAML 1.2.2 §10.3.2; the numbers of YAML 1.1 at yaml.org/type/int.html and float.html.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in "0123456789+-.":
        return _number(text)
    if len(text) <= 3 and (meant := _BOOLEANS_OF_YAML_1_1.get(text.lower())):
        why = f"some YAML readers take it for {meant}, others for text"
        raise _quote(text, why, meant)
    return text


def _number(text: str) -> Scalar:
    if INTEGER.fullmatch(text) or FLOAT.fullmatch(text):
        if _LEADING_ZERO.fullmatch(text):
            why = "some YAML readers take digits after a leading 0 for an octal number, others for a decimal one"
            raise _quote(text, why, f"{'-' * text.startswith('-')}{text.lstrip('+-0') or '0'}")
    elif NOT_FINITE.fullmatch(text):
        pass
    elif _SEXAGESIMAL.fullmatch(text):
        why = "some YAML readers take it for a number to the base of 60, others for text"
        raise _quote(text, why)
    elif _UNDERSCORE.fullmatch(text):
        why = "some YAML readers take it for a number, others for text"
        raise _quote(text, why, text.replace("_", ""))
    else:
        return text
    try:
        return parse_number(text)
    except ValueError as error:
        why = "every reader of a plan, a manifest or a record must see the same number"
        fix = "quote it if it is a text, such as an account's number; else choose another number"
        raise Refused("number-range", str(error), why, fix) from None


def _quote(text: str, why: str, otherwise: str = "") -> Refused:
    """otherwise: the boolean or number that some readers take it for."""
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    fix = f'write "{shown}"'
    if otherwise and shown == text:
        fix = f"write {otherwise}, or {fix.removeprefix('write ')} where a text is meant"
    return Refused("quote-it", f'"{shown}" must be quoted', why, fix)
