"""Writes the model's card: what it is, how good it is and on what it rests. Standard library only."""

import argparse
import csv
import html
from pathlib import Path

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 45em; margin: 2em auto }}
td, th {{ text-align: left; padding-right: 2em }}
</style>
<h1>{title}</h1>
<p>{verdict}</p>
<table>{rows}</table>
{figures}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", required=True)
    parser.add_argument("--verdict", required=True)
    parser.add_argument("--fact", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument(
        "--figure", nargs=2, action="append", default=[], metavar=("TITLE", "SVG"), help="an empty path: left out"
    )
    parser.add_argument("--mistakes", type=Path, help="CSV of the samples that were judged wrongly")
    parser.add_argument("--page", type=Path, required=True, help="HTML file to write")
    args = parser.parse_args()

    facts = list(args.fact)
    if args.mistakes:
        with args.mistakes.open(newline="") as file:
            facts += [(f"judged wrongly, {row['diagnosis']}", row["probability"]) for row in csv.DictReader(file)]
    rows = "\n".join(f"<tr><th>{html.escape(name)}<td>{html.escape(value)}" for name, value in facts)
    figures = "\n".join(f"<h2>{html.escape(title)}</h2>\n{drawing(Path(svg))}" for title, svg in args.figure if svg)
    title, verdict = html.escape(args.title), html.escape(args.verdict)
    args.page.write_text(PAGE.format(title=title, verdict=verdict, rows=rows, figures=figures))


def drawing(svg: Path) -> str:
    """The drawing to stand inside a page: without its XML head."""
    text = svg.read_text()
    return text[text.index("<svg") :]


if __name__ == "__main__":
    main()
