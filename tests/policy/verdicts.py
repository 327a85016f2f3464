"""What the engine says of a case's objects, in the form in which the API server's answers are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mlgen.diagnostic import Severity
from mlgen.policy.judge import Judge, Request, Verdict
from mlgen.policy.load import load
from tests.policy import corpus
from tests.policy.case import Case, Json

RECORDED = Path(__file__).parent / "data" / "apiserver-1.34.jsonl"
PREFIX, NAMESPACE = "parity", "parity"  # as the record has them, whatever those of the session


@dataclass(frozen=True)
class Answer:
    """status: HTTP. reason and message: of a refusal. warnings: of a request that is let through, in their order."""

    status: int
    reason: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()


def judge(case: Case) -> Judge | None:
    """None where the case's files are refused."""
    files = corpus.documents(case, PREFIX, NAMESPACE)
    data = "---\n".join(json.dumps(d, ensure_ascii=False) + "\n" for d in files).encode()
    policies, findings = load({"policies/case.yaml": data})
    refusals = [f for f in findings if f.severity is Severity.ERROR and f.code != "missing-params"]
    return None if refusals else Judge(policies)


def verdicts(found: Judge, data: Json) -> list[Verdict]:
    return found.judge(Request(data, corpus.THINGS, namespace=corpus.namespace_object(NAMESPACE)))


_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


def answer(said: list[Verdict], data: Json) -> Answer:
    """The API server's answer by the engine's verdicts, all of them evaluated."""
    denied = [v for v in said if "Deny" in v.actions]
    if denied:
        first = denied[0]
        reason = first.reason or "Invalid"
        head = f'things.{corpus.GROUP} "{data["metadata"]["name"]}" is forbidden: '
        return Answer(_CODES[reason], reason, head + first.text)
    return Answer(201, warnings=tuple(v.warning for v in said if "Warn" in v.actions))


def recorded() -> dict[str, Json]:
    """case -> {"refused": …} or {"answers": {object: …}}, as the API server said."""
    lines = RECORDED.read_text().splitlines()
    return {entry["case"]: entry for entry in map(json.loads, lines)}


# What only the cluster knows: a case that is not evaluated says one of these.
NOT_EVALUATED = (
    "authorizer asks the cluster",
    "is not known before the request is made",
    "is known in part only",
    "is given by the cluster",
    "is not known to mean the same here",
    "is not known to be read alike here",
    "as the cluster's locale has it",
    "the format ",
    "the time zone ",
    "as Go reads it",
    "a macro makes the same key twice",
    "a quantity ",
    "an IPv6 address",
    "a precision",
    "%f of a text",
    "within a list",
    "a map with a key of the type",
)


@dataclass
class Tally:
    """compared: verdicts and messages that agree. worded: verdicts agree, and the words are known not to be ours."""

    compared: int
    worded: int
    refused: int
    not_evaluated: dict[str, str]
    different: list[str]

    def summary(self) -> str:
        return (
            f"{self.compared} answers equal to the byte, {self.refused} policies refused by both, "
            f"{self.worded} equal but for words of the cluster's own, {len(self.not_evaluated)} not evaluated, "
            f"{len(self.different)} different"
        )


def compare(said: dict[str, Json], cases: list[Case]) -> Tally:
    """The engine's answers beside those of the API server, to these cases."""
    tally = Tally(0, 0, 0, {}, [])
    things = corpus.things()
    for case in cases:
        entry, found = said[case.name], judge(case)
        if found is None or "refused" in entry:
            if found is None and "refused" in entry:
                tally.refused += 1
            else:
                who = "the API server" if found else "the engine"
                tally.different.append(f"{case.name}: only {who} refuses it: {entry.get('refused', '')} {case.spec}")
            continue
        for name, theirs in entry["answers"].items():
            data = corpus.labelled(things[name], case.name, NAMESPACE)
            _one(tally, f"{case.name}, {name}", theirs, verdicts(found, data), data)
    return tally


def _one(tally: Tally, where: str, theirs: Json, ours: list[Verdict], data: Json) -> None:
    unknown = next((v.error for v in ours if not v.evaluated), None)
    if unknown is not None:
        tally.not_evaluated[where] = unknown
        if not any(reason in unknown for reason in NOT_EVALUATED):
            tally.different.append(f"{where}: not evaluated: {unknown}")
        return
    expected = Answer(
        theirs["status"], theirs.get("reason", ""), theirs.get("message", ""), tuple(theirs.get("warnings", ()))
    )
    mine = answer(ours, data)
    if mine == expected:
        tally.compared += 1
    elif any(v.error for v in ours) and mine.status == expected.status:
        tally.worded += 1
    else:
        tally.different.append(f"{where}:\n  theirs {expected}\n  ours   {mine}")
