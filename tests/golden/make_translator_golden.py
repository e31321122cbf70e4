#!/usr/bin/env python3
"""Writes translator.safetensors: what the network of lib/models/translator.h computes in PyTorch, forward and backward.

Needs PyTorch and NumPy (Debian: python3-torch, python3-numpy; run it with /usr/bin/python3). README.md beside this
file says what the tensors mean. Each pair of a batch is computed alone, so nothing is padded or masked; weights are
drawn as float32 and the computation runs in float64, so the stored float32 results carry one rounding and nothing else.
"""
import json
import math
import pathlib

import numpy as np
import torch
from torch import nn

from safetensors_writer import write_safetensors

BEGIN = 2
DEFAULTS = {
    "source_units": 7, "target_units": 9, "embedding": 4,
    "encoder": "lstm", "encoder_hidden": 3, "encoder_layers": 1, "encoder_projection": 0, "bidirectional": True,
    "decoder": "lstm", "decoder_hidden": 4, "decoder_layers": 1, "decoder_projection": 0,
    "attention": "general", "heads": 1, "bridge": "last",
    "tied": True, "joint": False, "input_feeding": False, "smoothing": 0.0,
}
# What differs from the defaults, lengths of the sources, lengths of the targets.
CASES = [
    ({}, [3, 1, 5, 2], [2, 4, 1, 6]),
    ({}, [4], [1]),
    ({"attention": "dot", "bidirectional": False, "encoder_hidden": 4, "tied": False}, [2, 4, 4], [5, 3, 1]),
    ({"attention": "dot", "heads": 2, "encoder_hidden": 3, "decoder_hidden": 6, "decoder_layers": 2, "bridge": "mean",
      "smoothing": 0.1}, [1, 6, 3], [3, 1, 4]),
    ({"attention": "additive", "encoder_layers": 2, "bidirectional": False}, [5, 2], [1, 3]),
    ({"attention": "additive", "heads": 2, "encoder": "gru", "decoder": "gru", "decoder_layers": 2, "joint": True,
      "smoothing": 0.1}, [2, 5, 3], [4, 1, 2]),
    ({"heads": 2, "encoder_layers": 2, "decoder_layers": 3, "tied": False, "smoothing": 0.1}, [1, 4, 2], [5, 1, 3]),
    ({"encoder": "gru", "decoder_layers": 2}, [3, 3, 1], [2, 2, 1]),
    ({"encoder": "gru", "encoder_layers": 2, "bridge": "mean", "joint": True, "tied": False}, [4, 2, 1], [1, 5, 2]),
    ({"decoder": "gru", "encoder_hidden": 2, "decoder_layers": 3, "smoothing": 0.1}, [2, 3], [4, 1]),
    ({"encoder": "rnn_tanh", "decoder": "rnn_relu", "heads": 2, "bridge": "mean", "decoder_layers": 2}, [3, 5, 1],
     [1, 2, 4]),
    ({"encoder_hidden": 5, "encoder_projection": 3, "decoder_hidden": 6, "decoder_projection": 4, "decoder_layers": 2,
      "embedding": 3}, [2, 4], [3, 1]),
    ({"input_feeding": True}, [3, 1, 5, 2], [2, 4, 1, 6]),
    ({"input_feeding": True, "attention": "additive", "decoder_layers": 2, "bridge": "mean", "tied": False,
      "smoothing": 0.1}, [1, 4, 2], [3, 1, 5]),
    ({"input_feeding": True, "attention": "dot", "heads": 2, "encoder_layers": 2, "encoder_hidden": 2,
      "decoder_layers": 3, "joint": True}, [3, 2], [1, 4]),
    ({"input_feeding": True, "encoder": "gru", "encoder_layers": 2, "heads": 2, "attention": "additive"}, [4, 1, 2],
     [2, 5, 1]),
    ({"input_feeding": True, "encoder": "gru", "decoder": "gru", "bidirectional": False, "encoder_hidden": 4,
      "attention": "dot", "decoder_layers": 2, "tied": False, "joint": True, "smoothing": 0.1}, [2, 5, 1], [4, 1, 1]),
]


def recurrent(cell, inputs, hidden, layers, projection, bidirectional=False):
    options = {"batch_first": True, "bidirectional": bidirectional}
    if cell == "lstm":
        return nn.LSTM(inputs, hidden, layers, proj_size=projection, **options)
    if cell == "gru":
        return nn.GRU(inputs, hidden, layers, **options)
    return nn.RNN(inputs, hidden, layers, nonlinearity=cell[4:], **options)


class Attention(nn.Module):
    """q [Hq], m [N, C] -> [C]"""

    def __init__(self, kind, heads, query, memory):
        super().__init__()
        self.kind, self.heads, self.width = kind, heads, query // heads
        if kind != "dot":
            self.key = nn.Linear(memory, query, bias=False)
        if kind == "additive":
            self.query = nn.Linear(query, query, bias=False)
            self.score = nn.Parameter(torch.zeros(query))

    def forward(self, q, m):
        keys = m if self.kind == "dot" else self.key(m)
        if self.kind == "additive":
            parts = self.score * torch.tanh(self.query(q) + keys)
        else:
            parts = q * keys
        contexts = []
        for part, values in zip(parts.chunk(self.heads, 1), m.chunk(self.heads, 1)):
            scores = part.sum(1)
            if self.kind != "additive" and self.heads > 1:
                scores = scores / math.sqrt(self.width)
            contexts.append(torch.softmax(scores, 0) @ values)
        return torch.cat(contexts)


