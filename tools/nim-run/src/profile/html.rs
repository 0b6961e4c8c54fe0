//! The profile as one page that needs nothing else: a roofline plot and the table.

use super::{Measured, Row, node};
use std::fmt::Write;

const STYLE: &str = "body{font:14px sans-serif;margin:2em;max-width:1100px}table{border-collapse:collapse;width:100%}\
td,th{padding:2px 8px;text-align:right;border-bottom:1px solid #ddd}td.t,th.t{text-align:left;word-break:break-all}\
svg{background:#fafafa;border:1px solid #ddd}circle{fill:#1f6fb4;fill-opacity:.55;stroke:#13476f}\
circle:hover{fill:#d9480f}line.grid{stroke:#e4e4e4}path{fill:none;stroke-width:2}\
@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#ddd}svg{background:#232323}td,th{border-color:#444}\
line.grid{stroke:#3a3a3a}text{fill:#ccc}}";

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 60.0;

/// The page of a model.
pub fn page(model: &str, measured: &Measured) -> String {
    let title = escape(model);
    let rows = measured.rows();
    let ms = 1e3 * measured.profile.time.as_secs_f64() / measured.runs();
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Profile of {title}</title>\
         <style>{STYLE}</style><h1>Profile of {title}</h1>\
         <p>{ms:.3} ms a run ({} runs), {:.3} ms of it outside of kernels and runtime functions. {}.</p>",
        measured.profile.runs,
        measured.rest_ms(),
        escape(&measured.machine())
    );
    plot(&mut out, measured, &rows);
    out.push_str(
        "<p>A circle is a call of a kernel, its area the time it takes; the lines are what this machine can do with data in \
         memory and in cache. Bytes are those that the accesses of the kernel's maps ask for (moved); the buffers it was \
         given stand beside them.</p>\
         <table><tr><th>ms<th>%<th>calls<th>GFLOP/s<th>GB/s<th>moved MB<th>buffers MB<th>roof %<th class=t>kernel\
         <th class=t>node<th class=t>made of</tr>",
    );
    for row in &rows {
        table_row(&mut out, measured, row);
    }
    out.push_str("</table><h2>Instructions a run</h2><table><tr><th class=t>instruction<th>count</tr>");
    for (name, count) in &measured.profile.instructions {
        let _ = write!(out, "<tr><td class=t>{name}<td>{}</tr>", *count as f64 / measured.runs());
    }
    out.push_str("</table></html>\n");
    out
}

fn table_row(out: &mut String, measured: &Measured, row: &Row<'_>) {
    let _ = write!(out, "<tr><td>{:.3}<td>{:.1}<td>{}", row.ms, 100.0 * row.share, row.calls);
    match &row.rates {
        Some(r) => {
            let each = |sum: f64| sum / measured.runs() / 1e6;
            let (moved, buffers) = (each(row.site.bytes.unwrap_or(0.0)), each(row.site.buffer_bytes));
            let _ = write!(
                out,
                "<td>{:.2}<td>{:.2}<td>{moved:.3}<td>{buffers:.3}<td>{:.1}",
                r.gflops,
                r.gbytes,
                100.0 * r.roof
            );
        }
        None => out.push_str("<td>-<td>-<td>-<td>-<td>-"),
    }
    let made_of = row.site.nodes.join(", ");
    let _ = writeln!(
        out,
        "<td class=t>{}<td class=t>{}<td class=t>{}</tr>",
        escape(&row.site.name),
        escape(node(row.site)),
        escape(&made_of)
    );
}

