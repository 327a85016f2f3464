"""Span, Diagnostic, the list of codes, and how a finding is printed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs: an error makes `check` answer no (exit 1), a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file. Lines and columns from 1; columns count characters; the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a finding speaks of."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what, where, why, how to mend. `code` is a key of CODES and has a heading in codes.md.

    secret: the line may hold one, so it is not shown.
    """

    code: str
    message: str
    span: Span
    why: str = ""
    fix: str = ""
    related: tuple[Related, ...] = ()
    secret: bool = False

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.code in WARNINGS else Severity.ERROR


class Findings(Exception):
    """The author's files cannot be used as they are. Exit 1."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sort(diagnostics))
        super().__init__(f"{len(self.diagnostics)} findings")


class Fault(Exception):
    """Our own running cannot go on: what happened, why, how to mend it. A subclass says how we exit."""

    exit_code = 3

    def __init__(self, code: str, message: str, *, why: str = "", fix: str = "") -> None:
        self.code, self.message, self.why, self.fix = code, message, why, fix
        super().__init__(message)


class Misuse(Fault):
    """Asked wrongly: an argument that cannot be meant. Exit 2."""

    exit_code = 2


class CannotAnswer(Fault):
    """No Git, ledger unreachable, disk full: not the author's file, not the question. Exit 3."""

    exit_code = 3


