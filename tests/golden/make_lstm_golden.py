#!/usr/bin/env python3
"""Writes lstm.safetensors: what torch.nn.LSTM computes, forward and backward, for lstm_test.cc to compare with.

Needs PyTorch and NumPy (Debian: python3-torch, python3-numpy; run it with /usr/bin/python3). README.md beside this
file says what the tensors mean. The inputs are drawn as float32 and the computation runs in float64, so the stored
float32 results carry one rounding and nothing else.
"""
import json
import pathlib
import struct

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

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
TYPE_NAMES = {np.dtype(np.float32): "F32", np.dtype(np.int32): "I32"}


def write_safetensors(path, tensors, metadata):
    """8 bytes of header length, a JSON header padded with blanks to 8 bytes, the tensors' bytes by sorted name."""
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        end = offset + array.nbytes
        header[name] = {"dtype": TYPE_NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, end]}
        blobs.append(array.tobytes())
        offset = end
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def draw(generator, *shape, scale=1.0):
    """Normal numbers that float32 represents exactly, as a float64 tensor that wants a gradient."""
    values = (generator.standard_normal(shape) * scale).astype(np.float32)
    return torch.from_numpy(values.astype(np.float64)).requires_grad_()


def concatenate(padded, lengths):
    return torch.cat([padded[sequence, :length] for sequence, length in enumerate(lengths)])


def make_case(generator, inputs, hidden, layers, directions, lengths):
    lstm = torch.nn.LSTM(inputs, hidden, layers, batch_first=True, bidirectional=directions == 2).double()
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.copy_(draw(generator, *weight.shape, scale=0.5))
    state = (layers * directions, len(lengths), hidden)
    x = draw(generator, sum(lengths), inputs)
    h0, c0 = draw(generator, *state), draw(generator, *state)
    gy = draw(generator, sum(lengths), directions * hidden)
    ghn, gcn = draw(generator, *state), draw(generator, *state)

    padded = pad_sequence(torch.split(x, lengths), batch_first=True)
    packed = pack_padded_sequence(padded, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    output, (hn, cn) = lstm(packed, (h0, c0))
    y = concatenate(pad_packed_sequence(output, batch_first=True)[0], lengths)
    loss = (y * gy).sum() + (hn * ghn).sum() + (cn * gcn).sum()
    loss.backward()

    given = {"x": x, "h0": h0, "c0": c0, **dict(lstm.named_parameters())}
    seen = {"y": y, "hn": hn, "cn": cn, "gy": gy, "ghn": ghn, "gcn": gcn, **given}
    arrays = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in seen.items()}
    arrays.update({f"grad.{name}": tensor.grad.numpy().astype(np.float32) for name, tensor in given.items()})
    arrays["config"] = np.array([inputs, hidden, layers, directions, len(lengths)], dtype=np.int32)
    arrays["lengths"] = np.array(lengths, dtype=np.int32)
    return arrays


def main():
    tensors = {}
    for number, case in enumerate(CASES):
        generator = np.random.default_rng([20240229, number])
        for name, array in make_case(generator, *case).items():
            tensors[f"case{number}.{name}"] = array
    metadata = {"cases": str(len(CASES)), "producer": f"PyTorch {torch.__version__}, NumPy {np.__version__}"}
    path = pathlib.Path(__file__).with_name("lstm.safetensors")
    write_safetensors(path, tensors, metadata)
    print(f"{path}: {len(CASES)} cases, {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