/// Operations a second over operations a byte, both logarithmic.
fn plot(out: &mut String, measured: &Measured, rows: &[Row<'_>]) {
    let points: Vec<(&Row<'_>, f64, f64)> = rows
        .iter()
        .filter_map(|row| row.rates.as_ref().map(|r| (row, r.intensity, r.gflops)))
        .filter(|(_, x, y)| *x > 0.0 && *y > 0.0)
        .collect();
    let peaks: Vec<(&str, f64)> = measured.peaks().into_iter().map(|(of, rate)| (of.describe(), rate / 1e9)).collect();
    let peak = peaks.iter().map(|p| p.1).fold(0.0, f64::max);
    let xs = points.iter().map(|p| p.1);
    let (left, right) = (xs.clone().fold(0.1, f64::min).log10().floor(), xs.fold(100.0, f64::max).log10().ceil());
    let low = points.iter().map(|p| p.2).fold(peak / 100.0, f64::min).log10().floor();
    let high = (points.iter().map(|p| p.2).fold(peak, f64::max) * 1.5).log10().ceil();
    let x = |v: f64| MARGIN + (v.log10() - left) / (right - left) * (WIDTH - 1.5 * MARGIN);
    let y = |v: f64| HEIGHT - MARGIN - (v.log10() - low) / (high - low) * (HEIGHT - 1.5 * MARGIN);
    let _ = write!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"100%\" font-size=\"12\">");
    let (bottom, top) = (HEIGHT - MARGIN, 0.5 * MARGIN);
    for power in left as i32..=right as i32 {
        let at = x(10f64.powi(power));
        let _ = write!(out, "<line class=grid x1={at:.1} x2={at:.1} y1={top:.1} y2={bottom:.1} />");
        let _ = write!(out, "<text x={at:.1} y={:.1} text-anchor=middle>{}</text>", bottom + 16.0, 10f64.powi(power));
    }
    for power in low as i32..=high as i32 {
        let at = y(10f64.powi(power));
        let _ = write!(out, "<line class=grid x1={MARGIN} x2={:.1} y1={at:.1} y2={at:.1} />", WIDTH - 0.5 * MARGIN);
        let _ =
            write!(out, "<text x={:.1} y={:.1} text-anchor=end>{}</text>", MARGIN - 6.0, at + 4.0, 10f64.powi(power));
    }
    for (rate, colour, name) in [(measured.roof.memory, "#c92a2a", "memory"), (measured.roof.cache, "#2b8a3e", "cache")]
    {
        let rate = rate / 1e9;
        // Up the slope of the bandwidth to the ridge, then along the peak.
        let start = 10f64.powf(left).max(10f64.powf(low) / rate);
        let ridge = (peak / rate).clamp(start, 10f64.powf(right));
        let _ = write!(
            out,
            "<path stroke=\"{colour}\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}\"/><text x={:.1} y={:.1} fill=\"{colour}\">{name}</text>",
            x(start),
            y(start * rate),
            x(ridge),
            y((ridge * rate).min(peak)),
            x(10f64.powf(right)),
            y(peak),
            x(start) + 8.0,
            y(start * rate) - 4.0
        );
    }
    for (name, rate) in peaks.iter().filter(|_| peaks.len() > 1) {
        let (from, to, at) = (x(10f64.powf(left)), x(10f64.powf(right)), y(*rate));
        let _ =
            write!(out, "<path stroke=\"#868e96\" stroke-dasharray=\"6 4\" d=\"M{from:.1} {at:.1}L{to:.1} {at:.1}\"/>");
        let _ = write!(out, "<text x={:.1} y={:.1} text-anchor=end fill=\"#868e96\">{name}</text>", to - 4.0, at - 4.0);
    }
    for (row, intensity, gflops) in points {
        let radius = 3.0 + 30.0 * row.share.max(0.0).sqrt();
        let text =
            format!("{}: {:.3} ms, {gflops:.1} GFLOP/s, {intensity:.2} operations a byte", row.site.name, row.ms);
        let (cx, cy) = (x(intensity), y(gflops));
        let _ = write!(out, "<circle cx={cx:.1} cy={cy:.1} r={radius:.1}><title>{}</title></circle>", escape(&text));
    }
    let _ = write!(
        out,
        "<text x={:.1} y={:.1} text-anchor=middle>operations a byte</text><text x=12 y={:.1}>GFLOP/s</text></svg>",
        WIDTH / 2.0,
        HEIGHT - 14.0,
        top - 6.0
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
