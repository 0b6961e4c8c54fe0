//! A timeline in the Trace Event Format, which chrome://tracing and Perfetto show.

use nim_tools::Profile;
use serde_json::json;
use std::time::Duration;

/// Runs on one row, the calls in them on the next. Times are microseconds.
pub fn timeline(model: &str, profile: &Profile) -> String {
    let micro = |time: Duration| time.as_secs_f64() * 1e6;
    let mut events = vec![json!({"ph": "M", "name": "process_name", "pid": 1, "args": {"name": model}})];
    for (thread, name) in [(1, "runs"), (2, "calls")] {
        events.push(json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": name}}));
    }
    for (number, &(start, time)) in profile.run_spans.iter().enumerate() {
        let name = format!("run {number}");
        events.push(json!({"ph": "X", "name": name, "pid": 1, "tid": 1, "ts": micro(start), "dur": micro(time)}));
    }
    for span in &profile.spans {
        let Some(site) = profile.sites.get(span.site) else { continue };
        let calls = site.calls.max(1) as f64;
        events.push(json!({
            "ph": "X", "name": site.name, "cat": if site.is_kernel { "kernel" } else { "runtime" },
            "pid": 1, "tid": 2, "ts": micro(span.start), "dur": micro(span.time),
            "args": {
                "node": site.node, "nodes": site.nodes,
                "operations": site.operations.map(|n| n / calls), "bytes": site.bytes.map(|n| n / calls),
            },
        }));
    }
    json!({"traceEvents": events, "displayTimeUnit": "ms"}).to_string()
}
