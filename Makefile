# The project's own commands. `cargo build` alone builds everything that needs no LLVM.
#   make build   every tool and back end, optimised, into target/release
#   make test    what CI runs: format, clippy, all tests; installs and fetches what they need
#   make demo    one real model through every level, compiled, run, compared (MODEL=<id> picks another)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: build test demo setup models fmt clippy unit

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
TARGET := $(or $(CARGO_TARGET_DIR),target)

setup:
	@test-suite/setup.sh

build: setup
	$(CARGO) build --release --workspace

demo: build
	@NIM_BIN="$(TARGET)/release" test-suite/demo.sh $(MODEL)

test: setup fmt clippy models unit

fmt:
	$(CARGO) fmt --all --check

clippy: setup
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Exit code 3 says that there is no network: the tests that want models then count themselves as skipped.
models: setup
	@test-suite/models/fetch.sh --ci || [ $$? = 3 ]

# The tools first: the file tests run them as programs. Debug code, because every verifier is on in it.
unit: setup
	$(CARGO) build --workspace --bins
	NIM_TOOLS="$(abspath $(TARGET))/debug" NIM_EXPECT="llvm mlir-opt" $(CARGO) test --workspace
