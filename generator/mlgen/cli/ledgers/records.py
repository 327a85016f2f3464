"""Where an environment's records are kept, as the commands of this machine use them: artifacts, spool, ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property

from mlgen import git
from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.elsewhere import LAND_SECONDS, LOOK_SECONDS, mirrored, paced, reached, signer
from mlgen.cli.output import note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.ledger.folding.dead import retry
from mlgen.ledger.folding.fold import USUAL, Expected, Folded, Load, fold
from mlgen.ledger.folding.spool import FOLDER as LEDGER_FOLDER
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.folding.turns import Turns
from mlgen.local.recover import recover
from mlgen.spec.project import S3, Environment, Ledger, Project
from mlgen.store import Folder, Store, bucket_name, open_store
from mlgen.worktree import MAX_SPEC_BYTES

PATIENCE_SECONDS = 120.0  # with a bucket that is away
STATE = ".mlgen"
OUTSIDE_GIT = f"{STATE}/ledger.git"  # the ledger of a project that is in no repository


@dataclass(frozen=True)
class Records:
    """The records of an environment. branch: of the ledger's repository, whether it exists or not."""

    workspace: Workspace
    environment: Environment

    @cached_property
    def store(self) -> Store:
        """Where artifacts and spool are; opened when it is used, since the ledger alone answers questions."""
        return open_store(self.environment.artifacts, options=_options(self.environment.s3), base=self.workspace.root)

    @property
    def repository(self) -> git.Repository | None:
        """The repository to read the ledger in; None where there is none yet: a question makes nothing here.

        Of a ledger elsewhere, a mirror that is refreshed by this. Raises what `elsewhere.mirrored` raises.
        """
        if self.ledger.url is not None:
            return mirrored(self.ledger, lambda: self.signers)
        if self.workspace.repository is not None:
            return self.workspace.repository
        folder = self.workspace.root / OUTSIDE_GIT
        return git.init_bare(folder) if folder.exists() else None

    @property
    def ledger(self) -> Ledger:
        return self.environment.ledger

    def tip(self) -> str | None:
        """The id of the ledger's newest commit; None where there is no ledger yet."""
        ref = git.branch_ref(self.branch)
        if self.ledger.url is not None:
            with reached(self.ledger, seconds=LOOK_SECONDS) as remote:
                return remote.tip(ref)
        return self.repository.tip(ref) if self.repository else None

    @property
    def spool(self) -> Spool:
        return Spool(self.store)

    @property
    def in_cluster(self) -> bool:
        """Whether its runs are a cluster's; of others, engines on this machine put records into the spool."""
        return self.environment.namespace is not None

    @property
    def branch(self) -> str:
        return self.environment.ledger.branch

    def open_at(self, uri: str, *, patience_seconds: float = PATIENCE_SECONDS) -> Store:
        """The store at a URI, such as an input's; a folder's path starts at the project's."""
        s3 = dict(self.environment.buckets).get(bucket_name(uri), self.environment.s3)
        options = _options(s3)
        return open_store(uri, options=options, base=self.workspace.root, patience_seconds=patience_seconds)

    def put(self, data: bytes) -> None:
        """Let a record's bytes wait in the spool."""
        self.spool.put_bytes(data)

    def fold(
        self,
        now: datetime,
        *,
        seconds: float = LAND_SECONDS,
        memory_mib: int = git.MEMORY_MIB,
        load: Load = USUAL,
        dead: bool = False,
        on_progress: Callable[[int], None] = lambda _done: None,
    ) -> Folded:
        """Land all that waits. Raises CannotAnswer "tracked-state".

        seconds, memory_mib: for which a ledger elsewhere is pushed to, and which git may have for that. dead: what
        could not land waits again first. load, on_progress: as in `ledger.fold`.
        """
        self._check_ours()
        if self.ledger.url is not None:
            turns = paced(self.store, self.ledger, seconds=seconds)
            with reached(self.ledger, seconds=seconds, memory_mib=memory_mib) as remote:
                folded = self._fold(remote, now, turns, load=load, dead=dead, on_progress=on_progress)
            if folded.commit is None:  # no push was ours; that of another may have made the branch
                folded.commit = self.tip()
            return folded
        repository = self.repository
        if repository is None:
            if not self.spool.waiting() and not (dead and self.spool.dead()):
                return Folded()
            repository = git.init_bare(self.workspace.root / OUTSIDE_GIT)
        repository = replace(repository, signer=signer(self.ledger))
        return self._fold(repository, now, None, load=load, dead=dead, on_progress=on_progress)

    def _fold(
        self,
        repository: git.Branches,
        now: datetime,
        turns: Turns | None,
        *,
        load: Load,
        dead: bool,
        on_progress: Callable[[int], None],
    ) -> Folded:
        def once() -> Folded:
            return fold(
                self.spool,
                repository,
                self.branch,
                now=now,
                expected=self._expected(),
                load=load,
                turns=turns,
                on_progress=on_progress,
            )

        return retry(self.spool, repository, self.branch, once) if dead else once()

    @property
    def signers(self) -> git.Signers | None:
        """The keys that may sign the ledger's commits; None where mlgen.yaml names none.

        Raises CannotAnswer "unreadable": a list that cannot be read must not make every signature as good as none.
        """
        path = self.ledger.signers
        if path is None:
            return None
        try:
            data = self.workspace.files.read(path)
            if len(data) > MAX_SPEC_BYTES:
                raise ValueError(f"it has more than {MAX_SPEC_BYTES:,} bytes")
            return git.Signers(data.decode())
        except (OSError, ValueError) as error:
            said = (error.strerror if isinstance(error, OSError) else str(error)) or "it cannot be read"
            fix = f"put the keys there that may sign, or change ledger.signers of {self.environment.name} in mlgen.yaml"
            raise CannotAnswer("unreadable", f"{path}: {said}", why="it says who may sign", fix=fix) from None

    def _expected(self) -> Expected:
        """Records of no environment with this spool were forged, or brought here by mistake.

        In a bucket they may be of an environment that this mlgen.yaml does not have: another repository's, or left
        out in a CronJob's. They stay there, then.
        """
        known = {e.name: e for e in (Environment("local"), *self.workspace.project.environments, self.environment)}
        sharing = [e for e in known.values() if e.artifacts == self.environment.artifacts]
        place = (self.ledger.url, self.ledger.branch)
        here = frozenset(e.name for e in sharing if (e.ledger.url, e.ledger.branch) == place)
        if self.in_cluster:
            return Expected(here, None)
        return Expected(here, frozenset(e.name for e in sharing) - here)

    def recover(self) -> None:
        """Tell of runs whose engine could not: before a command reads records, or writes new ones.

        Of runs on this machine only. Raises CannotAnswer "tracked-state".
        """
        if self.in_cluster:
            return
        self._check_ours()
        for told in recover(self.workspace.root, spool=self.put, clock=SystemClock()):
            if not told.told:
                note(f"{told.run} was cut off, and what it left cannot be read: {told.fault}")
            elif not told.cut_off:
                note(f"{told.run} had ended, and its records waited; they are told now")
            elif told.fault:
                note(f"{told.run} could not go on: {told.fault}; what is known of it is told now")
            else:
                note(f"{told.run} was cut off before it ended; what is known of it is told now")

    def catch_up(self) -> None:
        """Recover, and land what waits; where it cannot land, a command goes on with the records that have.

        What waits in a bucket is left to the cluster: who asks may have the credentials of neither bucket nor ledger.
        """
        if self.in_cluster:
            return
        try:
            self._check_ours()
        except CannotAnswer as reason:
            note(f"only what is on the branch is told: {reason.message}; {reason.fix}")
            return
        self.recover()
        if self.spool.listing(most=1) == ([], []):  # so that a host that is away is waited for once: by the question
            return
        try:
            folded = self.fold(SystemClock().now(), seconds=LOOK_SECONDS)  # whoever asks does not wait for a push
        except CannotAnswer as reason:
            note(f"some records wait in the spool: {reason.message}")
            return
        if folded.later:
            note(f"{folded.later} records or more wait in the spool for the ledger's next push")
        if folded.left:
            count = len(folded.left)
            note(f"{count} file{' stays' if count == 1 else 's stay'} in the spool; `mlgen ledger fold` says why")

    def _check_ours(self) -> None:
        """Raises CannotAnswer "tracked-state" where Git tracks what runs or waiting records are told from."""
        if self._tracked:
            shown = STATE if self._tracked[0].split("/")[0] == STATE else self._tracked[0]
            raise CannotAnswer(
                "tracked-state",
                f"Git tracks {self._tracked[0]}, where mlgen keeps what is yet to be told",
                why="a clone may carry forged records",
                fix=f"git rm -r --cached {shown} and put it in .gitignore",
            )

    @cached_property
    def _tracked(self) -> list[str]:
        """What Git tracks of runs and waiting records, as paths below the project's folder; one git call at most."""
        repository = self.workspace.repository
        if repository is None or repository.work_tree is None:
            return []
        places = [self.workspace.root / STATE]
        if isinstance(self.store, Folder) and not self.store.root.is_relative_to(places[0]):
            places.append(self.store.root / LEDGER_FOLDER)
        # The last part is kept as it is: Git tracks a link, not what is behind it.
        real = [place.parent.resolve() / place.name for place in places if os.path.lexists(place)]
        inside = [place for place in real if place.is_relative_to(repository.work_tree)]
        found = repository.tracked(inside) if inside else []
        return [os.path.relpath(repository.work_tree / path, self.workspace.root) for path in found]


def open_records(workspace: Workspace, name: str) -> Records:
    """The records of an environment by its name. Raises Misuse for an unknown one, CannotAnswer "git-missing"."""
    return Records(workspace, environment_of(workspace.project, name))


def environment_of(project: Project, name: str) -> Environment:
    """The environment of that name; `local` is there without being written down. Raises Misuse."""
    found = project.environment(name) or (Environment(name) if name == "local" else None)
    if found is None:
        known = [e.name for e in project.environments]
        near = get_close_matches(name, known, n=1)
        fix = f"did you mean {near[0]}?" if near else f"mlgen.yaml has: {', '.join(known)}"
        raise Misuse("unknown-environment", f'there is no environment "{name}"', fix=fix)
    return found


def _options(s3: S3) -> Mapping[str, str | None]:
    return {"endpoint": s3.endpoint, "region": s3.region}
