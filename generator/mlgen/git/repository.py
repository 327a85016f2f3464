"""A repository: its refs, its commits, and the files of its work tree that Git knows of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.git import command, fast_import, filters
from mlgen.git.command import GitError, RefBroken
from mlgen.git.objects import Reader
from mlgen.git.signing import Signer

_BRANCH = re.compile(r"(?!.*(\.\.|//|/\.|\.lock(/|$)))[A-Za-z0-9][A-Za-z0-9._/+-]*(?<![./])")
_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def branch_ref(branch: str) -> str:
    """The full name of a branch's ref. Raises Misuse for what git would not take, or take for an option."""
    if len(branch) > 200 or not _BRANCH.fullmatch(branch):
        raise Misuse("bad-branch", f'"{branch[:80]}" is no name for a branch', fix="letters, digits and . _ - / +")
    return f"refs/heads/{branch}"


def discover(folder: Path, environ: Mapping[str, str] | None = None) -> Repository | None:
    """The repository whose work tree holds a folder; None outside of one.

    environ: the process's. Raises CannotAnswer "git-missing"; "git-refused" where git does not trust the owner of
    the repository or cannot read it.
    """
    clean = command.scrubbed(environ)
    try:
        found = command.run(
            ["rev-parse", "--show-object-format", "--absolute-git-dir", "--show-toplevel"], environ=clean, cwd=folder
        )
    except GitError as error:
        if re.search("not a git repository|cannot use bare repository|must be run in a work tree", str(error)):
            return None
        fix = ""
        if "safe.directory" in str(error):
            fix = "if the files are yours to run, tell git so, with the command that it names"
        raise CannotAnswer(
            "git-refused", f"git cannot use the repository of {folder.resolve()}", why=str(error), fix=fix
        ) from None
    lines = found.decode(errors="surrogateescape").splitlines()
    if len(lines) != 3:
        raise CannotAnswer("git-refused", f"the path of the repository of {folder.resolve()} has a newline in it")
    return Repository(Path(lines[1]), Path(lines[2]), lines[0], clean)


def init_bare(
    git_dir: Path, environ: Mapping[str, str] | None = None, *, object_format: str | None = None
) -> Repository:
    """The bare repository at a path, made if there is none. Raises CannotAnswer "git-missing".

    object_format: of one that is made: "sha1", "sha256", or as git has it.
    """
    clean = command.scrubbed(environ)
    git_dir = git_dir.resolve()
    if not (git_dir / "HEAD").is_file():
        git_dir.mkdir(parents=True, exist_ok=True)
        # No template, which could bring hooks. Git finishes a repository whose making was cut off.
        form = [] if object_format is None else [f"--object-format={object_format}"]
        command.run(["init", "--quiet", "--bare", "--template=", *form, str(git_dir)], environ=clean, cwd=git_dir)
    found = command.run(["--git-dir", str(git_dir), "rev-parse", "--show-object-format"], environ=clean, cwd=git_dir)
    return Repository(git_dir, None, found.decode().strip(), clean)


def _below(folder: str) -> list[str]:
    """The arguments that keep to a folder; "" is all."""
    return ["--", f"{folder.rstrip('/')}/"] if folder else []


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a commit; oid is its blob's id."""

    path: str
    oid: str


