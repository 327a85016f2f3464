"""Cuts each text in three: to train on, to choose a model by, and held back to judge it."""

import argparse
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", nargs=2, action="append", required=True, metavar=("DOMAIN", "FILE"))
    parser.add_argument(
        "--held-share", type=float, required=True, help="of each text held back, and as much to choose by"
    )
    parser.add_argument("--train", type=Path, required=True, help="folder to write, a DOMAIN.txt each")
    parser.add_argument("--choose", type=Path, required=True, help="the same")
    parser.add_argument("--held", type=Path, required=True, help="the same")
    parser.add_argument("--domains", type=Path, required=True, help="JSON list of the domains")
    args = parser.parse_args()

    for folder in (args.train, args.choose, args.held):
        folder.mkdir()
    for domain, file in args.text:
        lines = Path(file).read_text().splitlines(keepends=True)
        # Whole lines from the end: what follows is never seen before.
        share = round(len(lines) * args.held_share)
        first, second = len(lines) - 2 * share, len(lines) - share
        for folder, part in (
            (args.train, lines[:first]),
            (args.choose, lines[first:second]),
            (args.held, lines[second:]),
        ):
            (folder / f"{domain}.txt").write_text("".join(part))
        print(f"{domain}: {first} lines to train on, {share} to choose by, {share} held back")
    args.domains.write_text(json.dumps([domain for domain, _ in args.text]))


if __name__ == "__main__":
    main()
