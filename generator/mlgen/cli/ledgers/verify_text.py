"""The answer of `mlgen ledger verify` in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlgen.diagnostic import sentence, visible
from mlgen.ledger.verify.finding import KINDS

_SHORT = 12  # digits of a commit's id
_WORDS = {
    "unsigned": "not signed",
    "signed": "signed",
    "wrong": "signed wrongly",
    "unchecked": "signed, by unknown keys",
}


def text(answer: dict[str, Any]) -> str:
    """All lines."""
    lines = [
        *_head(answer),
        *_signed(answer),
        *_artifacts(answer),
        *_cluster(answer),
        *_findings(answer),
        *(f"note  {one}" for one in answer["notes"]),
    ]
    count = sum(answer["counts"].values())
    lines.append("nothing is wrong" if not count else f"{count:,} finding{'' if count == 1 else 's'}")
    return "".join(visible(line) + "\n" for line in lines)


def _head(answer: dict[str, Any]) -> Iterator[str]:
    if answer["ledger"] is None:
        yield f"ledger   there is none: no branch {answer['branch']}"
        return
    yield f"ledger   {answer['ledger']}"
    yield f"chain    {answer['chain'] or 'broken off: the last commit has no trailers'}"
    since = answer["since"]
    where = "" if since is None else f", those up to {since[:_SHORT]} before" if answer["remembered"] else ""
    after = f", after {since[:_SHORT]} alone" if since is not None and not answer["remembered"] else ""
    yield f"commits  {answer['commits']:,}{where}{after}"
    yield f"records  {answer['records']:,}"
    if answer["epoch"] is not None:
        yield f"epoch    {answer['epoch']}"


def _signed(answer: dict[str, Any]) -> Iterator[str]:
    found = answer["signatures"]
    if not found:
        return
    if set(found) == {"unsigned"}:
        yield "signed   no commit"
        return
    counts = ", ".join(f"{count:,} {_WORDS[how]}" for how, count in sorted(found.items()))
    by = ", ".join(sorted(answer["signers"]))
    yield f"signed   {counts}{f'; by {by}' if by else ''}"
    if len(answer["stretches"]) > 1:
        for one in answer["stretches"]:
            ends = one["first"][:_SHORT]
            if one["commits"] > 1:
                ends += f"..{one['last'][:_SHORT]}"
            yield f"           {ends}  {one['commits']:,} {_WORDS[one['how']]}"


def _artifacts(answer: dict[str, Any]) -> Iterator[str]:
    if found := answer.get("artifacts"):
        counts = {
            f"right, {found['sizeBytes']:,} bytes": found["right"],
            "thrown away by `mlgen gc artifacts`": found["collected"],
            "elsewhere, not read": found["elsewhere"],
        }
        yield f"artifacts  {'; '.join(f'{count:,} {words}' for words, count in counts.items() if count) or 'none'}"


def _cluster(answer: dict[str, Any]) -> Iterator[str]:
    if found := answer.get("cluster"):
        yield f"cluster  {found['executions']:,} executions of {found['runs']:,} runs that ended"
        if found["gone"]:
            yield f"           {found['gone']:,} runs that it has no more, younger than its oldest: pruned, or deleted"
        for one in found["unfit"]:
            yield f"           {one['name']} cannot be read: {one['reason']}"


def _findings(answer: dict[str, Any]) -> Iterator[str]:
    for code, count in answer["counts"].items():
        kind = KINDS[code]
        shown = [one for one in answer["findings"] if one["code"] == code]
        yield ""
        yield f"error[{code}]: {kind.title}"
        for one in shown:
            place = "  ".join(part for part in (one["commit"], one["path"]) if part)
            yield f"   {place}{': ' if place else ''}{sentence(one['message'])}"
        if count > len(shown):
            yield f"   and {count - len(shown):,} more"
        yield f"   why  {kind.why}"
        yield f"   fix  {kind.fix}"
    if answer["counts"]:
        yield ""
