#!/usr/bin/env python3
"""Writes tags.json: what conlleval (its port in Python) and seqeval count in random sentences, well-formed and not.

Needs the packages conlleval and seqeval. README.md beside this file describes the content.
"""
import importlib.metadata
import json
import pathlib
import random

import conlleval
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2, IOBES

TYPES = ["PER", "LOC", "B-cell"]


def random_tag(rng, letters):
    letter = rng.choice("O" + letters)
    return letter if letter == "O" else f"{letter}-{rng.choice(TYPES)}"


def messy(rng, letters):
    return [random_tag(rng, letters) for _ in range(rng.randrange(1, 12))]


def well_spelled(rng, closed):
    tags = []
    while len(tags) < 8:
        size, kind = rng.randrange(0, 4), rng.choice(TYPES)
        if size == 0:
            tags.append("O")
        elif closed and size == 1:
            tags.append("S-" + kind)
        else:
            inner = ["I-" + kind] * (size - 1)
            tags += ["B-" + kind] + (inner[:-1] + ["E-" + kind] if closed else inner)
    return tags


def changed(rng, tags, letters):
    return [random_tag(rng, letters) if rng.random() < 0.2 else tag for tag in tags]


def conlleval_counts(gold, predicted):
    lines = []
    for g, p in zip(gold, predicted):
        lines += [f"w {a} {b}" for a, b in zip(g, p)] + [""]
    found = conlleval.evaluate(lines)
    stats = {kind: found["slots"]["chunks"][kind]["stats"] for kind in found["slots"]["chunks"]}
    return {"accuracy": found["overall"]["tags"]["evals"]["prec"],
            "types": {k: [s["gold"], s["pred"], s["correct"]] for k, s in stats.items() if s["gold"] + s["pred"] > 0}}


def strict_counts(gold, predicted, scheme):
    report = classification_report(gold, predicted, mode="strict", scheme=scheme, output_dict=True, zero_division=0)
    return {"precision": report["micro avg"]["precision"], "recall": report["micro avg"]["recall"],
            "gold": int(report["micro avg"]["support"])}


def main():
    rng = random.Random(77)
    cases = []
    for number in range(24):
        closed, sentences = number % 3 == 2, rng.randrange(1, 12)
        letters = "BIES" if closed else "BI"
        if number % 3 == 0:
            gold = [messy(rng, letters) for _ in range(sentences)]
            predicted = [[random_tag(rng, letters) for _ in g] for g in gold]
        else:
            gold = [well_spelled(rng, closed) for _ in range(sentences)]
            predicted = [changed(rng, g, letters) for g in gold]
        case = {"scheme": "bioes" if closed else "bio", "gold": gold, "predicted": predicted,
                "strict": strict_counts(gold, predicted, IOBES if closed else IOB2)}
        if not closed:  # conlleval knows no S
            case["conlleval"] = conlleval_counts(gold, predicted)
        cases.append(case)
    producer = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("conlleval", "seqeval"))
    path = pathlib.Path(__file__).with_name("tags.json")
    path.write_text(json.dumps({"producer": producer, "cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
