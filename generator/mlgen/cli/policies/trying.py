"""`mlgen policy test [FILE…]`: the cases in policies/tests/, each answered as its author expects."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from mlgen import diagnostic
from mlgen.cli import output
from mlgen.cli.options import Format, FormatOption
from mlgen.cli.policies.policed import FOLDER, policy_files
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Diagnostic, Misuse
from mlgen.policy.cases import read_cases
from mlgen.policy.load import load
from mlgen.policy.model import Policies
from mlgen.policy.trial import Outcome, Rule, try_out
from mlgen.spec.document import read

TESTS = f"{FOLDER}/tests"
GUIDE = "https://github.com/mlgen/mlgen/blob/main/generator/guides/policies.md"
Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE]...", help="Files of cases, or the policies they are of; without any: all."),
]


@dataclass
class _Tried:
    """All that was tried, and all that is to be mended."""

    found: list[Diagnostic] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)


def try_policies(files: Files = None, form: FormatOption = Format.TEXT) -> None:
    """Try the policies by their cases: objects that each is to allow or to deny, and with which words.

    policies/tests/NAME.yaml holds the cases of policies/NAME.yaml. A rule that no case was denied, or allowed, by is
    a finding too: nobody knows that it works. Needs no cluster. Exit 1 when a case or a rule fails.
    """
    workspace = Workspace.around(files)
    sources, lost = policy_files(workspace)
    if not sources:
        fix = f"write one there, as {GUIDE} shows"
        raise Misuse("no-policies", f"there is no {FOLDER}/*.yaml in {workspace.root}", fix=fix)
    policies, broken = load(sources)
    tried = _Tried([*lost, *broken])
    for path in _named(files, workspace) if files else sorted(sources):
        own = replace(
            policies,
            policies=tuple(p for p in policies.policies if p.place.file == path),
            bindings=tuple(b for b in policies.bindings if b.place.file == path),
        )
        if own.policies:
            _try(workspace, path, own, tried)
    for stray in _strays(workspace, sources) if not files else ():
        read_as = workspace.document(stray).source.first_line
        fix = f"name it after the policy's file, or write {FOLDER}/{posixpath.basename(stray)}"
        tried.found.append(Diagnostic("policy-case", "cases of no policy", read_as, "", fix))
    _print(tried, form)
    raise typer.Exit(1 if diagnostic.failed(tried.found) else 0)


def _named(files: Sequence[Path], workspace: Workspace) -> list[str]:
    """The policy files that a command line means."""
    paths, _ = workspace.candidates(files)
    return list(dict.fromkeys(f"{FOLDER}/{posixpath.basename(path)}" for path in paths))


def _strays(workspace: Workspace, sources: dict[str, bytes]) -> Iterator[str]:
    for name in workspace.files.beside(f"{TESTS}/"):
        if name.endswith(".yaml") and f"{FOLDER}/{name}" not in sources:
            yield f"{TESTS}/{name}"


def _try(workspace: Workspace, path: str, policies: Policies, tried: _Tried) -> None:
    tests = f"{TESTS}/{posixpath.basename(path)}"
    outcomes, rules, unread = list[Outcome](), list[Rule](), list[Diagnostic]()
    if workspace.files.kind(tests) == "file":
        cases, unread = read_cases(read(tests, workspace.data(tests)))
        outcomes, rules = try_out(policies, cases)
    else:
        _, rules = try_out(policies, [])
    tried.outcomes += outcomes
    tried.rules += rules
    tried.found += [*unread, *(_failed(one) for one in outcomes if not one.passed)]
    if not unread:
        tried.found += [_untested(rule, tests) for rule in rules if not (rule.denied and rule.allowed)]


def _failed(outcome: Outcome) -> Diagnostic:
    case = outcome.case
    message = f'"{case.name}" is {_words(outcome.refused, outcome.warned)}'
    why = f"it is to be {_words(case.denied, case.warned)}"
    key = "denied" if case.denied else "warned" if case.warned else "name"
    return (case.place / key).finding("policy-test", message, why, "mend the policy, or what the case expects")


def _words(denied: Sequence[str], warned: Sequence[str]) -> str:
    words = [*(f"denied: {text}" for text in denied), *(f"warned of: {text}" for text in warned)]
    return "; ".join(words) or "allowed"


def _untested(rule: Rule, tests: str) -> Diagnostic:
    lacking = " or ".join(word for word, count in (("denies", rule.denied), ("allows", rule.allowed)) if not count)
    message = f"no case has what rule {rule.validation.index + 1} of {rule.policy.name} {lacking}"
    why = "a rule that was never seen to say both may say the same to everything"
    fix = f"add such a case to {tests}"
    return Diagnostic("untested-rule", message, rule.validation.expression.place, why, fix)


def _print(tried: _Tried, form: Format) -> None:
    found = diagnostic.sort(tried.found)
    passed = sum(one.passed for one in tried.outcomes)
    both = sum(1 for rule in tried.rules if rule.denied and rule.allowed)
    if form is Format.JSON:
        output.answer_json(
            {
                "cases": [_case_json(one) for one in tried.outcomes],
                "rules": [_rule_json(rule) for rule in tried.rules],
                "findings": [diagnostic.to_json(one) for one in found],
                "summary": {"cases": len(tried.outcomes), "passed": passed, "rules": len(tried.rules), "tried": both},
            }
        )
        return
    output.findings(found, sys.stdout)
    told = f"{passed} of {len(tried.outcomes)} cases as expected, {both} of {len(tried.rules)} rules tried both ways"
    sys.stdout.write(f"{told}\n")


def _case_json(outcome: Outcome) -> dict[str, object]:
    case, span = outcome.case, outcome.case.place.span
    return {
        "file": span.file,
        "line": span.line,
        "name": case.name,
        "passed": outcome.passed,
        "expected": {"denied": list(case.denied), "warned": list(case.warned)},
        "got": {"denied": list(outcome.refused), "warned": list(outcome.warned)},
    }


def _rule_json(rule: Rule) -> dict[str, object]:
    span = rule.validation.expression.place
    return {
        "policy": rule.policy.name,
        "rule": rule.validation.index + 1,
        "file": span.file,
        "line": span.line,
        "denied": rule.denied,
        "allowed": rule.allowed,
    }
