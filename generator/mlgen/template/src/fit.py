"""Fit y = slope * x + intercept by least squares."""

import argparse
import csv
import json

parser = argparse.ArgumentParser()
parser.add_argument("train")
parser.add_argument("--model")
args = parser.parse_args()

with open(args.train, newline="") as stream:
    points = [(float(p["x"]), float(p["y"])) for p in csv.DictReader(stream)]
mean_x = sum(x for x, _ in points) / len(points)
mean_y = sum(y for _, y in points) / len(points)
slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
with open(args.model, "w") as stream:
    json.dump({"slope": round(slope, 6), "intercept": round(mean_y - slope * mean_x, 6)}, stream)
