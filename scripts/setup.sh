#!/usr/bin/env bash
# Installs the missing packages to build mnemo on Debian 12, Ubuntu 24.04 and later. Builds nothing; run it as often as
# you like: if nothing is missing it only asks dpkg and ends.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: scripts/setup.sh [--dev] [--data] [--pytorch] [--arm]

  (nothing)  for `cmake --preset release` and its tests: compiler, CMake and libraries
  --dev      also for all tests and checks: Clang with its sanitizers, linters, Unicode's test files, MPI
  --pytorch  also for scripts/pytorch.sh: the system's PyTorch, with which one test compares
  --arm      also for scripts/arm.sh: a cross compiler for AArch64, and an emulator
  --data     also for scripts/fetch_data.py: pip, which only downloads for it and installs nothing

MNEMO_SETUP=skip in the environment leaves everything as it is, for systems whose packages have other names.
USAGE
}

build_packages=(g++ cmake ninja-build pkg-config libcli11-dev nlohmann-json3-dev libopenblas-dev libutf8proc-dev catch2
                libhwy-dev libfmt-dev zlib1g-dev libpcre2-dev libmicrohttpd-dev python3)
dev_packages=(git clang clang-format clang-tidy shellcheck unicode-data libbenchmark-dev python3-numpy
              valgrind universal-ctags mpi-default-dev)
data_packages=(python3-pip)
pytorch_packages=(python3-torch python3-venv)
arm_packages=(g++-aarch64-linux-gnu qemu-user)

fail() {
  printf 'setup.sh: %s\n' "$1" >&2
  exit 1
}

installed() {
  [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# Fills `missing` with the arguments that are not installed.
find_missing() {
  missing=()
  local package
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
}

# Runs a command as root, through sudo if needed.
as_root() {
  if [[ "$(id -u)" -eq 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

check_rights() {
  [[ "$(id -u)" -eq 0 ]] && return
  local command="apt-get install ${missing[*]}"
  command -v sudo >/dev/null || fail "not root, and there is no sudo; as root run: $command"
  if [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; then
    fail "sudo needs a password, and there is no terminal to ask for it; as root run: $command"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

update_lists() {
  [[ -n "${lists_updated:-}" ]] && return
  lists_updated=yes
  echo "setup.sh: apt-get update"
  # Old lists may still suffice, so only a failed installation ends the script.
  apt_get -o Acquire::Retries=2 update >"$log" 2>&1 ||
    echo "setup.sh: the package lists could not be updated (no network?)" >&2
}

install_missing() {
  [[ "${#missing[@]}" -eq 0 ]] && return
  check_rights
  update_lists
  echo "setup.sh: installing ${missing[*]}"
  if ! apt_get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install ${missing[*]}; it says why above (no network? older than Debian 12, Ubuntu 24.04?)"
  fi
}

# Clang's sanitizer libraries come in a package named after the version that `clang` stands for: 14 in Debian 12, 18 in
# Ubuntu 24.04.
clang_runtime_package() {
  local version
  version="$(dpkg-query -W -f='${Depends}' clang 2>/dev/null | grep -o 'clang-[0-9][0-9]*' | head -n 1)" || true
  [[ -n "$version" ]] || fail "cannot tell which version the package clang is; install libclang-rt-VERSION-dev"
  echo "libclang-rt-${version#clang-}-dev"
}

wanted=("${build_packages[@]}")
dev=no
for argument in "$@"; do
  case "$argument" in
    --dev) dev=yes; wanted+=("${dev_packages[@]}") ;;
    --data) wanted+=("${data_packages[@]}") ;;
    --arm) wanted+=("${arm_packages[@]}") ;;
    --pytorch) wanted+=("${pytorch_packages[@]}") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

[[ "${MNEMO_SETUP:-}" == skip ]] && exit 0
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "this script supports only systems with apt; install the equivalents of: ${wanted[*]}; then set MNEMO_SETUP=skip"
fi

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
find_missing "${wanted[@]}"
install_missing
if [[ "$dev" == yes ]]; then
  runtime="$(clang_runtime_package)"
  find_missing "$runtime"
  install_missing
fi
