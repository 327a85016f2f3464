"""Split a CSV of points into one to learn from and one to test with; always the same way."""

import argparse
import csv

parser = argparse.ArgumentParser()
parser.add_argument("points")
parser.add_argument("--holdout", type=float)
parser.add_argument("--train")
parser.add_argument("--test")
parser.add_argument("--rows")
args = parser.parse_args()

with open(args.points, newline="") as stream:
    header, *rows = csv.reader(stream)
every = max(2, round(1 / args.holdout))
parts = {args.train: [r for i, r in enumerate(rows) if i % every], args.test: rows[::every]}
for path, part in parts.items():
    with open(path, "w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *part])
with open(args.rows, "w") as stream:
    print(len(rows), file=stream)
