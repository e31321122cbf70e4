#!/usr/bin/env bash
# Compiles the kernels, and what they stand on, for AArch64 with NEON: warnings are errors, nothing is run. Headers of
# libraries are this machine's; those used here are the same on every processor.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh --arm
out=build/arm
mkdir -p "$out/include"
blas="$(pkg-config --variable=includedir openblas)"
for header in /usr/include/hwy /usr/include/fmt "$blas/cblas.h" "$blas/openblas_config.h"; do
  ln -sfn "$header" "$out/include/$(basename "$header")"
done
compile() {
  aarch64-linux-gnu-g++ -std=c++20 -O2 -Wall -Wextra -Werror -Wno-psabi -ffp-contract=off \
    -Ilib -isystem "$out/include" -c "$1" -o "$out/$(basename "$1" .cc).o"
}
export -f compile
export out
printf '%s\n' lib/base/*.cc lib/kernels/*.cc | xargs -P "$(nproc)" -I{} bash -c 'compile {}'
count="$(find "$out" -name '*.o' | wc -l)"
# The dispatch must have found NEON: a name of its namespace is in the objects.
if ! aarch64-linux-gnu-nm -C "$out/product.o" | grep 'N_NEON' >/dev/null; then
  echo "compile_arm.sh: no NEON kernels" >&2
  exit 1
fi
echo "compile_arm.sh: $count sources compiled for AArch64 with NEON kernels"
