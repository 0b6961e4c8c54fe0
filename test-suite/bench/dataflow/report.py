#!/usr/bin/env python3
"""Tables and plots of what `cargo run --example dataflow` measured: dataflow.csv -> docs/benchmarks/dataflow.md and .svg.

usage: report.py dataflow.csv OUTPUT_FOLDER [MACHINE [NOTE]]
"""
import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

ANCHORS = ["output", "input", "weight"]
# Medians at stride 1 that YFlows' published logs give, as time over basic output-stationary.
PAPER = {("basic", "output"): 1.0, ("basic", "input"): 1.7, ("basic", "weight"): 4.5, ("extended", "output"): 1 / 1.55}
COLOURS = {"output": "#3b6fb5", "input": "#3c9a5f", "weight": "#c4622d"}


def read(path):
    """For each place (kind, filter, stride, size, channels): the least time of each way and anchor, with its dataflow."""
    places = defaultdict(dict)
    points = []
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            place = (row["kind"], *(int(row[k]) for k in ("filter", "stride", "size", "channels")))
            key, time = (row["way"], row["anchor"]), float(row["ms"])
            if row["anchor"]:
                points.append((place, row))
            if key not in places[place] or time < places[place][key][0]:
                places[place][key] = (time, row["dataflow"])
    return places, points


def ratios(places, kind, stride, key):
    """Times over basic output-stationary, one a place."""
    out = []
    for place, ways in places.items():
        base = ways.get(("basic", "output"))
        if place[0] == kind and place[2] == stride and base and key in ways:
            out.append(ways[key][0] / base[0])
    return out


def summary(places):
    lines = ["| | stride | basic input | basic weight | extended output | extended input | extended weight | usual schedule |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    keys = [("basic", "input"), ("basic", "weight"), ("extended", "output"), ("extended", "input"), ("extended", "weight"),
            ("schedule", "")]
    for kind in ("8-bit", "binary"):
        for stride in (1, 2):
            cells = []
            for key in keys:
                found = ratios(places, kind, stride, key)
                cells.append(f"{statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f})" if found else "-")
            lines.append(f"| {kind} | {stride} | " + " | ".join(cells) + " |")
    paper = ["1.7", "4.5", "0.63-0.67", "-", "-", "-"]
    lines.append("| YFlows' logs, 8-bit | 1 | " + " | ".join(paper) + " |")
    return "\n".join(lines)


def winners(places):
    """How often each anchor has the fastest dataflow, and the median of the usual schedule's time over it."""
    counts, usual = defaultdict(int), []
    for ways in places.values():
        own = [(time, anchor) for (way, anchor), (time, _) in ways.items() if way != "schedule"]
        if own:
            best, anchor = min(own)
            counts[anchor] += 1
            usual.append(ways[("schedule", "")][0] / best)
    return counts, statistics.median(usual), sum(u <= 1.05 for u in usual)


def rank_agreement(points):
    """How often the order of two dataflows of one place by their predicted cycles is that of their measured times."""
    by_place = defaultdict(list)
    for place, row in points:
        by_place[place].append((float(row["predicted"]), float(row["ms"])))
    same = total = 0
    for rows in by_place.values():
        for i, (p, t) in enumerate(rows):
            for q, u in rows[:i]:
                # What differs by less than a tenth is the same.
                if abs(p - q) > 0.1 * max(p, q) and abs(t - u) > 0.1 * max(t, u):
                    total += 1
                    same += (p < q) == (t < u)
    return same, total


