"""Says which model would be registered, and for what: where to is each team's own."""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--note", required=True)
args = parser.parse_args()
model = json.loads((Path(os.environ["model"]) / "model.json").read_text())
print(f"{os.environ['stage']}: {model}, {os.environ['note']}, {args.note}")
