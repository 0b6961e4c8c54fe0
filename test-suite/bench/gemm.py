#!/usr/bin/env python3
"""Compiled matrix products in f32 beside MKL's and beside the machine's peak, one thread.

    gemm.py --tools DIR [--rounds N]

Square products of 128 to 2048, and 1 to 64 rows by weights of 768x768 and 768x3072. "weights": the right matrix is a constant of the
program, packed when it was compiled; MKL is given it packed too (`cblas_sgemm_compute`) and as it is, and the faster counts. "both
inputs": neither is known before. The peak is what `nim-run --profile` measures; shares of it need a quiet machine. Figures are medians over rounds in which all take turns on fresh data; the results are compared.
MKL is looked for as pip installs it; without it numpy's BLAS is the peer.
"""

import argparse
import ctypes
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

sys.path.insert(0, str(Path(__file__).resolve().parent / "dynamic"))
from nim import Library, Session  # noqa: E402

SIZES = [(n, n, n) for n in (128, 256, 512, 1024, 2048)]
SKINNY = [(m, 768, n) for n in (768, 3072) for m in (1, 4, 16, 64)]
# Of the peak, from 256 on.
SHARE = 0.92


class Mkl:
    """The Fortran order of MKL's own arguments is avoided: row-major is 101."""

    def __init__(self):
        found = [*Path(sys.prefix).glob("lib/libmkl_rt.so*")]
        if not found:
            raise OSError("MKL is not there")
        os.environ.setdefault("MKL_NUM_THREADS", "1")
        os.environ.setdefault("MKL_THREADING_LAYER", "SEQUENTIAL")
        self.lib = ctypes.CDLL(str(found[0]))
        self.lib.cblas_sgemm_pack_get_size.restype = ctypes.c_size_t

    def plain(self, a, b, c):
        (m, k), n = a.shape, b.shape[1]
        p, f = (lambda x: ctypes.c_void_p(x.ctypes.data)), ctypes.c_float
        arguments = (101, 111, 111, m, n, k, f(1), p(a), k, p(b), n, f(0), p(c), n)
        return lambda: self.lib.cblas_sgemm(*arguments)

    def packed(self, a, b, c):
        (m, k), n = a.shape, b.shape[1]
        p, f = (lambda x: ctypes.c_void_p(x.ctypes.data)), ctypes.c_float
        room = np.empty(self.lib.cblas_sgemm_pack_get_size(162, m, n, k) + 64, np.uint8)
        at = ctypes.c_void_p((room.ctypes.data + 63) // 64 * 64)
        self.lib.cblas_sgemm_pack(101, 162, 111, m, n, k, f(1), p(b), n, at)
        arguments = (101, 111, 151, m, n, k, p(a), k, at, n, f(0), p(c), n)
        run = lambda: self.lib.cblas_sgemm_compute(*arguments)
        run.room = room
        return run


class Numpy:
    def plain(self, a, b, c):
        return lambda: np.matmul(a, b, out=c)

    packed = plain


def model(path, m, k, n, weights):
    """`[m, k] x [k, n]`; `weights` is the right matrix, or nothing where it is an input."""
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    inputs, constants = [value("a", [m, k])], []
    if weights is None:
        inputs.append(value("b", [k, n]))
    else:
        constants.append(numpy_helper.from_array(weights, "b"))
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    save(helper.make_model(helper.make_graph([node], "gemm", inputs, [value("c", [m, n])], constants)), path)


def peak(library, folder):
    """GFLOP/s of one core that does nothing but multiply and add."""
    source, program = (os.path.join(folder, f) for f in ("gemm.onnx", "gemm.nimx"))
    model(source, 4, 4, 4, None)
    library.compile(source, program)
    command = [library.tools / "nim-run", program, "--input", "a=4x4xf32=rand", "--input", "b=4x4xf32=rand"]
    found = []
    for _ in range(5):
        told = subprocess.run([*command, "--threads", "1", "--profile"], check=True, capture_output=True, text=True)
        found.append(float(re.search(r"roof with 1 thread: ([0-9.]+) GFLOP/s", told.stdout + told.stderr)[1]))
    return max(found)


def seconds(run, count):
    """The median of so many runs."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    library, rng = Library(args.tools), np.random.default_rng()
    try:
        peer, name = Mkl(), "MKL"
    except OSError:
        peer, name = Numpy(), "numpy"
    missed = []
    print(f"| M x K x N | weights, GFLOP/s | of peak | {name} | ratio | both inputs, GFLOP/s | of peak | {name} | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        top = peak(library, folder)
        for m, k, n in SIZES + SKINNY:
            cells = []
            for constant in (True, False):
                a, b = (rng.standard_normal(s, dtype=np.float32) for s in ((m, k), (k, n)))
                source, program = (os.path.join(folder, f) for f in ("gemm.onnx", "gemm.nimx"))
                model(source, m, k, n, b if constant else None)
                library.compile(source, program)
                session = Session(library, program)
                flops = 2 * m * k * n
                count = max(5, min(400, int(0.04e11 / flops)))
                ours, theirs = [], []
                for _ in range(args.rounds):
                    a[:] = rng.standard_normal(a.shape, dtype=np.float32)
                    session.set_arrays([a] if constant else [a, b])
                    c = np.empty((m, n), np.float32)
                    runs = [peer.plain(a, b, c)] + ([peer.packed(a, b, c)] if constant else [])
                    session.run()
                    ours.append(seconds(session.run, count))
                    theirs.append(min(seconds(run, count) for run in runs))
                    bound = 1e-6 * np.sqrt(k) * np.abs(c).max()
                    if not np.allclose(session.output(), c, rtol=0, atol=bound):
                        missed.append(f"{m}x{k}x{n}: the results differ")
                ratio = statistics.median(x / y for x, y in zip(ours, theirs))
                rate, theirs = (flops / statistics.median(t) / 1e9 for t in (ours, theirs))
                cells += [f"{rate:.1f}", f"{rate / top:.0%}", f"{theirs:.1f}", f"{ratio:.2f}"]
                what = f"{m}x{k}x{n}, {'weights' if constant else 'both inputs'}"
                if ratio > 1:
                    missed.append(f"{what}: {ratio:.2f} of {name}'s time")
                if m == n >= 256 and rate < SHARE * top:
                    missed.append(f"{what}: {rate / top:.0%} of the peak, wanted {SHARE:.0%}")
            print(f"| {m} x {k} x {n} | {' | '.join(cells)} |", flush=True)
    print(f"\nThe peak: {top:.1f} GFLOP/s.")
    for line in missed:
        print(f"MISSED  {line}")
    sys.exit(1 if missed else 0)


main()
