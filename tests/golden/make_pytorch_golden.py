#!/usr/bin/env python3
"""Writes lstm.safetensors and recurrent.safetensors: what torch.nn.LSTM, GRU and RNN compute, forward and backward.

Needs PyTorch and NumPy (Debian: python3-torch, python3-numpy; run it with /usr/bin/python3). README.md beside this
file says what the tensors mean. The inputs are drawn as float32 and the computation runs in float64, so the stored
float32 results carry one rounding and nothing else.
"""
import pathlib

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from safetensors_writer import write_safetensors

# (input, hidden, layers, directions, lengths in the order of the batch)
CASES = [
    (5, 7, 1, 1, [4]),
    (5, 7, 1, 1, [1]),
    (5, 7, 1, 1, [3, 9, 1, 9, 4]),
    (5, 7, 1, 2, [2, 6, 6, 1]),
    (5, 7, 2, 1, [5, 1, 8]),
    (5, 7, 2, 2, [7, 3]),
    (5, 7, 3, 2, [1, 4, 2, 4, 5, 3]),
    (8, 16, 1, 1, [13, 2, 11, 13, 5, 1]),
    (8, 16, 1, 2, [12, 12, 12]),
    (8, 16, 2, 2, [1, 6, 3]),
    (3, 1, 1, 1, [2, 5, 1, 3]),
    (3, 1, 3, 2, [1, 1, 7, 4, 2]),
    (5, 7, 3, 1, [3, 10, 6]),
]
def draw(generator, *shape, scale=1.0):
    """Normal numbers that float32 represents exactly, as a float64 tensor that requires a gradient."""
    values = (generator.standard_normal(shape) * scale).astype(np.float32)
    return torch.from_numpy(values.astype(np.float64)).requires_grad_()


def concatenate(padded, lengths):
    return torch.cat([padded[sequence, :length] for sequence, length in enumerate(lengths)])


def make_module(kind, inputs, hidden, layers, directions, outputs):
    options = {"batch_first": True, "bidirectional": directions == 2}
    if kind.startswith("rnn_"):
        return torch.nn.RNN(inputs, hidden, layers, nonlinearity=kind[4:], **options)
    if kind == "gru":
        return torch.nn.GRU(inputs, hidden, layers, **options)
    return torch.nn.LSTM(inputs, hidden, layers, proj_size=outputs if outputs < hidden else 0, **options)


def make_case(generator, kind, inputs, hidden, layers, directions, outputs, lengths):
    module = make_module(kind, inputs, hidden, layers, directions, outputs).double()
    has_cell = kind == "lstm"
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(draw(generator, *weight.shape, scale=0.5))
    states = layers * directions, len(lengths)
    x = draw(generator, sum(lengths), inputs)
    h0 = draw(generator, *states, outputs)
    c0 = draw(generator, *states, hidden) if has_cell else None
    gy = draw(generator, sum(lengths), directions * outputs)
    ghn = draw(generator, *states, outputs)
    gcn = draw(generator, *states, hidden) if has_cell else None

    padded = pad_sequence(torch.split(x, lengths), batch_first=True)
    packed = pack_padded_sequence(padded, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    output, final = module(packed, (h0, c0) if has_cell else h0)
    hn, cn = final if has_cell else (final, None)
    y = concatenate(pad_packed_sequence(output, batch_first=True)[0], lengths)
    loss = (y * gy).sum() + (hn * ghn).sum()
    if has_cell:
        loss = loss + (cn * gcn).sum()
    loss.backward()

    given = {"x": x, "h0": h0, "c0": c0, **dict(module.named_parameters())}
    seen = {"y": y, "hn": hn, "cn": cn, "gy": gy, "ghn": ghn, "gcn": gcn, **given}
    arrays = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in seen.items() if tensor is not None}
    arrays.update({f"grad.{name}": tensor.grad.numpy().astype(np.float32)
                   for name, tensor in given.items() if tensor is not None})
    arrays["lengths"] = np.array(lengths, dtype=np.int32)
    return arrays


def write(name, cases, seed):
    """cases: (kind, input, hidden, layers, directions, outputs of one direction, lengths)"""
    tensors = {}
    for number, (kind, inputs, hidden, layers, directions, outputs, lengths) in enumerate(cases):
        generator = np.random.default_rng([seed, number])
        arrays = make_case(generator, kind, inputs, hidden, layers, directions, outputs, lengths)
        config = [inputs, hidden, layers, directions, len(lengths)]
        arrays["config"] = np.array(config if name == "lstm" else [*config, outputs], dtype=np.int32)
        if name != "lstm":
            arrays["kind"] = np.frombuffer(kind.encode(), dtype=np.uint8).astype(np.int32)
        for array_name, array in arrays.items():
            tensors[f"case{number}.{array_name}"] = array
    metadata = {"cases": str(len(cases)), "producer": f"PyTorch {torch.__version__}, NumPy {np.__version__}"}
    path = pathlib.Path(__file__).with_name(f"{name}.safetensors")
    write_safetensors(path, tensors, metadata)
    print(f"{path}: {len(cases)} cases, {len(tensors)} tensors, {path.stat().st_size} bytes")


def main():
    write("lstm", [("lstm", i, h, layers, d, h, lengths) for i, h, layers, d, lengths in CASES], 20240229)
    shapes = [(5, 7, 1, 1, [3, 9, 1, 9, 4]), (5, 7, 2, 2, [7, 3]), (8, 16, 1, 2, [1, 6, 3]), (3, 1, 2, 1, [2, 5, 1])]
    others = [(kind, i, h, layers, d, h, lengths)
              for kind in ("gru", "rnn_tanh", "rnn_relu") for i, h, layers, d, lengths in shapes]
    projected = [("lstm", i, h, layers, d, max(1, h // 2), lengths) for i, h, layers, d, lengths in shapes[:3]]
    write("recurrent", others + projected, 20240301)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
