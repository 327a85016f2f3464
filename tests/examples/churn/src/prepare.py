"""Joins customers with their labels, those that came since a day."""

import argparse
import csv
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path, help="CSV with id, since and days of use")
    parser.add_argument("labels", type=Path, help="CSV with id and churned, 0 or 1")
    parser.add_argument("--since", required=True, help="a day: customers that came before are left out")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write: days, churned")
    parser.add_argument("--rows", type=Path, required=True, help="file for the number of customers")
    args = parser.parse_args()

    with args.labels.open(newline="") as file:
        churned = {row["id"]: row["churned"] for row in csv.DictReader(file)}
    with args.raw.open(newline="") as file:
        kept = [row for row in csv.DictReader(file) if row["since"] >= args.since and row["id"] in churned]
    with args.out.open("w", newline="") as file:
        rows = [["days", "churned"], *([row["days"], churned[row["id"]]] for row in kept)]
        csv.writer(file, lineterminator="\n").writerows(rows)
    args.rows.write_text(f"{len(kept)}\n")


if __name__ == "__main__":
    main()
