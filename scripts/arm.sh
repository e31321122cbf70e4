#!/usr/bin/env bash
# Compiles the library up to the layers for AArch64 with NEON, warnings being errors, and runs the tests of the kernels,
# the optimiser and the sessions under user-mode emulation (arguments go to the test program). The headers of libraries
# are this machine's, as those used here are the same on every processor; the libraries themselves come from the
# system's packages for arm64, unpacked in build/arm. If these are not available, the tests are skipped with a message.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh --dev --arm
out="$PWD/build/arm"
mkdir -p "$out/include" "$out/root"
blas="$(pkg-config --variable=includedir openblas)"
for header in /usr/include/hwy /usr/include/fmt /usr/include/catch2 "$blas/cblas.h" "$blas/openblas_config.h"; do
  ln -sfn "$header" "$out/include/$(basename "$header")"
done

# fetch_libraries: unpacks the libraries for arm64 into build/arm/root; apt's own lists and settings are not touched.
fetch_libraries() (
  mkdir -p "$out/apt/lists/partial" "$out/apt/cache/archives/partial"
  cd "$out/apt"
  apt_for_arm() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::lists="$out/apt/lists" \
      -o Dir::Cache="$out/apt/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User="$(id -un)" "$@"
  }
  apt_for_arm update && apt_for_arm download libhwy1 libopenblas0-pthread libgfortran5 &&
    for package in ./*.deb; do dpkg-deb -x "$package" "$out/root"; done
)
libraries="$out/root/usr/lib/aarch64-linux-gnu"
if [[ ! -e "$libraries/libhwy.so.1" ]] && ! fetch_libraries >"$out/apt.log" 2>&1; then
  echo "arm.sh: no libraries for arm64: $(tail -n 1 "$out/apt.log")" >&2
fi

compile() {
  local object
  object="$out/$(tr / _ <<<"${1%.cc}").o"
  [[ "$object" -nt "$1" && -z "$(find lib tests -name '*.h' -newer "$object" -print -quit)" ]] && return
  aarch64-linux-gnu-g++ -std=c++20 -O2 -Wall -Wextra -Werror -Wno-psabi -ffp-contract=off -DFMT_HEADER_ONLY \
    -DMNEMO_SOURCE_DIR='"."' -DMNEMO_PROGRAM='""' -I. -Ilib -isystem "$out/include" -c "$1" -o "$object"
}
export -f compile
export out
# batch NAME SOURCE...: a source that includes the others, as reading headers is most of their work; prints its path. It
# is written anew only if it differs, and counts as newer when one of them is.
batch() {
  local path="$out/$1.cc" text source
  shift
  text="$(printf '#include "%s"\n' "$@")"
  [[ -e "$path" && "$text" == "$(<"$path")" ]] || echo "$text" >"$path"
  for source; do [[ ! "$source" -nt "$path" ]] || touch "$path"; done
  echo "${path#"$PWD/"}"
}
# Without the source for JSON, which these folders do not use.
mapfile -t base < <(printf '%s\n' lib/base/*.cc | grep -v '/json[.]cc$')
layers=(lib/nn/*.cc)
sources=(lib/kernels/*.cc "$(batch base "${base[@]}")")
for ((i = 0; i < ${#layers[@]}; i += 6)); do
  sources+=("$(batch "layers_$((i / 6))" "${layers[@]:i:6}")")
done
runs=no
# Catch2 3 is a library, which is not fetched.
if [[ -e "$libraries/libhwy.so.1" && -e /usr/include/catch2/catch.hpp ]]; then
  runs=yes
  sources+=(tests/main.cc tests/equivalence/{kernels,optimizer,packing,session}_test.cc)
fi
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} bash -c 'compile {}'
# The dispatch must have found NEON: a name of its namespace is in the objects.
if ! aarch64-linux-gnu-nm -C "$out/lib_kernels_product.o" | grep 'N_NEON' >/dev/null; then
  echo "arm.sh: no NEON kernels" >&2
  exit 1
fi
echo "arm.sh: ${#sources[@]} sources compiled for AArch64 with NEON kernels"
if [[ "$runs" == no ]]; then
  echo "arm.sh: tests SKIPPED: they need Catch2 2 and the system's packages for arm64"
  exit 0
fi
objects=()
for source in "${sources[@]}"; do objects+=("$out/$(tr / _ <<<"${source%.cc}").o"); done
aarch64-linux-gnu-g++ -pthread "${objects[@]}" "$libraries/libhwy.so.1" "$libraries"/openblas-pthread/libopenblas.so.0 \
  -Wl,--unresolved-symbols=ignore-in-shared-libs -o "$out/test_kernels"
exec qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$libraries:$libraries/openblas-pthread" \
  "$out/test_kernels" "$@"
