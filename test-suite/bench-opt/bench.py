#!/usr/bin/env python3
"""nim-opt beside upstream's mlir-opt: the same generic-form text, one thread.

    bench.py --nim-opt PATH [--mlir-opt PATH] [--sizes 1,10,100] [--runs 3]

Two things are measured, as the best of a few runs: reading, verifying and printing ("rt"), and the same with canonicalize
and cse in between ("opt"). Printed are seconds of processor time, peak memory, how they compare, and the number of ops that
are left. Inputs are made here from a fixed seed: many functions, one function of 200,000 ops, deep nesting.
"""

import argparse
import os
import random
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


def run(command, output):
    """Processor seconds and peak megabytes; `None` when the program failed."""
    with open(output, "w") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        return None
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nim-opt", required=True)
    parser.add_argument("--mlir-opt", default="/usr/lib/llvm-22/bin/mlir-opt")
    parser.add_argument("--sizes", default="1,10,100", help="megabytes")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    if not os.path.exists(args.mlir_opt):
        sys.exit(f"{args.mlir_opt} is not there; it comes with the package mlir-22-tools")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "input.mlir")
        output = os.path.join(folder, "output.mlir")
        inputs = [(f"{n} MB of functions", lambda n=n: many_functions(path, int(float(n) * 1e6))) for n in args.sizes.split(",")]
        inputs.append(("one function of 200,000 ops", lambda: one_function(path, 200_000)))
        inputs.append(("1 MB of 300 levels", lambda: nested(path, 1_000_000, 300)))
        inputs.append(("100,000 levels", lambda: nested(path, 1, 100_000)))
        print("| input | what | mlir-opt | nim-opt | faster | memory of it | ops left |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, make in inputs:
            make()
            for what, passes in [("rt", []), ("opt", ["--canonicalize", "--cse"])]:
                figures, left = [], []
                for tool in (args.mlir_opt, args.nim_opt):
                    command = [tool, path, "--mlir-disable-threading", "--mlir-print-op-generic", *passes]
                    runs = [r for r in (run(command, output) for _ in range(args.runs)) if r]
                    figures.append((min(r[0] for r in runs), min(r[1] for r in runs)) if runs else None)
                    if runs:
                        with open(output) as lines:
                            left.append(sum('"(' in line for line in lines))
                show = lambda f: f"{f[0]:.2f} s, {f[1]:.0f} MB" if f else "fails"
                upstream, ours = figures
                both = upstream and ours
                faster = f"{upstream[0] / ours[0]:.1f} x" if both else ""
                memory = f"{ours[1] / upstream[1]:.2f} x" if both else ""
                same = str(left[-1]) if left and len(set(left)) == 1 else " and ".join(map(str, left))
                print(f"| {name} | {what} | {show(upstream)} | {show(ours)} | {faster} | {memory} | {same} |", flush=True)


main()
