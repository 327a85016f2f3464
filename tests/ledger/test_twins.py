"""Two tellings of one execution under two paths: the first stays, whether they differ by a day or by a name."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen import git
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import Entry, to_bytes
from tests.git_host import GitHost
from tests.ledger import records
from tests.ledger.test_fold import ENVIRON, NOW, call, on_branch
from tests.ledger.test_fold_remote import remote, there

BEFORE, AFTER, NOON = "2026-11-28T23:59:59.900Z", "2026-11-29T00:00:00.100Z", "2026-11-28T12:00:00Z"
PAIRS: dict[str, tuple[Entry, Entry]] = {
    "the next day": (records.task(ended_at=BEFORE), records.task(ended_at=AFTER)),
    "the day before": (records.task(ended_at=AFTER), records.task(ended_at=BEFORE)),
    "a run on two days": (records.run(ended_at=BEFORE), records.run(ended_at=AFTER)),
    "another attempt": (records.task(), replace(records.task(), attempt=1)),
    "another task": (records.task(), replace(records.task(), task="other")),
}


@pytest.mark.parametrize("batch", [True, False], ids=["together", "apart"])
@pytest.mark.parametrize("pair", PAIRS)
def test_the_first_stays(spool: Spool, tmp_path: Path, pair: str, batch: bool) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    first, second = PAIRS[pair]
    assert first.path != second.path
    keys: dict[str, Entry] = {spool.put(first): first}
    if not batch:
        fold(spool, repository, "ledger", now=NOW)
    keys[spool.put(second)] = second
    if batch:
        first, second = (keys[key] for key in sorted(keys))
    folded = fold(spool, repository, "ledger", now=NOW)
    (conflict,) = folded.conflicts
    assert (conflict.code, conflict.path) == ("ledger-conflict", second.path)
    assert conflict.message.startswith(
        f"{first.path} is kept with sha256:{hashlib.sha256(to_bytes(first)).hexdigest()}"
    )
    assert on_branch(repository) == {first.path: to_bytes(first)}
    assert [spool.get(key) for key in spool.dead()] == [to_bytes(second)]
    assert spool.waiting() == []


def test_what_only_looks_alike_lands(spool: Spool, tmp_path: Path) -> None:
    """Ids that begin alike, a run as itself and from outside, and the events of one foreign run."""
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    base = records.task(ended_at=BEFORE)
    alike = replace(base, run_id=base.run_id[:9] + "0000" + base.run_id[13:], ended_at=AFTER)
    entries: list[Entry] = [base, alike, records.run(ended_at=BEFORE), records.run(ended_at=AFTER, reconciled=True)]
    for entry in entries:
        spool.put(entry)
        fold(spool, repository, "ledger", now=NOW)
    assert on_branch(repository) == {entry.path: to_bytes(entry) for entry in entries}
    job = {"namespace": "spark", "name": "j"}
    event = {"eventTime": BEFORE, "run": {"runId": records.uid("e")}, "job": job, "producer": "https://spark.example"}
    for kind in ("START", "COMPLETE"):
        spool.put_bytes(imported.mark({**event, "eventType": kind}, "local"))
    folded = fold(spool, repository, "ledger", now=NOW)
    assert (len(folded.landed), folded.conflicts) == (2, [])


def test_at_midnight_the_host_is_asked_no_oftener(host: GitHost, spool: Spool, tmp_path: Path) -> None:
    """The other day's folders come along with the record's own."""
    asked: list[int] = []
    spool.put(records.task("r0", ended_at=BEFORE))
    spool.put(records.task("r0", name="next", ended_at=AFTER))
    fold(spool, remote(host, tmp_path, "s"), "ledger", now=NOW)
    for run, ended_at in (("r1", NOON), ("r2", BEFORE), ("r3", AFTER)):
        spool.put(records.task(run, ended_at=ended_at))
        host.requests.clear()
        assert len(fold(spool, remote(host, tmp_path, run), "ledger", now=NOW).landed) == 1
        asked.append(len(host.requests))
    assert asked == [asked[0]] * 3
    second = records.task("r2", ended_at=AFTER)
    spool.put(second)
    assert [one.path for one in fold(spool, remote(host, tmp_path, "t"), "ledger", now=NOW).conflicts] == [second.path]
    assert second.path not in on_branch(there(host))


def test_names_that_git_cannot_be_asked_for_stop_nothing(spool: Spool, tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git", ENVIRON)
    first, second = PAIRS["the next day"]
    folder = first.path.rpartition("/")[0]
    odd = f"{folder}/a\n{first.path[-14:]}"
    (tmp_path / "odd").write_text("{}")
    blob = call(repository.git_dir, "hash-object", "-w", str(tmp_path / "odd")).strip()
    call(repository.git_dir, "update-index", "--add", "--cacheinfo", f"100644,{blob},{odd}")
    tree = call(repository.git_dir, "write-tree").strip()
    made = call(repository.git_dir, "commit-tree", tree, "-m", "by hand").strip()
    call(repository.git_dir, "update-ref", "refs/heads/ledger", made)
    spool.put(second)
    assert fold(spool, repository, "ledger", now=NOW).landed == [second.path]
