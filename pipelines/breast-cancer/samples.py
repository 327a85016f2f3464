"""Reads a table of samples, as prepare.py writes it."""

import csv
from pathlib import Path

import numpy as np


def read(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names of the features; the features, (samples, features); whether each sample is malignant, (samples,)."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    features = np.array([row[:-1] for row in rows], dtype=float)
    return header[:-1], features, np.array([row[-1] == "M" for row in rows])
