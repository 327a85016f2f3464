"""What an API server said no to, as a fault with a way to mend it."""

from __future__ import annotations

import re

from mlgen.cluster.api import ApiError, Unreachable
from mlgen.diagnostic import CannotAnswer, Fault

# How a refusal by a webhook, by a ValidatingAdmissionPolicy, by Pod Security or by a quota begins; RBAC's has none.
_ADMISSION = re.compile(
    r"admission webhook \"[^\"]*\" denied the request: (?P<hook>.*)"
    r"|.*(?P<policy>ValidatingAdmissionPolicy '[^']*'.*denied request: .*)"
    r"|.*(?P<other>violates PodSecurity.*|exceeded quota: .*)",
    re.DOTALL,
)


def fault_of(error: ApiError | Unreachable, server: str, *, role: str = 'the README, "Who may run"') -> Fault:
    """The fault to raise. server: where it was asked. role: where the rights stand that this needs."""
    if isinstance(error, Unreachable):
        fix = (
            "is that the cluster's address, and is there a way to it (VPN)? `kubectl get --raw /version` asks the same"
        )
        return CannotAnswer("cluster-unreachable", f"the API server {server} does not answer", why=str(error), fix=fix)
    asked = f"{error.verb} {error.what}"
    match error.status:
        case 401:
            fix = "log in to the cluster again; `kubectl auth whoami` asks the same"
            return CannotAnswer(
                "cluster-unauthorized", f"{server} does not know who you are", why=error.message, fix=fix
            )
        case 400 | 403 | 422 if refused := _ADMISSION.fullmatch(error.message):
            what = next(text for text in refused.groups() if text)
            fix = "change what is refused, or ask who keeps the policy"
            return CannotAnswer("cluster-refused", f"the cluster refuses to {asked}", why=what.strip(), fix=fix)
        case 403:
            fix = f"ask who keeps the cluster for the Role of {role}"
            return CannotAnswer("cluster-forbidden", f"you may not {asked}", why=error.message, fix=fix)
        case 404 if not error.typed:
            why = f"{server} has no kind for: {error.what}"
            fix = "install Tekton Pipelines 1.0 or later, or name another cluster's context"
            return CannotAnswer("no-tekton", "there is no Tekton on the cluster", why=why, fix=fix)
    return CannotAnswer(
        "cluster-refused",
        f"the cluster refuses to {asked}",
        why=f"{error.status}: {error.message}",
        fix="mend what it says and run the same command again",
    )
