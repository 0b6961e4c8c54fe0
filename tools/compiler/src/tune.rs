//! Tuning logs as files.

use nim_compiler::tune::{Tuning, log::Log, machine::Machine};
use nim_ir::Context;
use nim_text::{RenderOptions, render_all};
use nim_tools::{Failure, files, flags::CompileFlags, terminal};
use std::{fs, io::ErrorKind, path::Path, time::Duration};

/// What is done with the log at a path; with a time it need not be there yet. Says on standard error what of the log is not used.
///
/// # Errors
/// A file that cannot be read.
pub fn tuning(flags: &CompileFlags, path: &Path, time: Option<Duration>) -> Result<Tuning, Failure> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound && time.is_some() => String::new(),
        Err(error) => return Err(files::io_failure(path, &error)),
    };
    let name = path.display().to_string();
    let (log, mut found) = Log::parse(&text, &name);
    found.extend(log.foreign(&name, &Machine::host()).filter(|_| !flags.tune_log_any_machine));
    if !found.is_empty() {
        eprint!("{}", render_all(&Context::new(&[]), &found, &RenderOptions { color: terminal::color() }));
    }
    Ok(Tuning { time, any_machine: flags.tune_log_any_machine, log: log.into(), ..Tuning::default() })
}

/// Writes a log, with what others put there in the meantime.
///
/// # Errors
/// A file that cannot be written.
pub fn save(path: &Path, log: &Log) -> Result<(), Failure> {
    let before = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let (mut all, _) = Log::parse(&before, "");
    all.merge(log);
    files::write(path, all.to_text().as_bytes())
}
