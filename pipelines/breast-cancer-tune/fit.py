"""Trains a small neural network, says after each epoch how good it is, and stops early when it is told to."""

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
import samples
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", type=Path, help="folder with train.csv")
    parser.add_argument("--rate", type=float, required=True, help="learning rate")
    parser.add_argument("--decay", type=float, required=True, help="weight decay")
    parser.add_argument("--units", type=int, required=True, help="of the hidden layer")
    parser.add_argument("--activation", choices=["relu", "tanh"], required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="file to write")
    parser.add_argument("--auc", type=Path, required=True, help="file for the ROC AUC on a fifth that is kept back")
    args = parser.parse_args()

    _, features, malignant = samples.read(args.split / "train.csv")
    train, held, train_malignant, held_malignant = train_test_split(
        features, malignant, test_size=0.2, stratify=malignant, random_state=args.seed
    )
    scaler = StandardScaler().fit(train)
    network = MLPClassifier(
        (args.units,),
        activation=args.activation,
        alpha=args.decay,
        learning_rate_init=args.rate,
        random_state=args.seed,
    )
    auc = 0.5
    # Lines of a step and the metric: by them mlgen sees which trials are worth their time.
    with open(os.environ.get("MLGEN_REPORT", os.devnull), "a") as report:
        for epoch in range(args.epochs):
            network.partial_fit(scaler.transform(train), train_malignant, classes=np.array([False, True]))
            auc = roc_auc_score(held_malignant, network.predict_proba(scaler.transform(held))[:, 1])
            print(epoch, f"{auc:.6f}", file=report, flush=True)
            if os.path.exists(os.environ.get("MLGEN_PRUNE", "")):
                print(f"stopped after epoch {epoch}: AUC {auc:.4f}")
                return

    joblib.dump(make_pipeline(scaler, network), args.model)
    args.auc.write_text(f"{auc:.6f}\n")
    print(f"AUC {auc:.4f} after {args.epochs} epochs")


if __name__ == "__main__":
    main()
