"""Puts a drawing on a page."""

import argparse
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("curve", type=Path, help="SVG")
parser.add_argument("--page", type=Path, required=True, help="HTML file to write")
args = parser.parse_args()
args.page.write_text(f"<!doctype html>\n<title>Churn</title>\n{args.curve.read_text()}")
