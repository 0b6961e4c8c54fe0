//! What is said about runs: lines as they come, or one JSON object at the end.

use crate::profile::{self, Measured};
use crate::{Cli, bench::Timing, model::Model};
use nim_tensor::Value;
use nim_tools::{Engine, Failure, Interface, PoolStats, dataset::OutputResult, files, values};
use serde_json::{Value as Json, json};
use std::path::Path;

/// Writes a line to standard output.
pub fn say(line: &str) -> Result<(), Failure> {
    files::write(files::STDIO.as_ref(), format!("{line}\n").as_bytes())
}

/// Everything found out so far.
pub struct Report {
    passed: usize,
    failed: usize,
    tested: bool,
    json: serde_json::Map<String, Json>,
    sets: Vec<Json>,
}

impl Report {
    /// The report of a model.
    pub fn new(cli: &Cli, model: &Model) -> Report {
        let mut json = serde_json::Map::new();
        json.insert("model".into(), json!(cli.model.display().to_string()));
        json.insert("backend".into(), json!(model.backend.to_string()));
        json.insert("load_ms".into(), json!(model.load_ms));
        json.insert("compile_ms".into(), json!(model.compile_ms));
        json.insert("kernels".into(), json!(model.engine.kernels()));
        Report { passed: 0, failed: 0, tested: cli.test_data.is_some(), json, sets: vec![] }
    }

    /// The outputs of a run that is compared with nothing.
    pub fn outputs(&mut self, cli: &Cli, interface: &Interface, outputs: &[Value]) -> Result<(), Failure> {
        let named = interface.outputs.iter().zip(outputs);
        if cli.json {
            let all: Vec<Json> = named.map(|(p, v)| json!({"name": p.name, "value": values::summary(v)})).collect();
            self.json.insert("outputs".into(), json!(all));
            return Ok(());
        }
        named.into_iter().try_for_each(|(port, value)| say(&format!("{}: {}", port.name, values::summary(value))))
    }

    /// One data set.
    pub fn set(&mut self, cli: &Cli, folder: &Path, done: Result<Vec<OutputResult>, Failure>) -> Result<(), Failure> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let good = done.as_ref().is_ok_and(|results| results.iter().all(|r| r.comparison.passed()));
        *(if good { &mut self.passed } else { &mut self.failed }) += 1;
        if cli.json {
            self.sets.push(match &done {
                Ok(results) => {
                    json!({"set": name, "passed": good, "outputs": results.iter().map(output).collect::<Vec<_>>()})
                }
                Err(failure) => json!({"set": name, "passed": false, "error": failure.to_string()}),
            });
            return Ok(());
        }
        match done {
            Ok(results) => results.iter().try_for_each(|r| {
                let verdict = if r.comparison.passed() { "ok" } else { "WRONG" };
                // The reference is no better than this.
                let noise = r.noise.map_or(String::new(), |n| format!(" (within the reference's own noise, {n:.1e})"));
                say(&format!("{name}: {verdict}: output {:?}: {}{noise}", r.name, r.comparison))
            }),
            Err(failure) => say(&format!("{name}: FAILED: {failure}")),
        }
    }

    /// How long runs took.
    pub fn timing(&mut self, cli: &Cli, timing: Timing) -> Result<(), Failure> {
        if cli.json {
            self.json.insert("runs".into(), json!(timing.runs));
            self.json.insert("min_ms".into(), json!(timing.min_ms));
            self.json.insert("median_ms".into(), json!(timing.median_ms));
            self.json.insert("max_ms".into(), json!(timing.max_ms));
            return Ok(());
        }
        let Timing { runs, min_ms, median_ms, max_ms } = timing;
        say(&format!("{runs} runs: min {min_ms:.3} ms, median {median_ms:.3} ms, max {max_ms:.3} ms"))
    }

    /// Where time went.
    pub fn profile(&mut self, cli: &Cli, file: Option<&Path>, measured: &Measured) -> Result<(), Failure> {
        if let Some(file) = file {
            let model = cli.model.file_name().unwrap_or_default().to_string_lossy();
            files::write(file, profile::file(file, &model, measured).as_bytes())?;
        }
        if cli.json {
            self.json.insert("profile".into(), profile::json(measured));
            return Ok(());
        }
        profile::table(measured).iter().try_for_each(|line| say(line))
    }

    /// How many data sets passed.
    pub fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }

    /// Says the last line; true if nothing failed.
    pub fn finish(mut self, cli: &Cli, engine: &Engine) -> Result<bool, Failure> {
        let shapes = engine.specialised();
        if cli.json {
            if !shapes.is_empty() {
                let all: Vec<Json> =
                    shapes.iter().map(|s| json!({"shape": s.shape, "runs": s.runs, "is": s.to_string()})).collect();
                self.json.insert("specialised".into(), json!(all));
            }
            self.json.insert("peak_bytes".into(), json!(engine.peak_bytes()));
            if let Some(memory) = engine.memory() {
                self.json.insert("memory_requests".into(), json!(memory.requests));
                self.json.insert("memory_allocations".into(), json!(memory.allocations));
            }
            let devices = engine.device_memory().into_iter().map(|(name, memory)| {
                let PoolStats { peak, requests, allocations, .. } = memory;
                (name, json!({"peak_bytes": peak, "memory_requests": requests, "memory_allocations": allocations}))
            });
            let devices: serde_json::Map<String, Json> = devices.collect();
            if !devices.is_empty() {
                self.json.insert("devices".into(), Json::Object(devices));
            }
            self.json.insert("constant_bytes".into(), json!(engine.constant_bytes()));
            self.json.insert("process_peak_bytes".into(), json!(nim_tools::engine::process_peak()));
            if self.tested {
                self.json.insert("passed".into(), json!(self.passed));
                self.json.insert("failed".into(), json!(self.failed));
                self.json.insert("sets".into(), json!(self.sets));
            }
            say(&Json::Object(self.json).to_string())?;
        } else {
            shapes.iter().try_for_each(|shape| say(&format!("shape {shape}")))?;
            if self.tested {
                say(&self.summary())?;
            }
        }
        Ok(self.failed == 0)
    }
}

fn output(result: &OutputResult) -> Json {
    let comparison = &result.comparison;
    // JSON has no infinity.
    let error = Some(comparison.max_abs_error).filter(|e| e.is_finite());
    let message = (!comparison.passed()).then(|| comparison.to_string());
    json!({
        "name": result.name,
        "passed": comparison.passed(),
        "max_error": error,
        "within_noise": result.noise,
        "message": message,
    })
}
