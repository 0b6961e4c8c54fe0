"""A benchmark's rows as a Markdown table and a plot (SVG), for docs/benchmarks."""

import platform
import statistics
from pathlib import Path
from xml.sax.saxutils import escape

BAR, LEFT, WIDTH = 18, 330, 420


def machine():
    """What the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    known = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if flag in flags]
    return f"{name} ({', '.join(known)})"


def markdown(title, rows, plot):
    mean = statistics.geometric_mean(row["ratio"] for row in rows)
    threads = any(row.get("faster") for row in rows)
    more = ["One thread / two threads is ours against itself, in the same rounds.", ""] if threads else []
    out = [
        f"# {title}",
        "",
        f"Made by `make bench` on {machine()}. Milliseconds are medians over rounds in which all sides take turns, pinned, on fresh random data;",
        "ratio is ours / the faster of ONNX Runtime and OpenVINO, the median over rounds: below 1 ours is faster.",
        "",
        *more,
        f"Geometric mean of the ratios: **{mean:.2f}**",
        "",
        f"![ratios]({plot})",
        "",
        "| model | shapes | nim ms | ONNX Runtime ms | OpenVINO ms | compile s | error | OpenVINO's error | ratio |"
        + (" one thread / two threads |" if threads else ""),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |" + (" --- |" if threads else ""),
    ]
    for row in rows:
        there = row["openvino_ms"] != float("inf")
        third, error = (f"{row['openvino_ms']:.3f}", f"{row['openvino_error']:.1e}") if there else ("", "")
        out.append(
            f"| {row['model']} | {row['shapes']} | {row['ours_ms']:.3f} | {row['theirs_ms']:.3f} | {third}"
            f" | {row['compile_s']:.1f} | {row['error']:.1e} | {error} | {row['ratio']:.2f} |"
            + (f" {row['faster']:.2f} |" if row.get("faster") else "")
        )
    return "\n".join(out) + "\n"


def svg(rows):
    """A bar for each ratio, and a line at 1."""
    most = max([1.2] + [row["ratio"] for row in rows])
    height = (BAR + 4) * len(rows) + 30
    at = lambda ratio: LEFT + WIDTH * ratio / most
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/>',
    ]
    for i, row in enumerate(rows):
        y = i * (BAR + 4) + 8
        label = escape(f"{row['model'].rsplit('/', 1)[-1]} {row['shapes']}"[:52])
        color = "#2a7f62" if row["ratio"] <= 1 else "#b5443a"
        out.append(f'<text x="{LEFT - 6}" y="{y + 13}" text-anchor="end">{label}</text>')
        out.append(f'<rect x="{LEFT}" y="{y}" width="{at(row["ratio"]) - LEFT:.1f}" height="{BAR}" fill="{color}"/>')
        out.append(f'<text x="{at(row["ratio"]) + 4:.1f}" y="{y + 13}">{row["ratio"]:.2f}</text>')
    out.append(f'<line x1="{at(1):.1f}" x2="{at(1):.1f}" y1="0" y2="{height - 20}" stroke="black" stroke-dasharray="4"/>')
    out.append(f'<text x="{at(1):.1f}" y="{height - 6}" text-anchor="middle">the faster peer</text>')
    return "\n".join(out) + "\n</svg>\n"


def write(folder, name, title, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svg").write_text(svg(rows))
    (folder / f"{name}.md").write_text(markdown(title, rows, f"{name}.svg"))
