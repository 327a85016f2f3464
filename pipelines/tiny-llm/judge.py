"""Brings together what was found in each domain: one table, and the two numbers that the gate asks for."""

import argparse
import csv
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("domains", "untuned", "tuned", "counted"):
        parser.add_argument(f"--{name}", type=json.loads, required=True, help="JSON list, an entry a domain")
    parser.add_argument("--domain", required=True, help="that the model was tuned to")
    parser.add_argument("--table", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--perplexity", type=Path, required=True, help="file for that of the domain")
    parser.add_argument("--worst", type=Path, required=True, help="file for the largest share of what counting has")
    args = parser.parse_args()

    columns = ("domain", "untuned", "tuned", "counted")
    rows = list(zip(args.domains, args.untuned, args.tuned, args.counted, strict=True))
    with args.table.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    for row in [columns, *rows]:
        print("  ".join(f"{cell:>8}" for cell in row))

    # Below one in each domain: tuned to one, it has not forgotten the others.
    worst = max(tuned / counted for _, _, tuned, counted in rows)
    args.worst.write_text(f"{worst:.4f}\n")
    args.perplexity.write_text(f"{args.tuned[args.domains.index(args.domain)]}\n")


if __name__ == "__main__":
    main()
