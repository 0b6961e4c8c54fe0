//! `--tune`, `--tune-log` and `--explain-schedules`.

use crate::Cli;
use indicatif::{ProgressBar, ProgressStyle};
use nim_compiler::{Options, tune};
use nim_tools::{Failure, Stage, files, terminal};
use nim_tools_compiler::{save, tuning};
use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
};

/// Where the log is.
fn log_path(cli: &Cli) -> Option<PathBuf> {
    if let Some(path) = &cli.compile.tune_log {
        return Some(path.clone());
    }
    let mut path = cli.output.clone().into_os_string();
    path.push(".tune");
    Some(PathBuf::from(path)).filter(|_| cli.tune.is_some() && !files::is_stdio(&cli.output))
}

/// Has the compiler measure, or say what it chooses, if that is wanted.
pub fn set_up(cli: &Cli, settings: &mut Options, bar: &ProgressBar) -> Result<(), Failure> {
    let fail = |message: &str| Err(Failure::new(Stage::Compile, message));
    if cli.tune.is_none() && !cli.explain_schedules && cli.compile.tune_log.is_none() {
        return Ok(());
    }
    if cli.tune.is_some() && !settings.target.supported_on_host() {
        return fail("--tune measures on this machine, which cannot run code for the target");
    }
    let path = log_path(cli);
    let mut wanted = match (&path, cli.tune) {
        (Some(path), time) => tuning(&cli.compile, path, time)?,
        (None, Some(_)) => return fail("--tune with --output=- wants --tune-log=FILE for what it finds"),
        (None, None) => tune::Tuning::default(),
    };
    wanted.explain = cli.explain_schedules;
    let (bar, interactive) = (bar.clone(), terminal::interactive());
    wanted.progress = Some(Box::new(move |now, log| {
        let change = 100.0 * (now.after.as_secs_f64() / now.before.as_secs_f64().max(1e-12) - 1.0);
        let (before, after) = (now.before.as_secs_f64() * 1e6, now.after.as_secs_f64() * 1e6);
        let line =
            format!("@{}: {before:.1} us, {after:.1} us ({change:+.1} %): {}", now.kernel, now.schedule.join(", "));
        if interactive {
            if bar.length() != Some(now.of as u64) {
                let style = ProgressStyle::with_template("{spinner} tuning {bar:30} {pos}/{len} {wide_msg}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_length(now.of as u64);
            }
            bar.set_position(now.done as u64);
            bar.set_message(line);
        } else {
            let seconds = now.elapsed.as_secs_f64();
            eprintln!(
                "nim-compile: tuned {} of {} in {seconds:.1} s, {} schedules of {line}",
                now.done, now.of, now.candidates
            );
        }
        // Kept at once: who is tired of waiting loses nothing. A file that cannot be written is told at the end.
        if let Some(path) = &path {
            let _ = save(path, log);
        }
    }));
    settings.tuning = Some(Arc::new(wanted));
    Ok(())
}

/// Keeps what was found and says what was chosen.
pub fn finish(cli: &Cli, settings: &Options) -> Result<(), Failure> {
    let Some(tuning) = &settings.tuning else { return Ok(()) };
    if let (Some(path), true) = (log_path(cli), cli.tune.is_some()) {
        save(&path, &tuning.log.lock().unwrap_or_else(PoisonError::into_inner))?;
    }
    if cli.explain_schedules {
        eprint!("{}", tune::explain(&tuning.explained.lock().unwrap_or_else(PoisonError::into_inner)));
    }
    Ok(())
}
