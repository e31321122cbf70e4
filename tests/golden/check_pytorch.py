#!/usr/bin/env python3
"""A model file in PyTorch: trains a small BiLSTM with mnemo, opens the file with PyPI's safetensors, hands the
recurrent tensors to torch.nn.LSTM.load_state_dict unchanged, and compares the probabilities of both for real lines, and
the weights of their words, by captum where it is installed.

usage: check_pytorch.py MNEMO DATA-FOLDER
Exit codes: 0 they agree to 1e-5 (the weights to 1e-4), 1 they do not, 77 PyTorch or safetensors is not installed
(skipped).
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients
except ImportError:
    IntegratedGradients = None
try:
    import numpy
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


class Twin:
    """The model of a file in PyTorch."""

    def __init__(self, path):
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            model = json.loads(file.metadata()["config"])["model"]
            self.labels = json.loads(file.metadata()["labels"])
        self.lstm = torch.nn.LSTM(model["embedding"], model["hidden"], model["layers"], bidirectional=True,
                                  batch_first=True)
        self.lstm.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("rnn.")})
        self.tensors, self.table = tensors, words(tensors["vocabulary"])

    def vectors(self, text):
        ids = torch.tensor([[self.table.get(word, 0) for word in text.split(" ")]])
        return self.tensors["embedding.weight"][ids].clone()

    def logits(self, vectors):
        _, (h, _) = self.lstm(vectors)
        return torch.cat([h[-2], h[-1]], dim=1) @ self.tensors["output.weight"].T + self.tensors["output.bias"]

    def probabilities(self, text):
        with torch.no_grad():
            return torch.softmax(self.logits(self.vectors(text)), dim=1)[0].tolist()

    def attributions(self, text, method, label):
        """The weights of the words by captum, or by the definitions where it is not installed."""
        x, target = self.vectors(text), self.labels.index(label)
        if IntegratedGradients:
            if method == "integrated":
                return IntegratedGradients(self.logits).attribute(x, target=target, n_steps=50).sum(2)[0].tolist()
            if method == "gradient":
                return InputXGradient(self.logits).attribute(x.requires_grad_(), target=target).sum(2)[0].tolist()
            mask = torch.arange(x.shape[1]).reshape(1, -1, 1).expand_as(x)
            with torch.no_grad():
                return FeatureAblation(self.logits).attribute(x, target=target, feature_mask=mask)[0, :, 0].tolist()

        def gradient(at):
            at = at.clone().requires_grad_()
            self.logits(at)[0, target].backward()
            return at.grad

        if method == "gradient":
            return (gradient(x) * x).sum(2)[0].tolist()
        if method == "integrated":
            nodes, weights = numpy.polynomial.legendre.leggauss(50)
            mean = sum(w / 2 * gradient(x * float((1 + n) / 2)) for n, w in zip(nodes, weights))
            return (mean * x).sum(2)[0].tolist()
        with torch.no_grad():
            whole, out = self.logits(x)[0, target], []
            for t in range(x.shape[1]):
                without = x.clone()
                without[0, t] = 0
                out.append((whole - self.logits(without)[0, target]).item())
            return out


def worst_attribution(mnemo, path, twin, texts):
    worst = 0.0
    for text in texts:
        for method in ("gradient", "integrated", "occlusion"):
            said = subprocess.run([mnemo, "inspect", path, "--attribution", method, "--text", text, "--format", "json"],
                                  check=True, capture_output=True, encoding="utf-8").stdout
            ours = json.loads(said)
            expected = twin.attributions(text, method, ours["target"].removeprefix("logit of "))
            worst = max(worst, *(abs(a - b) for a, b in zip(ours["weights"], expected, strict=True)))
    return worst


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
        twin = Twin(model)
        for text, line in zip(texts, answer.splitlines(), strict=True):
            ours = {entry["label"]: entry["probability"] for entry in json.loads(line)["labels"]}
            for label, expected in zip(twin.labels, twin.probabilities(text), strict=True):
                worst = max(worst, abs(ours[label] - expected))
        attribution = worst_attribution(mnemo, model, twin, texts[:6])
    print(f"{len(texts)} lines, PyTorch {torch.__version__}: largest difference of a probability {worst:.2g}")
    if not IntegratedGradients:
        print("skipped: captum is not installed; the weights of words are compared with the definitions instead")
    print(f"weights of words by three methods: largest difference {attribution:.2g}")
    return 0 if worst < TOLERANCE and attribution < 10 * TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
