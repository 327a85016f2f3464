"""Says how the run ended: to whom is each team's own."""

import json
import os

tasks = json.loads(os.environ["MLGEN_TASKS"])
failed = [name for name, task in tasks.items() if task["status"] == "Failed"]
print(f"{os.environ['MLGEN_RUN_STATUS']} for {os.environ['target']}; failed: {', '.join(failed) or 'none'}")
