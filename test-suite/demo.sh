#!/usr/bin/env bash
# One real model from file to numbers: every level shown, one compiled file run at two shapes, compared, timed.
#   demo.sh [MODEL]     a model id of models/fetch.sh --list (default: resnet18)
# NIM_BIN: where the tools lie (default: target/release; `make demo` builds them first).  NO_COLOR: no bold titles.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${NIM_BIN:-$here/../target/release}
[ -x "$bin/nim-compile" ] || { echo "demo: there is no $bin/nim-compile; \`make build\` makes it" >&2; exit 1; }
bin=$(cd "$bin" && pwd)
models=${NIM_MODELS:-$HOME/.cache/nim-models}
# Without the right to install python3-torch there is no resnet18; this one is a file of a package.
model=${1:-resnet18} fallback=silero-vad/silero_vad_16k_sequence
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
level() { printf '\n%s-- %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ %s\n' "$*" | sed "s|$bin/||g; s|$out|\$OUT|g; s|$models|\$NIM_MODELS|g"; "$@"; }
excerpt() { # FILE START LINES [SKIP]: so many lines from the first that matches START on, but those that match SKIP; long ones are cut
  awk -v start="$2" -v count="$3" -v skip="${4:-^$}" '
    !on && $0 ~ start { on = 1; if (NR > 1) print "    ..." }
    on && $0 ~ skip { left++; next }
    on && shown < count { if (left) { printf "    (constants: %d)\n", left; left = 0 }
                          print (length($0) > 150) ? substr($0, 1, 147) "..." : $0; shown++; last = NR; if ($0 == "}") shown = count }
    END { if (last < NR) printf "    ... (%d lines in all)\n", NR }' "$1"
}
emit() { run "$bin/nim-compile" "$dir/model.onnx" --emit="$1" -o "$out/model.$1"; }

title "1. a model: $model, with inputs and outputs that onnxruntime computed (its optimisations off)"
rc=0
"$here/models/fetch.sh" "$model" --goldens || rc=$?
if [ $rc = 3 ] && [ $# = 0 ]; then
  model=$fallback rc=0
  echo "demo: taking $model in its place"
  "$here/models/fetch.sh" "$model" --goldens || rc=$?
fi
[ $rc = 0 ] || exit $rc
case $model in */*) dir=$models/pkg/$model ;; *) dir=$models/zoo/$model ;; esac
[ -f "$dir/model.onnx" ] || { echo "demo: $model stands for several models; name one of fetch.sh --list" >&2; exit 2; }

title "2. import: ONNX becomes text that reads back; weights go to a file beside it"
run "$bin/nim-translate" --import-onnx "$dir/model.onnx" -o "$out/model.nir"
excerpt "$out/model.nir" '^func.func' 12 'graph.constant'
(cd "$out" && ls -sh model.nir model.blobs 2>/dev/null) || true

title "3. the module after each level, followed along one kernel"
level "graph: what is computed; whole tensors, a named size is the same size everywhere"
emit graph
excerpt "$out/model.graph" '^func.func' 10 'graph.constant'

level "dataflow: what moves; each kernel is a map over an index space, with all it reads and writes"
emit dataflow
# The first kernel that sums up: a convolution, a matrix product.
kernel=$(awk '/^dataflow.kernel/ { name = $2; sub(/^@/, "", name); sub(/\(.*/, "", name) } /\] add init/ { print name; exit }' "$out/model.dataflow")
excerpt "$out/model.dataflow" "^dataflow.kernel @$kernel[(]" 14

level "dyn: when and where; checks of the inputs, memory by plan, one call a kernel"
emit dyn
excerpt "$out/model.dyn" '^func.func @main' 16 'dyn.constant'

level "loops: how the machine walks; register tiles, vectors, loops that threads share"
emit loops
excerpt "$out/model.loops" "^loops.kernel @$kernel[(]" 24

level "upstream MLIR: the same loops on vectors; from here on MLIR 22 and LLVM 22 do the work"
emit mlir
awk -v k="// nim_$kernel" '$0 == k { on = 1 } /^\/\/ / && $0 != k { on = 0 } on' "$out/model.mlir" >"$out/kernel.mlir"
excerpt "$out/kernel.mlir" 'math.fma|vector.fma|arith.mulf' 10

level "machine code: its innermost loop"
emit asm
awk -v k="// nim_$kernel" '$0 == k { on = 1 } /^\/\/ / && $0 != k { on = 0 } on' "$out/model.asm" >"$out/kernel.asm"
excerpt "$out/kernel.asm" 'vfn?madd|mulps' 10

title "4. compile, once"
run "$bin/nim-compile" "$dir/model.onnx" -o "$out/model.nimx" --timing

title "5. the same compiled file at two shapes: compared with the reference, then timed"
for set in 0 1; do
  shapes=$(python3 -c 'import json, sys; s = json.load(open(sys.argv[1]))["settings"][int(sys.argv[2])]["inputs"]; print(", ".join(n + " " + "x".join(map(str, d)) for n, d in s.items()))' "$dir/golden.json" "$set")
  level "$shapes"
  run "$bin/nim-run" "$out/model.nimx" --test-data "$dir/test_data_set_$set" --rtol 1e-3 --scaled-atol 1e-4 --bench 20
done

title "done: one compiled file, two shapes, both as the reference"
