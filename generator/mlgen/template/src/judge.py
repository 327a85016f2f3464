"""How much of the test points' spread the line explains (R²), and a picture of it."""

import argparse
import csv
import json

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("test")
parser.add_argument("--r2")
parser.add_argument("--plot")
args = parser.parse_args()

with open(args.model) as stream:
    model = json.load(stream)
with open(args.test, newline="") as stream:
    points = [(float(p["x"]), float(p["y"])) for p in csv.DictReader(stream)]


def line(x):
    return model["slope"] * x + model["intercept"]


mean = sum(y for _, y in points) / len(points)
wrong = sum((y - line(x)) ** 2 for x, y in points)
r2 = 1 - wrong / sum((y - mean) ** 2 for _, y in points)
with open(args.r2, "w") as stream:
    print(round(r2, 6), file=stream)

xs, ys = [x for x, _ in points], [y for _, y in points]
left, right, low, high = min(xs), max(xs), min(ys), max(ys)


def at(x, y):
    return f"{20 + 360 * (x - left) / (right - left):.1f},{280 - 260 * (y - low) / (high - low):.1f}"


dots = "".join(f'<circle cx="{at(x, y).split(",")[0]}" cy="{at(x, y).split(",")[1]}" r="3"/>' for x, y in points)
path = f'<polyline points="{at(left, line(left))} {at(right, line(right))}" stroke="crimson" fill="none"/>'
with open(args.plot, "w") as stream:
    stream.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300">{dots}{path}</svg>\n')
