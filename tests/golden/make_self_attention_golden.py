#!/usr/bin/env python3
"""Writes self_attention.safetensors: what networks with self-attention compute in PyTorch, with gradients.

Needs PyTorch and NumPy (Debian: python3-torch, python3-numpy; run it with /usr/bin/python3). README.md beside this
file says what the tensors mean. Keys and values are vectors of their own and what a step sees is a mask, as in the
code of SHA-RNN, where lib/nn/self_attention.h folds the gates into the query and the sum. Each sequence of a batch is
computed alone, so nothing is padded; weights are drawn as float32 and the computation runs in float64, so the stored
float32 results carry one rounding and nothing else.
"""
import json
import math
import pathlib

import numpy as np
import torch
from torch import nn

from safetensors_writer import write_safetensors

DEFAULTS = {"network": "generate", "units": 9, "classes": 4, "embedding": 4, "cell": "lstm", "hidden": 6, "layers": 2,
            "layer": 1, "memory": 0, "feed_forward": 0, "sum_layers": False, "pooling": ["max"]}
# What differs from the defaults, and the lengths of the sequences: of language models in each of the pieces, in which
# states and memory are carried on. Pieces and memory are longer than one another, and longer than a tile of 16 steps.
CASES = [
    ({"memory": 3}, [[5, 2, 1], [4, 4, 2]]),
    ({"memory": 3, "feed_forward": 7}, [[5, 2, 1], [4, 4, 2], [6, 1, 1]]),
    ({"memory": 20, "layer": 2, "feed_forward": 5}, [[9, 3], [20, 18]]),
    ({"memory": 1, "layers": 1, "hidden": 3}, [[3], [2]]),
    ({"memory": 17, "layers": 3, "layer": 2, "sum_layers": True, "cell": "gru", "feed_forward": 12},
     [[40, 21], [3, 2]]),
    ({"network": "classify"}, [[4, 1, 6]]),
    ({"network": "classify", "feed_forward": 9, "layer": 2, "pooling": ["last", "max", "mean"]}, [[19, 2, 35, 1]]),
    ({"network": "classify", "cell": "gru", "layers": 1, "feed_forward": 3, "pooling": ["mean"]}, [[2, 5]]),
    ({"network": "tag", "layers": 1}, [[3, 17, 1]]),
    ({"network": "tag", "feed_forward": 8}, [[6, 33, 2, 2]]),
    ({"network": "tag", "layer": 2, "cell": "gru", "hidden": 3, "feed_forward": 10}, [[18, 4]]),
]


class Block(nn.Module):
    def __init__(self, columns, memory, feed_forward):
        super().__init__()
        self.columns, self.memory, self.feed_forward = columns, memory, feed_forward
        self.norm = nn.LayerNorm(columns)
        self.query = nn.Linear(columns, columns)
        self.query_norm = nn.LayerNorm(columns)
        for gate in ("query_gate", "key_gate", "value_open", "value_shape"):
            self.register_parameter(gate, nn.Parameter(torch.zeros(columns)))
        if feed_forward:
            self.feed_norm = nn.LayerNorm(columns)
            self.up = nn.Linear(columns, feed_forward)
            self.down = nn.Linear(feed_forward, columns)

    def seen(self, steps, remembered):
        """[steps, remembered + steps]: whether a step sees another."""
        if self.memory == 0:
            return torch.ones(steps, steps, dtype=torch.bool)
        back = torch.arange(steps)[:, None] + remembered - torch.arange(remembered + steps)[None]
        return (back >= 0) & (back <= self.memory)

    def forward(self, h, before):
        """h [T, C] of one sequence, and what is remembered [R, C] -> y [T, C], and what then is."""
        m = self.norm(h)
        rows = torch.cat([before, m])
        q = torch.sigmoid(self.query_gate) * self.query_norm(self.query(m))
        k = torch.sigmoid(self.key_gate) * rows
        v = torch.sigmoid(self.value_open) * torch.tanh(self.value_shape) * rows
        scores = (q @ k.T / math.sqrt(self.columns)).masked_fill(~self.seen(len(h), len(before)), -math.inf)
        u = m + torch.softmax(scores, 1) @ v
        if self.feed_forward:
            wide = self.up(self.feed_norm(u))
            u = u + self.down(wide * torch.sigmoid(1.702 * wide))
        return u, rows[max(0, len(rows) - self.memory):].detach() if self.memory else before