# code -> what it says, in a few words. A code is never renamed or reused. `codes.md` has a heading for each.
CODES: dict[str, str] = {
    # reading a file
    "too-large": "a file over 1 MiB, or with more values than a spec can need",
    "not-utf8": "a file that is not UTF-8 text",
    "yaml-syntax": "text that is not YAML",
    "duplicate-key": "a key given twice in one map",
    "yaml-tag": "a YAML tag",
    "yaml-alias": "a YAML anchor, alias or merge key",
    "too-deep": "values nested more than 64 deep",
    "second-document": "a second YAML document in one file",
    "bad-key": "a key that is not a plain string",
    "quote-it": "a bare value that YAML readers understand differently",
    "number-range": "a number that JSON readers do not keep exactly",
    "too-many-findings": "more findings in one file than anybody reads",
    # shape
    "unknown-key": "a key that the schema does not know",
    "missing-key": "a required key that is not there",
    "wrong-type": "a value of another type than the schema says",
    "bad-value": "a value that the schema does not allow here",
    "reserved-key": "a key that is kept for later",
    "unknown-version": "a version of the format that this mlgen does not read",
    # names
    "bad-name": "a name with characters that are not allowed",
    "reserved-name": "a name that has a meaning of its own",
    "name-too-long": "names that together do not fit into a pod's name",
    "name-mismatch": "a spec whose name is not its file's",
    "name-collision": "two things of one name where only one can be",
    "bad-label": "a label that Kubernetes refuses",
    # params and values
    "bad-default": "a default that its own param refuses",
    "bad-range": "a minimum above the maximum",
    "bad-choices": "choices that do not agree",
    "bad-duration": "a duration that cannot be read",
    "bad-quantity": "an amount of cpu or memory that cannot be read",
    "bad-gpu": "a GPU request that cannot be read",
    "bad-digest": "a digest that is not sha256",
    "bad-uri": "a URI that cannot be used as an input",
    "scheme-not-yet": "a URI scheme that is kept for later",
    "version-not-yet": "a task by name and a version that is no whole number",
    "bad-image": "an image reference that cannot be read",
    # wiring
    "bad-ref": "a text that is not a reference",
    "unknown-task": "a reference to a task that is not there",
    "unknown-out": "a reference to an out that its task does not have",
    "unknown-param": "a reference to a param that is not there",
    "unknown-input": "a reference to an input that is not there",
    "cycle": "tasks that wait for each other",
    "edge-type": "a value of one type where another is wanted",
    "finally-ref": "a finally task that reads what may never exist",
    "optional-needs-script": "an optional in given to a command list",
    "unused": "a param or input that nothing reads",
    "redundant-after": "an `after` that a data edge says already",
    "gate-syntax": "a gate that cannot be read",
    "gate-type": "a gate that compares what cannot be compared",
    # tasks that run many times
    "bad-sweep": "a sweep whose trials cannot be made",
    "bad-search": "a search that has nothing to look for, or a key that is not its own",
    "bad-loop": "a `for` through what is no list",
    "bad-pick": "a `pick` that says of no trial that it is the best",
    "too-many-items": "a task that would run too often",
    "not-many": "a bound on items where there are none, or that bounds nothing",
    "late-needs-script": "a value of a task with items given to a command list",
    "too-much-to-read": "more of all items than one task can be given",
    # schedules
    "bad-cron": "a cron expression that never fires, or that two programs read differently",
    "bad-schedule": "a schedule whose runs could not start",
    # triggers
    "bad-trigger": "a trigger that no event fits, or whose runs could not start",
    "no-listener": "a trigger where no environment listens for events",
    # task files
    "unknown-in": "an in that the task file does not have",
    "missing-in": "an in of the task file that is not given",
    "use-override": "a key that the caller of a task file may not set",
    "use-cycle": "pipelines that use each other",
    "use-too-deep": "pipelines that use pipelines, more than 8 deep",
    "nested-finally": "a finally task in a pipeline that another one uses",
    "unknown-source": "a task from a repository that mlgen.yaml does not name",
    "bad-source": "a repository that cannot be a source of tasks",
    "source-not-locked": "a task from another repository that mlgen.lock does not pin",
    "source-changed": "files of another repository that are not those that mlgen.lock pins",
    # caching
    "uncacheable": "a task that is to be cached and cannot be",
    "bad-cache-key": "a cache key that is neither a param nor a literal",
    "unset-cache-key": "a cache key that says nothing",
    "unpinned-cache": "a cached task whose image is a tag",
    # files
    "path-escape": "a path that leaves the repository",
    "no-such-path": "a path that does not exist",
    "changed-by-git": "a file that Git lays down with other bytes than it keeps",
    "code-collision": "two code folders with a file at one path",
    "digest-mismatch": "bytes that are not those of the digest",
    # secrets
    "literal-secret": "a token, key or password in a file that names secrets",
    "unknown-secret": "a secret that an environment is not told where to find",
    # limits and platform
    "unknown-pool": "a GPU pool that no environment has",
    "unknown-workspace": "a kind of volume that no environment has",
    "unknown-priority": "a priority that no environment has",
    "unknown-queue": "a queue that no environment has",
    "no-spot": "a task on spot nodes where no environment says which those are",
    "spot-unsafe": "a task that may be preempted, and is not run again then",
    "spot-loses-work": "a long task that may be preempted, without a checkpoint",
    "bad-nodes": "a group of nodes that cannot be one execution",
    "nodes-need-script": "a task on several nodes with a command list, where there is a cluster",
    "unknown-environment": "an environment that mlgen.yaml does not have",
    "bad-pin": "a pin that is not the full id of a commit",
    "unknown-pin": "a pin to a commit that is not here",
    "over-limit": "a request above the environment's limit",
    "image-registry": "an image from a registry that the environment does not allow",
    "missing-image": "a task without an image, which a pod needs",
    "unpinned-image": "an image tag that mlgen.lock does not pin",
    "unknown-image": "an image or a tag that its registry does not have",
    "registry-denied": "a registry that does not let an image be read",
    "registry-unreachable": "a registry that is not reached, or does not answer",
    "registry-odd": "a host that answers as no registry should",
    "results-too-large": "more result bytes than a pod can hand on",
    "script-too-large": "a script that does not fit into a pod",
    "shebang": "a script that names another interpreter than sh",
    "not-in-katib": "a search that Katib's Experiment cannot be",
    "object-too-large": "an object that Kubernetes would not store",
    "tekton-variable": "text that Tekton would replace",
    # rendered files
    "not-rendered": "a file in tekton/ that is not as its spec renders",
    # policies
    "bad-policy": "a policy that the cluster would refuse, or that is not evaluated",
    "bad-expression": "an expression of a policy that does not compile",
    "policy-without-binding": "a policy that no binding names",
    "unknown-policy": "a binding of a policy that is not there",
    "missing-params": "a policy and a binding that do not agree on params",
    "policy": "what a policy of policies/ denies",
    "policy-warning": "what a policy of policies/ warns of",
    "policy-not-evaluated": "a policy that mlgen cannot evaluate, so that nobody knows what it says",
    "policy-case": "a case of a policy that cannot be read",
    "policy-test": "a case of a policy that is answered otherwise than it says",
    "untested-rule": "a rule of a policy that no case tries both ways",
}

