#!/usr/bin/env python3
"""Compile every model that is in the cache once, run it at both shape settings, and compare with the references.

    check_models.py [--tools DIR] [--seconds S] [NAME...]      default: every model, and the segments beside it

A model fails if an output is off by more than the tolerance and the reference's own noise (golden.json), if compiling takes longer
than S seconds (default 30), or if it takes more memory than the weights once beside what the compiler takes for nothing.
One line a model: seconds of the clock and of the CPUs, memory, and how the outputs compare.
"""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(os.environ.get("NIM_MODELS") or Path.home() / ".cache/nim-models")
# What a compiler with LLVM in it takes for the code of a model without weights (140 MB for one kernel).
BASE = 250 << 20


def spent(command):
    """Runs a command; its output, exit status, seconds of the clock and of the CPUs, and the most memory it had."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    return text, child.returncode, time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss << 10


def outcome(text):
    """What nim-run --json says, in a few words; and whether all is well."""
    try:
        found = json.loads(text)
    except ValueError:
        return text.strip()[-300:], False
    outputs = [o for s in found["sets"] for o in s.get("outputs", [])]
    wrong = [s["error"] for s in found["sets"] if "error" in s] + [f"{o['name']}: {o['message']}" for o in outputs if not o["passed"]]
    if wrong or not found["sets"]:
        return f"{len(wrong)} WRONG of {len(outputs)}: {wrong[:1]}", False
    within = [o for o in outputs if o["within_noise"] is not None]
    said = f"{len(outputs)} outputs agree"
    if within:
        worst = max(within, key=lambda o: o["max_error"] / o["within_noise"])
        said += f", {len(within)} of them within the reference's noise (error {worst['max_error']:.1e}, noise {worst['within_noise']:.1e})"
    return said, True


def check(path, args, scratch):
    model, program = path / "model.onnx", scratch / "model.nimx"
    weights = sum(f.stat().st_size for f in path.glob("model.onnx*"))
    compiled = [args.tools / "nim-compile", model, "-o", program, "--no-cache"]
    text, rc, seconds, cpu, memory = spent(compiled)
    if rc != 0:
        return f"cannot be compiled: {text.strip()[-300:]}", False
    tolerance = ["--rtol", "1e-3", "--scaled-atol", "1e-4"]
    text, _, _, _, _ = spent([args.tools / "nim-run", program, "--test-data", path, "--json", *tolerance])
    said, good = outcome(text)
    mb = 1e-6
    line = f"{seconds:.1f} s ({cpu:.1f} s of CPU), {memory * mb:.0f} MB for {weights * mb:.0f} MB of weights; {said}"
    # Segments have inputs and outputs by the hundred, which no model has: only their numbers count.
    whole = path.name != "segments"
    if whole and seconds > args.seconds:
        line, good = f"{line}; TOO SLOW", False
    if whole and memory > weights + BASE:
        line, good = f"{line}; TOO LARGE", False
    return line, good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--tools", type=Path, default=Path(__file__).resolve().parents[2] / "target/release")
    parser.add_argument("--seconds", type=float, default=30)
    args = parser.parse_args()
    found = sorted(p.parent for kind in ("pkg", "zoo") for p in (ROOT / kind).rglob("model.onnx"))
    found = [p for p in found if (p / "golden.json").exists() and (not args.names or any(n in str(p) for n in args.names))]
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for path in found:
            line, good = check(path, args, Path(scratch))
            failed += not good
            print(f"{'ok    ' if good else 'FAILED'} {path.relative_to(ROOT).as_posix()}: {line}", flush=True)
    print(f"{len(found)} models, {failed} failed")
    return failed > 0 or not found


if __name__ == "__main__":
    sys.exit(main())
