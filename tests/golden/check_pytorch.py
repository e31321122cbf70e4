#!/usr/bin/env python3
"""A model file in PyTorch: trains a small BiLSTM with mnemo, opens the file with PyPI's safetensors, hands the
recurrent tensors to torch.nn.LSTM.load_state_dict unchanged, and compares the probabilities of both for real lines.

usage: check_pytorch.py MNEMO DATA-FOLDER
Exit codes: 0 they agree to 1e-5, 1 they do not, 77 PyTorch or safetensors is not installed (skipped).
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file
except ImportError as error:
    print(f"skipped: {error}; scripts/pytorch.sh --install brings both")
    sys.exit(77)

TOLERANCE = 1e-5
CONFIG = {
    "data": {"train": "train.tsv", "dev": "dev.tsv"},
    # An embedding is one row of one table, so that the reading below stays short.
    "text": {"ngrams": {"char_min": 0, "char_max": 0, "unit": 1}},
    "model": {"embedding": 24, "hidden": 20, "layers": 2, "pooling": "last"},
    "training": {"epochs": 3, "learning_rate": 0.005},
}


def words(vocabulary):
    """Token -> row, from the layout that lib/text/vocabulary.h describes."""
    data = bytes(vocabulary.tolist())
    at = data.index(b"\n") + 1

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    count, _ = number(), number()
    rows = {}
    for row in range(1, count + 1):
        length, _ = number(), number()
        rows[data[at:at + length].decode("utf-8")] = row
        at += length
    return rows


def probabilities(path, text):
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    model = config["model"]
    lstm = torch.nn.LSTM(model["embedding"], model["hidden"], model["layers"], bidirectional=True, batch_first=True)
    lstm.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("rnn.")})
    table = words(tensors["vocabulary"])
    ids = torch.tensor([[table.get(word, 0) for word in text.split(" ")]])
    with torch.no_grad():
        _, (h, _) = lstm(tensors["embedding.weight"][ids])
        logits = torch.cat([h[-2], h[-1]], dim=1) @ tensors["output.weight"].T + tensors["output.bias"]
    return torch.softmax(logits, dim=1)[0].tolist()


def main():
    mnemo, data = sys.argv[1:3]
    texts = [line.split("\t")[1] for line in
             pathlib.Path(data, "test.tsv").read_text(encoding="utf-8").splitlines()][:20]
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "c.json").write_text(json.dumps(CONFIG), encoding="utf-8")
        subprocess.run([mnemo, "train", f"{folder}/c.json", "--set", f"data.dir={data}", "--set",
                        f"output.dir={folder}/run"], check=True, capture_output=True)
        model = f"{folder}/run/model.safetensors"
        answer = subprocess.run([mnemo, "classify", model, "--raw", "--top", "2", "--format", "jsonl"], check=True,
                                input="\n".join(texts) + "\n", capture_output=True, encoding="utf-8").stdout
        with safe_open(model, framework="pt") as file:
            labels = json.loads(file.metadata()["labels"])
        for text, line in zip(texts, answer.splitlines(), strict=True):
            ours = {entry["label"]: entry["probability"] for entry in json.loads(line)["labels"]}
            for label, expected in zip(labels, probabilities(model, text), strict=True):
                worst = max(worst, abs(ours[label] - expected))
    print(f"{len(texts)} lines, PyTorch {torch.__version__}: largest difference of a probability {worst:.2g}")
    return 0 if worst < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
