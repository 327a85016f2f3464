"""What is told of verdicts: which object is refused, by which policy, why, and how that is mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlgen.cli.policies.subjects import Subject
from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.spec.model import Place
from mlgen.spec.project import Environment

if TYPE_CHECKING:  # the library of CEL is loaded where there are policies
    from mlgen.policy.judge import Verdict
    from mlgen.policy.model import Binding, Policies

_ARGUMENTS = (
    "kubectl -n tekton-pipelines get deploy tekton-pipelines-controller "
    "-o jsonpath='{.spec.template.spec.containers[0].args[*]}'"
)
_NAMED = 3  # policies whose names stand in a sentence


def of_verdict(
    subject: Subject, verdict: Verdict, names: Sequence[str], place: Span, *, in_params: bool = False
) -> Diagnostic:
    """The finding of one cause. names: of all environments that it is in; subject: of the first.

    in_params: whether the place is a value of the policy's params.
    """
    policy = verdict.policy
    title = policy.annotations.get("mlgen.dev/title", "")
    where = f"the environment{'s' if len(names) > 1 else ''} {', '.join(names)}"
    if not verdict.evaluated:
        message = f"{policy.name} is not evaluated: {verdict.error}"
        why = f"nobody knows whether the cluster takes {subject.name} ({where}), so it is no pass"
        fix = "write the rule with what both can evaluate: `mlgen explain policy-not-evaluated`"
        return Diagnostic("policy-not-evaluated", message, place, why, fix)
    code, verb = ("policy", "refuses") if "Deny" in verdict.actions else ("policy-warning", "warns of")
    why = f"{f'{title}: ' if title else ''}policy {policy.name} {verb} {subject.name}, in {where}"
    fix = policy.annotations.get("mlgen.dev/fix") or f"mend this, or talk to those who keep {verdict.place.file}"
    if fails(verdict):
        mended = "write a value that the rule can read" if in_params else f"mend the rule, in {verdict.place.file}"
        fix = f"the rule itself fails, on what it is given: {mended}"
    related = (Related(f"the rule of {policy.name}", verdict.place),)
    secret = policy.annotations.get("mlgen.dev/secret") == "true"
    return Diagnostic(code, verdict.message, place, why, fix, related, secret)


def fails(verdict: Verdict) -> bool:
    """Whether an expression ended in an error, which is a refusal without a reason of its own."""
    return verdict.evaluated and not verdict.reason


def lacks_params(verdict: Verdict) -> bool:
    """Whether a policy was not asked, for want of its params: the place of a binding stands for nothing else."""
    return verdict.evaluated and verdict.validation is None and verdict.place == verdict.binding.place


def of_params(
    policies: Policies, lacking: Sequence[Verdict], environment: Environment, known: Sequence[str], project: Place
) -> list[Diagnostic]:
    """One finding for each object of params that an environment has not, whatever number of policies wants it.

    lacking: the verdicts that say so, of that environment. known: the namespaces of all environments.
    """
    wanted: dict[tuple[str, str, str, str], dict[str, Binding]] = {}
    for verdict in lacking:
        reference, kind = verdict.binding.param_ref or {}, verdict.policy.param_kind or ("", "object")
        where = str(reference.get("namespace") or environment.namespace)
        wanted.setdefault((*kind, where, str(reference.get("name") or "")), {})[verdict.policy.name] = verdict.binding
    place = project / "environments" / environment.name / "namespace"
    found = []
    for (version, kind_, where, name), bindings in wanted.items():
        what = f"{kind_} {name}" if name else f"{kind_} that {next(iter(bindings.values())).name} selects"
        message = f"policies/ has no {what} for the namespace {where}"
        more = f" and {len(bindings) - _NAMED} more" if len(bindings) > _NAMED else ""
        who = f"{', '.join(sorted(bindings)[:_NAMED])}{more}"
        why = f"{who} take their values from it; without, the cluster refuses all of {environment.name}"
        fix, related = _mended(policies, (version, kind_, where, name), known)
        found.append(Diagnostic("missing-params", message, place.span, why, fix, related))
    return found


def _mended(
    policies: Policies, wanted: tuple[str, str, str, str], known: Sequence[str]
) -> tuple[str, tuple[Related, ...]]:
    """How to come by params: by what other namespaces have, best by what is of no environment any more."""
    version, kind, where, name = wanted
    every = [(key, place) for key, place in policies.places.items() if key[:2] == (version, kind)]
    others = {key[2]: place for key, place in every if key[3:] == (name,)}
    if not others or not name:
        return f"write it in policies/params.yaml: `metadata: {{name: {name or '…'}, namespace: {where}}}`", ()
    stale = [namespace for namespace in others if namespace not in known]
    of = stale[0] if stale else next(iter(others))
    place = others[of]
    related = (Related(f"the one of {of}", place),)
    copied = f"copy the one of {of} ({place.file}:{place.line}) with `namespace: {where}`, and look through its values"
    if stale:
        return f"no environment has the namespace {of}: write `namespace: {where}` there; or {copied}", related
    return copied, related


def params_of(namespace: str) -> tuple[str, str, str, str]:
    """Which object has the values of the starter set's policies for a namespace."""
    return "v1", "ConfigMap", namespace, "mlgen-policies"


def of_images(environment: Environment, place: Span) -> Diagnostic:
    """Params that take the images which Tekton releases out, and do not say what a cluster has in their stead."""
    message = f"the pods of {environment.name} are not evaluated: which images its Tekton puts into them is not said"
    why = "`platformImages` has neither `-entrypoint-image X -shell-image Y`, nor what Tekton's release comes with"
    fix = f"put into `platformImages` what this prints: {_ARGUMENTS}"
    return Diagnostic("policy-not-evaluated", message, place, why, fix)


def of_labels(binding: Binding, keys: Sequence[str], environment: Environment) -> Diagnostic:
    """A binding selects namespaces by labels of which only the cluster knows whether an environment's has them."""
    message = f"{binding.name} is not evaluated: it asks for {', '.join(keys)} of the namespace {environment.namespace}"
    why = "labels that others than mlgen give a namespace are not known here, so it is no pass"
    fix = f"kubectl get namespace {environment.namespace} -o yaml, and put that, without `status`, beside the policies"
    return Diagnostic("policy-not-evaluated", message, binding.place, why, fix)
