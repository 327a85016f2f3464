"""Records that a host, or we, refuse: they are set aside beside the reason, can be tried again, and the rest lands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Remote, blob_id
from mlgen.ledger.folding.dead import retry
from mlgen.ledger.folding.fold import Folded, fold
from mlgen.ledger.folding.folded import ALERT, alert
from mlgen.ledger.folding.spool import DEAD, SPOOL, Spool
from mlgen.ledger.records.entry import to_bytes
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.store import Folder
from tests import rights
from tests.git_host import GitHost
from tests.ledger import records
from tests.ledger.test_fold import ENVIRON, NOW, ROOT, check_chain, on_branch
from tests.ledger.test_fold_remote import commits, remote, there
from tests.rights import Rights

# As hosts' own do: it looks at what a push adds, and names what it found by the path, or by the blob's id.
HOOK = """#!/bin/sh
while read -r old new ref; do
    expr "$old" : '0*$' >/dev/null && old=$(git hash-object -t tree --stdin </dev/null)
    git diff-tree -r --no-commit-id --raw --no-abbrev "$old" "$new" | while read -r _ _ _ oid _ path; do
        if git cat-file blob "$oid" | grep -q POISON; then
            {tells}
            exit 1
        fi
    done || exit 1
done
"""
TELLS = {
    "path": 'echo "- GITHUB PUSH PROTECTION"; echo "     path: $path:1" >&2',
    "blob": 'echo "Secret leaked in blob: $oid" >&2',
    "short": 'echo "Secret leaked in blob: $(echo $oid | cut -c1-10)" >&2',
    "nothing": 'echo "push declined due to a detected secret" >&2',
}


def install(host: GitHost, tells: str) -> None:
    hook = host.root / "l.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.format(tells=TELLS[tells]))
    hook.chmod(0o755)


def poisoned(name: str = "bad") -> TaskRecord:
    return records.task(name=name, error="POISON", state=State.FAIL)


def pushes(host: GitHost) -> int:
    return sum(request.startswith("POST") and request.endswith("/git-receive-pack") for request in host.requests)


@pytest.fixture
def far(host: GitHost, tmp_path: Path) -> Remote:
    return remote(host, tmp_path)


def reason(spool: Spool, key: str) -> dict[str, str]:
    return json.loads(spool.store.get(f"{key}.reason"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("tells", TELLS)
def test_what_is_named_is_parted_from_the_rest(host: GitHost, far: Remote, spool: Spool, tells: str) -> None:
    install(host, tells)
    good = [records.task(name=f"t{n}") for n in range(30)]
    bad = poisoned()
    for entry in (*good, bad):
        spool.put(entry)
    folded = fold(spool, far, "ledger", now=NOW, batch=10)
    assert set(on_branch(there(host))) == {e.path for e in good}
    assert [(one.path, one.code) for one in folded.refused] == [(bad.path, "git-push-refused")]
    (dead,) = spool.dead()
    assert spool.store.get(dead) == to_bytes(bad)
    assert reason(spool, dead)["code"] == "git-push-refused"
    assert spool.waiting() == []
    assert pushes(host) == 3 if tells != "nothing" else pushes(host) <= 12
    check_chain(there(host), commits(host))


def test_several_that_are_named_one_by_one(host: GitHost, far: Remote, spool: Spool) -> None:
    install(host, "path")
    good, bad = [records.task(name=f"t{n}") for n in range(9)], [poisoned(f"bad{n}") for n in range(3)]
    for entry in (*good, *bad):
        spool.put(entry)
    folded = fold(spool, far, "ledger", now=NOW)
    assert sorted(folded.landed) == sorted(e.path for e in good)
    assert sorted(str(one.path) for one in folded.refused) == sorted(e.path for e in bad)


def test_one_that_is_named_alone_holds_up_nothing_for_ever(host: GitHost, far: Remote, spool: Spool) -> None:
    """Were it not named, it could be the branch that takes nothing."""
    install(host, "path")
    spool.put(poisoned())
    assert [one.code for one in fold(spool, far, "ledger", now=NOW).refused] == ["git-push-refused"]
    assert (spool.waiting(), len(spool.dead())) == ([], 1)


def test_a_refusal_that_names_other_things_is_no_reason(host: GitHost, far: Remote, spool: Spool) -> None:
    hook = host.root / "l.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'see runs/ and commit 0123456789abcdef' >&2\nexit 1\n")
    hook.chmod(0o755)
    spool.put(records.task())
    with pytest.raises(CannotAnswer) as error:
        fold(spool, far, "ledger", now=NOW)
    assert error.value.code == "git-push-refused"
    assert (len(spool.waiting()), spool.dead()) == (1, [])


def test_secrets_do_not_reach_a_host(host: GitHost, far: Remote, spool: Spool) -> None:
    token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3gH6"
    bad, good = records.task(name="bad", params={"word": "WORD"}), records.task(name="good")
    data = to_bytes(bad).replace(b"WORD", token.encode())  # as a writer of another version could
    spool.put_bytes(data)
    spool.put(good)
    folded = fold(spool, far, "ledger", now=NOW)
    assert folded.landed == [good.path]
    (one,) = folded.refused
    assert (one.code, one.path) == ("secret-in-record", bad.path)
    assert "params.word" in one.message
    assert token not in one.message
    (dead,) = spool.dead()
    assert token not in json.dumps(reason(spool, dead))
    objects = there(host).run("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").decode().split()
    assert blob_id(to_bytes(good), "sha1") in objects
    assert blob_id(data, "sha1") not in objects


def test_the_dead_land_once_the_host_takes_them(host: GitHost, far: Remote, spool: Spool) -> None:
    install(host, "path")
    good, bad, conflict = records.task(name="good"), poisoned(), records.task(name="good", reason="Other")
    for entry in (good, bad):
        spool.put(entry)
    fold(spool, far, "ledger", now=NOW)
    spool.put(conflict)
    fold(spool, far, "ledger", now=NOW)
    assert len(spool.dead()) == 2
    (host.root / "l.git" / "hooks" / "pre-receive").unlink()
    folded = retry(spool, far, "ledger", lambda: fold(spool, far, "ledger", now=NOW))
    assert folded.landed == [bad.path]
    assert [one.path for one in folded.conflicts] == [conflict.path], "that will never land"
    assert [reason(spool, key)["code"] for key in spool.dead()] == ["ledger-conflict"]
    assert len(spool.store.keys(DEAD)) == 2
    assert spool.waiting() == []
    assert set(on_branch(there(host))) == {good.path, bad.path}


@pytest.mark.parametrize("tells", ["path", "nothing"])
def test_the_dead_that_are_refused_again_stay_dead(host: GitHost, far: Remote, spool: Spool, tells: str) -> None:
    """Though nothing else waits, whose landing would tell that it is them that are refused."""
    install(host, "nothing")
    for entry in (records.task(name="good"), bad := poisoned()):
        spool.put(entry)
    fold(spool, far, "ledger", now=NOW)
    install(host, tells)
    folded = retry(spool, far, "ledger", lambda: fold(spool, far, "ledger", now=NOW))
    assert [one.path for one in folded.refused] == [bad.path]
    (dead,) = spool.dead()
    assert bad.path in reason(spool, dead)["message"]
    assert spool.waiting() == []


def test_a_kill_while_the_dead_are_forgotten_leaves_what_can_be_forgotten(tmp_path: Path) -> None:
    class Killed(Folder):
        def delete_all(self, keys: Sequence[str]) -> None:
            if not keys[0].endswith(".reason"):
                raise KeyboardInterrupt
            super().delete_all(keys)

    store = Killed(tmp_path / "a", "a")
    spool = Spool(store)
    key = spool.put(records.task())
    spool.bury(key, to_bytes(records.task()), "ledger-conflict", "why")
    (dead,) = spool.dead()
    assert spool.reasons([dead]) == [("ledger-conflict", "why")]
    with pytest.raises(KeyboardInterrupt):
        spool.forget_dead([dead])
    assert (spool.dead(), spool.reasons([dead])) == ([dead], [("", "")])
    Spool(Folder(tmp_path / "a", "a")).forget_dead([dead])
    assert store.keys(DEAD) == []


def test_the_dead_that_are_no_records_stay_where_they_are(far: Remote, spool: Spool) -> None:
    spool.store.put(f"{SPOOL}/{records.uid('x')}.{'0' * 16}.json", b"{}")
    fold(spool, far, "ledger", now=NOW)
    before = spool.store.keys(DEAD)
    assert retry(spool, far, "ledger", lambda: fold(spool, far, "ledger", now=NOW)).landed == []
    assert spool.store.keys(DEAD) == before


def test_what_another_fold_landed_meanwhile_is_dead_no_more(host: GitHost, far: Remote, spool: Spool) -> None:
    install(host, "path")
    for entry in (records.task(name="good"), poisoned()):
        spool.put(entry)
    fold(spool, far, "ledger", now=NOW)
    (host.root / "l.git" / "hooks" / "pre-receive").unlink()

    def other() -> Folded:
        fold(spool, far, "ledger", now=NOW)
        return Folded()

    retry(spool, far, "ledger", other)
    assert (spool.dead(), spool.waiting(), spool.store.keys(DEAD)) == ([], [], [])


RETRY = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from mlgen import git
from mlgen.ledger.folding.dead import retry
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.store import Folder
left = int(sys.argv[3])
class Dies(Folder):
    def step(self):
        global left
        left -= 1
        if left < 0: os.kill(os.getpid(), signal.SIGKILL)
    def put(self, key, data):
        self.step()
        super().put(key, data)
    def delete(self, key):
        self.step()
        super().delete(key)
root, url = Path(sys.argv[1]), sys.argv[2]
remote = git.open_remote(url, secret=root / "secret", scratch=root / "scratch")
spool = Spool(Dies(root / "artifacts", "artifacts"))
retry(spool, remote, "ledger", lambda: fold(spool, remote, "ledger", now=datetime(2026, 11, 28, tzinfo=UTC)))
"""


