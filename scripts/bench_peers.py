#!/usr/bin/env python3
"""The work of one row of scripts/bench.py in PyTorch or ONNX Runtime; prints median and 99th percentile as JSON.

usage: scripts/bench_peers.py torch|onnxruntime --mode train|infer|step --batch B --steps T [--lengths A..B] --input I
                              --hidden H [--layers L] [--bidirectional] [--cell lstm|gru] [--precision float32|int8]
                              [--threads N] [--repeat N]

PyTorch: torch.nn.LSTM or GRU, batch first; ragged lengths as packed sequences; training is forward, the sum of the
output, and backward, including the gradient of the input. ONNX Runtime: its LSTM operator; int8 by its dynamic
quantisation. A step carries the state.
"""
import argparse
import json
import os
import tempfile
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=["torch", "onnxruntime"])
    parser.add_argument("--mode", choices=["train", "infer", "step"], required=True)
    parser.add_argument("--cell", choices=["lstm", "gru"], default="lstm")
    parser.add_argument("--precision", choices=["float32", "int8"], default="float32")
    parser.add_argument("--lengths")
    parser.add_argument("--bidirectional", action="store_true")
    for name, default in (("batch", 32), ("steps", 64), ("input", 256), ("hidden", 256), ("layers", 1), ("threads", 1),
                          ("repeat", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def timed(run, repeat, warm):
    for _ in range(warm):
        run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    times.sort()
    return {"median_ms": 1e3 * times[len(times) // 2], "p99_ms": 1e3 * times[int(0.99 * len(times))]}


def torch_work(o):
    import torch

    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    kind = torch.nn.LSTM if o.cell == "lstm" else torch.nn.GRU
    layer = kind(o.input, o.hidden, o.layers, bidirectional=o.bidirectional, batch_first=True)
    steps = 1 if o.mode == "step" else o.steps
    x = torch.randn(o.batch, steps, o.input)
    if o.lengths:
        first, last = map(int, o.lengths.split(".."))
        lengths = [first + (last - first) * b // (o.batch - 1) for b in range(o.batch)]
        x = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(o.batch, last, o.input), lengths, batch_first=True,
                                                    enforce_sorted=False)
    if o.mode == "train":  # in a network the input of a layer has a gradient, which mnemo bench computes, too
        (x.data if o.lengths else x).requires_grad_()
    state = None

    def train():
        layer.zero_grad(set_to_none=True)
        y = layer(x)[0]
        (y.data if o.lengths else y).sum().backward()

    def infer():
        nonlocal state
        with torch.inference_mode():
            _, now = layer(x, state if o.mode == "step" else None)
            state = now

    return (train if o.mode == "train" else infer), "PyTorch " + torch.__version__.split("+")[0]


def onnx_work(o):
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime.quantization import QuantType, quantize_dynamic

    directions, steps = (2 if o.bidirectional else 1), (1 if o.mode == "step" else o.steps)
    random = np.random.default_rng(1)
    shapes = {"W": (directions, 4 * o.hidden, o.input), "R": (directions, 4 * o.hidden, o.hidden),
              "B": (directions, 8 * o.hidden)}
    weights = [numpy_helper.from_array((0.1 * random.standard_normal(s)).astype(np.float32), n)
               for n, s in shapes.items()]

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = [directions, o.batch, o.hidden]
    node = helper.make_node("LSTM", ["X", "W", "R", "B", "", "h", "c"], ["Y", "h_end", "c_end"], hidden_size=o.hidden,
                            direction="bidirectional" if o.bidirectional else "forward")
    graph = helper.make_graph([node], "lstm", [value("X", [steps, o.batch, o.input]), value("h", state),
                                               value("c", state)],
                              [value("Y", [steps, directions, o.batch, o.hidden]), value("h_end", state),
                               value("c_end", state)], weights)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = o.threads, 1, 4
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "float.onnx")
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
        if o.precision == "int8":
            narrow = os.path.join(folder, "int8.onnx")
            quantize_dynamic(path, narrow, weight_type=QuantType.QInt8, op_types_to_quantize=["LSTM"])
            path = narrow
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"X": random.standard_normal((steps, o.batch, o.input)).astype(np.float32),
            "h": np.zeros(state, np.float32), "c": np.zeros(state, np.float32)}

    def infer():
        _, h, c = session.run(None, feed)
        if o.mode == "step":
            feed["h"], feed["c"] = h, c

    return infer, "ONNX Runtime " + onnxruntime.__version__


def main():
    o = parse()
    run, name = torch_work(o) if o.peer == "torch" else onnx_work(o)
    repeat = o.repeat or (3000 if o.mode == "step" else 21)
    print(json.dumps({"peer": name, **timed(run, repeat, 100 if o.mode == "step" else 2)}))


if __name__ == "__main__":
    main()
