"""A pipeline of one task that something happens to, and what its record must say."""

from __future__ import annotations

from typing import Any

from tests.e2e.api import Json
from tests.e2e.lab import Lab, Project
from tests.e2e.run import Run, start


def single(lab: Lab, name: str, task: str, **options: Any) -> Run:
    """A run of a pipeline of one task, `it`, in a project of its own. task: its keys. options: of `Lab.project`."""
    project = lab.project(name, **options)
    pipeline(project, task)
    return start(project, "die")


def pipeline(project: Project, task: str) -> None:
    """A pipeline `die` of one task, `it`. task: its keys."""
    indented = "".join(f"    {line}\n" for line in task.splitlines())
    project.pipeline("die", f"tasks:\n  it:\n{indented}")


def failed(run: Run) -> Json:
    """The record of a run whose one task failed: it alone, and nothing kept."""
    told = run.told()
    record = told.only("it")
    assert record["state"] == "FAIL"
    assert record["outputs"] == {}
    assert told.statuses() == ("FAIL", {"it": "Failed"})
    return record