class Translator(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = o
        size = o["embedding"]
        directions = 2 if o["bidirectional"] else 1
        encoded = o["encoder_projection"] or o["encoder_hidden"]
        memory, query = directions * encoded, o["decoder_projection"] or o["decoder_hidden"]
        if not o["joint"]:
            self.source = nn.Embedding(o["source_units"], size)
        self.target = nn.Embedding(o["target_units"], size)
        self.encoder = recurrent(o["encoder"], size, o["encoder_hidden"], o["encoder_layers"],
                                 o["encoder_projection"], o["bidirectional"])
        layers = o["decoder_layers"]
        self.bridge = nn.ModuleDict({"h": nn.Linear(memory, layers * query)})
        if o["decoder"] == "lstm":
            cell = o["bridge"] == "last" and o["encoder"] == "lstm"
            self.bridge["c"] = nn.Linear(directions * o["encoder_hidden"] if cell else memory,
                                         layers * o["decoder_hidden"])
        self.decoder = recurrent(o["decoder"], size * (2 if o["input_feeding"] else 1), o["decoder_hidden"], 1,
                                 o["decoder_projection"])
        if layers > 1:
            self.decoder.further = recurrent(o["decoder"], query + memory, o["decoder_hidden"], layers - 1,
                                             o["decoder_projection"])
        self.attention = Attention(o["attention"], o["heads"], query, memory)
        self.combine = nn.Linear(memory + query, size, bias=False)
        self.output = nn.Linear(size, o["target_units"])
        if o["tied"]:
            self.output.weight = self.target.weight

    def initial(self, memory, final):
        """The states of the decoder's first layer and of the others, for a batch of one pair."""
        o = self.o
        h, c = final if o["encoder"] == "lstm" else (final, None)
        last = 2 if o["bidirectional"] else 1
        if o["bridge"] == "mean":
            from_h = from_c = memory.mean(0)
        else:
            from_h = h[-last:].flatten()
            from_c = from_h if c is None else c[-last:].flatten()
        h = torch.tanh(self.bridge["h"](from_h)).view(o["decoder_layers"], 1, -1)
        if o["decoder"] != "lstm":
            return h[:1], h[1:]
        c = torch.tanh(self.bridge["c"](from_c)).view(o["decoder_layers"], 1, -1)
        return (h[:1], c[:1]), (h[1:], c[1:])

    def forward(self, source, target):
        """v [units of the target, E] of one pair."""
        table = self.target if self.o["joint"] else self.source
        y, final = self.encoder(table(torch.tensor(source))[None])
        memory = y[0]
        first, rest = self.initial(memory, final)
        v = torch.zeros(self.o["embedding"], dtype=torch.float64)
        out = []
        for unit in [BEGIN, *target[:-1]]:
            x = self.target(torch.tensor(unit))
            if self.o["input_feeding"]:
                x = torch.cat([x, v])
            h, first = self.decoder(x[None, None], first)
            h = h[0, 0]
            context = self.attention(h, memory)
            if self.o["decoder_layers"] > 1:
                h, rest = self.decoder.further(torch.cat([h, context])[None, None], rest)
                h = h[0, 0]
            v = torch.tanh(self.combine(torch.cat([context, h])))
            out.append(v)
        return torch.stack(out)


def make_case(generator, options, source_lengths, target_lengths):
    model = Translator(options).double()
    with torch.no_grad():
        for weight in model.parameters():
            values = (generator.standard_normal(tuple(weight.shape)) * 0.7).astype(np.float32)
            weight.copy_(torch.from_numpy(values.astype(np.float64)))
    units = options["target_units" if options["joint"] else "source_units"]
    sources = [generator.integers(units, size=length).tolist() for length in source_lengths]
    targets = [generator.integers(options["target_units"], size=length).tolist() for length in target_lengths]

    v = torch.cat([model(source, target) for source, target in zip(sources, targets)])
    wanted, scores = torch.tensor(sum(targets, [])), model.output(v)
    loss = nn.functional.cross_entropy(scores, wanted, label_smoothing=options["smoothing"])
    loss.backward()

    arrays = {
        "source": np.array(sum(sources, []), dtype=np.int32),
        "target": np.array(sum(targets, []), dtype=np.int32),
        "source_lengths": np.array(source_lengths, dtype=np.int32),
        "target_lengths": np.array(target_lengths, dtype=np.int32),
    }
    results = {"v": v, "loss": loss, "plain_loss": nn.functional.cross_entropy(scores, wanted)}
    for name, weight in model.named_parameters():
        results[f"weights.{name}"] = weight
        results[f"grad.{name}"] = weight.grad
    arrays.update({name: tensor.detach().numpy().astype(np.float32) for name, tensor in results.items()})
    return arrays


def main():
    tensors, metadata = {}, {"cases": str(len(CASES)), "begin": str(BEGIN)}
    for number, (changes, source_lengths, target_lengths) in enumerate(CASES):
        options = {**DEFAULTS, **changes}
        assert len(options) == len(DEFAULTS), changes
        metadata[f"case{number}"] = json.dumps(options)
        generator = np.random.default_rng([20240302, number])
        for name, array in make_case(generator, options, source_lengths, target_lengths).items():
            tensors[f"case{number}.{name}"] = array
    metadata["producer"] = f"PyTorch {torch.__version__}, NumPy {np.__version__}"
    path = pathlib.Path(__file__).with_name("translator.safetensors")
    write_safetensors(path, tensors, metadata)
    print(f"{path}: {len(CASES)} cases, {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
