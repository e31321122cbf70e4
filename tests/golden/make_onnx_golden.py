#!/usr/bin/env python3
"""Writes onnx.safetensors: outputs of ONNX Runtime's recurrent operators in the forms that PyTorch lacks: the LSTM
with peepholes, the LSTM with coupled gates, the GRU whose reset gate comes before the product.

Needs onnx, onnxruntime and NumPy. README.md beside this file says what the tensors mean. ONNX Runtime computes in
float32, so the results carry its rounding. Its gates are in other orders: i o f c in the LSTM, z r h in the GRU.
"""
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from safetensors_writer import write_safetensors

KINDS = {"peephole_lstm": ("LSTM", 4), "cifg_lstm": ("LSTM", 4), "gru_before": ("GRU", 3)}
# Ours from ONNX's blocks. Coupled gates leave the forget gate's block unused: i, g, o of i, o, f, c.
ORDERS = {"peephole_lstm": [0, 2, 3, 1], "cifg_lstm": [0, 3, 1], "gru_before": [1, 0, 2]}
SHAPES = [(5, 7, 4, 3), (8, 16, 6, 2), (3, 1, 5, 2)]  # inputs, hidden, steps, sequences


def run(kind, weights, x, h0, c0, hidden):
    operator, _ = KINDS[kind]
    lstm = operator == "LSTM"
    inputs = ["x", "w", "r", "b", "", "h0"] + (["c0"] if lstm else []) + (["p"] if kind == "peephole_lstm" else [])
    outputs = ["y", "hn"] + (["cn"] if lstm else [])
    options = {"hidden_size": hidden, "direction": "forward"}
    if kind == "cifg_lstm":
        options["input_forget"] = 1
    if kind == "gru_before":
        options["linear_before_reset"] = 0
    given = {"x": x, "h0": h0[None], **({"c0": c0[None]} if lstm else {}), **weights}
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node(operator, inputs, outputs, **options)], "cell",
                              [value(name, array.shape) for name, array in given.items()],
                              [value(name, None) for name in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(None, given)))


def make_case(generator, kind, inputs, hidden, steps, sequences):
    draw = lambda *shape: (generator.standard_normal(shape) * 0.5).astype(np.float32)
    gates = KINDS[kind][1]
    weights = {"w": draw(1, gates * hidden, inputs), "r": draw(1, gates * hidden, hidden),
               "b": draw(1, 2 * gates * hidden)}
    if kind == "peephole_lstm":
        weights["p"] = draw(1, 3 * hidden)
    x, h0, c0 = draw(steps, sequences, inputs), draw(sequences, hidden), draw(sequences, hidden)
    out = run(kind, weights, x, h0, c0, hidden)
    ours = lambda array: np.concatenate([array[g * hidden:(g + 1) * hidden] for g in ORDERS[kind]])
    bias = weights["b"][0]
    arrays = {"x": x, "h0": h0, "y": out["y"][:, 0], "hn": out["hn"][0], "weight_ih_l0": ours(weights["w"][0]),
              "weight_hh_l0": ours(weights["r"][0]), "bias_ih_l0": ours(bias[:gates * hidden]),
              "bias_hh_l0": ours(bias[gates * hidden:])}
    if "cn" in out:
        arrays.update({"c0": c0, "cn": out["cn"][0]})
    if kind == "peephole_lstm":  # ONNX: i o f
        p = weights["p"][0]
        arrays.update({"peephole_i_l0": p[:hidden], "peephole_o_l0": p[hidden:2 * hidden],
                       "peephole_f_l0": p[2 * hidden:]})
    arrays["config"] = np.array([inputs, hidden, steps, sequences], dtype=np.int32)
    return arrays


def main():
    tensors = {}
    for kind in KINDS:
        for number, shape in enumerate(SHAPES):
            generator = np.random.default_rng([20240302, len(tensors)])
            for name, array in make_case(generator, kind, *shape).items():
                tensors[f"{kind}{number}.{name}"] = array
    producer = f"ONNX Runtime {onnxruntime.__version__}, onnx {onnx.__version__}"
    metadata = {"cases": str(len(SHAPES)), "producer": producer}
    path = pathlib.Path(__file__).with_name("onnx.safetensors")
    write_safetensors(path, tensors, metadata)
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
