"""Trains a classifier that tells malignant samples from benign ones."""

import argparse
from pathlib import Path

import joblib
import matplotlib
import numpy as np
import samples
from matplotlib import pyplot
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

matplotlib.use("svg")
pyplot.rcParams["svg.hashsalt"] = "mlgen"  # the same drawing has the same bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", type=Path, help="folder with train.csv")
    parser.add_argument("--kind", choices=["linear", "forest"], required=True)
    parser.add_argument("--trees", type=int, required=True, help="of a forest")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="file to write")
    parser.add_argument("--cv-auc", type=Path, required=True, help="file for the mean ROC AUC of 5 folds")
    parser.add_argument("--weights", type=Path, required=True, help="SVG to write; a forest has none")
    args = parser.parse_args()

    names, features, malignant = samples.read(args.split / "train.csv")
    if args.kind == "linear":
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=args.seed))
    else:
        model = RandomForestClassifier(n_estimators=args.trees, random_state=args.seed)
    auc = cross_val_score(model, features, malignant, cv=5, scoring="roc_auc").mean()
    model.fit(features, malignant)

    joblib.dump(model, args.model)
    args.cv_auc.write_text(f"{auc:.6f}\n")
    if args.kind == "linear":
        draw(names, model[-1].coef_[0], args.weights)
    print(f"{args.kind}: cross-validated ROC AUC {auc:.4f} on {len(malignant)} samples")


def draw(names: list[str], weights: np.ndarray, path: Path) -> None:
    order = np.argsort(np.abs(weights))[-12:]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.barh([names[i].replace("_", " ") for i in order], weights[order])
    axes.set_xlabel("weight of the standardised feature (right: malignant)")
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
