"""A policy that is never removed, so that the API server goes on looking at the ConfigMaps that params are.

Kubernetes 1.34 stops to when the last policy with params of a kind is gone, and does not begin again until it is
restarted: policies that come later find no params, or old ones.
"""

from __future__ import annotations

from tests.e2e.cluster import kubectl

NAME = "mlgen-e2e-sentinel"


def keep() -> None:
    """Make it, where it is not there. It matches nothing."""
    kubectl(
        "apply",
        "-f",
        "-",
        given={
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": NAME},
            "spec": {
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": ["none.mlgen.dev"], "apiVersions": ["v1"], "operations": ["CREATE"],
                         "resources": ["nothing"]}
                    ]
                },
                "validations": [{"expression": "true"}],
            },
        },
    )  # fmt: skip
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {
            "policyName": NAME,
            "paramRef": {"name": NAME, "namespace": "default", "parameterNotFoundAction": "Allow"},
            "validationActions": ["Audit"],
        },
    }
    kubectl("apply", "-f", "-", given=binding)
