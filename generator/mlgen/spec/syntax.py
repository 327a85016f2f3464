"""What libyaml cannot read, in words that people understand and at the place where they must look."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.spec.source import Source


@dataclass(frozen=True, slots=True)
class Scalar:
    """The last scalar that was read before the error: offsets, and its style as libyaml says it ('' is plain)."""

    start: int
    end: int
    style: str


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of libyaml: its words, the offset of what is wrong, and of what was being read (None: nothing)."""

    problem: str
    offset: int
    context: str
    begun: int | None


@dataclass(frozen=True, slots=True)
class _Words:
    message: str
    why: str = ""
    fix: str = ""


_TAB = _Words("a tab where YAML wants spaces", "YAML indents with spaces only", "replace the tab by spaces")
_BRACKET = "brackets and braces are closed on the line of their key, or on lines indented deeper than it"
_ESCAPES = 'in double quotes a backslash begins an escape: \\\\ \\" \\n \\t \\x41 \\u00e9 \\U0001f600'
_SINGLE = "double the backslash, or use single quotes"

# libyaml's words -> ours, where neither the place nor the words depend on more.
_WORDS: dict[str, _Words] = {
    "found a tab character where an indentation space is expected": _TAB,
    "found a tab character that violates indentation": _TAB,
    "block sequence entries are not allowed in this context": _Words(
        "a list item cannot stand here",
        "each item of a list begins on a line of its own",
        "begin the list on the next line, or write [a, b]; quote a text that begins with a hyphen",
    ),
    "mapping keys are not allowed in this context": _Words(
        "a value cannot begin with a question mark and a space",
        "that is how a key of several lines begins",
        "quote the value",
    ),
    "found unknown escape character": _Words("this is no escape", _ESCAPES, _SINGLE),
    "did not find expected hexdecimal number": _Words("this escape lacks a hexadecimal digit", _ESCAPES, _SINGLE),
    "found invalid Unicode character escape code": _Words("this escape is no Unicode character", _ESCAPES, _SINGLE),
    "found an indentation indicator equal to 0": _Words("a block of text cannot be indented by 0", "", "write |"),
    "did not find expected comment or line break": _Words("only a comment may stand here", "", "begin a new line"),
    "did not find expected node content": _Words(
        "a value is missing here", "", "write the value, or remove the comma or bracket"
    ),
    "did not find expected '-' indicator": _Words(
        "this line is no item of the list above it",
        "it is indented like the list's items and does not begin with a hyphen",
        "begin it with a hyphen, or indent it like the list's key",
    ),
}


def explain(source: Source, problem: Problem, last: Scalar | None) -> Diagnostic:
    """The finding for an error of libyaml. last: the scalar read before it."""
    return (
        _conflict(source)
        or _unclosed(source, problem, last)
        or _SPECIAL.get(problem.problem, _plain)(source, problem, last)
    )


def _conflict(source: Source) -> Diagnostic | None:
    """Lines that Git left where two changes met: whatever libyaml stumbled over, they are what is wrong."""
    for number, text in enumerate(source.lines, 1):
        if text.startswith(("<<<<<<< ", ">>>>>>> ")):
            words = _Words(
                "a conflict of two changes is not resolved here",
                "Git marks both with lines of <, = and > where a merge met them",
                "keep what is meant, and remove the lines with the marks",
            )
            return _finding(Span(source.file, number, 1, number, len(text.rstrip()) + 1), words)
    return None


def _finding(span: Span, words: _Words, related: tuple[Related, ...] = (), code: str = "yaml-syntax") -> Diagnostic:
    return Diagnostic(code, words.message, span, words.why, words.fix, related)


def _plain(source: Source, problem: Problem, _last: Scalar | None) -> Diagnostic:
    words = _WORDS.get(problem.problem)
    if words is None:
        why = f"{problem.context}: {problem.problem}" if problem.context else problem.problem
        words = _Words("this is not YAML", f"the YAML reader says: {why}")
    return _finding(source.point(problem.offset), words)


def _unclosed(source: Source, problem: Problem, last: Scalar | None) -> Diagnostic | None:
    """A quote that is not closed is told where it opens, also when a later quote closes it by chance."""
    fix = "close the quote; a quote inside is doubled ('') in single quotes and written \\\" in double quotes"
    if problem.context == "while scanning a quoted scalar" and problem.begun is not None:
        mark = source.text[problem.begun]
        words = _Words(f"the quote {mark} that opens here is not closed", "the rest of the file would be one text", fix)
        return _finding(source.point(problem.begun), words)
    if last is None or last.style not in ("'", '"'):
        return None
    (first, _), (final, _) = source.position(last.start), source.position(last.end)
    if first == final or source.position(problem.offset)[0] != final:
        return None
    words = _Words(
        f"the quote {last.style} that opens here is closed only on line {final}",
        "so a quote on that line, meant to open a text, closes this one",
        fix,
    )
    return _finding(source.point(last.start), words, (Related("it ends here", source.point(last.end - 1)),))


def _deep(source: Source, problem: Problem, _last: Scalar | None) -> Diagnostic:
    return too_deep(source.point(problem.offset))


