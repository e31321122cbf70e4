#!/usr/bin/env python3
"""Writes metrics.json: scikit-learn's results for made-up answers, for metrics_test.cc to compare with.

Needs scikit-learn and NumPy from PyPI (made with 1.9.1 and 2.4.6). The expected calibration error, which scikit-learn
lacks, is computed here bin by bin as Guo et al. 2017 define it. Probabilities are float32 numbers, written exactly.
"""
import json
import pathlib

import numpy as np
import sklearn.metrics as sk

BINS = 15
CLIP = 1e-15


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def expected_calibration_error(confidence, right):
    error = 0.0
    for b in range(BINS):
        inside = (confidence > b / BINS) & (confidence <= (b + 1) / BINS)
        if b == 0:
            inside |= confidence == 0
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return error


def averages(gold, predicted):
    result = {"accuracy": sk.accuracy_score(gold, predicted)}
    for average in ("micro", "macro", "weighted"):
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            gold, predicted, average=average, zero_division=0)
        result |= {f"{average}_precision": precision, f"{average}_recall": recall, f"{average}_f1": f1}
    return result


def per_class(gold, predicted, classes):
    columns = sk.precision_recall_fscore_support(gold, predicted, labels=range(classes), zero_division=0)
    return [[float(value) for value in row] for row in zip(*columns)]


def single_label(name, gold, probabilities):
    probabilities = probabilities.astype(np.float32)
    exact, classes = probabilities.astype(np.float64), probabilities.shape[1]
    predicted, clipped = exact.argmax(axis=1), np.clip(exact, CLIP, 1 - CLIP)
    metrics = averages(gold, predicted)
    metrics["log_loss"] = float(np.mean([sk.log_loss([1], [[1 - row[g], row[g]]], labels=[0, 1])
                                         for row, g in zip(clipped, gold)]))
    metrics["ece"] = expected_calibration_error(exact.max(axis=1), predicted == gold)
    if classes == 2 and len(set(gold)) == 2:
        metrics["auc"] = sk.roc_auc_score(gold, exact[:, 1])
    return {"name": name, "classes": classes, "multi_label": False, "threshold": 0.5,
            "gold": [[int(g)] for g in gold], "probabilities": exact.ravel().tolist(), "metrics": metrics,
            "per_class": per_class(gold, predicted, classes),
            "confusion": sk.confusion_matrix(gold, predicted, labels=range(classes)).tolist()}


def multi_label(name, gold, probabilities, threshold):
    probabilities = probabilities.astype(np.float32)
    exact, classes = probabilities.astype(np.float64), probabilities.shape[1]
    predicted, clipped = (exact >= threshold).astype(int), np.clip(exact, CLIP, 1 - CLIP)
    metrics = averages(gold, predicted)
    metrics["log_loss"] = float(np.mean([sk.log_loss(gold[:, c], clipped[:, c], labels=[0, 1])
                                         for c in range(classes)]))
    metrics["ece"] = expected_calibration_error(exact.ravel(), gold.ravel() == 1)
    return {"name": name, "classes": classes, "multi_label": True, "threshold": threshold,
            "gold": [np.flatnonzero(row).tolist() for row in gold], "probabilities": exact.ravel().tolist(),
            "metrics": metrics, "per_class": per_class(gold, predicted, classes)}


def main():
    random = np.random.default_rng(20240501)
    cases = []
    for name, records, classes, noise in [("two classes", 60, 2, 1.0), ("five classes", 80, 5, 2.0)]:
        gold = random.integers(0, classes, records)
        logits = 1.5 * np.eye(classes)[gold] + noise * random.standard_normal((records, classes))
        cases.append(single_label(name, gold, softmax(logits)))
    gold = random.integers(0, 2, 50)
    tenths = np.clip(random.integers(1, 10, 50) + 2 * gold - 1, 0, 10) / 10
    cases.append(single_label("tied scores, probabilities of 0 and 1", gold, np.stack([1 - tenths, tenths], axis=1)))
    gold = random.choice([0, 1, 3], 40)
    logits = 2 * np.eye(6)[gold] + random.standard_normal((40, 6)) + [0, 0, 0.5, 0, -20, -20]
    cases.append(single_label("classes without gold, without prediction, without either", gold, softmax(logits)))
    cases.append(single_label("one class in gold", np.ones(12, int), softmax(random.standard_normal((12, 2)))))
    for name, threshold in [("several labels", 0.5), ("several labels, another threshold", 0.3)]:
        gold = (random.random((40, 4)) < [0.6, 0.3, 0.1, 0.0]).astype(int)
        logits = 2.0 * gold - 1 + random.standard_normal((40, 4)) - [0, 0, 0, 4]
        cases.append(multi_label(name, gold, 1 / (1 + np.exp(-logits)), threshold))
    text = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    pathlib.Path(__file__).with_name("metrics.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
