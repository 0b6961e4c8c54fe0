//! Colours and exit codes.

use crate::Failure;
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

/// Whether messages on standard error are coloured: on a terminal, unless `NO_COLOR` is set (see no-color.org).
pub fn color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::io::stderr().is_terminal()
}

/// Whether progress may be shown.
pub fn interactive() -> bool {
    std::io::stderr().is_terminal()
}

/// Does the work of a tool and says how it ended: 0, or 1 with the failure on standard error. Signals that end the
/// process leave nothing half done behind.
pub fn run(tool: &str, work: impl FnOnce() -> Result<bool, Failure>) -> ExitCode {
    nim_files::watch();
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            // Nobody can be told that standard error is closed.
            let _ = std::io::stderr().write_all(failure.render(tool).as_bytes());
            ExitCode::FAILURE
        }
    }
}
