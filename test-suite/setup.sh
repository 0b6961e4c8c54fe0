#!/usr/bin/env bash
# Install what the build and the tests need from Debian's own packages. Does nothing when all is there.
#   setup.sh            install what is missing (as root, or with sudo)
#   setup.sh --check    only say what is missing; exit 1 when something is
set -euo pipefail

build=(ca-certificates make g++ llvm-22-dev libmlir-22-dev libpolly-22-dev libclang1-22 libclang-common-22-dev libzstd-dev zlib1g-dev)
# FileCheck-22 comes with llvm-22-dev; mlir-opt-22 is what the interop tests compare with; the venv holds onnxruntime.
test=(mlir-22-tools python3 python3-venv)
# Debian 12's plain rustc is years old; these packages carry a current one. Only when no cargo is there.
rust=(cargo-web rustc-web rust-web-clippy rustfmt-web)

say() { printf 'setup: %s\n' "$*"; }

if ! command -v dpkg-query >/dev/null; then
  say "this is not Debian: see to these yourself (names as in Debian 12): ${build[*]} ${test[*]}"
  exit 0
fi

missing=()
want() { # add every named package that is not installed
  local p
  for p in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
}
want "${build[@]}" "${test[@]}"
command -v cargo >/dev/null || want "${rust[@]}"

[ ${#missing[@]} -gt 0 ] || exit 0
if [ "${1:-}" = --check ]; then
  say "missing: ${missing[*]}"
  exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { say "missing, and neither root nor sudo to install them: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
say "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }; }
apt update -qq || say "apt-get update did not succeed; going on with the lists that are there"
apt install -y -qq --no-install-recommends "${missing[@]}"
say "done in $SECONDS s"
