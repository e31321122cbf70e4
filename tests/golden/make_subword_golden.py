#!/usr/bin/env python3
"""Writes subwords.json: the merges that subword-nmt learns from the samples in data/, and words that it cuts by them.

Needs the package subword-nmt. README.md beside this file describes the content.
"""
import importlib.metadata
import io
import json
import pathlib

from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

SAMPLES = {"en": ("reviews-en/train.tsv", 1500, 2), "zh": ("reviews-zh/train.tsv", 800, 3)}


def main():
    here = pathlib.Path(__file__)
    out = {"producer": f"subword-nmt {importlib.metadata.version('subword-nmt')}", "cases": []}
    for file, merges, least in SAMPLES.values():
        lines = (here.parents[2] / "data" / file).read_text(encoding="utf-8").splitlines()
        text = [line.split("\t")[1] for line in lines]
        codes = io.StringIO()
        learn_bpe(io.StringIO("\n".join(text) + "\n"), codes, merges, min_frequency=least)
        bpe = BPE(io.StringIO(codes.getvalue()))
        # Every fifth line's words, which the test joins again.
        words = sorted({word for line in text[::5] for word in line.split(" ") if word})
        out["cases"].append({
            "file": file, "merges": merges, "least": least,
            "learnt": [line.split(" ") for line in codes.getvalue().splitlines()[1:]],
            "cut": [bpe.segment(word).replace("@@", "").split(" ") for word in words if "@" not in word],
        })
    here.with_name("subwords.json").write_text(
        json.dumps(out, ensure_ascii=False, separators=(",", ":")).replace('},{"file"', '},\n{"file"') + "\n",
        encoding="utf-8")


if __name__ == "__main__":
    main()
