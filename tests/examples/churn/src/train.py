"""Finds how many days of use tell those who stay, and how well they do."""

import argparse
import csv
import json
import os
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, help="CSV as prepare.py writes it")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="folder to write")
    parser.add_argument("--auc", type=Path, required=True, help="file for the area under the ROC curve")
    parser.add_argument("--curve", type=Path, required=True, help="SVG to write")
    args = parser.parse_args()
    if not os.environ.get("HF_TOKEN"):
        raise SystemExit("HF_TOKEN is not set")

    with args.features.open(newline="") as file:
        rows = [(float(row["days"]), row["churned"] == "1") for row in csv.DictReader(file)]
    gone, stayed = ([days for days, churned in rows if churned is kind] for kind in (True, False))
    threshold = 0.0
    for _ in range(args.epochs):  # a step at a time, to where most are told
        threshold = max((threshold - 1, threshold, threshold + 1), key=lambda t: told(gone, stayed, t))
    pairs = [(g < s) + (g == s) / 2 for g in gone for s in stayed]

    args.model.mkdir()
    (args.model / "model.json").write_text(json.dumps({"threshold": threshold}))
    args.auc.write_text(f"{sum(pairs) / len(pairs):.6f}\n")
    points = " ".join(f"{t},{len(rows) - told(gone, stayed, t)}" for t in range(args.epochs))
    args.curve.write_text(f'<svg xmlns="http://www.w3.org/2000/svg"><polyline points="{points}"/></svg>\n')


def told(gone: list[float], stayed: list[float], threshold: float) -> int:
    """How many are told rightly, if who uses it on fewer days goes."""
    return sum(days < threshold for days in gone) + sum(days >= threshold for days in stayed)


if __name__ == "__main__":
    main()
