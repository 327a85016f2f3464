"""Splits the samples into train.csv and test.csv, with the same share of each diagnosis in both."""

import argparse
import csv
import random
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path, help="CSV with a header; the last column is `diagnosis`, M or B")
    parser.add_argument(
        "--test-share", type=float, required=True, help="share of the samples kept for the test, 0 to 1"
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--split", type=Path, required=True, help="folder to write")
    parser.add_argument("--rows", type=Path, required=True, help="file for the number of samples")
    args = parser.parse_args()

    with args.raw.open(newline="") as file:
        header, *rows = csv.reader(file)
    random_order = random.Random(args.seed)
    train: list[list[str]] = []
    test: list[list[str]] = []
    for diagnosis in "BM":
        same = [row for row in rows if row[-1] == diagnosis]
        random_order.shuffle(same)
        cut = round(len(same) * args.test_share)
        test += same[:cut]
        train += same[cut:]

    args.split.mkdir()
    for name, part in ("train.csv", train), ("test.csv", test):
        with (args.split / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *part])
    args.rows.write_text(f"{len(train) + len(test)}\n")
    print(f"{len(train)} samples to train, {len(test)} to test")


if __name__ == "__main__":
    main()