def _handle(source: Source, problem: Problem, _last: Scalar | None) -> Diagnostic:
    return _finding(source.point(problem.offset), TAG, code="yaml-tag")


def _colon(source: Source, problem: Problem, last: Scalar | None) -> Diagnostic:
    return _finding(source.point(problem.offset), _second_colon(source, problem, last))


def _no_colon(source: Source, problem: Problem, _last: Scalar | None) -> Diagnostic:
    begun = problem.offset if problem.begun is None else problem.begun
    line, column = source.position(begun)
    end = max(column, len(source.lines[line - 1].rstrip())) + 1
    words = _Words("this line has no colon", "in a map every line is `key: value`", "add a colon and a space")
    return _finding(Span(source.file, line, column, line, end), words)


def _token(source: Source, problem: Problem, _last: Scalar | None) -> Diagnostic:
    character = source.text[problem.offset : problem.offset + 1]
    if character == "\t":
        return _finding(source.point(problem.offset), _TAB)
    return _finding(source.point(problem.offset), _beginning(character, "is kept by YAML for itself"))


def _name(source: Source, problem: Problem, _last: Scalar | None) -> Diagnostic:
    begun = problem.offset if problem.begun is None else problem.begun
    character = source.text[begun : begun + 1]
    meaning = {"*": "begins an alias in YAML", "&": "begins an anchor in YAML"}.get(
        character, "means something to YAML"
    )
    return _finding(source.point(begun), _beginning(character, meaning))


def _beginning(character: str, meaning: str) -> _Words:
    return _Words(f"a value cannot begin with {character}", f"{character} {meaning}", "quote the value")


def _second_colon(source: Source, problem: Problem, last: Scalar | None) -> _Words:
    line, _ = source.position(problem.offset)
    if last is not None and last.style == "" and source.position(last.start)[0] < line:
        first = source.position(last.start)[0]
        why = f"this line belongs to the text that begins on line {first}, which is not a finished `key: value`"
        fix = "check the indentation, and the space after each colon"
        return _Words("a colon inside a text of several lines", why, fix)
    before = source.lines[line - 1][: source.position(problem.offset)[1] - 1]
    if re.search(r":\s", before):
        why = "a colon followed by a space begins a value, and this line has begun one already"
        return _Words("a second colon in an unquoted value", why, "quote the value")
    return _Words("a key cannot stand here", "its indentation fits no map around it", "indent it like its neighbours")


def _bracket(source: Source, problem: Problem, _last: Scalar | None) -> Diagnostic:
    begun = problem.offset if problem.begun is None else problem.begun
    opening = source.text[begun : begun + 1]
    closing = "}" if opening == "{" else "]"
    at_the_end = not source.text[problem.offset :].strip()
    if at_the_end or source.position(begun)[0] != source.position(problem.offset)[0]:
        words = _Words(f"the {opening} that opens here is not closed", _BRACKET, f"close it with {closing}")
        return _finding(source.point(begun), words)
    fix = "quote a text that has colons, commas or brackets"
    words = _Words(f"a comma or {closing} is missing here", "", fix)
    return _finding(source.point(problem.offset), words, (Related(f"the {opening} opens here", source.point(begun)),))


def _key(source: Source, problem: Problem, last: Scalar | None) -> Diagnostic:
    begun = problem.offset if problem.begun is None else problem.begun
    related = (Related("the map begins here", source.point(begun)),)
    return _finding(source.point(problem.offset), _no_key(source, problem, last), related)


def _no_key(source: Source, problem: Problem, last: Scalar | None) -> _Words:
    line, _ = source.position(problem.offset)
    if last is not None and last.style in ("'", '"') and source.position(last.end)[0] == line:
        fix = "quote the whole value; inside single quotes a quote is doubled: 'it''s'"
        return _Words("text follows a closed quote", "a quoted value ends with its quote", fix)
    if source.text[problem.offset : problem.offset + 1] in ("]", "}"):
        return _Words("a bracket is closed that was not opened", "", "remove it, or quote the value")
    why = "its indentation fits no map or list around it, or a comment cut a text of several lines in two"
    return _Words("this does not belong to the map around it", why, "indent it like its neighbours")


_SPECIAL: dict[str, Callable[[Source, Problem, Scalar | None], Diagnostic]] = {
    "exceeded maximum nesting depth": _deep,
    "found undefined tag handle": _handle,
    "mapping values are not allowed in this context": _colon,
    "could not find expected ':'": _no_colon,
    "found character that cannot start any token": _token,
    "did not find expected alphabetic or numeric character": _name,
    "did not find expected ',' or ']'": _bracket,
    "did not find expected ',' or '}'": _bracket,
    "did not find expected key": _key,
}

TAG = _Words(
    "YAML tags are not read",
    "a tag makes a reader build other things than text, numbers, lists and maps",
    "remove the tag; quote a value that begins with an exclamation mark",
)


def too_deep(span: Span) -> Diagnostic:
    """The finding for what is nested too deep."""
    why = "64 levels are allowed, and a spec needs 6"
    fix = "write it flatter, or keep it in a file of its own"
    return Diagnostic("too-deep", "values are nested too deep here", span, why, fix)
