"""Records on their way onto the ledger's branch, many commits in one push, and what becomes of those refused."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Branches, Look, Object, PushRefused, RefLocked, RefMoved, blob_id
from mlgen.ledger import chain
from mlgen.ledger.folding.folded import Folded, Refused
from mlgen.ledger.folding.intake import Intake
from mlgen.ledger.folding.turns import Turns
from mlgen.ledger.folding.twins import Kept, on_branch, rivals
from mlgen.ledger.folding.waiting import Waiting

LOST_TRIES = 200  # each lost try means that another fold landed something
REFUSALS = 32  # pushes that a host refuses before we believe that it is the branch, and not records, that it refuses
_SHORTEST = 7  # digits of an id, as git shortens it
_PAUSES_SECONDS = (0.5, 2.0)  # for a host that takes a push and shows it a little later
_ID = re.compile(rf"\b[0-9a-f]{{{_SHORTEST},64}}\b")
_MOST_IDS = 1000  # that a refusal names


class NoTurn(Exception):
    """Another fold was faster, and a push of ours must wait."""


@dataclass(frozen=True, slots=True)
class Landing:
    """One fold: from the spool to a ref. batch: the most records that one commit adds. folded: what is told of it."""

    intake: Intake
    repository: Branches
    ref: str
    seconds: int
    lock_tries: int
    batch: int
    turns: Turns
    folded: Folded
    _refused: list[tuple[Waiting, CannotAnswer]] = field(default_factory=list)

    def land(self, reader: Look, group: Sequence[Waiting]) -> None:
        """Land some records, in one push if the host takes it, and let them leave the spool. The turn is ours.

        A host may refuse a push for one record in it, such as for what looks like a token. Those that it names are
        then pushed after the others; where it names none, what is refused is tried again by halves, all that are of
        one size before smaller ones: one record must not hold back all others.
        These pushes wait for no turn: whoever has it ends the matter, and leaves nothing that is refused once more.
        Raises NoTurn where another fold moved the branch, and it is not our turn to push again.
        """
        waiting, refusals = deque([list(group)]), 0
        while waiting:
            records = waiting.popleft()
            try:
                self._land(reader, records)
            except CannotAnswer as fault:
                refusals += 1
                if fault.code != "git-push-refused" or (refusals >= REFUSALS and not self.folded.landed):
                    raise
                first, second = _split(records, fault)
                if first:
                    waiting.append(first)
                if first and second:
                    waiting.append(second)
                elif second:
                    self._refused.append((second[0], fault))

    @property
    def stay(self) -> set[str]:
        """The keys of what is not to be tried again now."""
        return {one.key for one in self.folded.left} | {waiting.key for waiting, _ in self._refused} | self.intake.done

    def judge(self) -> None:
        """Set aside the records that the host refused alone, if it took others, or named them, or did so before.

        Raises the refusal, CannotAnswer "git-push-refused", where the branch took nothing and nothing is named.
        """
        for waiting, fault in self._refused:
            known = self.folded.landed or _named([waiting], fault) or self.intake.spool.is_dead(waiting.key)
            if not known:
                raise fault
            message = f"{waiting.path} is not taken by the host: {fault.why}"
            self.intake.bury(waiting, Refused(waiting.key, "git-push-refused", message, waiting.path))

    def _land(self, reader: Look, group: list[Waiting]) -> None:
        later = rivals(group)
        kept, landed = self._push(reader, [waiting for waiting in group if waiting.key not in later])
        kept |= {key: kept[first.key] for key, first in later.items()}
        done = []
        for waiting in group:
            if kept[waiting.key] != (waiting.path, waiting.data):
                self.intake.bury(waiting, _conflict(*kept[waiting.key], waiting))
                continue
            (self.folded.landed if waiting.path in landed else self.folded.already).append(waiting.path)
            done.append(waiting.key)
        self.intake.forget(done)

    def _push(self, reader: Look, group: list[Waiting]) -> tuple[dict[str, Kept], set[str]]:
        """(what the branch's tip has of each record's execution, by key; paths that we added). It has all of them then.

        The look that decides what is new, after a push of ours, is the one that reads it back.
        """
        landed: set[str] = set()
        lost = locked = unseen = 0
        while True:
            tip = reader.get(self.ref)
            if tip is None or tip.kind != "commit":
                self.repository.tip(self.ref)  # raises for a broken one, which would look like none at all
            kept = {} if tip is None else on_branch(reader, tip.oid, group)
            new: dict[str, bytes] = {}
            for waiting in group:
                if waiting.key not in kept:
                    new.setdefault(waiting.path, waiting.data)
            if not new:
                self.folded.commit = tip.oid if tip else None
                return kept, landed
            if landed & new.keys():
                if unseen == len(_PAUSES_SECONDS):
                    raise _not_shown(self.ref, tip)
                time.sleep(_PAUSES_SECONDS[unseen])
                unseen += 1
                continue
            if lost and not self.turns.take():
                raise NoTurn
            try:
                self.repository.move_ref(self.ref, self._commits(tip, new), old=tip.oid if tip else None)
                landed |= new.keys()
            except RefMoved:
                lost += 1
                if lost == LOST_TRIES:
                    raise CannotAnswer("ledger-busy", f"{lost} other folds were faster", fix="fold again") from None
            except RefLocked as error:
                locked += 1
                if locked >= self.lock_tries:
                    raise _locked(self.ref, error.lock) from None

    def _commits(self, tip: Object | None, files: dict[str, bytes]) -> str:
        """The last of the commits that add some files, one after another, to a tip."""
        link, parent = (chain.of_commit(tip.data), tip.oid) if tip else (None, None)
        for some in _slices(files, self.batch):
            link = chain.link(some, link)
            parent = self.repository.commit(some, parent=parent, message=_message(some, link), seconds=self.seconds)
        assert parent is not None, "there are files"
        return parent


def _slices(files: dict[str, bytes], most: int) -> Iterator[dict[str, bytes]]:
    waiting = iter(files.items())
    while some := dict(islice(waiting, most)):
        yield some


def _split(group: list[Waiting], fault: CannotAnswer) -> tuple[list[Waiting], list[Waiting]]:
    """What to try again first, and what after it, of a group that was refused. The first is empty for a single one."""
    named = _named(group, fault)
    if 0 < len(named) < len(group):
        return [waiting for waiting in group if waiting.path not in named], [w for w in group if w.path in named]
    middle = len(group) // 2
    return group[:middle], group[middle:]


def _named(group: Sequence[Waiting], fault: CannotAnswer) -> set[str]:
    """The paths of the records that a host names in its refusal: by path, or by a blob's id, also shortened."""
    said = fault.said if isinstance(fault, PushRefused) else ""
    ids = _ID.findall(said)[:_MOST_IDS]
    starts = {oid[:_SHORTEST] for oid in ids}

    def is_named(waiting: Waiting) -> bool:
        own = [blob_id(waiting.data, form) for form in ("sha1", "sha256")] if ids else []
        return waiting.path in said or any(
            oid[:_SHORTEST] in starts and any(oid.startswith(found) for found in ids) for oid in own
        )

    return {waiting.path for waiting in group if is_named(waiting)}