def test_a_kill_while_the_dead_are_tried_loses_nothing(
    host: GitHost, far: Remote, spool: Spool, tmp_path: Path
) -> None:
    install(host, "path")
    good, bad = records.task(name="good"), poisoned()
    conflict = replace(good, reason="Other")
    for entry in (good, bad):
        spool.put(entry)
    fold(spool, far, "ledger", now=NOW)
    spool.put(conflict)
    fold(spool, far, "ledger", now=NOW)
    (host.root / "l.git" / "hooks" / "pre-receive").unlink()
    env = {**ENVIRON, "PYTHONPATH": os.pathsep.join([str(ROOT / "generator"), str(ROOT)])}
    for steps in range(0, 40, 2):  # each is a write to the store
        command = [sys.executable, "-c", RETRY, str(tmp_path), f"{host.url}/l.git", str(steps)]
        ended = subprocess.run(command, env=env, check=False).returncode
        kept = {spool.store.get(key) for key in (*spool.waiting(), *spool.dead())} | set(
            on_branch(there(host)).values()
        )
        assert {to_bytes(good), to_bytes(bad), to_bytes(conflict)} <= kept, f"killed after {steps} steps"
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert ended == 0
    assert steps > 5
    assert set(on_branch(there(host))) == {good.path, bad.path}
    assert [spool.store.get(key) for key in spool.dead()] == [to_bytes(conflict)]
    assert spool.waiting() == []


def test_the_alert_is_one_line_without_any_record_s_words(far: Remote, spool: Spool) -> None:
    assert alert(Folded(), "prod") is None
    for entry in (records.task(), records.task(reason="Other"), records.task(reason="Third")):
        spool.put(entry)
    spool.store.put(f"{SPOOL}/{records.uid('x')}.{'0' * 16}.json", b"{}")
    line = alert(fold(spool, far, "ledger", now=NOW), "prod")
    assert line is not None
    assert line.startswith(f"{ALERT} env=prod dead=3 bad-record=1 ledger-conflict=2; ")
    assert "\n" not in line


def test_what_is_refused_in_other_words_keeps_the_first_where_those_may_not_be_deleted(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights.bind(monkeypatch, Rights(rights.named(), tmp_path / "refused"))
    for words in ("first", "second"):
        key = spool.put(records.task())
        spool.bury(key, to_bytes(records.task()), "ledger-conflict", words)
    assert spool.waiting() == []
    assert spool.reasons(spool.dead()) == [("ledger-conflict", "first")]
