#!/usr/bin/env python3
"""The page docs/benchmarks/dynamic.md of rows that dynamic.py measured.

    table.py ROWS FOLDER

ROWS is what `dynamic.py --rows` added to: of rows with the same name the last one counts. FOLDER gets dynamic.md and a plot.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from report import machine  # noqa: E402

WIDTH, HEIGHT, LEFT, TOP = 640, 150, 60, 26
COLORS = ["#2a7f62", "#b5443a", "#3a5fb5"]
CHECKED = {
    "8 threads with 10,000 calls each on one program, random shapes: every result is that of a serial run":
        "NIM_CALLS=10000 cargo test --release -p nim-compiler --test all threads_give_what_one_gives",
    "10,000 calls with random shapes: nothing is kept, and the memory stays below the formula's bound":
        "cargo test --release -p nim-compiler --test memory",
    "repeated shapes ask the system for no memory": "cargo test --release -p nim-compiler --test memory",
}


def load(path):
    rows = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        rows[row["workload"], row["name"]] = row
    return list(rows.values())


def page(rows, plot):
    met = [row["ratio"] <= row["bar"] and not row["wrong"] for row in rows]
    out = [
        "# Models of many shapes",
        "",
        f"Made by `make bench-dynamic` on {machine()}, one thread pinned to a core. All sides of a line take their turns in one run, on the same",
        "inputs, and results are compared. Figures are medians over rounds; the ratio is the median of the rounds' ratios, ours / the fastest of",
        "those beside it, and is to stay at or below the bar. What an instruction or a call of the runtime may take stands beside it as `allowed`.",
        "Of products, a number of rows that seems to be over is measured twice more, and the median of the three counts. Under what",
        "circumstances the figures of this page were measured, and what is known of those that are not met: [notes](notes.md).",
        "",
        f"Met: {sum(met)} of {len(rows)}.",
        "",
        "| what | nim | beside it | unit | ratio | bar | | command |",
        "| --- | ---: | --- | --- | ---: | ---: | --- | --- |",
    ]
    number = lambda x: f"{x:.3g}" if x < 100 else f"{x:,.0f}"
    for row, held in zip(rows, met):
        beside = ", ".join(f"{who} {number(x)}" for who, x in row["others"].items())
        verdict = "met" if held else f"**{row['wrong'] or 'not met'}**"
        name = f"{row['name']} ({row['note']})" if row["note"] else row["name"]
        out.append(
            f"| {name} | {number(row['ours'])} | {beside} | {row['unit']} | {row['ratio']:.3f} | {row['bar']:.2f} | {verdict}"
            f" | `make bench-dynamic WORKLOADS={row['workload']}` |"
        )
    out += ["", "What is no figure, tests check:", "", "| what | command |", "| --- | --- |"]
    out += [f"| {what} | `{command}` |" for what, command in CHECKED.items()]
    dense = [row for row in rows if row["points"]]
    if dense:
        out += [
            "",
            "A product with weights for each number of rows M, compiled once: its time a multiply-add beside that of the best M, and beside the same",
            "product compiled for that M. With few rows reading the weights takes the time.",
            "",
            f"![dense]({plot})",
            "",
            "| K x N | best, ns a multiply-add | worst / best | at M | M over 1.05 of static |",
            "| --- | ---: | ---: | ---: | --- |",
        ]
        for row in dense:
            costs = {m: cost for m, _, cost in row["points"]}
            worst, best = max(costs, key=costs.get), min(costs.values())
            over = ", ".join(f"{m} ({ratio:.3f})" for m, ratio, _ in row["points"] if ratio > row["bar"])
            out.append(f"| {shape(row)} | {best:.5f} | {costs[worst] / best:.2f} | {worst} | {over or 'none'} |")
    return "\n".join(out) + "\n"


def shape(row):
    return row["name"].split()[1].rstrip(",").replace("x", " x ")


def svg(rows):
    """Time a multiply-add over the best above, dynamic over static below, by the number of rows."""
    panels = [("time a multiply-add / the best", 1.0, 2.75, lambda p, best: p[2] / best), ("any M / this M", 0.9, 1.1, lambda p, _: p[1])]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{2 * (HEIGHT + TOP) + 40}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    across = lambda m: LEFT + WIDTH * m / 256
    for i, (title, low, high, value) in enumerate(panels):
        top = TOP + i * (HEIGHT + TOP)
        at = lambda y: top + HEIGHT * (high - min(max(y, low), high)) / (high - low)
        out.append(f'<text x="{LEFT}" y="{top - 8}">{title}</text>')
        for k in range(5):
            y = low + (high - low) * k / 4
            out.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{at(y):.1f}" y2="{at(y):.1f}" stroke="#ddd"/>')
            out.append(f'<text x="{LEFT - 6}" y="{at(y) + 4:.1f}" text-anchor="end">{y:.2f}</text>')
        if i == 1:
            out.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{at(1.05):.1f}" y2="{at(1.05):.1f}" stroke="black" stroke-dasharray="4"/>')
        for row, color in zip(rows, COLORS):
            best = min(p[2] for p in row["points"])
            line = " ".join(f"{across(p[0]):.1f},{at(value(p, best)):.1f}" for p in row["points"])
            out.append(f'<polyline points="{line}" fill="none" stroke="{color}"/>')
    bottom = TOP + 2 * HEIGHT + TOP
    for m in (1, 64, 128, 192, 256):
        out.append(f'<text x="{across(m):.1f}" y="{bottom + 16}" text-anchor="middle">M={m}</text>')
    for i, (row, color) in enumerate(zip(rows, COLORS)):
        out.append(f'<text x="{LEFT + 130 * i}" y="{bottom + 34}" fill="{color}">K x N: {shape(row)}</text>')
    return "\n".join(out) + "\n</svg>\n"


def main():
    rows, folder = load(Path(sys.argv[1])), Path(sys.argv[2])
    (folder / "dynamic.md").write_text(page(rows, "dynamic.svg"))
    dense = [row for row in rows if row["points"]]
    if dense:
        (folder / "dynamic.svg").write_text(svg(dense))


if __name__ == "__main__":
    main()
