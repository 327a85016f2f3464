"""What is asked of an earlier run: apart from how it is answered, which every run would load."""

from __future__ import annotations

from dataclasses import dataclass

from mlgen.diagnostic import Misuse
from mlgen.plan.model import Plan


@dataclass(frozen=True, slots=True)
class Ask:
    """What was asked for: a run to resume, a task to run again with all after it, or a task to run alone."""

    resume: str | None = None
    start: str | None = None
    only: str | None = None

    def __bool__(self) -> bool:
        return any((self.resume, self.start, self.only))

    def needed(self, plan: Plan) -> set[str]:
        """The tasks that must be known: what does not run of what is part of the run."""
        from mlgen.plan.known import downstream, upstream  # here: as above

        if self.only is not None:
            return upstream(plan, self.only)
        again = {self.start, *downstream(plan, self.start)} if self.start is not None else set()
        return {task.name for task in plan.tasks} - again

    def check(self, plan: Plan) -> None:
        """Raises Misuse for options that do not go together, and for a task that is none."""
        if self.start is not None and self.only is not None:
            raise Misuse("bad-option", "--from and --only exclude each other", fix="give one of them")
        wanted = self.start or self.only
        names = [task.name for task in plan.tasks]
        if wanted is None or wanted in names:
            return
        if wanted in [task.name for task in plan.finally_tasks]:
            why = f'"{wanted}" is a task of `finally`, which runs whenever the others have ended'
            raise Misuse(
                "no-such-task", f'no run begins with "{wanted}"', why=why, fix=f"name one of {', '.join(names)}"
            )
        from difflib import get_close_matches  # here: only who mistook a name waits for it

        near = get_close_matches(wanted, names, n=1)
        fix = f"did you mean {near[0]}?" if near else f"its tasks are {', '.join(names[:20])}"
        raise Misuse("no-such-task", f'"{plan.name}" has no task "{wanted[:80]}"', fix=fix)
