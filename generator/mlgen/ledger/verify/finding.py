"""What verification finds: what, in which commit and file, why it matters, what to do."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST = 100  # findings that are told; the rest is counted


@dataclass(frozen=True, slots=True)
class Kind:
    """A code's meaning. title: what it says, in a few words. why: why it matters. fix: what to do about it."""

    title: str
    why: str
    fix: str


_WHO = "find out who pushed that commit: the host's log of pushes says it"
_OUT = f"{_WHO}; then `mlgen ledger epoch --drop PATH` begins the history anew without it"
_ANEW = f"{_WHO}; then `mlgen ledger epoch` begins the history anew with all files, and leaves this commit behind"
_RESTORE = (
    f"{_WHO}; what was there before is in an older clone, or in the host's backup; then `mlgen ledger epoch` begins "
    "the history anew, with all files or less"
)
_KEYS = "if the key is good, add it to the file that ledger.signers names, with the time from which it holds"

# code -> its meaning. A code is never renamed or reused.
KINDS: dict[str, Kind] = {
    "ledger-rewritten": Kind(
        "a history that does not continue the one that was verified before",
        "records may have been taken away or changed, in a history that is consistent in itself",
        "look for the old tip in older clones and in the host's log of pushes; a rewrite that is meant is an epoch: "
        "`mlgen ledger epoch` makes one, which names the tip before it",
    ),
    "unsigned-epoch": Kind(
        "a history that was begun anew by nobody knows whom",
        "whoever can push can leave out records so: no key says who did",
        "if it was meant, nothing: it is known from now on; else the old tip is in older clones. "
        "ledger.signers in mlgen.yaml says whose epochs count",
    ),
    "second-root": Kind(
        "a commit without a parent that is not the ledger's first",
        "a history of its own was put beside, or in the place of, the ledger's",
        _ANEW,
    ),
    "merge-commit": Kind(
        "a commit with more than one parent",
        "a merge can bring other files than its parents have; folds make a line of commits",
        f"{_ANEW}; protect the branch: linear history only",
    ),
    "forged-commit": Kind(
        "a commit whose bytes are not those of its id, or which git tells otherwise than its bytes",
        "the repository's storage was tampered with: git itself does not compare when it reads",
        "`git fsck` names what is damaged; fetch the ledger anew from its host",
    ),
    "bad-trailers": Kind(
        "a commit without the two trailers of the chain, once each",
        "it was made by other means than a fold, and the chain has a gap there",
        _ANEW,
    ),
    "chain-broken": Kind(
        "a commit whose Mlgen-Prev-Sha256 does not follow from its parent",
        "a commit was taken out, put in, or changed before it, or two change places",
        _RESTORE,
    ),
    "batch-mismatch": Kind(
        "a commit whose Mlgen-Batch-Sha256 is not of the files that it adds",
        "the commit was changed after a fold made it",
        _RESTORE,
    ),
    "record-changed": Kind(
        "a file that has other bytes, or another mode, than before", "a record never changes", _RESTORE
    ),
    "record-deleted": Kind("a file that was taken away", "a record never goes; to erase one is an epoch", _RESTORE),
    "record-moved": Kind("a file that lies elsewhere than before", "a record's path follows from its bytes", _RESTORE),
    "stray-file": Kind(
        "a file at a path that no record has",
        "readers do not see it, and nobody knows what it is for",
        f"{_OUT}; if a newer mlgen wrote it, upgrade",
    ),
    "not-a-file": Kind(
        "a link, another repository or a program in the place of a record",
        "in a checkout it may lead anywhere, or run",
        _OUT,
    ),
    "wrong-path": Kind(
        "a record at another path than its own",
        "it was put there by hand: readers skip it, or take it for another's",
        _OUT,
    ),
    "bad-record": Kind("a file that is no record", "no fold lands such bytes: it was put there by hand", _OUT),
    "missing-bytes": Kind(
        "a file whose bytes are not there",
        "what cannot be read cannot be verified",
        "`git fsck` says what is lost; another clone may have it",
    ),
    "ledger-too-new": Kind(
        "a record in a format that only a newer mlgen reads", "this mlgen cannot say whether it is right", "upgrade"
    ),
    "other-environment": Kind(
        "a record of an environment whose ledger is another one",
        "no fold of this project lands it here: it was forged, or pushed to the wrong branch",
        f"{_OUT}; if the environment had its ledger here before, verify with the mlgen.yaml of that time",
    ),
    "twice-told": Kind(
        "one execution, or run, with two records",
        "one of them is a copy that was altered: the first that landed is the right one",
        _OUT,
    ),
    "too-many-files": Kind(
        "a commit with more wrong files than are counted",
        "it was made to be expensive; it was not read to its end",
        _WHO,
    ),
    "unsigned": Kind(
        "a commit without a signature, where commits are signed",
        "whoever can push could have made it",
        f"{_WHO}; give every folder the key (`ssh-signingkey` in the ledger's Secret)",
    ),
    "wrong-signature": Kind(
        "a signature that is not good, or of a key that is not allowed then",
        "whoever made the commit had no key of this ledger",
        f"{_WHO}; {_KEYS}",
    ),
    "dead-letter": Kind(
        "records that could not land and wait for somebody",
        "the ledger does not tell of them",
        "the .reason file beside each says why; mend that, then `mlgen ledger fold --dead`",
    ),
    "artifact-missing": Kind(
        "an artifact that a record names and the store does not have",
        "what was made cannot be had any more",
        "look whether the bucket keeps versions; `mlgen gc artifacts` says what it collects, this it did not",
    ),
    "artifact-altered": Kind(
        "an artifact with other bytes than its record says",
        "whoever reads it gets something else than was made",
        "look whether the bucket keeps versions; find out who may write below the prefix of an execution",
    ),
    "untold-execution": Kind(
        "an execution that the cluster knows, and neither ledger nor spool does",
        "a record was lost or taken away, or reconcile does not run",
        "`mlgen ledger reconcile` tells of it; does its CronJob run?",
    ),
    "other-outcome": Kind(
        "a record that says otherwise than the cluster",
        "the record, or the cluster's object, was forged",
        "compare the two: `kubectl get taskrun NAME -o yaml`, `mlgen runs show RUN`",
    ),
    "unknown-execution": Kind(
        "a record of an execution that the cluster should still know, and does not",
        "nothing that ran can have written it, unless its objects were deleted by hand",
        "look for the run in the cluster's audit log, and for who pushed the commit",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. message: a sentence with the values. commit: its id; path: of a file. "" where none."""

    code: str
    message: str
    commit: str = ""
    path: str = ""

    @property
    def kind(self) -> Kind:
        return KINDS[self.code]


@dataclass(slots=True)
class Found:
    """Findings as they come: the first MOST are kept, all are counted by code."""

    kept: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def add(self, finding: Finding) -> None:
        self.counts[finding.code] = self.counts.get(finding.code, 0) + 1
        if len(self.kept) < MOST:
            self.kept.append(finding)

    def extend(self, other: Found) -> None:
        """Take in what was found elsewhere."""
        for code, count in other.counts.items():
            self.counts[code] = self.counts.get(code, 0) + count
        self.kept += other.kept[: MOST - len(self.kept)]
