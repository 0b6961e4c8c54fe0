#!/usr/bin/env python3
"""Dynamic models beside their peers and beside the same models compiled for one shape, in one run.

    dynamic.py [--tools DIR] [--rounds N] [--full] [--cpu-time] [--json] [--rows FILE] [WORKLOAD...]

Workloads: lstm, tree, forest (DyNet batches 64 trees), bert, static (all dimensions symbolic beside the same model for one shape), dense768x768,
dense768x3072, dense3072x768 (the same of one product, for each number of rows up to 256), overhead (what the runtime itself costs),
memory (the peak beside what buffers of their own would take, and beside what lives at the same time, which no placement can be below);
each runs in a process of its own (DyNet is configured once a process) on one pinned core, ours through libnim. For each sequence, tree
or shape all sides take their turns, so that what else happens on the machine happens to all of them. A figure is the median of the rounds,
a ratio the median of the rounds' ratios. Results are compared with the peer's. `bar` is what the ratio has to stay below. Peers are what
requirements.txt names; one that is not installed is left out. `--rows FILE` adds the rows to a file, of which table.py makes a page.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DENSE = {f"dense{k}x{n}": (k, n) for k, n in ((768, 768), (768, 3072), (3072, 768))}
ALL = ["lstm", "tree", "forest", "bert", "static", *DENSE, "overhead", "memory"]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import models  # noqa: E402
import tree  # noqa: E402
from bench import OpenVino, Theirs, difference, folder, fresh, goldens  # noqa: E402
from nim import Library, Session  # noqa: E402


def lengths(rng, count):
    """Lengths of sentences: N(53, 13), at least 4, at most 100."""
    return np.clip(np.rint(rng.normal(53, 13, count)), 4, 100).astype(int)


class Bench:
    def __init__(self, args, work):
        self.args, self.work, self.library = args, work, Library(args.tools)
        self.rng = np.random.default_rng(args.seed)
        self.bad = []
        self.clock = time.process_time if args.cpu_time else time.perf_counter

    def session(self, path):
        return Session(self.library, path, clock=self.clock)

    def compile(self, model, name, *flags):
        os.sched_setaffinity(0, self.args.cores)
        path = self.work / f"{name}.nimx"
        seconds = self.library.compile(model, path, *flags)
        os.sched_setaffinity(0, self.args.cores[-1:])
        return path, seconds

    def row(self, name, ours, others, bar, unit, wrong=None, note="", points=()):
        """`ours` and each of `others` are lists of one figure a round."""
        rows = {who: statistics.median(list) for who, list in others.items()}
        best = [min(t) for t in zip(*others.values())]
        ratio = statistics.median(a / b for a, b in zip(ours, best))
        held = ratio <= bar and not wrong
        if not held:
            self.bad.append(f"{name}: {wrong or f'{ratio:.2f}, the bar is {bar}'}")
        found = {"workload": self.args.workloads[0], "name": name, "ours": statistics.median(ours), "others": rows, "unit": unit}
        found |= {"ratio": ratio, "bar": bar, "wrong": wrong, "note": note, "points": list(points)}
        if self.args.rows:
            with self.args.rows.open("a") as file:
                print(json.dumps(found), file=file)
        if self.args.json:
            print(json.dumps(found), flush=True)
            return
        peers = "  ".join(f"{who} {t:9.2f}" for who, t in rows.items())
        mark = "wrong" if wrong else "" if held else "over"
        print(f"{name:<34} nim {statistics.median(ours):9.2f}  {peers:<42} {unit:<9} ratio {ratio:5.2f}  bar {bar:4.2f} {mark:<5} {note}", flush=True)

    def sequences(self, name, model, feeds, tokens, bar):
        """A model over many lengths of its input with one compiled file; microseconds a token."""
        path, compiled = self.compile(model, name.replace(" ", "-"))
        ours, ort = self.session(path), Theirs(model, 1)
        names = [one.name for one in ort.session.get_inputs()]
        peers = {"ort": lambda feed: ort.session.run(None, feed)}
        try:
            vino = OpenVino(model, names, 1, "f32")
            peers["ov"] = lambda feed: vino.request.infer([feed[n] for n in names], share_inputs=True)
        except Exception as why:  # it is not there, or refuses the model
            print(f"bench: no OpenVINO for {name}: {str(why).splitlines()[0]}", file=sys.stderr)
        wrong, times = None, {who: [] for who in ["nim", *peers]}
        for round in range(self.args.rounds + 1):
            sums = dict.fromkeys(times, 0.0)
            for feed in feeds:
                ours.set_arrays([feed[n] for n in names])
                sums["nim"] += ours.run()
                for who, run in peers.items():
                    start = self.clock()
                    found = run(feed)
                    sums[who] += self.clock() - start
                    if who == "ort" and round == 0:
                        wrong = wrong or difference(ours.output(), found[0])
            if round > 0:
                for who, seconds in sums.items():
                    times[who].append(seconds * 1e6 / tokens)
        ours_times = times.pop("nim")
        self.row(name, ours_times, times, bar, "us/token", wrong, f"compiled once in {compiled:.1f} s")

    def lstm(self):
        for layers in (1, 2):
            model = self.work / f"lstm{layers}.onnx"
            models.lstm(model, layers)
            sizes = lengths(self.rng, 200 if self.args.full else 60)
            feeds = [{"x": self.rng.standard_normal((n, 1, 300)).astype(np.float32)} for n in sizes]
            self.sequences(f"lstm 300->512, {layers} layer(s)", model, feeds, int(sizes.sum()), 0.75)

    def bert(self):
        model = folder(self.args.models, "bert_base") / "model.onnx"
        sizes = lengths(self.rng, 200 if self.args.full else 12)
        feeds = []
        for n in sizes:
            ids = self.rng.integers(0, 30000, (1, n))
            feeds.append({"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)})
        self.sequences("bert_base", model, feeds, int(sizes.sum()), 0.8)

    def tree(self):
        self.beside_dynet(False, 1, 0.5)

    def forest(self):
        self.beside_dynet(True, 64, 1.0)

    def beside_dynet(self, autobatch, batch, bar):
        weights = tree.weights(self.rng)
        source = self.work / "tree.nir"
        source.write_text(tree.module(weights))
        path, _ = self.compile(source, "tree")
        ours = self.session(path)
        forest = tree.trees(self.rng, 500 if self.args.full else 128)
        values = [tree.value(self.library, one) for one in forest]
        total = sum(map(tree.leaves, forest))
        wrong = None
        for one, value in list(zip(forest, values))[:40]:
            ours.set(0, value)
            ours.run()
            wrong = wrong or difference(ours.output(), tree.reference(one, weights)[0])
        try:
            dynet = tree.DyNet(weights, autobatch)
        except ImportError:
            print("bench: dynet38 is not there", file=sys.stderr)
            return
        wrong = wrong or difference(dynet.run(forest[:2])[1], tree.reference(forest[1], weights)[0])
        times = {"nim": [], "dynet": []}
        for _ in range(self.args.rounds):
            sums = {"nim": 0.0, "dynet": 0.0}
            for first in range(0, len(forest), batch):
                for value in values[first : first + batch]:
                    ours.set(0, value)
                    sums["nim"] += ours.run()
                start = self.clock()
                dynet.run(forest[first : first + batch])
                sums["dynet"] += self.clock() - start
            for who, seconds in sums.items():
                times[who].append(seconds * 1e6 / total)
        name = f"tree-lstm, dynet {'batches 64 trees' if autobatch else 'tree by tree'}"
        self.row(name, times.pop("nim"), times, bar, "us/leaf", wrong, f"{len(forest)} trees")

    def pair(self, dynamic, static, feed, seconds):
        """Microseconds of both on one input, by turns; a figure a round. Also what is wrong, if anything is."""
        for session in (dynamic, static):
            session.set_arrays(feed)
            session.run()
        wrong = difference(dynamic.output(), static.output())
        count = max(3, int(seconds / max(static.run(), 1e-6)))
        times = ([], [])
        for _ in range(self.args.rounds):
            turns = ([], [])
            for _ in range(count):
                turns[0].append(dynamic.run())
                turns[1].append(static.run())
            for list, turn in zip(times, turns):
                list.append(statistics.median(turn) * 1e6)
        return times, wrong

    def static(self):
        for name in ("resnet18", "mobilenet_v2", "bert_base"):
            source = folder(self.args.models, name)
            ort_inputs = Theirs(source / "model.onnx", 1).session.get_inputs()
            golden = goldens(source / "test_data_set_0", ort_inputs)
            feed = {n: fresh(self.rng, tensor) for n, tensor in golden.items()}
            fixed = self.work / f"{name}.onnx"
            models.fixed(source / "model.onnx", fixed, {n: t.shape for n, t in feed.items()})
            data = source / "model.onnx.data"
            if data.exists():
                # The importer follows no link out of the model's folder.
                shutil.copyfile(data, self.work / data.name)
            dynamic, _ = self.compile(source / "model.onnx", f"{name}-dynamic", "--symbolic-inputs")
            static, _ = self.compile(fixed, f"{name}-static")
            sessions = self.session(dynamic), self.session(static)
            times, wrong = self.pair(*sessions, list(feed.values()), 0.6)
            self.row(f"{name}, all dimensions symbolic", times[0], {"static": times[1]}, 1.05, "us", wrong)
            dynamic.unlink()
            static.unlink()

    def dense(self, k, n):
        dynamic = self.session(self.dense_program("M", k, n))
        points = [self.dense_point(dynamic, self.dense_program(rows, k, n), rows, k, n) for rows in range(1, 257)]
        self.dense_row(points, k, n)

    def dense_program(self, rows, k, n):
        """The product compiled for so many rows, or for any."""
        model = self.work / "dense.onnx"
        models.dense(model, rows, k, n)
        return self.compile(model, f"dense-{rows}")[0]

    def dense_point(self, dynamic, program, rows, k, n):
        """Rows, any / this number of them, nanoseconds a multiply-add, and what is wrong. One pass is soon measured; what seems to be
        over the bar is measured twice more."""
        static, passes, wrong = self.session(program), [], None
        program.unlink()
        feed = [self.rng.standard_normal((rows, k)).astype(np.float32)]
        while len(passes) < 3 and (not passes or passes[0][0] > DENSE_BAR):
            times, found = self.pair(dynamic, static, feed, 0.02)
            wrong = wrong or found
            ratio = statistics.median(a / b for a, b in zip(*times))
            passes.append((ratio, statistics.median(times[0]) * 1e3 / (rows * k * n)))
        static.free()
        return rows, *sorted(passes)[len(passes) // 2], wrong

    def dense_row(self, points, k, n):
        wrong = next((p[3] for p in points if p[3]), None)
        points = [p[:3] for p in points]
        rows, ratio, _ = max(points, key=lambda p: p[1])
        note = f"at M={rows}; {sum(p[1] > DENSE_BAR for p in points)} of {len(points)} over"
        self.row(f"dense {k}x{n}, worst of M=1..256", [ratio], {"static": [1.0]}, DENSE_BAR, "ratio", wrong, note, points)
        if not self.args.json:
            plot(points)

    def overhead(self):
        program = self.args.tools / "examples/overhead"
        if not program.exists():
            sys.exit(f"bench: {program} is not there: cargo build --release -p nim-vm --example overhead")
        runs = [subprocess.run([program], check=True, capture_output=True, text=True).stdout for _ in range(self.args.rounds)]
        found = [dict(line.rsplit(": ", 1) for line in run.splitlines()) for run in runs]
        for name in found[0]:
            times = [float(run[name].split()[0]) for run in found]
            # A call of a model with 60 kernels, or so many instructions.
            a_call, several = "kernels" in name, re.search(r"(\d+) instructions", name)
            allowed = 3.0 if a_call else 100.0 * int(several[1] if several else 1)
            self.row(name, times, {"allowed": [allowed] * len(times)}, 1.0, "us/call" if a_call else "ns")

    def memory(self):
        for name, shapes in MEMORY.items():
            path, _ = self.compile(folder(self.args.models, name) / "model.onnx", "memory")
            shown = subprocess.run([self.args.tools / "nim-run", path, "--disassemble"], check=True, capture_output=True, text=True).stdout
            inputs = shown.split(") -> (")[0].removeprefix("program(").split(", ")
            arenas = re.findall(r" alloc .*sizes=\[(.*)\] apart=(\[.*\]) offsets", shown)
            fresh = re.findall(r" new .*dims=\[(.*)\]", shown)
            for sizes in shapes:
                session, symbols, feed = self.session(path), {}, []
                for text in inputs:
                    dims = re.findall(r"\[([^]]*)\]x|(\d+)x", text)
                    shape = [int(number or sizes[at]) for at, (_, number) in enumerate(dims)]
                    symbols |= {symbol: size for (symbol, _), size in zip(dims, shape) if symbol}
                    feed.append(np.ones(shape, np.int64 if text.endswith("xi64>") else np.float32))
                session.set_arrays(feed)
                session.run()
                # Formulas of the bytecode are expressions of Python too.
                known = symbols | {"floordiv": lambda a, b: a // b, "ceildiv": lambda a, b: -(-a // b), "mod": lambda a, b: a % b, "min": min, "max": max}
                results = sum(4 * int(np.prod(eval(f"[{dims}]", known))) for dims in fresh)
                own, alive = results, results
                for sizes_text, apart in arenas:
                    bytes = [-(-n // 64) * 64 for n in eval(f"[{sizes_text}]", known)]
                    own += sum(bytes)
                    # Those that a buffer must not overlap live when it is made.
                    alive += max(size + sum(bytes[k] for k in others) for size, others in zip(bytes, eval(apart)))
                at, peak = "x".join(map(str, sizes)), session.peak()
                name_at = f"peak of {name.split('/')[-1]}, {at}"
                self.row(f"{name_at}, each buffer its own", [peak / 1e3], {"apart": [own / 1e3]}, 0.6, "kB")
                self.row(f"{name_at}, what lives at a time", [peak / 1e3], {"alive": [alive / 1e3]}, 1.1, "kB")
            path.unlink()


# What a number of rows may take that is not known, beside the same known.
DENSE_BAR = 1.05

# Shapes of the inputs; numbers of the model stay.
MEMORY = {
    "bert_base": [(1, 4), (1, 53), (1, 100), (4, 128)],
    "rapidocr-onnxruntime/ch_PP-OCRv4_det_infer": [(1, 3, 320, 320), (1, 3, 736, 1280), (2, 3, 352, 480)],
}


def plot(points):
    """Time a multiply-add over M, as bars."""
    best, worst = min(p[2] for p in points), max(p[2] for p in points)
    print(f"  ns a multiply-add by M: best {best:.5f}, worst {worst:.5f}, {worst / best:.2f} times the best")
    for rows, ratio, cost in points[:16] + points[16::8]:
        print(f"  M={rows:<4} {cost:.5f} {'#' * max(1, round(40 * cost / worst)):<40} dynamic/static {ratio:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, default=HERE / "../../../target/release", help="where nim-compile and libnim lie")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="all sequences and trees: takes an hour or so")
    parser.add_argument("--seed", type=int, default=None, help="of everything random; printed")
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of time: for a machine that is busy with other things")
    parser.add_argument("--json", action="store_true", help="one object per row instead of the table")
    parser.add_argument("--rows", type=Path, help="a file to which an object per row is added")
    parser.add_argument("workloads", nargs="*", choices=[*ALL, []], default=[])
    args = parser.parse_args()
    args.tools = args.tools.resolve()
    args.models = Path(os.environ.get("NIM_MODELS", Path.home() / ".cache/nim-models"))
    args.seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "little")
    args.cores = sorted(os.sched_getaffinity(0))
    if len(args.workloads) != 1:
        print(f"seed {args.seed}, {args.rounds} rounds, one core", flush=True)
        flags = ["--tools", args.tools, "--rounds", str(args.rounds), "--seed", str(args.seed)]
        flags += ["--rows", args.rows] * bool(args.rows) + ["--full"] * args.full + ["--json"] * args.json + ["--cpu-time"] * args.cpu_time
        runs = [subprocess.run([sys.executable, __file__, *flags, name]) for name in args.workloads or ALL]
        sys.exit(max(run.returncode for run in runs))
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(args, Path(work))
        if args.workloads[0] in DENSE:
            bench.dense(*DENSE[args.workloads[0]])
        else:
            getattr(bench, args.workloads[0])()
    if bench.bad:
        sys.exit("bench: " + "; ".join(bench.bad))


if __name__ == "__main__":
    main()
