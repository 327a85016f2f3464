"""`mlgen plan FILE`: what will happen."""

from __future__ import annotations

import sys

from mlgen.cli.clock import SystemClock
from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption, SpecFile
from mlgen.cli.output import answer_json
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import visible
from mlgen.plan.show import to_text
from mlgen.plan.text import to_json

app = new_app()


@app.command()
def plan(file: SpecFile, form: FormatOption = Format.TEXT) -> None:
    """Show what will happen: order, gates and who decides them, what each pod takes."""
    made = Workspace.around([file]).plan(file)
    if form is Format.JSON:
        # Beside what the digest is of: when a run starts says nothing of what it does.
        starts = {"schedules": [schedule.to_json() for schedule in made.schedules]} if made.schedules else {}
        starts |= {"triggers": [trigger.to_json() for trigger in made.triggers]} if made.triggers else {}
        answer_json(to_json(made) | starts)
    else:
        sys.stdout.write("\n".join(map(visible, to_text(made, SystemClock().now()).split("\n"))))
