"""libyaml's events → plain data, a tree of places beside it, and all that is refused on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from yaml._yaml import CParser
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, StreamEndEvent

from mlgen.canonical import Json
from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.spec import syntax
from mlgen.spec.scalars import Refused, read_plain
from mlgen.spec.source import Source

MAX_DEPTH = 64  # lists and maps in each other
MAX_VALUES = 200_000  # what 1 MiB of brackets and commas would make is more, and takes seconds
MAX_FINDINGS = 100  # of a file

# Where a value is: start << SHIFT | end, offsets of its source; one int a scalar, because a large spec has 10^5 of
# them. A map has (key's place, value's node) for each key.
SHIFT = 32
Node: TypeAlias = "int | tuple[int, dict[str, tuple[int, Node]]] | tuple[int, list[Node]]"
Route = tuple[str | int, ...]

_BLANK = r"(?:[ \t]*(?:\#[^\r\n]*)?(?:\r\n|\r|\n))"
_DIRECTIVE = re.compile(rf"(?:{_BLANK}|%YAML[ \t]+1\.2[ \t]*(?:\#[^\r\n]*)?(?:\r\n|\r|\n))*+(%[^\s]*)")
_REST = re.compile(r"(?:\s|\#[^\r\n]*|\.\.\.(?=\s|$))*+(\S+)?")


class Stop(Exception):
    """Reading cannot go on; the finding that says why is told."""


class Reader:
    """Reads one document. `findings` and `refused` (offsets of values that were refused) fill while it reads."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.findings: list[Diagnostic] = []
        self.refused: set[int] = set()
        self.values = 0
        self.whole_floats = False
        self.last: Any = None  # the last scalar's event
        self.parser = CParser(source.text)

    def document(self) -> tuple[Json, Node] | None:
        """The data and its places; None for a file without a value. Raises Stop."""
        self.directives()
        self.next()
        if isinstance(self.next(), StreamEndEvent):
            return None
        found = self.value(self.next(), 1)
        self.rest(self.next().end_mark.index)
        return found

    def next(self) -> Any:
        """libyaml's next event. Any: its attributes depend on its class, and a check at each would cost a tenth."""
        try:
            return self.parser.get_event()
        except MarkedYAMLError as error:
            begun = error.context_mark.index if error.context_mark else None
            at = error.problem_mark.index if error.problem_mark else begun or 0
            problem = syntax.Problem(error.problem or "", at, error.context or "", begun)
            raise self.stop(syntax.explain(self.source, problem, self.last_scalar())) from None
        except YAMLError as error:
            raise self.stop(
                Diagnostic(
                    "yaml-syntax",
                    f"this is not YAML: {error}",
                    self.source.first_line,
                    "",
                    "mend it with an editor that knows YAML",
                )
            ) from None

    def last_scalar(self) -> syntax.Scalar | None:
        event = self.last
        return event and syntax.Scalar(event.start_mark.index, event.end_mark.index, event.style)

    def tell(self, code: str, message: str, span: Span, why: str, fix: str, *related: Related) -> None:
        if len(self.findings) == MAX_FINDINGS:
            raise self.stop(too_many(span))
        self.findings.append(Diagnostic(code, message, span, why, fix, related))

    def stop(self, finding: Diagnostic) -> Stop:
        self.findings.append(finding)
        return Stop()

    def directives(self) -> None:
        # Before libyaml sees them: it compares each %TAG with all others, and 60,000 of them take 12 s.
        match = _DIRECTIVE.match(self.source.text)
        if match is None:
            return
        span, word = self.source.span(*match.span(1)), match[1]
        if word.startswith("%TAG"):
            raise self.stop(Diagnostic("yaml-tag", syntax.TAG.message, span, syntax.TAG.why, syntax.TAG.fix))
        why = "specs are YAML 1.2, whatever a file says of itself"
        raise self.stop(Diagnostic("yaml-syntax", f"the directive {word} is not read", span, why, "remove the line"))

    def rest(self, offset: int) -> None:
        """What stands after the document. libyaml is not asked: it would read the directives of a second one."""
        match = _REST.match(self.source.text, offset)
        if match is None or match[1] is None:
            return
        if match[1] == "---" or match[1].startswith("%"):
            span = self.source.span(*match.span(1))
            why, fix = "one file is one spec", "move it into a file of its own"
            raise self.stop(Diagnostic("second-document", "a second document begins here", span, why, fix))
        why = "the value above it is complete"
        message, fix = "text follows the end of the document", "indent it, or remove it"
        raise self.stop(Diagnostic("yaml-syntax", message, self.source.point(match.start(1)), why, fix))

    def value(self, event: Any, depth: int) -> tuple[Json, Node]:
        """The value that begins with an event; depth: of the lists and maps it would be the innermost of."""
        self.values += 1
        if self.values > MAX_VALUES:
            why = f"{MAX_VALUES:,} values are allowed"
            span = self.source.point(event.start_mark.index)
            message, fix = "more values than a spec may have", "split the pipeline"
            raise self.stop(Diagnostic("too-large", message, span, why, fix))
        if type(event) is ScalarEvent:
            return self.scalar(event)
        if type(event) is AliasEvent:
            return self.alias(event)
        if depth > MAX_DEPTH:
            raise self.stop(syntax.too_deep(self.source.point(event.start_mark.index)))
        if event.anchor is not None or event.tag is not None:
            self.properties(event)
            if event.tag is not None:
                self.refused.add(event.start_mark.index)
        return self.mapping(event, depth) if type(event) is MappingStartEvent else self.sequence(event, depth)

    def scalar(self, event: Any) -> tuple[Json, Node]:
        self.last = event
        start, end, text, style = event.start_mark.index, event.end_mark.index, event.value, event.style
        if event.anchor is not None or event.tag is not None:
            self.properties(event)
            if event.tag is not None or not text:  # "&a" alone was meant to be a text, not to be empty
                self.refused.add(start)
                return None, start << SHIFT | end
        if style:
            if style in "|>":  # libyaml ends them where the next token begins
                end = start + len(self.source.text[start:end].rstrip())
            elif "\0" in text:
                self.refused.add(start)
                why = "environment variables, arguments and paths end at it"
                self.tell("bad-value", "a text holds the character NUL", self.source.span(start, end), why, "remove it")
                text = None
            return text, start << SHIFT | end
        try:
            value = read_plain(text)
            if type(value) is float and value.is_integer():
                self.whole_floats = True
            return value, start << SHIFT | end
        except Refused as no:
            self.refused.add(start)
            self.tell(no.code, no.message, self.source.span(start, end), no.why, no.fix)
            return None, start << SHIFT | end

    def mapping(self, start_event: Any, depth: int) -> tuple[Json, Node]:
        data: dict[str, Json] = {}
        children: dict[str, tuple[int, Node]] = {}
        start = end = start_event.start_mark.index
        while type(event := self.next()) is not MappingEndEvent:
            key, told = self.key(event, depth), len(self.findings)
            value, node = self.value(self.next(), depth + 1)
            end = (node if isinstance(node, int) else node[0]) & (1 << SHIFT) - 1
            if key is None:
                self.refused.add(start)  # nothing may be concluded from what such a map does not have
                del self.findings[told:]  # one cause, one finding
            elif key in data:
                self.duplicate(key, event, children[key][0])
            else:
                data[key] = value
                children[key] = (event.start_mark.index << SHIFT | event.end_mark.index, node)
        if start_event.flow_style:
            end = _end(event)
        return data, (start << SHIFT | end, children)

    def sequence(self, start_event: Any, depth: int) -> tuple[Json, Node]:
        data: list[Json] = []
        children: list[Node] = []
        start = end = start_event.start_mark.index
        while type(event := self.next()) is not SequenceEndEvent:
            value, node = self.value(event, depth + 1)
            end = (node if isinstance(node, int) else node[0]) & (1 << SHIFT) - 1
            data.append(value)
            children.append(node)
        if start_event.flow_style:
            end = _end(event)
        return data, (start << SHIFT | end, children)

    def key(self, event: Any, depth: int) -> str | None:
        """The key's text; None when it was refused."""
        if type(event) is not ScalarEvent:
            span = self.source.point(event.start_mark.index)
            self.value(event, depth + 1)
            if type(event) is not AliasEvent:
                why = "a list or a map stands where a key should"
                fix = "quote a key that begins with a bracket or brace"
                self.tell("bad-key", "a key is one plain text", span, why, fix)
            return None
        self.last = event
        key: str = event.value
        if event.anchor is not None or event.tag is not None:
            self.properties(event)
            if event.tag is not None or not key:
                return None
        if key == "<<" and not event.style:
            self.tell("yaml-alias", "merge keys are not read", self.span(event), _NO_ALIAS, "write the keys out")
            return None
        if (key == "" and not event.style) or "\0" in key:
            why = "nothing stands before the colon" if key == "" else "it holds the character NUL"
            self.tell("bad-key", "this is no key", self.span(event), why, "write `key: value`")
            return None
        return key

    def duplicate(self, key: str, event: Any, first: int) -> None:
        message = f'the key "{key[:80]}" stands here a second time'
        why = "YAML readers keep the first, the last or none of them"
        related = Related("the first one", self.source.span(first >> SHIFT, first & (1 << SHIFT) - 1))
        self.tell("duplicate-key", message, self.span(event), why, "remove one of them, or rename it", related)

    def alias(self, event: Any) -> tuple[Json, Node]:
        start, end = event.start_mark.index, event.end_mark.index
        self.refused.add(start)
        message, fix = "aliases are not read", "write the value out; quote a text that begins with *"
        self.tell("yaml-alias", message, self.source.span(start, end), _NO_ALIAS, fix)
        return None, start << SHIFT | end

    def properties(self, event: Any) -> None:
        """Tells the tag and the anchor of a value; its value is read as if they were not there."""
        start = event.start_mark.index
        if event.tag is not None:
            self.tell("yaml-tag", syntax.TAG.message, self.word("!", start), syntax.TAG.why, syntax.TAG.fix)
        if event.anchor is not None:
            fix = "remove it; quote a text that begins with &"
            self.tell("yaml-alias", "anchors are not read", self.word(f"&{event.anchor}", start), _NO_ALIAS, fix)

    def word(self, beginning: str, offset: int) -> Span:
        start = self.source.text.index(beginning, offset)
        match = re.compile(r"\S+").match(self.source.text, start)
        return self.source.span(start, match.end() if match else start + 1)

    def span(self, event: Any) -> Span:
        return self.source.span(event.start_mark.index, event.end_mark.index)

    def refused_routes(self, node: Node) -> Iterator[Route]:
        """The routes of the values that were refused."""
        waiting: list[tuple[Route, Node]] = [((), node)] if self.refused else []
        while waiting:
            route, here = waiting.pop()
            place, children = (here, None) if isinstance(here, int) else here
            if place >> SHIFT in self.refused:
                yield route
            if isinstance(children, dict):
                waiting += [((*route, key), child) for key, (_, child) in children.items()]
            elif children:
                waiting += [((*route, index), child) for index, child in enumerate(children)]


def _end(event: Any) -> int:
    end: int = event.end_mark.index
    return end


_NO_ALIAS = "a value that stands elsewhere hides from reviewers, and aliases of aliases grow without bound"


def too_many(span: Span) -> Diagnostic:
    """The finding in place of all that come after the first MAX_FINDINGS."""
    message = f"{MAX_FINDINGS} findings stand before this place, and there are more"
    return Diagnostic("too-many-findings", message, span, "", "mend some of them and check again")
