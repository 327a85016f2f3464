"""`mlgen-runtime`: what runs beside a task in its pod. This file alone reads the process's arguments and variables."""

from __future__ import annotations

import os
import sys

from mlgen.diagnostic import CannotAnswer, Fault, visible
from mlgen.runtime.invocation import read_invocation


def main() -> int:
    """Run one verb; the exit code: 0 done, 2 asked wrongly, 3 could not."""
    try:
        invocation = read_invocation(sys.argv[1:], os.environ)
        raise CannotAnswer(
            "not-yet",
            f"{invocation.verb} of {invocation.document.task}: this version of mlgen-runtime does not run in pods yet",
            fix="run the pipeline with `mlgen run`, or take a newer runtime image",
        )
    except Fault as fault:
        lines = [f"mlgen-runtime: error[{fault.code}]: {visible(fault.message)}"]
        lines += [f"   {word}  {visible(text)}" for word, text in (("why", fault.why), ("fix", fault.fix)) if text]
        sys.stderr.write("\n".join(lines) + "\n")
        return fault.exit_code


if __name__ == "__main__":
    sys.exit(main())
