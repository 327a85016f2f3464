"""A walk along a ledger's commits, from the first or from one that was verified before, in bounded memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from mlgen.git import Repository
from mlgen.git.history import Commit, commits
from mlgen.ledger.verify.finding import Finding, Found
from mlgen.ledger.verify.identity import MOST_LOOKED_INTO, merged, new_keys, paths_of
from mlgen.ledger.verify.sides import judged
from mlgen.ledger.verify.span import SIGNED, UNCHECKED, UNSIGNED, WRONG, Asked, Part, Terms

SKEW_SECONDS = 86_400  # that clocks may be apart
SPAN_RECORDS = 10_000  # of a span, about: enough that its processes are worth starting
_FEW, _MANY = 16, 400  # commits of a span
_STRETCHES = 50

OnProgress = Callable[[int, int], None]  # commits and records so far


@dataclass(slots=True)
class Stretch:
    """Commits in a row that are signed alike. how: one of HOW; "unchecked" where nobody said whose keys are good."""

    how: str
    first: str
    last: str
    commits: int = 1


@dataclass(slots=True)
class Walked:
    """What a walk saw. keys: of all records, sorted (`identity`). root: the id of the first commit, of a whole walk.

    stretches: how commits are signed, the first ones of many. has_signed: whether any is, by a key that is allowed.
    odd_times: of commits that say a time long before the one's before, or after now: (id, which). times: what the last
    commits say, of those that were not in the future, in seconds since 1970.
    """

    found: Found = field(default_factory=Found)
    commits: int = 0
    records: int = 0
    root: str = ""
    keys: array[int] = field(default_factory=new_keys)
    stretches: list[Stretch] = field(default_factory=list)
    signatures: dict[str, int] = field(default_factory=dict)
    has_signed: bool = False
    environments: dict[str, int] = field(default_factory=dict)
    principals: dict[str, int] = field(default_factory=dict)
    odd_times: list[tuple[str, str]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


HOW = {UNSIGNED: "unsigned", SIGNED: "signed", WRONG: "wrong", UNCHECKED: "unchecked"}


def walk(
    repository: Repository,
    tip: str,
    terms: Terms,
    *,
    now: datetime,
    since: str | None = None,
    walked: Walked | None = None,
    jobs: int = 1,
    on_progress: OnProgress = lambda _commits, _records: None,
) -> Walked:
    """Judge the commits that lead to a tip. since: one that leads to it, whose history is known: `walked` says how.

    Raises GitError, and CannotAnswer "no-ssh-keygen".
    """
    so_far = walked or Walked()
    fresh = new_keys()
    seen = _Seen(so_far, now.timestamp(), whole=since is None)
    spans = _spans(commits(repository, tip, since=since), seen, so_far)
    with closing(judged(repository, spans, terms, jobs)) as parts:
        for asked, part in parts:
            _take(so_far, asked, part, terms)
            fresh.extend(part.keys)
            on_progress(so_far.commits, so_far.records)
    so_far.keys, twice = merged(so_far.keys, fresh)
    if len(twice) > MOST_LOOKED_INTO:  # ids that are made at random are never alike: these are there to hide some
        message = f"{len(twice):,} ids have others that begin alike; {MOST_LOOKED_INTO:,} of them were compared"
        so_far.found.add(Finding("twice-told", message))
    for one, paths in paths_of(repository, tip, twice) if twice else ():
        so_far.found.add(
            Finding("twice-told", f"{one} has {len(paths)} records: {', '.join(paths[:3])}", "", paths[-1])
        )
    if terms.signers is not None and so_far.commits and not so_far.has_signed:
        so_far.found.add(Finding("unsigned", "no commit is signed by a key that ledger.signers allows", tip))
    return so_far


@dataclass(slots=True)
class _Seen:
    """What is to be known of the commits before one: its key is judged by that, too."""

    walked: Walked
    now: float
    whole: bool

    def ask(self, commit: Commit) -> Asked:
        """How a commit is to be judged.

        A commit's time is what its maker says. So a thief of a key whose period ended could say an earlier one: but
        not one that lies more than a day before what two of the three commits before it say. Two, and of the last ones:
        a clock that was far ahead once must not judge all that comes after it.
        """
        times = self.walked.times
        if not commit.parents:
            if self.whole and not self.walked.root:
                self.walked.root = commit.oid
            else:
                self.walked.found.add(Finding("second-root", "the commit has no parent", commit.oid))
        if times and commit.seconds < times[-1] - SKEW_SECONDS:
            self._note(commit, "before an earlier commit's")
        two_say = sorted(times)[-2] if len(times) > 1 else 0
        at = max(commit.seconds, two_say - SKEW_SECONDS)
        if commit.seconds > self.now + SKEW_SECONDS:
            self._note(commit, "in the future")
        else:
            self.walked.times = [*times, commit.seconds][-3:]
        return Asked(commit, max(0, min(at, _LAST_SECOND)))

    def _note(self, commit: Commit, what: str) -> None:
        if len(self.walked.odd_times) < _STRETCHES:
            self.walked.odd_times.append((commit.oid, what))


_LAST_SECOND = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


def _spans(found: Iterator[Commit], seen: _Seen, walked: Walked) -> Iterator[list[Asked]]:
    """Commits by so many that a span has some SPAN_RECORDS, as far as those before tell how many a commit has."""
    count = _FEW
    while span := [seen.ask(commit) for commit in islice(found, count)]:
        yield span
        count = max(_FEW, min(_MANY, SPAN_RECORDS * walked.commits // max(1, walked.records)))


def _take(walked: Walked, asked: list[Asked], part: Part, terms: Terms) -> None:
    walked.found.extend(part.found)
    walked.commits += len(asked)
    walked.records += part.records
    for total, some in ((walked.environments, part.environments), (walked.principals, part.principals)):
        for name, count in some.items():
            total[name] = total.get(name, 0) + count
    for one, mark in zip(asked, part.marks, strict=True):
        how = HOW[mark]
        walked.signatures[how] = walked.signatures.get(how, 0) + 1
        _stretch(walked.stretches, how, one.commit.oid)
        walked.has_signed = walked.has_signed or mark == SIGNED
        if mark == UNSIGNED and walked.has_signed and terms.signers is not None:
            walked.found.add(Finding("unsigned", "earlier commits are signed, and this one is not", one.commit.oid))


def _stretch(stretches: list[Stretch], how: str, oid: str) -> None:
    if stretches and stretches[-1].how == how:
        stretches[-1].last = oid
        stretches[-1].commits += 1
    elif len(stretches) < _STRETCHES:
        stretches.append(Stretch(how, oid, oid))
