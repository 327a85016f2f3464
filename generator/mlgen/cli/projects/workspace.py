"""The project that a command works on: its specs loaded and checked, plans made. The edge where files come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlgen import diagnostic
from mlgen.cli import output
from mlgen.cli.converted import converted
from mlgen.cli.projects import folder, named, places, project
from mlgen.cli.projects.folder import OWN, no_file
from mlgen.cli.projects.project import Configured
from mlgen.diagnostic import Diagnostic, Findings, Misuse
from mlgen.plan.make import make
from mlgen.plan.model import Plan
from mlgen.render.limits import Problem, check_all
from mlgen.spec.document import Document
from mlgen.spec.flat import flatten
from mlgen.spec.load import load_pipeline
from mlgen.spec.model import Pipeline, Task, TaskFile
from mlgen.spec.paths import source_of
from mlgen.spec.project import Environment
from mlgen.spec.used import Used, is_task_file

OWN_FOLDERS = ("runs", "artifacts", "ledger.git")
PROJECT_FILE, LOCK_FILE, PIPELINES = project.PROJECT_FILE, project.LOCK_FILE, named.PIPELINES


@dataclass(frozen=True)
class Loaded:
    """A spec and what was found in it and what it uses. pipeline: with nested ones laid in, where nothing is wrong;
    None: too broken to be read."""

    path: str
    pipeline: Pipeline | None
    digest: str
    found: list[Diagnostic]


@dataclass
class Workspace(Configured):
    """A project. Specs are named by their path below its folder."""

    planned: dict[str, tuple[Plan, Pipeline]] = field(default_factory=dict)  # by `check`: the specs without an error

    @staticmethod
    def around(files: Sequence[Path] | None = None) -> Workspace:
        """The project that the first file lies in, or the current folder."""
        workspace = Workspace(folder.root_around(files[0].parent if files else Path()))
        output.source = workspace._source
        for path in (OWN, *(f"{OWN}/{name}" for name in OWN_FOLDERS)):
            workspace.own(path)
        return workspace

    def specs(self, files: Sequence[Path] | None) -> list[str]:
        """The specs that a command line names; without any, all of pipelines/.

        Raises Misuse for what is no file, Findings for what in pipelines/ is none.
        """
        paths, lost = self.candidates(files)
        if lost:
            raise Findings(lost)
        return paths

    @property
    def listed(self) -> list[str]:
        """What lies in pipelines/ under a spec's name."""
        return [f"{PIPELINES}/{name}" for name in self.files.beside(f"{PIPELINES}/") if name.endswith(".yaml")]

    def candidates(self, files: Sequence[Path] | None) -> tuple[list[str], list[Diagnostic]]:
        """As `specs`, and the findings of what in pipelines/ is no file of the repository."""
        if not files:
            paths = self.listed
            if not paths:
                fix = "name a spec, or make a repository with `mlgen init`"
                raise Misuse("no-specs", f"there is no {PIPELINES}/*.yaml in {self.root}", fix=fix)
            lost = [path for path in paths if self.files.kind(path) != "file"]
            return [path for path in paths if path not in lost], [no_file(path) for path in lost]
        return list(dict.fromkeys(named.below(self.root, self.files, file) for file in files)), []

    def check(self, paths: Sequence[str], environment: Environment | None = None) -> list[Diagnostic]:
        """All findings of specs, with those of mlgen.lock and, where it is read here, of mlgen.yaml.

        environment: where it is to run; None: in all that are rendered from here, as `render` would.
        """
        found = [*self._lock[1], *([] if self._project_of else self._project[1] + self.unpinned())]
        here = [environment] if environment else self._rendered_from_here
        for path in paths:
            found += self._check(path, here)
        return found + self._converted(paths, [self.planned[path][0] for path in paths if path in self.planned])

    @property
    def _rendered_from_here(self) -> list[Environment]:
        """None while mlgen.yaml has errors, which would be told of each spec again."""
        project, found = self._project
        return [] if diagnostic.failed(found) else [one for one in project.rendered if one.pin is None]

    def _check(self, path: str, environments: Sequence[Environment]) -> list[Diagnostic]:
        if path in (PROJECT_FILE, LOCK_FILE):
            return []
        document, digest = self._read(path)
        if is_task_file(document):
            return self.used.file(path)[1]
        loaded = self._load(document, digest)
        if loaded.pipeline is None or diagnostic.failed(loaded.found):
            return loaded.found
        try:
            plan = self._make(loaded)
        except Findings as more:
            return [*loaded.found, *more.diagnostics]
        self.planned[path] = (plan, loaded.pipeline)
        return [*loaded.found, *places.diagnostics(check_all(plan, environments), loaded.pipeline)]

    def _converted(self, paths: Iterable[str], plans: Iterable[Plan]) -> list[Diagnostic]:
        rules = [f"policies/{name}" for name in self.files.beside("policies/")]
        return converted(self, [PROJECT_FILE, LOCK_FILE, *paths, *self.used.files, *rules], plans)

    def _load(self, document: Document, digest: str) -> Loaded:
        files, found = self.used.of(document)
        pipeline, own = load_pipeline(document, files, self._context)
        sources = sorted({source_of(path) for path in self._reached(files)} - {""})
        found += [one for source in sources if (one := self.source_fault(source))]
        if pipeline is not None and not diagnostic.failed([*own, *found]):
            pipeline, more = flatten(pipeline)
            found += more
        return Loaded(document.file, pipeline, digest, [*own, *found])

    @cached_property
    def used(self) -> Used:
        """What specs use."""
        return Used(lambda path: self._read(path)[0], self._context)

    def _reached(self, files: Mapping[str, TaskFile]) -> Iterator[str]:
        """The paths of what a spec uses, and of what that uses."""
        for path, file in files.items():
            yield path
            if file.nested is not None:
                yield from self._reached({t.file.path: t.file for t in file.nested.tasks.values() if t.file})

    def _make(self, loaded: Loaded) -> Plan:
        assert loaded.pipeline is not None
        return make(loaded.pipeline, self.files, self._lock[0], spec_digest=loaded.digest)

    def tasks(self, paths: Sequence[str]) -> list[Task | TaskFile]:
        """The tasks of specs, and the task files among the paths. Raises Findings when any file has errors."""
        found, tasks = [*self._project[1], *self._lock[1]], list[Task | TaskFile]()
        for path in paths:
            document, digest = self._read(path)
            if is_task_file(document):
                task_file, more = self.used.file(path)
                tasks += [task_file] if task_file else []
            else:
                loaded = self._load(document, digest)
                tasks += loaded.pipeline.all_tasks if loaded.pipeline else ()
                more = loaded.found
            found += more
        if diagnostic.failed(found):
            raise Findings(found)
        return tasks

    @property
    def task_files(self) -> list[str]:
        """The task files and nested pipelines that the specs loaded so far use."""
        return sorted(self.used.files)

    def plan(self, file: Path) -> Plan:
        """The plan of one spec. Raises Findings when it or mlgen.yaml has errors; Misuse for a task file."""
        (path,) = self.specs([file])
        if is_task_file(self._read(path)[0]):
            fix = "name the spec of a pipeline; `mlgen check` reads task files too"
            raise Misuse("task-file", f"{file} is a task file, not a pipeline", fix=fix)
        return self.plans([path])[0]

    def plans(self, paths: Sequence[str]) -> list[Plan]:
        """The plans of specs; all are loaded before any is made, so that all findings come at once."""
        loaded = [self._load(*self._read(path)) for path in paths]
        found = [*self._project[1], *self._lock[1], *(d for one in loaded for d in one.found)]
        if self.refuses(found):
            raise Findings([*found, *self._converted(paths, [])])
        made = [self._make(one) for one in loaded]
        if changed := self._converted(paths, made):
            raise Findings([*found, *changed])
        return made

    def located(self, plan: Plan, problems: Sequence[Problem]) -> list[Diagnostic]:
        """The findings of problems of a plan that `plans` made, with their places in its spec."""
        pipeline = self._load(*self._read(plan.source)).pipeline
        assert pipeline is not None, f"{plan.source} was planned"
        return places.diagnostics(problems, pipeline)
