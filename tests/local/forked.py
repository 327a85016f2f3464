"""Runs in processes of their own, for tests that kill or interrupt them, and the plans that are worth killing."""

from __future__ import annotations

import errno
import os
import signal
import traceback
from pathlib import Path
from typing import Any

from mlgen.diagnostic import CannotAnswer
from mlgen.local.run import run
from mlgen.plan.model import Plan
from mlgen.values import Type
from tests.local.ledger import fold, spool
from tests.local.plans import in_, out, plan, task
from tests.local.runs import Project
from tests.spec.texts import plan_of

STRAY = 'setsid sleep 300 & sleep 300 & echo $! > "$x"'


def busy() -> Plan:
    """Artifacts, values, failures that are retried, children in the background, and a finally task."""
    made = [task("a", f'{STRAY}; sleep 0.02; echo one > "$f"', outs=[out("x", Type.INTEGER), out("f", Type.FILE)])]
    for name, before in (("b", "a"), ("c", "a"), ("d", "b"), ("e", "c")):
        ins = [in_("g", f"{before}.f", Type.FILE), in_("y", f"{before}.x", Type.INTEGER)]
        outs = [out("x", Type.INTEGER), out("f", Type.FILE)]
        made.append(task(name, f'{STRAY}; sleep 0.03; cp "$g" "$f"', ins=ins, outs=outs))
    made.append(task("flaky", "test -e ../../again || { touch ../../again; exit 1; }", retries=2))
    return plan(*made, finally_tasks=[task("tell", "sleep 0.02")])


def many() -> Plan:
    """A sweep of six trials, one of which fails and another is tried again, and a reader of the best."""
    return plan_of(
        b"""version: 1
name: demo
tasks:
  each:
    sweep: {grid: {n: [1, 2, 3, 4, 5, 6]}}
    pick: max score
    failures: 1
    retries: 1
    run: |
      setsid sleep 300 & sleep 300 & sleep 0.02
      if [ "$n" = 2 ]; then test -e ../../again || { touch ../../again; exit 1; }; fi
      echo "$n" > "$f"; echo "$n" > "$score"
    out: {f: file, score: metric}
  last:
    run: cat "$f"
    in: [each.f]
"""
    )


def sleepy() -> Plan:
    """Many items that never end."""
    return plan_of(
        b"""version: 1
name: demo
tasks:
  each: {for: {n: {range: 50}}, run: ": > ready; sleep 300"}
"""
    )


def slow() -> Plan:
    """Two tasks that never end, in several ways, and one that waits for them."""
    return plan(
        task("deaf", "trap '' TERM INT HUP; : > ready; setsid sleep 300 & while true; do sleep 300; done", timeout=300),
        task("polite", "trap 'echo bye; exit 7' TERM; : > ready; sleep 300 & wait", timeout=300),
        task("later", after=["deaf"]),
        finally_tasks=[task("tell")],
    )


def fork_run(root: Path, plan: Plan, point: str = "", number: int = 1, **settings: Any) -> int:
    """Run a plan in a process of its own; the process, which exits as the command line would.

    point: a named point of the engine at which, when it comes by for the numberth time, that process kills itself.
    settings: of the job, or other parts for `run`.
    """
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.setsid()
        code = _run(root, plan, point, number, settings)
    except CannotAnswer as reason:
        code = reason.exit_code
    except OSError as error:
        code = 3 if error.errno == errno.ENOSPC else 70
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(root: Path, plan: Plan, point: str, left: int, settings: dict[str, Any]) -> int:
    def at(here: str) -> None:
        nonlocal left
        left -= here == point
        if here == point and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    project = Project(root)
    parts = project.parts(spool=spool(root), fold=lambda: fold(root), at=at)
    parts |= {name: settings.pop(name) for name in parts.keys() & settings.keys()}
    outcome = run(project.job(plan, **settings), **parts)
    return 130 if outcome.interrupted else 0 if outcome.ok else 1


def exit_code(process: int) -> int:
    """Wait for a process; its exit code, or minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
