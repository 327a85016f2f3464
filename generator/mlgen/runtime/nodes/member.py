"""A pod's part in an attempt on several nodes, as its sidecar plays it: it joins, lives, hears of ends, and ends main.

Rank 0 listens to all others, and they to it. A look at the board is one request; who is not heard of for a while is
lost, by the listener's own clock, and only while the listener itself reaches the board.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlgen.ledger.records import entry
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.clock import timestamp
from mlgen.runtime.ending import POD_STOPPED, STEP_FAILED, cause_of_record
from mlgen.runtime.nodes.board import Board, Seen, blamed, board_of
from mlgen.runtime.nodes.model import End
from mlgen.runtime.outs import sentence
from mlgen.runtime.pod.ender import Ender
from mlgen.runtime.pod.handover import GROUP, HERE, KEPT, MEET, ROOT, TOLD_TO_END
from mlgen.runtime.pod.post import Post
from mlgen.runtime.pod.watch import Watch

LOOK_SECONDS = 2.0  # between looks at the board, of up to
MANY = 64  # nodes: with more of them, each looks less often, as what it sees grows with their number
BEAT_SECONDS = 10.0
LOST_SECONDS = 60.0  # without a beat
LEAVE_SECONDS = 10.0  # for a program to end by itself, once rank 0 has ended well

LOST = "its pod has not been heard of for {:.0f} s: its node was lost, or does not reach the bucket"
ANOTHER = "its pod was lost, and the cluster made another"
SILENT = "its pod was lost, with all it could have told"
DONE = "an attempt before had succeeded, and its other nodes have ended: run the task anew"


@dataclass
class Member:
    """post: of the sidecar. address: of this pod."""

    post: Post
    address: str
    _busy: bool = False
    _due_at: float = 0.0
    _joined: bool = False
    _is_ready: bool = False
    _beats: int = 0
    _beat_at: float | None = None
    _heard: dict[int, tuple[int, float]] = field(default_factory=dict)  # rank -> its last beat, and when it was new
    _told_problem: str = ""
    _since: float | None = None  # how this attempt ended is known
    _ender: Ender = field(init=False)

    def __post_init__(self) -> None:
        self._ender = Ender(self.post.places.root / "end")

    @property
    def group(self) -> End | None:
        """How the attempt ended, as far as this pod has heard."""
        told = self.post.handover.told(GROUP)
        return None if told is None else End.loads(told)

    def follow(self, watch: Watch) -> None:
        """Look at the board where it is time, beside; end main where the attempt has ended."""
        if not self._busy and self._monotonic() >= self._due_at:
            self._busy = True
            watch.beside(self.look)
        self._end_main()

    def patience(self, seconds: float) -> float:
        """How long to wait at most, where nothing else is to be seen for so long."""
        if self._busy:
            return seconds  # its end wakes
        return min(seconds, max(0.0, self._due_at - self._monotonic()))

    def look(self) -> None:
        """One look at the board, and what follows from it. It never fails: it is made again."""
        try:
            self._look(board_of(self.post.store, self.post.document, self.post.execution))
            self._told_problem = ""
        except Exception as error:  # whatever it is: a pod that looks no more is lost to the others
            self._heard.clear()  # who could not be heard meanwhile has a whole while again
            problem = sentence(error)
            if problem != self._told_problem:
                self._told_problem = problem
                self.post.say(f"the other nodes cannot be heard: {problem}")
        nodes = self.post.document.nodes
        self._due_at = self._monotonic() + LOOK_SECONDS * max(1.0, nodes.count / MANY if nodes is not None else 1.0)
        self._busy = False

    def tell_end(self, data: bytes) -> None:
        """Say how this rank ended, once that is decided, any number of times. data: the record. Raises StoreError."""
        record, handover = entry.from_bytes(data), self.post.handover
        assert isinstance(record, TaskRecord), "decided by us"
        well = record.state is State.COMPLETE
        if self.post.rank and (well or handover.told(TOLD_TO_END) is not None or handover.told(GROUP) is not None):
            return
        cause = cause_of_record(record)
        end = End(
            self.post.rank, well, record.ended_at, record.exit_code, record.reason, record.error or "",
            str(cause) if cause else None,
        )  # fmt: skip
        board_of(self.post.store, self.post.document, self.post.execution).tell_end(end)

    def tell_kept(self, data: bytes) -> None:
        """Say what rank 0's record is, once it is durable. Raises StoreError."""
        if self.post.rank == 0:
            record = entry.from_bytes(data)
            complete = isinstance(record, TaskRecord) and record.state is State.COMPLETE
            board_of(self.post.store, self.post.document, self.post.execution).tell_kept(complete=complete)

    def _look(self, board: Board) -> None:
        seen = board.look()
        if not self._joined:
            self._joined = self._join(board, seen)
        self._beat(board, seen.beats.get(self.post.rank, 0))
        if not self._is_ready and self.post.handover.told(HERE) is not None:
            board.tell_ready(self.post.rank, self.address)
            self._is_ready = True
        if len(seen.ready) == board.count and self.post.handover.told(MEET) is None:
            try:
                self._tell(MEET, board.address())
            except BadRecord as error:
                self._group(self._lost(0, f"where it is cannot be read: {error}"))
        self._hear_ends(board, seen)
        self._hear_beats(seen)

    def _join(self, board: Board, seen: Seen) -> bool:
        """Begin: attempts before this one are over, and no other pod is this rank."""
        rank, execution = self.post.rank, self.post.execution
        for attempt in reversed(range(execution.attempt)):
            before = board_of(self.post.store, self.post.document, execution, attempt=attempt)
            if attempt == execution.attempt - 1:
                before.tell_end(self._lost(rank, SILENT))
                if rank == 0:
                    before.tell_kept(complete=False)
            if before.kept():
                self._is_over() if rank else self._group(self._lost(rank, DONE))
                return True
        if rank and 0 in seen.ended and (root := board.end(0, self._now)) is not None and root.well:
            return True  # heard of below: a pod that was made anew, of a rank that is not needed any more
        if not board.claim(rank, self.post.pod_uid):
            end = self._lost(rank, ANOTHER)
            self._group(end)
            board.tell_end(end)
        return True

    def _is_over(self) -> None:
        """An attempt before succeeded: no other rank than 0 has anything to do."""
        text = End(0, True, self._now).to_bytes().decode()
        for name, told in ((ROOT, text), (KEPT, "complete"), (GROUP, text)):
            self._tell(name, told)

    def _beat(self, board: Board, before: int) -> None:
        """before: the latest beat of this rank on the board."""
        now = self._monotonic()
        self._beats = self._beats or before
        if self._beat_at is not None and now - self._beat_at < BEAT_SECONDS:
            return
        self._beats, self._beat_at = self._beats + 1, now
        board.beat(self.post.rank, self._beats)

    def _hear_ends(self, board: Board, seen: Seen) -> None:
        handover, rank = self.post.handover, self.post.rank
        if rank and handover.told(ROOT) is None and 0 in seen.ended:
            root = board.end(0, self._now)
            if root is not None:
                if root.well:
                    self._group(root)
                self._tell(ROOT, root.to_bytes().decode())
        if rank and seen.kept and handover.told(KEPT) is None:
            self._tell(KEPT, "complete" if board.kept() else "failed")
        if handover.told(GROUP) is None and seen.ended - {rank}:
            first = blamed([end for end in board.ends(seen, self._now) if end.rank != rank])
            if first is not None:
                self._group(first)

    def _hear_beats(self, seen: Seen) -> None:
        """Who is not heard of any more, of those who were there and have not said how they ended."""
        now, rank = self._monotonic(), self.post.rank
        listened = {0} if rank else {other for other in seen.pods if other}
        for other in (listened & seen.pods) - ({*seen.ended} if rank == 0 else set()):
            beat, since = self._heard.get(other, (-1, now))
            latest = seen.beats.get(other, 0)
            if latest != beat:
                self._heard[other] = (latest, now)
            elif now - since > LOST_SECONDS and not (rank and seen.kept):
                end = self._lost(other, LOST.format(LOST_SECONDS))
                self._group(end)
                if rank:
                    self._tell(ROOT, end.to_bytes().decode())
                    self._tell(KEPT, "failed")

    def _end_main(self) -> None:
        """Let main end, or end it, once the attempt has ended: by what its script's prelude reads."""
        end = self.group
        if end is None or (end.well and self.post.rank == 0):
            return
        now = self._monotonic()
        self._since = now if self._since is None else self._since
        patience = LEAVE_SECONDS if end.well else 0.0
        if now - self._since >= patience and self._ender.can:
            self.post.handover.tell(TOLD_TO_END)
            self._ender.end(now - self._since - patience)

    def _group(self, end: End) -> None:
        self._tell(GROUP, end.to_bytes().decode())

    def _tell(self, name: str, text: str) -> None:
        if self.post.handover.tell(name, text):
            self.post.handover.wake()

    def _lost(self, rank: int, why: str) -> End:
        reason = STEP_FAILED if why == DONE else POD_STOPPED
        return End(rank, False, self._now, None, reason, why, str(Cause.INFRASTRUCTURE))

    @property
    def _now(self) -> str:
        return timestamp(self.post.clock.now())

    def _monotonic(self) -> float:
        return self.post.clock.monotonic()
