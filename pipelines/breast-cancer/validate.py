"""Measures a model on samples that it has not seen."""

import argparse
import csv
from pathlib import Path

import joblib
import matplotlib
import samples
from matplotlib import pyplot
from sklearn.metrics import RocCurveDisplay, recall_score, roc_auc_score

matplotlib.use("svg")
pyplot.rcParams["svg.hashsalt"] = "mlgen"  # the same drawing has the same bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("split", type=Path, help="folder with test.csv")
    parser.add_argument(
        "--threshold", type=float, required=True, help="probability from which a sample is called malignant"
    )
    parser.add_argument("--auc", type=Path, required=True, help="file for the ROC AUC")
    parser.add_argument(
        "--recall", type=Path, required=True, help="file for the share of malignant samples that were found"
    )
    parser.add_argument("--roc", type=Path, required=True, help="SVG to write")
    parser.add_argument("--mistakes", type=Path, required=True, help="CSV to write, if there are any")
    args = parser.parse_args()

    names, features, malignant = samples.read(args.split / "test.csv")
    probability = joblib.load(args.model).predict_proba(features)[:, 1]
    found = probability >= args.threshold
    auc, recall = roc_auc_score(malignant, probability), recall_score(malignant, found)

    args.auc.write_text(f"{auc:.6f}\n")
    args.recall.write_text(f"{recall:.6f}\n")
    figure, axes = pyplot.subplots(figsize=(5, 5), layout="constrained")
    RocCurveDisplay.from_predictions(malignant, probability, ax=axes, plot_chance_level=True)
    figure.savefig(args.roc, format="svg", metadata={"Date": None})
    wrong = [i for i in range(len(malignant)) if found[i] != malignant[i]]
    if wrong:
        with args.mistakes.open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["probability", "diagnosis", *names])
            table.writerows([f"{probability[i]:.4f}", "BM"[int(malignant[i])], *features[i]] for i in wrong)
    print(f"ROC AUC {auc:.4f}, recall {recall:.4f}, {len(wrong)} mistakes in {len(malignant)} samples")


if __name__ == "__main__":
    main()