WARNINGS = frozenset(
    {
        "unpinned-image",
        "unpinned-cache",
        "unused",
        "redundant-after",
        "shebang",
        "policy-without-binding",
        "policy-warning",
        "no-listener",
        "spot-loses-work",
    }
)


def sort(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Findings in the order of their places; equal ones once."""
    return sorted(dict.fromkeys(diagnostics), key=lambda d: (d.span, d.code, d.message))


def failed(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any finding is an error."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def visible(text: str) -> str:
    """The text with control, format and private characters and line ends escaped: a terminal or log shows all of it.

    Specs are hostile: an escape sequence in a name must not move a cursor or hide a word, nor command a CI's runner.
    """
    if "##" in text or "::" in text:
        text = _COMMAND.sub(lambda match: match[0][:-2] + _BROKEN[match[0][-2:]], text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if _hidden(unicodedata.category(c)) else c for c in text)


# What a CI's runner takes for a command in a line of a job's log: at its beginning `::add-mask::x`, and anywhere
# `##[add-mask]x` (both GitHub Actions, ActionCommand.cs), `##vso[…]` (Azure) and `##teamcity[…]`.
_COMMAND = re.compile(r"^\s*::|##(?=[A-Za-z]*\[)")
_BROKEN = {"::": r"\x3a:", "##": r"#\x23"}


def in_a_log(json_text: str) -> str:
    """JSON that says the same, and no line of which commands a runner: each begins with a sign of JSON's own."""
    return _COMMAND.sub(r"#\\u0023", json_text) if "##" in json_text else json_text


def _hidden(category: str) -> bool:
    return category[0] == "C" or category in ("Zl", "Zp")


LONGEST = 600  # characters of a sentence that are shown: names in it may be as long as a file


def sentence(text: str) -> str:
    """A sentence as people and programs get it: visible, and of a length that is read."""
    return visible(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def to_text(d: Diagnostic, lines: Sequence[str] | None) -> str:
    """One finding for people: several lines, no newline at the end. lines: the file's, to show the place."""
    out = [f"{visible(str(d.span))}: {d.severity}[{d.code}]: {sentence(d.message)}"]
    if lines is not None and d.span.line <= len(lines) and not d.secret:
        out += _picture(d.span, lines[d.span.line - 1])
    for r in d.related:
        out.append(f"   see  {visible(str(r.span))}: {sentence(r.message)}")
    out += [f"   {word}  {sentence(text)}" for word, text in (("why", d.why), ("fix", d.fix)) if text]
    out.append(f"   more mlgen explain {d.code}")
    return "\n".join(out)


WIDTH = 160  # characters of a source line that are shown


def _picture(span: Span, line: str) -> list[str]:
    start = max(0, span.column - 1 - WIDTH // 2) if span.column > WIDTH else 0
    end_column = span.end_column if span.end_line == span.line else len(line) + 1
    before = visible(line[start : span.column - 1])
    marked = visible(line[span.column - 1 : min(end_column - 1, start + WIDTH)])
    after = visible(line[span.column - 1 : start + WIDTH])[len(marked) :]
    number = f"{span.line:5}"
    return [
        f"{number} | {before}{marked}{after}",
        f"{' ' * len(number)} | {' ' * len(before)}{'^' * max(1, len(marked))}",
    ]


def to_json(d: Diagnostic) -> dict[str, object]:
    """One finding with the keys of `check --format json`."""
    return {
        "code": d.code,
        "severity": str(d.severity),
        "message": sentence(d.message),
        "why": sentence(d.why),
        "fix": sentence(d.fix),
        **_place(d.span),
        "related": [{"message": sentence(r.message), **_place(r.span)} for r in d.related],
    }


def _place(span: Span) -> dict[str, object]:
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
