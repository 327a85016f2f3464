"""Tekton's variables in a Task, replaced by what is known of a run before it is started.

Source: tektoncd/pipeline v1.15 pkg/reconciler/taskrun/resources/apply.go, ApplyParameters and ApplyContexts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]
Data = dict[str, Any]

UID = "00000000-0000-0000-0000-000000000000"
_VARIABLE = re.compile(r"\$\([a-zA-Z0-9_.*\[\]-]+\)")


def filled(task: Object, entry: Object, run: Object, name: str) -> Object:
    """The Task with what is known of the run in the place of variables; the rest stays as it is written.

    entry: the Pipeline's, that refers to it. name: of the run.
    """
    known = {
        "$(context.pipelineRun.name)": name,
        "$(context.pipelineRun.uid)": UID,
        **{f"$(params.{p['name']})": p["value"] for p in run["spec"].get("params", ()) if isinstance(p["value"], str)},
    }
    own: dict[str, str] = {
        "$(context.taskRun.name)": f"{name}-{entry['name']}",
        "$(context.taskRun.uid)": UID,
        "$(context.taskRun.namespace)": task["metadata"]["namespace"],
        **{
            f"$(steps.step-{s['name']}.exitCode.path)": f"/tekton/steps/step-{s['name']}/exitCode"
            for s in task["spec"]["steps"]
        },
    }
    lists: dict[str, list[str]] = {}
    for param in entry.get("params", ()):
        value = param["value"]
        if isinstance(value, str):
            own[f"$(params.{param['name']})"] = _replaced(value, known)
        else:
            lists[f"$(params.{param['name']}[*])"] = [_replaced(one, known) for one in value]
    spec = dict(task["spec"])
    for section in ("steps", "sidecars"):
        if section in spec:
            spec[section] = [_container_filled(one, own, lists) for one in spec[section]]
    return {**task, "spec": spec}


def _container_filled(container: Object, own: Mapping[str, str], lists: Mapping[str, list[str]]) -> Data:
    found = dict(container)
    if "env" in found:
        found["env"] = [_variable_filled(one, own) for one in found["env"]]
    for key in ("command", "args"):
        if key in found:
            found[key] = [text for one in found[key] for text in lists.get(one, (_replaced(one, own),))]
    return found


def _variable_filled(variable: Data, own: Mapping[str, str]) -> Data:
    if "$(" in variable.get("value", ""):
        return {**variable, "value": _replaced(variable["value"], own)}
    field = variable.get("valueFrom", {}).get("fieldRef")
    return {"name": variable["name"], "valueFrom": {"fieldRef": {"apiVersion": "v1", **field}}} if field else variable


def _replaced(text: str, known: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: known.get(match[0], match[0]), text) if "$(" in text else text
