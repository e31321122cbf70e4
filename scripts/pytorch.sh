#!/usr/bin/env bash
# Runs a Python script with PyTorch (the system's package) and safetensors (PyPI's, in a separate environment in
# build/pytorch), for the test that compares model files with torch.nn.LSTM.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

usage() {
  cat <<'USAGE'
usage: scripts/pytorch.sh --install          installs both; if that is not possible it says so and exits with 0
       scripts/pytorch.sh SCRIPT [ARGUMENT]...  runs the script; without them it is run by the system's Python
USAGE
}

environment="$root/build/pytorch"
python="$environment/bin/python"

ready() {
  [[ -x "$python" ]] && "$python" -c 'import torch, safetensors.torch' 2>/dev/null
}

install() {
  ready && return
  "$root/scripts/setup.sh" --pytorch || return 1
  rm -rf "$environment"
  /usr/bin/python3 -m venv --system-site-packages "$environment" || return 1
  "$environment/bin/pip" install --quiet --disable-pip-version-check --timeout 20 'safetensors>=0.4,<1' || return 1
  ready
}

case "${1:-}" in
  --install) install || echo "pytorch.sh: not installed here; the test against PyTorch will be skipped" >&2 ;;
  "" | -h | --help) usage ;;
  *)
    if ready; then exec "$python" "$@"; fi
    exec /usr/bin/python3 "$@"
    ;;
esac