@dataclass(frozen=True, slots=True)
class Repository:
    """git_dir: the work tree's own, where there is a work tree. object_format: "sha1" or "sha256".

    environ: scrubbed. signer: of the commits that are made here; None: they are not signed.
    Methods raise GitError, and CannotAnswer "git-missing" or "disk-full".
    """

    git_dir: Path
    work_tree: Path | None
    object_format: str
    environ: Mapping[str, str] = field(repr=False, compare=False)
    signer: Signer | None = field(default=None, repr=False, compare=False)

    def run(self, *arguments: str, data: bytes = b"", durable: bool = False) -> bytes:
        """What a git command prints."""
        return self._run(arguments, data=data, durable=durable)

    def _run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        data: bytes = b"",
        durable: bool = False,
    ) -> bytes:
        return command.run(
            [*self._where, *arguments],
            environ=environ or self.environ,
            cwd=cwd or self._home,
            data=data,
            durable=durable,
        )

    @property
    def _where(self) -> list[str]:
        where = ["--git-dir", str(self.git_dir)]
        return where if self.work_tree is None else [*where, "--work-tree", str(self.work_tree)]

    @property
    def _home(self) -> Path:
        return self.work_tree or self.git_dir

    def reader(self) -> Reader:
        """One process that reads many objects; use it in a `with`."""
        arguments = [*self._where, "cat-file", "--batch"]
        return Reader(command.start(arguments, environ=self.environ, cwd=self._home))

    def resolve(self, revision: str) -> str | None:
        """The id of the commit that a revision names, or None."""
        try:
            found = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except GitError:
            return None
        oid = found.decode().strip()
        return oid if _ID.fullmatch(oid) else None  # of `^HEAD` git says which commit is left out

    def tip(self, ref: str) -> str | None:
        """The id of the commit that a ref, by its full name, points to; None where there is no such ref.

        Raises RefBroken for one that is there but leads to no commit: not an id, a lost object, a blob.
        """
        found = self.resolve(ref)
        if found is not None:
            return found
        try:
            oid = self.run("rev-parse", "--verify", "--end-of-options", ref).decode().strip()
        except GitError as error:
            if "broken ref" in str(error):
                raise RefBroken(str(error)) from None
            return None
        try:
            kind = self.run("cat-file", "-t", oid).decode().strip()
        except GitError as error:
            raise RefBroken(f"{ref} is {oid}: {error}") from None
        if kind == "commit":  # somebody made the ref after our first look
            return oid
        raise RefBroken(f"{ref} is {oid}, which is a {kind}, not a commit")

    def head(self) -> str | None:
        """The id of the commit that the work tree started from; None before the first one."""
        return self.resolve("HEAD")

    def list_files(self, folder: Path) -> list[str]:
        """The files below a folder of the work tree that Git tracks, or would: untracked ones that it does not ignore.

        Posix paths below the folder, sorted. A tracked one may be gone; another repository inside is one path.
        """
        arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        found = self._run(arguments, cwd=folder).decode(errors="surrogateescape").split("\0")
        return sorted({path for path in found if path})

    def tracked(self, paths: Iterable[Path]) -> list[str]:
        """The files of the index at or below paths of the work tree, there or not: posix paths below the work tree."""
        found = self._run(["ls-files", "-z", "--cached", "--", *map(str, paths)])
        return [path for path in found.decode(errors="surrogateescape").split("\0") if path]

    def untracked(self, paths: Iterable[Path]) -> list[str]:
        """The files at or below paths that Git neither tracks nor ignores: posix paths below the work tree."""
        found = self._run(["ls-files", "-z", "--others", "--exclude-standard", "--", *map(str, paths)])
        return [path for path in found.decode(errors="surrogateescape").split("\0") if path]

    def is_clean(self, paths: Iterable[str]) -> bool:
        """Whether HEAD has these files and folders, by their paths below the work tree, just as they are there now.

        False before the first commit. Files that Git ignores do not count.
        """
        return self.head() is not None and not self.changed(paths)

    def changed(self, paths: Iterable[str]) -> list[str]:
        """Those files, of files and folders by their paths below the work tree, that HEAD does not have as they are.

        Sorted. An untracked one counts, one that Git ignores does not.
        """
        arguments = [
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=all",
            "--ignore-submodules=dirty",
            "--no-renames",
        ]
        found = self._run([*arguments, "--", *paths], environ={**self.environ, **filters.off(self.run)})
        return sorted(part[3:] for part in found.decode(errors="surrogateescape").split("\0") if part)

    def tree_files(
        self, commit: str, folder: str, *, since: str | None = None, repositories: bool = False
    ) -> Iterator[TreeFile]:
        """The files below a folder of a commit, by its id, in the order of their paths, told as git finds them.

        folder: "" for all. repositories: also those that stand in the place of a file (submodules), whose ids are of
        no object here.
        since: another commit's id; then only the files that are not the same there.
        Source: git-ls-tree(1), git-diff-tree(1), the raw output format.
        """
        where = _below(folder)
        if since is None:
            arguments = ["ls-tree", "-r", "-z", "--full-tree", commit, *where]
        else:
            arguments = ["diff-tree", "-r", "-z", "--no-renames", "--diff-filter=AMT", since, commit, *where]
        parts = self.told(arguments)
        if since is None:
            for line in parts:
                about, _, path = line.partition("\t")
                if about[7:11] == "blob" or repositories:
                    yield TreeFile(path, about.rpartition(" ")[2])
            return
        for about, path in zip(parts, parts, strict=True):  # ":100644 100644 <old id> <new id> A"
            yield TreeFile(path, about.split(" ")[3])

    def only_grew(self, old: str, new: str, folder: str) -> bool:
        """Whether a commit has all files below a folder that another has, with the same bytes; both by their ids."""
        shown = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", "--diff-filter=a")  # all but additions
        return not any(self.told([*shown, old, new, *_below(folder)]))

    def told(self, arguments: Sequence[str]) -> Iterator[str]:
        """What a command prints between NULs, as it comes."""
        process = command.start([*self._where, *arguments], environ=self.environ, cwd=self._home)
        rest = b""
        with command.printing(process) as out:
            while chunk := os.read(out.fileno(), 1 << 16):
                *whole, rest = (rest + chunk).split(b"\0")
                yield from (part.decode(errors="surrogateescape") for part in whole)

    def checked_out(self, branch: str) -> Path | None:
        """The work tree that has a branch checked out, also before the branch's first commit; None when none has."""
        place = ""
        for line in self.run("worktree", "list", "--porcelain").decode(errors="surrogateescape").splitlines():
            word, _, value = line.partition(" ")
            if word == "worktree":
                place = value
            elif word == "branch" and value == branch_ref(branch):
                return Path(place)
        return None

    def commit(self, files: Mapping[str, bytes], *, parent: str | None, message: str, seconds: int) -> str:
        """The id of a new commit: the parent's files and these. No ref, index or work tree knows of it yet.

        files: bytes by path, of letters, digits and `._-/`. parent: a commit's id; None: there is none.
        seconds: the commit's time, since 1970 in UTC.
        Source: git-fast-import(1).
        """
        return self._import(fast_import.added(files, parent), message=message, seconds=seconds)

    def epoch(self, tree_of: str, without: Iterable[str], *, message: str, seconds: int) -> str:
        """The id of a new commit without a parent: the files of another, by its id, without some. As `commit`.

        without: paths, whatever they are made of.
        """
        tree = self.run("rev-parse", "--verify", "--end-of-options", f"{tree_of}^{{tree}}").strip()
        return self._import(fast_import.without(tree, without), message=message, seconds=seconds)

    def _import(self, changes: bytes, *, message: str, seconds: int) -> str:
        """The id of a commit that git makes of changes, signed where there is a signer."""
        stream = fast_import.commit(changes, message=message, seconds=seconds, object_format=self.object_format)
        arguments = [*self._where, "fast-import", "--quiet"]
        with command.start(arguments, environ=self.environ, cwd=self._home, durable=True) as process:
            out, err = process.communicate(stream)
        if process.returncode:
            (self.git_dir / f"fast_import_crash_{process.pid}").unlink(missing_ok=True)
            raise command.refusal(err)
        oid = out.decode().strip()
        if self.signer is None:
            return oid
        # fast-import takes no signatures before git 2.50. The commit that it made stays behind, and git prunes it.
        signed = self.signer.sign(self.run("cat-file", "commit", oid))
        found = self.run("hash-object", "-t", "commit", "-w", "--stdin", data=signed, durable=True)
        return found.decode().strip()

    def move_ref(self, ref: str, new: str, *, old: str | None) -> None:
        """Let a ref point to a commit, if it still points to `old` (None: if it does not exist yet).

        Raises RefMoved when it does not, RefLocked when it is locked longer than a second.
        Source: git-update-ref(1), --stdin.
        """
        line = f"create {ref}\0{new}\0" if old is None else f"update {ref}\0{new}\0{old}\0"
        self.run("update-ref", "--no-deref", "-z", "--stdin", data=line.encode(), durable=True)