def plot(places, kind):
    """Bars of time over basic output-stationary at each filter, stride, size and number of channels."""
    chosen = sorted(p for p in places if p[0] == kind)
    bars = [("basic", "input"), ("basic", "weight"), ("extended", "output"), ("extended", "input"), ("extended", "weight")]
    width, gap, left, top, height = 6, 8, 46, 30, 220
    most = max([max(ratios(places, kind, s, b), default=1) for s in (1, 2) for b in bars] + [1.5])
    scale = height / most
    step = width * len(bars) + gap
    total = left + step * len(chosen) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{top + height + 96}" font-family="sans-serif" font-size="10">',
           f'<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="16" font-size="13">{kind}: time over basic output-stationary (1.0); lower is faster</text>']
    mark = 0.0
    while mark <= most:
        y = top + height - mark * scale
        out.append(f'<line x1="{left}" x2="{total - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="{"#444" if mark == 1 else "#ddd"}"/>')
        out.append(f'<text x="{left - 6}" y="{y + 3:.1f}" text-anchor="end">{mark:g}</text>')
        mark += 0.5 if most < 5 else 1.0
    for i, place in enumerate(chosen):
        base = places[place].get(("basic", "output"))
        for j, key in enumerate(bars):
            if base and key in places[place]:
                h = places[place][key][0] / base[0] * scale
                x = left + i * step + j * width
                opacity = 0.45 if key[0] == "basic" else 1
                out.append(f'<rect x="{x}" y="{top + height - h:.1f}" width="{width - 1}" height="{h:.1f}" '
                           f'fill="{COLOURS[key[1]]}" fill-opacity="{opacity}"><title>{key[0]} {key[1]}, '
                           f'{places[place][key][1]}</title></rect>')
        label = f"{place[1]}x{place[1]} s{place[2]} {place[3]} c{place[4]}"
        x = left + i * step + step / 2 - 4
        out.append(f'<text transform="translate({x:.0f},{top + height + 8}) rotate(60)">{label}</text>')
    for j, key in enumerate(bars):
        x = left + 330 + j * 118
        opacity = 0.45 if key[0] == "basic" else 1
        out.append(f'<rect x="{x}" y="8" width="9" height="9" fill="{COLOURS[key[1]]}" fill-opacity="{opacity}"/>')
        out.append(f'<text x="{x + 13}" y="16">{key[0]} {key[1]}</text>')
    out.append("</svg>")
    return "\n".join(out)


def table(places):
    lines = ["| | filter | stride | size | channels | basic output, ms | best | its dataflow | over basic | usual schedule, ms |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for place in sorted(places):
        ways = places[place]
        extended = [(t, d) for (way, _), (t, d) in ways.items() if way != "schedule"]
        if ("basic", "output") not in ways:
            continue
        base, (best, dataflow) = ways[("basic", "output")][0], min(extended)
        usual = ways.get(("schedule", ""), (float("nan"),))[0]
        cells = [*map(str, place), f"{base:.3f}", f"{best:.3f}", f"`{dataflow}`", f"{best / base:.2f}", f"{usual:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    machine = sys.argv[3] if len(sys.argv) > 3 else "this machine"
    places, points = read(source)
    note = sys.argv[4] + "\n\n" if len(sys.argv) > 4 else ""
    same, total = rank_agreement(points)
    counts, usual, near = winners(places)
    won = ", ".join(f"{a} at {counts[a]}" for a in ANCHORS if counts[a])
    for kind in ("8-bit", "binary"):
        (folder / f"dataflow-{kind}.svg").write_text(plot(places, kind) + "\n")
    text = f"""# Dataflows of convolutions

What `make bench-dataflow` measured on {machine}, one thread, the least time of 3 to 20 runs: the grid of YFlows' evaluation (filters of
3 to 5, strides of 1 and 2, images of 56 and 112, 64 to 256 channels and as many filters, no border), 8-bit (unsigned by signed,
sums of 32 bits) and binary (xor and population count of words of 32). Every result was compared with that of the usual schedule:
all are equal bit for bit. *Basic* holds the anchor alone; *extended* is the fastest of those three of each anchor that the counts
put first. What the words mean stands in [the page about the exploration](../dataflow-exploration.md).

{note}## Time over basic output-stationary: medians (least-most)

{summary(places)}

The fastest dataflow of a place has as its anchor: {won}. The usual schedule, which nobody measured for, takes {usual:.2f} of its time
(median), and at most 1.05 of it at {near} of {len(places)} places.

Of two dataflows of one convolution whose predicted cycles and measured times both differ by more than a tenth, the prediction
orders {same} of {total} pairs as the measurement does ({100 * same / max(total, 1):.0f} %).

![8-bit](dataflow-8-bit.svg)

![binary](dataflow-binary.svg)

## All places

{table(places)}
"""
    (folder / "dataflow.md").write_text(text)


if __name__ == "__main__":
    main()
