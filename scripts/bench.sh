#!/usr/bin/env bash
# Measures the recurrent layers and writes docs/performance.md: every cell, mode and precision against the processor's
# peak, and in turn with it the same work in PyTorch and ONNX Runtime, if these can be installed (some gigabytes, in
# build/bench). Nothing else should run meanwhile. Arguments go to scripts/bench.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
cmake --preset release
cmake --build --preset release --target mnemo
python="${MNEMO_BENCH_PYTHON:-$PWD/build/bench/bin/python}"
ready() {
  [[ -x "$python" ]] && "$python" -c 'import torch, onnx, onnxruntime' 2>/dev/null
}
if ! ready && [[ -z "${MNEMO_BENCH_PYTHON:-}" ]]; then
  if ! { python3 -m venv build/bench && build/bench/bin/pip install -q torch numpy onnx onnxruntime; }; then
    echo "bench.sh: PyTorch and ONNX Runtime cannot be installed here; measuring mnemo alone" >&2
  fi
fi
peers=()
if ready; then peers=(--python "$python"); fi
exec python3 scripts/bench.py "${peers[@]}" "$@"
