"""What all forms are made of: the findings of one command, what it read, and the text that they point at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mlgen import diagnostic
from mlgen.diagnostic import Diagnostic, Related, Severity, Span


@dataclass(frozen=True)
class Report:
    """The answer of a command that looks for findings.

    findings: in the order of their places. files: all that was read, with findings or without, as findings name them:
    below the project's folder. sources: the text of files that may be shown. folder: the project's folder below the
    repository's root, "" or with a / at its end, for hosts know files from there. manual: a page for each code, in
    Markdown. hide: takes out of a line what nobody should read; findings have passed it already. verb, noun: what was
    asked, of what.
    """

    findings: Sequence[Diagnostic]
    files: Sequence[str]
    version: str
    sources: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    manual: Mapping[str, str] = field(default_factory=dict)
    hide: Callable[[str], str] = str
    verb: str = "check"
    noun: str = "spec"

    @property
    def errors(self) -> int:
        return sum(d.severity is Severity.ERROR for d in self.findings)

    @property
    def warnings(self) -> int:
        return len(self.findings) - self.errors

    @cached_property
    def worst_first(self) -> list[Diagnostic]:
        """Errors, then warnings, each in the order of their places."""
        return sorted(self.findings, key=lambda d: d.severity is not Severity.ERROR)

    @cached_property
    def by_file(self) -> dict[str, list[Diagnostic]]:
        """The findings of each file that was read, or that one of them points at; sorted by name."""
        found: dict[str, list[Diagnostic]] = {file: [] for file in self.files}
        for one in self.findings:
            found.setdefault(one.span.file, []).append(one)
        return dict(sorted(found.items()))

    def path(self, file: str) -> str:
        """A file as its host knows it: from the repository's root."""
        return self.folder + file if file else ""

    def lines(self, file: str) -> Sequence[str] | None:
        """A file's lines; None where they may not be shown."""
        if file not in self._lines:
            self._lines[file] = self.sources[file].removeprefix("\ufeff").splitlines() if file in self.sources else None
        return self._lines[file]

    @cached_property
    def _lines(self) -> dict[str, Sequence[str] | None]:
        return {}

    def text(self, one: Diagnostic) -> str:
        """A finding for people, with its line, as its host knows the files: several lines, no newline at the end."""
        told = replace(one, span=self._there(one.span), related=tuple(self._related(r) for r in one.related))
        return "\n".join(map(self.hide, diagnostic.to_text(told, self.lines(one.span.file)).split("\n")))

    def _there(self, span: Span) -> Span:
        return replace(span, file=self.path(span.file) or "mlgen")

    def _related(self, related: Related) -> Related:
        return replace(related, span=self._there(related.span))

    @property
    def summary(self) -> str:
        """ "2 specs checked: 1 error, 0 warnings" """
        told = f"{_count(self.errors, 'error')}, {_count(self.warnings, 'warning')}"
        return f"{_count(len(self.files), self.noun)} checked: {told if self.findings else 'nothing to mend'}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