def _message(files: dict[str, bytes], link: chain.Link) -> str:
    records = [path for path in files if path.startswith("runs/")]
    runs = {path.rpartition("/")[0].rpartition("/")[2] for path in records}
    events = len(files) - len(records)
    told = []
    if records:
        about = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} runs"
        told.append(f"{len(records)} record{'' if len(records) == 1 else 's'} of {about}")
    if events:
        told.append(f"{events} event{'' if events == 1 else 's'} from elsewhere")
    return f"ledger: {', '.join(told)}\n\n{link.trailers}"


def _conflict(path: str, kept: bytes, waiting: Waiting) -> Refused:
    first, second = canonical.digest_bytes(kept), canonical.digest_bytes(waiting.data)
    other = "" if path == waiting.path else f", as {waiting.path},"
    message = f"{path} is kept with {first}, and a record never changes: {second}{other} was refused"
    return Refused(waiting.key, "ledger-conflict", message, waiting.path)


def _not_shown(ref: str, tip: Object | None) -> CannotAnswer:
    return CannotAnswer(
        "ledger-not-kept",
        f"a push to {ref} was taken, and the host does not show it",
        why=f"it is at {tip.oid if tip else 'no commit'}, without what was pushed; the records wait in the spool",
        fix="find out what moves the branch back there (a mirror, a hook, a replica that is behind), then "
        "`mlgen ledger fold`",
    )


def _locked(ref: str, lock: str) -> CannotAnswer:
    return CannotAnswer(
        "ledger-locked",
        f"{ref} is locked: {lock} exists",
        why="a Git command is at work on it, or one was killed and left the file; the records wait in the spool",
        fix=f"when no Git command runs in this repository, remove {lock}, then `mlgen ledger fold`",
    )
