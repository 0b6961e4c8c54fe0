#!/usr/bin/env python3
"""nim-opt beside upstream's mlir-opt: the same generic-form text, one thread.

    bench.py --nim-opt PATH [--mlir-opt PATH] [--sizes 1,10,100] [--runs 5]

Measured are reading, verifying and printing ("rt"), and the same with canonicalize and cse in between ("opt"): the two tools run
alternately, and the medians of processor time and of peak memory are compared, with the number of ops that are left. Then: how
time grows with the text, and how much faster a module is loaded from bytecode than from text. Inputs are made here from a fixed
seed: many functions, one function of 200,000 ops, deep nesting. The last lines say whether each bar holds; the exit code does too.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile


class Text:
    """A module in generic form, written as it is made."""

    def __init__(self, path):
        self.file = open(path, "w")
        self.size = 0
        self.random = random.Random(1)
        self.write('"builtin.module"() ({\n')

    def write(self, text):
        self.file.write(text)
        self.size += len(text)

    def close(self):
        self.write("}) : () -> ()\n")
        self.file.close()

    def arith(self, count, base, indent, known):
        """`count` ops of arith on i32; values are numbered from `base`, operands are among the last eight of `known`."""
        choose = self.random.randrange
        for i in range(count):
            a, b = (known[-1 - choose(min(8, len(known)))] for _ in range(2))
            name = f"%{base + i}"
            kind = choose(5)
            if kind == 0:
                self.write(f'{indent}{name} = "arith.constant"() <{{value = {choose(100)} : i32}}> : () -> i32\n')
            elif kind == 1:
                self.write(f'{indent}{name} = "arith.xori"({a}, {b}) : (i32, i32) -> i32\n')
            else:
                op = "muli" if kind == 2 else "addi"
                flags = "<{overflowFlags = #arith.overflow<none>}>"
                self.write(f'{indent}{name} = "arith.{op}"({a}, {b}) {flags} : (i32, i32) -> i32\n')
            known.append(name)
        return base + count

    def function(self, name, body):
        self.write(
            f'  "func.func"() <{{function_type = (i32, index, i1) -> i32, sym_name = "{name}"}}> ({{\n'
            "  ^bb0(%arg0: i32, %arg1: index, %arg2: i1):\n"
        )
        self.write(f'    "func.return"({body()}) : (i32) -> ()\n  }}) : () -> ()\n')


def many_functions(path, size):
    """Functions of 38 ops with a loop, until there are `size` bytes."""
    text = Text(path)

    def body():
        known = ["%arg0"]
        n = text.arith(20, 0, "    ", known)
        text.write(f'    %{n} = "arith.constant"() <{{value = 0 : index}}> : () -> index\n')
        text.write(f'    %{n + 1} = "arith.constant"() <{{value = 1 : index}}> : () -> index\n')
        text.write(f'    %{n + 2} = "scf.for"(%{n}, %arg1, %{n + 1}, {known[-1]}) ({{\n    ^bb0(%arg3: index, %arg4: i32):\n')
        inner = known + ["%arg4"]
        text.arith(8, n + 3, "      ", inner)
        text.write(f'      "scf.yield"({inner[-1]}) : (i32) -> ()\n    }}) : (index, index, index, i32) -> i32\n')
        known.append(f"%{n + 2}")
        text.arith(8, n + 3, "    ", known)
        return known[-1]

    text.function("first", body)
    count = 0
    while text.size < size:
        text.function(f"f{count}", body)
        count += 1
    text.close()


def one_function(path, ops):
    """One function of so many ops."""
    text = Text(path)

    def body():
        known = ["%arg0"]
        text.arith(ops, 0, "    ", known)
        return known[-1]

    text.function("f", body)
    text.close()


def nested(path, size, depth):
    """Functions of ifs in ifs, `depth` of them, until there are `size` bytes."""
    text = Text(path)

    def body():
        text.write('"scf.if"(%arg2) ({\n' * depth)
        text.write('"scf.yield"() : () -> ()\n}, {\n}) : (i1) -> ()\n' * depth)
        return "%arg0"

    text.function("first", body)
    count = 0
    while text.size < size:
        text.function(f"f{count}", body)
        count += 1
    text.close()


# What must hold, by what is measured: how many times faster, and how much of upstream's memory at most.
FASTER = {"rt": 3.0, "opt": 2.0}
MEMORY = {"rt": 0.6}
BYTECODE = 5.0
# Time per byte may grow by so much from the smallest text to the largest.
GROWTH = 1.5


def run(command, output):
    """Processor seconds and peak megabytes; `None` when the program failed."""
    with open(output, "w") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        return None
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def alternate(commands, runs, output):
    """For each command the medians of what `run` gives, and how many ops it printed; the commands take turns."""
    figures, left = [[] for _ in commands], [None] * len(commands)
    for _ in range(runs):
        for i, command in enumerate(commands):
            one = run(command, output)
            if one:
                figures[i].append(one)
                with open(output) as lines:
                    left[i] = sum('"(' in line for line in lines)
    medians = [tuple(map(statistics.median, zip(*f))) if f else None for f in figures]
    return medians, left


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nim-opt", required=True)
    parser.add_argument("--mlir-opt", default="/usr/lib/llvm-22/bin/mlir-opt")
    parser.add_argument("--sizes", default="1,10,100", help="megabytes")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    if not os.path.exists(args.mlir_opt):
        sys.exit(f"{args.mlir_opt} is not there; it comes with the package mlir-22-tools")
    bars = []

    def bar(text, holds):
        bars.append((text, holds))

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "input.mlir")
        output = os.path.join(folder, "output.mlir")
        sizes = [float(n) for n in args.sizes.split(",")]
        inputs = [(f"{n:g} MB of functions", lambda n=n: many_functions(path, int(n * 1e6))) for n in sizes]
        inputs.append(("one function of 200,000 ops", lambda: one_function(path, 200_000)))
        inputs.append(("1 MB of 300 levels", lambda: nested(path, 1_000_000, 300)))
        inputs.append(("100,000 levels", lambda: nested(path, 1, 100_000)))
        print("| input | what | mlir-opt | nim-opt | faster | memory of it | ops left |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        growth = {"rt": [], "opt": []}
        for number, (name, make) in enumerate(inputs):
            make()
            megabytes = os.path.getsize(path) / 1e6
            for what, passes in [("rt", []), ("opt", ["--canonicalize", "--cse"])]:
                options = [path, "--mlir-disable-threading", "--mlir-print-op-generic", *passes]
                commands = [[args.mlir_opt, *options], [args.nim_opt, *options]]
                (upstream, ours), left = alternate(commands, args.runs, output)
                show = lambda f: f"{f[0]:.2f} s, {f[1]:.0f} MB" if f else "fails"
                same = str(left[1]) if left[0] in (left[1], None) else f"{left[0]} and {left[1]}"
                bar(f"{name}, {what}: nim-opt can do it", ours is not None)
                faster = memory = ""
                if upstream and ours:
                    faster, memory = upstream[0] / ours[0], ours[1] / upstream[1]
                    bar(f"{name}, {what}: {faster:.1f} x as fast, wanted {FASTER[what]:g}", faster >= FASTER[what])
                    if what in MEMORY:
                        bar(f"{name}, {what}: {memory:.2f} of the memory, wanted {MEMORY[what]:g}", memory <= MEMORY[what])
                    bar(f"{name}, {what}: as many ops left", left[0] == left[1])
                    faster, memory = f"{faster:.1f} x", f"{memory:.2f} x"
                if ours and number < len(sizes):
                    growth[what].append(ours[0] / megabytes)
                print(f"| {name} | {what} | {show(upstream)} | {show(ours)} | {faster} | {memory} | {same} |", flush=True)
            if number == len(sizes) - 1:
                # The largest text, as bytecode.
                binary = os.path.join(folder, "input.nbc")
                subprocess.run([args.nim_opt, path, "--emit-bytecode", "-o", binary], check=True)
                load = lambda file: [args.nim_opt, file, "--mlir-disable-threading", "--no-output", "--verify-each=false"]
                (text, bytes_), _ = alternate([load(path), load(binary)], args.runs, output)
                faster = text[0] / bytes_[0]
                bytecode = f"{name}: text loads in {text[0]:.2f} s, bytecode in {bytes_[0]:.2f} s"
                bar(f"{bytecode}: {faster:.1f} x as fast, wanted {BYTECODE:g}", faster >= BYTECODE)
        for what, costs in growth.items():
            if len(costs) > 1:
                factor = costs[-1] / costs[0]
                per = ", ".join(f"{1000 * c:.1f}" for c in costs)
                bar(f"growth of {what}: {per} ms a megabyte, {factor:.2f} from first to last, wanted {GROWTH:g}", factor <= GROWTH)
    print()
    for text, holds in bars:
        print(f"{'holds ' if holds else 'MISSED'}  {text}")
    sys.exit(0 if all(holds for _, holds in bars) else 1)


main()
