"""What policies say of all that specs render to, at the lines that cause it.

Judged are the objects of each environment that has pods, as `render` makes them, and the Pods that Tekton will make.
What an environment cannot render is left to `render`, which says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from mlgen.cli.policies import culprits
from mlgen.cli.policies import findings as policy_findings
from mlgen.cli.policies.binding import Judges
from mlgen.cli.policies.findings import params_of
from mlgen.cli.policies.subjects import (
    Data,
    Subject,
    namespace,
    of_environment,
    pods_of,
    rank,
    rendered,
    rendered_task,
    same,
    subjects,
)
from mlgen.diagnostic import Diagnostic, Span
from mlgen.plan.model import Plan
from mlgen.policy.cases import resources
from mlgen.policy.containers import RELEASED, Images, images_given
from mlgen.policy.stored import stored
from mlgen.spec.document import Document
from mlgen.spec.model import Pipeline, Place
from mlgen.spec.project import Environment

if TYPE_CHECKING:  # the library of CEL is loaded where there are policies
    from mlgen.policy.judge import Request, Verdict
    from mlgen.policy.model import Policies

MOST_TRIED = 300  # places that are found by trying, in one check: a rule that all break is mended at a few of them
MOST_MADE = 10_000  # Tasks made for that, but for those that are judged alone: some seconds
_NEVER_CHANGED = ("Pod", "Task", "PipelineRun", "Job")  # made anew, under another name

Planned = tuple[Plan, Pipeline]


class Inspector:
    """Judges what plans render to, and says of all verdicts what caused each, every cause once.

    environments: all of the project. project: its mlgen.yaml.
    """

    def __init__(self, policies: Policies, environments: Sequence[Environment], project: Document) -> None:
        self.policies, self.judges = policies, Judges(policies)
        self.environments, self.project = environments, Place(project, ())
        self.namespaces = {e.name: self.namespace(e) for e in environments}
        self.lacking: dict[str, dict[tuple[str, str], Verdict]] = {}  # environment -> by policy and binding
        self.tektons: dict[str, Images | None] = {}  # by namespace
        # (policy, validation, pipeline, task, environment) -> its first subject, by their rank
        self.told: dict[tuple[object, ...], tuple[Subject, Verdict]] = {}
        self.plans: list[Plan] = []
        self.tried = self.made = 0
        self.last: dict[tuple[object, ...], int] = {}  # which change it was, the last time that a rule was broken

    def inspect(self, planned: Iterable[Planned], environments: Iterable[Environment]) -> None:
        """Judge the objects of plans in environments that have pods."""
        plans = list(planned)
        self.plans = [plan for plan, _ in plans]
        for environment in environments:
            for data in of_environment(self.plans, environment, self.environments):
                self.look(Subject(environment, data))
            for plan, pipeline in plans:
                for subject in subjects(plan, pipeline, environment, self.images(environment) or RELEASED):
                    if subject.kind != "Pod" or self.images(environment) is not None:
                        self.look(subject)

    def images(self, environment: Environment) -> Images | None:
        """Tekton's own in the cluster of an environment, as its params have them; None where they leave that open."""
        if environment.namespace not in self.tektons:
            params = self.policies.objects.get(params_of(str(environment.namespace)), {})
            given = params.get("data", {}).get("platformImages")
            self.tektons[str(environment.namespace)] = RELEASED if given is None else images_given(str(given))
        return self.tektons[str(environment.namespace)]

    def look(self, subject: Subject) -> None:
        for verdict in self.ask(subject.data, subject.environment, retry=subject.attempt > 0):
            if policy_findings.lacks_params(verdict):
                own = self.lacking.setdefault(subject.environment.name, {})
                own.setdefault((verdict.policy.name, verdict.binding.name), verdict)
                continue
            source = subject.plan.source if subject.plan else ""
            key = (
                verdict.policy.name,
                verdict.validation,
                source,
                subject.task,
                subject.environment.name,
                verdict.evaluated,
            )
            if key not in self.told or rank(subject) < rank(self.told[key][0]):
                self.told[key] = (subject, verdict)

    def ask(self, data: Data, environment: Environment, *, retry: bool = False) -> list[Verdict]:
        """The verdicts on an object. retry: a pod that was judged already, under another name.

        One that keeps its name when it changes is judged as a change, too: each sync but the first is one.
        """
        request = self.request(data, environment)
        named = dict(request.namespace or {})
        found = self.judges.of(request.resource, named, environment, retry=retry).judge(request)
        if data["kind"] not in _NEVER_CHANGED:
            changed = replace(request, operation="UPDATE", old_unknown=True)
            found += self.judges.of(request.resource, named, environment, change=True).judge(changed)
        return found

    def request(self, data: Data, environment: Environment) -> Request:
        """What the API server is asked, when an object of an environment is made."""
        from mlgen.policy.judge import Request  # here: as above

        named = self.namespaces.get(environment.name)
        if named is None or named["metadata"]["name"] != environment.namespace:
            named = self.namespace(environment)
        return Request(stored(data), resources(data), namespace=named, whole=self.judges.knows(named))

    def namespace(self, environment: Environment) -> Data:
        """The Namespace of an environment, with the labels that policies/ gives it, if it has one of its name."""
        found = namespace(environment)
        given = self.policies.objects.get(("v1", "Namespace", "", str(environment.namespace)))
        if given is None:
            return found
        metadata = given["metadata"]
        return {
            **found,
            "metadata": {**metadata, "labels": {**found["metadata"]["labels"], **metadata.get("labels", {})}},
        }

    def findings(self) -> Iterator[Diagnostic]:
        """One for each cause, with all environments that it is in."""
        known = [str(one.namespace) for one in self.environments if one.namespace]
        for environment in self.environments:
            lacking = list(self.lacking.get(environment.name, {}).values())
            yield from policy_findings.of_params(self.policies, lacking, environment, known, self.project)
            if environment.namespace and self.plans and self.images(environment) is None:
                place = self.policies.places[params_of(environment.namespace)]
                yield policy_findings.of_images(environment, place)
            for (name, _), (binding, keys) in self.judges.undecided.items():
                if name == environment.name:
                    yield policy_findings.of_labels(binding, keys, environment)
        causes: dict[tuple[str, int | None, bool, Span], tuple[Subject, Verdict, list[str]]] = {}
        said: dict[tuple[str, Span], str] = {}  # of which kind of object a policy has spoken at a place
        for subject, verdict in sorted(self.told.values(), key=lambda pair: rank(pair[0])):
            if verdict.evaluated and not {"Deny", "Warn"}.intersection(verdict.actions):
                continue
            # What cannot be evaluated is the policy's: it would be so of most objects.
            for place in self.places(subject, verdict) if verdict.evaluated else [verdict.place]:
                if subject.kind == "Pod" and said.get((verdict.policy.name, place), "Pod") != "Pod":
                    continue  # its Task or Pipeline has told the same
                said[verdict.policy.name, place] = subject.kind
                key = (verdict.policy.name, verdict.validation, verdict.evaluated, place)
                names = causes.setdefault(key, (subject, verdict, []))[2]
                if subject.environment.name not in names:
                    names.append(subject.environment.name)
        for (*_, place), (subject, verdict, names) in causes.items():
            in_params = place in self.policies.places.values()
            yield policy_findings.of_verdict(subject, verdict, names, place, in_params=in_params)

    def places(self, subject: Subject, verdict: Verdict) -> list[Span]:
        """Where what causes a verdict is written: found by trying, else guessed from the names in the expression."""
        if policy_findings.fails(verdict) and (value := self.value(subject, verdict)) is not None:
            return [value]
        rule = (verdict.policy.name, verdict.validation)
        found: dict[str, Span] = {}
        weaker: dict[str, Span] = {}
        if self.tried < MOST_TRIED and self.made < MOST_MADE:
            self.tried += 1
            for n, change in self.in_order((*rule, subject.kind), subject, verdict):
                if self.made >= MOST_MADE:
                    break
                if change.group in found or (found and not change.group):  # a task is to blame, nothing around it
                    continue
                effect = self.effect(subject, verdict, change)
                if effect == "gone":
                    found[change.group] = change.place()
                    self.last[(*rule, subject.kind)] = n
                    if subject.kind not in ("Pipeline", "PipelineRun"):
                        break
                elif effect == "changed":
                    weaker.setdefault(change.group, change.place())
        if places := list((found or weaker).values()):
            return places if subject.kind in ("Pipeline", "PipelineRun") else places[:1]
        return [self.guess(subject, verdict)]

    def value(self, subject: Subject, verdict: Verdict) -> Span | None:
        """The value of its params without which an expression does not end in an error, if that is so of one."""
        reference, environment = verdict.binding.param_ref or {}, subject.environment
        where = str(reference.get("namespace") or environment.namespace)
        key = (*(verdict.policy.param_kind or ("", "")), where, str(reference.get("name")))
        given = self.policies.objects.get(key, {})
        for name in given.get("data") or ():
            less = {**given, "data": {k: text for k, text in given["data"].items() if k != name}}
            own = replace(self.policies, objects={**self.policies.objects, key: less})
            own = replace(own, policies=(verdict.policy,), bindings=(verdict.binding,))
            said = self.judges.make(own).judge(self.request(subject.data, environment))
            if not any(policy_findings.fails(one) and one.validation == verdict.validation for one in said):
                return self.policies.places[*key, name]
        return None

    def in_order(
        self, rule: tuple[object, ...], subject: Subject, verdict: Verdict
    ) -> Iterator[tuple[int, culprits.Change]]:
        """All changes, the one that mattered the last time first."""

        def fresh() -> Iterator[tuple[int, culprits.Change]]:
            return enumerate(culprits.changes(subject, self.project, verdict.message))

        last = self.last.get(rule)
        if last is not None and subject.kind not in ("Pipeline", "PipelineRun"):
            yield from islice(fresh(), last, last + 1)
        yield from fresh()

    def effect(self, subject: Subject, verdict: Verdict, change: culprits.Change) -> str:
        """ "gone" where the policy is content without the part, "changed" where it says something else, else ""."""
        try:
            data = self.rebuilt(subject, change)
        except (ValueError, KeyError):  # nothing is rendered without it
            return ""
        if data is None:
            return "gone"  # as a retry's pod is without retries
        if data == subject.data:
            return ""
        for other in self.ask(data, change.environment):
            if other.policy.name == verdict.policy.name:
                if other.validation == verdict.validation:
                    return "changed" if other.message != verdict.message else ""
                if other.validation is None:  # not even asked, as without params
                    return ""
        return "gone"

    def rebuilt(self, subject: Subject, change: culprits.Change) -> Data | None:
        """The object that is made after a change. Raises ValueError, KeyError where none can be made."""
        if change.plan is None:
            others = [change.environment if e.name == change.environment.name else e for e in self.environments]
            made = of_environment(self.plans, change.environment, others)
            return next((data for data in made if same(data, subject.data)), None)
        if subject.kind == "Task":
            return rendered_task(change.plan, change.environment, subject.task)
        self.made += len(change.plan.all_tasks)
        objects = rendered(change.plan, change.environment)
        if subject.kind != "Pod":
            return next((d for d, task in objects if d["kind"] == subject.kind and task == subject.task), None)
        mine = (
            p
            for p in pods_of(objects, self.images(subject.environment) or RELEASED)
            if p.task == subject.task and bool(p.attempt) == bool(subject.attempt)
        )
        return next((one.pod for one in mine), None)

    def guess(self, subject: Subject, verdict: Verdict) -> Span:
        fields: frozenset[tuple[str, ...]] = frozenset()
        if verdict.validation is not None:
            fields = verdict.policy.validations[verdict.validation].expression.fields
        words = " ".join(part for path in sorted(fields) for part in path)
        spec = None
        if subject.pipeline is not None and subject.task is not None:
            tasks = {**subject.pipeline.tasks, **subject.pipeline.finally_tasks}
            spec = tasks.get(subject.task)
        place = self.project / "environments" / subject.environment.name
        return culprits.by_names(words, spec, subject.pipeline, place)
