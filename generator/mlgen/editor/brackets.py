"""Lists and maps in brackets, as far as they are written: which are open, and what is under way in them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Level:
    """A bracket or brace that is open: in a brace the key whose value is being written, in a bracket the items before
    the one that is."""

    kind: str
    key: str | None = None
    items: list[str] = field(default_factory=list)


class Brackets:
    """What a text that begins with a bracket or brace leaves open at its end.

    open: the innermost last; none where all are closed. start: the offset at which the key, value or item under way
    begins. commented: whether the text ends in a comment.
    """

    def __init__(self, text: str) -> None:
        self.text, self.start, self.open = text, 0, list[Level]()
        self.commented = False
        self._blank = True  # whether nothing stands between `start` and what is read
        at = 0
        while at < len(text):
            at = self._read(at)

    def _read(self, at: int) -> int:
        """Read what is at an offset; where to read on."""
        text, char = self.text, self.text[at]
        begins, self._blank = self._blank and char in "\"'[{", self._blank and char.isspace()
        if begins and char in "\"'":
            return _closing(text, at)
        if char == "#" and (at == 0 or text[at - 1].isspace()):
            newline = text.find("\n", at)
            self.commented = newline < 0
            return len(text) if newline < 0 else newline
        if begins:
            self.open.append(Level(char))
            self.start, self._blank = at + 1, True
        elif char in "]}" and self.open:
            self.open.pop()
            self.start, self._blank = at + 1, True
        elif char == "," and self.open:
            self.open[-1].key = None
            self.open[-1].items.append(unquoted(text[self.start : at].strip()))
            self.start, self._blank = at + 1, True
        elif char == ":" and self._ends_key(at):
            self.open[-1].key = unquoted(text[self.start : at].strip())
            self.start, self._blank = at + 1, True
        return at + 1

    def _ends_key(self, at: int) -> bool:
        if not self.open or self.open[-1].kind != "{" or self.open[-1].key is not None:
            return False
        return self.text[at + 1 : at + 2] in ("", *" \n,[{") or self.text[at - 1] in "\"'"


def _closing(text: str, at: int) -> int:
    """The offset after a quoted text that begins there; the end of the text where it is not closed."""
    quote, here = text[at], at + 1
    while here < len(text):
        if text[here] == "\\" and quote == '"':
            here += 2
        elif text[here] == quote:
            return here + 1
        else:
            here += 1
    return len(text)


def unquoted(key: str) -> str:
    """A key's text, less the quotes around it."""
    return key[1:-1] if len(key) > 1 and key[:1] in ("'", '"') and key[-1] == key[0] else key