class Network(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = o
        directions = 1 if o["network"] == "generate" else 2
        columns = directions * o["hidden"]
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[o["cell"]]
        self.embedding = nn.Embedding(o["units"], o["embedding"])
        inputs = [o["embedding"]] + [columns] * (o["layers"] - 1)
        self.recurrent = nn.ModuleList([kind(size, o["hidden"], bidirectional=directions == 2) for size in inputs])
        self.block = Block(columns, o["memory"], o["feed_forward"])
        pooled = columns * (len(o["pooling"]) if o["network"] == "classify" else 1)
        self.output = nn.Linear(pooled, o["units" if o["network"] == "generate" else "classes"])

    def mnemo_name(self, name):
        """The name that a parameter has in mnemo."""
        part, _, rest = name.partition(".")
        if part == "recurrent":
            layer, _, weight = rest.partition(".")
            return "rnn." + weight.replace("_l0", f"_l{layer}")
        if part == "block":
            return f"rnn.attention_l{self.o['layer'] - 1}.{rest}"
        return f"output0.{rest}" if part == "output" and self.o["network"] == "tag" else name

    def pool(self, y):
        half = self.o["hidden"]
        kinds = {"last": lambda: torch.cat([y[-1, :half], y[0, half:]]), "max": lambda: y.max(0)[0],
                 "mean": lambda: y.mean(0)}
        return torch.cat([kinds[kind]() for kind in self.o["pooling"]])

    def forward(self, units, carried):
        """Scores of one sequence: [T, units], [T, classes] or [1, classes]; and what is carried to its next piece."""
        states, memory = carried
        x, after, total = self.embedding(torch.tensor(units)), [], 0
        for number, layer in enumerate(self.recurrent):
            y, state = layer(x[:, None], states[number])
            x = y[:, 0]
            if number == self.o["layer"] - 1:
                x, memory = self.block(x, memory)
            total = total + x
            after.append(tuple(s.detach() for s in state) if self.o["cell"] == "lstm" else state.detach())
        y = total if self.o["sum_layers"] else x
        return self.output(self.pool(y)[None] if self.o["network"] == "classify" else y), (after, memory)


def make_case(generator, options, pieces):
    network = Network(options).double()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            values = (generator.standard_normal(tuple(weight.shape)) * 0.7).astype(np.float32)
            values += np.float32(1) if name.endswith("norm.weight") else np.float32(0)
            weight.copy_(torch.from_numpy(values.astype(np.float64)))
    nothing = torch.zeros(0, network.block.columns, dtype=torch.float64)
    carried = [([None] * options["layers"], nothing)] * len(pieces[0])
    classes = options["units" if options["network"] == "generate" else "classes"]
    arrays, results = {}, {}
    for number, lengths in enumerate(pieces):
        units = [generator.integers(options["units"], size=length).tolist() for length in lengths]
        answers = [network(one, before) for one, before in zip(units, carried)]
        scores, carried = torch.cat([a[0] for a in answers]), [a[1] for a in answers]
        gold = generator.integers(classes, size=len(scores))
        loss = nn.functional.cross_entropy(scores, torch.from_numpy(gold))
        loss.backward()  # adds to the gradients of the pieces before
        arrays.update({f"lengths{number}": np.array(lengths, dtype=np.int32),
                       f"units{number}": np.array(sum(units, []), dtype=np.int32),
                       f"gold{number}": gold.astype(np.int32)})
        results[f"loss{number}"] = loss
        if options["network"] != "generate":
            results["scores"] = scores
    for name, weight in network.named_parameters():
        results[f"weights.{network.mnemo_name(name)}"] = weight
        results[f"grad.{network.mnemo_name(name)}"] = weight.grad
    arrays.update({name: tensor.detach().numpy().astype(np.float32) for name, tensor in results.items()})
    return arrays


def main():
    tensors, metadata = {}, {"cases": str(len(CASES))}
    for number, (changes, pieces) in enumerate(CASES):
        options = {**DEFAULTS, **changes}
        assert len(options) == len(DEFAULTS), changes
        metadata[f"case{number}"] = json.dumps({**options, "pieces": len(pieces)})
        generator = np.random.default_rng([20240303, number])
        for name, array in make_case(generator, options, pieces).items():
            tensors[f"case{number}.{name}"] = array
    metadata["producer"] = f"PyTorch {torch.__version__}, NumPy {np.__version__}"
    path = pathlib.Path(__file__).with_name("self_attention.safetensors")
    write_safetensors(path, tensors, metadata)
    print(f"{path}: {len(CASES)} cases, {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
