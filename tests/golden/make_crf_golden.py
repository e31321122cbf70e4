#!/usr/bin/env python3
"""Writes crf.safetensors: what pytorch-crf computes for small problems, its loss, gradients and best sequences.

Needs PyTorch, NumPy and pytorch-crf. README.md beside this file says what the tensors mean. The inputs are drawn as
float32 and the computation runs in float64, so the stored float32 results carry one rounding and nothing else.
"""
import pathlib

import numpy as np
import torch
import torchcrf

from safetensors_writer import write_safetensors

# (tags, lengths in the order of the batch)
CASES = [(3, [4]), (1, [2, 3]), (5, [1, 1, 6]), (9, [7, 2, 7, 1, 5]), (17, [12, 3, 20, 9])]


def draw(generator, *shape):
    values = generator.standard_normal(shape).astype(np.float32)
    return torch.from_numpy(values.astype(np.float64)).requires_grad_()


def make_case(generator, tags, lengths):
    crf = torchcrf.CRF(tags, batch_first=True).double()
    with torch.no_grad():
        for weight in crf.parameters():
            weight.copy_(draw(generator, *weight.shape))
    B, T = len(lengths), max(lengths)
    scores = draw(generator, B, T, tags)
    gold = torch.from_numpy(generator.integers(0, tags, (B, T)))
    mask = torch.arange(T)[None] < torch.tensor(lengths)[:, None]
    loss = -crf(scores, gold, mask=mask, reduction="mean")
    loss.backward()
    best = crf.decode(scores, mask=mask)

    def rows(padded):
        return torch.cat([padded[b, :length] for b, length in enumerate(lengths)]).detach().numpy()

    tensors = {"config": np.array([tags, B], np.int32), "lengths": np.array(lengths, np.int32),
               "scores": rows(scores), "gold": rows(gold).astype(np.int32),
               "best": np.concatenate([np.array(b, np.int32) for b in best]),
               "loss": np.array([loss.item()]), "grad.scores": rows(scores.grad)}
    for name, weight in crf.named_parameters():
        tensors[name] = weight.detach().numpy()
        tensors["grad." + name] = weight.grad.numpy()
    return {k: v if v.dtype == np.int32 else v.astype(np.float32) for k, v in tensors.items()}


def main():
    generator = np.random.Generator(np.random.PCG64(20260))
    torch.set_num_threads(1)
    tensors = {}
    for number, (tags, lengths) in enumerate(CASES):
        for name, value in make_case(generator, tags, lengths).items():
            tensors[f"case{number}.{name}"] = value
    producer = f"PyTorch {torch.__version__}, pytorch-crf {torchcrf.__version__}"
    metadata = {"cases": str(len(CASES)), "producer": producer}
    write_safetensors(pathlib.Path(__file__).with_name("crf.safetensors"), tensors, metadata)


if __name__ == "__main__":
    main()
